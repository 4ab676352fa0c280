//! VNC's remote framebuffer: versions, how the client authenticates, the desktop (RFC 6143, 7.1 to 7.3).
//!
//! In: both directions. Out: one `sensor.rfb` event when the desktop is known, when the client is refused, or at the end.
//! Challenges and responses are passed over; nothing behind the handshake is read. Memory: [`MAX_HELD`] bytes of each side.

use dongson_event::{Event, Timestamp};

use crate::protocol::Side;
use crate::protocol::dissect::Stream;
use crate::protocol::wire::{Cursor, text};

/// Bytes of one side that are held; the longest message is the name of a desktop.
const MAX_HELD: usize = 4096;
/// Longest name that is told.
const MAX_NAME: usize = 256;
/// VNC's own authentication (RFC 6143, 7.2.2).
const VNC: u8 = 2;
/// Apple's Diffie-Hellman authentication.
const APPLE: u8 = 30;

/// What comes next in the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    ServerVersion,
    ClientVersion,
    /// From 3.7 on the server lists kinds and the client picks one.
    Kinds,
    Choice,
    /// Before 3.7 the server decides.
    Decision,
    Challenge,
    /// So many bytes of the client.
    Response(usize),
    Outcome,
    Shared,
    Desktop,
    Done,
}

/// A connection that speaks RFB.
#[derive(Debug)]
pub(in crate::protocol) struct Rfb {
    server: Side,
    held: [Vec<u8>; 2],
    step: Step,
    minor: u32,
    kind: u8,
    started: Option<Timestamp>,
    /// `None` once it has gone out.
    event: Option<Event>,
}

impl Rfb {
    pub(in crate::protocol) fn new(server: Side) -> Self {
        let held = Default::default();
        let event = Some(Event::new());
        Self { server, held, step: Step::ServerVersion, minor: 0, kind: 0, started: None, event }
    }

    fn speaker(&self) -> Side {
        match self.step {
            Step::ClientVersion | Step::Choice | Step::Response(_) | Step::Shared => self.server.other(),
            _ => self.server,
        }
    }

    /// Takes one step if its bytes are there.
    fn advance(&mut self) -> bool {
        let side = self.speaker();
        let mut held = std::mem::take(side.of_mut(&mut self.held));
        let mut cursor = Cursor::new(&held);
        let next = self.read(&mut cursor);
        if let Some(step) = next {
            let used = held.len() - cursor.rest().len();
            held.drain(..used);
            self.step = step;
        }
        *side.of_mut(&mut self.held) = held;
        next.is_some()
    }

    /// Reads the bytes of the present step: the next one, or `None` while they are not whole.
    fn read(&mut self, cursor: &mut Cursor<'_>) -> Option<Step> {
        Some(match self.step {
            Step::ServerVersion => self.version(cursor.take(12)?, "dongson.rfb.server.version"),
            Step::ClientVersion => self.version(cursor.take(12)?, "dongson.rfb.client.version"),
            Step::Kinds => match cursor.vec8()? {
                [] => self.end("failure"),
                _ => Step::Choice,
            },
            Step::Choice => {
                let kind = cursor.u8()?;
                self.chosen(kind)
            }
            Step::Decision => match u8::try_from(cursor.u32()?) {
                Ok(0) => self.end("failure"),
                kind => self.chosen(kind.unwrap_or(u8::MAX)),
            },
            Step::Challenge if self.kind == APPLE => {
                // Generator, length of the key, then prime and public key of that length.
                let mut walk = *cursor;
                walk.u16()?;
                let length = usize::from(walk.u16()?);
                walk.take(2 * length)?;
                *cursor = walk;
                Step::Response(128 + length)
            }
            Step::Challenge => {
                cursor.take(16)?;
                Step::Response(16)
            }
            Step::Response(length) => {
                cursor.take(length)?;
                Step::Outcome
            }
            Step::Outcome if cursor.u32()? == 0 => {
                self.set("event.outcome", "success");
                Step::Shared
            }
            Step::Outcome => self.end("failure"),
            Step::Shared => {
                let shared = cursor.u8()? != 0;
                self.set("dongson.rfb.shared", shared);
                Step::Desktop
            }
            Step::Desktop => self.desktop(cursor)?,
            Step::Done => return None,
        })
    }

    fn set(&mut self, name: &'static str, value: impl Into<dongson_event::Value>) {
        if let Some(event) = &mut self.event {
            event.set(name, value);
        }
    }

    fn end(&mut self, outcome: &'static str) -> Step {
        self.set("event.outcome", outcome);
        Step::Done
    }

    /// `RFB 003.008\n`.
    fn version(&mut self, line: &[u8], name: &'static str) -> Step {
        let minor = line.get(8..11).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let (true, Some(minor)) = (line.starts_with(b"RFB "), minor) else { return Step::Done };
        self.set(name, text(line.get(4..11).unwrap_or_default(), 7));
        self.minor = minor;
        match self.step {
            Step::ServerVersion => Step::ClientVersion,
            _ if minor >= 7 => Step::Kinds,
            _ => Step::Decision,
        }
    }

