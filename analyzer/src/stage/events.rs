//! The first stage: events are enriched and matched, written to the store, and their signals put on the bus.
//!
//! Once a second it also says there how far each agency's sources have told in the partitions that are its own, so that the second stage knows what is
//! complete. That is said after the batches' signals are on the bus, so a record that was lost in a crash is made up for
//! by a later one, and one that is repeated says nothing new.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dongson_bus::{Batch, Bus, Record};
use dongson_event::{
    Event, TOPIC_EVENTS, TOPIC_SIGNALS, TOPIC_UNPARSED, Timestamp, UNPARSED, Value, identity,
};
use dongson_registry::{Registry, now};
use dongson_store::{EventRows, REQUIRED, Sealing, StoreClient};
use futures::future::try_join_all;
use futures::stream::{StreamExt as _, TryStreamExt as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::marks::{Heard, Marks, Ours};
use super::reader::{Reader, Run};
use super::seal::Sealer;
use super::{BATCH_BYTES, BATCH_RECORDS, POLL, partitions_of};
use crate::detect::{Content, Detector};
use crate::indicators::Intel;
use crate::inventory::Inventory;
use crate::item::{Item, items};
use crate::local;
use crate::{AnalyzerError, Config};

/// The consumer group of this stage.
pub(crate) const GROUP: &str = "analyzer-events";

/// Records that one thread works on at a time, and their bytes.
const WORK_RECORDS: usize = 2_500;
const WORK_BYTES: usize = 4 << 20;

/// Most blocks whose memory is kept, and the largest of them in bytes.
const SPARE_BLOCKS: usize = 32;
const SPARE_BYTES: usize = 8 << 20;

/// How often watermarks are told at most.
const MARKS_EVERY: Duration = Duration::from_secs(1);

/// The agency of records that name none.
const UNASSIGNED: &str = "unassigned";

/// Everything that the stage works with.
#[derive(Clone)]
pub(crate) struct EventsStage {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) store: StoreClient,
    pub(crate) registry: Registry,
    pub(crate) content: Content,
    pub(crate) inventory: watch::Receiver<Arc<Inventory>>,
    pub(crate) intel: watch::Receiver<Arc<Intel>>,
    pub(crate) detectors: Arc<Mutex<Vec<Detector>>>,
    /// Memory of blocks that the store has taken.
    pub(crate) spare: Arc<Mutex<Vec<EventRows>>>,
    pub(crate) config: Config,
}

/// What a batch became.
#[derive(Default)]
struct Worked {
    /// A block for each piece.
    rows: Vec<EventRows>,
    items: Vec<Item>,
    heard: Heard,
}

/// A run and what it became; its effects are still to come.
type Ready = (Arc<Run>, Worked);

/// How the partitions of all topics that are read are numbered.
#[derive(Debug, Clone, Copy)]
struct Inputs {
    events: u32,
    unparsed: u32,
}

impl Inputs {
    fn all(self) -> u32 {
        self.events.saturating_add(self.unparsed)
    }

    fn number(self, topic: &str, partition: u32) -> u32 {
        if topic == TOPIC_EVENTS { partition } else { self.events.saturating_add(partition) }
    }
}

