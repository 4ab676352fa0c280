//! The spool: batches of events on disk, oldest first, until they are acknowledged.
//!
//! A batch is one file `SEQUENCE-EVENTS.ndjson.zst`, made whole or not at all (new name, fsync, rename, fsync of the
//! folder), so kill -9 and a power cut leave only whole batches. `state.json` holds the epoch (random, chosen when
//! the spool was made), the next sequence, and what was lost because the quota was reached. Sequences are never used
//! twice: the state is synced before the batch that uses it.
//!
//! When the quota is reached the new batch is refused and counted by dataset; what is older stays, because the
//! beginning of an attack is worth more than its flood. One process has a spool open at a time: a second one would use
//! the same sequences.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use dongson_event::Event;
use serde::{Deserialize, Serialize};

use super::write_whole;

/// Level of zstd: about a third of the bytes at 2 us an event.
const ZSTD_LEVEL: i32 = 3;
/// Where refused batches lie, and under which name their events are counted among the lost ones.
pub const REFUSED: &str = "refused";
/// How many refused batches are kept for a person to look at.
pub const REFUSED_KEPT: usize = 100;
const SUFFIX: &str = ".ndjson.zst";

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

/// Events on their way into the spool: JSON lines and what they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    lines: Vec<u8>,
    events: u64,
    datasets: BTreeMap<String, u64>,
}

impl Batch {
    /// Adds an event.
    pub fn push(&mut self, event: &Event) {
        self.lines.extend_from_slice(event.to_json().as_bytes());
        self.lines.push(b'\n');
        self.events += 1;
        match self.datasets.get_mut(event.dataset()) {
            Some(count) => *count += 1,
            None => {
                self.datasets.insert(event.dataset().to_owned(), 1);
            }
        }
    }

    /// How many events it holds.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How many bytes its lines are.
    pub fn bytes(&self) -> usize {
        self.lines.len()
    }
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// On disk under this sequence.
    Kept(u64),
    /// Refused because the quota is reached; its events were counted as lost.
    Lost(u64),
}

/// A batch that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its sequence.
    pub sequence: u64,
    /// How many events it holds.
    pub events: u64,
    /// Its file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    epoch: u64,
    next: u64,
    /// Events lost to the quota, by dataset.
    lost: BTreeMap<String, u64>,
    /// How many of the lost events the centre was told of.
    #[serde(default)]
    told: u64,
}

/// The spool of one sensor; one process has it open.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    quota_bytes: u64,
    state: State,
    waiting: BTreeMap<u64, Waiting>,
    /// Held until the spool is dropped or the process ends.
    _lock: File,
}

impl Spool {
    /// Another bound from now on.
    pub fn set_quota(&mut self, bytes: u64) {
        self.quota_bytes = bytes;
    }

