//! A whole capture: one source and its engine in the caller's thread, or several in threads of their own.
//!
//! The kernel gives both directions of a flow to the same thread, so each engine has flows of its own; nothing is shared but
//! counters. Memory: one ring and one engine for each thread, and at most [`WAITING`] batches of events between them and the
//! caller. When the caller is slow the threads wait, their rings fill, and the kernel counts what it drops.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dongson_event::Event;

use super::change::{Notice, Settings};
use super::{Live, LiveError, LiveOptions, WAIT};
use crate::engine::{Engine, Options};
use crate::packets::Packets;

/// Most batches of events that wait for the caller.
const WAITING: usize = 64;
/// How often a thread reads the kernel's counters.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// What a capture has seen since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames taken.
    pub frames: u64,
    /// Events handed out.
    pub events: u64,
    /// Flows that are live now.
    pub flows: usize,
    /// Frames that the kernel dropped; `None` where nobody counts them.
    pub dropped: Option<u64>,
}

/// Frames of live traffic on their way to events.
pub struct Capture {
    way: Way,
}

enum Way {
    Here(Box<(Live, Engine)>),
    Threads(Threads),
}

struct Threads {
    events: Receiver<Vec<Event>>,
    workers: Vec<Worker>,
    stop: Arc<AtomicBool>,
    notice: Arc<Notice>,
}

struct Worker {
    thread: JoinHandle<Result<(), LiveError>>,
    counters: Arc<Counters>,
}

/// What a thread tells of itself.
#[derive(Default)]
struct Counters {
    frames: AtomicU64,
    events: AtomicU64,
    flows: AtomicU64,
    dropped: AtomicU64,
    /// The number of the settings that it took up last.
    settings: AtomicU64,
}

/// Open sources that nothing reads yet: what needs rights is done, and no thread was started.
pub struct Sources {
    first: Live,
    /// The other threads' sources; none when the caller's thread does the work.
    others: Vec<Live>,
}

impl Sources {
    /// Opens what `live` names. Every ring joins the group before the first is read, so that flows stay where they are.
    pub fn open(live: &LiveOptions) -> Result<Self, LiveError> {
        if live.threads <= 1 {
            return Ok(Self { first: Live::open(live, None)?, others: Vec::new() });
        }
        let [low, high, ..] = std::process::id().to_le_bytes();
        let group = Some(u16::from_le_bytes([low, high]));
        let first = Live::open(live, group)?;
        let others = (1..live.threads).map(|_| Live::open(live, group)).collect::<Result<_, _>>()?;
        Ok(Self { first, others })
    }

    /// Gives every frame that is read to `packets` too.
    pub fn keep(&mut self, packets: &Packets) {
        for live in std::iter::once(&mut self.first).chain(&mut self.others) {
            live.keep(packets.recorder());
        }
    }

    /// Starts to read, with an engine for each source.
    pub fn start(self, engine: &Options) -> Result<Capture, LiveError> {
        let Self { first, others } = self;
        if others.is_empty() {
            return Ok(Capture { way: Way::Here(Box::new((first, Engine::new(engine.clone())))) });
        }
        let (sender, events) = sync_channel(WAITING);
        let stop = Arc::new(AtomicBool::new(false));
        let notice = Arc::default();
        let mut threads = Threads { events, workers: Vec::new(), stop, notice };
        for live in std::iter::once(first).chain(others) {
            threads.start(live, Engine::new(engine.clone()), sender.clone())?;
        }
        Ok(Capture { way: Way::Threads(threads) })
    }
}

impl Capture {
    /// Opens the sources and starts to read.
    pub fn open(live: &LiveOptions, engine: &Options) -> Result<Self, LiveError> {
        Sources::open(live)?.start(engine)
    }

    /// Gives the events that there are to `emit`; waits a tenth of a second when there are none.
    pub fn poll(&mut self, emit: &mut dyn FnMut(Event)) -> Result<(), LiveError> {
        match &mut self.way {
            Way::Here(here) => {
                let (live, engine) = &mut **here;
                live.poll(engine, emit)?;
            }
            Way::Threads(threads) => match threads.events.recv_timeout(WAIT) {
                Ok(batch) => batch.into_iter().for_each(emit),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => threads.join()?,
            },
        }
        Ok(())
    }

    /// Goes on with other settings, without losing a frame. With threads each takes them up within [`WAIT`]; what fails there
    /// is told by [`Self::change_failed`].
    pub fn change(&mut self, settings: &Settings) -> Result<(), LiveError> {
        match &mut self.way {
            Way::Here(here) => {
                let (live, engine) = &mut **here;
                settings.put_on(live, engine)
            }
            Way::Threads(threads) => {
                threads.notice.post(settings);
                Ok(())
            }
        }
    }

    /// Whether the last change holds for all frames from now on.
    pub fn is_changed(&self) -> bool {
        match &self.way {
            Way::Here(_) => true,
            Way::Threads(threads) => {
                let taken = |worker: &Worker| worker.counters.settings.load(Ordering::Acquire);
                threads.workers.iter().all(|worker| taken(worker) == threads.notice.number())
            }
        }
    }

