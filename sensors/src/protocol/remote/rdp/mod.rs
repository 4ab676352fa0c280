//! RDP up to its encryption: who connects with which client, and how both protect what follows (MS-RDPBCGR, 2.2.1).
//!
//! In: both directions. Out: one `sensor.rdp` event when the server has answered the client's settings, when it refuses, at
//! the turn to TLS, or at the end; certificates that RDP itself carries go out as `sensor.x509`. What follows is encrypted and not
//! read. Memory: one message of each side, at most [`MAX_MESSAGE`] bytes.

mod names;
mod settings;

use dongson_event::{Event, Timestamp};

use crate::protocol::Side;
use crate::protocol::dissect::{Start, Stream};
use crate::protocol::frames::{Frames, Length, Shape};
use crate::protocol::{le, wire};

/// Longest message that is kept; the settings take some hundred bytes, a chain of certificates some thousand.
const MAX_MESSAGE: usize = 32 * 1024;
/// Longest cookie.
const MAX_COOKIE: usize = 256;

const SHAPE: Shape = Shape { length, magic: None, keep: MAX_MESSAGE };

/// TPKT (RFC 1006, 6): version 3, reserved, length with this header.
fn length(bytes: &[u8]) -> Length {
    match bytes {
        [3, _, high, low, ..] => match usize::from(u16::from_be_bytes([*high, *low])) {
            ..7 => Length::Broken,
            length => Length::Is(length),
        },
        [] | [3, ..] => Length::Unknown,
        _ => Length::Broken,
    }
}

/// A connection that speaks RDP.
#[derive(Debug)]
pub(in crate::protocol) struct Rdp {
    client: Side,
    frames: [Frames; 2],
    event: Option<Event>,
    told: bool,
}

impl Rdp {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self { client: start.client, frames: Default::default(), event: None, told: false }
    }

    fn message(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        if self.told {
            return;
        }
        let event = self.event.get_or_insert_with(|| {
            let mut event = Event::of("sensor.rdp", at);
            event.set("network.protocol", "rdp");
            event
        });
        // X.224 (RFC 1006; X.224, 13): connect request, its confirmation, data.
        let over = match le::u8(bytes, 5) {
            Some(0xe0) if side == self.client => {
                request(event, bytes);
                false
            }
            Some(0xd0) if side != self.client => confirmed(event, bytes),
            Some(0xf0) => settings::describe(event, at, bytes.get(7..).unwrap_or_default(), out),
            _ => false,
        };
        if over {
            self.tell(out);
        }
    }

    fn tell(&mut self, out: &mut Vec<Event>) {
        out.extend(self.event.take().filter(|_| !self.told));
        self.told = true;
        self.frames.iter_mut().for_each(Frames::close);
    }
}

/// What the client wants (MS-RDPBCGR, 2.2.1.1): perhaps a cookie or a token of a balancer, perhaps protocols.
fn request(event: &mut Event, bytes: &[u8]) {
    let mut rest = bytes.get(11..).unwrap_or_default();
    if let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let (line, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        rest = behind.get(2..).unwrap_or_default();
        let line = line.strip_prefix(b"Cookie: ").unwrap_or(line);
        match line.strip_prefix(b"mstshash=") {
            Some(name) => event.set("dongson.rdp.cookie", wire::text(name, MAX_COOKIE)),
            None => event.set("dongson.rdp.routing_token", wire::text(line, MAX_COOKIE)),
        };
    }
    if le::u8(rest, 0) == Some(1)
        && let Some(wanted) = le::u32(rest, 4)
    {
        let bits = [1, 2, 4, 8, 16].into_iter().filter(|bit| wanted & bit != 0).map(names::protocol);
        let offered: Vec<String> = std::iter::once(names::protocol(0)).chain(bits).collect();
        event.set("dongson.rdp.requested_protocols", offered);
    }
}

/// What the server chose (MS-RDPBCGR, 2.2.1.2); true when it refuses.
fn confirmed(event: &mut Event, bytes: &[u8]) -> bool {
    match (le::u8(bytes, 11), le::u32(bytes, 15)) {
        (Some(2), Some(chosen)) => {
            event.set("dongson.rdp.security_protocol", names::protocol(chosen));
            if chosen != 0 {
                event.set("dongson.rdp.result", "encrypted");
            }
            false
        }
        (Some(3), Some(code)) => {
            event.set("dongson.rdp.result", names::failure(code));
            event.set("event.outcome", "failure");
            true
        }
        // A server that does not negotiate knows only what RDP itself has.
        _ => {
            event.set("dongson.rdp.security_protocol", names::protocol(0));
            false
        }
    }
}

