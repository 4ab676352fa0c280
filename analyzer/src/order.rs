//! What waits in one partition of the signals topic until it is its turn by event time.
//!
//! The watermarks are records of the topic. Those of level 0 are made of what the readers of the first stage tell, each of
//! its own partitions of the events. When a partition has released
//! what they passed, and what this completed is on its way, it says so to all partitions at level 1, and so on for as
//! deep as chains of correlations go; what waits at such a level is released when all partitions have said so.
//!
//! Saved are the marks, and the records of what waits, as they stood in the log: in pieces, one for each batch, each
//! written once and removed when nothing of it waits any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dongson_bus::{Batch, Record};
use dongson_registry::StateParts;
use dongson_rules::RuleSet;
use dongson_rules::correlate::{Disorder, Outline, Room, Sequencer, Told, Watermarks, depths};
use serde::{Deserialize, Serialize};

use crate::AnalyzerError;
use crate::item::Item;

/// Name of the part of the saved state that holds the marks.
const MARKS: &str = "order";
/// Names of the pieces begin so; the first and the last offset follow.
const HELD: &str = "held/";
/// Form of the marks; those of another form are refused.
const VERSION: u32 = 1;

/// Why what was saved cannot be taken as it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OrderError {
    /// The marks are none, or are not there.
    #[error(
        "the marks of the order cannot be read: {0}; what waited is counted anew, some of it perhaps twice"
    )]
    Marks(String),
    /// A record that waited.
    #[error(
        "the record at offset {offset}, which waited for its turn, is not understood: {reason}; it is left out"
    )]
    Record {
        /// Where it stood in the log.
        offset: u64,
        /// What is wrong with it.
        reason: serde_json::Error,
    },
}

/// The waiting items of one partition.
#[derive(Debug)]
pub(crate) struct Order {
    sequencer: Sequencer<Item>,
    depths: Arc<BTreeMap<String, u8>>,
    partitions: u32,
    inputs: Inputs,
    told: Levels,
    /// What is to be told to all partitions after this batch, by level.
    onward: BTreeMap<u8, Round>,
    /// What all levels have passed now.
    settled: Option<Watermarks>,
    /// The saved pieces: first and last offset.
    pieces: BTreeMap<u64, u64>,
    /// The marks as they were last saved.
    saved: Vec<u8>,
}

/// What each partition told last, by level, from level 1 on.
type Levels = BTreeMap<u8, BTreeMap<u32, Round>>;

/// What each part of the input of the first stage told last.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Inputs {
    /// How many there are; 0 while only an earlier version of the program has told anything.
    of: u32,
    behind_seconds: u64,
    parts: BTreeMap<u32, Told>,
}

/// Watermarks with the number of their record.
type Round = (u64, Watermarks);

#[derive(Serialize, Deserialize)]
struct Marks<O, I, T, D> {
    version: u32,
    outline: O,
    /// Earlier versions have none.
    #[serde(default)]
    inputs: I,
    told: T,
    /// How deep correlations stand in chains; not those that stand at their begin.
    depths: D,
}

impl Order {
    /// Nothing waits yet; the topic has `partitions`.
    pub(crate) fn new(rules: &RuleSet, partitions: u32) -> Self {
        Self {
            sequencer: Sequencer::new(Room::default()),
            depths: Arc::new(depths(rules)),
            partitions,
            inputs: Inputs::default(),
            told: Levels::new(),
            onward: BTreeMap::new(),
            settled: None,
            pieces: BTreeMap::new(),
            saved: Vec::new(),
        }
    }

    /// Takes the item at `offset`, whose record has `bytes`; adds everything whose turn it is to `out`, in order.
    pub(crate) fn take(&mut self, (offset, bytes): (u64, usize), item: Item, out: &mut Vec<Item>) {
        match item {
            Item::Told { of, behind_seconds, parts } => {
                if let Some(round) = self.inputs.hear(of, behind_seconds, parts) {
                    self.pass(0, round, out);
                }
            }
            Item::Watermarks { level: 0, number, marks, .. } => {
                if self.inputs.of == 0 {
                    self.pass(0, (number, marks), out);
                }
            }
            Item::Watermarks { level, from, number, marks } => {
                self.advance(level, from, (number, marks), out);
            }
            item => self.sequencer.push(self.level(&item), (offset, bytes), item, out),
        }
    }

    fn level(&self, item: &Item) -> u8 {
        level_of(item, &self.depths)
    }

