//! The order of event time, made again from streams that arrive as they like.
//!
//! Every source (a monitored point) has its own watermark: the moment up to which it has told everything. It comes as
//! a record of the log ([`Watermark`]), so that a replay reads it instead of computing it, or from the newest event of
//! the source less the stated lateness. What is held is released in the order (event time, event id, correlation,
//! rule) once all sources of its agency have passed it, so the order in which streams were mixed does not matter.

use std::collections::BTreeMap;
use std::time::Duration;

use dongson_event::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::RuleMatchKeyed;
use super::state::{StateError, VERSION};

/// Most items that are held for one agency; beyond it the oldest are released early and counted.
const MAX_HELD: usize = 50_000;
/// Most sources of one agency, and most agencies.
const MAX_SOURCES: usize = 4_096;

/// How long is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lateness {
    /// How much older than the newest of its source an event may come. Zero: each source is in order.
    pub within_source: Duration,
    /// How far a source may be behind the middle one of its agency before nobody waits for it any longer.
    pub between_sources: Duration,
}

impl Default for Lateness {
    fn default() -> Self {
        Self { within_source: Duration::from_secs(10), between_sources: Duration::from_mins(2) }
    }
}

/// A source has told everything up to `at`. A first one, at the start of a stream, makes the source known, so that it
/// is waited for; one at [`Watermark::END`] says that nothing follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// The agency.
    pub scope: String,
    /// The monitored point.
    pub source: String,
    /// Event time.
    pub at: Timestamp,
}

impl Watermark {
    /// Later than everything.
    pub const END: Timestamp = Timestamp::from_nanos(i64::MAX);
}

/// What can be put into order.
pub trait Timed {
    /// What correlations see of it.
    fn seen(&self) -> &RuleMatchKeyed;
}

impl Timed for RuleMatchKeyed {
    fn seen(&self) -> &RuleMatchKeyed {
        self
    }
}

/// Event time, event id, correlation, rule.
type Place = (Timestamp, String, String, String);

fn place(seen: &RuleMatchKeyed) -> Place {
    (seen.at, seen.event.clone(), seen.correlation.clone(), seen.base.clone())
}

/// Holds items until their turn. The same item twice is once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub struct Sequencer<T> {
    lateness: Lateness,
    lanes: BTreeMap<String, Lane<T>>,
    late: u64,
    forced: u64,
}

/// A state on its way.
#[derive(Serialize, Deserialize)]
struct Saved<S> {
    #[serde(default)]
    version: u32,
    sequencer: S,
}

/// What is held for one agency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
struct Lane<T> {
    sources: BTreeMap<String, Timestamp>,
    #[serde(with = "pairs")]
    held: BTreeMap<Place, T>,
    /// The last that was released.
    released: Option<Place>,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { sources: BTreeMap::new(), held: BTreeMap::new(), released: None }
    }
}

impl<T: Timed> Sequencer<T> {
    /// Holds nothing yet.
    pub fn new(lateness: Lateness) -> Self {
        Self { lateness, lanes: BTreeMap::new(), late: 0, forced: 0 }
    }

    /// Takes one item; adds everything whose turn it is to `out`. What comes after its turn is passed on at once and
    /// counted as late.
    pub fn push(&mut self, item: T, out: &mut Vec<T>) {
        let seen = item.seen();
        // Others of the same moment may follow: only what is older is complete.
        let mark = seen.at.minus(self.lateness.within_source).minus(Duration::from_nanos(1));
        let (scope, source, place) = (seen.scope.clone(), seen.source.clone(), place(seen));
        let Some(lane) = self.lane(&scope) else { return out.push(item) };
        lane.mark(&source, mark);
        if lane.released.as_ref().is_some_and(|released| place < *released) {
            self.late += 1;
            out.push(item);
        } else if lane.released.as_ref() != Some(&place) {
            lane.held.insert(place, item);
        }
        self.release(&scope, out);
    }

    /// Takes a watermark; adds everything whose turn it is to `out`.
    pub fn advance(&mut self, watermark: &Watermark, out: &mut Vec<T>) {
        if let Some(lane) = self.lane(&watermark.scope) {
            lane.mark(&watermark.source, watermark.at);
            self.release(&watermark.scope, out);
        }
    }

