//! How far the sources have told in each partition of the events, as its reader sees it, and the records that say so to
//! the second stage. A partition has one reader at a time, and takes what it knew along to nobody: a new reader listens
//! first, and until then what the old one told last stands.

use std::collections::BTreeMap;
use std::time::Duration;

use dongson_bus::Record;
use dongson_event::{Event, Timestamp};
use dongson_rules::correlate::{Lateness, Progress, Told, Watermarks};

use crate::AnalyzerError;
use crate::item::Item;

/// After so long it is told again how far a partition is read, although nothing else changed.
const TOLD_AGAIN: Duration = Duration::from_secs(10);

/// What the collector says about a source is not told by that source.
const ABOUT_SOURCES: &str = "dongson.health";

/// What a batch told.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// By agency and source the newest moment.
    sources: BTreeMap<String, BTreeMap<String, Timestamp>>,
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

    /// Adds what another part of the batch told.
    pub(crate) fn add(&mut self, other: &Self) {
        for (agency, sources) in &other.sources {
            for (source, at) in sources {
                self.source(agency, source, *at);
            }
        }
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
    lateness: Lateness,
    /// How many parts the input has: partitions of all topics that are read.
    inputs: u32,
    /// Partitions of the signals topic.
    partitions: u32,
    own: BTreeMap<u32, Input>,
}

/// A part of the input that is ours.
#[derive(Debug)]
struct Input {
    grant: u64,
    /// The offset of the next record.
    read: u64,
    progress: Progress,
    /// How far it is processed, by the clock; never goes back. None before anything is known of it.
    clock: Option<Timestamp>,
    /// None while it listens.
    marks: Option<Watermarks>,
    /// When it last told.
    told: Option<Timestamp>,
}

/// A part of the input as the reader has it: its number, the grant, the offset of the next record.
pub(crate) type Ours = (u32, u64, u64);

impl Marks {
    /// For an input of so many partitions, and a signals topic of `partitions`.
    pub(crate) fn new(lateness: Lateness, inputs: u32, partitions: u32) -> Self {
        Self { lateness, inputs, partitions, own: BTreeMap::new() }
    }

    /// Forgets what belongs to others now; begins to listen to what has become ours.
    pub(crate) fn keep(&mut self, held: impl Iterator<Item = Ours>) {
        let mut before = std::mem::take(&mut self.own);
        for (number, grant, read) in held {
            let known = before.remove(&number).filter(|input| input.grant == grant);
            let input = known.unwrap_or_else(|| Input {
                grant,
                read,
                progress: Progress::new(self.lateness),
                clock: None,
                marks: None,
                told: None,
            });
            self.own.insert(number, input);
        }
    }

    /// Takes what a batch told whose items are on the bus, all of it up to the offset `read`. While more is to be read the
    /// clock goes by when the events were taken in, so who waits there is not taken for silent; `now` is the latest that
    /// can be.
    pub(crate) fn hear(&mut self, number: u32, read: u64, heard: &Heard, now: Timestamp) {
        let Some(input) = self.own.get_mut(&number) else { return };
        input.read = input.read.max(read);
        let clock = input.pass(heard.taken.min(now));
        for (agency, sources) in &heard.sources {
            for (source, at) in sources {
                input.progress.tell(agency, source, *at, clock);
            }
        }
    }

    /// Everything was processed that a part had at `at`.
    pub(crate) fn caught_up(&mut self, number: u32, at: Timestamp) {
        if let Some(input) = self.own.get_mut(&number) {
            input.pass(at);
        }
    }

    /// What is to be told now, to every partition; nothing while nothing changed.
    pub(crate) fn records(&mut self) -> Result<Vec<Record>, AnalyzerError> {
        let sources: usize = self.own.values().map(|input| input.progress.sources()).sum();
        metrics::gauge!("analyzer_order_sources").set(f64::from(u32::try_from(sources).unwrap_or(u32::MAX)));
        let told = |(number, input): (&u32, &mut Input)| Some((*number, input.told()?));
        let parts: BTreeMap<u32, Told> = self.own.iter_mut().filter_map(told).collect();
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        let behind_seconds = self.lateness.between_sources.as_secs();
        Item::Told { of: self.inputs, behind_seconds, parts }.to_every_partition(self.partitions)
    }
}

impl Input {
    fn pass(&mut self, at: Timestamp) -> Timestamp {
        let clock = self.clock.map_or(at, |clock| clock.max(at));
        self.clock = Some(clock);
        clock
    }

