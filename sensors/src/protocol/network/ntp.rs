//! NTP: time packets, control and private messages (RFC 5905, 7.3; RFC 9327, 2; RFC 1305 B for the older ones).
//!
//! In: datagrams. Out: one `sensor.ntp` event per message. Memory: none beyond the ports.

use dongson_event::{Event, Timestamp};

use crate::protocol::Side;
use crate::protocol::dissect::Datagrams;
use crate::protocol::wire::{Cursor, text};

/// Seconds from 1900 to 1970.
const EPOCH: i64 = 2_208_988_800;

/// A flow that speaks NTP.
#[derive(Debug)]
pub(in crate::protocol) struct Ntp;

impl Datagrams for Ntp {
    fn datagram(&mut self, _side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        out.extend(message(at, bytes));
    }
}

fn message(at: Timestamp, bytes: &[u8]) -> Option<Event> {
    let mut cursor = Cursor::new(bytes);
    let first = cursor.u8()?;
    let mode = first & 7;
    let mut event = Event::of("sensor.ntp", at);
    event.set("network.protocol", "ntp");
    event.set("dongson.ntp.version", (first >> 3) & 7);
    event.set("dongson.ntp.mode", mode);
    match mode {
        6 => control(&mut event, &mut cursor)?,
        7 => private(&mut event, first, &mut cursor)?,
        _ => packet(&mut event, bytes)?,
    }
    Some(event)
}

/// The header of a time packet (RFC 5905, 7.3).
fn packet(event: &mut Event, bytes: &[u8]) -> Option<()> {
    let mut cursor = Cursor::new(bytes);
    cursor.u8()?;
    let stratum = cursor.u8()?;
    let (poll, precision) = (cursor.u8()?.cast_signed(), cursor.u8()?.cast_signed());
    let (delay, dispersion) = (cursor.u32()?, cursor.u32()?);
    let reference = cursor.take(4)?;
    event.set("dongson.ntp.stratum", stratum);
    event.set("dongson.ntp.poll", f64::from(poll).exp2());
    event.set("dongson.ntp.precision", f64::from(precision).exp2());
    event.set("dongson.ntp.root_delay", f64::from(delay) / 65_536.0);
    event.set("dongson.ntp.root_dispersion", f64::from(dispersion) / 65_536.0);
    event.set_some("dongson.ntp.reference_id", reference_id(stratum, reference));
    for name in [
        "dongson.ntp.reference_time",
        "dongson.ntp.origin_time",
        "dongson.ntp.receive_time",
        "dongson.ntp.transmit_time",
    ] {
        let (seconds, fraction) = (cursor.u32()?, cursor.u32()?);
        event.set_some(name, moment(seconds, fraction));
    }
    let tail = cursor.rest();
    let (extensions, signed) = extensions(tail);
    event.set("dongson.ntp.extensions", extensions);
    event.set("dongson.ntp.authenticated", signed);
    Some(())
}

/// A name in ASCII for a clock or a kiss of death, else the address of the server asked (RFC 5905, 7.3).
fn reference_id(stratum: u8, id: &[u8]) -> Option<String> {
    if id == [0; 4] {
        return None;
    }
    if stratum <= 1 {
        let end = id.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        return id.get(..end).map(|name| text(name, 4));
    }
    let [a, b, c, d] = id else { return None };
    Some(format!("{a}.{b}.{c}.{d}"))
}

/// A timestamp of 64 bits; without its first bit it lies after 2036 (RFC 4330, 3). Zero is unknown.
fn moment(seconds: u32, fraction: u32) -> Option<Timestamp> {
    if seconds == 0 && fraction == 0 {
        return None;
    }
    let era = if seconds & 0x8000_0000 == 0 { 1_i64 << 32 } else { 0 };
    let nanos = (u64::from(fraction) * 1_000_000_000) >> 32;
    let whole = (i64::from(seconds) + era - EPOCH).checked_mul(1_000_000_000)?;
    Some(Timestamp::from_nanos(whole.checked_add(i64::try_from(nanos).ok()?)?))
}

