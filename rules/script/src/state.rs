//! The states of one script in one agency: bounded, and what is given up is counted.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use dongson_rules::parts::{Parts, Saving};
use rhai::Map;
use serde::{Deserialize, Serialize};

use crate::value::Held;

/// After so many failures in a row the state of a key begins anew: what stands in it may be what makes them.
const FAILURES_OF_A_KEY: u32 = 8;

/// How much the states of one script in one agency may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Keys.
    pub keys: usize,
    /// Bytes of one key's state, about.
    pub key_bytes: usize,
    /// Bytes of all, about.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { keys: 4_096, key_bytes: 8 << 10, bytes: 1 << 20 }
    }
}

/// The state of one key.
#[derive(Debug, Clone)]
struct Entry {
    state: Map,
    bytes: usize,
    events: u64,
    /// Event time in nanoseconds: of the first event, and of the newest.
    since: i64,
    last: i64,
    failures: u32,
    /// How often the book had been swept when this was last kept.
    touched: u64,
}

/// The states of one script in one agency.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    keys: BTreeMap<String, Entry>,
    bytes: usize,
    swept: i64,
    sweeps: u64,
    pub(crate) evicted: u64,
    pub(crate) saving: Saving,
}

impl Book {
    /// The state of `key` for an event at `at`; empty where there is none, or where it lay idle too long.
    pub(crate) fn state(&mut self, key: &str, at: i64, idle: i64) -> Map {
        if at.saturating_sub(self.swept) > idle / 2 {
            self.sweep(at, idle);
        }
        match self.keys.get(key) {
            Some(entry) if at.saturating_sub(entry.last) <= idle => entry.state.clone(),
            Some(_) => {
                self.remove(key);
                Map::new()
            }
            None => Map::new(),
        }
    }

    /// Keeps what a run made of the state.
    pub(crate) fn keep(&mut self, key: &str, made: (Map, usize), at: i64, idle: i64, bounds: &Bounds) {
        let (state, bytes) = made;
        if state.is_empty() {
            return self.remove(key);
        }
        let bytes = bytes + key.len();
        let (events, since, last) = match self.keys.get(key) {
            Some(old) => (old.events + 1, old.since.min(at), old.last.max(at)),
            None => (1, at, at),
        };
        self.remove(key);
        if self.is_full(bytes, bounds) {
            // Looked at again afterwards: when idle states were dropped last must not matter.
            self.drop_idle(|entry| at.saturating_sub(entry.last) > idle);
            if self.is_full(bytes, bounds) {
                self.make_room(bytes, bounds);
            }
        }
        self.bytes += bytes;
        self.saving.touch(key);
        let touched = self.sweeps;
        self.keys.insert(key.to_owned(), Entry { state, bytes, events, since, last, failures: 0, touched });
    }

    fn is_full(&self, bytes: usize, bounds: &Bounds) -> bool {
        self.keys.len() >= bounds.keys || self.bytes + bytes > bounds.bytes
    }

    /// A run failed; true when the key's state was given up because of it.
    pub(crate) fn failed(&mut self, key: &str) -> bool {
        let Some(entry) = self.keys.get_mut(key) else { return false };
        entry.failures += 1;
        self.saving.touch(key);
        let begins_anew = entry.failures >= FAILURES_OF_A_KEY;
        if begins_anew {
            self.remove(key);
        }
        begins_anew
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.keys.remove(key) {
            self.saving.touch(key);
            self.bytes = self.bytes.saturating_sub(entry.bytes);
        }
    }

    /// [`Book::sweep`], unless that was done not long ago.
    pub(crate) fn forget_idle(&mut self, now: i64, idle: i64) {
        if now.saturating_sub(self.swept) > idle / 2 {
            self.sweep(now, idle);
        }
    }

    /// Drops what lay idle too long, but not what was kept since the sweep before last: a source that was away tells of
    /// times that are over for the others of its agency.
    fn sweep(&mut self, now: i64, idle: i64) {
        let sweeps = self.sweeps;
        self.drop_idle(|entry| now.saturating_sub(entry.last) > idle && entry.touched + 2 <= sweeps);
        self.swept = now;
        self.sweeps += 1;
        self.saving.touch_head();
    }

    fn drop_idle(&mut self, is_idle: impl Fn(&Entry) -> bool) {
        let saving = &mut self.saving;
        self.keys.retain(|key, entry| {
            let is_idle = is_idle(entry);
            if is_idle {
                saving.touch(key);
            }
            !is_idle
        });
        self.bytes = self.keys.values().map(|entry| entry.bytes).sum();
    }

    /// A book without its keys.
    pub(crate) fn bare(swept: i64, sweeps: u64, evicted: u64) -> Self {
        Self { swept, sweeps, evicted, ..Self::default() }
    }

    /// True when nothing would be lost with it.
    pub(crate) fn is_spare(&self) -> bool {
        self.keys.is_empty() && self.evicted == 0
    }

    /// Gives up an eighth, and more where `bytes` need it: what saw the fewest events, of equals what began last, so
    /// that the frequent and the old survive a flood of made-up keys.
    fn make_room(&mut self, bytes: usize, bounds: &Bounds) {
        let mut order: Vec<(u64, Reverse<i64>, String)> =
            self.keys.iter().map(|(key, entry)| (entry.events, Reverse(entry.since), key.clone())).collect();
        order.sort_unstable();
        let keep = bounds.keys - (bounds.keys / 8).max(1);
        self.saving.touch_head();
        for (.., key) in order {
            if self.keys.len() <= keep && self.bytes + bytes <= bounds.bytes - bounds.bytes / 8 {
                break;
            }
            self.remove(&key);
            self.evicted += 1;
        }
    }
}

