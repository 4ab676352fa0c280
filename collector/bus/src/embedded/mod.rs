//! The log in one folder of this machine, kept in fjall.
//!
//! `writer.rs` is the only one that changes it (many producers, one sync); `consumer.rs` reads; `retention.rs`
//! deletes; `frame.rs` and `keys.rs` are the format; `state.rs` is what is known in memory. Each partition is a
//! keyspace of its own, so that old tables are dropped whole and never rewritten.

mod consumer;
mod disk;
mod frame;
mod keys;
mod retention;
mod state;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::checks::{check_name, check_sizes};
use crate::{Bus, BusError, Consumer, Lag, Position, Record, Result};
use consumer::EmbeddedConsumer;
use state::Shared;
use writer::{Command, Reply};

/// Commands that may wait for the writer.
const QUEUE_COMMANDS: usize = 1_024;
/// Kibibytes of records that may wait for the writer.
const QUEUE_KIB: usize = 64 << 10;
/// Most partitions of a topic.
const MAX_PARTITIONS: u32 = crate::VIRTUAL_PARTITIONS;

/// Tells the milliseconds since 1970; only ages of data and tokens go by it.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How long a topic keeps what every registered group has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Older records may go.
    pub age: Duration,
    /// When the topic has more bytes, the oldest may go.
    pub bytes: u64,
}

/// How the embedded log behaves.
#[derive(Clone)]
pub struct Options {
    /// For topics without limits of their own: 3 days, 8 GiB.
    pub retention: Retention,
    /// Limits of single topics.
    pub topics: BTreeMap<String, Retention>,
    /// Most bytes in the log; beyond, producing is refused. 64 GiB.
    pub quota_bytes: u64,
    /// Producing is refused while the disk has less room: what the log needs to tidy up. 256 MiB.
    pub reserve_bytes: u64,
    /// How long the tokens of [`Bus::produce_once`] are kept: 7 days.
    pub token_age: Duration,
    /// How often old data is looked for: each minute.
    pub sweep_every: Duration,
    /// Memory for reading, in bytes: 64 MiB.
    pub cache_bytes: u64,
    /// The time; the system's by default.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention: Retention { age: Duration::from_hours(72), bytes: 8 << 30 },
            topics: BTreeMap::new(),
            quota_bytes: 64 << 30,
            reserve_bytes: 256 << 20,
            token_age: Duration::from_hours(168),
            sweep_every: Duration::from_mins(1),
            cache_bytes: 64 << 20,
            clock: Arc::new(system_millis),
        }
    }
}

impl Options {
    fn retention_of(&self, topic: &str) -> Retention {
        self.topics.get(topic).copied().unwrap_or(self.retention)
    }
}

fn system_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The log in one folder. Clones share it; end it with [`EmbeddedBus::close`].
#[derive(Clone)]
pub struct EmbeddedBus {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Command>,
    room: Arc<Semaphore>,
}

/// The file that the store below locks; the process's number stands in it.
const LOCK: &str = "lock";

/// Bytes that must still fit for the log to count as able to take records.
const CHECKED_BYTES: u64 = 64 << 10;

impl EmbeddedBus {
    /// Opens or makes the log in `folder`; what a crash left half written at its end is cut off. Must be called
    /// inside a tokio runtime. Blocks while it reads what is there.
    ///
    /// # Errors
    /// `Locked` when another process has it open, `Damaged` or `Storage` when it does not read back.
    pub fn open(folder: &Path, options: Options) -> Result<Self> {
        let builder = fjall::Database::builder(folder)
            .cache_size(options.cache_bytes)
            // With more, idle ones hand a waiting compaction round and round, and take a core for it.
            .worker_threads(1)
            .max_journaling_size(256 << 20)
            .manual_journal_persist(true);
        let db = builder.open().map_err(|error| match error {
            fjall::Error::Locked => {
                let process = std::fs::read_to_string(folder.join(LOCK)).ok();
                let process = process.and_then(|text| text.trim().parse().ok());
                BusError::Locked { folder: folder.to_owned(), process }
            }
            other => BusError::from(other),
        })?;
        // The lock holds without it: the number is for whoever finds the folder in use.
        if let Err(error) = std::fs::write(folder.join(LOCK), std::process::id().to_string()) {
            tracing::debug!(%error, "the process's number could not be written into the lock");
        }
        let every = options.sweep_every;
        let shared = Arc::new(Shared::load(db, folder, options)?);
        let (queue, commands) = mpsc::channel(QUEUE_COMMANDS);
        let writer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("bus-writer".to_owned())
            .spawn(move || writer::run(writer, commands))
            .map_err(|error| BusError::Storage(error.to_string()))?;
        tokio::spawn(sweep_now_and_then(queue.downgrade(), every));
        Ok(Self { shared, queue, room: Arc::new(Semaphore::new(QUEUE_KIB)) })
    }

