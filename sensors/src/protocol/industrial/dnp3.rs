//! DNP3 over TCP and UDP: what a master asks of an outstation, and the answer (IEEE 1815, 4, 8 and 9).
//!
//! In: both directions, or datagrams. Out: one `sensor.dnp3` event per answer with the function that was asked for, per
//! request that stays unanswered, and per unsolicited report. Checksums are not verified. Memory: one frame of 292 bytes
//! and one fragment of [`MAX_FRAGMENT`] bytes per side.

use dongson_event::{Event, Timestamp};

use crate::protocol::Side;
use crate::protocol::dissect::{Datagrams, Stream};
use crate::protocol::wire::Cursor;

/// Longest fragment that is assembled (2,048 is the standard's limit).
const MAX_FRAGMENT: usize = 4096;

/// One direction.
#[derive(Debug, Default)]
struct Half {
    held: Vec<u8>,
    fragment: Vec<u8>,
    /// A fragment has begun.
    open: bool,
    ended: bool,
}

/// A whole application message and the addresses of its last frame.
#[derive(Debug)]
struct Message {
    body: Vec<u8>,
    from_master: bool,
    destination: u16,
    source: u16,
}

/// A connection that speaks DNP3.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Dnp3 {
    halves: [Half; 2],
    asked: Option<(Timestamp, Event)>,
}

impl Half {
    /// The next whole message of what is held.
    fn next(&mut self) -> Option<Message> {
        loop {
            let &[5, 0x64, length @ 5..=255, control, d0, d1, s0, s1, _, _] =
                self.held.first_chunk::<10>()?
            else {
                *self = Self { ended: true, ..Self::default() };
                return None;
            };
            let data = usize::from(length) - 5;
            let whole = 10 + data + data.div_ceil(16) * 2;
            if self.held.len() < whole {
                return None;
            }
            let frame: Vec<u8> = self.held.drain(..whole).collect();
            let blocks = frame.get(10..).unwrap_or_default().chunks(18);
            let user =
                blocks.flat_map(|block| block.get(..block.len().saturating_sub(2)).unwrap_or_default());
            if self.segment(user.copied()) {
                let body = std::mem::take(&mut self.fragment);
                let (destination, source) = (u16::from_le_bytes([d0, d1]), u16::from_le_bytes([s0, s1]));
                return Some(Message { body, from_master: control & 0x80 != 0, destination, source });
            }
        }
    }

    /// Adds a transport segment; true when it ends its fragment.
    fn segment(&mut self, mut user: impl Iterator<Item = u8>) -> bool {
        let Some(header) = user.next() else { return false };
        if header & 0x40 != 0 {
            self.fragment.clear();
            self.open = true;
        }
        if !self.open {
            return false;
        }
        let room = MAX_FRAGMENT.saturating_sub(self.fragment.len());
        self.fragment.extend(user.take(room));
        let last = header & 0x80 != 0;
        self.open = !last;
        last
    }
}

impl Dnp3 {
    fn read(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let half = side.of_mut(&mut self.halves);
        if half.ended {
            return;
        }
        half.held.extend_from_slice(bytes);
        while let Some(message) = side.of_mut(&mut self.halves).next() {
            let _ = self.message(at, &message, out);
        }
    }

    fn message(&mut self, at: Timestamp, message: &Message, out: &mut Vec<Event>) -> Option<()> {
        let mut cursor = Cursor::new(&message.body);
        let (control, function) = (cursor.u8()?, cursor.u8()?);
        let (master, outstation) = if message.from_master {
            (message.source, message.destination)
        } else {
            (message.destination, message.source)
        };
        let base = |at: Timestamp| {
            let mut event = Event::of("sensor.dnp3", at);
            event.set("network.protocol", "dnp3");
            event.set("dongson.dnp3.master", master);
            event.set("dongson.dnp3.outstation", outstation);
            event
        };
        if !matches!(function, 129..=131) {
            self.flush(out);
            let mut event = base(at);
            event.set("dongson.dnp3.request", function_name(function));
            objects(&mut event, &mut cursor);
            // Confirmations and what wants no answer get none.
            if matches!(function, 0 | 6 | 8 | 10 | 12) {
                out.push(event);
            } else {
                self.asked = Some((at, event));
            }
            return Some(());
        }
        let indications = cursor.u16()?;
        let asked = if function == 129 { self.asked.take() } else { None };
        let mut event = match asked {
            Some((before, mut event)) => {
                event.set("event.duration", at.nanos().saturating_sub(before.nanos()));
                event
            }
            None => base(at),
        };
        event.set("dongson.dnp3.response", function_name(function));
        event.set("dongson.dnp3.indications", indications);
        event.set("dongson.dnp3.unsolicited", control & 0x10 != 0);
        objects(&mut event, &mut cursor);
        out.push(event);
        Some(())
    }

