//! EtherNet/IP and the CIP in it: which devices answer, what is read from them and written to them (ODVA, The CIP Networks
//! Library, volume 2, chapter 2, and volume 1, chapters 2 to 5).
//!
//! In: both directions, or datagrams. Out: one `sensor.enip` event per request with its answer, per request that stays
//! unanswered, and per answer whose request was not seen. Messages that ask nothing (`NOP`) are not told. Memory: the first
//! [`MAX_MESSAGE`] bytes of one message per side and the open requests.

mod cip;
mod identity;
mod names;

use dongson_event::{Event, Timestamp};

use super::super::dissect::{Datagrams, Stream};
use super::super::frames::{Frames, Length, Shape};
use super::super::le;
use super::asked::Asked;
use crate::protocol::Side;

/// Bytes of a message that are read.
const MAX_MESSAGE: usize = 2048;
/// Bytes of the encapsulation's header.
const HEADER: usize = 24;

const REGISTER_SESSION: u16 = 0x65;
const UNREGISTER_SESSION: u16 = 0x66;
const SEND_RR_DATA: u16 = 0x6f;
const SEND_UNIT_DATA: u16 = 0x70;

const SHAPE: Shape = Shape { length, magic: Some(begins), keep: MAX_MESSAGE };

/// The header (volume 2, 2-3): command, length of what follows, session, status, context, options (always 0).
fn length(bytes: &[u8]) -> Length {
    match (le::u16(bytes, 0), le::u16(bytes, 2), le::u32(bytes, 20)) {
        (Some(command), ..) if names::command(command).is_none() => Length::Broken,
        (Some(_), Some(length), Some(0)) => Length::Is(HEADER + usize::from(length)),
        (_, _, Some(_)) => Length::Broken,
        _ => Length::Unknown,
    }
}

/// A message with data, in a session.
fn begins(bytes: &[u8]) -> bool {
    matches!(bytes, [0x6f | 0x70, 0, 16..=255, 0..=0x0f, session @ ..] if session != [0; 4])
}

/// Whether a datagram is one whole message.
pub(in crate::protocol) fn is_message(bytes: &[u8]) -> bool {
    length(bytes) == Length::Is(bytes.len()) && le::u32(bytes, 8).is_some_and(|status| status <= 0x6a)
}

/// Whether a datagram is data of an open connection: two items, an address with its sequence number, and what is left
/// (volume 2, 3-2.2). Such data is not told: it comes many times in a second.
pub(in crate::protocol) fn is_io(bytes: &[u8]) -> bool {
    bytes.starts_with(&[2, 0, 2, 0x80, 8, 0])
        && bytes.get(14..16) == Some(&[0xb1, 0])
        && le::u16(bytes, 16).is_some_and(|length| 18 + usize::from(length) == bytes.len())
}

/// What tells a request from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    asker: Side,
    command: u16,
    context: Option<u64>,
    /// The number that a message in a CIP connection and its answer share.
    sequence: Option<u16>,
}

/// A connection or a flow that speaks `EtherNet/IP`.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Enip {
    frames: [Frames; 2],
    asked: Asked<Key>,
}

/// The items of the common packet format that are read (volume 2, 2-6).
#[derive(Debug, Default)]
struct Items<'a> {
    connection: Option<u32>,
    sequence: Option<u16>,
    cip: Option<&'a [u8]>,
    identity: Option<&'a [u8]>,
}

impl<'a> Items<'a> {
    /// Number of items, and each with kind and length.
    fn read(bytes: &'a [u8]) -> Self {
        let mut items = Self::default();
        let count = le::u16(bytes, 0).unwrap_or(0);
        let mut at = 2;
        for _ in 0..count.min(8) {
            let (Some(kind), Some(length)) = (le::u16(bytes, at), le::u16(bytes, at + 2)) else { break };
            let end = (at + 4 + usize::from(length)).min(bytes.len());
            let data = bytes.get(at + 4..end).unwrap_or_default();
            match kind {
                0x0c => items.identity = Some(data),
                0xa1 => items.connection = le::u32(data, 0),
                0xb1 => (items.sequence, items.cip) = (le::u16(data, 0), data.get(2..)),
                0xb2 => items.cip = Some(data),
                _ => {}
            }
            at = end;
        }
        items
    }
}

impl Enip {
    fn message(&mut self, side: Side, at: Timestamp, message: &[u8], out: &mut Vec<Event>) -> Option<()> {
        let (command, length) = (le::u16(message, 0)?, le::u16(message, 2)?);
        let (session, status) = (le::u32(message, 4)?, le::u32(message, 8)?);
        let (context, data) = (le::u64(message, 12), message.get(HEADER..)?);
        let items = match command {
            SEND_RR_DATA | SEND_UNIT_DATA => Items::read(data.get(6..).unwrap_or_default()),
            0x04 | 0x63 | 0x64 => Items::read(data),
            _ => Items::default(),
        };
        let name = names::command(command)?;
        let fresh = || {
            let mut event = Event::of("sensor.enip", at);
            event.set("network.protocol", "enip");
            event.set("event.action", name);
            event.set("dongson.enip.command", name);
            event.set("dongson.enip.command_code", command);
            event.set("dongson.enip.session", session);
            event.set_some("dongson.enip.connection_id", items.connection);
            event
        };
        let is_answer = status != 0
            || match command {
                SEND_RR_DATA | SEND_UNIT_DATA => items.cip.and_then(cip::is_answer)?,
                REGISTER_SESSION => session != 0,
                UNREGISTER_SESSION => false,
                _ => length > 0,
            };
        if !is_answer {
            let mut event = fresh();
            if let Some(bytes) = items.cip {
                cip::request(&mut event, bytes);
            }
            if command == UNREGISTER_SESSION {
                out.push(event);
            } else {
                let context = context.filter(|_| items.sequence.is_none());
                self.asked.ask(
                    Key { asker: side, command, context, sequence: items.sequence },
                    at,
                    event,
                    out,
                );
            }
            return Some(());
        }
        let context = context.filter(|_| items.sequence.is_none());
        let key = Key { asker: side.other(), command, context, sequence: items.sequence };
        let mut event = self.asked.answer(&key, at).unwrap_or_else(fresh);
        event.set("dongson.enip.session", session);
        event.set("dongson.enip.status", names::status(status));
        event.set("event.outcome", if status == 0 { "success" } else { "failure" });
        if let Some(bytes) = items.cip {
            cip::answer(&mut event, bytes);
        }
        if let Some(bytes) = items.identity {
            identity::listed(&mut event, bytes);
        }
        out.push(event);
        Some(())
    }
}

impl Stream for Enip {
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

impl Datagrams for Enip {
    fn datagram(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        if is_message(bytes) {
            let _ = self.message(side, at, bytes, out);
        }
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.asked.flush(out);
    }
}

#[cfg(test)]
mod tests;
