//! The spool: batches of events on disk until they are acknowledged.
//!
//! A batch is one file ([`mod@file`]), made whole or not at all (new name, fsync, rename, fsync of the folder), so kill -9
//! and a power cut leave only whole batches. `state.json` ([`mod@ledger`]) holds the epoch (random, chosen when the spool was
//! made), the next sequence, and what is gone. A sequence belongs to one batch for ever: the state is synced before a
//! batch leaves the disk, and a batch that is on the disk has its sequence in its name.
//!
//! The most urgent class goes first, and within it the oldest batch. When the quota is reached, the newest batches of the
//! least urgent class are shed to make room for a more urgent one; if there is none less urgent, the new batch is
//! refused: of one class the older stays, because the beginning of an attack is worth more than its flood. What is shed
//! or refused has a sequence too and is counted by class and dataset. One process has a spool open at a time: a second
//! one would use the same sequences.

mod batch;
mod file;
mod ledger;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use dongson_event::batch::Class;

pub use batch::Batch;
pub use file::{Head, Waiting, unpack};
use ledger::Ledger;
pub use ledger::{Run, Why};

use super::write_whole;
use crate::relay::Place;

/// Level of zstd: about a third of the bytes at 2 us an event.
const ZSTD_LEVEL: i32 = 3;
/// Where refused batches lie, and under which name their events are counted among the lost ones.
pub const REFUSED: &str = "refused";
/// Under which name shed events are counted whose dataset is not known.
const SHED: &str = "shed";
/// How many refused batches are kept for a person to look at.
pub const REFUSED_KEPT: usize = 100;
/// Most runs of waiting sequences that are told at once.
const TOLD_RUNS: usize = 1_000;

/// Why the spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk refused.
    #[error("spool {path:?}: {error}")]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another process sends from this spool.
    #[error("another process uses the spool {0:?}: stop it first, or use another --data")]
    Busy(PathBuf),
    /// `state.json` holds something else than a state.
    #[error("{path:?} is not a spool's state ({reason}); move the folder away to begin a new spool")]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// On disk under this sequence.
    Kept(u64),
    /// Refused because the quota is reached; its events were counted as lost.
    Lost(u64),
}

/// What waits, for the centre's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Runs of sequences, the lowest first: all of them, or the first thousand.
    pub runs: Vec<(u64, u64)>,
    /// How many batches.
    pub batches: usize,
    /// Events by the name of their class.
    pub events: BTreeMap<&'static str, u64>,
}

/// The spool of one sensor; one process has it open.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    quota_bytes: u64,
    ledger: Ledger,
    /// True when the ledger differs from the disk's.
    unsaved: bool,
    waiting: BTreeMap<(Class, u64), Waiting>,
    /// Bytes that wait, by [`Class::index`].
    bytes: [u64; Class::ALL.len()],
    /// The batch that is on its way: it is not shed.
    sending: Option<u64>,
    /// Held until the spool is dropped or the process ends.
    _lock: File,
}

impl Spool {
    /// Another bound from now on: where more lies there already, the next batch sheds what is too much.
    pub fn set_quota(&mut self, bytes: u64) {
        self.quota_bytes = bytes;
    }

