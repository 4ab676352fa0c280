//! Finds which of many literals a text has inside, in one pass over the text.
//!
//! Of each literal its rarest row of four bytes (a gram) is kept. The text's grams are looked up in a bitmap that fits
//! the cache nearest to the processor; the few that pass are looked up in a table, and what stands there is compared
//! in full. Long rows of one gram cost no more than the literals that share it. Where all literals are long enough,
//! several grams of each are kept that follow one another, and only every second, fourth or eighth gram of the text
//! needs to be looked up. A few literals in a long text are found by vector instructions instead.

use aho_corasick::packed::{Config, Searcher};

use super::buckets::Buckets;
use super::frequency::Frequencies;
use super::literal::SHORTEST;
use super::written::aligned;

/// Most words of the bitmap: 32 KiB.
const MAX_WORDS: usize = 4_096;

/// A literal to be found.
#[derive(Debug, Clone)]
pub(super) struct Literal {
    /// Folded and written.
    pub(super) text: Vec<u8>,
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
    filter: Filter,
    /// The rarest gram of each literal, for long texts, where there are not many.
    packed: Option<Searcher>,
    table: Buckets<Entry>,
    literals: Vec<u8>,
}

/// Most grams that are looked for without a filter.
const MAX_PACKED: usize = 64;
/// Shortest text in bytes in which they are.
const PACKED_TEXT: usize = 64;

impl Grams {
    /// A filter for `literals`; grams that are frequent are avoided.
    pub(super) fn new(literals: &[Literal], frequencies: &Frequencies) -> Self {
        let Some(shortest) = literals.iter().map(|literal| literal.text.len()).min() else {
            return Self::default();
        };
        let step = step(shortest);
        let mut filter = Filter::new(step, literals.len());
        let mut bytes = Vec::new();
        let mut pairs = Vec::with_capacity(literals.len() * step);
        let mut rarest = Vec::with_capacity(literals.len());
        for literal in literals {
            let own = literal.text.as_slice();
            let (start, length) = (small(bytes.len()), small(own.len()));
            let first = frequencies.rarest(own, step).unwrap_or(0);
            let row = own.get(first..first + step + SHORTEST - 1).unwrap_or(own);
            let packed = frequencies.rarest(row, 1).unwrap_or(0);
            rarest.extend_from_slice(row.get(packed..packed + SHORTEST).unwrap_or_default());
            for (offset, gram) in grams(own).skip(first).take(step) {
                filter.add(gram);
                pairs.push((gram, Entry { start, length, offset: small(offset), target: literal.target }));
            }
            bytes.extend_from_slice(own);
        }
        Self { filter, packed: packed(rarest), table: Buckets::new(pairs), literals: bytes }
    }

    /// Tells every literal that `text` has; one may be told more than once.
    #[inline]
    pub(super) fn scan(&self, text: &[u8], found: &mut impl FnMut(Target)) {
        self.walk(text, |at, gram| {
            self.verify(text, at, gram, found);
            false
        });
    }

    /// True when `text` has one of the literals, be it inside of an escape.
    pub(super) fn any(&self, text: &[u8]) -> bool {
        self.walk(text, |at, gram| {
            self.table.get(gram).iter().any(|entry| self.stands(text, at, entry).is_some())
        })
    }

    /// Tells places and grams of `text` that may belong to a literal, until `enough` says so; true then.
    #[inline]
    fn walk(&self, text: &[u8], mut enough: impl FnMut(usize, u32) -> bool) -> bool {
        let Some(packed) = self.packed.as_ref().filter(|_| text.len() >= PACKED_TEXT) else {
            return self.filter.scan(text, enough);
        };
        let mut from = 0;
        while text.len() - from >= SHORTEST
            && let Some(found) = packed.find_in(text, (from..text.len()).into())
        {
            from = found.start();
            let gram = text.get(from..).and_then(<[u8]>::first_chunk).map(|gram| u32::from_le_bytes(*gram));
            if gram.is_some_and(|gram| enough(from, gram)) {
                return true;
            }
            from += 1;
        }
        false
    }

    #[inline(never)]
    fn verify(&self, text: &[u8], at: usize, gram: u32, found: &mut impl FnMut(Target)) {
        for entry in self.table.get(gram) {
            if self.stands(text, at, entry).is_some_and(|from| aligned(text, from)) {
                found(entry.target);
            }
        }
    }

    /// Where the entry's literal begins when its gram, which stands at `at`, is part of it.
    #[inline]
    fn stands(&self, text: &[u8], at: usize, entry: &Entry) -> Option<usize> {
        let from = at.checked_sub(entry.offset as usize)?;
        let literal = self.literals.get(entry.start as usize..(entry.start + entry.length) as usize)?;
        text.get(from..)?.starts_with(literal).then_some(from)
    }
}

/// Looks for all grams at once, where the processor can.
fn packed(mut grams: Vec<u8>) -> Option<Searcher> {
    let (rows, _) = grams.as_chunks_mut::<SHORTEST>();
    rows.sort_unstable();
    let mut rows: Vec<[u8; SHORTEST]> = rows.to_vec();
    rows.dedup();
    if rows.len() > MAX_PACKED {
        return None;
    }
    Config::new().builder().extend(rows).build()
}

