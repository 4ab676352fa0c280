//! Modbus over TCP: what a client reads from and writes to a machine, and the answer (Modbus Application Protocol V1.1b3;
//! Modbus Messaging on TCP/IP V1.0b, 3.1).
//!
//! In: both directions. Out: one `sensor.modbus` event per request with its answer, per request that stays unanswered, and
//! per answer whose request was not seen. Memory: one message of 260 bytes per side and [`MAX_OPEN`] open requests.

use dongson_event::{Event, Timestamp};

use super::super::dissect::{Start, Stream};
use super::super::frames::{Frames, Length, Shape};
use super::super::wire::{Cursor, numbers16};
use crate::protocol::Side;

/// Requests that wait for their answers; one more, and the oldest goes out.
const MAX_OPEN: usize = 32;
/// Values of one message that are told: all that a message can hold of registers.
const MAX_VALUES: usize = 125;
/// Bit of a function that marks an exception (7 of the application protocol).
const EXCEPTION: u8 = 0x80;

const SHAPE: Shape = Shape { length, magic: None, keep: 260 };

/// The MBAP header: transaction, protocol 0, length of what follows (unit, function and data; at most 254).
fn length(bytes: &[u8]) -> Length {
    match bytes {
        [_, _, 0, 0, high, low, ..] => match usize::from(u16::from_be_bytes([*high, *low])) {
            length @ 2..=254 => Length::Is(6 + length),
            _ => Length::Broken,
        },
        [] | [_] | [_, _] | [_, _, 0] | [_, _, 0, 0] | [_, _, 0, 0, _] => Length::Unknown,
        _ => Length::Broken,
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Open {
    transaction: u16,
    unit: u8,
    function: u8,
    at: Timestamp,
    event: Event,
}

/// A connection that speaks Modbus.
#[derive(Debug)]
pub(in crate::protocol) struct Modbus {
    client: Side,
    frames: [Frames; 2],
    open: Vec<Open>,
}

impl Modbus {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self { client: start.client, frames: <[Frames; 2]>::default(), open: Vec::new() }
    }

    fn message(&mut self, side: Side, at: Timestamp, message: &[u8], out: &mut Vec<Event>) -> Option<()> {
        let mut cursor = Cursor::new(message);
        let transaction = cursor.u16()?;
        cursor.take(4)?;
        let (unit, function) = (cursor.u8()?, cursor.u8()?);
        if side == self.client {
            let mut event = base(at, transaction, unit, function);
            event.set("dongson.modbus.pdu_types", vec!["REQ"]);
            request(&mut event, function, cursor);
            if self.open.len() == MAX_OPEN {
                out.push(self.open.remove(0).event);
            }
            self.open.push(Open { transaction, unit, function, at, event });
            return Some(());
        }
        let plain = function & !EXCEPTION;
        let asked = self
            .open
            .iter()
            .position(|open| (open.transaction, open.unit, open.function) == (transaction, unit, plain));
        let mut event = if let Some(place) = asked {
            let Open { at: before, mut event, .. } = self.open.remove(place);
            event.set("event.duration", at.nanos().saturating_sub(before.nanos()));
            event.set("dongson.modbus.pdu_types", vec!["REQ", "RESP"]);
            event
        } else {
            let mut event = base(at, transaction, unit, plain);
            event.set("dongson.modbus.pdu_types", vec!["RESP"]);
            event
        };
        response(&mut event, function, cursor);
        out.push(event);
        Some(())
    }
}

fn base(at: Timestamp, transaction: u16, unit: u8, function: u8) -> Event {
    let mut event = Event::of("sensor.modbus", at);
    event.set("network.protocol", "modbus");
    event.set("dongson.modbus.transaction_id", transaction);
    event.set("dongson.modbus.unit_id", unit);
    event.set("dongson.modbus.function_code", function);
    event.set("dongson.modbus.function", function_name(function));
    event.set("event.action", function_name(function).to_lowercase());
    event
}

/// The data of a request (6.1 to 6.21 of the application protocol); what is cut off is absent.
fn request(event: &mut Event, function: u8, mut cursor: Cursor<'_>) -> Option<()> {
    match function {
        1..=4 => {
            event.set("dongson.modbus.address", cursor.u16()?);
            event.set("dongson.modbus.quantity", cursor.u16()?);
        }
        5 | 6 => {
            event.set("dongson.modbus.address", cursor.u16()?);
            event.set("dongson.modbus.written", vec![cursor.u16()?]);
        }
        8 => {
            event.set("dongson.modbus.subfunction", cursor.u16()?);
        }
        15 | 16 => {
            event.set("dongson.modbus.address", cursor.u16()?);
            event.set("dongson.modbus.quantity", cursor.u16()?);
            event.set("dongson.modbus.written", values(function, cursor.vec8()?));
        }
        22 => {
            event.set("dongson.modbus.address", cursor.u16()?);
            event.set("dongson.modbus.and_mask", cursor.u16()?);
            event.set("dongson.modbus.or_mask", cursor.u16()?);
        }
        23 => {
            event.set("dongson.modbus.address", cursor.u16()?);
            event.set("dongson.modbus.quantity", cursor.u16()?);
            event.set("dongson.modbus.write_address", cursor.u16()?);
            event.set("dongson.modbus.write_quantity", cursor.u16()?);
            event.set("dongson.modbus.written", values(function, cursor.vec8()?));
        }
        24 => {
            event.set("dongson.modbus.address", cursor.u16()?);
        }
        43 => {
            event.set("dongson.modbus.mei_type", cursor.u8()?);
        }
        _ => {}
    }
    Some(())
}

/// The data of an answer, or the exception.
fn response(event: &mut Event, function: u8, mut cursor: Cursor<'_>) -> Option<()> {
    let failed = function & EXCEPTION != 0;
    event.set("event.outcome", if failed { "failure" } else { "success" });
    if failed {
        let code = cursor.u8()?;
        event.set("dongson.modbus.exception_code", code);
        event.set("dongson.modbus.exception", exception_name(code));
        return Some(());
    }
    match function {
        1..=4 | 23 => {
            event.set("dongson.modbus.read", values(function, cursor.vec8()?));
        }
        5 | 6 => {
            event.set_absent("dongson.modbus.address", cursor.u16()?);
            event.set_absent("dongson.modbus.written", vec![cursor.u16()?]);
        }
        15 | 16 => {
            event.set_absent("dongson.modbus.address", cursor.u16()?);
            event.set_absent("dongson.modbus.quantity", cursor.u16()?);
        }
        43 => event.set_absent("dongson.modbus.mei_type", cursor.u8()?),
        _ => {}
    }
    Some(())
}

/// Registers of 16 bits; of coils and inputs the bytes, eight in each, the first in the lowest bit.
fn values(function: u8, bytes: &[u8]) -> Vec<u16> {
    let mut values = match function {
        1 | 2 | 15 => bytes.iter().copied().map(u16::from).collect(),
        _ => numbers16(bytes),
    };
    values.truncate(MAX_VALUES);
    values
}

impl Stream for Modbus {
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
        out.extend(self.open.drain(..).map(|open| open.event));
    }

    fn wants_more(&self, side: Side) -> bool {
        !side.of(&self.frames).is_broken()
    }
}

