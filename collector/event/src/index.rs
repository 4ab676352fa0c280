//! A fixed list of names, in which a name is found by a look at eight bytes of its begin and of its end.

/// Names in byte order, each once, with their places.
#[derive(Debug, Default)]
pub struct NameIndex {
    names: Vec<Box<str>>,
    /// Beside `names`: what is compared first.
    prints: Vec<Print>,
    /// Open addressing, at most a quarter full; [`FREE`] is free.
    slots: Vec<u32>,
}

const FREE: u32 = u32::MAX;

impl NameIndex {
    /// The index of `names`, however ordered and however often each is given.
    pub fn new(names: impl IntoIterator<Item = Box<str>>) -> Self {
        let mut names: Vec<Box<str>> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let prints: Vec<Print> = names.iter().map(|name| Print::new(name.as_bytes())).collect();
        let mut slots = vec![FREE; (names.len() * 4).next_power_of_two().max(16)];
        let mask = slots.len() - 1;
        for (place, (name, print)) in (0..).zip(names.iter().zip(&prints)) {
            let mut at = print.hash(name.as_bytes()) & mask;
            while slots.get(at).is_some_and(|slot| *slot != FREE) {
                at = (at + 1) & mask;
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = place;
            }
        }
        Self { names, prints, slots }
    }

    /// The names in byte order.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The place of `name` among [`NameIndex::names`].
    #[inline]
    pub fn find(&self, name: &str) -> Option<u32> {
        let mask = self.slots.len().wrapping_sub(1);
        let print = Print::new(name.as_bytes());
        let mut at = print.hash(name.as_bytes()) & mask;
        while let Some(&place) = self.slots.get(at) {
            if place == FREE {
                break;
            }
            // Up to 16 bytes the print is the name.
            if self.prints.get(place as usize) == Some(&print)
                && (name.len() <= 16 || self.names.get(place as usize).is_some_and(|held| **held == *name))
            {
                return Some(place);
            }
            at = (at + 1) & mask;
        }
        None
    }
}

/// Length, begin and end of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Print {
    length: usize,
    head: u64,
    tail: u64,
}

impl Print {
    fn new(name: &[u8]) -> Self {
        Self { length: name.len(), head: first_eight(name), tail: last_eight(name) }
    }

    /// Mixes length, begin, middle and end. Names that collide are told apart by comparing them.
    fn hash(&self, name: &[u8]) -> usize {
        let middle = name.get(name.len() / 2..).unwrap_or_default();
        let mixed = self.head
            ^ self.tail.rotate_left(23)
            ^ first_eight(middle).rotate_left(43)
            ^ (self.length as u64).wrapping_mul(0xA076_1D64_78BD_642F);
        (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize
    }
}

fn first_eight(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<8>().map_or_else(|| few(bytes), |chunk| u64::from_le_bytes(*chunk))
}

fn last_eight(bytes: &[u8]) -> u64 {
    bytes.last_chunk::<8>().map_or_else(|| few(bytes), |chunk| u64::from_le_bytes(*chunk))
}

/// Up to seven bytes as a number.
fn few(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(head), Some(tail)) => {
            u64::from(u32::from_le_bytes(*head)) | (u64::from(u32::from_le_bytes(*tail)) << 32)
        }
        _ => bytes.iter().fold(1, |sum, byte| (sum << 8) | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_name_is_found(wanted in prop::collection::vec("[a-z.]{0,20}", 0..60), other in "[A-Z]{1,20}") {
            let index = NameIndex::new(wanted.iter().map(|name| name.as_str().into()));
            for name in &wanted {
                let place = index.find(name).map(|place| place as usize);
                prop_assert_eq!(place.and_then(|place| index.names().get(place)).map(|name| &**name), Some(name.as_str()));
            }
            prop_assert!(index.names().is_sorted_by(|one, other| one < other));
            prop_assert_eq!(index.find(&other), None);
        }
    }
}
