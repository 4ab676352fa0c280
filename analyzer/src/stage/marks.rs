//! How far the sources have told, as the first stage sees it, and the records that say so to the second.

use std::collections::{BTreeMap, BTreeSet};

use dongson_bus::Record;
use dongson_event::{Event, Timestamp};
use dongson_rules::correlate::{Lateness, Progress, Timed as _};

use crate::AnalyzerError;
use crate::item::Item;

/// So many rounds in which everything that was asked for came: who of all partitions waits had a turn in them.
const ROUNDS: u64 = 32;

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
    /// How far the input is processed, by the clock; never goes back. None before anything is known of it.
    clock: Option<Timestamp>,
    /// Up to when each partition is processed, while more waits than is read at once; and in which round that was seen.
    behind: BTreeMap<(String, u32), (Timestamp, u64)>,
    rounds: u64,
    /// The number of the last record.
    number: u64,
}

impl Marks {
    /// For a signals topic of `partitions`.
    pub(crate) fn new(lateness: Lateness, partitions: u32) -> Self {
        Self {
            progress: Progress::new(lateness),
            partitions,
            clock: None,
            behind: BTreeMap::new(),
            rounds: 0,
            number: 0,
        }
    }

    /// Takes what batches told whose items are on the bus, each with its topic and partition. `read` is when everything
    /// was read that there was; `None` while there is more to read than is taken at once: then what was taken in later is
    /// still to come, so the clock goes by the partition that is furthest behind, and who waits there is not taken for
    /// silent.
    pub(crate) fn hear<'h>(
        &mut self,
        batches: impl Iterator<Item = ((&'h str, u32), &'h Heard)> + Clone,
        read: Option<Timestamp>,
    ) {
        let until = read.or_else(|| self.processed(batches.clone()));
        if read.is_some() {
            self.behind.clear();
        }
        self.clock = self.clock.max(until);
        let Some(clock) = self.clock else { return };
        for (_, heard) in batches {
            for (agency, sources) in &heard.sources {
                for (source, at) in sources {
                    self.progress.tell(agency, source, *at, clock);
                }
            }
            for scope in &heard.waiting {
                self.progress.wait(scope, clock);
            }
        }
    }

    /// Up to when all partitions are processed in which something may wait.
    fn processed<'h>(
        &mut self,
        batches: impl Iterator<Item = ((&'h str, u32), &'h Heard)>,
    ) -> Option<Timestamp> {
        self.rounds += 1;
        let now = self.rounds;
        for ((topic, partition), heard) in batches {
            self.behind.insert((topic.to_owned(), partition), (heard.taken, now));
        }
        self.behind.retain(|_, (_, round)| now - *round < ROUNDS);
        self.behind.values().map(|(taken, _)| *taken).min()
    }

    /// What is to be told now, to every partition; nothing while nothing changed.
    pub(crate) fn records(&mut self) -> Result<Vec<Record>, AnalyzerError> {
        // Before the first round there is no clock: listening for a while must begin when there is.
        let Some(clock) = self.clock else { return Ok(Vec::new()) };
        let marks = self.progress.watermarks(clock);
        metrics::gauge!("analyzer_order_sources")
            .set(f64::from(u32::try_from(self.progress.sources()).unwrap_or(u32::MAX)));
        let Some(marks) = marks else { return Ok(Vec::new()) };
        // By the clock, so that it rises over restarts, too.
        self.number = u64::try_from(clock.nanos()).unwrap_or(0).max(self.number + 1);
        Item::Watermarks { level: 0, from: 0, number: self.number, marks }.to_every_partition(self.partitions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// What one event of `observer` told that was taken in at this second.
    fn heard(observer: &str, second: i64) -> Heard {
        let mut event = Event::of("sensor.conn", Timestamp::from_seconds(second));
        event.set("event.ingested", Timestamp::from_seconds(second));
        event.set("organization.id", "xa-a");
        event.set("observer.name", observer);
        let mut heard = Heard::default();
        heard.event(&event);
        heard
    }

    /// The watermark of the records, if there are any.
    fn told(records: &[Record]) -> Option<i64> {
        let Item::Watermarks { marks, .. } = Item::from_record(records.first()?).unwrap() else {
            return None;
        };
        marks.of("xa-a").map(Timestamp::seconds)
    }

    #[test]
    fn after_a_start_it_listens_however_long_the_first_round_took() {
        let lateness = Lateness { within_source: Duration::from_secs(5), ..Lateness::default() };
        let mut marks = Marks::new(lateness, 1);
        // The first round read nothing, but took so long that the records are due.
        marks.hear(std::iter::empty(), None);
        assert!(marks.records().unwrap().is_empty());
        // A backlog: the slower source is in the second part of it.
        let place = ("events", 0);
        marks.hear([(place, &heard("quick", 1_000_005))].into_iter(), None);
        assert!(marks.records().unwrap().is_empty(), "it does not know yet who speaks");
        let both = [(place, &heard("slow", 1_000_004)), (("events", 1), &heard("quick", 1_000_014))];
        marks.hear(both.into_iter(), None);
        assert!(marks.records().unwrap().is_empty());
        let both = [(place, &heard("slow", 1_000_009)), (("events", 1), &heard("quick", 1_000_015))];
        marks.hear(both.into_iter(), None);
        marks.hear(std::iter::empty(), Some(Timestamp::from_seconds(1_000_015)));
        assert_eq!(told(&marks.records().unwrap()), Some(1_000_009 - 5 - 1));
    }

    #[test]
    fn a_partition_that_is_ahead_does_not_make_the_others_silent() {
        let mut marks = Marks::new(Lateness::default(), 1);
        let (events, unparsed) = (("events", 0), ("unparsed", 0));
        for second in 0..40 {
            marks.hear([(events, &heard("node", 1_000_000 + second))].into_iter(), None);
        }
        assert_eq!(told(&marks.records().unwrap()), Some(1_000_039 - 10 - 1));
        // A flood that ends an hour later is read in a round of its own.
        marks.hear([(unparsed, &heard("flood", 1_003_600))].into_iter(), None);
        assert!(marks.records().unwrap().is_empty(), "the node still speaks, and nobody passes it by");
        // The flood is over: sooner or later it does not count any more.
        let rounds = i64::try_from(ROUNDS).unwrap();
        for second in 40..=40 + rounds {
            marks.hear([(events, &heard("node", 1_000_000 + second))].into_iter(), None);
        }
        assert_eq!(marks.behind.len(), 1);
        assert_eq!(marks.clock, Some(Timestamp::from_seconds(1_000_040 + rounds)));
    }
}
