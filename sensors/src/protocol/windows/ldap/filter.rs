//! A search filter as text (RFC 4511, 4.5.1.7; RFC 4515).
//!
//! In: the tag and the value of a filter. Out: its text, with `...` where it is deeper than [`MAX_DEPTH`] or longer than
//! [`MAX_TEXT`]. Memory: that text.

use std::fmt::Write as _;

use crate::protocol::der::Der;

/// How deep filters may lie in filters.
const MAX_DEPTH: u8 = 16;
/// Longest text, in bytes, give or take one value.
const MAX_TEXT: usize = 4096;
/// Bytes of one value that are written.
const MAX_VALUE: usize = 256;

/// The text of a filter.
pub(super) fn text(tag: u8, value: &[u8]) -> String {
    let mut out = String::new();
    write_filter(&mut out, tag, value, 0);
    out
}

fn write_filter(out: &mut String, tag: u8, value: &[u8], depth: u8) {
    if depth > MAX_DEPTH || out.len() > MAX_TEXT {
        out.push_str("...");
        return;
    }
    out.push('(');
    match tag {
        0xa0..=0xa2 => {
            out.push(match tag {
                0xa0 => '&',
                0xa1 => '|',
                _ => '!',
            });
            let mut inner = Der::new(value);
            while let Some((tag, value)) = inner.next().filter(|_| out.len() <= MAX_TEXT) {
                write_filter(out, tag, value, depth + 1);
            }
        }
        0xa3 => pair(out, "=", value),
        0xa4 => substrings(out, value),
        0xa5 => pair(out, ">=", value),
        0xa6 => pair(out, "<=", value),
        0x87 => {
            escaped(out, value);
            out.push_str("=*");
        }
        0xa8 => pair(out, "~=", value),
        0xa9 => extensible(out, value),
        _ => out.push('?'),
    }
    out.push(')');
}

fn pair(out: &mut String, sign: &str, value: &[u8]) {
    let mut parts = Der::new(value);
    escaped(out, parts.take(4).unwrap_or_default());
    out.push_str(sign);
    escaped(out, parts.take(4).unwrap_or_default());
}

fn substrings(out: &mut String, value: &[u8]) {
    let mut parts = Der::new(value);
    escaped(out, parts.take(4).unwrap_or_default());
    out.push('=');
    let mut pieces = Der::new(parts.take(0x30).unwrap_or_default());
    let mut open = false;
    while let Some((tag, piece)) = pieces.next().filter(|_| out.len() <= MAX_TEXT) {
        if tag != 0x80 {
            out.push('*');
        }
        escaped(out, piece);
        open = tag != 0x82;
    }
    if open {
        out.push('*');
    }
}

fn extensible(out: &mut String, value: &[u8]) {
    let parts = Der::new(value);
    escaped(out, parts.find(0x82).unwrap_or_default());
    if parts.find(0x84).is_some_and(|flag| flag != [0]) {
        out.push_str(":dn");
    }
    if let Some(rule) = parts.find(0x81) {
        out.push(':');
        escaped(out, rule);
    }
    out.push_str(":=");
    escaped(out, parts.find(0x83).unwrap_or_default());
}

/// Printable text; what has a meaning in filters and what cannot be shown is written `\NN`.
fn escaped(out: &mut String, value: &[u8]) {
    for chunk in value.get(..MAX_VALUE).unwrap_or(value).utf8_chunks() {
        for sign in chunk.valid().chars() {
            if matches!(sign, '*' | '(' | ')' | '\\') || sign.is_control() {
                bytes(out, sign.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                out.push(sign);
            }
        }
        bytes(out, chunk.invalid());
    }
}

fn bytes(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(out, "\\{byte:02x}").expect("writing to a string cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn filters_are_written_as_the_standard_does() {
        assert_eq!(text(0x87, b"objectClass"), "(objectClass=*)");
        let parts = b"\x04\x02cn\x30\x08\x80\x01a\x81\x00\x82\x01z";
        assert_eq!(text(0xa4, parts), "(cn=a**z)");
        let rule = b"\x81\x03dn1\x82\x03uac\x83\x01\x32\x84\x01\xff";
        assert_eq!(text(0xa9, rule), "(uac:dn:dn1:=2)");
        assert_eq!(text(0xa3, b"\x04\x01a\x04\x02\x00("), "(a=\\00\\28)");
    }

    proptest! {
        #[test]
        fn any_bytes_are_written(tag: u8, value: Vec<u8>) {
            text(tag, &value);
            let deep = (0..60).fold(value, |inner, _| {
                [&[0xa0, 0x82][..], &u16::try_from(inner.len()).unwrap().to_be_bytes(), &inner].concat()
            });
            prop_assert!(text(0xa0, &deep).len() < 3 * MAX_TEXT);
        }
    }
}
