//! A member of a group: the thread that keeps it alive, and what it has fetched.
//!
//! The library learns of a rebalance, and answers it, only when it is polled. So a thread polls all the time, however
//! long the work on a batch takes: a store that is away does not throw the member out. What it fetches waits in a
//! buffer; above [`HIGH_BYTES`] the partitions pause, below [`LOW_BYTES`] they go on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::{Notify, oneshot};

use super::failure::{Failures, log};
use super::producer::setup;
use super::topics::Topics;
use super::wire;
use crate::{BusError, Record, Result};

/// Above it nothing more is fetched.
const HIGH_BYTES: usize = 48 << 20;
/// Below it fetching goes on.
const LOW_BYTES: usize = 16 << 20;
/// What a record costs besides its bytes.
const RECORD_BYTES: usize = 128;
/// How often the thread looks for orders while nothing comes.
const TURN: Duration = Duration::from_millis(50);

/// A partition, by the full name of its topic.
pub(super) type Place = (String, u32);

/// A record that was fetched and not handed out yet.
pub(super) struct Fetched {
    pub(super) place: Place,
    pub(super) offset: u64,
    pub(super) record: Record,
    pub(super) size: usize,
}

/// How far a partition is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// The offset that comes next from Kafka, where it is known.
    expected: Option<u64>,
    /// The offset after the last that was handed out.
    pub(super) handed_out: Option<u64>,
}

/// What the thread and the callers share.
#[derive(Default)]
pub(super) struct State {
    pub(super) assigned: BTreeMap<Place, Progress>,
    pub(super) buffer: VecDeque<Fetched>,
    pub(super) bytes: usize,
    /// How often partitions were dealt out.
    pub(super) rebalances: u64,
    pub(super) failure: Option<BusError>,
}

/// What the thread is asked to do.
enum Order {
    Seek { place: Place, offset: u64, reply: oneshot::Sender<Result<()>> },
}

/// Shared by the thread, the library's callbacks and the consumer.
pub(super) struct Shared {
    group: String,
    state: Mutex<State>,
    pub(super) news: Notify,
    stop: AtomicBool,
    topics: Arc<Topics>,
    failures: Arc<Failures>,
    patience: Duration,
}

impl Shared {
    /// Never held across a wait.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The library's callbacks.
pub(super) struct Context(Arc<Shared>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        log(level, fac, message);
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, native: &BaseConsumer<Self>, err: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let cooperative = matches!(native.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let outcome = if err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let begin = self.0.begin(native, list);
            self.0.took(&begin);
            if cooperative { native.incremental_assign(&begin) } else { native.assign(&begin) }
        } else {
            self.0.lost(list);
            if cooperative { native.incremental_unassign(list) } else { native.unassign() }
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, group = self.0.group, "partitions could not be taken or given");
        }
        self.0.news.notify_waiters();
    }
}

impl Shared {
    /// The partitions of `list` with the offsets at which to begin: what was committed, else the oldest.
    fn begin(&self, native: &BaseConsumer<Context>, list: &TopicPartitionList) -> TopicPartitionList {
        if list.count() == 0 {
            return list.clone();
        }
        match native.committed_offsets(list.clone(), self.patience) {
            Ok(begin) => {
                for place in list.elements() {
                    let Some(mut one) = begin.find_partition(place.topic(), place.partition()) else {
                        continue;
                    };
                    if !matches!(one.offset(), Offset::Offset(_)) {
                        drop(one.set_offset(Offset::Beginning));
                    }
                }
                begin
            }
            Err(error) => {
                tracing::warn!(%error, group = self.group, "what the group committed is left to the client to ask for");
                let mut begin = list.clone();
                drop(begin.set_all_offsets(Offset::Stored));
                begin
            }
        }
    }

