//! One flow as an exporter tells it (elements by IANA's registry of IPFIX, whose first ones are those of NetFlow 9).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dongson_event::{Event, Timestamp};

use super::{Header, V5_RECORD, event};
use crate::protocol::wire::Cursor;

/// What is told of a flow.
#[derive(Debug, Default)]
pub(super) struct Record {
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    source_port: Option<u64>,
    destination_port: Option<u64>,
    protocol: Option<u64>,
    bytes: Option<u64>,
    packets: Option<u64>,
    tcp_flags: Option<u64>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl Record {
    /// A record of version 5, which needs no template.
    pub(super) fn version5(bytes: &[u8; V5_RECORD]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let mut record = Self::default();
        // Addresses, then next hop and interfaces.
        for element in [8, 12] {
            record.take(element, cursor.take(4)?);
        }
        cursor.take(8)?;
        for element in [2, 1] {
            record.take(element, cursor.take(4)?);
        }
        // First and last, in the exporter's own time.
        cursor.take(8)?;
        for element in [7, 11] {
            record.take(element, cursor.take(2)?);
        }
        cursor.u8()?;
        for element in [6, 4] {
            record.take(element, cursor.take(1)?);
        }
        Some(record)
    }

    /// Takes the value of an element; those that are not told are left out.
    pub(super) fn take(&mut self, element: u16, value: &[u8]) {
        let number = number(value);
        let place = match element {
            1 | 85 => &mut self.bytes,
            2 | 86 => &mut self.packets,
            4 => &mut self.protocol,
            6 => &mut self.tcp_flags,
            7 => &mut self.source_port,
            11 => &mut self.destination_port,
            8 | 27 => return self.source = address(value),
            12 | 28 => return self.destination = address(value),
            150 => return self.start = seconds(number),
            151 => return self.end = seconds(number),
            152 => return self.start = milliseconds(number),
            153 => return self.end = milliseconds(number),
            _ => return,
        };
        *place = number;
    }

    pub(super) fn describe(&self, at: Timestamp, header: Header) -> Event {
        let mut event = event(at, header, "record");
        event.set_some("dongson.netflow.flow.source", self.source);
        event.set_some("dongson.netflow.flow.source_port", self.source_port);
        event.set_some("dongson.netflow.flow.destination", self.destination);
        event.set_some("dongson.netflow.flow.destination_port", self.destination_port);
        event.set_some("dongson.netflow.flow.transport", self.protocol.map(transport));
        event.set_some("dongson.netflow.flow.bytes", self.bytes);
        event.set_some("dongson.netflow.flow.packets", self.packets);
        event.set_some("dongson.netflow.flow.tcp_flags", self.tcp_flags.map(|flags| format!("{flags:02x}")));
        event.set_some("dongson.netflow.flow.start", self.start);
        event.set_some("dongson.netflow.flow.end", self.end);
        event
    }
}

/// A number in as many bytes as the exporter found enough (RFC 7011, 6.2).
fn number(value: &[u8]) -> Option<u64> {
    let fits = (1..=8).contains(&value.len());
    fits.then(|| value.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
}

fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(IpAddr::V4(Ipv4Addr::from(*value.first_chunk::<4>()?))),
        16 => Some(IpAddr::V6(Ipv6Addr::from(*value.first_chunk::<16>()?))),
        _ => None,
    }
}

fn seconds(number: Option<u64>) -> Option<Timestamp> {
    milliseconds(number?.checked_mul(1000))
}

/// A moment that nanoseconds in 63 bits can tell.
fn milliseconds(number: Option<u64>) -> Option<Timestamp> {
    let nanos = i64::try_from(number?).ok()?.checked_mul(1_000_000)?;
    Some(Timestamp::from_nanos(nanos))
}

fn transport(protocol: u64) -> String {
    match protocol {
        1 => "icmp",
        6 => "tcp",
        17 => "udp",
        47 => "gre",
        50 => "esp",
        58 => "ipv6-icmp",
        132 => "sctp",
        other => return other.to_string(),
    }
    .to_owned()
}