    /// What there is to tell.
    fn told(&mut self) -> Option<Told> {
        // Before anything was read there is no clock: listening for a while must begin when there is.
        let clock = self.clock?;
        let news = self.progress.watermarks(clock);
        let due = news.is_some() || self.told.is_some_and(|told| clock.since(told) >= TOLD_AGAIN);
        self.marks = news.or(self.marks.take());
        let marks = self.marks.clone().filter(|_| due)?;
        self.told = Some(clock);
        Some(Told { read: self.read, clock, marks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    const LATE: Timestamp = Timestamp::from_seconds(2_000_000);

    /// The watermarks that are told, by the number of the part.
    fn told(marks: &mut Marks) -> Vec<(u32, Option<i64>)> {
        let records = marks.records().unwrap();
        let Some(record) = records.first() else { return Vec::new() };
        let Item::Told { parts, .. } = Item::from_record(record).unwrap() else { panic!("{record:?}") };
        let of = |told: &Told| told.marks.of("xa-a").map(Timestamp::seconds);
        parts.iter().map(|(number, told)| (*number, of(told))).collect()
    }

    #[test]
    fn after_a_start_it_listens_however_long_the_first_round_took() {
        let lateness = Lateness { within_source: Duration::from_secs(5), ..Lateness::default() };
        let mut marks = Marks::new(lateness, 1, 1);
        marks.keep([(0, 1, 0)].into_iter());
        // Nothing was read, but so much time has passed that the records are due.
        assert_eq!(told(&mut marks), []);
        // A backlog: the slower source is in the second part of it.
        marks.hear(0, 1, &heard("quick", 1_000_005), LATE);
        assert_eq!(told(&mut marks), [], "it does not know yet who speaks");
        marks.hear(0, 2, &heard("slow", 1_000_004), LATE);
        marks.hear(0, 3, &heard("quick", 1_000_014), LATE);
        assert_eq!(told(&mut marks), []);
        marks.hear(0, 4, &heard("slow", 1_000_009), LATE);
        marks.hear(0, 5, &heard("quick", 1_000_015), LATE);
        assert_eq!(told(&mut marks), [(0, Some(1_000_009 - 5 - 1))]);
    }

    #[test]
    fn each_part_tells_for_itself_and_begins_anew_with_its_reader() {
        let mut marks = Marks::new(Lateness::default(), 2, 1);
        let both = |grant| [(0, 1, 0), (1, grant, 0)].into_iter();
        marks.keep(both(2));
        let mut all = Vec::new();
        for second in 0..40 {
            marks.hear(0, 1, &heard("node", 1_000_000 + second), LATE);
            marks.caught_up(1, Timestamp::from_seconds(1_000_000 + second));
            all.extend(told(&mut marks));
        }
        assert_eq!(all.last(), Some(&(0, Some(1_000_039 - 10 - 1))));
        let silent: Vec<_> = all.iter().filter(|(number, _)| *number == 1).collect();
        assert_eq!(silent, [&(1, None); 3], "first after listening, and then each ten seconds");
        // A flood that ends an hour later is read in a round of its own: it makes nobody else silent.
        marks.hear(1, 1, &heard("flood", 1_003_600), LATE);
        marks.hear(0, 2, &heard("node", 1_000_040), LATE);
        assert_eq!(told(&mut marks), [(0, Some(1_000_040 - 10 - 1)), (1, Some(1_003_600 - 10 - 1))]);
        // Part 1 was another's meanwhile: nothing is said of it before it was listened to.
        marks.keep(both(3));
        marks.caught_up(1, Timestamp::from_seconds(1_003_602));
        assert_eq!(told(&mut marks), []);
        marks.caught_up(1, Timestamp::from_seconds(1_003_612));
        assert_eq!(told(&mut marks), [(1, None)]);
        // Nothing changes, and that is told now and then.
        marks.caught_up(1, Timestamp::from_seconds(1_003_621));
        assert_eq!(told(&mut marks), []);
        marks.caught_up(1, Timestamp::from_seconds(1_003_622));
        assert_eq!(told(&mut marks), [(1, None)]);
        marks.keep(std::iter::empty());
        marks.hear(0, 3, &heard("node", 1_003_700), LATE);
        assert_eq!(told(&mut marks), []);
    }

    #[test]
    fn a_collector_whose_clock_is_ahead_makes_nobody_silent() {
        let mut marks = Marks::new(Lateness::default(), 1, 1);
        marks.keep([(0, 1, 0)].into_iter());
        let now = |second| Timestamp::from_seconds(1_000_000 + second);
        for second in 0..30 {
            let hour = 3_600;
            marks.hear(0, 1, &heard("ahead", 1_000_000 + hour + second), now(second));
            marks.hear(0, 2, &heard("node", 1_000_000 + second), now(second));
        }
        assert_eq!(told(&mut marks), [(0, Some(1_000_029 - 10 - 1))]);
    }
}
