//! What a spool keeps in `state.json`: the next sequence, what was lost, and which batches are gone without having
//! reached the centre.

use std::collections::BTreeMap;

use dongson_event::batch::Class;
use serde::{Deserialize, Serialize};

use crate::relay::Place;

/// Most runs of gone batches that wait to be told; what comes beyond is counted by class alone.
const MAX_RUNS: usize = 4_096;

/// Why a batch will never come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// The quota was reached.
    Shed,
    /// The collector refused it for good.
    Refused,
    /// The disk did not take it.
    Disk,
}

/// Batches of one class that follow each other and are gone for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Name of their class.
    pub class: String,
    /// Why they are gone.
    pub why: Why,
    /// Sequence of the first.
    pub first: u64,
    /// Sequence of the last.
    pub last: u64,
    /// Events in them.
    pub events: u64,
}

/// The state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ledger {
    pub(super) epoch: u64,
    pub(super) next: u64,
    /// Events that are lost, by dataset.
    pub(super) lost: BTreeMap<String, u64>,
    /// The same, by class.
    #[serde(default)]
    pub(super) lost_by_class: BTreeMap<String, u64>,
    /// How many of the lost events the centre was told of.
    #[serde(default)]
    pub(super) told: u64,
    /// Gone batches that the centre was not told of.
    #[serde(default)]
    pub(super) gone: Vec<Run>,
    /// Events of gone batches that found no room in `gone`, by class.
    #[serde(default)]
    pub(super) unlisted: BTreeMap<String, u64>,
    /// How far followed files were read, by the names of their inputs.
    #[serde(default)]
    pub(super) places: BTreeMap<String, Place>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            epoch: rand::random(),
            next: 1,
            lost: BTreeMap::new(),
            lost_by_class: BTreeMap::new(),
            told: 0,
            gone: Vec::new(),
            unlisted: BTreeMap::new(),
            places: BTreeMap::new(),
        }
    }

    /// Counts events as lost.
    pub(super) fn lose(&mut self, class: Class, datasets: &BTreeMap<String, u64>) {
        for (dataset, count) in datasets {
            *self.lost.entry(dataset.clone()).or_default() += count;
            *self.lost_by_class.entry(class.as_str().to_owned()).or_default() += count;
        }
    }

    /// Notes that a batch is gone.
    pub(super) fn note_gone(&mut self, sequence: u64, class: Class, why: Why, events: u64) {
        let class = class.as_str();
        let same = |run: &&mut Run| run.class == class && run.why == why;
        if let Some(run) =
            self.gone.iter_mut().find(|run| same(run) && run.last.checked_add(1) == Some(sequence))
        {
            (run.last, run.events) = (sequence, run.events + events);
        } else if let Some(run) =
            self.gone.iter_mut().find(|run| same(run) && sequence.checked_add(1) == Some(run.first))
        {
            (run.first, run.events) = (sequence, run.events + events);
        } else if self.gone.len() < MAX_RUNS {
            self.gone.push(Run { class: class.to_owned(), why, first: sequence, last: sequence, events });
        } else {
            *self.unlisted.entry(class.to_owned()).or_default() += events;
        }
    }

    /// Forgets what the centre was told of; a run that has grown since stays whole and is told again.
    pub(super) fn forget(&mut self, told: &[Run]) {
        self.gone.retain(|run| !told.contains(run));
    }
}

/// Runs of sequences that follow each other: the first and the last of each, at most `most` of them.
pub(super) fn runs(sequences: impl Iterator<Item = u64>, most: usize) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for sequence in sequences {
        let full = runs.len() == most;
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(sequence) => *last = sequence,
            _ if full => break,
            _ => runs.push((sequence, sequence)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gone_batches_make_runs_and_are_told_once() {
        let mut ledger = Ledger::new();
        for sequence in [5, 6, 4, 9] {
            ledger.note_gone(sequence, Class::File, Why::Shed, 10);
        }
        ledger.note_gone(7, Class::Conn, Why::Shed, 1);
        let found: Vec<_> = ledger.gone.iter().map(|run| (run.first, run.last, run.events)).collect();
        assert_eq!(found, [(4, 6, 30), (9, 9, 10), (7, 7, 1)]);
        let told = ledger.gone.clone();
        ledger.note_gone(10, Class::File, Why::Shed, 10);
        ledger.forget(&told);
        let left: Vec<_> = ledger.gone.iter().map(|run| (run.first, run.last)).collect();
        assert_eq!(left, [(9, 10)], "what has grown since is told again");
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let mut ledger = Ledger::new();
        for number in 0..MAX_RUNS as u64 + 3 {
            ledger.note_gone(number * 2, Class::Conn, Why::Shed, 2);
        }
        assert_eq!((ledger.gone.len(), ledger.unlisted.get("conn")), (MAX_RUNS, Some(&6)));
    }

    #[test]
    fn runs_of_sequences() {
        assert_eq!(runs([1, 2, 3, 7, 9, 10].into_iter(), 9), [(1, 3), (7, 7), (9, 10)]);
        assert_eq!(runs([1, 3, 5].into_iter(), 2), [(1, 1), (3, 3)]);
    }
}
