//! Reading bytes that nobody vouches for: a cursor that cannot run over the end, and text that cannot deceive.
//!
//! In: slices of packets. Out: integers, sub-slices, and strings in which every byte that is not printable UTF-8 is
//! written `\xNN`. Nothing here allocates more than four times its input.

use std::fmt::Write as _;

/// A reader over one slice; every step gives `None` at the end and then stays where it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u24(&mut self) -> Option<usize> {
        let [a, b, c] = self.array()?;
        usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A vector that a one-byte length announces (RFC 8446, 3.4).
    pub(super) fn vec8(&mut self) -> Option<&'a [u8]> {
        let mut next = *self;
        let length = usize::from(next.u8()?);
        let value = next.take(length)?;
        *self = next;
        Some(value)
    }

    /// A vector that a two-byte length announces.
    pub(super) fn vec16(&mut self) -> Option<&'a [u8]> {
        let mut next = *self;
        let length = usize::from(next.u16()?);
        let value = next.take(length)?;
        *self = next;
        Some(value)
    }

    /// A vector that a three-byte length announces.
    pub(super) fn vec24(&mut self) -> Option<&'a [u8]> {
        let mut next = *self;
        let length = next.u24()?;
        let value = next.take(length)?;
        *self = next;
        Some(value)
    }
}

/// All whole 16-bit numbers of a slice.
pub(super) fn numbers16(bytes: &[u8]) -> Vec<u16> {
    bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect()
}

/// Printable text: valid UTF-8 stays, control signs and other bytes become `\xNN`; at most `limit` input bytes are used.
pub(super) fn text(bytes: &[u8], limit: usize) -> String {
    let bytes = bytes.get(..limit).unwrap_or(bytes);
    let is_plain = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if let Some(plain) = std::str::from_utf8(bytes).ok().filter(|_| is_plain) {
        return plain.to_owned();
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for sign in chunk.valid().chars() {
            if sign.is_control() {
                escape(&mut out, sign.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                out.push(sign);
            }
        }
        escape(&mut out, chunk.invalid());
    }
    out
}

/// The hexadecimal digits of `bytes`.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut digits = vec![0; bytes.len() * 2];
    // There is room for two digits of each.
    let _written = hex::encode_to_slice(bytes, &mut digits);
    String::from_utf8(digits).unwrap_or_default()
}

/// Appends each byte as `\xNN`.
pub(super) fn escape(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(out, "\\x{byte:02x}").expect("writing to a string cannot fail");
    }
}

/// Whether `text` begins with `prefix`, letters compared without case.
pub(super) fn starts_with_no_case(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

/// Whether `needle` (lower case) occurs in `text`, letters compared without case.
pub(super) fn contains_no_case(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len().max(1)).any(|window| window.eq_ignore_ascii_case(needle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_stays_inside_its_slice() {
        let mut cursor = Cursor::new(&[2, 7, 8, 0, 1, 9]);
        assert_eq!(cursor.vec8(), Some(&[7, 8][..]));
        assert_eq!(cursor.vec16(), Some(&[9][..]));
        assert_eq!(cursor.u8(), None);
        let mut short = Cursor::new(&[0, 9, 1]);
        assert_eq!(short.vec16(), None);
        assert_eq!(short.rest().len(), 3, "a failed step consumes nothing");
    }

    #[test]
    fn text_cannot_deceive() {
        assert_eq!(text("Thanh Hóa".as_bytes(), 100), "Thanh Hóa");
        assert_eq!(text(b"a\r\n\x1b[0m\xfc", 100), "a\\x0d\\x0a\\x1b[0m\\xfc");
        assert_eq!(text(b"abcdef", 3), "abc");
    }
}
