//! Topics: making them, and what there is.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::RDKafkaErrorCode as Code;

use super::MAX_MESSAGE_BYTES;
use super::failure::{Failures, Listener};
use super::options::KafkaOptions;
use super::producer::{KafkaProducer, setup};
use crate::{BusError, Result};

/// For so long a leader may not know yet of a topic that was just made.
const NEW_TOPIC: Duration = Duration::from_secs(5);

/// What is asked of Kafka about its topics.
pub(super) struct Topics {
    options: KafkaOptions,
    admin: AdminClient<Listener>,
    producer: Arc<KafkaProducer>,
    failures: Arc<Failures>,
    /// Partitions by full name; their number never changes.
    known: RwLock<BTreeMap<String, u32>>,
}

/// Which offsets a partition has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    /// First offset that is kept.
    pub(super) start: u64,
    /// The offset that the next record will get.
    pub(super) end: u64,
}

impl Topics {
    pub(super) fn new(
        options: KafkaOptions,
        producer: Arc<KafkaProducer>,
        failures: Arc<Failures>,
    ) -> Result<Self> {
        let admin = AdminClient::from_config_and_context(&options.client(), Listener(Arc::clone(&failures)))
            .map_err(|error| setup(&error))?;
        Ok(Self { options, admin, producer, failures, known: RwLock::default() })
    }

    /// Every topic that this login may see, by its full name; also a sign that Kafka answers.
    pub(super) async fn all(self: &Arc<Self>, patience: Duration) -> Result<BTreeMap<String, u32>> {
        let topics = Arc::clone(self);
        let ask = move || topics.all_now(patience);
        tokio::task::spawn_blocking(ask).await.map_err(|_| BusError::Closed)?
    }