/// Short literals and long ones apart, where the short ones are few: for long ones most grams of a text are left out.
pub(super) fn apart(literals: Vec<Literal>) -> [Vec<Literal>; 2] {
    for least in [11, 7] {
        let short = literals.iter().filter(|literal| literal.text.len() < least).count();
        if short > 0 && short <= MAX_PACKED && short < literals.len() {
            let (short, long) = literals.into_iter().partition(|literal| literal.text.len() < least);
            return [short, long];
        }
    }
    [literals, Vec::new()]
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The grams of `text`, each with its place.
pub(super) fn grams(text: &[u8]) -> impl Iterator<Item = (usize, u32)> {
    text.array_windows::<SHORTEST>().map(|window| u32::from_le_bytes(*window)).enumerate()
}

/// How far apart the grams of a text may be looked up when no literal is shorter.
pub(super) const fn step(shortest: usize) -> usize {
    match shortest {
        11.. => 8,
        7.. => 4,
        5.. => 2,
        _ => 1,
    }
}

/// A set of grams that may take strangers for its own, but never misses one.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// As many as a power of two, or none.
    words: Vec<u64>,
    /// 1, 2, 4 or 8.
    step: usize,
    /// How many bits of a hash are too many.
    shift: u32,
}

impl Filter {
    /// A filter for `literals`, each with `step` grams.
    pub(super) fn new(step: usize, literals: usize) -> Self {
        let words = (literals * step).next_power_of_two().clamp(16, MAX_WORDS);
        Self { words: vec![0; words], step, shift: u32::BITS - words.ilog2() - 6 }
    }

    pub(super) fn add(&mut self, gram: u32) {
        let bit = gram.wrapping_mul(0x9E37_79B1) >> self.shift;
        if let Some(word) = self.words.get_mut((bit >> 6) as usize) {
            *word |= 1 << (bit & 63);
        }
    }

    /// Tells places and grams of `text` that may be in the set, until `found` says that it is enough; true then.
    #[inline]
    pub(super) fn scan(&self, text: &[u8], found: impl FnMut(usize, u32) -> bool) -> bool {
        !self.words.is_empty() && self.walk(text, found)
    }

    /// Shows every gram that is looked up and has its bit, until `enough`.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the other bytes belong to other grams")]
    fn walk(&self, text: &[u8], mut enough: impl FnMut(usize, u32) -> bool) -> bool {
        let mut look = |at: usize, window: [u8; SHORTEST]| {
            let gram = u32::from_le_bytes(window);
            self.has(gram) && enough(at, gram)
        };
        match self.step {
            1 => {
                let mut at = 0;
                // Eight at a time: that none of them is there is one question.
                while let (Some(low), Some(high)) = (eight(text, at), eight(text, at + 3)) {
                    let bit = |bytes: u64| self.bit(bytes as u32);
                    let front = bit(low) | bit(low >> 8) | bit(low >> 16) | bit(low >> 24);
                    let back = bit(low >> 32) | bit(high >> 16) | bit(high >> 24) | bit(high >> 32);
                    if (front | back) & 1 == 1 {
                        let row = text.get(at..at + 11).unwrap_or_default();
                        if row
                            .array_windows::<4>()
                            .enumerate()
                            .any(|(place, window)| look(at + place, *window))
                        {
                            return true;
                        }
                    }
                    at += 8;
                }
                let rest = text.get(at..).unwrap_or_default();
                rest.array_windows::<4>().enumerate().any(|(place, window)| look(at + place, *window))
            }
            2 => text.array_windows::<4>().step_by(2).enumerate().any(|(at, window)| look(at * 2, *window)),
            4 => text.as_chunks::<4>().0.iter().enumerate().any(|(at, chunk)| look(at * 4, *chunk)),
            _ => {
                let (chunks, rest) = text.as_chunks::<8>();
                let whole =
                    chunks.iter().enumerate().any(|(at, &[a, b, c, d, ..])| look(at * 8, [a, b, c, d]));
                whole || rest.first_chunk::<4>().is_some_and(|chunk| look(chunks.len() * 8, *chunk))
            }
        }
    }

    #[inline]
    fn has(&self, gram: u32) -> bool {
        self.bit(gram) & 1 == 1
    }

    /// One in the last bit where the gram may be in the set.
    #[inline]
    fn bit(&self, gram: u32) -> u64 {
        let bit = gram.wrapping_mul(0x9E37_79B1) >> self.shift;
        self.words.get((bit >> 6) as usize).copied().unwrap_or(0) >> (bit & 63)
    }
}

#[inline]
fn eight(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..at + 8)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_is_inside(
            literals in prop::collection::vec("[ab]{4,7}|[ab]{12}", 0..12), text in "[abc]{0,40}|[ab]{60,90}") {
            let list: Vec<Literal> = (0..).zip(&literals)
                .map(|(test, text)| Literal { text: text.clone().into_bytes(), target: Target { test, certain: true } })
                .collect();
            let mut given = Vec::new();
            for part in apart(list.clone()) {
                let grams = Grams::new(&part, &Frequencies::default());
                let count = given.len();
                grams.scan(text.as_bytes(), &mut |target| given.push(target.test));
                prop_assert_eq!(grams.any(text.as_bytes()), given.len() > count);
            }
            given.sort_unstable();
            given.dedup();
            let expected: Vec<u32> = (0..).zip(&literals)
                .filter(|(_, literal)| text.contains(literal.as_str())).map(|(test, _)| test).collect();
            prop_assert_eq!(given, expected);
        }
    }
}