impl Stream for Rdp {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        if self.told {
            return;
        }
        let mut frames = std::mem::take(side.of_mut(&mut self.frames));
        frames.feed(&SHAPE, bytes, |message| self.message(side, at, message, out));
        *side.of_mut(&mut self.frames) = frames;
    }

    fn gap(&mut self, side: Side, length: u64) {
        side.of_mut(&mut self.frames).gap(&SHAPE, length);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.tell(out);
    }

    fn wants_more(&self, side: Side) -> bool {
        !self.told && !side.of(&self.frames).is_broken()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Options;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    fn tpkt(body: &[u8]) -> Vec<u8> {
        [&[3, 0][..], &u16::try_from(body.len() + 4).unwrap().to_be_bytes(), body].concat()
    }

    fn connect(tail: &[u8]) -> Vec<u8> {
        tpkt(&[&[6 + u8::try_from(tail.len()).unwrap(), 0xe0, 0, 0, 0, 0, 0][..], tail].concat())
    }

    fn confirm(tail: &[u8]) -> Vec<u8> {
        tpkt(&[&[14, 0xd0, 0, 0, 0x12, 0x34, 0][..], tail].concat())
    }

    fn data(body: &[u8]) -> Vec<u8> {
        tpkt(&[&[2, 0xf0, 0x80][..], body].concat())
    }

    fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
        let options = Options::default();
        let (mut rdp, mut out) = (Rdp::new(&Start { client: C, options: &options }), Vec::new());
        for (side, bytes) in turns {
            for part in bytes.chunks(chunk) {
                rdp.data(*side, Timestamp::default(), part, &mut out);
            }
        }
        rdp.finish(Timestamp::default(), &mut out);
        out
    }

    fn talk() -> Vec<(Side, Vec<u8>)> {
        vec![
            (C, connect(b"Cookie: mstshash=an.nguyen\r\n\x01\x00\x08\x00\x03\x00\x00\x00")),
            (S, confirm(&[2, 0, 8, 0, 0, 0, 0, 0])),
            (C, data(&settings::tests::client())),
            (S, data(&settings::tests::server())),
        ]
    }

    #[test]
    fn a_client_shows_itself() {
        let events = run(&talk(), usize::MAX);
        assert_eq!(events, run(&talk(), 1));
        let [event] = events.as_slice() else { panic!("{events:?}") };
        let expect = [
            ("dongson.rdp.cookie", "an.nguyen"),
            ("dongson.rdp.security_protocol", "RDP"),
            ("dongson.rdp.result", "Success"),
            ("dongson.rdp.client.name", "MÁY-7"),
            ("dongson.rdp.client.build", "RDP 8.1"),
            ("dongson.rdp.keyboard_layout", "Vietnamese"),
            ("dongson.rdp.requested_color_depth", "24bit"),
            ("dongson.rdp.encryption_method", "128bit"),
            ("dongson.rdp.encryption_level", "High"),
        ];
        for (name, value) in expect {
            assert_eq!(event.text(name), Some(value), "{name}");
        }
        assert_eq!(event.int("dongson.rdp.desktop_width"), Some(1024));
        let channels = event.get("dongson.rdp.client.channels").unwrap().scalars().len();
        assert_eq!(channels, 2);
    }

    #[test]
    fn tls_and_refusals_end_it() {
        let tls = [(C, connect(b"")), (S, confirm(&[2, 0, 8, 0, 2, 0, 0, 0]))];
        let events = run(&tls, 2);
        assert_eq!(events[0].text("dongson.rdp.security_protocol"), Some("HYBRID"));
        assert_eq!(events[0].text("dongson.rdp.result"), Some("encrypted"));
        let refused = [(C, connect(b"Cookie: msts=1.2.3\r\n")), (S, confirm(&[3, 0, 8, 0, 5, 0, 0, 0]))];
        let events = run(&refused, 2);
        assert_eq!(events[0].text("dongson.rdp.result"), Some("HYBRID_REQUIRED_BY_SERVER"));
        assert_eq!(events[0].text("dongson.rdp.routing_token"), Some("msts=1.2.3"));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bodies: Vec<(bool, u8, Vec<u8>)>, keep in 0..4_usize, chunk in 1..30_usize) {
            let mut turns = talk();
            turns.truncate(keep);
            for (client, at, body) in bodies {
                let mut known = if client { settings::tests::client() } else { settings::tests::server() };
                let at = usize::from(at) % known.len();
                known.splice(at.., body);
                turns.push((if client { C } else { S }, data(&known)));
            }
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
