//! DHCP for IPv4 and IPv6 (RFC 2131, RFC 2132, RFC 3046, RFC 4702; RFC 8415, RFC 3646, RFC 4704).
//!
//! In: datagrams. Out: one `sensor.dhcp` event per message; messages of one exchange share `dongson.dhcp.id`. Memory:
//! nothing is kept between datagrams; an event holds at most four times its datagram.

use std::net::IpAddr;

use dongson_event::{Event, Timestamp, Value};

use crate::protocol::Side;
use crate::protocol::dissect::Datagrams;
use crate::protocol::wire::{Cursor, text};

/// Longest text of one option that is told.
const MAX_TEXT: usize = 512;

/// A flow that speaks DHCP.
#[derive(Debug)]
pub(in crate::protocol) enum Dhcp {
    V4,
    V6,
}

impl Datagrams for Dhcp {
    fn datagram(&mut self, _side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        out.extend(match self {
            Self::V4 => message(at, bytes),
            Self::V6 => message6(at, bytes),
        });
    }
}

/// Whether a datagram is `DHCPv6`: a known kind and options that fill it.
pub(in crate::protocol) fn is_v6(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new(bytes);
    let header = match cursor.u8() {
        Some(1..=11) => 3,
        Some(12 | 13) => 33,
        _ => return false,
    };
    cursor.take(header).is_some() && !cursor.is_empty() && options6(cursor.rest()).1
}

/// A message of RFC 2131, 2.
fn message(at: Timestamp, bytes: &[u8]) -> Option<Event> {
    let mut cursor = Cursor::new(bytes);
    let operation = cursor.u8()?;
    let (hardware, length, _hops) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
    let mut event = Event::of("sensor.dhcp", at);
    event.set("network.protocol", "dhcp");
    event.set("dongson.dhcp.operation", if operation == 1 { "request" } else { "reply" });
    event.set("dongson.dhcp.id", cursor.u32()?);
    cursor.take(4)?;
    for name in [
        "dongson.dhcp.client_ip",
        "dongson.dhcp.assigned_ip",
        "dongson.dhcp.next_server_ip",
        "dongson.dhcp.relay_ip",
    ] {
        set_ip(&mut event, name, cursor.take(4)?);
    }
    let address = cursor.take(16)?;
    if hardware == 1 && length == 6 {
        event.set_some("dongson.dhcp.client_mac", address.get(..6).map(mac));
    }
    let (server_name, file) = (cursor.take(64)?, cursor.take(128)?);
    cursor.take(4)?;
    let mut options = Vec::new();
    gather(cursor.rest(), &mut options);
    // Options may go on in the fields of the boot protocol (RFC 2132, 9.3).
    let overload = find(&options, 52).and_then(|value| value.first().copied()).unwrap_or(0);
    for (bit, field, name) in
        [(1, file, "dongson.dhcp.boot_file"), (2, server_name, "dongson.dhcp.server_name")]
    {
        if overload & bit != 0 {
            gather(field, &mut options);
        } else {
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
            set_text(&mut event, name, field.get(..end).unwrap_or_default());
        }
    }
    for (code, value) in &options {
        option(&mut event, *code, value);
    }
    Some(event)
}

/// Adds the options of one field; parts of a long option are joined (RFC 3396).
fn gather(bytes: &[u8], options: &mut Vec<(u8, Vec<u8>)>) {
    let mut cursor = Cursor::new(bytes);
    while let Some(code) = cursor.u8() {
        match code {
            0 => continue,
            255 => return,
            _ => {}
        }
        let Some(value) = cursor.vec8() else { return };
        match options.iter_mut().find(|(known, _)| *known == code) {
            Some((_, joined)) => joined.extend_from_slice(value),
            None => options.push((code, value.to_vec())),
        }
    }
}

fn find(options: &[(u8, Vec<u8>)], code: u8) -> Option<&[u8]> {
    options.iter().find(|(known, _)| *known == code).map(|(_, value)| value.as_slice())
}

