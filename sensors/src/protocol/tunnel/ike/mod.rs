//! IKE, which sets up `IPsec` (version 1: RFC 2408 and 2409; version 2: RFC 7296; behind NAT: RFC 3948).
//!
//! In: datagrams. Out: one `sensor.ike` event per message: who and which exchange, what is offered or chosen, who made the
//! software, what is notified. What is encrypted stays closed. Memory: nothing is kept between datagrams.

mod names;
mod offer;
mod payload;

use dongson_event::{Event, Timestamp};

use super::super::dissect::Datagrams;
use super::super::wire::Cursor;
use crate::protocol::Side;

/// Length of the header (RFC 7296, 3.1).
const HEADER: usize = 28;
/// Mark in front of IKE where ESP goes over UDP too (RFC 3948, 2.2).
const MARK: [u8; 4] = [0; 4];

/// The header.
#[derive(Debug, Clone, Copy)]
struct Header {
    initiator: u64,
    responder: u64,
    next: u8,
    major: u8,
    minor: u8,
    exchange: u8,
    flags: u8,
    id: u32,
}

impl Header {
    /// A header, if the bytes are one whole message of a known exchange.
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut cursor = Cursor::new(bytes);
        let initiator =
            cursor.take(8).and_then(|spi| spi.first_chunk()).map(|spi| u64::from_be_bytes(*spi))?;
        let responder =
            cursor.take(8).and_then(|spi| spi.first_chunk()).map(|spi| u64::from_be_bytes(*spi))?;
        let (next, version, exchange, flags) = (cursor.u8()?, cursor.u8()?, cursor.u8()?, cursor.u8()?);
        let (id, length) = (cursor.u32()?, cursor.u32()?);
        let header = Self {
            initiator,
            responder,
            next,
            major: version >> 4,
            minor: version & 15,
            exchange,
            flags,
            id,
        };
        let fits = usize::try_from(length) == Ok(bytes.len()) && initiator != 0 && header.is_known();
        fits.then_some((header, cursor.rest()))
    }

    /// Exchange, first payload and flags are ones of the version.
    fn is_known(self) -> bool {
        match self.major {
            1 => {
                matches!(self.exchange, 1..=6 | 32..=34)
                    && (self.next <= 21 || matches!(self.next, 130..=132))
                    && self.flags & !7 == 0
            }
            2 => {
                matches!(self.exchange, 34..=45)
                    && (self.next == 0 || matches!(self.next, 33..=55))
                    && self.flags & !0x38 == 0
            }
            _ => false,
        }
    }
}

/// Whether a datagram is one whole message, with or without the mark.
pub(in crate::protocol) fn is_message(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER && Header::read(bytes.strip_prefix(&MARK).unwrap_or(bytes)).is_some()
}

/// Whether a datagram on the port of `IPsec` behind NAT may be ESP: an index of its own, a sequence number, data.
pub(in crate::protocol) fn is_esp(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new(bytes);
    matches!((cursor.u32(), cursor.u32()), (Some(256..), Some(1..=0x00ff_ffff)))
        && bytes.len() >= 36
        && bytes.len().is_multiple_of(4)
}

/// A flow that carries IKE, and perhaps ESP.
#[derive(Debug)]
pub(in crate::protocol) struct Ike;

impl Datagrams for Ike {
    fn datagram(&mut self, _side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let Some((header, payloads)) = Header::read(bytes.strip_prefix(&MARK).unwrap_or(bytes)) else {
            return;
        };
        let mut event = Event::of("sensor.ike", at);
        event.set("network.protocol", "ike");
        describe(&mut event, header);
        let encrypted = header.major == 1 && header.flags & 1 != 0;
        event.set("dongson.ike.encrypted", encrypted || matches!(header.next, 46 | 53));
        if !encrypted {
            payload::describe(&mut event, header, payloads);
        }
        out.push(event);
    }
}

fn describe(event: &mut Event, header: Header) {
    let name = names::exchange(header.major, header.exchange);
    event.set("event.action", name.clone());
    event.set("dongson.ike.version", format!("{}.{}", header.major, header.minor));
    event.set("dongson.ike.initiator_spi", format!("{:016x}", header.initiator));
    event.set("dongson.ike.responder_spi", format!("{:016x}", header.responder));
    event.set("dongson.ike.exchange", name);
    event.set("dongson.ike.exchange_type", header.exchange);
    event.set("dongson.ike.message_id", header.id);
    if header.major == 2 {
        event.set("dongson.ike.role", if header.flags & 0x08 != 0 { "initiator" } else { "responder" });
        event.set("dongson.ike.response", header.flags & 0x20 != 0);
    }
}

#[cfg(test)]
mod tests;