impl EventsStage {
    /// Runs until `stop`; the batches in hand are finished first.
    ///
    /// While the store takes one set of batches, the next set is read and worked on; offsets move in order.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), AnalyzerError> {
        let bus = self.bus.as_ref();
        let inputs = Inputs {
            events: partitions_of(bus, TOPIC_EVENTS).await?,
            unparsed: partitions_of(bus, TOPIC_UNPARSED).await?,
        };
        let partitions = partitions_of(bus, TOPIC_SIGNALS).await?;
        let mut marks = Marks::new(self.config.lateness, inputs.all(), partitions);
        let mut reader = Reader::join(bus, GROUP, &[TOPIC_EVENTS, TOPIC_UNPARSED]).await?;
        let mut told = Instant::now();
        let mut sealer = Sealer::new(self.registry.clone(), self.store.clone(), self.config.seal_every);
        let mut ready: Vec<Ready> = Vec::new();
        while !(stop.is_cancelled() && ready.is_empty()) {
            let (mut begun, mut places) = (Vec::with_capacity(ready.len()), Vec::with_capacity(ready.len()));
            for (run, worked) in ready {
                if reader.begin(&run).await? {
                    places.push(sealer.place(&run).await?);
                    begun.push((run, worked));
                }
            }
            let effects =
                begun.iter().zip(places).map(|((run, worked), place)| self.effects(run, worked, place));
            let effects = try_join_all(effects);
            let records = begun.iter().map(|(run, _)| run.batch.records.len()).sum();
            let (done, next) = tokio::join!(effects, self.next(&mut reader, records, &stop));
            done?;
            marks.keep(ours(&reader, inputs));
            for (run, worked) in &begun {
                if reader.end(run).await? {
                    sealer.stored(run, &worked.rows);
                    let batch = &run.batch;
                    metrics::counter!("analyzer_events_total").increment(batch.records.len() as u64);
                    let number = inputs.number(&batch.topic, batch.partition);
                    let now = Timestamp::from_millis(now());
                    marks.hear(number, batch.last.saturating_add(1), &worked.heard, now);
                }
            }
            self.recycle(begun);
            sealer.keep(&reader);
            sealer.seal(false).await?;
            if told.elapsed() >= MARKS_EVERY {
                told = Instant::now();
                marks.keep(ours(&reader, inputs));
                self.tell(&mut marks, inputs).await?;
            }
            ready = next?;
        }
        sealer.keep(&reader);
        sealer.seal(true).await
    }

    /// Puts on the bus how far our partitions have told, if there is something new to say.
    async fn tell(&self, marks: &mut Marks, inputs: Inputs) -> Result<(), AnalyzerError> {
        // Before the question: what comes during it may be left out.
        let asked = Timestamp::from_millis(now());
        match self.bus.lag(GROUP).await {
            Ok(lags) => {
                for lag in lags.iter().filter(|lag| lag.records == 0) {
                    marks.caught_up(inputs.number(&lag.topic, lag.partition), asked);
                }
            }
            Err(error) => {
                warn!(%error, "how far the events are read is not known; correlations wait");
            }
        }
        let records = marks.records()?;
        if !records.is_empty() {
            metrics::counter!("analyzer_order_watermarks_total").increment(records.len() as u64);
            self.bus.produce(TOPIC_SIGNALS, records).await?;
        }
        Ok(())
    }

    /// The next runs, worked on; none when nothing came or it is time to stop. After `last` records, if those were
    /// few, it gathers for a moment first: small batches make small parts in the store.
    async fn next(
        &self,
        reader: &mut Reader,
        last: usize,
        stop: &CancellationToken,
    ) -> Result<Vec<Ready>, AnalyzerError> {
        let polled = async {
            if last > 0 && last < self.config.gather_below {
                tokio::time::sleep(self.config.gather).await;
            }
            reader.poll(BATCH_RECORDS, BATCH_BYTES, POLL).await
        };
        let runs = tokio::select! {
            () = stop.cancelled() => return Ok(Vec::new()),
            polled = polled => polled?,
        };
        self.work_all(runs).await
    }

    async fn work_all(&self, runs: Vec<Run>) -> Result<Vec<Ready>, AnalyzerError> {
        try_join_all(runs.into_iter().map(|run| self.work(run))).await
    }

    /// Rows and signals of one batch; the same batch again has no further effect. Neither waits for the other: an alert
    /// need not wait for the store to sync.
    async fn effects(&self, run: &Run, worked: &Worked, place: Option<Sealing>) -> Result<(), AnalyzerError> {
        let token = run.token();
        let rows = async {
            match place {
                Some(place) => self.store.insert_segment(&worked.rows, &token, place).await?,
                None => self.store.insert_events(&worked.rows, &token).await?,
            }
            Ok(())
        };
        tokio::try_join!(rows, self.publish(&worked.items, &token))?;
        Ok(())
    }

    /// Keeps the memory of blocks of usual size.
    fn recycle(&self, ready: Vec<Ready>) {
        let mut spare = lock(&self.spare);
        let usual = ready
            .into_iter()
            .flat_map(|(_, worked)| worked.rows)
            .filter(|rows| rows.capacity() <= SPARE_BYTES);
        let room = SPARE_BLOCKS.saturating_sub(spare.len());
        spare.extend(usual.take(room).map(|mut rows| {
            rows.clear();
            rows
        }));
    }

    async fn publish(&self, items: &[Item], token: &str) -> Result<(), AnalyzerError> {
        metrics::counter!("analyzer_signals_total").increment(items.len() as u64);
        let records = items.iter().map(Item::to_record).collect::<Result<Vec<Record>, _>>()?;
        for (number, chunk) in (0_usize..).zip(records.chunks(2_000)) {
            self.bus.produce_once(TOPIC_SIGNALS, &format!("{token}#{number}"), chunk.to_vec()).await?;
        }
        Ok(())
    }

    /// Decodes, enriches and matches, on all cores and away from the tasks that wait for disks.
    async fn work(&self, run: Run) -> Result<Ready, AnalyzerError> {
        let run = Arc::new(run);
        let present = Arc::new(if run.is_repeated() { self.present(&run).await? } else { HashSet::new() });
        let parts = pieces(&run.batch.records).into_iter().map(|piece| {
            let (stage, run, present) = (self.clone(), Arc::clone(&run), Arc::clone(&present));
            let work = move || stage.work_now(&run.batch, piece, &present);
            async { tokio::task::spawn_blocking(work).await.map_err(AnalyzerError::Panicked)? }
        });
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let mut parts = futures::stream::iter(parts).buffered(cores);
        let mut worked = Worked::default();
        while let Some(part) = parts.try_next().await? {
            worked.rows.extend(part.rows);
            worked.items.extend(part.items);
            worked.heard.add(&part.heard);
        }
        drop(parts);
        Ok((run, worked))
    }

    /// Which events of a run the store has already.
    async fn present(&self, run: &Arc<Run>) -> Result<HashSet<String>, AnalyzerError> {
        let theirs = Arc::clone(run);
        let named = tokio::task::spawn_blocking(move || {
            let numbered = (theirs.batch.first..).zip(&theirs.batch.records);
            let named = numbered.map(|(offset, record)| {
                let event = event_of(&theirs.batch, offset, record);
                (event.id().to_owned(), event.time("event.ingested").unwrap_or(record.timestamp))
            });
            named.collect::<Vec<_>>()
        });
        let (ids, times): (Vec<String>, Vec<Timestamp>) =
            named.await.map_err(AnalyzerError::Panicked)?.into_iter().unzip();
        let Some(span) = times.iter().min().copied().zip(times.iter().max().copied()) else {
            return Ok(HashSet::new());
        };
        let present = self.store.present_events(&ids, span).await?;
        metrics::counter!("analyzer_rows_present_total").increment(present.len() as u64);
        Ok(present)
    }

    /// Some records of a batch, by their numbers in it; rows of those that are not `present` in the store.
    fn work_now(
        &self,
        batch: &Batch,
        piece: Range<usize>,
        present: &HashSet<String>,
    ) -> Result<Worked, AnalyzerError> {
        let inventory = Arc::clone(&self.inventory.borrow());
        let intel = Arc::clone(&self.intel.borrow());
        let mut detector = lock(&self.detectors).pop().unwrap_or_else(|| Detector::new(&self.content));
        let (mut worked, mut rows) = (Worked::default(), lock(&self.spare).pop().unwrap_or_default());
        let records = (batch.first..).zip(&batch.records).skip(piece.start).take(piece.len());
        for (offset, record) in records {
            let mut event = event_of(batch, offset, record);
            inventory.enrich(&mut event);
            let met = intel.signals(&mut event);
            let matches = detector.signals(&event);
            worked.heard.event(&event);
            let all = met.iter().chain(matches.iter().map(|(_, signal)| signal));
            let marked = local::missing(&event, &all.map(|one| one.id.as_str()).collect::<Vec<_>>());
            worked.items.extend(met.into_iter().chain(marked).map(|one| Item::Signal(Box::new(one))));
            for (rule, signal) in matches {
                let items = items(&self.content.rules, rule, signal, &mut detector, &event);
                worked.items.extend(items);
            }
            if present.contains(event.id()) {
                rows.skip();
            } else {
                rows.push(&event, &self.config.retention)?;
            }
        }
        worked.rows.push(rows);
        lock(&self.detectors).push(detector);
        Ok(worked)
    }
}