    fn chained(&self) -> BTreeMap<&str, u8> {
        self.depths.iter().filter(|(_, depth)| **depth > 0).map(|(id, depth)| (id.as_str(), *depth)).collect()
    }

    fn deepest(&self) -> u8 {
        self.depths.values().copied().max().unwrap_or(0)
    }

    fn advance(&mut self, level: u8, from: u32, round: Round, out: &mut Vec<Item>) {
        if level > self.deepest() {
            return;
        }
        let told = self.told.entry(level).or_default();
        told.insert(from, round);
        if u32::try_from(told.len()).is_ok_and(|several| several < self.partitions) {
            return;
        }
        // What all have told: of each agency, who is behind tells how far.
        let number = told.values().map(|(number, _)| *number).min().unwrap_or(0);
        let least = Watermarks::least(told.values().map(|(_, marks)| marks));
        self.pass(level, (number, least), out);
    }

    /// Everything of `level` is told up to the marks of `round`.
    fn pass(&mut self, level: u8, round: Round, out: &mut Vec<Item>) {
        self.sequencer.advance(level, &round.1, out);
        if level < self.deepest() {
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
        let outline = self.sequencer.outline();
        let (inputs, told, depths) = (&self.inputs, &self.told, self.chained());
        let marks = Marks { version: VERSION, outline, inputs, told, depths };
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

    /// Takes what was saved, as far as it can be read.
    ///
    /// # Errors
    /// The first thing that cannot be read.
    pub(crate) fn restore(&mut self, parts: &BTreeMap<String, Vec<u8>>) -> Result<(), OrderError> {
        let pieces: BTreeMap<(u64, u64), &[u8]> =
            parts.iter().filter_map(|(name, piece)| Some((piece_offsets(name)?, piece.as_slice()))).collect();
        let (depths, mut failed) = match parts.get(MARKS).map(|text| self.restore_marks(text)) {
            Some(Ok(depths)) => (Some(depths), Ok(())),
            Some(Err(error)) => (None, Err(error)),
            None if pieces.is_empty() => (None, Ok(())),
            None => (None, Err(OrderError::Marks("there are none".to_owned()))),
        };
        for ((first, last), piece) in pieces {
            // Also one of which nothing waits any more is known, so that it is removed.
            self.pieces.insert(first, last);
            for (offset, value) in records_of(piece) {
                match serde_json::from_slice(value) {
                    Ok(item) => self.put_back((offset, value.len()), item, depths.as_ref()),
                    Err(reason) => failed = failed.and(Err(OrderError::Record { offset, reason })),
                }
            }
        }
        self.sequencer.keep_levels(self.deepest());
        failed
    }

    /// Takes back an item that was once held; `depths` are those of then, `None` when nothing is known of then.
    fn put_back(&mut self, numbered: (u64, usize), item: Item, depths: Option<&BTreeMap<String, u8>>) {
        let level = self.level(&item);
        let before = depths.map(|depths| level_of(&item, depths));
        if before == Some(level) {
            self.sequencer.put_back(level, numbered, item);
        } else if before.is_none_or(|before| self.sequencer.still_waits(before, numbered.0, &item)) {
            // The rules are other ones now: it stands elsewhere in chains.
            self.sequencer.hold_again(level, numbered, item);
        }
    }

    /// Takes the marks; answers how deep correlations stood then.
    fn restore_marks(&mut self, text: &[u8]) -> Result<BTreeMap<String, u8>, OrderError> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            version: u32,
        }
        let unreadable = |error: serde_json::Error| OrderError::Marks(error.to_string());
        let Head { version } = serde_json::from_slice(text).map_err(unreadable)?;
        if version != VERSION {
            let reason = format!("they have version {version}; this program reads version {VERSION}");
            return Err(OrderError::Marks(reason));
        }
        let marks: Marks<Outline, Inputs, Levels, BTreeMap<String, u8>> =
            serde_json::from_slice(text).map_err(unreadable)?;
        self.sequencer = Sequencer::restore(Room::default(), marks.outline);
        self.inputs = marks.inputs;
        self.told = marks.told;
        let deepest = self.deepest();
        self.told.retain(|level, _| *level <= deepest);
        self.saved = text.to_vec();
        Ok(marks.depths)
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

impl Inputs {
    /// Takes what was told of some parts; the watermarks of all together once each has told something. What is older than
    /// what is known comes from a reader that has lost the part since.
    fn hear(&mut self, of: u32, behind_seconds: u64, parts: BTreeMap<u32, Told>) -> Option<Round> {
        (self.of, self.behind_seconds) = (of, behind_seconds);
        for (number, told) in parts {
            let place = |told: &Told| (told.read, told.clock);
            if self.parts.get(&number).is_none_or(|known| place(known) <= place(&told)) {
                self.parts.insert(number, told);
            }
        }
        self.parts.retain(|number, _| *number < of);
        if u32::try_from(self.parts.len()).is_ok_and(|told| told < of) {
            return None;
        }
        let clock = self.parts.values().map(|told| told.clock.nanos()).min().unwrap_or(0);
        let marks = Watermarks::together(self.parts.values(), Duration::from_secs(behind_seconds));
        Some((u64::try_from(clock).unwrap_or(0), marks))
    }
}

/// The level at which an item waits: how deep its correlation stands in chains.
fn level_of(item: &Item, depths: &BTreeMap<String, u8>) -> u8 {
    match item {
        Item::Counted { seen, .. } => depths.get(&seen.correlation).copied().unwrap_or(0),
        _ => 0,
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

#[cfg(test)]
mod tests {
    use super::*;
    use dongson_event::Timestamp;
    use dongson_rules::LoadOptions;
    use dongson_rules::correlate::{RuleMatchKeyed, Timed as _};

    /// A correlation, and one that counts it.
    fn rules() -> RuleSet {
        loaded(CHAIN)
    }

    fn loaded(text: &str) -> RuleSet {
        let report = RuleSet::from_documents([("r.yml", text)], &LoadOptions::default());
        assert_eq!(report.refused, []);
        report.rules
    }

    const CHAIN: &str = "
title: Fail
id: fail
logsource: {product: dongson, service: conn}
detection: {s: {event.action: fail}, condition: s}
---
title: Many
id: many
correlation: {type: event_count, rules: [fail], group-by: [user.name], timespan: 8s, condition: {gte: 3}}
---
title: More
id: more
correlation: {type: event_count, rules: [many], group-by: [user.name], timespan: 8s, condition: {gte: 3}}
";

    fn counted(correlation: &str, second: i64) -> Item {
        let seen = RuleMatchKeyed {
            correlation: correlation.to_owned(),
            scope: "xa-a".to_owned(),
            group: vec![("user.name".to_owned(), "u".to_owned())],
            base: "fail".to_owned(),
            value: None,
            at: Timestamp::from_seconds(second),
            event: format!("e{second}"),
            source: "node".to_owned(),
            organization: "xa-a".to_owned(),
            carried: BTreeMap::new(),
        };
        let ingested = Timestamp::from_seconds(second);
        Item::Counted { seen: Box::new(seen), ingested, observer: String::new(), asset_level: 0 }
    }

    fn marks(level: u8, from: u32, number: u64, second: Option<i64>) -> Item {
        let marks = second.map(|second| ("xa-a", Timestamp::from_seconds(second))).into_iter().collect();
        Item::Watermarks { level, from, number, marks }
    }

    #[test]
    fn nobody_is_passed_by_who_is_a_record_behind() {
        let mut order = Order::new(&rules(), 2);
        let mut out = Vec::new();
        let mut take = |offset, item, out: &mut Vec<Item>| order.take((offset, 100), item, out);
        // Partition 1 is ahead: the agency speaks again there, and what it completed waits at level 1.
        take(0, marks(1, 0, 10, None), &mut out);
        take(1, marks(1, 1, 11, Some(20)), &mut out);
        take(2, counted("more", 19), &mut out);
        take(3, marks(1, 1, 12, Some(21)), &mut out);
        assert_eq!(out, [], "partition 0 may still complete something older");
        take(4, counted("more", 18), &mut out);
        take(5, marks(1, 0, 12, Some(21)), &mut out);
        assert_eq!(out, [counted("more", 18), counted("more", 19)]);
    }

    /// A part of the input, read so far, whose sources have told so far.
    fn told(of: u32, part: u32, read: u64, second: Option<i64>) -> Item {
        let marks = second.map(|second| ("xa-a", Timestamp::from_seconds(second))).into_iter().collect();
        let told = Told { read, clock: Timestamp::from_seconds(1_000), marks };
        Item::Told { of, behind_seconds: 120, parts: BTreeMap::from([(part, told)]) }
    }

    #[test]
    fn parts_of_the_input_are_heard_together_and_over_restarts() {
        let mut order = Order::new(&rules(), 1);
        let mut out = Vec::new();
        order.take((0, 100), counted("many", 900), &mut out);
        order.take((1, 100), told(2, 0, 5, Some(910)), &mut out);
        assert_eq!(out, [], "the other part has told nothing yet");
        order.take((2, 100), told(2, 1, 5, Some(890)), &mut out);
        assert_eq!(out, [], "it is behind");
        // Who read the first part before says less than who reads it now.
        order.take((3, 100), told(2, 0, 4, Some(905)), &mut out);
        let mut parts = StateParts::new();
        let records = vec![counted("many", 900).to_record().unwrap()];
        let batch = Batch { topic: "t".to_owned(), partition: 0, first: 0, last: 0, records };
        order.save(&batch, &mut parts).unwrap();
        let parts = parts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let mut order = Order::new(&rules(), 1);
        order.restore(&parts).unwrap();
        // An earlier version's watermark says nothing of the parts.
        order.take((4, 100), marks(0, 0, 1, None), &mut out);
        assert_eq!(out, []);
        order.take((5, 100), told(2, 1, 6, Some(908)), &mut out);
        assert_eq!(out, [counted("many", 900)]);
        let settled: Vec<Record> = order.onward(0).unwrap();
        let Item::Watermarks { level: 1, marks, .. } = Item::from_record(&settled[0]).unwrap() else {
            panic!("{settled:?}")
        };
        assert_eq!(marks.of("xa-a").map(Timestamp::seconds), Some(908));
    }

    #[test]
    fn other_rules_lose_nothing_that_waits() {
        let flat = loaded(&CHAIN.replace("rules: [many]", "rules: [fail]"));
        for (before, now) in [(rules(), flat.clone()), (flat, rules())] {
            let items = [counted("more", 5), counted("many", 4), counted("more", 3)];
            let parts = saved(&before, items);
            let mut order = Order::new(&now, 1);
            order.restore(&parts).unwrap();
            let mut out = Vec::new();
            for (offset, level) in (20..).zip([0, 1]) {
                order.take((offset, 100), marks(level, 0, offset, Some(6)), &mut out);
            }
            out.sort_by_key(Item::place);
            assert_eq!(out, [counted("more", 3), counted("many", 4), counted("more", 5)]);
        }
    }

    /// What is saved of records that wait, of offset 7 and those that follow.
    fn saved<const N: usize>(rules: &RuleSet, items: [Item; N]) -> BTreeMap<String, Vec<u8>> {
        let records: Vec<Record> = items.iter().map(|item| item.to_record().unwrap()).collect();
        let last = 6 + records.len() as u64;
        let batch = Batch { topic: "t".to_owned(), partition: 0, first: 7, last, records };
        let mut order = Order::new(rules, 1);
        for (offset, item) in (7..).zip(items) {
            order.take((offset, 100), item, &mut Vec::new());
        }
        let mut parts = StateParts::new();
        order.save(&batch, &mut parts).unwrap();
        parts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    #[test]
    fn what_waits_outlives_marks_and_neighbours_that_cannot_be_read() {
        let whole = saved(&rules(), [counted("many", 5), counted("many", 3)]);
        assert_eq!(whole.keys().collect::<Vec<_>>(), ["held/7-8", MARKS]);
        let with = |name: &str, value: &str| {
            let mut parts = whole.clone();
            parts.insert(name.to_owned(), value.into());
            parts
        };
        let mut without = whole.clone();
        without.remove(MARKS);
        let mut damaged = whole.clone();
        let piece = damaged.get_mut("held/7-8").unwrap();
        piece[12] = b'x';
        for (parts, reason, held) in [
            (whole.clone(), "", 2),
            (with(MARKS, "{\"version\":9}"), "version 9", 2),
            (with(MARKS, "{"), "cannot be read", 2),
            (without, "there are none", 2),
            (damaged, "offset 7", 1),
        ] {
            let mut order = Order::new(&rules(), 1);
            let told = order.restore(&parts).map_or_else(|error| error.to_string(), |()| String::new());
            assert!(told.contains(reason) && told.is_empty() == reason.is_empty(), "{told}");
            assert_eq!(order.held(), held, "{told}");
            let mut out = Vec::new();
            order.take((9, 100), marks(0, 0, 1, None), &mut out);
            assert_eq!(
                out.last(),
                Some(&counted("many", 5)).filter(|_| held == 2).or(Some(&counted("many", 3)))
            );
            let mut parts = StateParts::new();
            let last = Batch { topic: "t".to_owned(), partition: 0, first: 9, last: 9, records: Vec::new() };
            order.save(&last, &mut parts).unwrap();
            assert_eq!(parts.get("held/7-8"), Some(&None), "nothing of it waits any more");
        }
    }
}
