//! The files of the ring: which is written, which are kept, which go.
//!
//! No clock: time is an argument. Size: the files with their indexes, so the open file's index (1 to 2 % of it) comes on top for a
//! while.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use dongson_event::Timestamp;

use super::flows::{Flows, Parts};
use super::segment::{self, Segment};
use super::{Counts, LEAST_BYTES, Limits, PacketError, disk};
use crate::capture::Frame;

/// Bytes that wait before they are written.
const PENDING: usize = 256 << 10;
/// Most bytes of one file.
const SEGMENT: u64 = 128 << 20;
/// Most files for one age, so that a file goes soon after its last packet is too old.
const PER_AGE: u32 = 24;
/// Most entries of a file's index.
const ENTRIES: usize = 1 << 22;

/// A file that is whole.
struct Whole {
    path: PathBuf,
    bytes: u64,
    last: Timestamp,
}

/// The ring, as its only writer sees it.
pub struct Ring {
    folder: PathBuf,
    limits: Limits,
    whole: VecDeque<Whole>,
    open: Option<Segment>,
    next: u64,
    parts: Parts,
    flows: Flows,
    counts: Counts,
    /// Frames lost elsewhere that no index tells yet.
    untold: u64,
    /// Held as long as the ring is.
    _lock: File,
}

