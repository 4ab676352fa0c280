//! The log in an Apache Kafka, 2.8 or newer.
//!
//! `options.rs` says how to reach it; `topics.rs` makes topics and asks about them; `producer.rs` appends; `consumer.rs`
//! and `member.rs` read as a group; `reader.rs` reads given offsets; `token/` appends a batch once; `wire.rs` is the
//! format of a record; `failure.rs` turns Kafka's errors into words.
//!
//! What differs from the embedded log:
//! - **Retention is time.** Kafka deletes a record [`KafkaOptions::retention`] after it came, whoever has read it. A
//!   group that was away for longer begins at the oldest record that is left; what it missed is an error in the log
//!   and `bus_lost_by_retention_records_total`. [`Consumer::read`] says `OutOfRange`. What a group committed is itself
//!   forgotten by Kafka a while after its last member left (`offsets.retention.minutes`, as a rule seven days); then it
//!   begins at the oldest.
//! - **A batch is not all or nothing.** When [`Bus::produce`] fails, some of its records may be there. With a token,
//!   the same batch sent again adds the others; their order within the batch may then be another.
//! - **Offsets can have gaps** if others write transactions to a topic or it is compacted. A [`crate::Batch`] never has:
//!   it ends before the gap.
//! - [`Lag::bytes`] is an estimate: records times the mean size of what this process wrote and read.

mod consumer;
mod failure;
mod group;
mod member;
mod options;
mod producer;
mod reader;
mod token;
mod topics;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::OnceCell;

use crate::checks::{check_name, check_sizes};
use crate::{Bus, Consumer, Lag, Position, Record, Result, partition_of};
use consumer::KafkaConsumer;
use failure::Failures;
use group::Observers;
use producer::{KafkaProducer, Outgoing};
use reader::Readers;
use token::Tokens;
use topics::Topics;

pub use options::{KafkaCompression, KafkaLogin, KafkaMechanism, KafkaOptions, KafkaTls};

/// Longest message: a record and what is added to it.
const MAX_MESSAGE_BYTES: usize = crate::MAX_RECORD_BYTES + (1 << 20);
/// A health check asks Kafka again after this time.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// The longest wait of a health check.
const CHECK_WAIT: Duration = Duration::from_secs(5);

/// The log in a Kafka. Clones share it.
#[derive(Clone)]
pub struct KafkaBus(Arc<Inner>);

/// What the parts of a bus share.
struct Inner {
    options: KafkaOptions,
    failures: Arc<Failures>,
    producer: Arc<KafkaProducer>,
    topics: Arc<Topics>,
    readers: Readers,
    observers: Observers,
    /// Read only by who has batches with tokens.
    tokens: OnceCell<Tokens>,
    /// What groups of this process read.
    groups: Mutex<BTreeMap<String, BTreeSet<String>>>,
    sizes: Sizes,
    checked: Mutex<Option<Instant>>,
}

/// The mean size of records.
#[derive(Default)]
struct Sizes {
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Sizes {
    fn saw(&self, records: usize, bytes: usize) {
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// At least 1.
    fn mean(&self) -> u64 {
        let records = self.records.load(Ordering::Relaxed);
        self.bytes.load(Ordering::Relaxed).checked_div(records).unwrap_or(1).max(1)
    }
}

impl KafkaBus {
    /// Connects. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// `Unreachable`, `Unauthorised`, `BrokerCertificate`: nothing works before that is mended.
    pub async fn open(options: KafkaOptions) -> Result<Self> {
        let failures = Failures::of(&options.bootstrap);
        let producer =
            Arc::new(KafkaProducer::new(options.producer(), Arc::clone(&failures), options.patience)?);
        let topics = Arc::new(Topics::new(options.clone(), Arc::clone(&producer), Arc::clone(&failures))?);
        topics.all(options.patience).await?;
        Ok(Self(Arc::new(Inner {
            readers: Readers::new(options.consumer(None), Arc::clone(&failures), options.patience),
            observers: Observers::default(),
            tokens: OnceCell::new(),
            groups: Mutex::default(),
            sizes: Sizes::default(),
            checked: Mutex::default(),
            options,
            failures,
            producer,
            topics,
        })))
    }
}

impl Inner {
    /// The name in Kafka.
    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.options.prefix)
    }

