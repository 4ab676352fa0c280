//! Begins and ends of texts: one load of eight bytes tells, nearly always, that none of them is there.

use super::buckets::{Buckets, Gate, key};

/// Lengths in bytes that are hashed; longer literals are compared after that.
const LENGTHS: [usize; 8] = [1, 2, 3, 4, 6, 8, 16, 28];

/// Which side of the text a literal stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Side {
    #[default]
    Begin,
    End,
}

/// Entries by the begins, or ends, that they stand for.
#[derive(Debug)]
pub(super) struct Affixes<E> {
    side: Side,
    /// One for each of the lengths that occur.
    classes: Vec<Class<E>>,
}

#[derive(Debug)]
struct Class<E> {
    length: usize,
    /// By the eight bytes of the side, or as many of them as the length has.
    gate: Gate,
    table: Buckets<E>,
}

impl<E> Default for Affixes<E> {
    fn default() -> Self {
        Self { side: Side::Begin, classes: Vec::new() }
    }
}

impl<E> Affixes<E> {
    /// The table of all literals, none of which is empty.
    pub(super) fn new(side: Side, literals: Vec<(Vec<u8>, E)>) -> Self {
        let mut lists: [Vec<(u32, u32, E)>; LENGTHS.len()] = Default::default();
        for (text, entry) in literals {
            let class = LENGTHS.iter().rposition(|length| *length <= text.len()).unwrap_or(0);
            let length = LENGTHS.get(class).copied().unwrap_or(1);
            if let (Some(list), Some(part)) = (lists.get_mut(class), side.part(&text, length)) {
                list.push((side.print(side.eight(&text), length), key(part), entry));
            }
        }
        let used = LENGTHS.into_iter().zip(lists).filter(|(_, list)| !list.is_empty());
        let class = |(length, list): (usize, Vec<(u32, u32, E)>)| Class {
            length,
            gate: Gate::new(list.iter().map(|(print, ..)| *print)),
            table: Buckets::new(list.into_iter().map(|(_, key, entry)| (key, entry)).collect()),
        };
        Self { side, classes: used.map(class).collect() }
    }

    /// Tells all entries whose literals `text` may begin, or end, with.
    #[inline]
    pub(super) fn probe(&self, text: &[u8], mut found: impl FnMut(&[E])) {
        if self.classes.is_empty() {
            return;
        }
        let eight = self.side.eight(text);
        for class in &self.classes {
            if class.gate.may_hold(self.side.print(eight, class.length))
                && let Some(part) = self.side.part(text, class.length)
            {
                found(class.table.get(key(part)));
            }
        }
    }
}

impl Side {
    fn part(self, text: &[u8], length: usize) -> Option<&[u8]> {
        match self {
            Self::Begin => text.get(..length),
            Self::End => text.get(text.len().checked_sub(length)?..),
        }
    }

    /// The eight bytes on this side; where there are fewer, zeros stand for those that are not there.
    #[inline]
    fn eight(self, text: &[u8]) -> u64 {
        let chunk = match self {
            Self::Begin => text.first_chunk::<8>(),
            Self::End => text.last_chunk::<8>(),
        };
        match (chunk, self) {
            (Some(chunk), _) => u64::from_le_bytes(*chunk),
            (None, Self::Begin) => text.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)),
            (None, Self::End) => text.iter().fold(0, |sum, byte| (sum >> 8) | (u64::from(*byte) << 56)),
        }
    }

    /// A number for as many of the eight bytes as count at this length.
    #[inline]
    fn print(self, eight: u64, length: usize) -> u32 {
        let unused = 64 - 8 * u32::try_from(length.min(8)).unwrap_or(8);
        let own = match self {
            Self::Begin => eight << unused,
            Self::End => eight >> unused,
        };
        (own.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn misses_nothing(
            literals in prop::collection::vec("[ab]{1,9}|(ab){5,16}", 0..12), text in "[abc]{0,12}|(ab){6,20}"
        ) {
            for side in [Side::Begin, Side::End] {
                let pairs = literals.iter().map(|literal| (literal.clone().into_bytes(), literal.clone())).collect();
                let mut told = Vec::new();
                Affixes::new(side, pairs).probe(text.as_bytes(), |entries| told.extend_from_slice(entries));
                for literal in &literals {
                    let there = match side {
                        Side::Begin => text.starts_with(literal.as_str()),
                        Side::End => text.ends_with(literal.as_str()),
                    };
                    prop_assert!(!there || told.contains(literal), "{} {:?}", literal, side);
                }
            }
        }
    }
}