/// Public functions (5.1 and 6 of the application protocol) and those of makers, as Zeek names them.
fn function_name(code: u8) -> String {
    let name = match code {
        0x01 => "READ_COILS",
        0x02 => "READ_DISCRETE_INPUTS",
        0x03 => "READ_HOLDING_REGISTERS",
        0x04 => "READ_INPUT_REGISTERS",
        0x05 => "WRITE_SINGLE_COIL",
        0x06 => "WRITE_SINGLE_REGISTER",
        0x07 => "READ_EXCEPTION_STATUS",
        0x08 => "DIAGNOSTICS",
        0x09 => "PROGRAM_484",
        0x0a => "POLL_484",
        0x0b => "GET_COMM_EVENT_COUNTER",
        0x0c => "GET_COMM_EVENT_LOG",
        0x0d => "PROGRAM_584_984",
        0x0e => "POLL_584_984",
        0x0f => "WRITE_MULTIPLE_COILS",
        0x10 => "WRITE_MULTIPLE_REGISTERS",
        0x11 => "REPORT_SLAVE_ID",
        0x12 => "PROGRAM_884_U84",
        0x13 => "RESET_COMM_LINK_884_U84",
        0x14 => "READ_FILE_RECORD",
        0x15 => "WRITE_FILE_RECORD",
        0x16 => "MASK_WRITE_REGISTER",
        0x17 => "READ_WRITE_MULTIPLE_REGISTERS",
        0x18 => "READ_FIFO_QUEUE",
        0x28 => "PROGRAM_CONCEPT",
        0x29 => "MULTIPLE_FUNCTION_CODES",
        0x2b => "ENCAP_INTERFACE_TRANSPORT",
        0x5a => "PROGRAM_UNITY",
        0x5b => "OBJECT_MESSAGING",
        0x7d => "FIRMWARE_REPLACEMENT",
        0x7e => "PROGRAM_584_984_2",
        0x7f => "REPORT_LOCAL_ADDRESS",
        other => return format!("unknown-{other}"),
    };
    name.to_owned()
}

