//! The shipper: gathers events into batches, spools them, and sends them on a thread of its own.
//!
//! The capture never waits for the network: it only waits for the disk, once per batch. What is not yet in a batch
//! (at most [`BATCH_EVENTS`] events or [`BATCH_AGE`]) is what a kill -9 can lose.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dongson_event::Event;
use tracing::{error, info, warn};

use super::link::{Link, Sent};
use super::{Identity, LinkError, Spool, SpoolError, Stored};

/// Most events of a batch.
pub const BATCH_EVENTS: usize = 2_000;
/// Longest that an event waits for its batch.
pub const BATCH_AGE: Duration = Duration::from_secs(1);

/// Why shipping cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The identity.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The link's thread could not be started.
    #[error("the link's thread could not be started: {0}")]
    Thread(std::io::Error),
    /// Not everything was acknowledged in time; the rest stays in the spool.
    #[error(
        "{0} batches were not acknowledged in time; they stay in the spool and are sent at the next start"
    )]
    Unsent(usize),
}

struct Shared {
    spool: Mutex<Spool>,
    /// Told of a new batch, of a batch taken off, and of the end.
    changed: Condvar,
    counts: Mutex<Counts>,
}

/// What was shipped since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events acknowledged by the collector.
    pub acknowledged: u64,
    /// Events refused by the collector for good.
    pub refused: u64,
    /// Events lost because the spool was full, since the start.
    pub lost: u64,
    /// True when no more batches will be made and the thread may end once all is sent.
    ending: bool,
    /// True when the thread is to end at once.
    stopped: bool,
}

/// How to ship.
#[derive(Debug, Clone)]
pub struct ShipOptions {
    /// Most bytes in the spool.
    pub quota_bytes: u64,
    /// Nonce of the drill session under which everything is sent.
    pub drill: Option<String>,
}

impl Default for ShipOptions {
    /// 4 GiB, no drill.
    fn default() -> Self {
        Self { quota_bytes: 4 << 30, drill: None }
    }
}

/// Gathers, spools and sends.
pub struct Shipper {
    shared: Arc<Shared>,
    buffer: Vec<Event>,
    since: Option<Instant>,
    thread: Option<JoinHandle<()>>,
}

impl Shipper {
    /// Starts with the identity of `folder` and the spool in `folder/spool`; what a former run left is sent first.
    pub fn start(folder: &Path, identity: &Identity, options: ShipOptions) -> Result<Self, ShipError> {
        let link = Link::new(identity, folder, options.drill)?;
        let spool = Spool::open(&folder.join("spool"), options.quota_bytes)?;
        let shared =
            Arc::new(Shared { spool: Mutex::new(spool), changed: Condvar::new(), counts: Mutex::default() });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("link".to_owned())
            .spawn(move || send_all(&theirs, link))
            .map_err(ShipError::Thread)?;
        Ok(Self { shared, buffer: Vec::new(), since: None, thread: Some(thread) })
    }

    /// Takes an event; spools the batch when it is full or old.
    pub fn push(&mut self, event: Event) -> Result<(), SpoolError> {
        self.buffer.push(event);
        self.since.get_or_insert_with(Instant::now);
        if self.buffer.len() >= BATCH_EVENTS { self.flush() } else { self.flush_old() }
    }

    /// Spools what has waited long enough; to be called when no packets come.
    pub fn flush_old(&mut self) -> Result<(), SpoolError> {
        if self.since.is_some_and(|since| since.elapsed() >= BATCH_AGE) { self.flush() } else { Ok(()) }
    }

    /// Spools what was gathered.
    pub fn flush(&mut self) -> Result<(), SpoolError> {
        self.since = None;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let stored = lock(&self.shared.spool).store(&self.buffer)?;
        self.buffer.clear();
        match stored {
            Stored::Kept(_) => self.shared.changed.notify_all(),
            Stored::Lost(events) => {
                lock(&self.shared.counts).lost += events;
                metrics::counter!("sensor_spool_lost_events_total").increment(events);
                warn!(events, "the spool is full: events were lost and counted");
            }
        }
        Ok(())
    }

    /// What was shipped since the start.
    pub fn counts(&self) -> Counts {
        *lock(&self.shared.counts)
    }

    /// Bytes and batches that wait, and events lost since the spool was made.
    pub fn backlog(&self) -> (u64, usize, u64) {
        let spool = lock(&self.shared.spool);
        (spool.bytes(), spool.batches(), spool.lost().values().sum())
    }

    /// Spools the rest and waits up to `patience` until everything is acknowledged.
    pub fn finish(mut self, patience: Duration) -> Result<Counts, ShipError> {
        self.flush()?;
        lock(&self.shared.counts).ending = true;
        self.shared.changed.notify_all();
        let spool = lock(&self.shared.spool);
        let (spool, _) = self
            .shared
            .changed
            .wait_timeout_while(spool, patience, |spool| spool.batches() > 0)
            .unwrap_or_else(PoisonError::into_inner);
        let left = spool.batches();
        drop(spool);
        self.stop();
        if left == 0 { Ok(self.counts()) } else { Err(ShipError::Unsent(left)) }
    }

    fn stop(&mut self) {
        lock(&self.shared.counts).stopped = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the link's thread had panicked");
        }
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            error!(%error, "the last events could not be spooled");
        }
        self.stop();
    }
}

/// The thread of the link: sends batch after batch, waits when there is none, pauses when the collector cannot.
fn send_all(shared: &Shared, mut link: Link) {
    loop {
        let spool = lock(&shared.spool);
        let epoch = spool.epoch();
        let Some(batch) = spool.oldest().cloned() else {
            let counts = *lock(&shared.counts);
            if counts.stopped || counts.ending {
                shared.changed.notify_all();
                return;
            }
            let _woken = shared
                .changed
                .wait_timeout(spool, Duration::from_millis(500))
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        drop(spool);
        if lock(&shared.counts).stopped {
            return;
        }
        match link.send(epoch, &batch) {
            Ok(Sent::Acknowledged) => {
                lock(&shared.counts).acknowledged += batch.events;
                metrics::counter!("sensor_shipped_events_total").increment(batch.events);
                settle(shared, |spool| spool.remove(batch.sequence));
            }
            Ok(Sent::Refused(reason)) => {
                error!(batch.sequence, batch.events, %reason, "the collector refused a batch; it was set aside");
                lock(&shared.counts).refused += batch.events;
                metrics::counter!("sensor_refused_events_total").increment(batch.events);
                settle(shared, |spool| spool.set_aside(batch.sequence));
            }
            Ok(Sent::Later { reason, pause }) => {
                info!(%reason, pause_ms = pause.as_millis(), "the collector did not take a batch; trying again");
                pause_for(shared, pause);
            }
            Err(error) => {
                error!(%error, "a batch cannot be sent");
                pause_for(shared, Duration::from_secs(5));
            }
        }
    }
}

fn settle(shared: &Shared, change: impl FnOnce(&mut Spool) -> Result<(), SpoolError>) {
    if let Err(error) = change(&mut lock(&shared.spool)) {
        error!(%error, "the spool's disk refused");
    }
    shared.changed.notify_all();
}

/// Waits for `pause`, or until the thread is to stop.
fn pause_for(shared: &Shared, pause: Duration) {
    let until = Instant::now() + pause;
    let mut spool = lock(&shared.spool);
    while !lock(&shared.counts).stopped {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        (spool, _) = shared.changed.wait_timeout(spool, left).unwrap_or_else(PoisonError::into_inner);
    }
}

/// A lock whose holder panicked still guards whole data: every change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
