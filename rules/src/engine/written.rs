//! Texts as JSON writes them: what rules look for is written in the same way once, so that the texts of events need
//! not be unescaped.
//!
//! Each sign is written in one way only: a quote and a backslash behind a backslash, five control characters by a
//! letter, all others as they are. So a row of signs stands in a text where its written form stands in the text's
//! written form, unless that place is the inside of an escape: [`aligned`] tells.

/// Adds `text`.
pub(super) fn write(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(place) = rest.iter().position(|byte| letter(*byte).is_some()) {
        let (plain, behind) = rest.split_at(place);
        out.extend_from_slice(plain);
        let Some((first, behind)) = behind.split_first() else { return };
        out.extend([b'\\', letter(*first).unwrap_or(*first)]);
        rest = behind;
    }
    out.extend_from_slice(rest);
}

/// `text` as it is written.
pub(super) fn written(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    write(text.as_bytes(), &mut out);
    out
}

/// What stands behind the backslash for this byte.
#[inline]
const fn letter(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        8 => Some(b'b'),
        b'\t' => Some(b't'),
        b'\n' => Some(b'n'),
        0x0C => Some(b'f'),
        b'\r' => Some(b'r'),
        _ => None,
    }
}

/// True for a byte that is written as it is.
pub(super) const fn plain(byte: u8) -> bool {
    letter(byte).is_none()
}

/// True when `at` is not the inside of an escape.
#[inline]
pub(super) fn aligned(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    before.last() != Some(&b'\\') || before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0
}

#[cfg(test)]
mod tests {
    use super::super::arena::unescape;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_are_found_where_they_stand(text in "[an\\\\\"\n\u{8}đ]{0,12}", row in "[an\\\\\"\n\u{8}đ]{1,3}") {
            let (own, other) = (written(&text), written(&row));
            let found = own.windows(other.len()).enumerate()
                .any(|(at, window)| *window == *other && aligned(&own, at));
            prop_assert_eq!(found, text.contains(&row));
            let mut back = String::new();
            unescape(std::str::from_utf8(&own).unwrap(), &mut back);
            prop_assert_eq!(back, text);
        }
    }
}
