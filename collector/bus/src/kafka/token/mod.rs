//! Batches with a token are appended once.
//!
//! Before a batch is appended, an intent goes into the topic of tokens; it says who is about to append, and from which
//! offsets on to look for it. After it, a record says where the batch is. Every record of the batch carries the token
//! and its number, so that whoever takes over from a process that died in the middle finds what is there and appends the
//! rest. `book.rs` says who may: the topic's order alone decides, so that two processes with the same token agree.
//!
//! Whoever takes over must know that nothing of the one before is still on its way. Of an earlier start of this
//! installation, or of an attempt here that failed, that is so after [`SETTLE`]; of another process after twice its
//! patience and [`SETTLE`], since its client library gives a record up after that patience. What breaks it is a process
//! that stands still for longer than that, between having looked at the time and writing to a socket, and then goes on:
//! then records can be there twice. Their events have the same `event.id`.
//!
//! Transactions of Kafka are not used: their markers take offsets, and a batch here is a run of offsets without gaps.
//! Tokens are known for [`KafkaOptions::token_age`](crate::KafkaOptions::token_age), or as many as
//! [`KafkaOptions::tokens`](crate::KafkaOptions::tokens).

mod book;
mod record;
mod tail;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::Inner;
use super::producer::Outgoing;
use super::wire::{self, Mark, TokenId};
use crate::{BusError, Position, Record, Result, partition_of};
use book::{Entry, Open};
use record::{Intent, Said, compact, expand};
use tail::Tail;

/// Name of the topic, after the prefix.
pub(super) const TOPIC: &str = "dongson.tokens";
/// Its partitions.
const PARTITIONS: u32 = 8;
/// After a process has died, or its client library has given up, what it sent is in the log or never will be.
const SETTLE: Duration = Duration::from_secs(5);
/// How old the mark may be from which on a batch is looked for.
const FRESH: Duration = Duration::from_secs(10);

/// The tokens of a bus.
pub(super) struct Tokens {
    tail: Arc<Tail>,
    node: [u8; 16],
    start: u64,
    opened: Instant,
    /// One at a time for each token.
    turns: Mutex<HashMap<TokenId, Arc<tokio::sync::Mutex<()>>>>,
    /// When attempts of this process failed, by token; gone when one succeeds.
    failed: Mutex<HashMap<TokenId, Instant>>,
    /// Offsets that partitions are known to reach, and since when.
    ends: Mutex<HashMap<(String, u32), (u64, Instant)>>,
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.tail.end();
    }
}

/// A batch, and what it is known by.
struct Job {
    shown: String,
    topic: String,
    id: TokenId,
    records: Vec<Record>,
    partitions: Vec<u32>,
}

/// The turn for a token; the last one takes the lock away.
struct Turn<'a> {
    tokens: &'a Tokens,
    id: TokenId,
    guard: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        drop(self.guard.take());
        let mut turns = self.tokens.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.get(&self.id).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            turns.remove(&self.id);
        }
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(digest.split_at(16).0);
    half
}

/// Appends `records` once.
pub(super) async fn produce_once(
    bus: Arc<Inner>,
    shown: &str,
    token: &str,
    records: Vec<Record>,
) -> Result<Vec<Position>> {
    let topic = bus.full(shown);
    let count = bus.topics.partitions(&topic, shown).await?;
    let partitions = records.iter().map(|record| partition_of(&record.key, count)).collect();
    let id = hash(&[topic.as_bytes(), token.as_bytes()]);
    let job = Job { shown: shown.to_owned(), topic, id, records, partitions };
    // A caller that goes away does not leave it half done.
    let work = tokio::spawn(async move {
        let tokens = bus.tokens().await?;
        tokens.serve(&bus, job).await
    });
    work.await.map_err(|_| BusError::Closed)?
}

impl Tokens {
    pub(super) async fn open(bus: &Arc<Inner>) -> Result<Self> {
        let opened = Instant::now();
        let topic = bus.full(TOPIC);
        bus.topics.create(&topic, TOPIC, PARTITIONS, bus.options.token_age).await?;
        Ok(Self {
            tail: Tail::start(bus, &topic, PARTITIONS).await?,
            node: hash(&[bus.options.node.as_bytes()]),
            start: rand::random(),
            opened,
            turns: Mutex::default(),
            failed: Mutex::default(),
            ends: Mutex::default(),
        })
    }