/// One option (RFC 2132 unless said otherwise).
fn option(event: &mut Event, code: u8, value: &[u8]) {
    match code {
        1 => set_ip(event, "dongson.dhcp.subnet_mask", value),
        3 => set_ips(event, "dongson.dhcp.routers", value),
        6 => set_ips(event, "dongson.dhcp.dns_servers", value),
        12 => set_text(event, "dongson.dhcp.host_name", value),
        15 => set_text(event, "dongson.dhcp.domain", value),
        42 => set_ips(event, "dongson.dhcp.ntp_servers", value),
        50 => set_ip(event, "dongson.dhcp.requested_ip", value),
        51 => event.set_some("dongson.dhcp.lease_time", Cursor::new(value).u32()),
        53 => event.set_some("dongson.dhcp.message_type", value.first().map(|kind| kind_name(*kind))),
        54 => set_ip(event, "dongson.dhcp.server_ip", value),
        55 => drop(event.set("dongson.dhcp.parameters", value.to_vec())),
        56 => set_text(event, "dongson.dhcp.message", value),
        58 => event.set_some("dongson.dhcp.renewal_time", Cursor::new(value).u32()),
        59 => event.set_some("dongson.dhcp.rebinding_time", Cursor::new(value).u32()),
        60 => set_text(event, "dongson.dhcp.vendor_class", value),
        61 => drop(event.set("dongson.dhcp.client_id", hex::encode(value))),
        67 => set_text(event, "dongson.dhcp.boot_file", value),
        81 => fqdn(event, value),
        82 => relay_agent(event, value),
        _ => {}
    }
}

/// The client's full name behind flags and two obsolete codes (RFC 4702, 2).
fn fqdn(event: &mut Event, value: &[u8]) {
    let (Some(flags), Some(name)) = (value.first(), value.get(3..)) else { return };
    if flags & 4 == 0 {
        set_text(event, "dongson.dhcp.client_fqdn", name);
    } else {
        event.set_some("dongson.dhcp.client_fqdn", labels(name));
    }
}

/// What the relay adds (RFC 3046, 2.0; RFC 3993 for the subscriber).
fn relay_agent(event: &mut Event, value: &[u8]) {
    let mut cursor = Cursor::new(value);
    while let (Some(code), Some(value)) = (cursor.u8(), cursor.vec8()) {
        match code {
            1 => set_text(event, "dongson.dhcp.circuit_id", value),
            2 => set_text(event, "dongson.dhcp.remote_id", value),
            6 => set_text(event, "dongson.dhcp.subscriber_id", value),
            _ => {}
        }
    }
}

/// A message of RFC 8415, 8 or 9; what a relay forwards lies in its option 9.
fn message6(at: Timestamp, bytes: &[u8]) -> Option<Event> {
    let mut event = Event::of("sensor.dhcp", at);
    event.set("network.protocol", "dhcpv6");
    let mut bytes = bytes;
    for _ in 0..8 {
        let mut cursor = Cursor::new(bytes);
        let kind = cursor.u8()?;
        if !matches!(kind, 12 | 13) {
            event.set("dongson.dhcp.message_type", kind_name6(kind));
            event.set("dongson.dhcp.id", i64::try_from(cursor.u24()?).ok()?);
            for (code, value) in options6(cursor.rest()).0 {
                option6(&mut event, code, value, 0);
            }
            return Some(event);
        }
        cursor.take(1)?;
        set_ip(&mut event, "dongson.dhcp.relay_ip", cursor.take(16)?);
        set_ip(&mut event, "dongson.dhcp.client_ip", cursor.take(16)?);
        let inner = options6(cursor.rest()).0.into_iter().find(|(code, _)| *code == 9)?;
        bytes = inner.1;
    }
    None
}

