//! Names of event fields as numbers.
//!
//! All names that rules or taxonomies can ask for are known before the first event, so that a name of an event is
//! looked up once and from then on is a small number. Whoever sends other names finds a table that does not grow.

use dongson_event::fields::{self, Setter, setter};

use crate::taxonomy::Mode;

/// Number of a name in [`Names`]; [`UNKNOWN`] for a name that nobody asks for.
pub(super) type NameId = u32;
/// A name that no rule and no taxonomy asks for.
pub(super) const UNKNOWN: NameId = NameId::MAX;

/// Names, each once.
#[expect(clippy::struct_field_names, reason = "it is a list of names before all")]
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<Box<str>>,
    /// Beside `names`: what is compared first.
    prints: Vec<Print>,
    /// Beside `names`: the value counts for keywords.
    content: Vec<bool>,
    /// Open addressing, at most a quarter full; [`UNKNOWN`] is free.
    slots: Vec<NameId>,
    mode: Mode,
}

impl Names {
    /// The names of `wanted` and those of the table of fields.
    pub(super) fn new(wanted: impl IntoIterator<Item = String>, mode: Mode) -> Self {
        let mut names: Vec<Box<str>> = wanted.into_iter().map(String::into_boxed_str).collect();
        names.extend(fields::FIELDS.iter().map(|field| Box::from(field.name)));
        names.sort_unstable();
        names.dedup();
        let prints: Vec<Print> = names.iter().map(|name| Print::new(name.as_bytes())).collect();
        let content = names.iter().map(|name| is_content(name, mode)).collect();
        let mut slots = vec![UNKNOWN; (names.len() * 4).next_power_of_two().max(16)];
        let mask = slots.len() - 1;
        for (id, (name, print)) in (0..).zip(names.iter().zip(&prints)) {
            let mut at = print.hash(name.as_bytes()) & mask;
            while slots.get(at).is_some_and(|slot| *slot != UNKNOWN) {
                at = (at + 1) & mask;
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = id;
            }
        }
        Self { names, prints, content, slots, mode }
    }

    /// How events are read.
    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The number of `name`, or [`UNKNOWN`].
    pub(super) fn find(&self, name: &str) -> NameId {
        let mask = self.slots.len().wrapping_sub(1);
        let print = Print::new(name.as_bytes());
        let mut at = print.hash(name.as_bytes()) & mask;
        while let Some(&id) = self.slots.get(at) {
            if id == UNKNOWN {
                break;
            }
            // Up to 16 bytes the print is the name.
            if self.prints.get(id as usize) == Some(&print)
                && (name.len() <= 16 || self.names.get(id as usize).is_some_and(|held| **held == *name))
            {
                return id;
            }
            at = (at + 1) & mask;
        }
        UNKNOWN
    }

    /// The name of this number.
    #[cfg(test)]
    fn name(&self, id: NameId) -> &str {
        self.names.get(id as usize).map_or("", |name| name)
    }

    /// True when keywords look into the field: `id` where the name is known, else by `name`.
    pub(super) fn is_content(&self, id: NameId, name: &str) -> bool {
        self.content.get(id as usize).copied().unwrap_or_else(|| is_content(name, self.mode))
    }
}

/// Keywords are looked for in what the record says, not in what we added to it.
pub(crate) fn is_content(name: &str, mode: Mode) -> bool {
    match mode {
        Mode::Sigma => !matches!(name, "product" | "category" | "service"),
        Mode::Auto => setter(name) <= Setter::Sensor,
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
            let names = Names::new(wanted.clone(), Mode::Auto);
            for name in &wanted {
                prop_assert_eq!(names.name(names.find(name)), name);
            }
            prop_assert_eq!(names.find(&other), UNKNOWN);
            prop_assert_eq!(names.find("@timestamp") == UNKNOWN, false);
        }
    }
}
