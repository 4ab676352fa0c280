//! Numbers and texts of Microsoft's protocols: least significant byte first, UTF-16LE (MS-DTYP).
//!
//! In: a slice and a place in it. Out: the number or text there; `None` beyond the end. Memory: none beyond the text.

use super::wire;

/// Longest text, in bytes on the wire.
const MAX_TEXT: usize = 2048;

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(super) fn u8(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

pub(super) fn u16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn u32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn u64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// A 16-bit number in the order that is told.
pub(super) fn in_order16(bytes: &[u8], little: bool) -> Option<u16> {
    let pair = array(bytes, 0)?;
    Some(if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
}

/// A 32-bit number in the order that is told.
pub(super) fn in_order32(bytes: &[u8], little: bool) -> Option<u32> {
    let four = array(bytes, 0)?;
    Some(if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) })
}

/// The slice that an offset and a length tell.
pub(super) fn part(bytes: &[u8], offset: usize, length: usize) -> Option<&[u8]> {
    bytes.get(offset..offset.checked_add(length)?)
}

/// UTF-16LE up to the end or the first NUL, as printable text.
pub(super) fn utf16(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0.iter().take(MAX_TEXT / 2);
    let units = units.map(|pair| u16::from_le_bytes(*pair)).take_while(|unit| *unit != 0);
    let text: String = char::decode_utf16(units).map(|sign| sign.unwrap_or('\u{fffd}')).collect();
    wire::text(text.as_bytes(), MAX_TEXT * 2)
}

/// One byte per sign up to the end or the first NUL, as printable text.
pub(super) fn ascii(bytes: &[u8]) -> String {
    wire::text(bytes.split(|byte| *byte == 0).next().unwrap_or_default(), MAX_TEXT)
}

/// A UUID as it is written, its first three parts in the order that is told (C706, appendix A).
pub(super) fn uuid(bytes: &[u8], little: bool) -> Option<String> {
    let mut raw: [u8; 16] = array(bytes, 0)?;
    if little {
        let (head, _) = raw.split_at_mut(8);
        let (first, rest) = head.split_at_mut(4);
        let (second, third) = rest.split_at_mut(2);
        first.reverse();
        second.reverse();
        third.reverse();
    }
    let digits = hex::encode(raw);
    let piece = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    Some([piece(0, 8), piece(8, 12), piece(12, 16), piece(16, 20), piece(20, 32)].join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts() {
        assert_eq!(u16(&[0, 1, 2], 1), Some(0x0201));
        assert_eq!(u32(&[0, 1, 2], 0), None);
        assert_eq!(utf16(b"a\0\xd5\x1e\0\0b\0"), "aổ");
        assert_eq!(ascii(b"IPC\0rest"), "IPC");
        let bytes: Vec<u8> = (0..16).collect();
        assert_eq!(uuid(&bytes, true).as_deref(), Some("03020100-0504-0706-0809-0a0b0c0d0e0f"));
    }
}