    async fn turn(&self, id: TokenId) -> Turn<'_> {
        let lock = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(id).or_default())
        };
        Turn { tokens: self, id, guard: Some(lock.lock_owned().await) }
    }

    async fn serve(&self, bus: &Arc<Inner>, job: Job) -> Result<Vec<Position>> {
        let _turn = self.turn(job.id).await;
        loop {
            let news = self.tail.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            let entry = self.tail.book().get(&job.id).cloned();
            let before = match entry {
                Some(Entry::Done(offset)) => {
                    metrics::counter!("bus_repeated_batches_total").increment(1);
                    return self.done(bus, &job, offset).await;
                }
                Some(Entry::Open(open)) => {
                    let left = self.unsettled(&open, &job.id, bus.options.patience);
                    if !left.is_zero() {
                        // Whoever has begun may be about to be done.
                        drop(tokio::time::timeout(left, news).await);
                        continue;
                    }
                    Some(open)
                }
                None => None,
            };
            let offset = self.intend(bus, &job, before.as_deref()).await?;
            self.tail.reached(partition(&job.id), offset, bus.options.patience).await?;
            let mine = match self.tail.book().get(&job.id) {
                Some(Entry::Open(open)) if open.offset == offset => Some(open.intent.lows.clone()),
                _ => None,
            };
            let Some(lows) = mine else { continue };
            let outcome = self.complete(bus, job, before.is_some().then_some(lows), offset).await;
            return outcome;
        }
    }

    /// How long something of an intent may still come into the log.
    fn unsettled(&self, open: &Open, id: &TokenId, patience: Duration) -> Duration {
        if open.intent.node != self.node {
            return (patience * 2 + SETTLE).saturating_sub(open.seen.elapsed());
        }
        let since = if open.intent.start == self.start {
            // It is our turn, so no attempt of ours is running.
            let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get(id).copied().unwrap_or(open.seen)
        } else {
            self.opened
        };
        SETTLE.saturating_sub(since.elapsed())
    }

    /// Writes an intent; answers its offset in the topic of tokens.
    async fn intend(&self, bus: &Arc<Inner>, job: &Job, before: Option<&Open>) -> Result<u64> {
        let mut lows: BTreeMap<u32, u64> =
            before.map(|open| open.intent.lows.iter().copied().collect()).unwrap_or_default();
        for &partition in &job.partitions {
            if let std::collections::btree_map::Entry::Vacant(low) = lows.entry(partition) {
                low.insert(self.end(bus, &job.topic, partition).await?);
            }
        }
        let said = Said::Intent(Intent {
            node: self.node,
            start: self.start,
            replaces: before.map(|open| open.offset),
            lows: lows.into_iter().collect(),
        });
        self.say(bus, job.id, &said).await
    }

    /// An offset that the partition has reached.
    async fn end(&self, bus: &Arc<Inner>, topic: &str, partition: u32) -> Result<u64> {
        let key = (topic.to_owned(), partition);
        let known = self.ends.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        if let Some((end, since)) = known
            && since.elapsed() < FRESH
        {
            return Ok(end);
        }
        let end = bus.topics.reach(topic, partition).await?.end;
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (end, Instant::now()));
        Ok(end)
    }

    async fn say(&self, bus: &Arc<Inner>, id: TokenId, said: &Said) -> Result<u64> {
        let outgoing = Outgoing { partition: partition(&id), record: said.to_record(id), mark: None };
        let positions = bus.producer.append(&bus.full(TOPIC), vec![outgoing]).await?;
        positions.first().map(|position| position.offset).ok_or(BusError::Closed)
    }

    /// Appends what is not there yet, and says that all of it is. `lows` when somebody was at it before.
    async fn complete(
        &self,
        bus: &Arc<Inner>,
        job: Job,
        lows: Option<Vec<(u32, u64)>>,
        intent: u64,
    ) -> Result<Vec<Position>> {
        let Job { shown, topic, id, records, partitions } = job;
        let appended = async {
            let found = match lows {
                Some(lows) => find(bus, &topic, id, lows).await?,
                None => BTreeMap::new(),
            };
            append(bus, &shown, &topic, id, (records, partitions), found).await
        };
        let positions = match appended.await {
            Ok(positions) => positions,
            Err(error) => {
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Instant::now());
                return Err(error);
            }
        };
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        {
            let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
            for position in &positions {
                let end = position.offset + 1;
                let known = ends.entry((topic.clone(), position.partition)).or_insert((end, Instant::now()));
                if end >= known.0 {
                    *known = (end, Instant::now());
                }
            }
        }
        let done = Said::Done { intent, runs: compact(&positions) };
        if let Err(error) = self.say(bus, id, &done).await {
            // The batch is there; whoever repeats it finds it by its marks.
            tracing::warn!(%error, topic = shown, "a batch is written, but that could not be noted");
        }
        Ok(positions)
    }

    /// Where a batch is that was done before.
    async fn done(&self, bus: &Arc<Inner>, job: &Job, offset: u64) -> Result<Vec<Position>> {
        let (bus, number, shown) = (Arc::clone(bus), partition(&job.id), job.shown.clone());
        let work = move || {
            let mut said = None;
            bus.readers.read(&bus.full(TOPIC), number, offset, offset + 1, |at, message| {
                use rdkafka::message::Message as _;
                if at == offset {
                    said = message.payload().and_then(Said::read);
                }
                Ok(())
            })?;
            match said {
                Some(Said::Done { runs, .. }) => Ok(expand(&runs)),
                _ => Err(BusError::Damaged(format!("what was noted of a batch of {shown:?} cannot be read"))),
            }
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| BusError::Closed)?
    }
}

