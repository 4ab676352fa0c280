//! Appending: one idempotent producer for everybody, and a count of what each call still waits for.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message as _;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::{ClientConfig, client::Client};
use tokio::sync::{Semaphore, oneshot};

use super::failure::{Failures, Listener, log};
use super::wire::{self, Mark};
use crate::{BusError, Position, Record, Result};

/// Kibibytes of records that may wait for Kafka; more make the producers wait.
const QUEUE_KIB: usize = 64 << 10;
/// An offset that is not known yet, or that Kafka did not tell.
const UNKNOWN: i64 = -1;

/// What is to be appended where.
pub(super) struct Outgoing {
    pub(super) partition: u32,
    pub(super) record: Record,
    pub(super) mark: Option<Mark>,
}

/// One call: its records are acknowledged one by one.
pub(super) struct Call {
    left: AtomicUsize,
    offsets: Box<[AtomicI64]>,
    failed: Mutex<Option<Code>>,
    done: Mutex<Option<oneshot::Sender<()>>>,
}

impl Call {
    fn settle(&self, index: usize, outcome: std::result::Result<i64, Code>) {
        match outcome {
            Ok(offset) => {
                if let Some(place) = self.offsets.get(index) {
                    place.store(offset, Ordering::Release);
                }
            }
            Err(code) => self.fail(code),
        }
        self.count_down(1);
    }

    fn fail(&self, code: Code) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(code);
    }

    fn count_down(&self, by: usize) {
        if self.left.fetch_sub(by, Ordering::AcqRel) == by
            && let Some(done) = self.done.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            // Who waited may have gone.
            done.send(()).ok();
        }
    }
}

/// Hears of deliveries.
pub(super) struct Context {
    failures: Arc<Failures>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Listener(Arc::clone(&self.failures)).error(error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Context {
    type DeliveryOpaque = Box<(Arc<Call>, usize)>;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: Self::DeliveryOpaque) {
        let (call, index) = *opaque;
        call.settle(
            index,
            match result {
                Ok(message) => Ok(message.offset()),
                Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(Code::Unknown)),
            },
        );
    }
}

type Native = ThreadedProducer<Context, NoCustomPartitioner>;

/// The producer of a bus.
pub(super) struct KafkaProducer {
    config: ClientConfig,
    failures: Arc<Failures>,
    patience: Duration,
    native: Mutex<Arc<Native>>,
    room: Arc<Semaphore>,
    /// Whether the last call failed, for health checks.
    refused: Mutex<Option<(Instant, Code)>>,
}

impl KafkaProducer {
    /// Makes the client; it looks for its brokers by itself from now on.
    pub(super) fn new(config: ClientConfig, failures: Arc<Failures>, patience: Duration) -> Result<Self> {
        let native = Mutex::new(Arc::new(native(&config, &failures)?));
        let room = Arc::new(Semaphore::new(QUEUE_KIB));
        Ok(Self { config, failures, patience, native, room, refused: Mutex::default() })
    }

