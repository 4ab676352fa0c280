//! A table that never changes after it is made: from a 32 bit key to all entries of that key.
//!
//! Keys are hashes; whoever asks compares the text that an entry stands for. Because nothing is added while events
//! come, colliding texts cost a comparison and nothing else.

/// Entries by key.
#[derive(Debug)]
pub(super) struct Buckets<E> {
    /// Most strangers are told apart here, without a look at the table.
    gate: Gate,
    slots: Vec<Slot>,
    entries: Vec<E>,
}

/// A small set of keys that may take strangers for its own, but never misses one.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// As many as a power of two, or none.
    words: Vec<u64>,
}

impl Gate {
    /// The set of `keys`, each of which is well mixed.
    pub(super) fn new(keys: impl ExactSizeIterator<Item = u32>) -> Self {
        let count = (keys.len() / 2).next_power_of_two().max(1);
        let mut gate = Self { words: vec![0; count] };
        for key in keys {
            let place = gate.place(key);
            if let Some(word) = gate.words.get_mut(place) {
                *word |= 1 << (key & 63);
            }
        }
        gate
    }

    #[inline]
    fn place(&self, key: u32) -> usize {
        (key >> 6) as usize & self.words.len().wrapping_sub(1)
    }

    /// True when there is no key at all.
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// False where the key is not in the set.
    #[inline]
    pub(super) fn may_hold(&self, key: u32) -> bool {
        self.words.get(self.place(key)).is_some_and(|word| word >> (key & 63) & 1 == 1)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    key: u32,
    first: u32,
    /// Zero is free.
    count: u32,
}

impl<E> Default for Buckets<E> {
    fn default() -> Self {
        Self { gate: Gate::default(), slots: Vec::new(), entries: Vec::new() }
    }
}

impl<E> Buckets<E> {
    /// The table of all pairs.
    pub(super) fn new(mut pairs: Vec<(u32, E)>) -> Self {
        if pairs.is_empty() {
            return Self::default();
        }
        pairs.sort_by_key(|(key, _)| *key);
        let mut slots = vec![Slot::default(); (pairs.len() * 2).next_power_of_two()];
        let mask = slots.len() - 1;
        let mut from = 0;
        while let Some(&(key, _)) = pairs.get(from) {
            let count = pairs.iter().skip(from).take_while(|(other, _)| *other == key).count();
            let mut at = spread(key) & mask;
            while slots.get(at).is_some_and(|slot| slot.count > 0) {
                at = (at + 1) & mask;
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = Slot { key, first: small(from), count: small(count) };
            }
            from += count;
        }
        let gate = Gate::new(pairs.iter().map(|(key, _)| stir(*key)));
        Self { gate, slots, entries: pairs.into_iter().map(|(_, entry)| entry).collect() }
    }

    /// True when there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries of `key`.
    #[inline]
    pub(super) fn get(&self, key: u32) -> &[E] {
        if !self.gate.may_hold(stir(key)) {
            return &[];
        }
        let mask = self.slots.len() - 1;
        let mut at = spread(key) & mask;
        while let Some(slot) = self.slots.get(at) {
            if slot.count == 0 {
                break;
            }
            if slot.key == key {
                return self
                    .entries
                    .get(slot.first as usize..(slot.first + slot.count) as usize)
                    .unwrap_or(&[]);
            }
            at = (at + 1) & mask;
        }
        &[]
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

const fn spread(key: u32) -> usize {
    (key.wrapping_mul(0x9E37_79B1) >> 8) as usize
}

/// Grams are keys as well, and need mixing.
const fn stir(key: u32) -> u32 {
    let mixed = key.wrapping_mul(0x85EB_CA6B);
    mixed ^ (mixed >> 15)
}

/// A key of `bytes`; the same in every run.
#[inline]
pub(super) fn key(bytes: &[u8]) -> u32 {
    let mut sum = (bytes.len() as u64).wrapping_mul(0xA076_1D64_78BD_642F);
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        sum = (sum ^ u64::from_le_bytes(*chunk)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        sum ^= sum >> 29;
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    sum = (sum ^ u64::from_le_bytes(last)).wrapping_mul(0xE703_7ED1_A0B4_28DB);
    (sum >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn holds_what_was_put_in(pairs in prop::collection::vec((0_u32..40, any::<u16>()), 0..60), other in 40_u32..) {
            let table = Buckets::new(pairs.clone());
            for key in 0..40 {
                let expected: Vec<u16> = pairs.iter().filter(|pair| pair.0 == key).map(|pair| pair.1).collect();
                prop_assert_eq!(table.get(key), expected.as_slice());
            }
            prop_assert!(table.get(other).is_empty());
            prop_assert_eq!(table.is_empty(), pairs.is_empty());
        }
    }
}
