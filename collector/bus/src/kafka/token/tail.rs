//! Reads the topic of tokens, from what is remembered of it to its end, and on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::book::Book;
use super::record::Said;
use crate::kafka::Inner;
use crate::kafka::failure::{Failures, Listener};
use crate::{BusError, Result};

/// How long the thread waits for the next record before it looks whether it is to end.
const TURN: Duration = Duration::from_millis(100);

/// What the thread and its readers share.
pub(super) struct Tail {
    book: Mutex<Book>,
    /// By partition, the offset after the last that is in the book.
    next: Mutex<Vec<u64>>,
    pub(super) news: Notify,
    stop: AtomicBool,
    failures: Arc<Failures>,
}

impl Tail {
    /// Starts the thread, and waits until the book says what the topic says now.
    pub(super) async fn start(bus: &Arc<Inner>, topic: &str, partitions: u32) -> Result<Arc<Self>> {
        let options = &bus.options;
        let mut list = TopicPartitionList::new();
        let (mut next, mut ends) = (Vec::new(), Vec::new());
        // Two records for each token.
        let most = (options.tokens as u64).saturating_mul(2) / u64::from(partitions.max(1)) + 1;
        for number in 0..partitions {
            let reach = bus.topics.reach(topic, number).await?;
            let from = reach.start.max(reach.end.saturating_sub(most));
            let at = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
            let signed = i32::try_from(number).unwrap_or(i32::MAX);
            list.add_partition_offset(topic, signed, at).map_err(|error| bus.failures.explain(&error))?;
            next.push(from);
            ends.push(reach.end);
        }
        let native = bus.readers.fresh()?;
        native.assign(&list).map_err(|error| bus.failures.explain(&error))?;
        let tail = Arc::new(Self {
            book: Mutex::new(Book::new(options.tokens, options.token_age)),
            next: Mutex::new(next),
            news: Notify::new(),
            stop: AtomicBool::new(false),
            failures: Arc::clone(&bus.failures),
        });
        let reading = Arc::clone(&tail);
        std::thread::Builder::new()
            .name("kafka-tokens".to_owned())
            .spawn(move || run(&native, &reading))
            .map_err(|error| BusError::Kafka(error.to_string()))?;
        for (number, end) in (0_u32..).zip(ends) {
            if end > 0 {
                tail.reached(number, end - 1, options.patience).await?;
            }
        }
        Ok(tail)
    }

    /// Never held across a wait.
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, partition: u32) -> u64 {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        usize::try_from(partition).ok().and_then(|at| next.get(at)).copied().unwrap_or(u64::MAX)
    }

    /// Waits until the record at `offset` is in the book; `patience` counts from the last that came.
    pub(super) async fn reached(&self, partition: u32, offset: u64, patience: Duration) -> Result<()> {
        let mut seen = self.next(partition);
        let mut deadline = Instant::now() + patience;
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            let next = self.next(partition);
            if next > offset {
                return Ok(());
            }
            if next != seen {
                (seen, deadline) = (next, Instant::now() + patience);
            }
            if tokio::time::timeout_at(deadline, news).await.is_err() {
                return Err(self.failures.too_long("the topic of tokens could not be read to its end"));
            }
        }
    }

    fn take(&self, message: &BorrowedMessage<'_>) {
        let offset = u64::try_from(message.offset()).unwrap_or_default();
        let at_ms = message.timestamp().to_millis().and_then(|at| u64::try_from(at).ok()).unwrap_or_default();
        let token = message.key().and_then(|key| key.try_into().ok());
        match (token, message.payload().and_then(Said::read)) {
            (Some(token), Some(said)) => self.book().take(token, offset, at_ms, said),
            _ => metrics::counter!("bus_tokens_unreadable_total").increment(1),
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = usize::try_from(message.partition()).ok().and_then(|at| next.get_mut(at)) {
            *place = offset + 1;
        }
    }

    /// Ends the thread.
    pub(super) fn end(&self) {
        self.stop.store(true, Ordering::Release);
    }
}

fn run(native: &BaseConsumer<Listener>, tail: &Tail) {
    while !tail.stop.load(Ordering::Acquire) {
        match native.poll(TURN) {
            Some(Ok(message)) => {
                tail.take(&message);
                tail.news.notify_waiters();
            }
            // A broker that is away comes back, and whoever waits for the book runs out of patience and says why.
            Some(Err(error)) => {
                if let Some(code) = error.rdkafka_error_code() {
                    tail.failures.note(code, &error.to_string());
                }
            }
            None => {}
        }
    }
}
