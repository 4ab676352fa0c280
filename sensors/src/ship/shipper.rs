//! The shipper: gathers events into batches, spools them, and sends them on a thread of its own.
//!
//! The capture never waits for the network: it only waits for the disk, once per batch. What is not yet in a batch
//! (of each class at most [`BATCH_EVENTS`] events, and for [`BATCH_AGE`]) is what a kill -9 can lose.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dongson_event::Event;
use dongson_event::batch::Class;
use serde_json::json;
use tracing::{error, info, warn};

use super::budget::BudgetOptions;
use super::clock::{Clock, Offset};
use super::link::{Link, Sent};
use super::spool::Waiting;
use super::{Batch, Identity, LinkError, Meter, Spool, SpoolError, Stored};
use crate::relay::Place;

/// Most events of a batch.
pub const BATCH_EVENTS: u64 = 2_000;
/// Most bytes of a batch before it is packed, but for its last event: half of what the collector takes.
pub const BATCH_BYTES: usize = 16 << 20;
/// Longest that an event waits for its batch.
pub const BATCH_AGE: Duration = Duration::from_secs(1);
/// How long the end waits for a batch that is on its way; the spool has it in any case.
const FAREWELL: Duration = Duration::from_secs(2);

/// How often the centre is told how the sensor is, while it has sent more than its budget.
const REPORT_IN_DEBT: Duration = Duration::from_mins(1);
/// How often this clock is measured by the collector's.
const CLOCK_EVERY: Duration = Duration::from_mins(1);

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
        "{events} events in {batches} batches were not acknowledged in time; they stay in the spool and are sent at the next start"
    )]
    Unsent {
        /// How many batches wait.
        batches: usize,
        /// How many events are in them.
        events: u64,
    },
}

struct Shared {
    spool: Mutex<Spool>,
    /// True while the collector refuses this sensor.
    barred: AtomicBool,
    /// Told of a new batch, of a batch taken off, and of the end.
    changed: Condvar,
    counts: Mutex<Counts>,
    /// The newest health report that was not sent.
    report: Mutex<Option<serde_json::Value>>,
    /// When the link's certificate ends, in seconds since 1970 UTC.
    certificate_end: Mutex<Option<i64>>,
    clock: Mutex<Clock>,
    meter: Meter,
    begun: Instant,
    /// When the collector answered last, in milliseconds since `begun`.
    answered: AtomicU64,
}

impl Shared {
    /// Notes that the collector answered.
    fn answered(&self) {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.answered.store(millis, Ordering::Relaxed);
    }
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
    /// True when the thread has ended.
    ended: bool,
}

/// How to ship.
#[derive(Debug, Clone)]
pub struct ShipOptions {
    /// Most bytes in the spool.
    pub quota_bytes: u64,
    /// Nonce of the drill session under which everything is sent.
    pub drill: Option<String>,
    /// How many bytes a day may be sent; `None`: as many as there are.
    pub budget: Option<BudgetOptions>,
}

impl Default for ShipOptions {
    /// 4 GiB, no drill, no budget.
    fn default() -> Self {
        Self { quota_bytes: 4 << 30, drill: None, budget: None }
    }
}

/// Gathers, spools and sends.
pub struct Shipper {
    shared: Arc<Shared>,
    /// What is gathered, by [`Class::index`].
    buffers: [Batch; Class::ALL.len()],
    since: Option<Instant>,
    /// How far files were read with what was gathered, by the names of their inputs.
    places: BTreeMap<String, Place>,
    thread: Option<JoinHandle<()>>,
}

impl Shipper {
    /// Starts with the identity of `folder` and the spool in `folder/spool`; what a former run left is sent first.
    pub fn start(folder: &Path, identity: &Identity, options: ShipOptions) -> Result<Self, ShipError> {
        let link = Link::new(identity, folder, options.drill)?;
        let spool = Spool::open(&folder.join("spool"), options.quota_bytes)?;
        let meter = Meter::new(folder);
        meter.set(options.budget);
        let shared = Arc::new(Shared {
            spool: Mutex::new(spool),
            changed: Condvar::new(),
            counts: Mutex::default(),
            report: Mutex::default(),
            certificate_end: Mutex::new(link.certificate_end()),
            clock: Mutex::default(),
            meter,
            barred: AtomicBool::new(false),
            begun: Instant::now(),
            answered: AtomicU64::new(0),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("link".to_owned())
            .spawn(move || {
                let _end = End(&theirs);
                send_all(&theirs, link);
            })
            .map_err(ShipError::Thread)?;
        Ok(Self {
            shared,
            buffers: Class::ALL.map(Batch::new),
            since: None,
            places: BTreeMap::new(),
            thread: Some(thread),
        })
    }

    /// Takes an event; spools its batch when it is full, and all when they are old. After an error what was in them is
    /// gone and counted as lost; the next ones are tried again.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the event ends here; whoever made it has no more use for it"
    )]
    pub fn push(&mut self, event: Event) -> Result<(), SpoolError> {
        if self.gather(&event) { self.flush().map(|_| ()) } else { self.flush_old() }
    }

