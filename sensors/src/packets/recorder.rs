//! From the capturing threads to the ring: copies of frames in batches, over a bounded queue, to one thread that writes.
//!
//! A full queue loses the batch and counts it; capturing never waits. Memory: [`QUEUE`] batches of [`BATCH_BYTES`] (16 MiB), one more
//! for each capturing thread, what the ring holds (256 KiB, the index of the open file) and 200,000 flows (about 20 MiB).

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dongson_event::Timestamp;
use tracing::warn;

use super::{Counts, Limits, PacketError, Ring};
use crate::capture::portable::now;
use crate::capture::{Frame, LinkType};

/// Most batches that wait for the disk.
const QUEUE: usize = 64;
/// Bytes of frames in a batch.
const BATCH_BYTES: usize = 256 << 10;
/// Most frames in a batch.
const BATCH_FRAMES: usize = 4_096;
/// Longest that a frame waits in a batch while others follow.
const BATCH_AGE: Duration = Duration::from_secs(1);
/// How often what waits is written and old files go.
const TICK: Duration = Duration::from_secs(1);
/// How often a disk that refuses is told.
const WARN_EVERY: Duration = Duration::from_mins(1);

/// A frame's surroundings; its bytes lie in the batch one behind the other.
struct Meta {
    at: Timestamp,
    link: LinkType,
    length: usize,
    wire_length: u32,
    vlan: Option<u16>,
}

#[derive(Default)]
struct Batch {
    frames: Vec<Meta>,
    bytes: Vec<u8>,
}

enum Message {
    Frames(Batch),
    /// This is answered when what came before is on the disk.
    Flush(SyncSender<()>),
    End,
}

#[derive(Default)]
struct Shared {
    /// Frames that the queue had no room for, and those of them that the ring knows.
    lost: AtomicU64,
    counts: Mutex<Counts>,
    /// Batches to be used again.
    empty: Mutex<Vec<Batch>>,
}

/// The thread that keeps packets.
pub struct Packets {
    sender: SyncSender<Message>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Takes the frames of one capturing thread.
pub struct Recorder {
    sender: SyncSender<Message>,
    shared: Arc<Shared>,
    batch: Batch,
}

impl Packets {
    /// Takes up the ring in `folder` and starts to write.
    pub fn start(folder: &Path, limits: Limits) -> Result<Self, PacketError> {
        let ring = Ring::open(folder, limits)?;
        let (sender, messages) = sync_channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("packets".to_owned());
        let thread = thread.spawn(move || write(ring, &messages, &theirs)).map_err(PacketError::Thread)?;
        Ok(Self { sender, shared, thread: Some(thread) })
    }

    /// For one capturing thread.
    pub fn recorder(&self) -> Recorder {
        let (sender, shared) = (self.sender.clone(), Arc::clone(&self.shared));
        Recorder { sender, shared, batch: Batch::default() }
    }

    /// What was kept and lost; up to a second old.
    pub fn counts(&self) -> Counts {
        let counts = *lock(&self.shared.counts);
        Counts { queue_lost: self.shared.lost.load(Ordering::Relaxed), ..counts }
    }

    /// Waits until what the recorders have handed on is on the disk.
    pub fn flush(&self) {
        let (sender, written) = sync_channel(1);
        // When the thread is gone, so is the sender, and nothing is waited for.
        let asked = self.sender.send(Message::Flush(sender)).is_ok();
        let _written: bool = asked && written.recv().is_ok();
    }
}

impl Drop for Packets {
    /// Writes what waits; recorders that are left lose what they are given later.
    fn drop(&mut self) {
        if self.sender.send(Message::End).is_ok()
            && let Some(thread) = self.thread.take()
        {
            drop(thread.join());
        }
    }
}

impl Recorder {
    /// Takes a frame; never waits.
    pub fn frame(&mut self, frame: &Frame<'_>) {
        let Frame { at, link, bytes, wire_length, vlan } = *frame;
        let old = self.batch.frames.first().is_some_and(|first| at.since(first.at) >= BATCH_AGE);
        let full =
            self.batch.bytes.len() + bytes.len() > BATCH_BYTES || self.batch.frames.len() >= BATCH_FRAMES;
        if old || full {
            self.flush();
        }
        self.batch.frames.push(Meta { at, link, length: bytes.len(), wire_length, vlan });
        self.batch.bytes.extend_from_slice(bytes);
    }

    /// Hands on what was taken.
    pub fn flush(&mut self) {
        if self.batch.frames.is_empty() {
            return;
        }
        let empty = lock(&self.shared.empty).pop().unwrap_or_default();
        let batch = std::mem::replace(&mut self.batch, empty);
        let sent = self.sender.try_send(Message::Frames(batch));
        if let Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) = sent
            && let Message::Frames(batch) = back
        {
            self.shared.lost.fetch_add(batch.frames.len() as u64, Ordering::Relaxed);
            give_back(&self.shared, batch);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.flush();
    }
}

fn give_back(shared: &Shared, mut batch: Batch) {
    batch.frames.clear();
    batch.bytes.clear();
    let mut empty = lock(&shared.empty);
    if empty.len() < QUEUE {
        empty.push(batch);
    }
}

/// The thread: frames until the end is told.
fn write(mut ring: Ring, messages: &Receiver<Message>, shared: &Shared) {
    let mut trouble = Trouble::default();
    let (mut ticked, mut lost) = (Instant::now(), 0);
    loop {
        let wait = TICK.saturating_sub(ticked.elapsed());
        let mut waiting = None;
        match messages.recv_timeout(wait) {
            Ok(Message::Frames(batch)) => {
                let mut rest = batch.bytes.as_slice();
                for meta in &batch.frames {
                    let Some((bytes, after)) = rest.split_at_checked(meta.length) else { break };
                    rest = after;
                    let Meta { at, link, wire_length, vlan, .. } = *meta;
                    trouble.note(ring.frame(&Frame { at, link, bytes, wire_length, vlan }));
                }
                give_back(shared, batch);
            }
            Ok(Message::Flush(sender)) => waiting = Some(sender),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => break,
        }
        if ticked.elapsed() >= TICK || waiting.is_some() {
            ticked = Instant::now();
            let all = shared.lost.load(Ordering::Relaxed);
            ring.lost(all - std::mem::replace(&mut lost, all));
            trouble.note(ring.tick(now()));
        }
        *lock(&shared.counts) = ring.counts();
        if let Some(waiting) = waiting {
            // Who asked may be gone.
            let _asked: bool = waiting.send(()).is_ok();
        }
    }
    trouble.note(ring.finish());
    *lock(&shared.counts) = ring.counts();
}

/// Tells of a disk that refuses, not too often.
#[derive(Default)]
struct Trouble {
    told: Option<Instant>,
}

impl Trouble {
    fn note(&mut self, result: Result<(), PacketError>) {
        let Err(error) = result else { return };
        if self.told.is_none_or(|told| told.elapsed() >= WARN_EVERY) {
            self.told = Some(Instant::now());
            warn!(%error, "packets could not be kept; they are counted as lost");
        }
    }
}

/// A lock whose holder panicked still guards whole data: every change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