/// The options of a field, and whether they fill it.
fn options6(bytes: &[u8]) -> (Vec<(u16, &[u8])>, bool) {
    let mut cursor = Cursor::new(bytes);
    let mut options = Vec::new();
    while !cursor.is_empty() {
        let mut next = cursor;
        let Some(option) = next.u16().zip(next.vec16()) else { break };
        options.push(option);
        cursor = next;
    }
    (options, cursor.is_empty())
}

fn option6(event: &mut Event, code: u16, value: &[u8], depth: u8) {
    match code {
        1 => duid(event, value),
        2 => drop(event.set("dongson.dhcp.server_id", hex::encode(value))),
        // Identity associations: options behind a head of 12 or 4 bytes.
        3 | 25 if depth < 3 => nested(event, value.get(12..).unwrap_or_default(), depth),
        4 if depth < 3 => nested(event, value.get(4..).unwrap_or_default(), depth),
        5 => {
            set_ip(event, "dongson.dhcp.assigned_ip", value.get(..16).unwrap_or_default());
            event.set_some(
                "dongson.dhcp.lease_time",
                value.get(20..24).and_then(|time| Cursor::new(time).u32()),
            );
        }
        6 => {
            let codes = crate::protocol::wire::numbers16(value);
            event.set("dongson.dhcp.parameters", codes);
        }
        13 => set_text(event, "dongson.dhcp.message", value.get(2..).unwrap_or_default()),
        23 => set_ips6(event, "dongson.dhcp.dns_servers", value),
        24 => event.set_some("dongson.dhcp.domain", labels(value)),
        39 => event.set_some("dongson.dhcp.client_fqdn", value.get(1..).and_then(labels)),
        16 => set_text(event, "dongson.dhcp.vendor_class", value.get(6..).unwrap_or_default()),
        _ => {}
    }
}

fn nested(event: &mut Event, bytes: &[u8], depth: u8) {
    for (code, value) in options6(bytes).0 {
        option6(event, code, value, depth + 1);
    }
}

/// A DUID; those from a link-layer address tell it (RFC 8415, 11).
fn duid(event: &mut Event, value: &[u8]) {
    event.set("dongson.dhcp.client_id", hex::encode(value));
    let ([0, 1, 0, 1, _, _, _, _, address @ ..] | [0, 3, 0, 1, address @ ..]) = value else { return };
    if address.len() == 6 {
        event.set("dongson.dhcp.client_mac", mac(address));
    }
}

/// The first name in DNS labels without compression.
fn labels(bytes: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(bytes);
    let mut parts = Vec::new();
    while let Some(label) = cursor.vec8().filter(|label| !label.is_empty()) {
        parts.push(text(label, 63));
    }
    (!parts.is_empty()).then(|| parts.join("."))
}

fn mac(address: &[u8]) -> String {
    let parts: Vec<String> = address.iter().map(|byte| format!("{byte:02X}")).collect();
    parts.join("-")
}

fn set_text(event: &mut Event, name: &'static str, value: &[u8]) {
    let end = value.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let value = value.get(..end).unwrap_or_default();
    if !value.is_empty() {
        event.set(name, text(value, MAX_TEXT));
    }
}

/// An address; all zeros is none.
fn set_ip(event: &mut Event, name: &'static str, value: &[u8]) {
    if value.iter().all(|byte| *byte == 0) {
        return;
    }
    let four = value.first_chunk::<4>().filter(|_| value.len() == 4).map(|four| IpAddr::from(*four));
    let six = value.first_chunk::<16>().map(|six| IpAddr::from(*six));
    event.set_some(name, four.or(six));
}

fn set_ips(event: &mut Event, name: &'static str, value: &[u8]) {
    let list: Vec<IpAddr> = value.as_chunks::<4>().0.iter().map(|four| IpAddr::from(*four)).collect();
    event.set(name, Value::from(list));
}

fn set_ips6(event: &mut Event, name: &'static str, value: &[u8]) {
    let list: Vec<IpAddr> = value.as_chunks::<16>().0.iter().map(|six| IpAddr::from(*six)).collect();
    event.set(name, Value::from(list));
}

