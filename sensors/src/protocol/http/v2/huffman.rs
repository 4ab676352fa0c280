//! Strings of HPACK in Huffman code (RFC 7541, 5.2 and Appendix B).
//!
//! The code is canonical (its page says so): the lengths of the codes are enough to build it.

use std::sync::LazyLock;

/// Length in bits of the code of each byte, then of the end of the string.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The symbol that never stands in a string.
const END: u16 = 256;

/// Codes of one length: the first one and the symbols in the order of their codes.
#[derive(Debug, Default)]
struct Row {
    first: u32,
    symbols: Vec<u16>,
}

/// Rows for lengths from 0 to 30.
static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let mut rows: Vec<Row> = Vec::new();
    let mut next = 0_u32;
    for bits in 0..=30_u8 {
        next <<= 1;
        let symbols: Vec<u16> =
            (0..=END).zip(LENGTHS).filter(|(_, length)| *length == bits).map(|(at, _)| at).collect();
        let first = next;
        next += u32::try_from(symbols.len()).unwrap_or(0);
        rows.push(Row { first, symbols });
    }
    rows
});

/// The string that `bytes` stand for; `None` where they are none, or where it is longer than `limit`.
pub(super) fn decode(bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    let rows = &*ROWS;
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(8).div_ceil(5).min(limit));
    let (mut code, mut bits) = (0_u32, 0_usize);
    for byte in bytes {
        for shift in (0..8).rev() {
            code = (code << 1) | u32::from((byte >> shift) & 1);
            bits += 1;
            let row = rows.get(bits)?;
            let at = code.checked_sub(row.first).and_then(|at| usize::try_from(at).ok());
            let Some(symbol) = at.and_then(|at| row.symbols.get(at)) else { continue };
            if out.len() == limit {
                return None;
            }
            out.push(u8::try_from(*symbol).ok()?);
            (code, bits) = (0, 0);
        }
    }
    // What fills the last byte are the first bits of the end: ones, fewer than eight.
    let is_padding = bits < 8 && code == (1_u32 << bits) - 1;
    is_padding.then_some(out)
}

#[cfg(test)]
pub(super) fn encode(text: &[u8]) -> Vec<u8> {
    let mut bits = Vec::new();
    for byte in text {
        let length = usize::from(LENGTHS[usize::from(*byte)]);
        let row = &ROWS[length];
        let at = row.symbols.iter().position(|symbol| *symbol == u16::from(*byte)).unwrap();
        let code = row.first + u32::try_from(at).unwrap();
        bits.extend((0..length).rev().map(|shift| (code >> shift) & 1 == 1));
    }
    while bits.len() % 8 != 0 {
        bits.push(true);
    }
    bits.chunks(8).map(|eight| eight.iter().fold(0, |byte, bit| (byte << 1) | u8::from(*bit))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn examples_of_the_rfc() {
        // RFC 7541, C.4.1 and C.6.1.
        let host = hex::decode("f1e3c2e5f23a6ba0ab90f4ff").unwrap();
        assert_eq!(decode(&host, 99).as_deref(), Some(&b"www.example.com"[..]));
        assert_eq!(decode(&[0x64, 0x02], 99).as_deref(), Some(&b"302"[..]));
        assert_eq!(decode(&host, 14), None, "longer than allowed");
    }

    #[test]
    fn what_is_no_string() {
        assert_eq!(decode(&[0xff, 0xff, 0xff, 0xff], 99), None, "the end inside");
        assert_eq!(decode(&[0b0000_0000], 99), None, "padding of zeros");
        assert_eq!(decode(&[0b0000_0111, 0xff], 99), None, "a whole byte of padding");
        assert_eq!(decode(&[], 99).as_deref(), Some(&b""[..]));
    }

    proptest! {
        #[test]
        fn strings_come_back(text: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&text), 1 << 20), Some(text));
        }

        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            drop(decode(&bytes, 64));
        }
    }
}
