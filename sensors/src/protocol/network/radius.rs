//! RADIUS: who asked to be let in, from where, and what was answered (RFC 2865, RFC 2866, RFC 5176).
//!
//! In: datagrams. Out: one `sensor.radius` event per answer, with what its request said; a sign-in with challenges is one event
//! up to its last answer, as Zeek tells it, with the first message of the server. Requests that stay unanswered go out at the end. Passwords and other hidden attributes are not read. Memory: at most [`MAX_PENDING`] requests of some
//! texts; the oldest goes out unanswered when there are more.

use std::net::Ipv4Addr;

use dongson_event::{Event, Timestamp};

use crate::protocol::Side;
use crate::protocol::dissect::Datagrams;
use crate::protocol::wire::{Cursor, text};

/// Requests of one flow that may be unanswered.
const MAX_PENDING: usize = 32;
const ACCESS_REQUEST: u8 = 1;
const ACCESS_CHALLENGE: u8 = 11;
/// The attribute that a challenge and the request behind it share.
const STATE: u8 = 24;
const MESSAGE: &str = "dongson.radius.reply_message";

/// A request that waits for its answer.
#[derive(Debug)]
struct Pending {
    side: Side,
    id: u8,
    at: Timestamp,
    authenticator: [u8; 16],
    /// It was answered with a challenge, and the client goes on with another request.
    challenged: bool,
    event: Event,
}

/// A flow that speaks RADIUS.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Radius {
    pending: Vec<Pending>,
}

impl Datagrams for Radius {
    fn datagram(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let _ = self.message(side, at, bytes, out);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        out.extend(self.pending.drain(..).map(|pending| pending.event));
    }
}

impl Radius {
    fn message(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) -> Option<()> {
        let mut cursor = Cursor::new(bytes);
        let (code, id, length) = (cursor.u8()?, cursor.u8()?, usize::from(cursor.u16()?));
        let authenticator = *cursor.take(16)?.first_chunk::<16>()?;
        let attributes = cursor.rest().get(..length.checked_sub(20)?)?;
        if is_request(code) {
            let known = |pending: &Pending| {
                pending.side == side && pending.id == id && pending.authenticator == authenticator
            };
            // A request sent again is the same request.
            if self.pending.iter().any(known) {
                return Some(());
            }
            // What goes on repeats the state that came with the challenge (RFC 2865, 5.24).
            let goes_on = |pending: &&mut Pending| pending.side == side && pending.challenged;
            if code == ACCESS_REQUEST
                && has_state(attributes)
                && let Some(pending) = self.pending.iter_mut().find(goes_on)
            {
                (pending.id, pending.authenticator, pending.challenged) = (id, authenticator, false);
                return Some(());
            }
            let mut event = Event::of("sensor.radius", at);
            event.set("network.protocol", "radius");
            event.set("dongson.radius.id", id);
            event.set("dongson.radius.request", code_name(code));
            event.set("event.outcome", "unknown");
            describe(&mut event, attributes);
            if self.pending.len() >= MAX_PENDING {
                out.push(self.pending.remove(0).event);
            }
            self.pending.push(Pending { side, id, at, authenticator, challenged: false, event });
            return Some(());
        }
        let is_asked = |pending: &Pending| pending.side != side && pending.id == id && !pending.challenged;
        let asked = self.pending.iter().position(is_asked);
        if code == ACCESS_CHALLENGE
            && let Some(pending) = asked.and_then(|place| self.pending.get_mut(place))
        {
            pending.challenged = true;
            pending.event.set("dongson.radius.response", code_name(code));
            describe(&mut pending.event, attributes);
            return Some(());
        }
        let mut event = if let Some(place) = asked {
            let pending = self.pending.remove(place);
            let mut event = pending.event;
            event.set("event.duration", at.nanos().saturating_sub(pending.at.nanos()));
            event
        } else {
            let mut event = Event::of("sensor.radius", at);
            event.set("network.protocol", "radius");
            event.set("dongson.radius.id", id);
            event
        };
        event.set("dongson.radius.response", code_name(code));
        event.set("event.outcome", outcome(code));
        let first = event.get(MESSAGE).cloned();
        describe(&mut event, attributes);
        event.set_some(MESSAGE, first);
        out.push(event);
        Some(())
    }
}

/// Whether attributes have a state (RFC 2865, 5.24).
fn has_state(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new(bytes);
    while let (Some(kind), Some(length)) = (cursor.u8(), cursor.u8()) {
        if kind == STATE {
            return true;
        }
        if usize::from(length).checked_sub(2).and_then(|length| cursor.take(length)).is_none() {
            return false;
        }
    }
    false
}

fn is_request(code: u8) -> bool {
    matches!(code, 1 | 4 | 12 | 40 | 43)
}

fn outcome(code: u8) -> &'static str {
    match code {
        2 | 5 | 41 | 44 => "success",
        3 | 42 | 45 => "failure",
        _ => "unknown",
    }
}

