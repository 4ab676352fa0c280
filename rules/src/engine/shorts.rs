//! Literals of one to three bytes inside of texts, too short for [`super::grams`].

use memchr::memchr_iter;

use super::buckets::{Buckets, Gate};
use super::grams::{Literal, Target};
use super::written::aligned;

/// All of them, each found by itself.
#[derive(Debug, Default)]
pub(super) struct Shorts {
    /// One bit for each pair of bytes; empty when there is no literal of two bytes.
    twos: Vec<u64>,
    /// Single bytes are looked for by themselves: there are few.
    ones: Vec<(u8, Vec<Target>)>,
    threes: Gate,
    table: Buckets<Target>,
    all: Vec<u32>,
}

/// Longest text in bytes that is looked through; in longer ones each literal may stand, as far as is told here.
const MAX_TEXT: usize = 512;
/// Bits for all pairs of bytes, in words.
const PAIRS: usize = (1 << 16) / 64;

impl Shorts {
    /// Takes literals of one to three bytes.
    pub(super) fn new(literals: &[Literal]) -> Self {
        let (mut twos, mut threes, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        let mut ones: Vec<(u8, Vec<Target>)> = Vec::new();
        for literal in literals {
            match *literal.text {
                [only] => match ones.iter_mut().find(|(byte, _)| *byte == only) {
                    Some((_, targets)) => targets.push(literal.target),
                    None => ones.push((only, vec![literal.target])),
                },
                [first, second] => {
                    twos.resize(PAIRS, 0_u64);
                    let pair = u16::from_le_bytes([first, second]);
                    if let Some(word) = twos.get_mut(usize::from(pair >> 6)) {
                        *word |= 1 << (pair & 63);
                    }
                    pairs.push((key_of_two(pair), literal.target));
                }
                [first, second, third] => {
                    let key = u32::from_le_bytes([first, second, third, 0]);
                    threes.push(mixed(key));
                    pairs.push((key, literal.target));
                }
                _ => {}
            }
        }
        let threes = if threes.is_empty() { Gate::default() } else { Gate::new(threes.into_iter()) };
        let longer = literals.iter().filter(|literal| literal.text.len() > 1);
        let mut all: Vec<u32> = longer.map(|literal| literal.target.test).collect();
        all.dedup();
        Self { twos, ones, threes, table: Buckets::new(pairs), all }
    }

    /// Tells every literal that `text` has; one may be told more than once. In a long text all may hold: to look for the
    /// few that a rule asks for is cheaper than to look for all.
    #[inline]
    pub(super) fn scan(&self, text: &[u8], found: &mut impl FnMut(Target)) {
        for (byte, targets) in &self.ones {
            if memchr_iter(*byte, text).any(|at| aligned(text, at)) {
                for target in targets {
                    found(*target);
                }
            }
        }
        if self.table.is_empty() {
            return;
        }
        if text.len() > MAX_TEXT {
            self.all.iter().for_each(|test| found(Target { test: *test, certain: false }));
            return;
        }
        if !self.twos.is_empty() {
            for (at, window) in text.array_windows::<2>().enumerate() {
                let pair = u16::from_le_bytes(*window);
                let marked =
                    self.twos.get(usize::from(pair >> 6)).is_some_and(|word| word >> (pair & 63) & 1 == 1);
                if marked && aligned(text, at) {
                    self.table.get(key_of_two(pair)).iter().for_each(|target| found(*target));
                }
            }
        }
        if !self.threes.is_empty() {
            for (at, &[first, second, third]) in text.array_windows::<3>().enumerate() {
                let key = u32::from_le_bytes([first, second, third, 0]);
                if self.threes.may_hold(mixed(key)) && aligned(text, at) {
                    self.table.get(key).iter().for_each(|target| found(*target));
                }
            }
        }
    }
}

/// Pairs are marked by their last byte, so that they are no rows of three.
fn key_of_two(pair: u16) -> u32 {
    u32::from(pair) | 0xFF00_0000
}

const fn mixed(key: u32) -> u32 {
    key.wrapping_mul(0x9E37_79B1) >> 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_is_inside(
            literals in prop::collection::vec("[ab]{1,3}|đ|đa|☠", 0..9), text in "[abcđ☠]{0,20}") {
            let list: Vec<Literal> = (0..).zip(&literals)
                .map(|(test, text)| Literal { text: text.clone().into_bytes(), target: Target { test, certain: true } })
                .collect();
            let mut given = Vec::new();
            Shorts::new(&list).scan(text.as_bytes(), &mut |target| given.push(target.test));
            given.sort_unstable();
            given.dedup();
            let expected: Vec<u32> = (0..).zip(&literals)
                .filter(|(_, literal)| text.contains(literal.as_str())).map(|(test, _)| test).collect();
            prop_assert_eq!(given, expected);
        }
    }
}