/// Number of extension fields, and whether a message authentication code follows (RFC 7822, 3: a rest of up to 24 bytes).
fn extensions(mut tail: &[u8]) -> (usize, bool) {
    let mut count = 0;
    while tail.len() > 24 {
        let mut cursor = Cursor::new(tail);
        let length = cursor.u16().and_then(|_| cursor.u16()).map_or(0, usize::from);
        let Some((_, rest)) = tail.split_at_checked(length).filter(|_| length >= 16) else { break };
        tail = rest;
        count += 1;
    }
    (count, tail.len() >= 4)
}

/// A control message (RFC 9327, 2).
fn control(event: &mut Event, cursor: &mut Cursor<'_>) -> Option<()> {
    let bits = cursor.u8()?;
    event.set("dongson.ntp.op_code", bits & 0x1f);
    event.set("dongson.ntp.response", bits & 0x80 != 0);
    event.set("dongson.ntp.error", bits & 0x40 != 0);
    event.set("dongson.ntp.more", bits & 0x20 != 0);
    for name in ["dongson.ntp.sequence", "dongson.ntp.status", "dongson.ntp.association_id"] {
        event.set(name, cursor.u16()?);
    }
    Some(())
}

/// A message of ntpdc (mode 7), which `monlist` belongs to.
fn private(event: &mut Event, first: u8, cursor: &mut Cursor<'_>) -> Option<()> {
    let (sequence, implementation, request) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
    let status = cursor.u16()?;
    event.set("dongson.ntp.response", first & 0x80 != 0);
    event.set("dongson.ntp.more", first & 0x40 != 0);
    event.set("dongson.ntp.authenticated", sequence & 0x80 != 0);
    event.set("dongson.ntp.sequence", sequence & 0x7f);
    event.set("dongson.ntp.implementation", implementation);
    event.set("dongson.ntp.request_code", request);
    event.set("dongson.ntp.error_code", status >> 12);
    event.set("dongson.ntp.items", status & 0x0fff);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Option<Event> {
        message(Timestamp::default(), bytes)
    }

    #[test]
    fn a_time_packet() {
        let mut bytes = vec![0x24, 2, 6, 0xec, 0, 1, 0x80, 0, 0, 0, 0x40, 0, 10, 0, 0, 7];
        for seconds in [0_u32, 0, 0, 0xe000_0000] {
            bytes.extend_from_slice(&seconds.to_be_bytes());
            bytes.extend_from_slice(&(seconds & 0x8000_0000).to_be_bytes());
        }
        bytes.extend_from_slice(&[&[1, 4, 0, 16][..], &[0; 12], &[0; 24]].concat());
        let event = read(&bytes).unwrap();
        let number = |name| event.get(name).and_then(dongson_event::Value::as_f64);
        assert_eq!((event.int("dongson.ntp.version"), event.int("dongson.ntp.mode")), (Some(4), Some(4)));
        assert_eq!(number("dongson.ntp.poll"), Some(64.0));
        assert_eq!(number("dongson.ntp.root_delay"), Some(1.5));
        assert_eq!(event.text("dongson.ntp.reference_id"), Some("10.0.0.7"));
        assert_eq!(event.get("dongson.ntp.origin_time"), None);
        let sent = event.time("dongson.ntp.transmit_time").unwrap().nanos();
        assert_eq!(sent, (0xe000_0000 - EPOCH) * 1_000_000_000 + 500_000_000);
        assert_eq!(event.int("dongson.ntp.extensions"), Some(1));
    }

    #[test]
    fn control_and_private_messages() {
        let event = read(&[0x16, 0xc2, 0, 9, 0, 1, 0x4a, 0xef, 0, 0, 0, 0]).unwrap();
        assert_eq!(event.int("dongson.ntp.op_code"), Some(2));
        assert_eq!(event.int("dongson.ntp.association_id"), Some(0x4aef));
        let event = read(&[0x97, 0x80, 3, 42, 0x40, 6, 0, 72]).unwrap();
        assert_eq!(event.int("dongson.ntp.request_code"), Some(42));
        assert_eq!((event.int("dongson.ntp.error_code"), event.int("dongson.ntp.items")), (Some(4), Some(6)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            read(&bytes);
        }
    }
}