    fn took(&self, begin: &TopicPartitionList) {
        let mut state = self.state();
        state.rebalances += 1;
        for place in begin.elements() {
            let expected = match place.offset() {
                Offset::Offset(offset) => u64::try_from(offset).ok(),
                _ => None,
            };
            let progress = Progress { expected, handed_out: None };
            state.assigned.insert(key(place.topic(), place.partition()), progress);
        }
    }

    fn lost(&self, list: &TopicPartitionList) {
        let mut state = self.state();
        for place in list.elements() {
            let place = key(place.topic(), place.partition());
            state.assigned.remove(&place);
            state.forget(&place);
        }
    }

    /// Puts a message into the buffer.
    fn fetched(&self, message: &BorrowedMessage<'_>) {
        let place = key(message.topic(), message.partition());
        let offset = u64::try_from(message.offset()).unwrap_or_default();
        let record = wire::record(message);
        let size = record.size();
        let missed = {
            let mut state = self.state();
            let Some(progress) = state.assigned.get_mut(&place) else { return };
            let missed = progress.expected.filter(|&expected| expected != offset);
            progress.expected = Some(offset + 1);
            state.bytes += size + RECORD_BYTES;
            state.buffer.push_back(Fetched { place: place.clone(), offset, record, size });
            missed
        };
        self.news.notify_waiters();
        if let Some(expected) = missed {
            self.missed(&place, expected, offset);
        }
    }

    /// Kafka jumped from `expected` to `came`: it deleted what lies between, or made the topic anew.
    fn missed(&self, place: &Place, expected: u64, came: u64) {
        let (topic, partition) = (place.0.as_str(), place.1);
        if came < expected {
            tracing::error!(
                group = self.group,
                topic,
                partition,
                expected,
                came,
                "the topic is shorter than what was read of it: it was made anew, or lost its end"
            );
            return;
        }
        // Offsets that hold no record (of somebody's transaction) are no loss; those before the first kept one are.
        let start = self.topics.reach_now(topic, partition).map_or(came, |reach| reach.start.min(came));
        let lost = start.saturating_sub(expected);
        if lost > 0 {
            metrics::counter!("bus_lost_by_retention_records_total", "group" => self.group.clone())
                .increment(lost);
            tracing::error!(
                group = self.group,
                topic,
                partition,
                lost,
                "lost by retention: Kafka deleted records before the group had read them; raise bus.kafka.retention_hours"
            );
        }
    }

    fn told(&self, error: &KafkaError) {
        let Some(code) = error.rdkafka_error_code() else { return };
        self.failures.note(code, &error.to_string());
        let failure = match self.failures.explain(error) {
            // It comes back by itself, and a poll that brings nothing says as much.
            passing if passing.passes() => return,
            BusError::Kafka(reason) if !matches!(error, KafkaError::MessageConsumptionFatal(_)) => match code
            {
                Code::UnknownTopicOrPartition | Code::UnknownTopic => BusError::UnknownTopic(reason),
                _ => return,
            },
            failure => failure,
        };
        self.state().failure = Some(failure);
        self.news.notify_waiters();
    }
}

impl State {
    /// Drops what was fetched of a partition.
    fn forget(&mut self, place: &Place) {
        self.buffer.retain(|fetched| fetched.place != *place);
        self.bytes = self.buffer.iter().map(|fetched| fetched.size + RECORD_BYTES).sum();
    }

    /// Takes the record at `index` of the buffer out.
    pub(super) fn hand_out(&mut self, index: usize) -> Option<Fetched> {
        let fetched = self.buffer.remove(index)?;
        self.bytes = self.bytes.saturating_sub(fetched.size + RECORD_BYTES);
        if let Some(progress) = self.assigned.get_mut(&fetched.place) {
            progress.handed_out = Some(fetched.offset + 1);
        }
        Some(fetched)
    }
}

fn key(topic: &str, partition: i32) -> Place {
    (topic.to_owned(), u32::try_from(partition).unwrap_or(u32::MAX))
}

/// A member; it leaves the group when dropped.
pub(super) struct Member {
    pub(super) shared: Arc<Shared>,
    pub(super) native: Arc<BaseConsumer<Context>>,
    orders: Sender<Order>,
}