    /// The input has ended: adds all that is held.
    pub fn flush(&mut self, out: &mut Vec<T>) {
        for lane in self.lanes.values_mut() {
            lane.release(Watermark::END, out);
        }
    }

    /// The whole state as JSON text, with its version.
    ///
    /// # Errors
    /// When an item cannot be written.
    pub fn save(&self) -> Result<String, serde_json::Error>
    where
        T: Serialize,
    {
        serde_json::to_string(&Saved { version: VERSION, sequencer: self })
    }

    /// A saved state.
    ///
    /// # Errors
    /// When it is no state, or one of another version.
    pub fn restore(text: &str) -> Result<Self, StateError>
    where
        T: DeserializeOwned,
    {
        let saved: Saved<serde_json::Value> = serde_json::from_str(text)?;
        if saved.version != VERSION {
            return Err(StateError::Version { found: saved.version });
        }
        Ok(serde_json::from_value(saved.sequencer)?)
    }

    /// How many came after their turn.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// How many were released before all sources had passed them, because too much was held.
    pub fn forced(&self) -> u64 {
        self.forced
    }

    /// How many are held.
    pub fn held(&self) -> usize {
        self.lanes.values().map(|lane| lane.held.len()).sum()
    }

    /// Up to where the agency is released; `None` while nothing is known of it.
    pub fn watermark(&self, scope: &str) -> Option<Timestamp> {
        self.lanes.get(scope)?.watermark(self.lateness.between_sources)
    }

    /// The agency's lane; `None` when there are too many agencies.
    fn lane(&mut self, scope: &str) -> Option<&mut Lane<T>> {
        if self.lanes.len() >= MAX_SOURCES && !self.lanes.contains_key(scope) {
            return None;
        }
        Some(self.lanes.entry(scope.to_owned()).or_default())
    }

    fn release(&mut self, scope: &str, out: &mut Vec<T>) {
        let Some(lane) = self.lanes.get_mut(scope) else { return };
        if let Some(watermark) = lane.watermark(self.lateness.between_sources) {
            lane.release(watermark, out);
        }
        while lane.held.len() > MAX_HELD {
            self.forced += 1;
            out.extend(lane.release_first());
        }
    }
}

impl<T> Lane<T> {
    fn mark(&mut self, source: &str, at: Timestamp) {
        if let Some(mark) = self.sources.get_mut(source) {
            *mark = at.max(*mark);
            return;
        }
        if self.sources.len() >= MAX_SOURCES {
            // Made-up sources must not fill the table: the one that is furthest behind goes.
            let last = self.sources.iter().min_by_key(|(_, mark)| **mark).map(|(name, _)| name.clone());
            last.map(|name| self.sources.remove(&name));
        }
        self.sources.insert(source.to_owned(), at);
    }

    /// What all sources have passed, less those that are too far behind the middle one.
    fn watermark(&self, between: Duration) -> Option<Timestamp> {
        let open = self.sources.values().filter(|mark| **mark < Watermark::END);
        let mut marks: Vec<Timestamp> = open.copied().collect();
        marks.sort_unstable();
        let Some(&least) = marks.first() else {
            return (!self.sources.is_empty()).then_some(Watermark::END);
        };
        let middle = *marks.get((marks.len() - 1) / 2)?;
        Some(least.max(middle.minus(between)))
    }

    fn release(&mut self, watermark: Timestamp, out: &mut Vec<T>) {
        while self.held.first_key_value().is_some_and(|((at, ..), _)| *at <= watermark) {
            out.extend(self.release_first());
        }
    }

    fn release_first(&mut self) -> Option<T> {
        let (place, item) = self.held.pop_first()?;
        self.released = Some(place);
        Some(item)
    }
}

/// A map with keys that are no texts, as a list of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Place;

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        map: &BTreeMap<Place, T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Place, T>, D::Error> {
        Ok(Vec::<(Place, T)>::deserialize(deserializer)?.into_iter().collect())
    }
}
