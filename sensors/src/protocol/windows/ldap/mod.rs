//! LDAP: binds, searches, changes and their results (RFC 4511; RFC 4515 for filters; MS-ADTS for sealed connections).
//!
//! In: both directions over TCP, or datagrams. Out: one `sensor.ldap` event per operation, when its result comes, or at once
//! where none comes. Passwords are sealed; attribute values that are written are not kept. What is encrypted after a bind is
//! passed over. Memory: [`MAX_MESSAGE`] bytes of each side, [`MAX_PENDING`] operations without a result.

mod filter;
mod operation;

use dongson_event::{Event, Timestamp};

use crate::protocol::dissect::{Datagrams, Start, Stream};
use crate::protocol::frames::{Frames, Length, Shape};
use crate::protocol::le;
use crate::protocol::windows::gss::Gss;
use crate::protocol::{Options, Side, der};
use operation::{Answer, Message};

/// Bytes of a message that are kept.
const MAX_MESSAGE: usize = 32 * 1024;
/// Operations that wait for their results; the oldest goes out when there are more.
const MAX_PENDING: usize = 32;

const SHAPE: Shape = Shape { length, magic: None, keep: MAX_MESSAGE };

/// An LDAP message, or four bytes of length and a protected one (RFC 4422, 3.7).
fn length(bytes: &[u8]) -> Length {
    match bytes {
        [0x30, ..] => match der::header(bytes) {
            der::Header::Whole { head, value } => Length::Is(head.saturating_add(value)),
            der::Header::Short => Length::Unknown,
            der::Header::Bad => Length::Broken,
        },
        [0, high, middle, low, ..] => {
            let length = u32::from_be_bytes([0, *high, *middle, *low]);
            usize::try_from(length).map_or(Length::Broken, |length| Length::Is(length + 4))
        }
        [] | [0, ..] => Length::Unknown,
        _ => Length::Broken,
    }
}

/// An operation without a result.
#[derive(Debug)]
struct Pending {
    id: i64,
    at: Timestamp,
    event: Event,
    /// The tag of its request.
    tag: u8,
    entries: u64,
    references: u64,
}

/// A connection that speaks LDAP.
#[derive(Debug)]
pub(in crate::protocol) struct Ldap {
    options: Options,
    frames: [Frames; 2],
    gss: Gss,
    pending: Vec<Pending>,
}

impl Ldap {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self { options: *start.options, frames: Default::default(), gss: Gss::default(), pending: Vec::new() }
    }

    /// One message, or one protected message that may hold some.
    fn frame(&mut self, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) -> bool {
        if bytes.first() == Some(&0x30) {
            self.message(at, bytes, out);
            return true;
        }
        let Some(mut inside) = unsealed(bytes.get(4..).unwrap_or_default()) else { return false };
        while let Length::Is(length) = length(inside) {
            let Some(message) = inside.get(..length.max(1)) else { break };
            self.message(at, message, out);
            inside = inside.get(length.max(1)..).unwrap_or_default();
        }
        true
    }

    /// One message in the clear.
    fn message(&mut self, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let Some(message) = Message::parse(bytes) else { return };
        if message.is_request() {
            self.request(at, &message, out);
        } else {
            self.answer(at, &message, out);
        }
    }

    fn request(&mut self, at: Timestamp, message: &Message<'_>, out: &mut Vec<Event>) {
        let mut event = Event::of("sensor.ldap", at);
        event.set("network.protocol", "ldap");
        event.set("dongson.ldap.message_id", message.id);
        if let Some(token) = message.describe_request(&mut event, &self.options.secret_key) {
            self.gss.token(at, token, out);
        }
        if !message.expects_answer() {
            out.push(event);
            return;
        }
        if self.pending.len() >= MAX_PENDING {
            out.push(self.pending.remove(0).told());
        }
        self.pending.push(Pending { id: message.id, at, event, tag: message.tag, entries: 0, references: 0 });
    }

    fn answer(&mut self, at: Timestamp, message: &Message<'_>, out: &mut Vec<Event>) {
        let Some(place) = self.pending.iter().position(|pending| pending.id == message.id) else { return };
        let Some(pending) = self.pending.get_mut(place) else { return };
        match message.answer() {
            Answer::Entry => pending.entries += 1,
            Answer::Reference => pending.references += 1,
            Answer::Between => {}
            Answer::Result => {
                let mut pending = self.pending.remove(place);
                let told = message.describe_result(&mut pending.event);
                if let Some(token) = told.token {
                    self.gss.token(at, token, out);
                }
                if pending.tag == operation::BIND && told.code != Some(operation::BIND_IN_PROGRESS) {
                    self.gss.outcome(told.code.map(|code| code == 0), out);
                }
                let duration = i64::try_from(at.since(pending.at).as_nanos()).unwrap_or(i64::MAX);
                pending.event.set("event.duration", duration);
                out.push(pending.told());
            }
        }
    }

    /// What has no result goes out.
    fn end(&mut self, out: &mut Vec<Event>) {
        out.extend(self.pending.drain(..).map(Pending::told));
        self.gss.outcome(None, out);
    }
}

impl Pending {
    fn told(mut self) -> Event {
        if self.tag == operation::SEARCH {
            self.event.set("dongson.ldap.result_count", self.entries);
            if self.references > 0 {
                self.event.set("dongson.ldap.reference_count", self.references);
            }
        }
        self.event
    }
}

