//! Reading given offsets, without a group.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::failure::{Failures, Listener};
use super::producer::setup;
use crate::{BusError, Result};

impl ConsumerContext for Listener {}

type Native = BaseConsumer<Listener>;

/// Readers that wait for the next question: connecting takes longer than reading.
pub(super) struct Readers {
    config: ClientConfig,
    failures: Arc<Failures>,
    patience: Duration,
    idle: Mutex<Vec<Native>>,
}

/// Readers kept for later.
const IDLE: usize = 2;

impl Readers {
    pub(super) fn new(config: ClientConfig, failures: Arc<Failures>, patience: Duration) -> Self {
        Self { config, failures, patience, idle: Mutex::default() }
    }

    /// Calls `each` with the messages from offset `from` on, before `until`, in order. What is not there any more is
    /// left out. Blocks.
    pub(super) fn read(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        until: u64,
        mut each: impl FnMut(u64, &BorrowedMessage<'_>) -> Result<()>,
    ) -> Result<()> {
        if from >= until {
            return Ok(());
        }
        let native = self.take()?;
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        let mut place = TopicPartitionList::new();
        let first = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        place.add_partition_offset(topic, number, first).map_err(|error| self.failures.explain(&error))?;
        native.assign(&place).map_err(|error| self.failures.explain(&error))?;
        let mut deadline = Instant::now() + self.patience;
        loop {
            match native.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let offset = u64::try_from(message.offset()).unwrap_or_default();
                    if offset < until {
                        each(offset, &message)?;
                    }
                    if offset + 1 >= until {
                        break;
                    }
                    deadline = Instant::now() + self.patience;
                }
                // The end of what can be read: the rest up to `until` is gone, or no record.
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) => self.told(&error)?,
                None => {}
            }
            if Instant::now() > deadline {
                return Err(self.failures.too_long(&format!("{topic:?}/{partition} could not be read")));
            }
        }
        native.unassign().map_err(|error| self.failures.explain(&error))?;
        self.give_back(native);
        Ok(())
    }

    /// A broker that is away comes back; what a person must mend ends the reading.
    fn told(&self, error: &KafkaError) -> Result<()> {
        if let Some(code) = error.rdkafka_error_code() {
            self.failures.note(code, &error.to_string());
        }
        match self.failures.explain(error) {
            refused @ (BusError::Unauthorised { .. } | BusError::BrokerCertificate { .. }) => Err(refused),
            _ => Ok(()),
        }
    }

    fn take(&self) -> Result<Native> {
        if let Some(native) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(native);
        }
        self.fresh()
    }

    /// A reader of its own, for who reads on and on.
    pub(super) fn fresh(&self) -> Result<Native> {
        Native::from_config_and_context(&self.config, Listener(Arc::clone(&self.failures)))
            .map_err(|error| setup(&error))
    }

    fn give_back(&self, native: Native) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(native);
        }
    }
}
