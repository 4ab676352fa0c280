//! A file that another program writes: each line is a record. It is followed over rotation, and from where the spool says
//! after a new start.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use super::frame::{Framed, Framer, Framing};
use super::place::{Known, Place, rotated};
use super::queue::Record;
use super::{Desk, LOOK_EVERY};
use crate::capture::portable::now;

/// Most files that are remembered as read.
const REMEMBERED: usize = 64;
/// Bytes that are read at once.
const BLOCK: usize = 64 << 10;

/// Follows the file at `path` until the end, from `place` on.
pub(super) fn follow(desk: &Desk, path: PathBuf, place: Option<Place>) {
    let mut follower =
        Follower { desk, path, place, reading: None, done: VecDeque::new(), block: vec![0; BLOCK] };
    while !desk.stops() {
        if !desk.is_on() {
            follower.rest();
            thread::sleep(LOOK_EVERY);
            continue;
        }
        match follower.turn() {
            Ok(more) => {
                desk.tally.set_problem(None);
                if !more {
                    thread::sleep(LOOK_EVERY);
                }
            }
            Err(error) => {
                desk.tally.set_problem(Some(format!("{}: {error}", follower.path.display())));
                follower.rest();
                thread::sleep(LOOK_EVERY);
            }
        }
    }
}

struct Follower<'d> {
    desk: &'d Desk,
    path: PathBuf,
    /// Where to go on; `None`: at the beginning.
    place: Option<Place>,
    reading: Option<Reading>,
    /// Files that were read to their ends, by device and inode: times of files are too coarse to tell.
    done: VecDeque<(u64, u64)>,
    block: Vec<u8>,
}

struct Reading {
    path: PathBuf,
    known: Known,
    framer: Framer,
    /// The first byte that was not read from the file.
    at: u64,
}

impl Reading {
    fn begin(path: PathBuf, mut known: Known, at: u64) -> io::Result<Self> {
        known.file.seek(SeekFrom::Start(at))?;
        Ok(Self { path, known, framer: Framer::new(Framing::Lines, at), at })
    }
}

impl Follower<'_> {
    /// Lets the file go; what was read and is no whole record yet is read again.
    fn rest(&mut self) {
        self.reading = None;
    }

    /// Reads one block, or goes on to the next file; false when there is nothing to do for now.
    fn turn(&mut self) -> io::Result<bool> {
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => self.open()?,
        };
        let length = reading.known.file.read(&mut self.block)?;
        if length > 0 {
            reading.at += length as u64;
            let mut records = Vec::new();
            let block = self.block.get(..length).unwrap_or_default();
            reading.framer.push(block, &mut |framed| records.push(framed));
            let open = records
                .into_iter()
                .try_fold(true, |open, framed| Ok::<_, io::Error>(open && self.put(&mut reading, framed)?))?;
            self.reading = open.then_some(reading);
            return Ok(open);
        }
        let about = reading.known.file.metadata()?;
        if about.len() < reading.at {
            // Emptied in place: what was not read of it is gone, and nobody can say how much.
            tracing::warn!(path = ?reading.path, "a followed file was emptied; it is read from its beginning");
            let mut known = Known::open(&reading.path)?;
            self.place = Some(known.place(0)?);
            self.reading = Some(Reading::begin(reading.path, known, 0)?);
            return Ok(true);
        }
        let this = (reading.known.device, reading.known.inode);
        match fs::metadata(&self.path) {
            Ok(present) if (present.dev(), present.ino()) == this => {}
            Ok(_) => {
                let next = self.after(about.modified()?, this).unwrap_or_else(|| self.path.clone());
                // Whoever writes goes on with the old file until it has opened the new one.
                if fs::metadata(&next)?.len() > 0 {
                    return self.next(reading, next);
                }
            }
            // Between two names there may be none.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.reading = Some(reading);
        Ok(false)
    }

    /// Another file has the name: what is left of this one is its last record; then `path` is read.
    fn next(&mut self, mut reading: Reading, path: PathBuf) -> io::Result<bool> {
        // What was written between our last look and now.
        let about = reading.known.file.metadata()?;
        if about.len() > reading.at {
            self.reading = Some(reading);
            return Ok(true);
        }
        if let Some(last) = reading.framer.finish()
            && !self.put(&mut reading, last)?
        {
            return Ok(false);
        }
        if self.done.len() == REMEMBERED {
            self.done.pop_front();
        }
        self.done.push_back((about.dev(), about.ino()));
        let mut known = Known::open(&path)?;
        self.place = Some(known.place(0)?);
        self.reading = Some(Reading::begin(path, known, 0)?);
        Ok(true)
    }

    /// The file that was written to first after `written`, of those that rotation made and that were not read.
    fn after(&self, written: SystemTime, this: (u64, u64)) -> Option<PathBuf> {
        let is_new = |path: &Path| {
            fs::metadata(path).is_ok_and(|about| {
                let id = (about.dev(), about.ino());
                id != this && !self.done.contains(&id)
            })
        };
        let mut found = rotated(&self.path).into_iter();
        found.find(|(at, path)| *at >= written && *path != self.path && is_new(path)).map(|(_, path)| path)
    }

    /// Finds the file of the place where to go on, whatever it is called now; else the one of the name, from its beginning.
    fn open(&self) -> io::Result<Reading> {
        let Some(place) = &self.place else {
            return Reading::begin(self.path.clone(), Known::open(&self.path)?, 0);
        };
        let names =
            std::iter::once(self.path.clone()).chain(rotated(&self.path).into_iter().map(|(_, path)| path));
        for path in names {
            let Ok(mut known) = Known::open(&path) else { continue };
            if known.is_at(place)? && known.file.metadata()?.len() >= place.offset {
                return Reading::begin(path, known, place.offset);
            }
        }
        let known = Known::open(&self.path)?;
        tracing::warn!(path = ?self.path, "the file that was followed is gone or was emptied: what was not read of it is missing");
        Reading::begin(self.path.clone(), known, 0)
    }

    /// Gives a record on; false at the end.
    fn put(&mut self, reading: &mut Reading, framed: Framed) -> io::Result<bool> {
        let Framed { raw, missing, end } = framed;
        let place = reading.known.place(end)?;
        let bytes = raw.len() as u64;
        let record = Record {
            input: Arc::clone(&self.desk.input),
            raw,
            received: now(),
            peer: None,
            path: Some(self.path.to_string_lossy().into_owned()),
            missing_bytes: missing,
            place: Some(place.clone()),
        };
        let taken = self.desk.queue.put(record);
        if taken {
            self.desk.count(bytes, missing);
            self.place = Some(place);
        }
        Ok(taken)
    }
}
