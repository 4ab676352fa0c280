//! What was given up under a flood, remembered coarsely: a source that keeps coming back gets its weight, so that it
//! is kept at last, even if the flood began before it.

use serde::{Deserialize, Serialize};

use super::window::hash_of;

const COLUMNS: usize = 4_096;
const ROWS: usize = 2;

/// Counters of given-up groups by hash, in two rows; a group's count is the smaller one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Recall {
    /// Empty until something was given up.
    counters: Vec<u16>,
    /// How many were noted.
    noted: u32,
    /// Since when it counts, in nanoseconds.
    since: i64,
}

impl Recall {
    /// True while there is nothing to save.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Notes that the group `key` was given up.
    pub(super) fn note(&mut self, key: &str) {
        self.counters.resize(COLUMNS * ROWS, 0);
        self.noted = self.noted.saturating_add(1);
        for place in places(key) {
            if let Some(counter) = self.counters.get_mut(place) {
                *counter = counter.saturating_add(1);
            }
        }
    }

    /// How often `key` was given up, less what chance alone would make of it.
    pub(super) fn weight(&self, key: &str) -> u64 {
        if self.counters.is_empty() {
            return 0;
        }
        let mean = u64::from(self.noted) / COLUMNS as u64;
        let chance = mean + 4 * mean.isqrt() + 1;
        let counters = places(key).into_iter().filter_map(|place| self.counters.get(place));
        u64::from(counters.min().copied().unwrap_or(0)).saturating_sub(chance)
    }

    /// Forgets what is older than `span` (nanoseconds) at `now`.
    pub(super) fn age(&mut self, now: i64, span: i64) {
        if now.saturating_sub(self.since) > span {
            *self = Self { since: now, ..Self::default() };
        }
    }
}

fn places(key: &str) -> [usize; ROWS] {
    let hash = hash_of(key);
    let column = |bits: u64| usize::try_from(bits % COLUMNS as u64).unwrap_or(0);
    [column(hash), COLUMNS + column(hash >> 32)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_stands_out() {
        let mut recall = Recall::default();
        for number in 0..50_000 {
            recall.note(&format!("made-up-{number}"));
            if number % 1_000 == 0 {
                recall.note("real");
            }
        }
        let noise = (0..1_000).map(|number| recall.weight(&format!("other-{number}"))).max();
        assert!(recall.weight("real") > 15 && noise < Some(5), "{} {noise:?}", recall.weight("real"));
        recall.age(100, 10);
        assert_eq!(recall, Recall { since: 100, ..Recall::default() });
    }
}