    /// Notes that with what is pushed next the file of `input` was read up to `place`.
    pub fn mark(&mut self, input: &str, place: Place) {
        match self.places.get_mut(input) {
            Some(held) => *held = place,
            None => drop(self.places.insert(input.to_owned(), place)),
        }
    }

    /// How far files were read with what is in the spool or was sent.
    pub fn places(&self) -> BTreeMap<String, Place> {
        lock(&self.shared.spool).places().clone()
    }

    /// Adds an event to the batch of its class; true when that is full.
    fn gather(&mut self, event: &Event) -> bool {
        self.since.get_or_insert_with(Instant::now);
        let Some(batch) = self.buffers.get_mut(Class::of(event).index()) else { return false };
        batch.push(event);
        batch.events() >= BATCH_EVENTS || batch.bytes() >= BATCH_BYTES
    }

    /// Spools what has waited long enough; to be called when no packets come.
    pub fn flush_old(&mut self) -> Result<(), SpoolError> {
        if self.since.is_some_and(|since| since.elapsed() >= BATCH_AGE) {
            self.flush()?;
        }
        Ok(())
    }

    /// Spools what was gathered; true when nothing was lost by that.
    pub fn flush(&mut self) -> Result<bool, SpoolError> {
        self.since = None;
        let fresh = Class::ALL.map(Batch::new);
        let mut full: Vec<Batch> = std::mem::replace(&mut self.buffers, fresh)
            .into_iter()
            .filter(|batch| batch.events() > 0)
            .collect();
        // With the last one: when that is safe, all are.
        let Some(last) = full.last_mut() else { return Ok(true) };
        last.set_places(std::mem::take(&mut self.places));
        let (events, stored) = lock(&self.shared.spool).store_all(&full);
        self.shared.changed.notify_all();
        if events > 0 {
            lock(&self.shared.counts).lost += events;
            metrics::counter!("sensor_spool_lost_events_total").increment(events);
            warn!(events, "the spool took no more: events were lost and counted");
        }
        stored.map(|()| events == 0)
    }

    /// Spools an event that tells of the lost events, which `tell` is given the number of; what it tells is not told
    /// again once it is on the disk (true).
    pub fn tell_lost(&mut self, tell: impl FnOnce(u64) -> Event) -> Result<bool, SpoolError> {
        // What was gathered may be lost in its turn: the event is stored by itself, and its batch is kept or not.
        self.flush()?;
        let mut spool = lock(&self.shared.spool);
        let lost = spool.untold();
        let event = tell(lost);
        let mut batch = Batch::new(Class::of(&event));
        batch.push(&event);
        let kept = matches!(spool.store(&batch)?, Stored::Kept(_));
        if kept && lost > 0 {
            spool.told(lost)?;
        }
        drop(spool);
        self.shared.changed.notify_all();
        Ok(kept)
    }

    /// Another bound of the spool from now on.
    pub fn set_quota(&self, bytes: u64) {
        lock(&self.shared.spool).set_quota(bytes);
    }

    /// Has a health report sent as soon as the collector can be reached; a newer one takes its place.
    pub fn report(&self, report: serde_json::Value) {
        *lock(&self.shared.report) = Some(report);
        self.shared.changed.notify_all();
    }

    /// What was shipped since the start.
    pub fn counts(&self) -> Counts {
        *lock(&self.shared.counts)
    }

    /// Bytes and batches that wait, and events lost since the spool was made.
    pub fn backlog(&self) -> (u64, usize, u64) {
        let spool = lock(&self.shared.spool);
        (spool.bytes(), spool.batches(), spool.total_lost())
    }

    /// Whether the collector refuses this sensor.
    pub fn is_barred(&self) -> bool {
        self.shared.barred.load(Ordering::Relaxed)
    }