impl Member {
    /// Joins `group` for `topics` (full names).
    pub(super) fn join(
        config: &ClientConfig,
        group: &str,
        topics: &[String],
        asked: &Arc<Topics>,
        failures: &Arc<Failures>,
        patience: Duration,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            group: group.to_owned(),
            state: Mutex::default(),
            news: Notify::new(),
            stop: AtomicBool::new(false),
            topics: Arc::clone(asked),
            failures: Arc::clone(failures),
            patience,
        });
        let native = BaseConsumer::from_config_and_context(config, Context(Arc::clone(&shared)));
        let native = Arc::new(native.map_err(|error| setup(&error))?);
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        native.subscribe(&names).map_err(|error| failures.explain(&error))?;
        let (orders, orders_of_thread) = channel();
        let (polled, seen) = (Arc::clone(&native), Arc::clone(&shared));
        std::thread::Builder::new()
            .name("kafka-member".to_owned())
            .spawn(move || run(&polled, &seen, &orders_of_thread))
            .map_err(|error| BusError::Kafka(error.to_string()))?;
        Ok(Self { shared, native, orders })
    }

    /// Moves the position of an assigned partition.
    pub(super) async fn seek(&self, place: Place, offset: u64) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Seek { place, offset, reply }).map_err(|_| BusError::Closed)?;
        answer.await.map_err(|_| BusError::Closed)?
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

fn run(native: &BaseConsumer<Context>, shared: &Shared, orders: &Receiver<Order>) {
    let mut paused = false;
    while !shared.stop.load(Ordering::Acquire) {
        while let Ok(Order::Seek { place, offset, reply }) = orders.try_recv() {
            drop(reply.send(seek(native, shared, &place, offset)));
        }
        let (bytes, rebalances) = {
            let state = shared.state();
            (state.bytes, state.rebalances)
        };
        if !paused && bytes > HIGH_BYTES || paused && bytes < LOW_BYTES {
            paused = !paused;
            pause(native, paused);
        }
        match native.poll(TURN) {
            Some(Ok(message)) => shared.fetched(&message),
            Some(Err(error)) => shared.told(&error),
            None => {}
        }
        if paused && shared.state().rebalances != rebalances {
            // What has just come must not flow either.
            pause(native, true);
        }
    }
    // Says good-bye to the group; what the library still has to say is served until it has.
    native.unsubscribe();
    let deadline = Instant::now() + shared.patience;
    while !shared.state().assigned.is_empty() && Instant::now() < deadline {
        drop(native.poll(TURN));
    }
}

fn pause(native: &BaseConsumer<Context>, pause: bool) {
    let outcome =
        native.assignment().and_then(|all| if pause { native.pause(&all) } else { native.resume(&all) });
    if let Err(error) = outcome {
        tracing::warn!(%error, pause, "the partitions could not be paused or resumed");
    }
}

fn seek(native: &BaseConsumer<Context>, shared: &Shared, place: &Place, offset: u64) -> Result<()> {
    let to = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
    let number = i32::try_from(place.1).unwrap_or(i32::MAX);
    let deadline = Instant::now() + shared.patience;
    loop {
        match native.seek(&place.0, number, to, shared.patience) {
            Ok(()) => {
                let mut state = shared.state();
                state.forget(place);
                if let Some(progress) = state.assigned.get_mut(place) {
                    *progress = Progress { expected: Some(offset), handed_out: Some(offset) };
                }
                return Ok(());
            }
            // Taken a moment ago, and not fetched from yet; what comes meanwhile is before the new position.
            Err(_) if Instant::now() < deadline && shared.state().assigned.contains_key(place) => {
                if let Some(Ok(message)) = native.poll(TURN) {
                    shared.fetched(&message);
                }
            }
            Err(error) => return Err(BusError::Kafka(error.to_string())),
        }
    }
}