/// Cuts records into pieces for the threads.
fn pieces(records: &[Record]) -> Vec<Range<usize>> {
    let (mut pieces, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (number, record) in records.iter().enumerate() {
        if number - start == WORK_RECORDS || (number > start && bytes + record.size() > WORK_BYTES) {
            pieces.push(start..number);
            (start, bytes) = (number, 0);
        }
        bytes += record.size();
    }
    if start < records.len() {
        pieces.push(start..records.len());
    }
    pieces
}

/// The partitions that are ours, as watermarks number them.
fn ours(reader: &Reader, inputs: Inputs) -> impl Iterator<Item = Ours> {
    reader.held().map(move |held| (inputs.number(held.topic, held.partition), held.grant, held.next))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The event of the record at `offset` of `batch`, with everything that the store needs.
fn event_of(batch: &Batch, offset: u64, record: &Record) -> Event {
    let mut event = decode(record);
    complete(&mut event, record, || format!("{}/{}/{offset}", batch.topic, batch.partition));
    event
}

/// The event of a record; a record that is none (another program wrote to the topic) is kept as unparsed.
fn decode(record: &Record) -> Event {
    match Event::parse(&record.value) {
        Ok((event, _)) => event,
        Err(error) => {
            metrics::counter!("analyzer_undecodable_records_total").increment(1);
            let mut event = Event::of(UNPARSED, record.timestamp);
            event.set("dongson.unparsed.reason", format!("the record on the bus is not an event: {error}"));
            event.set("event.original", String::from_utf8_lossy(&record.value));
            event
        }
    }
}

/// Gives what the store needs to an event that lacks it (our collector never leaves it out, another writer to the
/// topic might): an id from its place on the bus, the agency `unassigned`, the record's time.
fn complete(event: &mut Event, record: &Record, place: impl Fn() -> String) {
    for name in REQUIRED {
        let usable = match name {
            "@timestamp" | "event.ingested" => event.time(name).is_some(),
            "event.id" => event.text(name).is_some_and(|id| uuid::Uuid::try_parse(id).is_ok()),
            _ => event.text(name).is_some_and(|text| !text.is_empty()),
        };
        if usable {
            continue;
        }
        let value: Value = match name {
            "event.id" => identity::uuid_of(&[b"bus", place().as_bytes()]).to_string().into(),
            "organization.id" => UNASSIGNED.into(),
            "event.dataset" => UNPARSED.into(),
            _ => record.timestamp.into(),
        };
        if let Some(claimed) = event.set(name, value) {
            event.merge(format!("dongson.claimed.{name}"), claimed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One memory for all, so that large records cost nothing.
    static MEMORY: [u8; 3 * WORK_BYTES] = [0; 3 * WORK_BYTES];

    proptest! {
        #[test]
        fn pieces_are_all_records_and_bounded(sizes in prop::collection::vec(prop_oneof![8 => 0_usize..900, 1 => 0..3 * WORK_BYTES], 0..6_000)) {
            let record = |size: &usize| Record::new("", &MEMORY[..*size], Timestamp::default());
            let records: Vec<Record> = sizes.iter().map(record).collect();
            let mut next = 0;
            for piece in pieces(&records) {
                prop_assert_eq!(piece.start, next);
                prop_assert!(!piece.is_empty() && piece.len() <= WORK_RECORDS);
                let bytes: usize = records[piece.clone()].iter().map(Record::size).sum();
                prop_assert!(bytes <= WORK_BYTES || piece.len() == 1);
                next = piece.end;
            }
            prop_assert_eq!(next, records.len());
        }
    }
}