    /// How long the collector has not answered, or since the start.
    pub fn unanswered(&self) -> Duration {
        let answered = Duration::from_millis(self.shared.answered.load(Ordering::Relaxed));
        self.shared.begun.elapsed().saturating_sub(answered)
    }

    /// How long the oldest batch has waited, as far as the disk's clock tells; `None` when none waits.
    pub fn oldest_age(&self) -> Option<Duration> {
        let path = lock(&self.shared.spool).oldest()?.path.clone();
        std::fs::metadata(path).ok()?.modified().ok()?.elapsed().ok()
    }

    /// When the certificate in use ends, in seconds since 1970 UTC; `None` when it cannot be read.
    pub fn certificate_end(&self) -> Option<i64> {
        *lock(&self.shared.certificate_end)
    }

    /// This clock against the collector's, as far as it was measured.
    pub fn clock_offset(&self) -> Option<Offset> {
        lock(&self.shared.clock).offset(Instant::now())
    }

    /// Bytes that were sent on this day (UTC), and those of the budget; `None` without a budget.
    pub fn budget(&self) -> Option<(u64, u64)> {
        self.shared.meter.spent()
    }

    /// The budget, for others who send to the centre and for who changes it.
    pub fn meter(&self) -> Meter {
        self.shared.meter.clone()
    }

    /// Events lost since the spool was made, by the name of their class.
    pub fn lost_by_class(&self) -> BTreeMap<String, u64> {
        lock(&self.shared.spool).lost_by_class().clone()
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
        let (batches, events) = (spool.batches(), spool.events());
        drop(spool);
        self.stop();
        if batches == 0 { Ok(self.counts()) } else { Err(ShipError::Unsent { batches, events }) }
    }

    /// Ends the thread. One that waits for the collector's answer is left behind: its batch stays in the spool.
    fn stop(&mut self) {
        lock(&self.shared.counts).stopped = true;
        self.shared.changed.notify_all();
        let Some(thread) = self.thread.take() else { return };
        let spool = lock(&self.shared.spool);
        let waited =
            self.shared.changed.wait_timeout_while(spool, FAREWELL, |_| !lock(&self.shared.counts).ended);
        drop(waited);
        if lock(&self.shared.counts).ended && thread.join().is_err() {
            error!("the link's thread had panicked");
        }
    }
}

/// Tells that the thread has ended, even when it panicked.
struct End<'s>(&'s Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        // Under the spool's lock, so that nobody who waits misses it.
        let _spool = lock(&self.0.spool);
        lock(&self.0.counts).ended = true;
        self.0.changed.notify_all();
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
    let mut telling = Telling::default();
    loop {
        let counts = *lock(&shared.counts);
        if counts.stopped {
            // Whoever waited for the end of the spool stops us as soon as that is empty: the last word comes first.
            if counts.ending && lock(&shared.spool).batches() == 0 {
                telling.account(shared, &link);
            }
            return;
        }
        link.keep_certificate();
        *lock(&shared.certificate_end) = link.certificate_end();
        let (epoch, batch) = {
            let mut spool = lock(&shared.spool);
            (spool.epoch(), spool.take_next())
        };
        match batch {
            Some(batch) if shared.meter.may(batch.class) => {
                if let Some(pause) = send_one(shared, &mut link, epoch, &batch) {
                    pause_for(shared, pause);
                } else {
                    telling.report(shared, &link);
                }
            }
            // The others are less urgent still, so they may not go either.
            Some(held) => {
                telling.report(shared, &link);
                wait_for_budget(shared, held.class);
            }
            None if counts.ending => {
                telling.account(shared, &link);
                return;
            }
            None => {
                telling.report(shared, &link);
                wait_for_work(shared);
            }
        }
    }
}