    fn chosen(&mut self, kind: u8) -> Step {
        self.kind = kind;
        self.set("dongson.rfb.authentication", method(kind));
        match kind {
            // Without authentication there is an outcome from 3.8 on (RFC 6143, 7.1.3).
            1 if self.minor >= 8 => Step::Outcome,
            1 => Step::Shared,
            VNC | APPLE => Step::Challenge,
            _ => Step::Done,
        }
    }

    /// Width, height, 16 bytes of pixel format, name (RFC 6143, 7.3.2).
    fn desktop(&mut self, cursor: &mut Cursor<'_>) -> Option<Step> {
        let mut walk = *cursor;
        let (width, height) = (walk.u16()?, walk.u16()?);
        walk.take(16)?;
        let length = usize::try_from(walk.u32()?).unwrap_or(usize::MAX).min(MAX_NAME);
        let name = text(walk.take(length)?, MAX_NAME);
        *cursor = walk;
        self.set("dongson.rfb.width", i64::from(width));
        self.set("dongson.rfb.height", i64::from(height));
        self.set("dongson.rfb.desktop", name);
        Some(Step::Done)
    }

    fn tell(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        self.step = Step::Done;
        self.held = Default::default();
        let Some(told) = self.event.take().filter(|told| !told.is_empty()) else { return };
        let mut event = Event::of("sensor.rfb", self.started.unwrap_or(at));
        event.set("network.protocol", "rfb");
        event.fill(told);
        out.push(event);
    }
}

/// The name of a kind of authentication (IANA's list of RFB security types).
fn method(kind: u8) -> &'static str {
    match kind {
        1 => "None",
        VNC => "VNC",
        5 => "RA2",
        6 => "RA2ne",
        16 => "Tight",
        17 => "Ultra",
        18 => "TLS",
        19 => "VeNCrypt",
        20 => "SASL",
        21 => "MD5",
        22 => "xvp",
        APPLE => "Apple Remote Desktop",
        _ => "unknown",
    }
}

impl Stream for Rfb {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        if self.step == Step::Done {
            return;
        }
        self.started.get_or_insert(at);
        let mut rest = bytes;
        // What does not fit now may once a step has been taken.
        loop {
            let held = side.of_mut(&mut self.held);
            let room = MAX_HELD.saturating_sub(held.len());
            let (now, later) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            held.extend_from_slice(now);
            rest = later;
            let mut moved = false;
            while self.advance() {
                moved = true;
            }
            if self.step == Step::Done || rest.is_empty() {
                break;
            }
            if !moved {
                self.step = Step::Done;
                break;
            }
        }
        if self.step == Step::Done {
            self.tell(at, out);
        }
    }

    fn gap(&mut self, _side: Side, _length: u64) {
        self.step = Step::Done;
    }

    fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        self.tell(at, out);
    }

    fn wants_more(&self, _side: Side) -> bool {
        self.step != Step::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::talk;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
        talk::hear(&mut Rfb::new(S), turns, chunk)
    }

    fn talk(outcome: u8) -> Vec<(Side, Vec<u8>)> {
        let desktop = [&[4, 0, 3, 0][..], &[0; 16], &[0, 0, 0, 4], "máy".as_bytes()].concat();
        vec![
            (S, b"RFB 003.008\n".to_vec()),
            (C, b"RFB 003.008\n".to_vec()),
            (S, vec![2, 2, 19]),
            (C, vec![2]),
            (S, vec![7; 16]),
            (C, vec![8; 16]),
            (S, vec![0, 0, 0, outcome]),
            (C, vec![1]),
            (S, desktop),
        ]
    }

    #[test]
    fn a_desktop_is_shown_to_who_knows_the_password() {
        let events = run(&talk(0), usize::MAX);
        assert_eq!(events, run(&talk(0), 1));
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(event.text("dongson.rfb.client.version"), Some("003.008"));
        assert_eq!(event.text("dongson.rfb.authentication"), Some("VNC"));
        assert_eq!(event.text("dongson.rfb.desktop"), Some("máy"));
        assert_eq!(event.int("dongson.rfb.width"), Some(1024));
        assert_eq!(event.text("event.outcome"), Some("success"));
        let refused = run(&talk(1), 3);
        assert_eq!(refused[0].text("event.outcome"), Some("failure"));
        assert_eq!(refused[0].get("dongson.rfb.desktop"), None);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(steps in 0..9_usize, tail: Vec<(bool, Vec<u8>)>, chunk in 1..20_usize) {
            let mut turns = talk(0);
            turns.truncate(steps);
            turns.extend(tail.into_iter().map(|(client, bytes)| (if client { C } else { S }, bytes)));
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
