//! S7comm, what Siemens' S7 controllers speak over ISO transport (RFC 1006, RFC 905): variables read and written, blocks
//! loaded, controllers started and stopped. The protocol is not published by its maker; the layout is that of the packets.
//!
//! In: both directions. Out: one `sensor.s7comm` event per job or user-data request with its answer, per request that stays
//! unanswered, and per answer or report whose request was not seen. Of S7comm-plus (S7-1200 and S7-1500) version, opcode and
//! function are told. Memory: one transport packet of [`MAX_PACKET`] bytes and one PDU of [`MAX_PDU`] bytes per side, and
//! the open requests.

mod block;
mod item;
mod names;
mod plus;
mod userdata;

use dongson_event::{Event, Timestamp};

use super::super::dissect::{Start, Stream};
use super::super::frames::{Frames, Length, Shape};
use super::super::wire::Cursor;
use super::asked::Asked;
use crate::protocol::Side;

/// Bytes of a transport packet that are read.
const MAX_PACKET: usize = 2048;
/// Bytes of a PDU in several packets that are read (960 is the most that controllers agree on).
const MAX_PDU: usize = 4096;

const SHAPE: Shape = Shape { length, magic: Some(is_data), keep: MAX_PACKET };

/// TPKT (RFC 1006, 6): version 3, 0, length of all.
fn length(bytes: &[u8]) -> Length {
    match bytes {
        [3, 0, high, low, ..] => match usize::from(u16::from_be_bytes([*high, *low])) {
            length @ 7.. => Length::Is(length),
            _ => Length::Broken,
        },
        [] | [3] | [3, 0] | [3, 0, _] => Length::Unknown,
        _ => Length::Broken,
    }
}

/// A data packet with an S7 header.
fn is_data(bytes: &[u8]) -> bool {
    matches!(bytes, [3, 0, 0..=0x1f, _, 2, 0xf0, 0x80, 0x32 | 0x72, ..])
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    frames: Frames,
    /// The packets so far of a PDU that is not whole.
    pdu: Vec<u8>,
}

/// What tells a request from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    asker: Side,
    plus: bool,
    reference: u16,
}

/// A connection that speaks ISO transport, and perhaps S7comm.
#[derive(Debug)]
pub(in crate::protocol) struct S7comm {
    secret_key: [u8; 32],
    halves: [Half; 2],
    /// Rack and slot that the client called.
    module: Option<(u8, u8)>,
    service: Option<&'static str>,
    asked: Asked<Key>,
}

impl S7comm {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self {
            secret_key: start.options.secret_key,
            halves: Default::default(),
            module: None,
            service: None,
            asked: Asked::default(),
        }
    }

    /// A transport packet (RFC 905, 13): length of its header, kind, the rest of the header, data.
    fn packet(&mut self, side: Side, at: Timestamp, packet: &[u8], out: &mut Vec<Event>) -> Option<()> {
        let mut cursor = Cursor::new(packet.get(4..)?);
        let mut header = Cursor::new(cursor.vec8()?);
        match header.u8()? & 0xf0 {
            0xe0 => self.call(header),
            0xf0 => {
                let last = header.u8()? & 0x80 != 0;
                let half = side.of_mut(&mut self.halves);
                let room = MAX_PDU.saturating_sub(half.pdu.len());
                let data = cursor.rest();
                half.pdu.extend_from_slice(data.get(..room).unwrap_or(data));
                if last {
                    let pdu = std::mem::take(&mut half.pdu);
                    let _ = self.pdu(side, at, &pdu, out);
                }
                Some(())
            }
            _ => Some(()),
        }
    }

    /// A connection request: who is called stands in parameter 0xc2, of an S7 as kind of connection, rack and slot.
    fn call(&mut self, mut header: Cursor<'_>) -> Option<()> {
        header.take(5)?;
        loop {
            let kind = header.u8()?;
            let value = header.vec8()?;
            if let (0xc2, [1..=3 | 0x10.., place]) = (kind, value) {
                self.module = Some((place >> 5, place & 0x1f));
            }
        }
    }

    fn pdu(&mut self, side: Side, at: Timestamp, pdu: &[u8], out: &mut Vec<Event>) -> Option<()> {
        let mut cursor = Cursor::new(pdu);
        match cursor.u8()? {
            0x32 => self.classic(side, at, cursor, out),
            0x72 => self.plus(side, at, cursor, out),
            _ => None,
        }
    }

    /// Kind, two zeros, reference, lengths of parameters and data; of an answer also class and code of the error.
    fn classic(
        &mut self,
        side: Side,
        at: Timestamp,
        mut cursor: Cursor<'_>,
        out: &mut Vec<Event>,
    ) -> Option<()> {
        let kind = cursor.u8()?;
        cursor.u16()?;
        let reference = cursor.u16()?;
        let (parameters, data) = (usize::from(cursor.u16()?), usize::from(cursor.u16()?));
        let error = if matches!(kind, 2 | 3) { Some((cursor.u8()?, cursor.u8()?)) } else { None };
        let parameters = cursor.take(parameters)?;
        let data = cursor.rest().get(..data).unwrap_or(cursor.rest());
        let kind_name = names::kind(kind)?;
        self.service = Some("s7comm");
        let module = self.module;
        let fresh = || {
            let mut event = base(at, module);
            event.set("network.protocol", "s7comm");
            event.set("dongson.s7comm.rosctr", kind_name);
            event.set("dongson.s7comm.reference", reference);
            event
        };
        let key = |asker| Key { asker, plus: false, reference };
        match (kind, userdata::turn(parameters)) {
            (1, _) => {
                let mut event = fresh();
                job(&mut event, parameters);
                self.asked.ask(key(side), at, event, out);
            }
            (7, Some(userdata::Turn::Request)) => {
                let mut event = fresh();
                userdata::describe(&mut event, parameters, data, &self.secret_key);
                self.asked.ask(key(side), at, event, out);
            }
            (7, Some(userdata::Turn::Answer)) => {
                let asked = self.asked.answer(&key(side.other()), at);
                let mut event = asked.unwrap_or_else(fresh);
                userdata::answer(&mut event, parameters, data);
                out.push(event);
            }
            (7, _) => {
                let mut event = fresh();
                userdata::describe(&mut event, parameters, data, &self.secret_key);
                out.push(event);
            }
            _ => {
                let asked = self.asked.answer(&key(side.other()), at);
                let mut event = asked.unwrap_or_else(fresh);
                answer(&mut event, error, parameters, data);
                out.push(event);
            }
        }
        Some(())
    }

    fn plus(&mut self, side: Side, at: Timestamp, cursor: Cursor<'_>, out: &mut Vec<Event>) -> Option<()> {
        let message = plus::read(cursor)?;
        self.service = Some("s7comm-plus");
        let module = self.module;
        let fresh = || {
            let mut event = base(at, module);
            event.set("network.protocol", "s7comm-plus");
            message.describe(&mut event);
            event
        };
        let key = |asker| Key { asker, plus: true, reference: message.sequence };
        if message.is_request() {
            let event = fresh();
            self.asked.ask(key(side), at, event, out);
        } else {
            let asked = self.asked.answer(&key(side.other()), at).map(|mut event| {
                event.set("event.outcome", "unknown");
                event
            });
            out.push(asked.unwrap_or_else(fresh));
        }
        Some(())
    }
}

