//! The first stage: events are enriched and matched, written to the store, and their signals put on the bus.

use std::sync::{Arc, Mutex, PoisonError};

use dongson_bus::{Batch, Bus, Consumer, Record};
use dongson_event::{Event, TOPIC_EVENTS, TOPIC_SIGNALS, TOPIC_UNPARSED, UNPARSED, Value, identity};
use dongson_store::{EventRow, StoreClient};
use futures::future::try_join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{BATCH_BYTES, BATCH_RECORDS, POLL, begin, end, in_flight, token};
use crate::detect::{Content, Detector};
use crate::inventory::Inventory;
use crate::item::{Item, items};
use crate::{AnalyzerError, Config};

/// The consumer group of this stage.
pub(crate) const GROUP: &str = "analyzer-events";

/// The agency of records that name none.
const UNASSIGNED: &str = "unassigned";

/// Everything that the stage works with.
#[derive(Clone)]
pub(crate) struct EventsStage {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) store: StoreClient,
    pub(crate) content: Content,
    pub(crate) inventory: watch::Receiver<Arc<Inventory>>,
    pub(crate) detectors: Arc<Mutex<Vec<Detector>>>,
    pub(crate) config: Config,
}

/// What a batch became.
struct Worked {
    rows: Vec<EventRow>,
    items: Vec<Item>,
}

impl EventsStage {
    /// Runs until `stop`; the batch in hand is finished first.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), AnalyzerError> {
        let mut consumer = self.bus.consumer(GROUP, &[TOPIC_EVENTS, TOPIC_UNPARSED]).await?;
        let again = in_flight(consumer.as_mut()).await?;
        self.take(consumer.as_mut(), again).await?;
        while !stop.is_cancelled() {
            let batches = tokio::select! {
                () = stop.cancelled() => break,
                batches = consumer.poll(BATCH_RECORDS, BATCH_BYTES, POLL) => batches?,
            };
            let records: usize = batches.iter().map(|batch| batch.records.len()).sum();
            self.take(consumer.as_mut(), batches).await?;
            // Small batches make small parts in the store: gather for a moment when there is little to do.
            if records > 0 && records < self.config.gather_below {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(self.config.gather) => {}
                }
            }
        }
        Ok(())
    }

    async fn take(&self, consumer: &mut dyn Consumer, batches: Vec<Batch>) -> Result<(), AnalyzerError> {
        for batch in &batches {
            begin(consumer, batch).await?;
        }
        try_join_all(batches.iter().map(|batch| self.effects(batch))).await?;
        for batch in &batches {
            end(consumer, batch).await?;
            metrics::counter!("analyzer_events_total").increment(batch.records.len() as u64);
        }
        Ok(())
    }

    /// Rows and signals of one batch; the same batch again has no further effect.
    async fn effects(&self, batch: &Batch) -> Result<(), AnalyzerError> {
        let token = token(batch);
        let worked = self.work(batch).await?;
        self.store.insert_events(&worked.rows, &token).await?;
        if worked.items.is_empty() {
            return Ok(());
        }
        metrics::counter!("analyzer_signals_total").increment(worked.items.len() as u64);
        let records = worked.items.iter().map(Item::to_record).collect::<Result<Vec<Record>, _>>()?;
        for (number, chunk) in (0_usize..).zip(records.chunks(2_000)) {
            self.bus.produce_once(TOPIC_SIGNALS, &format!("{token}#{number}"), chunk.to_vec()).await?;
        }
        Ok(())
    }

    /// Decodes, enriches and matches, away from the tasks that wait for disks.
    async fn work(&self, batch: &Batch) -> Result<Worked, AnalyzerError> {
        let stage = self.clone();
        let batch = batch.clone();
        tokio::task::spawn_blocking(move || stage.work_now(&batch)).await.map_err(AnalyzerError::Panicked)?
    }

    fn work_now(&self, batch: &Batch) -> Result<Worked, AnalyzerError> {
        let inventory = Arc::clone(&self.inventory.borrow());
        let mut detector = lock(&self.detectors).pop().unwrap_or_else(|| Detector::new(&self.content));
        let mut worked = Worked { rows: Vec::with_capacity(batch.records.len()), items: Vec::new() };
        for (offset, record) in (batch.first..).zip(&batch.records) {
            let mut event = decode(record);
            complete(&mut event, record, &format!("{}/{}/{offset}", batch.topic, batch.partition));
            inventory.enrich(&mut event);
            for (rule, signal) in detector.signals(&event) {
                worked.items.extend(items(&self.content.rules, rule, signal, &mut detector, &event));
            }
            worked.rows.push(EventRow::from_event(&event, &self.config.retention)?);
        }
        lock(&self.detectors).push(detector);
        Ok(worked)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
fn complete(event: &mut Event, record: &Record, place: &str) {
    let fallback: [(&'static str, Value); 5] = [
        ("event.id", identity::uuid_of(&[b"bus", place.as_bytes()]).to_string().into()),
        ("organization.id", UNASSIGNED.into()),
        ("event.dataset", UNPARSED.into()),
        ("@timestamp", record.timestamp.into()),
        ("event.ingested", record.timestamp.into()),
    ];
    for (name, value) in fallback {
        let usable = match name {
            "@timestamp" | "event.ingested" => event.time(name).is_some(),
            "event.id" => event.text(name).is_some_and(|id| uuid::Uuid::try_parse(id).is_ok()),
            _ => event.text(name).is_some_and(|text| !text.is_empty()),
        };
        if !usable && let Some(claimed) = event.set(name, value) {
            event.merge(format!("dongson.claimed.{name}"), claimed);
        }
    }
}