/// Sends one batch; when it must wait, says how long.
fn send_one(shared: &Shared, link: &mut Link, epoch: u64, batch: &Waiting) -> Option<Duration> {
    shared.meter.spend(batch.bytes);
    match link.send(epoch, batch) {
        Ok(Sent::Acknowledged) => {
            shared.answered();
            lock(&shared.counts).acknowledged += batch.events;
            if shared.barred.swap(false, Ordering::Relaxed) {
                info!("the collector takes this sensor again");
            }
            metrics::counter!("sensor_shipped_events_total").increment(batch.events);
            settle(shared, |spool| spool.remove(batch.sequence));
            None
        }
        Ok(Sent::Refused(reason)) => {
            shared.answered();
            error!(batch.sequence, batch.events, %reason, "the collector refused a batch; it was set aside");
            lock(&shared.counts).refused += batch.events;
            metrics::counter!("sensor_refused_events_total").increment(batch.events);
            settle(shared, |spool| spool.set_aside(batch.sequence));
            None
        }
        Ok(Sent::Barred { reason, pause }) => {
            if !shared.barred.swap(true, Ordering::Relaxed) {
                error!(
                    %reason,
                    "the collector refuses this sensor: it is revoked or its certificate has ended; nothing is sent, \
                     events are kept up to the quota; ask for a new token and enrol again"
                );
            }
            Some(pause)
        }
        Ok(Sent::Later { reason, pause }) => {
            info!(%reason, pause_ms = pause.as_millis(), "the collector did not take a batch; trying again");
            Some(pause)
        }
        Err(error) => {
            error!(%error, "a batch cannot be sent");
            Some(Duration::from_secs(5))
        }
    }
}

/// What the link tells beside the batches.
#[derive(Debug, Default)]
struct Telling {
    /// What was last stated about the spool: assigned, waiting.
    stated: Option<(u64, usize)>,
    /// When the clock was last measured.
    measured: Option<Instant>,
    /// When a report was last sent.
    reported: Option<Instant>,
}

impl Telling {
    /// Sends the newest health report; with it, what has changed in the spool, and now and then a look at the clock.
    fn report(&mut self, shared: &Shared, link: &Link) {
        let Some(report) = lock(&shared.report).take() else { return };
        let reported = self.reported.is_some_and(|reported| reported.elapsed() < REPORT_IN_DEBT);
        if reported && shared.meter.owes() {
            return;
        }
        let report = report.to_string();
        shared.meter.spend(report.len() as u64);
        self.reported = Some(Instant::now());
        if !link.health(&report) {
            info!("the collector did not take a health report");
            return;
        }
        shared.answered();
        self.account(shared, link);
        if self.measured.is_none_or(|measured| measured.elapsed() >= CLOCK_EVERY) {
            shared.meter.spend(0);
            if let Some(times) = link.clock() {
                lock(&shared.clock).note(Instant::now(), times);
            }
            self.measured = Some(Instant::now());
        }
    }

    /// Tells how the spool is, when that has changed since it was told.
    fn account(&mut self, shared: &Shared, link: &Link) {
        let (statement, stated, gone) = {
            let spool = lock(&shared.spool);
            let (held, gone) = (spool.held(), spool.gone().to_vec());
            let stated = (spool.assigned(), held.batches);
            if gone.is_empty() && self.stated == Some(stated) {
                return;
            }
            let statement = json!({
                "epoch": spool.epoch(),
                "assigned": spool.assigned(),
                "held": { "runs": held.runs, "batches": held.batches, "events": held.events },
                "gone": gone,
                "unlisted": spool.unlisted(),
                "lost": spool.lost(),
            });
            (statement, stated, gone)
        };
        let statement = statement.to_string();
        shared.meter.spend(statement.len() as u64);
        if !link.account(&statement) {
            info!("the collector did not take the account of the spool");
            return;
        }
        self.stated = Some(stated);
        if !gone.is_empty() {
            settle(shared, |spool| spool.forget(&gone));
        }
    }
}

/// Waits for a batch, a report or the end; not for long, because the certificate's life goes on.
fn wait_for_work(shared: &Shared) {
    let spool = lock(&shared.spool);
    let idle = |spool: &mut Spool| {
        let counts = *lock(&shared.counts);
        spool.batches() == 0 && !counts.stopped && !counts.ending && lock(&shared.report).is_none()
    };
    let waited = shared.changed.wait_timeout_while(spool, Duration::from_millis(500), idle);
    drop(waited);
}

/// Waits until the budget has something again, something more urgent comes, there is a report, or the end.
fn wait_for_budget(shared: &Shared, held: Class) {
    let spool = lock(&shared.spool);
    let idle = |spool: &mut Spool| {
        let counts = *lock(&shared.counts);
        let first = spool.take_next().is_none_or(|next| next.class >= held);
        first && !counts.stopped && lock(&shared.report).is_none()
    };
    let waited = shared.changed.wait_timeout_while(spool, Duration::from_millis(500), idle);
    drop(waited);
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