    /// Writes what waits and ends the writer; the folder is free once consumers and clones are dropped too.
    pub async fn close(self) -> Result<()> {
        ask(&self.queue, |reply| Command::Stop { reply }).await
    }

    /// Deletes what may be deleted now; answers the bytes. It also happens by itself now and then.
    pub async fn sweep(&self) -> Result<u64> {
        ask(&self.queue, |reply| Command::Sweep { reply }).await
    }

    /// Bytes in the log, before compression.
    pub fn retained_bytes(&self) -> u64 {
        self.shared.retained_bytes()
    }

    async fn append(
        &self,
        topic: &str,
        token: Option<String>,
        records: Vec<Record>,
    ) -> Result<Vec<Position>> {
        let topic = self.shared.topic(topic)?;
        let bytes = check_sizes(token.as_deref(), &records)?;
        if records.is_empty() && token.is_none() {
            return Ok(Vec::new());
        }
        let permits = u32::try_from(bytes / 1_024 + 1).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| BusError::Closed)?;
        ask(&self.queue, |reply| Command::Append { topic, token, records, room, reply }).await
    }
}

/// Sends a command and waits for its answer.
async fn ask<T>(queue: &mpsc::Sender<Command>, command: impl FnOnce(Reply<T>) -> Command) -> Result<T> {
    let (reply, answer) = oneshot::channel();
    queue.send(command(reply)).await.map_err(|_| BusError::Closed)?;
    answer.await.map_err(|_| BusError::Closed)?
}

async fn sweep_now_and_then(queue: mpsc::WeakSender<Command>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(queue) = queue.upgrade() else { return };
        match ask(&queue, |reply| Command::Sweep { reply }).await {
            Err(BusError::Closed) => return,
            Err(error) => tracing::warn!(%error, "old data could not be deleted"),
            Ok(freed) => tracing::debug!(freed, "old data deleted"),
        }
    }
}

#[async_trait]
impl Bus for EmbeddedBus {
    async fn create_topic(&self, topic: &str, partitions: u32) -> Result<()> {
        check_name(topic)?;
        let (name, partitions) = (topic.to_owned(), partitions.clamp(1, MAX_PARTITIONS));
        ask(&self.queue, |reply| Command::CreateTopic { name, partitions, reply }).await
    }

    async fn topics(&self) -> Result<Vec<(String, u32)>> {
        Ok(self.shared.all_topics().iter().map(|topic| (topic.name.clone(), topic.count())).collect())
    }

    async fn produce(&self, topic: &str, records: Vec<Record>) -> Result<Vec<Position>> {
        self.append(topic, None, records).await
    }

    async fn produce_once(&self, topic: &str, token: &str, records: Vec<Record>) -> Result<Vec<Position>> {
        self.append(topic, Some(token.to_owned()), records).await
    }

    async fn consumer(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Consumer>> {
        check_name(group)?;
        let names: BTreeSet<String> = topics.iter().map(|&topic| topic.to_owned()).collect();
        for name in &names {
            self.shared.topic(name)?;
        }
        let (owner, wanted) = (group.to_owned(), names.iter().cloned().collect());
        ask(&self.queue, |reply| Command::Register { group: owner, topics: wanted, reply }).await?;
        Ok(Box::new(EmbeddedConsumer::join(Arc::clone(&self.shared), self.queue.clone(), group, names)))
    }

    async fn check(&self) -> Result<()> {
        if self.queue.is_closed() {
            return Err(BusError::Closed);
        }
        self.shared.fits(CHECKED_BYTES)
    }

    async fn lag(&self, group: &str) -> Result<Vec<Lag>> {
        let (shared, group) = (Arc::clone(&self.shared), group.to_owned());
        let work = move || lag(&shared, &group);
        tokio::task::spawn_blocking(work).await.map_err(|_| BusError::Closed)?
    }

    async fn forget_group(&self, group: &str) -> Result<()> {
        let group = group.to_owned();
        ask(&self.queue, |reply| Command::Forget { group, reply }).await
    }
}

fn lag(shared: &Shared, group: &str) -> Result<Vec<Lag>> {
    let (topics, committed) = match shared.groups().get(group) {
        Some(state) => (state.topics.clone(), state.committed.clone()),
        None => return Ok(Vec::new()),
    };
    let mut lags = Vec::new();
    for name in topics {
        let topic = shared.topic(&name)?;
        for (number, partition) in (0_u32..).zip(&topic.partitions) {
            let at = committed
                .get(&(name.clone(), number))
                .map_or_else(|| partition.start(), |(offset, _)| *offset);
            let end = partition.next();
            let (records, bytes) = (end.saturating_sub(at), partition.bytes_from(at)?);
            lags.push(Lag { topic: name.clone(), partition: number, committed: at, end, records, bytes });
        }
    }
    Ok(lags)
}