    fn all_now(&self, patience: Duration) -> Result<BTreeMap<String, u32>> {
        let metadata = self
            .producer
            .ask(|client| client.fetch_metadata(None, patience))
            .map_err(|error| self.failures.explain(&error))?;
        self.failures.clear();
        let count = |partitions: usize| u32::try_from(partitions).unwrap_or(u32::MAX);
        let found: BTreeMap<String, u32> = metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none() && !topic.partitions().is_empty())
            .map(|topic| (topic.name().to_owned(), count(topic.partitions().len())))
            .collect();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = found.clone();
        Ok(found)
    }

    /// How many partitions the topic has; `shown` is its name without the prefix.
    pub(super) async fn partitions(self: &Arc<Self>, full: &str, shown: &str) -> Result<u32> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(full).copied();
        if let Some(count) = known {
            return Ok(count);
        }
        let all = self.all(self.options.patience).await?;
        all.get(full).copied().ok_or_else(|| BusError::UnknownTopic(shown.to_owned()))
    }

    /// Makes a topic, or finds it with as many partitions. Returns when each partition has a leader.
    pub(super) async fn create(
        self: &Arc<Self>,
        full: &str,
        shown: &str,
        partitions: u32,
        retention: Duration,
    ) -> Result<()> {
        let differ =
            |existing| BusError::PartitionsDiffer { topic: shown.to_owned(), existing, wanted: partitions };
        match self.partitions(full, shown).await {
            Ok(existing) if existing == partitions => return Ok(()),
            Ok(existing) => return Err(differ(existing)),
            Err(BusError::UnknownTopic(_)) => {}
            Err(error) => return Err(error),
        }
        let kept = retention.as_millis().to_string();
        let largest = MAX_MESSAGE_BYTES.to_string();
        let in_step = if self.options.replication >= 3 { "2" } else { "1" };
        let count = i32::try_from(partitions).unwrap_or(i32::MAX);
        let topic = NewTopic::new(full, count, TopicReplication::Fixed(i32::from(self.options.replication)))
            .set("cleanup.policy", "delete")
            .set("retention.ms", &kept)
            .set("max.message.bytes", &largest)
            .set("min.insync.replicas", in_step)
            // By the time of arrival, or what a sensor had to spool would be old as soon as it comes.
            .set("message.timestamp.type", "LogAppendTime");
        let wait = AdminOptions::new()
            .request_timeout(Some(self.options.patience))
            .operation_timeout(Some(self.options.patience));
        let made = self.admin.create_topics([&topic], &wait).await;
        let made = made.map_err(|error| self.failures.explain(&error))?;
        for outcome in made {
            match outcome {
                Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
                Err((_, code)) => {
                    return Err(self
                        .failures
                        .explain_code(code, &format!("the topic {full:?} was not made: {code}")));
                }
            }
        }
        let deadline = Instant::now() + self.options.patience;
        loop {
            match self.ready(full).await? {
                Some(existing) if existing == partitions => return Ok(()),
                Some(existing) => return Err(differ(existing)),
                None if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(50)).await,
                None => return Err(self.failures.too_long(&format!("the topic {full:?} has no leader"))),
            }
        }
    }

    /// The number of partitions once all of them have a leader.
    async fn ready(self: &Arc<Self>, full: &str) -> Result<Option<u32>> {
        let (topics, name) = (Arc::clone(self), full.to_owned());
        let ask = move || {
            let metadata = topics
                .producer
                .ask(|client| client.fetch_metadata(None, topics.options.patience))
                .map_err(|error| topics.failures.explain(&error))?;
            let found = metadata.topics().iter().find(|topic| topic.name() == name);
            let led = found.filter(|topic| {
                topic.error().is_none()
                    && !topic.partitions().is_empty()
                    && topic.partitions().iter().all(|one| one.error().is_none() && one.leader() >= 0)
            });
            let count = led.map(|topic| u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX));
            if let Some(count) = count {
                topics.known.write().unwrap_or_else(PoisonError::into_inner).insert(name, count);
            }
            Ok(count)
        };
        tokio::task::spawn_blocking(ask).await.map_err(|_| BusError::Closed)?
    }

    /// Asks the leader of a partition.
    pub(super) async fn reach(self: &Arc<Self>, full: &str, partition: u32) -> Result<Reach> {
        let (topics, name) = (Arc::clone(self), full.to_owned());
        let ask = move || topics.reach_now(&name, partition);
        tokio::task::spawn_blocking(ask).await.map_err(|_| BusError::Closed)?
    }

    /// Like [`Topics::reach`], for a thread that may block.
    pub(super) fn reach_now(&self, full: &str, partition: u32) -> Result<Reach> {
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        let begun = Instant::now();
        let (start, end) = loop {
            let left = self.options.patience.saturating_sub(begun.elapsed());
            let asked = self
                .producer
                .ask(|client| client.fetch_watermarks(full, number, left.max(Duration::from_millis(100))));
            let error = match asked {
                Ok(found) => break found,
                Err(error) => error,
            };
            // A topic that was just made, or a broker that has just died: soon somebody leads it.
            let patience = match error.rdkafka_error_code() {
                Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
                    NEW_TOPIC
                }
                _ => self.options.patience,
            };
            let explained = self.failures.explain(&error);
            let unknown = patience == NEW_TOPIC;
            if begun.elapsed() >= patience || !(unknown || explained.passes()) {
                return Err(explained);
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let unsigned = |offset: i64| u64::try_from(offset).unwrap_or_default();
        Ok(Reach { start: unsigned(start), end: unsigned(end) })
    }

    /// Deletes what a group committed; it has no members.
    pub(super) async fn forget_group(&self, full: &str) -> Result<()> {
        let deadline = Instant::now() + self.options.patience;
        loop {
            let wait = AdminOptions::new().request_timeout(Some(self.options.patience));
            let gone = self.admin.delete_groups(&[full], &wait).await;
            let outcome = gone.map_err(|error| self.failures.explain(&error))?.into_iter().next();
            match outcome {
                None | Some(Ok(_) | Err((_, Code::GroupIdNotFound))) => return Ok(()),
                // Who has just left is on the way out.
                Some(Err((_, Code::NonEmptyGroup))) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Some(Err((_, code))) => {
                    return Err(self
                        .failures
                        .explain_code(code, &format!("the group {full:?} was not forgotten: {code}")));
                }
            }
        }
    }
}
