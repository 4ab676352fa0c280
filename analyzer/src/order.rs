//! What waits in one partition of the signals topic until it is its turn by event time.
//!
//! The watermarks are records of the topic. Those of level 0 come from the first stage. When a partition has released
//! what they passed, and what this completed is on its way, it says so to all partitions at level 1, and so on for as
//! deep as chains of correlations go; what waits at such a level is released when all partitions have said so.
//!
//! Saved are the marks, and the records of what waits, as they stood in the log: in pieces, one for each batch, each
//! written once and removed when nothing of it waits any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use dongson_bus::{Batch, Record};
use dongson_registry::StateParts;
use dongson_rules::RuleSet;
use dongson_rules::correlate::{Disorder, Outline, Room, Sequencer, Watermarks, depths};
use serde::{Deserialize, Serialize};

use crate::AnalyzerError;
use crate::item::Item;

/// Name of the part of the saved state that holds the marks.
const MARKS: &str = "order";
/// Names of the pieces begin so; the first and the last offset follow.
const HELD: &str = "held/";

/// The waiting items of one partition.
#[derive(Debug)]
pub(crate) struct Order {
    sequencer: Sequencer<Item>,
    depths: Arc<BTreeMap<String, u8>>,
    partitions: u32,
    told: Told,
    /// What is to be told to all partitions after this batch, by level.
    onward: BTreeMap<u8, Round>,
    /// What all levels have passed now.
    settled: Option<Watermarks>,
    /// The saved pieces: first and last offset.
    pieces: BTreeMap<u64, u64>,
    /// The marks as they were last saved.
    saved: Vec<u8>,
}

/// What each partition told last, by level.
type Told = BTreeMap<u8, BTreeMap<u32, Round>>;

/// Watermarks with the number of their record.
type Round = (u64, Watermarks);

#[derive(Serialize, Deserialize)]
struct Marks<O, T> {
    outline: O,
    told: T,
}

impl Order {
    /// Nothing waits yet; the topic has `partitions`.
    pub(crate) fn new(rules: &RuleSet, partitions: u32) -> Self {
        Self {
            sequencer: Sequencer::new(Room::default()),
            depths: Arc::new(depths(rules)),
            partitions,
            told: Told::new(),
            onward: BTreeMap::new(),
            settled: None,
            pieces: BTreeMap::new(),
            saved: Vec::new(),
        }
    }

    /// Takes the item at `offset`; adds everything whose turn it is to `out`, in order.
    pub(crate) fn take(&mut self, offset: u64, item: Item, out: &mut Vec<Item>) {
        match item {
            Item::Watermarks { level, from, number, marks } => {
                self.advance(level, from, (number, marks), out);
            }
            item => self.sequencer.push(self.level(&item), offset, item, out),
        }
    }

    fn level(&self, item: &Item) -> u8 {
        match item {
            Item::Counted { seen, .. } => self.depths.get(&seen.correlation).copied().unwrap_or(0),
            _ => 0,
        }
    }

    fn advance(&mut self, level: u8, from: u32, round: Round, out: &mut Vec<Item>) {
        let deepest = self.depths.values().copied().max().unwrap_or(0);
        if level > deepest {
            return;
        }
        let round = if level == 0 {
            round
        } else {
            let told = self.told.entry(level).or_default();
            told.insert(from, round);
            if u32::try_from(told.len()).is_ok_and(|several| several < self.partitions) {
                return;
            }
            // What all have told: who is behind tells how far.
            let Some(least) = told.values().min_by_key(|(number, _)| *number) else { return };
            least.clone()
        };
        self.sequencer.advance(level, &round.1, out);
        if level < deepest {
            self.onward.insert(level + 1, round);
        } else {
            self.settled = Some(round.1);
        }
    }

    /// What the last record that was taken let all levels pass, if it did.
    pub(crate) fn settled(&mut self) -> Option<Watermarks> {
        self.settled.take()
    }

