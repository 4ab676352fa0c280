//! To the bus: events to `dongson.events`, what no parser took to `dongson.unparsed`.
//!
//! An answer of [`Publisher::publish`] means that the bus has synced everything; only then does anybody acknowledge.
//! A batch with a token is appended once, however often it comes: it is cut by a rule that looks at the raw records
//! alone, so that a repetition is cut in the same places.

use crate::intake::{Normal, Origin};
use crate::tally::Tally;
use bytes::Bytes;
use dongson_bus::{Bus, BusError, Position, Record};
use dongson_event::{TOPIC_EVENTS, TOPIC_UNPARSED, Timestamp};
use std::sync::Arc;
use uuid::Uuid;

/// Most records in one append.
const CHUNK_RECORDS: usize = 2_000;
/// Most bytes of raw records in one append; an event is at most some twelve times its record.
const CHUNK_BYTES: usize = 2 << 20;

/// Why nothing may be acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The bus takes nothing now: try again later.
    #[error("the bus does not take events: {0}")]
    Busy(#[from] BusError),
    /// The task that parses has died.
    #[error("parsing was cut off")]
    Parsing,
}

/// A record with the identity of its event.
#[derive(Debug, Clone)]
pub struct Item {
    /// The bytes as received.
    pub raw: Bytes,
    /// Its `event.id`.
    pub id: Uuid,
}

/// Where events stand in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Landed {
    /// In `dongson.events`.
    pub events: Vec<Position>,
    /// In `dongson.unparsed`.
    pub unparsed: Vec<Position>,
}

/// Publishes for every listener.
#[derive(Clone)]
pub struct Publisher {
    bus: Arc<dyn Bus>,
    tally: Arc<Tally>,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Publisher").finish_non_exhaustive()
    }
}

impl Publisher {
    /// Whether the bus would take records now.
    ///
    /// # Errors
    /// What it would refuse them with.
    pub(crate) async fn check(&self) -> dongson_bus::Result<()> {
        self.bus.check().await
    }

    /// A publisher that counts in `tally`.
    pub fn new(bus: Arc<dyn Bus>, tally: Arc<Tally>) -> Self {
        Self { bus, tally }
    }

    /// The counters.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Parses and appends records of one origin; with `token`, once.
    pub async fn publish(
        &self,
        origin: &Arc<Origin>,
        items: Vec<Item>,
        token: Option<&str>,
    ) -> Result<Landed, PublishError> {
        let mut landed = Landed::default();
        for (number, chunk) in chunks(items).into_iter().enumerate() {
            let origin_of_chunk = Arc::clone(origin);
            let now = now();
            let records = chunk.len() as u64;
            let parse = move || {
                let (mut messages, mut normals) = (Messages::with_room(chunk.len()), Vec::new());
                for item in &chunk {
                    crate::intake::record(&origin_of_chunk, &item.raw, item.id, now, &mut normals);
                    for normal in normals.drain(..) {
                        messages.add(normal);
                    }
                }
                messages
            };
            // A few records are parsed at once; many would hold up the other tasks of this thread.
            let messages = if records < 64 {
                parse()
            } else {
                tokio::task::spawn_blocking(parse).await.map_err(|_| PublishError::Parsing)?
            };
            let token = token.map(|token| format!("{token}/{number}"));
            let more = self.land(origin, messages, records, token.as_deref()).await?;
            landed.events.extend(more.events);
            landed.unparsed.extend(more.unparsed);
        }
        Ok(landed)
    }

    /// Appends events that are normalised already and stand for `records` records.
    pub async fn append(
        &self,
        origin: &Origin,
        normals: Vec<Normal>,
        records: u64,
        token: Option<&str>,
    ) -> Result<Landed, PublishError> {
        let mut messages = Messages::with_room(normals.len());
        for normal in normals {
            messages.add(normal);
        }
        self.land(origin, messages, records, token).await
    }

    async fn land(
        &self,
        origin: &Origin,
        messages: Messages,
        records: u64,
        token: Option<&str>,
    ) -> Result<Landed, PublishError> {
        let parsed = messages.events.len() as u64;
        let unparsed = self.produce(TOPIC_UNPARSED, messages.unparsed, token).await?;
        let events = self.produce(TOPIC_EVENTS, messages.events, token).await?;
        self.tally.count(origin, parsed.min(records), records.saturating_sub(parsed), now());
        Ok(Landed { events, unparsed })
    }

    async fn produce(
        &self,
        topic: &str,
        records: Vec<Record>,
        token: Option<&str>,
    ) -> Result<Vec<Position>, BusError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        match token {
            Some(token) => self.bus.produce_once(topic, &format!("{topic}/{token}"), records).await,
            None => self.bus.produce(topic, records).await,
        }
    }
}

/// What goes to the bus.
struct Messages {
    events: Vec<Record>,
    unparsed: Vec<Record>,
    /// The key of the last event: most follow others of the same observer.
    key: Bytes,
}

impl Messages {
    fn with_room(records: usize) -> Self {
        Self { events: Vec::with_capacity(records), unparsed: Vec::new(), key: Bytes::new() }
    }

    /// The key keeps the order of one observer; unparsed records of an agency stay together.
    fn add(&mut self, normal: Normal) {
        let Normal { event, json, parsed } = normal;
        let organization = event.organization();
        let ingested = event.time("event.ingested").unwrap_or_default();
        if !parsed {
            self.unparsed.push(Record::new(organization.to_owned(), json, ingested));
            return;
        }
        let key = [organization, "/", event.text("observer.name").unwrap_or_default()];
        if !self.key.iter().eq(key.iter().flat_map(|part| part.as_bytes())) {
            self.key = key.concat().into();
        }
        self.events.push(Record::new(self.key.clone(), json, ingested));
    }
}

/// Cuts by number and raw length of the records alone.
fn chunks(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut chunks = Vec::new();
    let mut chunk: Vec<Item> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let full = chunk.len() == CHUNK_RECORDS || bytes + item.raw.len() > CHUNK_BYTES;
        if full && !chunk.is_empty() {
            chunks.push(std::mem::take(&mut chunk));
            bytes = 0;
        }
        bytes += item.raw.len();
        chunk.push(item);
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

/// The present.
pub(crate) fn now() -> Timestamp {
    let nanos = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
    Timestamp::from_nanos(nanos.saturating_add(dongson_registry::clock_ahead().saturating_mul(1_000_000)))
}