/// 7 of the application protocol, as Zeek names them.
fn exception_name(code: u8) -> String {
    let name = match code {
        0x01 => "ILLEGAL_FUNCTION",
        0x02 => "ILLEGAL_DATA_ADDRESS",
        0x03 => "ILLEGAL_DATA_VALUE",
        0x04 => "SLAVE_DEVICE_FAILURE",
        0x05 => "ACKNOWLEDGE",
        0x06 => "SLAVE_DEVICE_BUSY",
        0x08 => "MEMORY_PARITY_ERROR",
        0x0a => "GATEWAY_PATH_UNAVAILABLE",
        0x0b => "GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND",
        other => return format!("unknown-{other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Options, talk};
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    fn message(transaction: u8, unit: u8, pdu: &[u8]) -> Vec<u8> {
        let length = u8::try_from(pdu.len() + 1).unwrap();
        [&[0, transaction, 0, 0, 0, length, unit][..], pdu].concat()
    }

    fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
        let options = Options::default();
        talk::hear(&mut Modbus::new(&Start { client: C, options: &options }), turns, chunk)
    }

    fn list(event: &Event, name: &str) -> Vec<i64> {
        event.get(name).unwrap().scalars().iter().filter_map(dongson_event::Value::as_i64).collect()
    }

    /// The examples of 6.3, 6.6 and 7.
    #[test]
    fn requests_find_their_answers() {
        let turns = [
            (C, [message(1, 9, &[3, 0, 0x6b, 0, 3]), message(2, 9, &[6, 0, 1, 0, 3])].concat()),
            (
                S,
                [
                    message(2, 9, &[6, 0, 1, 0, 3]),
                    message(1, 9, &[3, 6, 2, 0x2b, 0, 0, 0, 0x64]),
                    message(7, 9, &[0x81, 2]),
                ]
                .concat(),
            ),
            (C, message(3, 9, &[16, 0, 1, 0, 2, 4, 0, 10, 1, 2])),
        ];
        let events = run(&turns, usize::MAX);
        assert_eq!(events, run(&turns, 1));
        let [write, read, refused, unanswered] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(write.text("dongson.modbus.function"), Some("WRITE_SINGLE_REGISTER"));
        assert_eq!(list(write, "dongson.modbus.written"), [3]);
        assert_eq!(read.int("dongson.modbus.address"), Some(0x6b));
        assert_eq!(list(read, "dongson.modbus.read"), [0x22b, 0, 0x64]);
        assert_eq!(refused.text("dongson.modbus.exception"), Some("ILLEGAL_DATA_ADDRESS"));
        assert_eq!(refused.text("event.outcome"), Some("failure"));
        assert_eq!(list(unanswered, "dongson.modbus.written"), [10, 258]);
        assert_eq!(unanswered.text("event.outcome"), None);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(talk: Vec<(bool, u8, u8, Vec<u8>)>, tail: Vec<u8>, chunk in 1..30_usize) {
            let mut turns: Vec<_> = Vec::new();
            for (client, transaction, function, mut bytes) in talk {
                bytes.truncate(200);
                bytes.insert(0, function % 48);
                turns.push((if client { C } else { S }, message(transaction % 3, 1, &bytes)));
            }
            turns.push((S, tail));
            prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
        }
    }
}