    fn flush(&mut self, out: &mut Vec<Event>) {
        out.extend(self.asked.take().map(|(_, event)| event));
    }
}

/// Group and variation of the first object, unless the request has told them.
fn objects(event: &mut Event, cursor: &mut Cursor<'_>) {
    if let (Some(group), Some(variation)) = (cursor.u8(), cursor.u8()) {
        event.set_absent("dongson.dnp3.object", format!("{group}.{variation}"));
    }
}

impl Stream for Dnp3 {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        self.read(side, at, bytes, out);
    }

    fn gap(&mut self, side: Side, _length: u64) {
        *side.of_mut(&mut self.halves) = Half { ended: true, ..Half::default() };
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.flush(out);
    }

    fn wants_more(&self, side: Side) -> bool {
        !side.of(&self.halves).ended
    }
}

impl Datagrams for Dnp3 {
    fn datagram(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        self.read(side, at, bytes, out);
        // A frame does not go on in another datagram.
        let half = side.of_mut(&mut self.halves);
        half.held.clear();
        half.ended = false;
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.flush(out);
    }
}

/// IEEE 1815, 4.2.2.5.
fn function_name(code: u8) -> &'static str {
    const NAMES: [&str; 34] = [
        "CONFIRM",
        "READ",
        "WRITE",
        "SELECT",
        "OPERATE",
        "DIRECT_OPERATE",
        "DIRECT_OPERATE_NR",
        "IMMED_FREEZE",
        "IMMED_FREEZE_NR",
        "FREEZE_CLEAR",
        "FREEZE_CLEAR_NR",
        "FREEZE_AT_TIME",
        "FREEZE_AT_TIME_NR",
        "COLD_RESTART",
        "WARM_RESTART",
        "INITIALIZE_DATA",
        "INITIALIZE_APPL",
        "START_APPL",
        "STOP_APPL",
        "SAVE_CONFIG",
        "ENABLE_UNSOLICITED",
        "DISABLE_UNSOLICITED",
        "ASSIGN_CLASS",
        "DELAY_MEASURE",
        "RECORD_CURRENT_TIME",
        "OPEN_FILE",
        "CLOSE_FILE",
        "DELETE_FILE",
        "GET_FILE_INFO",
        "AUTHENTICATE_FILE",
        "ABORT_FILE",
        "ACTIVATE_CONFIG",
        "AUTHENTICATE_REQ",
        "AUTHENTICATE_ERR",
    ];
    match code {
        129 => "RESPONSE",
        130 => "UNSOLICITED_RESPONSE",
        131 => "AUTHENTICATE_RESP",
        _ => NAMES.get(usize::from(code)).copied().unwrap_or("unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::talk;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    fn frame(control: u8, user: &[u8]) -> Vec<u8> {
        let mut bytes = vec![5, 0x64, u8::try_from(user.len() + 5).unwrap(), control, 4, 0, 3, 0, 0, 0];
        for block in user.chunks(16) {
            bytes.extend_from_slice(block);
            bytes.extend_from_slice(&[0, 0]);
        }
        bytes
    }

    fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
        talk::hear(&mut Dnp3::default(), turns, chunk)
    }

    #[test]
    fn an_answer_in_two_segments() {
        let turns = [
            (C, frame(0xc4, &[0xc0, 0xc1, 1, 60, 2, 6])),
            (
                S,
                [frame(0x44, &[&[0x40, 0xc1, 129, 0x90, 0][..], &[7; 20]].concat()), frame(0x44, &[0x81, 9])]
                    .concat(),
            ),
        ];
        let events = run(&turns, usize::MAX);
        assert_eq!(events, run(&turns, 1));
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(event.text("dongson.dnp3.request"), Some("READ"));
        assert_eq!(event.text("dongson.dnp3.response"), Some("RESPONSE"));
        assert_eq!(event.int("dongson.dnp3.indications"), Some(0x9000));
        assert_eq!(event.text("dongson.dnp3.object"), Some("60.2"));
        assert_eq!(event.int("dongson.dnp3.outstation"), Some(4));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(talk: Vec<(bool, u8, Vec<u8>)>, tail: Vec<u8>, chunk in 1..20_usize) {
            let mut turns: Vec<_> = Vec::new();
            for (client, control, mut bytes) in talk {
                bytes.truncate(250);
                turns.push((if client { C } else { S }, frame(control, &bytes)));
            }
            turns.push((S, tail));
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