    /// Opens the spool in `folder`, or makes it; it will hold at most `quota_bytes`.
    pub fn open(folder: &Path, quota_bytes: u64) -> Result<Self, SpoolError> {
        fs::create_dir_all(folder).map_err(|error| disk(folder, error))?;
        let lock = lock(folder)?;
        let found = scan(folder)?;
        let path = folder.join("state.json");
        let mut ledger = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| SpoolError::State { path: path.clone(), reason: error.to_string() })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ledger::new(),
            Err(error) => return Err(disk(&path, error)),
        };
        if ledger.next > file::MAX_SEQUENCE {
            let reason = format!("its next sequence is {}, which no spool reaches", ledger.next);
            return Err(SpoolError::State { path, reason });
        }
        // Batches that came on the disk after the state did know better how far files were read.
        let mut newer: Vec<&Waiting> = found.iter().filter(|batch| batch.sequence >= ledger.next).collect();
        newer.sort_by_key(|batch| batch.sequence);
        for batch in newer {
            let head = file::head(&batch.path).map_err(|error| disk(&batch.path, error))?;
            ledger.places.extend(head.unwrap_or_default().places);
        }
        if let Some(newest) = found.iter().map(|waiting| waiting.sequence).max() {
            ledger.next = ledger.next.max(newest.saturating_add(1));
        }
        let mut spool = Self {
            folder: folder.to_owned(),
            quota_bytes,
            ledger,
            unsaved: true,
            waiting: BTreeMap::new(),
            bytes: [0; Class::ALL.len()],
            sending: None,
            _lock: lock,
        };
        for waiting in found {
            let gone = |run: &Run| (run.first..=run.last).contains(&waiting.sequence);
            if spool.ledger.gone.iter().any(gone) {
                // The end came between the note that it is gone and its removal.
                fs::remove_file(&waiting.path).map_err(|error| disk(&waiting.path, error))?;
            } else {
                spool.enter(waiting);
            }
        }
        spool.save()?;
        Ok(spool)
    }

    /// The number that tells this spool from an earlier one of the same sensor.
    pub fn epoch(&self) -> u64 {
        self.ledger.epoch
    }

    /// The highest sequence that was given to a batch; 0 before the first.
    pub fn assigned(&self) -> u64 {
        self.ledger.next.saturating_sub(1)
    }

    /// Puts a batch on disk; when this answers [`Stored::Kept`], a power cut does not lose it. When the disk refuses,
    /// the events are counted as lost too.
    pub fn store(&mut self, batch: &Batch) -> Result<Stored, SpoolError> {
        let stored = self.put(batch);
        self.save()?;
        stored
    }

    /// The same for several batches, with one state for all; how many events were lost, of these or of what was shed.
    pub fn store_all(&mut self, batches: &[Batch]) -> (u64, Result<(), SpoolError>) {
        let (before, mut failed) = (self.total_lost(), Ok(()));
        for batch in batches {
            if let Err(error) = self.put(batch) {
                failed = Err(error);
            }
        }
        (self.total_lost().saturating_sub(before), self.save().and(failed))
    }

    /// The batch to send next: of the most urgent class, the oldest. It is not shed until the next call.
    pub fn take_next(&mut self) -> Option<Waiting> {
        let next = self.waiting.values().next().cloned();
        self.sending = next.as_ref().map(|waiting| waiting.sequence);
        next
    }

    /// The batch that has waited longest.
    pub fn oldest(&self) -> Option<&Waiting> {
        let firsts = Class::ALL.into_iter().filter_map(|class| self.of_class(class).next());
        firsts.min_by_key(|waiting| waiting.sequence)
    }

    /// Takes a batch off the disk: the collector has it.
    pub fn remove(&mut self, sequence: u64) -> Result<(), SpoolError> {
        if self.unsaved {
            self.save()?;
        }
        let Some(gone) = self.leave(sequence) else { return Ok(()) };
        delete(&gone.path)
    }

    /// Moves a batch that the collector refuses for good into the folder `refused`, for a person to look at, and counts
    /// its events as lost under [`REFUSED`]. The newest [`REFUSED_KEPT`] batches stay there.
    pub fn set_aside(&mut self, sequence: u64) -> Result<(), SpoolError> {
        let Some(gone) = self.leave(sequence) else { return Ok(()) };
        self.ledger.lose(gone.class, &BTreeMap::from([(REFUSED.to_owned(), gone.events)]));
        self.ledger.note_gone(sequence, gone.class, Why::Refused, gone.events);
        self.save()?;
        let folder = self.folder.join(REFUSED);
        fs::create_dir_all(&folder).map_err(|error| disk(&folder, error))?;
        let name = gone.path.file_name().unwrap_or_default();
        fs::rename(&gone.path, folder.join(name)).map_err(|error| disk(&gone.path, error))?;
        let mut kept: BTreeMap<u64, PathBuf> =
            scan(&folder)?.into_iter().map(|batch| (batch.sequence, batch.path)).collect();
        while kept.len() > REFUSED_KEPT {
            let Some((_, oldest)) = kept.pop_first() else { break };
            delete(&oldest)?;
        }
        Ok(())
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> u64 {
        self.bytes.iter().sum()
    }

    /// Batches that wait.
    pub fn batches(&self) -> usize {
        self.waiting.len()
    }

    /// Events that wait.
    pub fn events(&self) -> u64 {
        self.waiting.values().map(|batch| batch.events).sum()
    }

    /// What waits.
    pub fn held(&self) -> Held {
        let sequences: BTreeSet<u64> = self.waiting.keys().map(|(_, sequence)| *sequence).collect();
        let mut events = BTreeMap::new();
        for batch in self.waiting.values() {
            *events.entry(batch.class.as_str()).or_default() += batch.events;
        }
        Held { runs: ledger::runs(sequences.into_iter(), TOLD_RUNS), batches: self.batches(), events }
    }

    /// Batches that will never come and that the centre was not told of.
    pub fn gone(&self) -> &[Run] {
        &self.ledger.gone
    }

    /// Events of gone batches which are not among [`Spool::gone`] for want of room, by class, since the spool was made.
    pub fn unlisted(&self) -> &BTreeMap<String, u64> {
        &self.ledger.unlisted
    }

    /// Forgets the gone batches that the centre was told of.
    pub fn forget(&mut self, told: &[Run]) -> Result<(), SpoolError> {
        self.ledger.forget(told);
        self.save()
    }

    /// How far followed files were read with the batches so far, by the names of their inputs.
    pub fn places(&self) -> &BTreeMap<String, Place> {
        &self.ledger.places
    }

    /// Events lost to the quota, or to a disk that refused, since the spool was made, by dataset.
    pub fn lost(&self) -> &BTreeMap<String, u64> {
        &self.ledger.lost
    }

    /// The same, by the name of their class.
    pub fn lost_by_class(&self) -> &BTreeMap<String, u64> {
        &self.ledger.lost_by_class
    }

    /// Lost events that the centre was not told of yet.
    pub fn untold(&self) -> u64 {
        self.total_lost().saturating_sub(self.ledger.told)
    }

    /// Notes that a batch which tells of `lost` more lost events is on disk.
    pub fn told(&mut self, lost: u64) -> Result<(), SpoolError> {
        self.ledger.told = self.ledger.told.saturating_add(lost);
        self.save()
    }

    /// All events that were lost since the spool was made.
    pub fn total_lost(&self) -> u64 {
        self.ledger.lost.values().sum()
    }

    fn of_class(&self, class: Class) -> impl DoubleEndedIterator<Item = &Waiting> {
        self.waiting.range((class, 0)..=(class, u64::MAX)).map(|(_, waiting)| waiting)
    }

    fn enter(&mut self, waiting: Waiting) {
        if let Some(bytes) = self.bytes.get_mut(waiting.class.index()) {
            *bytes = bytes.saturating_add(waiting.bytes);
        }
        self.waiting.insert((waiting.class, waiting.sequence), waiting);
    }

    fn leave(&mut self, sequence: u64) -> Option<Waiting> {
        let gone = Class::ALL.into_iter().find_map(|class| self.waiting.remove(&(class, sequence)))?;
        if let Some(bytes) = self.bytes.get_mut(gone.class.index()) {
            *bytes = bytes.saturating_sub(gone.bytes);
        }
        Some(gone)
    }

    /// [`Spool::store`] without the state.
    fn put(&mut self, batch: &Batch) -> Result<Stored, SpoolError> {
        let (sequence, class, events) = (self.ledger.next, batch.class(), batch.events());
        self.ledger.next = sequence.saturating_add(1);
        self.ledger.places.extend(batch.places().clone());
        self.unsaved = true;
        let kept = self.keep(sequence, batch);
        if !matches!(kept, Ok(true)) {
            let why = if kept.is_ok() { Why::Shed } else { Why::Disk };
            self.ledger.lose(class, batch.datasets());
            self.ledger.note_gone(sequence, class, why, events);
        }
        kept.map(|kept| if kept { Stored::Kept(sequence) } else { Stored::Lost(events) })
    }

    /// Writes the batch; false when the quota is reached.
    fn keep(&mut self, sequence: u64, batch: &Batch) -> Result<bool, SpoolError> {
        let head = Head {
            root: hex::encode(batch.root()),
            datasets: batch.datasets().clone(),
            places: batch.places().clone(),
        };
        let packed =
            zstd::encode_all(batch.lines(), ZSTD_LEVEL).and_then(|packed| file::pack(&head, &packed));
        let packed = packed.map_err(|error| disk(&self.folder, error))?;
        let (bytes, class, events) = (packed.len() as u64, batch.class(), batch.events());
        if !self.make_room(class, bytes)? {
            return Ok(false);
        }
        let path = self.folder.join(file::name(sequence, class, events));
        write_whole(&path, &packed, 0o600).map_err(|error| disk(&path, error))?;
        self.enter(Waiting { sequence, class, events, path, bytes });
        Ok(true)
    }

    /// Sheds less urgent batches until `bytes` more of `class` fit; false when even that would not make room, and then
    /// nothing is shed.
    fn make_room(&mut self, class: Class, bytes: u64) -> Result<bool, SpoolError> {
        let mut over = self.bytes().saturating_add(bytes).saturating_sub(self.quota_bytes);
        if over == 0 {
            return Ok(true);
        }
        let less_urgent = Class::ALL.into_iter().rev().take_while(|other| *other > class);
        let mut victims = Vec::new();
        for waiting in less_urgent.flat_map(|other| self.of_class(other).rev()) {
            if over == 0 {
                break;
            }
            if self.sending != Some(waiting.sequence) {
                over = over.saturating_sub(waiting.bytes);
                victims.push(waiting.sequence);
            }
        }
        if over > 0 {
            return Ok(false);
        }
        self.shed(&victims)?;
        Ok(true)
    }

    /// Notes that the batches are gone, then removes them.
    fn shed(&mut self, victims: &[u64]) -> Result<(), SpoolError> {
        let gone: Vec<Waiting> = victims.iter().filter_map(|sequence| self.leave(*sequence)).collect();
        for batch in &gone {
            let mut datasets =
                file::head(&batch.path).ok().flatten().map(|head| head.datasets).unwrap_or_default();
            let named: u64 = datasets.values().sum();
            if batch.events > named {
                // A file of a former version does not say what is in it.
                datasets.insert(SHED.to_owned(), batch.events - named);
            }
            self.ledger.lose(batch.class, &datasets);
            self.ledger.note_gone(batch.sequence, batch.class, Why::Shed, batch.events);
            metrics::counter!("sensor_spool_shed_events_total", "class" => batch.class.as_str())
                .increment(batch.events);
        }
        self.save()?;
        gone.iter().try_for_each(|batch| delete(&batch.path))
    }

    fn save(&mut self) -> Result<(), SpoolError> {
        let path = self.folder.join("state.json");
        self.unsaved = true;
        let text = serde_json::to_vec(&self.ledger)
            .map_err(|error| SpoolError::State { path: path.clone(), reason: error.to_string() })?;
        write_whole(&path, &text, 0o600).map_err(|error| disk(&path, error))?;
        self.unsaved = false;
        Ok(())
    }
}

/// How long a process that was told to end may take to do so.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes the spool for this process; the lock ends with the process, however it ends. One that is ending is waited for.
fn lock(folder: &Path) -> Result<File, SpoolError> {
    let path = folder.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| disk(&path, error))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => thread::sleep(PATIENCE / 50),
            Err(TryLockError::WouldBlock) => return Err(SpoolError::Busy(folder.to_owned())),
            Err(TryLockError::Error(error)) => return Err(disk(&path, error)),
        }
    }
}

fn scan(folder: &Path) -> Result<Vec<Waiting>, SpoolError> {
    file::scan(folder).map_err(|(path, error)| SpoolError::Disk { path, error })
}

fn delete(path: &Path) -> Result<(), SpoolError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk(path, error)),
        _ => Ok(()),
    }
}

fn disk(path: &Path, error: io::Error) -> SpoolError {
    SpoolError::Disk { path: path.to_owned(), error }
}
