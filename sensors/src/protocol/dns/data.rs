//! What a record says, printed as zone files print it (RFC 1035, 5.1; unknown types as RFC 3597, 5).

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use compact_str::{CompactString, ToCompactString as _};

use crate::protocol::wire::{Cursor, hex, text};

use super::message::Reader;

/// Longest text or binary value that is printed, in bytes of the message.
const MAX_DATA: usize = 4096;

/// Prints the data of a record of type `kind` that lies at `start..end` of `message`.
///
/// Never fails: what does not fit its type is printed as the unknown type is, `\# length hex`.
pub(super) fn print(message: &[u8], start: usize, end: usize, kind: u16) -> CompactString {
    let bytes = message.get(start..end).unwrap_or_default();
    // Names inside the data may point into the whole message but must not run behind the record.
    let within = message.get(..end).unwrap_or(message);
    typed(within, start, bytes, kind).unwrap_or_else(|| generic(bytes).into())
}

fn typed(message: &[u8], start: usize, bytes: &[u8], kind: u16) -> Option<CompactString> {
    let mut reader = Reader::new(message, start);
    let mut cursor = Cursor::new(bytes);
    let text = match kind {
        1 => return Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).to_compact_string()),
        28 => return Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_compact_string()),
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 39 => return reader.name(),
        6 => soa(&mut reader)?,
        10 => text(bytes, MAX_DATA),
        13 | 16 | 99 => strings(bytes)?,
        15 | 18 | 21 | 36 => format!("{} {}", reader.u16()?, reader.name()?),
        33 => format!("{} {} {} {}", reader.u16()?, reader.u16()?, reader.u16()?, reader.name()?),
        43 | 48 | 59 | 60 => {
            let (tag, second, third) = (cursor.u16()?, cursor.u8()?, cursor.u8()?);
            format!("{tag} {second} {third} {}", hex_of(cursor.rest()))
        }
        44 => format!("{} {} {}", cursor.u8()?, cursor.u8()?, hex_of(cursor.rest())),
        52 => format!("{} {} {} {}", cursor.u8()?, cursor.u8()?, cursor.u8()?, hex_of(cursor.rest())),
        64 | 65 => service_binding(message, start)?,
        257 => {
            let (flags, tag) = (cursor.u8()?, cursor.vec8()?);
            format!("{flags} {} {:?}", text(tag, 255), text(cursor.rest(), MAX_DATA))
        }
        _ => return None,
    };
    Some(text.into())
}

fn generic(bytes: &[u8]) -> String {
    format!("\\# {} {}", bytes.len(), hex_of(bytes))
}

fn hex_of(bytes: &[u8]) -> String {
    hex(bytes.get(..MAX_DATA).unwrap_or(bytes))
}

fn soa(reader: &mut Reader<'_>) -> Option<String> {
    let mut out = format!("{} {}", reader.name()?, reader.name()?);
    for _ in 0..5 {
        write!(out, " {}", reader.u32()?).ok()?;
    }
    Some(out)
}

/// The character strings of a TXT record, joined without a sign between (RFC 7208, 3.3).
fn strings(bytes: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(bytes);
    let mut joined = Vec::with_capacity(bytes.len());
    while !cursor.is_empty() {
        joined.extend_from_slice(cursor.vec8()?);
    }
    Some(text(&joined, MAX_DATA))
}

/// SVCB and HTTPS (RFC 9460, 2.1): priority, target, parameters.
fn service_binding(message: &[u8], start: usize) -> Option<String> {
    let mut reader = Reader::new(message, start);
    let (priority, target) = (reader.u16()?, reader.name()?);
    let mut out = format!("{priority} {}", if target.is_empty() { "." } else { &target });
    let mut cursor = reader.rest()?;
    while !cursor.is_empty() {
        let (key, value) = (cursor.u16()?, cursor.vec16()?);
        parameter(&mut out, key, value)?;
    }
    Some(out)
}

fn parameter(out: &mut String, key: u16, value: &[u8]) -> Option<()> {
    let printed = match key {
        1 => {
            let mut list = Cursor::new(value);
            let mut names = Vec::new();
            while !list.is_empty() {
                names.push(text(list.vec8()?, 255));
            }
            format!("alpn={}", names.join(","))
        }
        2 => "no-default-alpn".to_owned(),
        3 => format!("port={}", Cursor::new(value).u16()?),
        4 => format!("ipv4hint={}", join(value.as_chunks::<4>().0.iter().map(|&a| Ipv4Addr::from(a)))),
        6 => format!("ipv6hint={}", join(value.as_chunks::<16>().0.iter().map(|&a| Ipv6Addr::from(a)))),
        5 => format!("ech={}", hex_of(value)),
        _ => format!("key{key}={}", hex_of(value)),
    };
    write!(out, " {printed}").ok()
}

fn join<T: ToString>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: u16, bytes: &[u8], expected: &str) {
        assert_eq!(print(bytes, 0, bytes.len(), kind), expected);
    }

    #[test]
    fn prints_each_kind() {
        check(1, &[10, 0, 0, 1], "10.0.0.1");
        check(1, &[10, 0, 0], "\\# 3 0a0000");
        check(28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "2001:db8::1");
        check(16, b"\x05hello\x01!", "hello!");
        check(15, b"\x00\x0a\x04mail\x02vn\x00", "10 mail.vn");
        check(33, b"\x00\x01\x00\x02\x00\x50\x01a\x00", "1 2 80 a");
        check(44, b"\x02\x01\xab\xcd", "2 1 abcd");
        check(
            65,
            b"\x00\x01\x00\x00\x01\x00\x06\x02h2\x02h3\x00\x04\x00\x04\x01\x02\x03\x04",
            "1 . alpn=h2,h3 ipv4hint=1.2.3.4",
        );
        check(257, b"\x00\x05issueca.vn", "0 issue \"ca.vn\"");
        check(6, b"\x01a\x00\x01b\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05", "a b 1 2 3 4 5");
        check(65_280, b"\x01", "\\# 1 01");
    }
}
