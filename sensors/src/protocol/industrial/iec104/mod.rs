//! IEC 60870-5-104: what a control centre commands and a substation reports (IEC 60870-5-104, 5; 60870-5-101, 7).
//!
//! In: both directions. Out: one `sensor.iec104` event per ASDU, except that a command and its confirmation are one; and per
//! control function (start, stop and test of the transfer) with its confirmation. Acknowledgements alone are not told.
//! Memory: one message of 255 bytes per side and the open commands.

mod names;

use dongson_event::{Event, Timestamp};

use super::super::dissect::Stream;
use super::super::frames::{Frames, Length, Shape};
use super::super::le;
use super::super::wire::Cursor;
use super::asked::Asked;
use crate::protocol::Side;

pub(in crate::protocol) use names::element_length;

/// Addresses of one ASDU that are told: all that fit.
const MAX_OBJECTS: usize = 127;

const SHAPE: Shape = Shape { length, magic: Some(begins), keep: 255 };

/// The mark, and the length of what follows.
fn length(bytes: &[u8]) -> Length {
    match bytes {
        [0x68, length @ 4..=253, ..] => Length::Is(2 + usize::from(*length)),
        [] | [0x68] => Length::Unknown,
        _ => Length::Broken,
    }
}

/// A control function, or an ASDU of a known type.
fn begins(bytes: &[u8]) -> bool {
    match bytes {
        [0x68, 4, control, 0, 0, 0, 0x68, _] => names::control(*control).is_some(),
        [0x68, 14..=253, a, _, b, _, kind, _] => a & 1 == 0 && b & 1 == 0 && names::asdu(*kind).is_some(),
        _ => false,
    }
}

/// What tells a command, or a control function, from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Control(Side, u8),
    Command { asker: Side, kind: u8, common: u16, object: Option<usize> },
}

/// A connection that speaks IEC 104.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Iec104 {
    frames: [Frames; 2],
    asked: Asked<Key>,
}

/// The head of an ASDU (60870-5-101, 7.2.1 to 7.2.4, with the sizes of 60870-5-104).
#[derive(Debug)]
struct Asdu {
    kind: u8,
    cause: u8,
    negative: bool,
    test: bool,
    originator: u8,
    common: u16,
    /// The addresses of the objects, each once.
    objects: Vec<usize>,
    count: u8,
}

impl Asdu {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let (kind, structure, cause, originator) = (cursor.u8()?, cursor.u8()?, cursor.u8()?, cursor.u8()?);
        let common = u16::from_le_bytes(*cursor.take(2)?.first_chunk()?);
        let (sequence, count) = (structure & 0x80 != 0, structure & 0x7f);
        let mut objects = Vec::new();
        for number in 0..usize::from(count).min(MAX_OBJECTS) {
            let object = match objects.first() {
                // In a sequence only the first has its address.
                Some(first) if sequence => first + number,
                _ => match cursor.take(3) {
                    Some([a, b, c]) => usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16,
                    _ => break,
                },
            };
            objects.push(object);
            if !sequence && cursor.take(names::element_length(kind).unwrap_or(usize::MAX)).is_none() {
                break;
            }
        }
        let (negative, test, cause) = (cause & 0x40 != 0, cause & 0x80 != 0, cause & 0x3f);
        Some(Self { kind, cause, negative, test, originator, common, objects, count })
    }

    fn describe(&self, event: &mut Event, bytes: &[u8]) {
        let name = names::asdu(self.kind).map_or_else(|| format!("unknown-{}", self.kind), str::to_owned);
        event.set("dongson.iec104.type_code", self.kind);
        event.set("dongson.iec104.type", name.clone());
        event.set("event.action", name);
        event.set("dongson.iec104.cause_code", self.cause);
        event.set("dongson.iec104.cause", names::cause(self.cause));
        event.set("dongson.iec104.originator_address", self.originator);
        event.set("dongson.iec104.common_address", self.common);
        event.set("dongson.iec104.object_count", self.count);
        event.set("dongson.iec104.test", self.test);
        let objects: Vec<u64> =
            self.objects.iter().filter_map(|object| u64::try_from(*object).ok()).collect();
        if !objects.is_empty() {
            event.set("dongson.iec104.objects", objects);
        }
        if let Some(value) = bytes.get(9..).and_then(|element| names::command(self.kind, element)) {
            event.set("dongson.iec104.command", value.text);
            if let Some(select) = value.select {
                event.set("dongson.iec104.select", select);
            }
        }
    }

    fn key(&self, asker: Side) -> Key {
        Key::Command { asker, kind: self.kind, common: self.common, object: self.objects.first().copied() }
    }
}

