//! How far the sources have told, as the first stage sees it, and the records that say so to the second.

use std::collections::{BTreeMap, BTreeSet};

use dongson_bus::Record;
use dongson_event::{Event, Timestamp};
use dongson_rules::correlate::{Lateness, Progress, Timed as _};

use crate::AnalyzerError;
use crate::item::Item;

/// What the collector says about a source is not told by that source.
const ABOUT_SOURCES: &str = "dongson.health";

/// What a batch told.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// By agency and source the newest moment.
    sources: BTreeMap<String, BTreeMap<String, Timestamp>>,
    /// Whose items wait for their turn.
    waiting: BTreeSet<String>,
    /// When the newest event was taken in.
    taken: Timestamp,
}

impl Heard {
    /// Notes an event: its source has told so far. A clock that is ahead is held at the moment of intake.
    pub(crate) fn event(&mut self, event: &Event) {
        let taken = event.time("event.ingested").unwrap_or_default();
        self.taken = self.taken.max(taken);
        if event.dataset() == ABOUT_SOURCES {
            return;
        }
        let Some(at) = event.timestamp() else { return };
        let at = if taken == Timestamp::default() { at } else { at.min(taken) };
        self.source(event.organization(), event.text("observer.name").unwrap_or_default(), at);
    }

    /// Notes the items of an event.
    pub(crate) fn items(&mut self, items: &[Item]) {
        for item in items {
            let waits = matches!(item, Item::Script { .. } | Item::Counted { .. });
            if waits && !self.waiting.contains(item.scope()) {
                self.waiting.insert(item.scope().to_owned());
            }
        }
    }

    /// Adds what another part of the batch told.
    pub(crate) fn add(&mut self, other: Self) {
        for (agency, sources) in &other.sources {
            for (source, at) in sources {
                self.source(agency, source, *at);
            }
        }
        self.waiting.extend(other.waiting);
        self.taken = self.taken.max(other.taken);
    }

    fn source(&mut self, agency: &str, source: &str, at: Timestamp) {
        if !self.sources.contains_key(agency) {
            self.sources.insert(agency.to_owned(), BTreeMap::new());
        }
        let Some(own) = self.sources.get_mut(agency) else { return };
        match own.get_mut(source) {
            Some(newest) => *newest = at.max(*newest),
            None => drop(own.insert(source.to_owned(), at)),
        }
    }
}

/// Makes the records.
#[derive(Debug)]
pub(crate) struct Marks {
    progress: Progress,
    partitions: u32,
    /// How far the input is processed, by the clock; never goes back.
    clock: Timestamp,
    /// The number of the last record.
    number: u64,
}

impl Marks {
    /// For a signals topic of `partitions`.
    pub(crate) fn new(lateness: Lateness, partitions: u32) -> Self {
        Self { progress: Progress::new(lateness), partitions, clock: Timestamp::default(), number: 0 }
    }

    /// Takes what batches told whose items are on the bus. `read` is when everything was read that there was; `None`
    /// while there is more to read than is taken at once: then what was taken in later is still to come, so the clock
    /// goes by that, and who waits there is not taken for silent.
    pub(crate) fn hear<'h>(
        &mut self,
        batches: impl Iterator<Item = &'h Heard> + Clone,
        read: Option<Timestamp>,
    ) {
        let until = read.or_else(|| batches.clone().map(|heard| heard.taken).min());
        self.clock = self.clock.max(until.unwrap_or_default());
        for heard in batches {
            for (agency, sources) in &heard.sources {
                for (source, at) in sources {
                    self.progress.tell(agency, source, *at, self.clock);
                }
            }
            for scope in &heard.waiting {
                self.progress.wait(scope, self.clock);
            }
        }
    }

    /// What is to be told now, to every partition; nothing while nothing changed.
    pub(crate) fn records(&mut self) -> Result<Vec<Record>, AnalyzerError> {
        let marks = self.progress.watermarks(self.clock);
        metrics::gauge!("analyzer_order_sources")
            .set(f64::from(u32::try_from(self.progress.sources()).unwrap_or(u32::MAX)));
        let Some(marks) = marks else { return Ok(Vec::new()) };
        // By the clock, so that it rises over restarts, too.
        self.number = u64::try_from(self.clock.nanos()).unwrap_or(0).max(self.number + 1);
        Item::Watermarks { level: 0, from: 0, number: self.number, marks }.to_every_partition(self.partitions)
    }
}