    /// Why a thread could not take up the last change; told once.
    pub fn change_failed(&mut self) -> Option<String> {
        match &mut self.way {
            Way::Here(_) => None,
            Way::Threads(threads) => threads.notice.failed(),
        }
    }

    /// What was seen so far; of threads, up to a second ago.
    pub fn counts(&mut self) -> Result<Counts, LiveError> {
        match &mut self.way {
            Way::Here(here) => counts(&mut here.0, &here.1),
            Way::Threads(threads) => Ok(threads.counts()),
        }
    }

    /// Takes what the kernel still holds, ends all flows and gives their events to `emit`; what was seen in all.
    pub fn finish(self, emit: &mut dyn FnMut(Event)) -> Result<Counts, LiveError> {
        match self.way {
            Way::Here(mut here) => {
                let (live, engine) = &mut *here;
                let polled = live.poll(engine, emit);
                engine.finish(emit);
                polled?;
                counts(live, engine)
            }
            Way::Threads(mut threads) => {
                threads.stop.store(true, Ordering::Relaxed);
                for batch in &threads.events {
                    batch.into_iter().for_each(&mut *emit);
                }
                let counts = threads.counts();
                threads.join()?;
                Ok(counts)
            }
        }
    }
}

impl Threads {
    fn start(&mut self, live: Live, engine: Engine, sender: SyncSender<Vec<Event>>) -> Result<(), LiveError> {
        let (stop, counters) = (Arc::clone(&self.stop), Arc::<Counters>::default());
        let (shared, notice) = (Arc::clone(&counters), Arc::clone(&self.notice));
        let thread = std::thread::Builder::new()
            .name(format!("capture-{}", self.workers.len()))
            .spawn(move || {
                work(live, engine, &sender, &Signs { stop: &stop, notice: &notice, counters: &shared })
            })
            .map_err(LiveError::Thread)?;
        self.workers.push(Worker { thread, counters });
        Ok(())
    }

    fn counts(&self) -> Counts {
        let sum = |of: fn(&Counters) -> &AtomicU64| {
            self.workers.iter().map(|worker| of(&worker.counters).load(Ordering::Relaxed)).sum::<u64>()
        };
        Counts {
            frames: sum(|counters| &counters.frames),
            events: sum(|counters| &counters.events),
            flows: usize::try_from(sum(|counters| &counters.flows)).unwrap_or(usize::MAX),
            dropped: Some(sum(|counters| &counters.dropped)),
        }
    }

    /// Waits for the threads, which have ended or are about to; the first that failed says why.
    fn join(&mut self) -> Result<(), LiveError> {
        let mut result = Ok(());
        for worker in self.workers.drain(..) {
            let ended = worker
                .thread
                .join()
                .unwrap_or_else(|_| Err(LiveError::Thread(io::Error::other("it panicked"))));
            result = result.and(ended);
        }
        result
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What a thread is told, and tells.
struct Signs<'s> {
    stop: &'s AtomicBool,
    notice: &'s Notice,
    counters: &'s Counters,
}

/// One thread: frames of `live` until it is told to stop, or nobody takes its events.
fn work(
    mut live: Live,
    mut engine: Engine,
    sender: &SyncSender<Vec<Event>>,
    signs: &Signs<'_>,
) -> Result<(), LiveError> {
    let Signs { stop, notice, counters } = signs;
    let mut seen = 0;
    let mut batch = Vec::new();
    let mut counted = Instant::now();
    let mut wanted = true;
    while wanted && !stop.load(Ordering::Relaxed) {
        if notice.take_up(&mut seen, &mut live, &mut engine) {
            counters.settings.store(seen, Ordering::Release);
        }
        live.poll(&mut engine, &mut |event| batch.push(event))?;
        if !batch.is_empty() {
            wanted = sender.send(std::mem::take(&mut batch)).is_ok();
        }
        if counted.elapsed() >= COUNT_EVERY {
            counted = Instant::now();
            counters.tell(counts(&mut live, &engine)?);
        }
    }
    live.poll(&mut engine, &mut |event| batch.push(event))?;
    engine.finish(&mut |event| batch.push(event));
    counters.tell(counts(&mut live, &engine)?);
    // Nobody may take them any more: then nobody wants them.
    drop(sender.send(batch));
    Ok(())
}

impl Counters {
    fn tell(&self, counts: Counts) {
        self.frames.store(counts.frames, Ordering::Relaxed);
        self.events.store(counts.events, Ordering::Relaxed);
        self.flows.store(u64::try_from(counts.flows).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.dropped.store(counts.dropped.unwrap_or_default(), Ordering::Relaxed);
    }
}

fn counts(live: &mut Live, engine: &Engine) -> Result<Counts, LiveError> {
    let (frames, events) = engine.seen();
    Ok(Counts { frames, events, flows: engine.live_flows(), dropped: live.dropped()? })
}