fn base(at: Timestamp, module: Option<(u8, u8)>) -> Event {
    let mut event = Event::of("sensor.s7comm", at);
    if let Some((rack, slot)) = module {
        event.set("dongson.s7comm.rack", rack);
        event.set("dongson.s7comm.slot", slot);
    }
    event
}

/// What a job asks for; what is cut off is absent.
fn job(event: &mut Event, parameters: &[u8]) -> Option<()> {
    let mut cursor = Cursor::new(parameters);
    let code = cursor.u8()?;
    named(event, code);
    match code {
        0x04 | 0x05 => item::describe(event, cursor),
        0x1a..=0x1f => block::transfer(event, code, cursor),
        0x28 => block::program_invocation(event, cursor),
        0x29 => block::stop(event, cursor),
        0xf0 => {
            cursor.take(5)?;
            event.set("dongson.s7comm.pdu_length", cursor.u16()?);
            Some(())
        }
        _ => Some(()),
    }
}

fn named(event: &mut Event, code: u8) {
    let name = names::function(code);
    event.set("dongson.s7comm.function_code", code);
    event.set("dongson.s7comm.function", name.clone());
    event.set("event.action", name);
}

/// An answer: 0 and 0 is no error; what was read or written has a result of its own, 0xff when it succeeded.
fn answer(event: &mut Event, error: Option<(u8, u8)>, parameters: &[u8], data: &[u8]) {
    let (class, code) = error.unwrap_or_default();
    let function = parameters.first().copied();
    if let Some(function) = function.filter(|_| event.get("dongson.s7comm.function").is_none()) {
        named(event, function);
    }
    let mut failed = (class, code) != (0, 0);
    if failed {
        event.set("dongson.s7comm.error_class", class);
        event.set("dongson.s7comm.error_code", code);
        event.set("dongson.s7comm.error", names::error(class));
    }
    match (function, parameters) {
        (Some(0x04 | 0x05), [write, count, ..]) => {
            let results = item::results(*write == 0x05, usize::from(*count), data);
            failed |= results.iter().any(|result| *result != 0xff);
            event.set("dongson.s7comm.results", results);
        }
        (Some(0xf0), [_, _, _, _, _, _, high, low, ..]) => {
            event.set("dongson.s7comm.pdu_length", u16::from_be_bytes([*high, *low]));
        }
        _ => {}
    }
    event.set("event.outcome", if failed { "failure" } else { "success" });
}

impl Stream for S7comm {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let mut frames = std::mem::take(&mut side.of_mut(&mut self.halves).frames);
        frames.feed(&SHAPE, bytes, |packet| {
            let _ = self.packet(side, at, packet, out);
        });
        side.of_mut(&mut self.halves).frames = frames;
    }

    fn gap(&mut self, side: Side, length: u64) {
        let half = side.of_mut(&mut self.halves);
        half.frames.gap(&SHAPE, length);
        half.pdu.clear();
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.asked.flush(out);
    }

    fn wants_more(&self, side: Side) -> bool {
        !side.of(&self.halves).frames.is_broken()
    }

    fn service(&self) -> Option<&'static str> {
        self.service
    }
}

#[cfg(test)]
mod tests;