    /// What all partitions are to be told once what was released is counted, and what it completed is on its way.
    pub(crate) fn onward(&mut self, from: u32) -> Result<Vec<Record>, AnalyzerError> {
        let mut records = Vec::new();
        for (level, (number, marks)) in std::mem::take(&mut self.onward) {
            records
                .extend(Item::Watermarks { level, from, number, marks }.to_every_partition(self.partitions)?);
        }
        Ok(records)
    }

    /// What of the saved state `batch` changed.
    pub(crate) fn save(&mut self, batch: &Batch, parts: &mut StateParts) -> Result<(), AnalyzerError> {
        let marks = Marks { outline: self.sequencer.outline(), told: &self.told };
        let marks = serde_json::to_vec(&marks).map_err(AnalyzerError::Encode)?;
        if marks != self.saved {
            parts.insert(MARKS.to_owned(), Some(marks.clone()));
            self.saved = marks;
        }
        self.pieces.retain(|&first, &mut last| {
            let waits = self.sequencer.numbers(first, last).next().is_some();
            if !waits {
                parts.insert(piece_name(first, last), None);
            }
            waits
        });
        let piece = self.piece(batch);
        if !piece.is_empty() {
            self.pieces.insert(batch.first, batch.last);
            parts.insert(piece_name(batch.first, batch.last), Some(piece));
        }
        Ok(())
    }

    /// The records of `batch` that wait: offset, length and value of each, numbers with their low byte first.
    fn piece(&self, batch: &Batch) -> Vec<u8> {
        let mut piece = Vec::new();
        for offset in self.sequencer.numbers(batch.first, batch.last) {
            let at = usize::try_from(offset - batch.first).unwrap_or(usize::MAX);
            let Some(record) = batch.records.get(at) else { continue };
            let length = u32::try_from(record.value.len()).unwrap_or(u32::MAX);
            piece.extend(offset.to_le_bytes());
            piece.extend(length.to_le_bytes());
            piece.extend_from_slice(&record.value);
        }
        piece
    }

    /// Takes what was saved.
    pub(crate) fn restore(&mut self, parts: &BTreeMap<String, Vec<u8>>) -> Result<(), serde_json::Error> {
        let Some(text) = parts.get(MARKS) else { return Ok(()) };
        let marks: Marks<Outline, Told> = serde_json::from_slice(text)?;
        self.sequencer = Sequencer::restore(Room::default(), marks.outline);
        self.told = marks.told;
        self.saved.clone_from(text);
        for (name, piece) in parts {
            let Some((first, last)) = piece_offsets(name) else { continue };
            // Also one of which nothing waits any more is known, so that it is removed.
            self.pieces.insert(first, last);
            for (offset, value) in records_of(piece) {
                let item: Item = serde_json::from_slice(value)?;
                self.sequencer.put_back(self.level(&item), offset, item);
            }
        }
        Ok(())
    }

    /// How many wait.
    pub(crate) fn held(&self) -> usize {
        self.sequencer.held()
    }

    /// What did not go by the order, since the start.
    pub(crate) fn disorder(&self) -> Disorder {
        self.sequencer.disorder()
    }
}

fn piece_name(first: u64, last: u64) -> String {
    format!("{HELD}{first}-{last}")
}

fn piece_offsets(name: &str) -> Option<(u64, u64)> {
    let (first, last) = name.strip_prefix(HELD)?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// The records of a piece; a torn end is left out.
fn records_of(mut piece: &[u8]) -> Vec<(u64, &[u8])> {
    let mut records = Vec::new();
    while let Some((offset, rest)) = piece.split_first_chunk()
        && let Some((length, rest)) = rest.split_first_chunk()
        && let Ok(length) = usize::try_from(u32::from_le_bytes(*length))
        && let Some((value, rest)) = rest.split_at_checked(length)
    {
        records.push((u64::from_le_bytes(*offset), value));
        piece = rest;
    }
    records
}