    /// Opens the spool in `folder`, or makes it; it will hold at most `quota_bytes`.
    pub fn open(folder: &Path, quota_bytes: u64) -> Result<Self, SpoolError> {
        fs::create_dir_all(folder).map_err(|error| disk(folder, error))?;
        let lock = lock(folder)?;
        let waiting = scan(folder)?;
        let path = folder.join("state.json");
        let mut state = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| SpoolError::State { path: path.clone(), reason: error.to_string() })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                State { epoch: rand::random(), next: 1, lost: BTreeMap::new(), told: 0 }
            }
            Err(error) => return Err(disk(&path, error)),
        };
        if let Some(newest) = waiting.keys().next_back() {
            state.next = state.next.max(newest.saturating_add(1));
        }
        let spool = Self { folder: folder.to_owned(), quota_bytes, state, waiting, _lock: lock };
        spool.save()?;
        Ok(spool)
    }

    /// The number that tells this spool from an earlier one of the same sensor.
    pub fn epoch(&self) -> u64 {
        self.state.epoch
    }

    /// Puts a batch on disk; when this answers [`Stored::Kept`], a power cut does not lose it. When the disk refuses,
    /// the events are counted as lost too.
    pub fn store(&mut self, batch: &Batch) -> Result<Stored, SpoolError> {
        match self.keep(batch) {
            Ok(Some(sequence)) => Ok(Stored::Kept(sequence)),
            Ok(None) => {
                self.lose(batch);
                self.save()?;
                Ok(Stored::Lost(batch.events))
            }
            Err(error) => {
                // It is written with the next state that the disk takes.
                self.lose(batch);
                Err(error)
            }
        }
    }

    /// The oldest batch that waits.
    pub fn oldest(&self) -> Option<&Waiting> {
        self.waiting.values().next()
    }

    /// Takes a batch off the disk: the collector has it, or has refused it for good.
    pub fn remove(&mut self, sequence: u64) -> Result<(), SpoolError> {
        let Some(gone) = self.waiting.remove(&sequence) else { return Ok(()) };
        match fs::remove_file(&gone.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk(&gone.path, error)),
            _ => Ok(()),
        }
    }

    /// Moves a batch that the collector refuses for good into the folder `refused`, for a person to look at, and counts
    /// its events as lost under [`REFUSED`]. The newest [`REFUSED_KEPT`] batches stay there.
    pub fn set_aside(&mut self, sequence: u64) -> Result<(), SpoolError> {
        let Some(gone) = self.waiting.remove(&sequence) else { return Ok(()) };
        *self.state.lost.entry(REFUSED.to_owned()).or_default() += gone.events;
        self.save()?;
        let folder = self.folder.join(REFUSED);
        fs::create_dir_all(&folder).map_err(|error| disk(&folder, error))?;
        let name = gone.path.file_name().unwrap_or_default();
        fs::rename(&gone.path, folder.join(name)).map_err(|error| disk(&gone.path, error))?;
        let mut kept = scan(&folder)?;
        while kept.len() > REFUSED_KEPT {
            let Some((_, oldest)) = kept.pop_first() else { break };
            fs::remove_file(&oldest.path).map_err(|error| disk(&oldest.path, error))?;
        }
        Ok(())
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> u64 {
        self.waiting.values().map(|batch| batch.bytes).sum()
    }

    /// Batches that wait.
    pub fn batches(&self) -> usize {
        self.waiting.len()
    }

    /// Events that wait.
    pub fn events(&self) -> u64 {
        self.waiting.values().map(|batch| batch.events).sum()
    }

    /// Events lost to the quota, or to a disk that refused, since the spool was made, by dataset.
    pub fn lost(&self) -> &BTreeMap<String, u64> {
        &self.state.lost
    }

    /// Lost events that the centre was not told of yet.
    pub fn untold(&self) -> u64 {
        self.total_lost().saturating_sub(self.state.told)
    }

    /// Notes that a batch which tells of `lost` more lost events is on disk.
    pub fn told(&mut self, lost: u64) -> Result<(), SpoolError> {
        self.state.told = self.state.told.saturating_add(lost);
        self.save()
    }

    /// All events that were lost since the spool was made.
    pub fn total_lost(&self) -> u64 {
        self.state.lost.values().sum()
    }

    /// The sequence under which the batch lies on the disk; `None` when the quota is reached.
    fn keep(&mut self, batch: &Batch) -> Result<Option<u64>, SpoolError> {
        let body =
            zstd::encode_all(&batch.lines[..], ZSTD_LEVEL).map_err(|error| disk(&self.folder, error))?;
        let bytes = body.len() as u64;
        if self.bytes().saturating_add(bytes) > self.quota_bytes {
            return Ok(None);
        }
        let (sequence, events) = (self.state.next, batch.events);
        self.state.next = sequence.saturating_add(1);
        self.save()?;
        let path = self.folder.join(format!("{sequence:020}-{events}{SUFFIX}"));
        write_whole(&path, &body, 0o600).map_err(|error| disk(&path, error))?;
        self.waiting.insert(sequence, Waiting { sequence, events, path, bytes });
        Ok(Some(sequence))
    }

    fn lose(&mut self, batch: &Batch) {
        for (dataset, count) in &batch.datasets {
            *self.state.lost.entry(dataset.clone()).or_default() += count;
        }
    }

    fn save(&self) -> Result<(), SpoolError> {
        let path = self.folder.join("state.json");
        let text = serde_json::to_vec(&self.state)
            .map_err(|error| SpoolError::State { path: path.clone(), reason: error.to_string() })?;
        write_whole(&path, &text, 0o600).map_err(|error| disk(&path, error))
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

/// The whole batches in `folder`; unfinished ones are removed.
fn scan(folder: &Path) -> Result<BTreeMap<u64, Waiting>, SpoolError> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(|error| disk(folder, error))? {
        let path = entry.map_err(|error| disk(folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            fs::remove_file(&path).map_err(|error| disk(&path, error))?;
        } else if let Some((sequence, events)) = parse_name(&path) {
            let bytes = fs::metadata(&path).map_err(|error| disk(&path, error))?.len();
            found.insert(sequence, Waiting { sequence, events, path, bytes });
        }
    }
    Ok(found)
}

fn parse_name(path: &Path) -> Option<(u64, u64)> {
    let (sequence, events) = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?.split_once('-')?;
    Some((sequence.parse().ok()?, events.parse().ok()?))
}

fn disk(path: &Path, error: io::Error) -> SpoolError {
    SpoolError::Disk { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dongson_event::Timestamp;

    fn events(count: usize) -> Vec<Event> {
        (0..count)
            .map(|number| {
                let mut event = Event::of("sensor.dns", Timestamp::from_seconds(1));
                event.set("dns.question.name", format!("{number}.example"));
                event
            })
            .collect()
    }

    fn batch(count: usize) -> Batch {
        let mut batch = Batch::default();
        for event in &events(count) {
            batch.push(event);
        }
        batch
    }

    #[test]
    fn one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 300).unwrap();
        assert!(matches!(Spool::open(folder.path(), 300), Err(SpoolError::Busy(_))));
        drop(spool);
        Spool::open(folder.path(), 300).unwrap();
    }

    #[test]
    fn what_the_centre_was_told_is_not_told_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 1).unwrap();
        assert_eq!(spool.store(&batch(3)).unwrap(), Stored::Lost(3));
        assert_eq!(spool.untold(), 3);
        spool.told(3).unwrap();
        drop(spool);
        let spool = Spool::open(folder.path(), 1).unwrap();
        assert_eq!((spool.untold(), spool.total_lost()), (0, 3));
    }

    #[test]
    fn a_disk_that_refuses_is_an_error_and_a_counted_loss() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("spool");
        let mut spool = Spool::open(&home, 1 << 20).unwrap();
        fs::remove_dir_all(&home).unwrap();
        assert!(matches!(spool.store(&batch(2)), Err(SpoolError::Disk { .. })));
        assert_eq!((spool.total_lost(), spool.batches()), (2, 0));
    }

    #[test]
    fn batches_survive_a_new_start_and_sequences_are_never_used_twice() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        let epoch = spool.epoch();
        assert_eq!(spool.store(&batch(3)).unwrap(), Stored::Kept(1));
        assert_eq!(spool.store(&batch(2)).unwrap(), Stored::Kept(2));
        drop(spool);
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(spool.epoch(), epoch);
        assert_eq!(spool.oldest().map(|batch| (batch.sequence, batch.events)), Some((1, 3)));
        spool.remove(1).unwrap();
        spool.remove(2).unwrap();
        drop(spool);
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(spool.batches(), 0);
        assert_eq!(spool.store(&batch(1)).unwrap(), Stored::Kept(3));
    }

    #[test]
    fn a_batch_holds_its_events() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        spool.store(&batch(2)).unwrap();
        let body = zstd::decode_all(fs::File::open(&spool.oldest().unwrap().path).unwrap()).unwrap();
        let lines: Vec<_> = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(Event::parse(lines[1]).unwrap().0, events(2)[1]);
    }

    #[test]
    fn a_full_spool_counts_what_it_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 300).unwrap();
        let mut lost = 0;
        for _ in 0..10 {
            if let Stored::Lost(events) = spool.store(&batch(1)).unwrap() {
                lost += events;
            }
        }
        assert!(lost > 0 && spool.bytes() <= 300);
        assert_eq!(spool.lost().get("sensor.dns"), Some(&lost));
        drop(spool);
        assert_eq!(Spool::open(folder.path(), 300).unwrap().lost().get("sensor.dns"), Some(&lost));
    }

    #[test]
    fn refused_batches_are_counted_and_only_the_newest_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        for sequence in 1..=102 {
            spool.store(&batch(1)).unwrap();
            spool.set_aside(sequence).unwrap();
        }
        assert_eq!((spool.batches(), spool.untold(), spool.lost().get(REFUSED)), (0, 102, Some(&102)));
        let kept = scan(&folder.path().join(REFUSED)).unwrap();
        assert_eq!(kept.keys().copied().collect::<Vec<_>>(), (3..=102).collect::<Vec<_>>());
    }

    #[test]
    fn an_unfinished_batch_is_no_batch() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("00000000000000000009-4.ndjson.tmp"), b"half").unwrap();
        assert_eq!(Spool::open(folder.path(), 300).unwrap().batches(), 0);
    }

    #[test]
    fn a_spoilt_state_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("state.json"), b"{").unwrap();
        assert!(matches!(Spool::open(folder.path(), 300), Err(SpoolError::State { .. })));
    }
}