/// What a protected message holds when it is only signed: behind a Kerberos wrap token (RFC 4121, 4.2.6.2) or a signature
/// of NTLM (MS-NLMP, 2.2.2.9).
fn unsealed(bytes: &[u8]) -> Option<&[u8]> {
    let inside = match bytes {
        [5, 4, flags, 0xff, high, low, rotated @ ..] if flags & 2 == 0 => {
            let checksum = usize::from(u16::from_be_bytes([*high, *low]));
            let turned = rotated.first_chunk().copied().map_or(0, u16::from_be_bytes);
            let front = if usize::from(turned) == checksum { checksum } else { 0 };
            bytes.get(16 + front..)?
        }
        _ if le::u32(bytes, 0) == Some(1) => bytes.get(16..)?,
        _ => return None,
    };
    (inside.first() == Some(&0x30)).then_some(inside)
}

/// A datagram is one message (MS-ADTS, 6.3.3).
impl Datagrams for Ldap {
    fn datagram(&mut self, _side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        self.message(at, bytes, out);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.end(out);
    }
}

impl Stream for Ldap {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let mut frames = std::mem::take(side.of_mut(&mut self.frames));
        let mut readable = true;
        frames.feed(&SHAPE, bytes, |message| readable = readable && self.frame(at, message, out));
        if !readable {
            frames.close();
            side.other().of_mut(&mut self.frames).close();
            self.end(out);
        }
        *side.of_mut(&mut self.frames) = frames;
    }

    fn gap(&mut self, side: Side, length: u64) {
        side.of_mut(&mut self.frames).gap(&SHAPE, length);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.end(out);
    }

    fn wants_more(&self, side: Side) -> bool {
        !side.of(&self.frames).is_broken()
    }

    fn service(&self) -> Option<&'static str> {
        let seen = self.gss.seen;
        match (seen.gssapi, seen.ntlm, seen.kerberos) {
            (true, true, _) => Some("gssapi,ldap_tcp,ntlm"),
            (true, false, true) => Some("gssapi,krb,ldap_tcp"),
            (true, false, false) => Some("gssapi,ldap_tcp"),
            (false, true, _) => Some("ldap_tcp,ntlm"),
            (false, false, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
        [&[tag, 0x82][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
    }

    fn message(id: u8, tag: u8, body: &[Vec<u8>]) -> Vec<u8> {
        tlv(0x30, &[tlv(2, &[id]), tlv(tag, &body.concat())].concat())
    }

    fn result(id: u8, tag: u8, code: u8) -> Vec<u8> {
        message(id, tag, &[tlv(10, &[code]), tlv(4, b""), tlv(4, b"why")])
    }

    fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
        let options = Options::default();
        let start = Start { client: Side::Originator, options: &options };
        let (mut ldap, mut out) = (Ldap::new(&start), Vec::new());
        for (side, bytes) in turns {
            for part in bytes.chunks(chunk) {
                ldap.data(*side, Timestamp::default(), part, &mut out);
            }
        }
        Stream::finish(&mut ldap, Timestamp::default(), &mut out);
        out
    }

    #[test]
    fn a_bind_and_a_search() {
        let bind = message(1, 0x60, &[tlv(2, &[3]), tlv(4, b"cn=an"), tlv(0x80, b"mat khau")]);
        let both = [tlv(0xa3, &[tlv(4, b"uid"), tlv(4, b"an*")].concat()), tlv(0x87, b"mail")].concat();
        let search = [
            tlv(4, b"dc=vn"),
            tlv(10, &[2]),
            tlv(10, &[0]),
            tlv(2, &[0]),
            tlv(2, &[0]),
            tlv(1, &[0]),
            tlv(0xa0, &both),
            tlv(0x30, &tlv(4, b"mail")),
        ];
        let entry = message(2, 0x64, &[tlv(4, b"uid=an,dc=vn"), tlv(0x30, b"")]);
        let turns = [
            (Side::Originator, bind),
            (Side::Responder, result(1, 0x61, 49)),
            (Side::Originator, message(2, 0x63, &search)),
            (Side::Responder, [entry.clone(), entry, result(2, 0x65, 0)].concat()),
            (Side::Originator, message(3, 0x42, &[])),
        ];
        let events = run(&turns, usize::MAX);
        assert_eq!(events, run(&turns, 1));
        let [bind, search, unbind] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(bind.text("dongson.ldap.result"), Some("invalidCredentials"));
        assert_eq!(bind.text("user.name"), Some("cn=an"));
        assert!(bind.text("dongson.ldap.password").unwrap().starts_with("hmac-"));
        assert_eq!(search.text("dongson.ldap.search.filter"), Some("(&(uid=an\\2a)(mail=*))"));
        assert_eq!(search.int("dongson.ldap.result_count"), Some(2));
        assert_eq!(unbind.text("dongson.ldap.operation"), Some("unbind"));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(talk: Vec<(bool, u8, Vec<u8>)>, chunk in 1..20_usize) {
            let turns: Vec<_> = talk
                .into_iter()
                .map(|(client, tag, bytes)| {
                    let tag = if client { [0x60, 0x63, 0x66, 0x77][usize::from(tag % 4)] } else { 0x61 + tag % 8 };
                    let bytes = if bytes.len() % 3 == 0 { bytes } else { message(1, tag, &[bytes]) };
                    (if client { Side::Originator } else { Side::Responder }, bytes)
                })
                .collect();
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
