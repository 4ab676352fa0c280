//! What could not be read, counted by name.

use std::collections::BTreeMap;

/// Counts of anomalies; the names are ours and fixed, so the memory is bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weird {
    counts: BTreeMap<&'static str, u64>,
}

impl Weird {
    /// Counts one of `name`.
    pub fn add(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    /// Names and counts, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().map(|(name, count)| (*name, *count))
    }

    /// How often `name` was seen.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }
}