    /// The name here.
    fn shown<'a>(&self, full: &'a str) -> &'a str {
        full.strip_prefix(self.options.prefix.as_str()).unwrap_or(full)
    }

    async fn tokens(self: &Arc<Self>) -> Result<&Tokens> {
        self.tokens.get_or_try_init(|| Tokens::open(self)).await
    }

    /// The topics of this system by their names here.
    async fn visible(&self, patience: Duration) -> Result<Vec<(String, u32)>> {
        let all = self.topics.all(patience).await?;
        let ours = all.into_iter().filter_map(|(full, partitions)| {
            let name = full.strip_prefix(self.options.prefix.as_str())?;
            let hidden = full.starts_with("__") || name == token::TOPIC;
            (!hidden).then(|| (name.to_owned(), partitions))
        });
        Ok(ours.collect())
    }

    fn registered(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, BTreeSet<String>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Bus for KafkaBus {
    async fn create_topic(&self, topic: &str, partitions: u32) -> Result<()> {
        check_name(topic)?;
        let partitions = partitions.clamp(1, crate::VIRTUAL_PARTITIONS);
        self.0.topics.create(&self.0.full(topic), topic, partitions, self.0.options.retention).await
    }

    async fn topics(&self) -> Result<Vec<(String, u32)>> {
        self.0.visible(self.0.options.patience).await
    }

    async fn produce(&self, topic: &str, records: Vec<Record>) -> Result<Vec<Position>> {
        let full = self.0.full(topic);
        let count = self.0.topics.partitions(&full, topic).await?;
        let bytes = check_sizes(None, &records)?;
        self.0.sizes.saw(records.len(), bytes);
        let outgoing = records
            .into_iter()
            .map(|record| Outgoing { partition: partition_of(&record.key, count), record, mark: None })
            .collect();
        self.0.producer.append(&full, outgoing).await
    }

    async fn produce_once(&self, topic: &str, token: &str, records: Vec<Record>) -> Result<Vec<Position>> {
        let bytes = check_sizes(Some(token), &records)?;
        self.0.sizes.saw(records.len(), bytes);
        token::produce_once(Arc::clone(&self.0), topic, token, records).await
    }

    async fn consumer(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Consumer>> {
        check_name(group)?;
        let names: BTreeSet<String> = topics.iter().map(|&topic| topic.to_owned()).collect();
        for name in &names {
            self.0.topics.partitions(&self.0.full(name), name).await?;
        }
        let joined = KafkaConsumer::join(Arc::clone(&self.0), group, &names).await?;
        self.0.registered().entry(group.to_owned()).or_default().extend(names);
        Ok(Box::new(joined))
    }

    async fn check(&self) -> Result<()> {
        if let Some(code) = self.0.producer.refused(CHECK_EVERY * 5) {
            return Err(self.0.failures.explain_code(code, &code.to_string()));
        }
        let fresh = |at: &Instant| at.elapsed() < CHECK_EVERY;
        if self.0.checked.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(fresh) {
            return Ok(());
        }
        self.0.topics.all(CHECK_WAIT.min(self.0.options.patience)).await?;
        *self.0.checked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(())
    }

    async fn lag(&self, group: &str) -> Result<Vec<Lag>> {
        group::lag(&self.0, group).await
    }

    async fn forget_group(&self, group: &str) -> Result<()> {
        self.0.topics.forget_group(&self.0.full(group)).await?;
        self.0.registered().remove(group);
        Ok(())
    }
}

impl std::fmt::Debug for KafkaBus {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("KafkaBus").field("options", &self.0.options).finish_non_exhaustive()
    }
}