    /// The client, for questions.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&Client<Context>) -> T) -> T {
        let native = Arc::clone(&self.native.lock().unwrap_or_else(PoisonError::into_inner));
        question(native.client())
    }

    /// What the last append failed with, if none succeeded since and it was less than `within` ago.
    pub(super) fn refused(&self, within: Duration) -> Option<Code> {
        let refused = *self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.filter(|(at, _)| at.elapsed() < within).map(|(_, code)| code)
    }

    /// Appends to `topic`, and answers when all copies in step have everything. An error may leave some of it
    /// appended.
    pub(super) async fn append(&self, topic: &str, records: Vec<Outgoing>) -> Result<Vec<Position>> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let bytes: usize = records.iter().map(|one| one.record.size()).sum();
        let permits = u32::try_from((bytes / 1_024 + 1).min(QUEUE_KIB)).unwrap_or(u32::MAX);
        let _room = Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| BusError::Closed)?;
        let count = records.len();
        let (done, answered) = oneshot::channel();
        let call = Arc::new(Call {
            left: AtomicUsize::new(count),
            offsets: (0..count).map(|_| AtomicI64::new(UNKNOWN)).collect(),
            failed: Mutex::default(),
            done: Mutex::new(Some(done)),
        });
        let native = Arc::clone(&self.native.lock().unwrap_or_else(PoisonError::into_inner));
        let (name, patience, waiting) = (topic.to_owned(), self.patience, Arc::clone(&call));
        let send = move || {
            let partitions: Vec<u32> = records.iter().map(|one| one.partition).collect();
            send_all(&native, &name, &records, &waiting, patience);
            partitions
        };
        let partitions = tokio::task::spawn_blocking(send).await.map_err(|_| BusError::Closed)?;
        // Every record is reported, if only as timed out.
        answered.await.map_err(|_| BusError::Closed)?;
        let failed = *call.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) =
            failed.map(|code| (Instant::now(), code));
        if let Some(code) = failed {
            metrics::counter!("bus_refused_batches_total").increment(1);
            self.renew_if_fatal();
            return Err(match code {
                Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
                    BusError::UnknownTopic(topic.to_owned())
                }
                code => self.failures.explain(&KafkaError::MessageProduction(code)),
            });
        }
        self.failures.clear();
        metrics::counter!("bus_appended_records_total").increment(count as u64);
        metrics::counter!("bus_appended_bytes_total").increment(bytes as u64);
        let offsets = call.offsets.iter().map(|offset| u64::try_from(offset.load(Ordering::Acquire)));
        partitions
            .into_iter()
            .zip(offsets)
            .map(|(partition, offset)| match offset {
                Ok(offset) => Ok(Position { partition, offset }),
                // A repetition that the broker knew, but no longer where: an answer was lost long ago.
                Err(_) => Err(BusError::Kafka(format!("{topic:?} was written, but Kafka did not say where"))),
            })
            .collect()
    }

    /// An idempotent producer that Kafka has lost track of is of no use any more.
    fn renew_if_fatal(&self) {
        let mut held = self.native.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((code, reason)) = held.client().fatal_error() else { return };
        tracing::warn!(?code, reason, "Kafka does not know its producer any more; a new one takes over");
        metrics::counter!("bus_kafka_producers_renewed_total").increment(1);
        match native(&self.config, &self.failures) {
            Ok(fresh) => *held = Arc::new(fresh),
            Err(error) => tracing::error!(%error, "no new producer for Kafka"),
        }
    }
}

fn native(config: &ClientConfig, failures: &Arc<Failures>) -> Result<Native> {
    Native::from_config_and_context(config, Context { failures: Arc::clone(failures) })
        .map_err(|error| setup(&error))
}

/// What is wrong with the settings of a client.
pub(super) fn setup(error: &KafkaError) -> BusError {
    match error {
        KafkaError::ClientConfig(_, reason, ..) | KafkaError::ClientCreation(reason)
            if reason.contains("ssl") || reason.contains("certificate") =>
        {
            BusError::BrokerCertificate { reason: reason.clone() }
        }
        other => BusError::Kafka(other.to_string()),
    }
}

/// Hands every record to the library; what it does not take within `patience` counts as failed.
fn send_all(native: &Native, topic: &str, records: &[Outgoing], call: &Arc<Call>, patience: Duration) {
    let deadline = Instant::now() + patience;
    for (index, one) in records.iter().enumerate() {
        let mut message = BaseRecord::with_opaque_to(topic, Box::new((Arc::clone(call), index)))
            .partition(i32::try_from(one.partition).unwrap_or(i32::MAX))
            .key(&one.record.key[..])
            .payload(&one.record.value[..])
            .headers(wire::headers(&one.record, one.mark));
        loop {
            match native.send(message) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(Code::QueueFull), again)) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                    message = again;
                }
                Err((error, _)) => {
                    call.fail(error.rdkafka_error_code().unwrap_or(Code::Unknown));
                    call.count_down(records.len() - index);
                    return;
                }
            }
        }
    }
}
