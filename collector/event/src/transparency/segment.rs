//! Segments: runs of records of one partition of the bus that were stored and are logged together.
//!
//! Each stored row carries the number of its segment, its place there (the offset less the segment's first) and two bytes
//! of its hash, so that a row that is gone or was changed can be named. What the store deletes together has a root of its
//! own: rows that are kept equally long and came on the same day.

use std::collections::BTreeMap;

use super::{Class, Frontier, leaf_hash};
use crate::batch::Hash;
use crate::{Event, TOPIC_EVENTS, TOPIC_UNPARSED};

/// Most classes of a segment; before one more it has to be sealed.
pub const MAX_CLASSES: usize = 32;

/// Nanoseconds of a day.
const DAY: i64 = 86_400_000_000_000;
/// Every segment has this bit, so that 0 means none.
const MADE: u64 = 1 << 63;
const UNPARSED: u64 = 1 << 62;
const PARTITION_BITS: u32 = 14;
const OFFSET_BITS: u32 = 48;

/// Where a segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(u64);

impl SegmentId {
    /// The segment that begins at `first`; `None` for a topic that is not stored and for numbers that no bus has.
    pub fn new(topic: &str, partition: u32, first: u64) -> Option<Self> {
        let topic = match topic {
            TOPIC_EVENTS => 0,
            TOPIC_UNPARSED => UNPARSED,
            _ => return None,
        };
        let fits = partition < 1 << PARTITION_BITS && first < 1 << OFFSET_BITS;
        fits.then(|| Self(MADE | topic | u64::from(partition) << OFFSET_BITS | first))
    }

    /// The segment with this number in its rows; `None` of 0.
    pub fn from_number(number: u64) -> Option<Self> {
        (number & MADE != 0).then_some(Self(number))
    }

    /// What stands in its rows.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The topic on the bus.
    pub fn topic(self) -> &'static str {
        if self.0 & UNPARSED == 0 { TOPIC_EVENTS } else { TOPIC_UNPARSED }
    }

    /// The partition.
    pub fn partition(self) -> u32 {
        u32::try_from(self.0 >> OFFSET_BITS & ((1 << PARTITION_BITS) - 1)).unwrap_or_default()
    }

    /// The offset of the first record.
    pub fn first(self) -> u64 {
        self.0 & ((1 << OFFSET_BITS) - 1)
    }

    /// The name of its entry: `topic/partition/first`.
    pub fn name(self) -> String {
        format!("{}/{}/{}", self.topic(), self.partition(), self.first())
    }

    /// The segment of the entry with this name, with or without `-last`.
    pub fn parse(name: &str) -> Option<Self> {
        let (topic, rest) = name.split_once('/')?;
        let (partition, run) = rest.split_once('/')?;
        let first = run.split_once('-').map_or(run, |(first, _)| first);
        Self::new(topic, partition.parse().ok()?, first.parse().ok()?)
    }
}

/// What a segment knows of one of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The leaf hash of the event as JSON ([`Event::to_json`]).
    pub leaf: Hash,
    /// How many days it is kept.
    pub days: u16,
    /// When it arrived, in nanoseconds since 1970.
    pub ingested: i64,
}

impl Row {
    /// The row of an event that is kept so many days.
    pub fn of(event: &Event, days: u16) -> Self {
        let ingested = event.time("event.ingested").map_or(0, crate::Timestamp::nanos);
        Self { leaf: leaf_hash(event.to_json().as_bytes()), days, ingested }
    }

    /// The two bytes that stand beside the row.
    pub fn check(&self) -> u16 {
        let [high, low, ..] = self.leaf;
        u16::from_be_bytes([high, low])
    }

    /// The class that it belongs to: days kept, day of arrival.
    pub fn class(&self) -> (u16, i64) {
        (self.days, self.ingested.div_euclid(DAY))
    }
}

/// The roots of a segment that grows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentRoots {
    classes: BTreeMap<(u16, i64), (Frontier, i64, i64)>,
}

impl SegmentRoots {
    /// Appends the row that is next by its place.
    pub fn push(&mut self, row: &Row) {
        let new = || (Frontier::new(), row.ingested, row.ingested);
        let (tree, since, until) = self.classes.entry(row.class()).or_insert_with(new);
        tree.push(row.leaf);
        *since = row.ingested.min(*since);
        *until = row.ingested.max(*until);
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.classes.values().map(|(tree, ..)| tree.size()).sum()
    }

    /// How many classes it has.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// What the log says of it.
    pub fn classes(&self) -> Vec<Class> {
        let class = |(&(days, day), (tree, since, until)): (&(u16, i64), &(Frontier, i64, i64))| Class {
            days,
            day,
            rows: tree.size(),
            since: *since,
            until: *until,
            root: hex::encode(tree.root()),
        };
        self.classes.iter().map(class).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_names_are_read_again(
            parsed: bool, partition in 0_u32..1 << PARTITION_BITS, first in 0_u64..1 << OFFSET_BITS,
        ) {
            let topic = if parsed { TOPIC_EVENTS } else { TOPIC_UNPARSED };
            let id = SegmentId::new(topic, partition, first).unwrap();
            prop_assert_eq!((id.topic(), id.partition(), id.first()), (topic, partition, first));
            prop_assert_eq!(SegmentId::from_number(id.number()), Some(id));
            prop_assert_eq!(SegmentId::parse(&id.name()), Some(id));
            prop_assert_eq!(SegmentId::parse(&format!("{}-{}", id.name(), first)), Some(id));
        }
    }

    #[test]
    fn what_is_deleted_together_has_its_own_root() {
        let row = |days, ingested, byte| Row { leaf: [byte; 32], days, ingested };
        let mut roots = SegmentRoots::default();
        for row in [row(180, 5, 1), row(365, 6, 2), row(180, 7, 3), row(180, DAY, 4)] {
            roots.push(&row);
        }
        let found: Vec<_> = roots.classes().iter().map(|one| (one.days, one.day, one.rows)).collect();
        assert_eq!(found, [(180, 0, 2), (180, 1, 1), (365, 0, 1)]);
        assert_eq!((roots.rows(), roots.len()), (4, 3));
        let tree: Frontier = [[1; 32], [3; 32]].into_iter().collect();
        let first = &roots.classes()[0];
        assert_eq!((first.since, first.until, &first.root), (5, 7, &hex::encode(tree.root())));
        assert_eq!(SegmentId::new("dongson.signals", 0, 0), None);
        assert_eq!(SegmentId::from_number(0), None);
    }
}