/// RFC 2865, 3; RFC 5176, 2.3.
fn code_name(code: u8) -> &'static str {
    match code {
        1 => "Access-Request",
        2 => "Access-Accept",
        3 => "Access-Reject",
        4 => "Accounting-Request",
        5 => "Accounting-Response",
        11 => "Access-Challenge",
        12 => "Status-Server",
        13 => "Status-Client",
        40 => "Disconnect-Request",
        41 => "Disconnect-ACK",
        42 => "Disconnect-NAK",
        43 => "CoA-Request",
        44 => "CoA-ACK",
        45 => "CoA-NAK",
        _ => "unknown",
    }
}

/// The attributes that name somebody or something (RFC 2865, 5; RFC 2866, 5; RFC 2868, 3; RFC 2869, 5).
fn describe(event: &mut Event, bytes: &[u8]) {
    let mut cursor = Cursor::new(bytes);
    while let (Some(kind), Some(length)) = (cursor.u8(), cursor.u8()) {
        let Some(value) = usize::from(length).checked_sub(2).and_then(|length| cursor.take(length)) else {
            return;
        };
        let words = || text(value, 253);
        let number = || Cursor::new(value).u32();
        let address = || value.first_chunk::<4>().map(|four| std::net::IpAddr::from(Ipv4Addr::from(*four)));
        match kind {
            1 => drop(event.set("user.name", words())),
            4 => event.set_some("dongson.radius.nas_ip", address()),
            5 => event.set_some("dongson.radius.nas_port", number()),
            8 => event.set_some("dongson.radius.framed_ip", address()),
            18 => drop(event.set("dongson.radius.reply_message", words())),
            30 => drop(event.set("dongson.radius.called_station", words())),
            31 => drop(event.set("dongson.radius.calling_station", words())),
            32 => drop(event.set("dongson.radius.nas_id", words())),
            40 => event.set_some("dongson.radius.accounting_status", number()),
            44 => drop(event.set("dongson.radius.session_id", words())),
            66 => drop(event.set("dongson.radius.tunnel_client", tagged(value))),
            77 => drop(event.set("dongson.radius.connect_info", words())),
            _ => {}
        }
    }
}

/// A text that may begin with a tag below 0x20 (RFC 2868, 3.3).
fn tagged(value: &[u8]) -> String {
    match value {
        [0..=0x1f, rest @ ..] => text(rest, 253),
        _ => text(value, 253),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    fn packet(code: u8, attributes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(20 + attributes.len()).unwrap();
        [&[code, 7, 0, length][..], &[9; 16], attributes].concat()
    }

    #[test]
    fn a_request_and_its_answer() {
        let (mut radius, mut out) = (Radius::default(), Vec::new());
        let ask = packet(1, b"\x01\x04an\x02\x04xx\x1f\x05a-b");
        radius.datagram(C, Timestamp::from_nanos(0), &ask, &mut out);
        radius.datagram(C, Timestamp::from_nanos(5), &ask, &mut out);
        radius.datagram(S, Timestamp::from_nanos(9), &packet(3, b"\x12\x04no"), &mut out);
        radius.datagram(C, Timestamp::from_nanos(20), &ask, &mut out);
        radius.finish(Timestamp::default(), &mut out);
        let [event, unanswered] = out.as_slice() else { panic!("{out:?}") };
        assert_eq!(event.text("user.name"), Some("an"));
        assert_eq!(event.text("event.outcome"), Some("failure"));
        assert_eq!(event.text("dongson.radius.reply_message"), Some("no"));
        assert_eq!(event.int("event.duration"), Some(9));
        assert_eq!(unanswered.text("event.outcome"), Some("unknown"));
    }

    #[test]
    fn a_sign_in_with_a_challenge_is_one_event() {
        let (mut radius, mut out) = (Radius::default(), Vec::new());
        let numbered = |code: u8, id: u8, attributes: &[u8]| {
            let mut bytes = packet(code, attributes);
            bytes[1] = id;
            bytes
        };
        for (at, side, bytes) in [
            (0, C, numbered(1, 1, b"\x01\x04an")),
            (5, S, numbered(11, 1, b"\x12\x06ma ?\x18\x03x")),
            (9, C, numbered(1, 2, b"\x01\x04an\x18\x03x")),
            (12, S, numbered(2, 2, b"\x12\x04ok")),
        ] {
            radius.datagram(side, Timestamp::from_nanos(at), &bytes, &mut out);
        }
        radius.finish(Timestamp::default(), &mut out);
        let [event] = out.as_slice() else { panic!("{out:?}") };
        assert_eq!((event.text("event.outcome"), event.int("event.duration")), (Some("success"), Some(12)));
        assert_eq!(event.text("dongson.radius.reply_message"), Some("ma ?"));
        assert_eq!(event.text("dongson.radius.response"), Some("Access-Accept"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(turns: Vec<(bool, u8, Vec<u8>)>) {
            let (mut radius, mut out) = (Radius::default(), Vec::new());
            for (client, code, mut bytes) in turns {
                bytes.truncate(200);
                radius.datagram(if client { C } else { S }, Timestamp::default(), &packet(code, &bytes), &mut out);
                radius.datagram(S, Timestamp::default(), &bytes, &mut out);
            }
            prop_assert!(radius.pending.len() <= MAX_PENDING);
        }
    }
}