/// A [`Book`] on its way.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct SavedBook {
    keys: BTreeMap<String, SavedEntry>,
    swept: i64,
    #[serde(default)]
    sweeps: u64,
    evicted: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SavedEntry {
    state: Held,
    bytes: usize,
    events: u64,
    since: i64,
    last: i64,
    failures: u32,
    #[serde(default)]
    touched: u64,
}

impl Entry {
    fn save(&self) -> SavedEntry {
        SavedEntry {
            state: Held::of_map(&self.state).unwrap_or(Held::Unit),
            bytes: self.bytes,
            events: self.events,
            since: self.since,
            last: self.last,
            failures: self.failures,
            touched: self.touched,
        }
    }

    fn restore(saved: SavedEntry) -> Option<Self> {
        let Held::Map(state) = saved.state else { return None };
        Some(Self {
            state: Held::map(state),
            bytes: saved.bytes,
            events: saved.events,
            since: saved.since,
            last: saved.last,
            failures: saved.failures,
            touched: saved.touched,
        })
    }
}

impl Book {
    pub(crate) fn save(&self) -> SavedBook {
        let keys = self.keys.iter().map(|(key, one)| (key.clone(), one.save())).collect();
        SavedBook { keys, swept: self.swept, sweeps: self.sweeps, evicted: self.evicted }
    }

    /// A book of which nothing is stored yet in parts.
    pub(crate) fn restore(saved: SavedBook) -> Self {
        let mut book = Self::bare(saved.swept, saved.sweeps, saved.evicted);
        book.saving.touch_head();
        saved.keys.keys().for_each(|key| book.saving.touch(key));
        book.put_back(saved.keys);
        book
    }

    /// Adds the parts that changed; `head` makes the head of when and how often it was swept and how many were given up.
    pub(crate) fn save_changes<H: Serialize>(
        &mut self,
        names: (&str, &str),
        head: impl FnOnce(i64, u64, u64) -> H,
        parts: &mut Parts,
    ) -> Result<(), serde_json::Error> {
        let (swept, sweeps, evicted) = (self.swept, self.sweeps, self.evicted);
        self.saving.save(names, || head(swept, sweeps, evicted), &self.keys, Entry::save, parts)
    }

    /// Takes the keys of a part.
    pub(crate) fn put_back(&mut self, keys: BTreeMap<String, SavedEntry>) {
        self.keys.extend(keys.into_iter().filter_map(|(key, one)| Some((key, Entry::restore(one)?))));
        self.bytes = self.keys.values().map(|entry| entry.bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(number: i64) -> Map {
        Map::from([("n".into(), number.into())])
    }

    #[test]
    fn a_flood_leaves_the_frequent_and_the_old() {
        let bounds = Bounds { keys: 64, ..Bounds::default() };
        let mut book = Book::default();
        for at in 0..5 {
            book.keep("real", (state(at), 40), at, i64::MAX, &bounds);
        }
        book.keep("old", (state(0), 40), 5, i64::MAX, &bounds);
        for at in 10..10_000 {
            book.keep(&format!("made up {at}"), (state(at), 40), at, i64::MAX, &bounds);
            assert!(book.len() <= 64);
        }
        assert_eq!(book.state("real", 10_000, i64::MAX)["n"].as_int(), Ok(4));
        assert!(!book.state("old", 10_000, i64::MAX).is_empty());
        assert!(book.evicted > 9_000);
    }

    #[test]
    fn bytes_are_bounded_and_idle_states_forgotten() {
        let bounds = Bounds { keys: 1_000, key_bytes: 1_000, bytes: 10_000 };
        let mut book = Book::default();
        for at in 0..200 {
            book.keep(&format!("{at}"), (state(at), 1_000), at, i64::MAX, &bounds);
            assert!(book.bytes <= bounds.bytes);
        }
        assert!(book.len() > 3);
        assert!(book.state("199", 1_000_000, 10).is_empty());
        assert!(book.len() > 3, "they were kept not long ago");
        book.forget_idle(1_000_100, 10);
        book.forget_idle(1_000_200, 10);
        assert_eq!((book.len(), book.bytes), (0, 0));
    }

    #[test]
    fn what_a_backlog_keeps_is_not_idle_because_others_are_ahead() {
        let mut book = Book::default();
        let mut runs = Vec::new();
        for second in 100_000..103_600 {
            let _fresh = book.state("fresh", second, 60);
            book.keep("fresh", (state(1), 40), second, 60, &Bounds::default());
            if second % 29 == 0 {
                let before = book.state("behind", second - 3_600, 60).get("n").and_then(|n| n.as_int().ok());
                runs.push(before.unwrap_or_default());
                let now = (state(before.unwrap_or_default() + 1), 40);
                book.keep("behind", now, second - 3_600, 60, &Bounds::default());
            }
            book.forget_idle(second, 60);
        }
        assert!(runs.iter().copied().eq(0..i64::try_from(runs.len()).unwrap()), "{runs:?}");
    }

    #[test]
    fn a_state_that_makes_every_run_fail_is_given_up() {
        let mut book = Book::default();
        book.keep("k", (state(1), 40), 1, i64::MAX, &Bounds::default());
        assert!((0..7).all(|_| !book.failed("k")));
        assert!(book.failed("k") && book.state("k", 1, 10).is_empty());
    }
}
