//! `BACnet`/IP: what building controllers ask of one another (ASHRAE 135, clauses 6, 20 and 21 and annex J).
//!
//! In: datagrams. Out: one `sensor.bacnet` event per confirmed request with its answer, per request that stays unanswered,
//! and per message that wants no answer (who-is, i-am, reports, the network's own). Passwords are sealed. Memory: the open
//! requests.

mod apdu;
mod names;
mod tag;

use dongson_event::{Event, Timestamp};

use super::super::dissect::{Datagrams, Start};
use super::super::wire::Cursor;
use super::asked::Asked;
use crate::protocol::Side;

/// What tells a request from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    asker: Side,
    invoke: u8,
    /// The network and address behind a router whom the asker calls, or 0.
    network: u16,
}

/// A flow that speaks `BACnet`/IP.
#[derive(Debug)]
pub(in crate::protocol) struct Bacnet {
    secret_key: [u8; 32],
    asked: Asked<Key>,
}

/// Whether a datagram is one whole message: 0x81, a function, its own length, and where a network message follows, version 1.
pub(in crate::protocol) fn is_message(bytes: &[u8]) -> bool {
    let &[0x81, function @ 0..=0x0c, high, low, ..] = bytes else { return false };
    let version = match function {
        4 => bytes.get(10),
        9..=11 => bytes.get(4),
        _ => Some(&1),
    };
    usize::from(u16::from_be_bytes([high, low])) == bytes.len() && version == Some(&1)
}

/// The head of a network message (clause 6.2).
#[derive(Debug, Default)]
struct Network {
    to: Option<u16>,
    from: Option<u16>,
    /// A message of routers, not of an application.
    message: Option<u8>,
}

impl Network {
    /// Version, control bits, destination and source networks with their addresses, hops; a message's kind.
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        cursor.u8()?;
        let control = cursor.u8()?;
        let mut network = Self::default();
        if control & 0x20 != 0 {
            network.to = Some(cursor.u16()?);
            cursor.vec8()?;
        }
        if control & 0x08 != 0 {
            network.from = Some(cursor.u16()?);
            cursor.vec8()?;
        }
        if network.to.is_some() {
            cursor.u8()?;
        }
        if control & 0x80 != 0 {
            network.message = Some(cursor.u8()?);
        }
        Some(network)
    }
}

impl Bacnet {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self { secret_key: start.options.secret_key, asked: Asked::default() }
    }

    fn message(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) -> Option<()> {
        if !is_message(bytes) {
            return None;
        }
        let mut cursor = Cursor::new(bytes.get(1..)?);
        let function = cursor.u8()?;
        cursor.u16()?;
        let base = || {
            let mut event = Event::of("sensor.bacnet", at);
            event.set("network.protocol", "bacnet");
            event.set("dongson.bacnet.function", names::function(function));
            event
        };
        match function {
            4 => {
                let four: [u8; 4] = *cursor.take(6)?.first_chunk()?;
                let mut event = base();
                event.set("dongson.bacnet.forwarded_ip", std::net::IpAddr::from(four));
                self.network(side, at, cursor, event, out)
            }
            9..=11 => self.network(side, at, cursor, base(), out),
            _ => {
                let mut event = base();
                event.set("event.action", names::function(function));
                match function {
                    0 => {
                        let result = cursor.u16()?;
                        event.set("event.outcome", if result == 0 { "success" } else { "failure" });
                        event.set("dongson.bacnet.result_code", result);
                    }
                    5 => drop(event.set("dongson.bacnet.ttl", cursor.u16()?)),
                    _ => {}
                }
                out.push(event);
                Some(())
            }
        }
    }

    fn network(
        &mut self,
        side: Side,
        at: Timestamp,
        mut cursor: Cursor<'_>,
        mut event: Event,
        out: &mut Vec<Event>,
    ) -> Option<()> {
        let network = Network::read(&mut cursor)?;
        event.set_some("dongson.bacnet.destination_network", network.to);
        event.set_some("dongson.bacnet.source_network", network.from);
        if let Some(message) = network.message {
            let name = names::network_message(message);
            event.set("dongson.bacnet.network_message", name.clone());
            event.set("event.action", name);
            out.push(event);
            return Some(());
        }
        let apdu = apdu::Apdu::read(cursor)?;
        let key = |asker, network| Key { asker, invoke: apdu.invoke.unwrap_or(0), network };
        match apdu.kind {
            apdu::Kind::Confirmed => {
                let key = key(side, network.to.unwrap_or(0));
                // A later segment, or the request sent again, is the same request.
                if apdu.later || self.asked.waits(&key) {
                    return Some(());
                }
                apdu.request(&mut event, &self.secret_key);
                self.asked.ask(key, at, event, out);
            }
            apdu::Kind::Unconfirmed => {
                apdu.request(&mut event, &self.secret_key);
                out.push(event);
            }
            apdu::Kind::SegmentAck => {}
            _ if apdu.later => {}
            _ => {
                let asked = self.asked.answer(&key(side.other(), network.from.unwrap_or(0)), at);
                let mut event = asked.unwrap_or(event);
                apdu.answer(&mut event);
                out.push(event);
            }
        }
        Some(())
    }
}

impl Datagrams for Bacnet {
    fn datagram(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let _ = self.message(side, at, bytes, out);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.asked.flush(out);
    }
}

#[cfg(test)]
mod tests;