/// The partition of a token's records.
fn partition(id: &TokenId) -> u32 {
    u32::from(id.first().copied().unwrap_or_default()) % PARTITIONS
}

/// The records of a batch that are in the log, by their numbers.
async fn find(
    bus: &Arc<Inner>,
    topic: &str,
    id: TokenId,
    lows: Vec<(u32, u64)>,
) -> Result<BTreeMap<u32, Position>> {
    let (bus, topic) = (Arc::clone(bus), topic.to_owned());
    let work = move || {
        let mut found = BTreeMap::new();
        let mut looked = 0_u64;
        for (partition, low) in lows {
            let reach = bus.topics.reach_now(&topic, partition)?;
            bus.readers.read(&topic, partition, low.max(reach.start), reach.end, |offset, message| {
                looked += 1;
                if let Some(Mark { token, index }) = wire::mark(message)
                    && token == id
                {
                    found.entry(index).or_insert(Position { partition, offset });
                }
                Ok(())
            })?;
        }
        tracing::info!(
            topic,
            looked,
            found = found.len(),
            "a batch that was left half written was looked for"
        );
        metrics::counter!("bus_resumed_batches_total").increment(1);
        Ok(found)
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| BusError::Closed)?
}

/// Appends the records that were not found; answers where all of them are.
async fn append(
    bus: &Arc<Inner>,
    shown: &str,
    topic: &str,
    token: TokenId,
    (records, partitions): (Vec<Record>, Vec<u32>),
    found: BTreeMap<u32, Position>,
) -> Result<Vec<Position>> {
    let count = u32::try_from(records.len()).map_err(|_| BusError::UnknownTopic(shown.to_owned()))?;
    let missing: Vec<Outgoing> = (0..count)
        .zip(records.into_iter().zip(partitions))
        .filter(|(index, _)| !found.contains_key(index))
        .map(|(index, (record, partition))| Outgoing { partition, record, mark: Some(Mark { token, index }) })
        .collect();
    let mut appended = bus.producer.append(topic, missing).await?.into_iter();
    let positions = (0..count).map(|index| found.get(&index).copied().or_else(|| appended.next()));
    positions.collect::<Option<Vec<_>>>().ok_or(BusError::Closed)
}