impl Ring {
    /// Takes up the ring in `folder`, which is made when it is not there; only its owner may read it.
    pub fn open(folder: &Path, limits: Limits) -> Result<Self, PacketError> {
        if limits.bytes < LEAST_BYTES {
            return Err(PacketError::TooSmall(limits.bytes));
        }
        let failed = |error| disk(folder, error);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed)?;
        let lock = lock(folder)?;
        let mut whole = VecDeque::new();
        let mut next = 1;
        for (number, path) in files(folder)? {
            next = next.max(number + 1);
            let index = segment::mend(&path).map_err(|error| disk(&path, error))?;
            match index.span() {
                Some((_, last)) => whole.push_back(Whole { bytes: segment::size(&path), path, last }),
                // Nothing but a header.
                None => segment::remove(&path).map_err(|error| disk(&path, error))?,
            }
        }
        let (parts, flows, counts) = (Parts::new(), Flows::default(), Counts::default());
        let folder = folder.to_owned();
        Ok(Self { folder, limits, whole, open: None, next, parts, flows, counts, untold: 0, _lock: lock })
    }

    /// What was done since the start.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Notes frames that were lost on the way to the ring.
    pub fn lost(&mut self, frames: u64) {
        self.counts.queue_lost += frames;
        self.untold += frames;
    }

    /// Takes a frame; it is on the disk after [`Ring::flush`].
    pub fn frame(&mut self, frame: &Frame<'_>) -> Result<(), PacketError> {
        let length = frame.bytes.len() as u64;
        // Enough of the innermost flow is enough; what is outside of it is no reason to keep or to leave out.
        let (flows, limit) = (&mut self.flows, self.limits.flow_bytes);
        let parts = self.parts.of(frame);
        let mut keys = Vec::with_capacity(parts.len());
        let mut fits = true;
        for (place, part) in parts.iter().enumerate() {
            let limit = if place + 1 == parts.len() { limit } else { 0 };
            let (key, kept) = flows.add(part, frame.at, length, limit);
            keys.push(key);
            fits = kept;
        }
        let segment = match &mut self.open {
            Some(open) => open,
            None => self.begin(frame.at)?,
        };
        if fits {
            segment.add(frame, keys.into_iter());
            self.counts.frames += 1;
            self.counts.bytes += length;
        } else {
            segment.index.cut(keys.last().copied().unwrap_or_default(), length);
            self.counts.cut_frames += 1;
            self.counts.cut_bytes += length;
        }
        if self.open.as_ref().is_some_and(|open| open.pending() >= PENDING) { self.flush() } else { Ok(()) }
    }

    fn begin(&mut self, at: Timestamp) -> Result<&mut Segment, PacketError> {
        let created = Segment::create(&self.folder, self.next, at);
        let created = created.map_err(|error| disk(&self.folder, error))?;
        self.next += 1;
        Ok(self.open.insert(created))
    }

    /// Writes what waits; makes room by removing the oldest files where the disk is full. What cannot be written is counted
    /// and forgotten.
    pub fn flush(&mut self) -> Result<(), PacketError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.index.lost += std::mem::take(&mut self.untold);
        let before = open.index.covered;
        let failed = loop {
            let Err(error) = open.flush() else { break None };
            let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            match self.whole.pop_front().filter(|_| full) {
                Some(oldest) => {
                    segment::remove(&oldest.path).map_err(|error| disk(&oldest.path, error))?;
                    self.counts.files_for_room += 1;
                }
                None => break Some(error),
            }
        };
        if let Some(error) = failed {
            let lost = open.index.frames;
            let path = open.path.clone();
            self.open = None;
            // What the file had before stays; what waited is gone.
            let kept =
                if before > 0 { self.keep(path.clone())? } else { segment::remove(&path).map_or(0, |()| 0) };
            let lost = lost.saturating_sub(kept);
            self.counts.disk_lost += lost;
            self.counts.frames = self.counts.frames.saturating_sub(lost);
            self.untold += lost;
            return Err(disk(&path, error));
        }
        let most = (self.limits.bytes / 16).clamp(1 << 20, SEGMENT);
        if open.bytes() >= most || open.index.entries.len() >= ENTRIES {
            self.rotate()?;
        }
        self.make_room()
    }

    /// Takes a file that is not written any more among the whole ones; says how many frames it has.
    fn keep(&mut self, path: PathBuf) -> Result<u64, PacketError> {
        let index = segment::mend(&path).map_err(|error| disk(&path, error))?;
        if let Some((_, last)) = index.span() {
            self.whole.push_back(Whole { bytes: segment::size(&path), path, last });
        }
        Ok(index.frames)
    }

    /// Ends the open file.
    fn rotate(&mut self) -> Result<(), PacketError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        open.save_index().map_err(|error| disk(&open.path, error))?;
        let last = open.index.span().map_or(open.begun, |(_, last)| last);
        self.whole.push_back(Whole { bytes: segment::size(&open.path), path: open.path, last });
        Ok(())
    }

    fn make_room(&mut self) -> Result<(), PacketError> {
        let open = self.open.as_ref().map_or(0, Segment::bytes);
        let mut all = open + self.whole.iter().map(|whole| whole.bytes).sum::<u64>();
        while all > self.limits.bytes {
            let Some(oldest) = self.whole.pop_front() else { break };
            all -= oldest.bytes;
            self.age(&oldest)?;
        }
        Ok(())
    }

    fn age(&mut self, oldest: &Whole) -> Result<(), PacketError> {
        self.counts.files_aged += 1;
        segment::remove(&oldest.path).map_err(|error| disk(&oldest.path, error))
    }

    /// It is `now`: writes what waits and the index of the open file, ends that file when it is old, and removes what is too old.
    pub fn tick(&mut self, now: Timestamp) -> Result<(), PacketError> {
        self.flush()?;
        if let Some(open) = &self.open {
            if now.since(open.begun) >= self.limits.age / PER_AGE {
                self.rotate()?;
            } else {
                open.save_index().map_err(|error| disk(&open.path, error))?;
            }
        }
        let oldest = now.minus(self.limits.age);
        while let Some(whole) = self.whole.pop_front_if(|whole| whole.last < oldest) {
            self.age(&whole)?;
        }
        Ok(())
    }

    /// Writes all that waits and ends the open file.
    pub fn finish(&mut self) -> Result<(), PacketError> {
        self.flush()?;
        self.rotate()
    }
}

/// Takes the folder for this process; the lock ends with the process, however it ends.
fn lock(folder: &Path) -> Result<File, PacketError> {
    let path = folder.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| disk(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PacketError::Busy(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(disk(&path, error)),
    }
}

/// The files of the ring with their numbers, oldest first.
pub(super) fn files(folder: &Path) -> Result<Vec<(u64, PathBuf)>, PacketError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| disk(folder, error))? {
        let path = entry.map_err(|error| disk(folder, error))?.path();
        let is_ours = path.extension().is_some_and(|extension| extension == segment::SUFFIX);
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let Some(number) = number.filter(|_| is_ours) {
            found.push((number, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}