impl Iec104 {
    /// A message: mark, length, four bytes of control, and the ASDU of one that carries information.
    fn message(&mut self, side: Side, at: Timestamp, message: &[u8], out: &mut Vec<Event>) -> Option<()> {
        let &[_, _, first, ..] = message else { return None };
        match first & 3 {
            3 => self.control(side, at, first, out),
            1 => Some(()),
            _ => self.asdu(side, at, message, out),
        }
    }

    fn base(at: Timestamp, format: &'static str) -> Event {
        let mut event = Event::of("sensor.iec104", at);
        event.set("network.protocol", "iec104");
        event.set("dongson.iec104.format", format);
        event
    }

    fn control(&mut self, side: Side, at: Timestamp, code: u8, out: &mut Vec<Event>) -> Option<()> {
        let (name, confirms) = names::control(code)?;
        let fresh = || {
            let mut event = Self::base(at, "U");
            event.set("dongson.iec104.control", name);
            event.set("event.action", name);
            event
        };
        if !confirms {
            self.asked.ask(Key::Control(side, code), at, fresh(), out);
            return Some(());
        }
        // The bit of the confirmation is the one above that of the function.
        let asked = Key::Control(side.other(), (code & !3) >> 1 | 3);
        let mut event = self.asked.answer(&asked, at).unwrap_or_else(fresh);
        event.set("event.outcome", "success");
        out.push(event);
        Some(())
    }

    fn asdu(&mut self, side: Side, at: Timestamp, message: &[u8], out: &mut Vec<Event>) -> Option<()> {
        let (sent, received) = (le::u16(message, 2)? >> 1, le::u16(message, 4)? >> 1);
        let bytes = message.get(6..)?;
        let asdu = Asdu::read(bytes)?;
        let fresh = || {
            let mut event = Self::base(at, "I");
            event.set("dongson.iec104.send_sequence", sent);
            event.set("dongson.iec104.receive_sequence", received);
            asdu.describe(&mut event, bytes);
            event
        };
        match asdu.cause {
            // Activation and deactivation, and their confirmations (60870-5-101, 7.2.3).
            6 | 8 => self.asked.ask(asdu.key(side), at, fresh(), out),
            7 | 9 => {
                let mut event = self.asked.answer(&asdu.key(side.other()), at).unwrap_or_else(fresh);
                event.set("event.outcome", if asdu.negative { "failure" } else { "success" });
                out.push(event);
            }
            // What is refused whole: type, cause or an address is unknown there.
            44..=47 => {
                let mut event = self.asked.answer(&asdu.key(side.other()), at).unwrap_or_else(fresh);
                event.set("event.outcome", "failure");
                event.set("dongson.iec104.error", names::cause(asdu.cause));
                out.push(event);
            }
            _ => out.push(fresh()),
        }
        Some(())
    }
}

impl Stream for Iec104 {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let mut frames = std::mem::take(side.of_mut(&mut self.frames));
        frames.feed(&SHAPE, bytes, |message| {
            let _ = self.message(side, at, message, out);
        });
        *side.of_mut(&mut self.frames) = frames;
    }

    fn gap(&mut self, side: Side, length: u64) {
        side.of_mut(&mut self.frames).gap(&SHAPE, length);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.asked.flush(out);
    }

    fn wants_more(&self, side: Side) -> bool {
        !side.of(&self.frames).is_broken()
    }
}

#[cfg(test)]
mod tests;
