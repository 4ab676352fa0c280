//! Reading BER/DER that nobody vouches for (X.690, 8.1): definite lengths, tags of one byte.
//!
//! In: slices. Out: tags and the slices of their values; nothing is copied. What is cut short or encoded otherwise gives
//! `None`. Memory: none.

/// A reader over the values that stand one behind the other in a slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Der<'a> {
    rest: &'a [u8],
}

/// The header of a value: how many bytes it takes and how many the value behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// More bytes are needed.
    Short,
    /// No length that is read here.
    Bad,
    Whole {
        head: usize,
        value: usize,
    },
}

/// The header at the front of `bytes`.
pub(super) fn header(bytes: &[u8]) -> Header {
    let (Some(tag), first) = (bytes.first(), bytes.get(1)) else { return Header::Short };
    if tag & 0x1f == 0x1f {
        return Header::Bad;
    }
    let Some(first) = first else { return Header::Short };
    let count = match first {
        0..=0x7f => return Header::Whole { head: 2, value: usize::from(*first) },
        0x81..=0x84 => usize::from(first & 0x7f),
        _ => return Header::Bad,
    };
    let Some(digits) = bytes.get(2..2 + count) else { return Header::Short };
    let value = digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
    Header::Whole { head: 2 + count, value }
}

impl<'a> Der<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The tag of the next value.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next value with its tag.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let Header::Whole { head, value } = header(self.rest) else { return None };
        let tag = self.peek()?;
        let bytes = self.rest.get(head..head.checked_add(value)?)?;
        self.rest = self.rest.get(head + value..)?;
        Some((tag, bytes))
    }

    /// The next value, which must have this tag; a failed step consumes nothing.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.peek() == Some(tag) { self.next().map(|(_, value)| value) } else { None }
    }

    /// The value of this tag among the rest; what stands before it is passed over, nothing is consumed.
    pub(super) fn find(&self, tag: u8) -> Option<&'a [u8]> {
        let mut walk = *self;
        while let Some((held, value)) = walk.next() {
            if held == tag {
                return Some(value);
            }
        }
        None
    }

    /// The value of the universal type `inner` inside the explicit context tag `number`.
    pub(super) fn explicit(&self, number: u8, inner: u8) -> Option<&'a [u8]> {
        Self::new(self.find(0xa0 | number)?).take(inner)
    }
}

/// A signed whole number of at most 8 bytes.
pub(super) fn number(value: &[u8]) -> Option<i64> {
    let first = *value.first()?;
    if value.len() > 8 {
        return None;
    }
    let start = if first & 0x80 == 0 { 0_i64 } else { -1 };
    Some(value.iter().fold(start, |number, byte| number << 8 | i64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_found_and_bounds_kept() {
        let mut der = Der::new(&[0x30, 3, 2, 1, 5, 4, 0x81, 2, b'a', b'b', 4, 9, 1]);
        let inner = der.take(0x30).unwrap();
        assert_eq!(Der::new(inner).take(2).and_then(number), Some(5));
        assert_eq!(der.take(2), None);
        assert_eq!(der.take(4), Some(&b"ab"[..]));
        assert_eq!(der.next(), None, "a length beyond the end");
        assert_eq!(header(&[0x30, 0x80]), Header::Bad);
        assert_eq!(header(&[0x30, 0x82, 1]), Header::Short);
        assert_eq!(number(&[0xff, 0x7b]), Some(-133));
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked(bytes: Vec<u8>) {
            let mut der = Der::new(&bytes);
            let mut seen = 0;
            while let Some((_, value)) = der.next() {
                seen += value.len() + 2;
            }
            prop_assert!(seen <= bytes.len());
        }
    }
}