/// RFC 2132, 9.6; RFC 3203; RFC 4388; RFC 6926.
fn kind_name(kind: u8) -> &'static str {
    const NAMES: [&str; 18] = [
        "DISCOVER",
        "OFFER",
        "REQUEST",
        "DECLINE",
        "ACK",
        "NAK",
        "RELEASE",
        "INFORM",
        "FORCERENEW",
        "LEASEQUERY",
        "LEASEUNASSIGNED",
        "LEASEUNKNOWN",
        "LEASEACTIVE",
        "BULKLEASEQUERY",
        "LEASEQUERYDONE",
        "ACTIVELEASEQUERY",
        "LEASEQUERYSTATUS",
        "TLS",
    ];
    usize::from(kind).checked_sub(1).and_then(|at| NAMES.get(at)).copied().unwrap_or("unknown")
}

/// RFC 8415, 7.3.
fn kind_name6(kind: u8) -> &'static str {
    const NAMES: [&str; 11] = [
        "SOLICIT",
        "ADVERTISE",
        "REQUEST",
        "CONFIRM",
        "RENEW",
        "REBIND",
        "REPLY",
        "RELEASE",
        "DECLINE",
        "RECONFIGURE",
        "INFORMATION-REQUEST",
    ];
    usize::from(kind).checked_sub(1).and_then(|at| NAMES.get(at)).copied().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offer(options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![2, 1, 6, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 5];
        bytes.resize(28, 0);
        bytes.extend_from_slice(&[2, 4, 6, 8, 10, 12]);
        bytes.resize(236, 0);
        bytes.extend_from_slice(&[0x63, 0x82, 0x53, 0x63]);
        bytes.extend_from_slice(options);
        bytes
    }

    #[test]
    fn an_offer() {
        let options =
            [53, 1, 2, 51, 4, 0, 0, 14, 16, 12, 3, b'm', b'a', b'y', 82, 5, 1, 3, b'p', b'/', b'1', 255];
        let event = message(Timestamp::default(), &offer(&options)).unwrap();
        assert_eq!(event.int("dongson.dhcp.id"), Some(258));
        assert_eq!(event.text("dongson.dhcp.message_type"), Some("OFFER"));
        assert_eq!(event.text("dongson.dhcp.assigned_ip"), Some("10.0.0.5"));
        assert_eq!(event.text("dongson.dhcp.client_mac"), Some("02-04-06-08-0A-0C"));
        assert_eq!(event.int("dongson.dhcp.lease_time"), Some(3600));
        assert_eq!(event.text("dongson.dhcp.circuit_id"), Some("p/1"));
        assert_eq!(event.get("dongson.dhcp.client_ip"), None);
    }

    #[test]
    fn options_go_on_in_the_boot_file() {
        let mut bytes = offer(&[52, 1, 1, 255]);
        bytes[108..112].copy_from_slice(&[53, 1, 5, 255]);
        let event = message(Timestamp::default(), &bytes).unwrap();
        assert_eq!(event.text("dongson.dhcp.message_type"), Some("ACK"));
    }

    #[test]
    fn a_solicitation() {
        let bytes = [1, 0, 1, 2, 0, 1, 0, 10, 0, 3, 0, 1, 2, 4, 6, 8, 10, 12, 0, 6, 0, 2, 0, 23];
        assert!(is_v6(&bytes) && !is_v6(&bytes[..20]));
        let event = message6(Timestamp::default(), &bytes).unwrap();
        assert_eq!(event.text("dongson.dhcp.message_type"), Some("SOLICIT"));
        assert_eq!(event.text("dongson.dhcp.client_mac"), Some("02-04-06-08-0A-0C"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            message(Timestamp::default(), &bytes);
            message(Timestamp::default(), &offer(&bytes));
            is_v6(&bytes);
            message6(Timestamp::default(), &bytes);
        }
    }
}
