//! Finds which of many literals a text has inside, in one pass over the text.
//!
//! Of each literal its rarest row of four bytes (a gram) is kept. The text's grams are looked up in a bitmap that fits
//! the cache nearest to the processor; the few that pass are looked up in a table, and what stands there is compared
//! in full. Long rows of one gram cost no more than the literals that share it.

use super::buckets::Buckets;
use super::frequency::Frequencies;
use super::literal::SHORTEST;

/// Bits of the bitmap that each gram sets.
const WORD_BITS: u32 = 6;
/// Most words of the bitmap: 32 KiB.
const MAX_WORDS: usize = 4_096;

/// A literal to be found.
#[derive(Debug, Clone)]
pub(super) struct Literal {
    /// Folded, at least [`SHORTEST`] bytes.
    pub(super) text: String,
    /// What is told when it is found.
    pub(super) target: Target,
}

/// Whose literal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    /// Number of the test in its route.
    pub(super) test: u32,
    /// The test holds; otherwise it must still be asked.
    pub(super) certain: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u32,
    length: u32,
    /// Where in the literal its gram stands.
    offset: u32,
    target: Target,
}

/// The filter and its table.
#[derive(Debug, Default)]
pub(super) struct Grams {
    words: Vec<u64>,
    shift: u32,
    table: Buckets<Entry>,
    literals: Vec<u8>,
}

impl Grams {
    /// A filter for `literals`; grams that are frequent are avoided.
    pub(super) fn new(literals: &[Literal], frequencies: &Frequencies) -> Self {
        if literals.is_empty() {
            return Self::default();
        }
        let count = (literals.len() / 2).next_power_of_two().clamp(16, MAX_WORDS);
        let mut words = vec![0_u64; count];
        let shift = 64 - count.trailing_zeros();
        let mut bytes = Vec::new();
        let mut pairs = Vec::with_capacity(literals.len());
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        for literal in literals {
            let own = literal.text.as_bytes();
            let Some((offset, gram)) = frequencies.rarest(own) else { continue };
            let (place, mask) = probe(gram, shift);
            if let Some(word) = words.get_mut(place) {
                *word |= mask;
            }
            let (start, length) = (small(bytes.len()), small(own.len()));
            pairs.push((gram, Entry { start, length, offset: small(offset), target: literal.target }));
            bytes.extend_from_slice(own);
        }
        Self { words, shift, table: Buckets::new(pairs), literals: bytes }
    }

    /// Tells every literal that `text` has; one may be told more than once.
    #[inline]
    pub(super) fn scan(&self, text: &[u8], found: &mut impl FnMut(Target)) {
        if self.words.is_empty() {
            return;
        }
        for (at, window) in text.array_windows::<SHORTEST>().enumerate() {
            let gram = u32::from_le_bytes(*window);
            let (place, mask) = probe(gram, self.shift);
            if self.words.get(place).is_some_and(|word| word & mask == mask) {
                self.verify(text, at, gram, found);
            }
        }
    }

    #[inline(never)]
    fn verify(&self, text: &[u8], at: usize, gram: u32, found: &mut impl FnMut(Target)) {
        for entry in self.table.get(gram) {
            let Some(from) = at.checked_sub(entry.offset as usize) else { continue };
            let literal = self.literals.get(entry.start as usize..(entry.start + entry.length) as usize);
            if literal.is_some_and(|literal| text.get(from..from + literal.len()) == Some(literal)) {
                found(entry.target);
            }
        }
    }
}

/// Which word, and which three bits of it.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the shift leaves the bits of a place")]
fn probe(gram: u32, shift: u32) -> (usize, u64) {
    let mixed = (u64::from(gram) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let bit = |from: u32| 1_u64 << ((mixed >> from) & ((1 << WORD_BITS) - 1));
    ((mixed >> shift) as usize, bit(28) | bit(34) | bit(40))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_is_inside(literals in prop::collection::vec("[ab]{4,7}", 0..12), text in "[abc]{0,40}") {
            let list: Vec<Literal> = (0..).zip(&literals)
                .map(|(test, text)| Literal { text: text.clone(), target: Target { test, certain: true } })
                .collect();
            let mut given = Vec::new();
            Grams::new(&list, &Frequencies::default()).scan(text.as_bytes(), &mut |target| given.push(target.test));
            given.sort_unstable();
            given.dedup();
            let expected: Vec<u32> = (0..).zip(&literals)
                .filter(|(_, literal)| text.contains(literal.as_str())).map(|(test, _)| test).collect();
            prop_assert_eq!(given, expected);
        }
    }
}
