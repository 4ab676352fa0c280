//! Where the quotes of a JSON text stand, found sixty-four bytes at a time.
//!
//! In the same pass: whether all escapes are good, whether the text is ASCII, and whether its strings are written in
//! the usual way, so that they can be compared as they stand (see [`super::written`]).

use wide::u8x16;

use super::tape::NotPlain;

/// Bytes of a block: the bits of a word.
const BLOCK: usize = 64;
/// Words that are kept for the next event.
const KEEP: usize = 1 << 14;

/// What one pass over a text tells.
#[derive(Debug, Default)]
pub(super) struct Stripes {
    /// One bit for each byte: a quote that no backslash stands for.
    quotes: Vec<u64>,
    /// All bytes are ASCII.
    pub(super) ascii: bool,
    /// No string has a control character, or an escape for which there is a more usual one.
    pub(super) usual: bool,
}

/// What stands where in one block.
#[derive(Debug, Clone, Copy, Default)]
struct Block {
    quotes: u64,
    slashes: u64,
}

/// What stands anywhere in a text.
#[derive(Debug, Clone, Copy, Default)]
struct Signs {
    /// The highest bit of a byte is set where one of them was not ASCII.
    high: u8x16,
    /// Not zero where one was a control character.
    controls: u8x16,
}

impl Block {
    #[inline]
    fn new(bytes: &[u8; BLOCK], signs: &mut Signs) -> Self {
        let mut own = Self::default();
        for (at, chunk) in (0_u32..).step_by(16).zip(bytes.as_chunks::<16>().0) {
            let chunk = u8x16::new(*chunk);
            own.quotes |= u64::from(chunk.simd_eq(u8x16::splat(b'"')).to_bitmask()) << at;
            own.slashes |= u64::from(chunk.simd_eq(u8x16::splat(b'\\')).to_bitmask()) << at;
            signs.high |= chunk;
            signs.controls |= chunk.min(u8x16::splat(0x1F)).simd_eq(chunk);
        }
        own
    }

    /// The bytes that a backslash before them changes, or is changed by; `carry` goes from block to block.
    #[inline]
    fn escaped(&self, carry: &mut u64) -> u64 {
        /// Every other bit, from the first.
        const EVEN: u64 = 0x5555_5555_5555_5555;
        if self.slashes == 0 {
            return std::mem::take(carry);
        }
        let slashes = self.slashes & !*carry;
        let follows = (slashes << 1) | *carry;
        // Rows of backslashes that begin at an odd place; adding carries through the whole row.
        let odd = slashes & !EVEN & !follows;
        let (even, overflow) = odd.overflowing_add(slashes);
        *carry = u64::from(overflow);
        (EVEN ^ (even << 1)) & follows
    }
}

impl Stripes {
    /// Looks through `text`.
    pub(super) fn read(&mut self, text: &[u8]) -> Result<(), NotPlain> {
        self.quotes.clear();
        self.quotes.shrink_to(KEEP);
        let (mut carry, mut seen) = (0, Signs::default());
        self.usual = true;
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        self.quotes.reserve(blocks.len() + 1);
        let mut last = [b' '; BLOCK];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        for (number, bytes) in blocks.iter().chain([&last]).enumerate() {
            let block = Block::new(bytes, &mut seen);
            let escaped = block.escaped(&mut carry);
            let signs = escaped & !block.slashes;
            if signs != 0 {
                self.escapes(text, number * BLOCK, signs)?;
            }
            self.quotes.push(block.quotes & !escaped);
        }
        self.ascii = seen.high.to_bitmask() == 0;
        self.usual &= seen.controls.to_bitmask() == 0;
        Ok(())
    }

    /// The signs of a block that are escaped and no backslashes.
    #[inline(never)]
    fn escapes(&mut self, text: &[u8], from: usize, mut signs: u64) -> Result<(), NotPlain> {
        while signs != 0 {
            self.escape(text, from + signs.trailing_zeros() as usize)?;
            signs &= signs - 1;
        }
        Ok(())
    }

    /// The sign of an escape that is none of a backslash.
    #[inline]
    fn escape(&mut self, text: &[u8], place: usize) -> Result<(), NotPlain> {
        match text.get(place) {
            Some(b'"' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'/') => {
                self.usual = false;
                Ok(())
            }
            Some(b'u') => {
                self.usual = false;
                let digits = text.get(place + 1..place + 5).ok_or(NotPlain)?;
                // Surrogates are left to whoever knows how to mend them.
                let surrogate = matches!(digits, [b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..]);
                let good = digits.iter().all(u8::is_ascii_hexdigit) && !surrogate;
                if good { Ok(()) } else { Err(NotPlain) }
            }
            _ => Err(NotPlain),
        }
    }

    /// The first quote at `from` or behind.
    #[inline]
    pub(super) fn quote(&self, from: usize) -> Result<usize, NotPlain> {
        let mut word = from / BLOCK;
        let mut bits = *self.quotes.get(word).ok_or(NotPlain)? & (u64::MAX << (from % BLOCK));
        while bits == 0 {
            word += 1;
            bits = *self.quotes.get(word).ok_or(NotPlain)?;
        }
        Ok(word * BLOCK + bits.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Quotes that are not escaped, one byte after the other; `None` where an escape is bad.
    fn slowly(text: &[u8]) -> Option<(Vec<usize>, bool)> {
        let (mut quotes, mut usual, mut at) = (Vec::new(), true, 0);
        while let Some(byte) = text.get(at) {
            usual &= *byte >= 0x20;
            match byte {
                b'"' => quotes.push(at),
                b'\\' => {
                    at += 1;
                    match text.get(at) {
                        Some(b'u') => {
                            usual = false;
                            let digits = text.get(at + 1..at + 5)?;
                            let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
                            (!digits.contains(&b'+')).then_some(())?;
                            char::from_u32(code)?;
                        }
                        Some(b'/') => usual = false,
                        // What an escape at the end stands for is never asked.
                        Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') | None => {}
                        _ => return None,
                    }
                }
                _ => {}
            }
            at += 1;
        }
        Some((quotes, usual))
    }

    proptest! {
        #[test]
        fn quotes_are_found(text in r#"([a-c ]{0,40}|"|\\\\|\\"|\\n|\\u[0-9a-f]{4}|\\/|đ|\t){0,40}[\\x]{0,4}"#) {
            let mut stripes = Stripes::default();
            let given = stripes.read(text.as_bytes()).ok();
            let Some((expected, usual)) = slowly(text.as_bytes()) else {
                prop_assert!(given.is_none());
                return Ok(());
            };
            // A backslash at the very end escapes the blank behind the text.
            if given.is_none() {
                prop_assert!(text.ends_with('\\'));
                return Ok(());
            }
            let mut found = Vec::new();
            let mut from = 0;
            while let Ok(at) = stripes.quote(from) {
                found.push(at);
                from = at + 1;
            }
            prop_assert_eq!(found, expected);
            prop_assert_eq!((stripes.usual, stripes.ascii), (usual, text.is_ascii()));
        }
    }
}
