//! Records on their way from the inputs to the spool, in bounded memory.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use dongson_event::Timestamp;

use super::{Input, Place};

/// Most bytes of records that wait, [`OVERHEAD`] for each record among them.
pub(super) const MOST_BYTES: usize = 16 << 20;
/// What a record takes beside its bytes.
const OVERHEAD: usize = 256;

/// A record as it was read.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) input: Arc<Input>,
    pub(super) raw: Vec<u8>,
    pub(super) received: Timestamp,
    pub(super) peer: Option<IpAddr>,
    pub(super) path: Option<String>,
    pub(super) missing_bytes: u64,
    /// Where its file is read on when this record is safe.
    pub(super) place: Option<Place>,
}

impl Record {
    fn weight(&self) -> usize {
        self.raw.len() + OVERHEAD
    }
}

#[derive(Debug, Default)]
struct Waiting {
    records: VecDeque<Record>,
    bytes: usize,
    ended: bool,
}

impl Waiting {
    fn has_room(&self, record: &Record) -> bool {
        self.records.is_empty() || self.bytes + record.weight() <= MOST_BYTES
    }

    fn put(&mut self, record: Record) {
        self.bytes += record.weight();
        self.records.push_back(record);
    }
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    taken: Condvar,
}

impl Queue {
    /// Takes the record if there is room; false: it is gone.
    pub(super) fn offer(&self, record: Record) -> bool {
        let mut waiting = self.lock();
        let room = !waiting.ended && waiting.has_room(&record);
        if room {
            waiting.put(record);
        }
        room
    }

    /// Takes the record when there is room for it; false when the end comes before.
    pub(super) fn put(&self, record: Record) -> bool {
        let mut waiting = self
            .taken
            .wait_while(self.lock(), |waiting| !waiting.ended && !waiting.has_room(&record))
            .unwrap_or_else(PoisonError::into_inner);
        let open = !waiting.ended;
        if open {
            waiting.put(record);
        }
        open
    }

    /// At most `most` of the records that wait, and whether more do.
    pub(super) fn take(&self, most: usize) -> (Vec<Record>, bool) {
        let mut waiting = self.lock();
        let count = waiting.records.len().min(most);
        let some: Vec<Record> = waiting.records.drain(..count).collect();
        waiting.bytes = waiting.bytes.saturating_sub(some.iter().map(Record::weight).sum());
        let more = !waiting.records.is_empty();
        drop(waiting);
        self.taken.notify_all();
        (some, more)
    }

    /// Nothing is taken any more; what is there may still be had.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.taken.notify_all();
    }

    /// A lock whose holder panicked still guards whole records.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    fn record(length: usize) -> Record {
        let input = Input {
            name: "a".to_owned(),
            source: Source::File("/x".into()),
            from: Vec::new(),
            parser: None,
            time_zone: None,
            enabled: true,
        };
        Record {
            input: Arc::new(input),
            raw: vec![0; length],
            received: Timestamp::from_seconds(1),
            peer: None,
            path: None,
            missing_bytes: 0,
            place: None,
        }
    }

    #[test]
    fn what_finds_no_room_is_not_taken() {
        let queue = Queue::default();
        let half = MOST_BYTES / 2 - OVERHEAD;
        assert!(queue.offer(record(half)) && queue.offer(record(half)));
        assert!(!queue.offer(record(0)));
        assert_eq!(queue.take(1).0.len(), 1);
        assert!(queue.offer(record(0)));
        let (records, more) = queue.take(9);
        assert_eq!((records.len(), more), (2, false));
        assert!(queue.offer(record(2 * MOST_BYTES)), "one record always has room");
    }

    #[test]
    fn who_waits_goes_on_when_there_is_room_or_at_the_end() {
        let queue = Arc::new(Queue::default());
        assert!(queue.put(record(MOST_BYTES)));
        let theirs = Arc::clone(&queue);
        let waits = std::thread::spawn(move || (theirs.put(record(1)), theirs.put(record(MOST_BYTES))));
        while queue.take(1).0.iter().all(|record| record.raw.len() != 1) {
            std::thread::yield_now();
        }
        queue.end();
        let (first, _) = waits.join().unwrap();
        assert!(first && !queue.offer(record(1)) && !queue.put(record(1)));
    }
}
