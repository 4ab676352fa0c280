//! Captures without an end: the standard input, and files that another program is still writing.
//!
//! [`read_stream`] reads one capture as it comes. [`follow`] reads the files of a folder in the order in which they were last
//! written (as dumpcap's and tcpdump's rings write them, names used again among them), or one growing file, and waits for more; one
//! engine sees all of them, so flows go on from file to file. The events' ids come from the SHA-256 of the first frame with its
//! time, so the same capture read again gives the same ids. A thread reads and waits; at most [`WAITING`] frames lie between
//! it and the engine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use dongson_event::{Event, Timestamp, identity};
use sha2::{Digest, Sha256};

use crate::capture::filter::Filter;
use crate::capture::{CaptureError, CaptureFile, Frame, LinkType};
use crate::engine::{Engine, Options, Statistics};
use crate::read::Gate;

/// Most frames that wait for the engine.
const WAITING: usize = 1_024;
/// How often a file that has ended so far is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A frame with its own bytes.
struct Owned {
    at: Timestamp,
    link: LinkType,
    bytes: Vec<u8>,
    wire_length: u32,
    vlan: Option<u16>,
}

/// What the reading thread sends.
enum Message {
    Frame(Owned),
    /// A file, and why it was not read to its end.
    Trouble(PathBuf, CaptureError),
}

/// Reads the captures at `path` until `stop` is set, the file that is being read then to where it ends at that time. `emit` is given each event, and `None`
/// about five times a second; `trouble` for each file that is cut or cannot be read; the others are read all the same.
pub fn follow(
    path: &Path,
    options: &Options,
    filter: Option<&Filter>,
    stop: &Arc<AtomicBool>,
    emit: &mut dyn FnMut(Option<Event>),
    trouble: &mut dyn FnMut(&Path, &CaptureError),
) -> io::Result<Statistics> {
    let (sender, frames) = sync_channel(WAITING);
    let source = Source { path: path.to_owned(), stop: Arc::clone(stop) };
    let reading =
        std::thread::Builder::new().name("follow".to_owned()).spawn(move || source.read_all(&sender))?;
    let mut identified = Identified::new(options, filter);
    let mut told = Instant::now();
    loop {
        if told.elapsed() >= LOOK_EVERY {
            told = Instant::now();
            emit(None);
        }
        match frames.recv_timeout(LOOK_EVERY) {
            Ok(Message::Frame(frame)) => identified.frame(&frame.borrow(), emit),
            Ok(Message::Trouble(path, error)) => trouble(&path, &error),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    drop(reading.join());
    Ok(identified.finish(emit))
}

/// Reads one capture from `reader` to its end; the error says why it ended early, after everything before was read.
pub fn read_stream(
    reader: impl Read + Send + 'static,
    options: &Options,
    filter: Option<&Filter>,
    emit: &mut dyn FnMut(Option<Event>),
) -> Result<(Statistics, Option<CaptureError>), CaptureError> {
    let mut capture = CaptureFile::from_reader(reader)?;
    let mut identified = Identified::new(options, filter);
    let warning = loop {
        match capture.next_frame() {
            Ok(Some(frame)) => identified.frame(&frame, emit),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    Ok((identified.finish(emit), warning))
}

/// An engine whose events get ids.
struct Identified {
    engine: Engine,
    gate: Gate,
    first: Option<[u8; 32]>,
    number: u64,
}

impl Identified {
    fn new(options: &Options, filter: Option<&Filter>) -> Self {
        Self { engine: Engine::new(options.clone()), gate: Gate::new(filter), first: None, number: 0 }
    }

    fn frame(&mut self, frame: &Frame<'_>, emit: &mut dyn FnMut(Option<Event>)) {
        if !self.gate.takes(frame) {
            return;
        }
        let first = *self.first.get_or_insert_with(|| {
            let time = frame.at.nanos().to_be_bytes();
            Sha256::new().chain_update(time).chain_update(frame.bytes).finalize().into()
        });
        let number = &mut self.number;
        self.engine.packet(frame, &mut |event| emit(Some(named(event, &first, number))));
    }

    fn finish(mut self, emit: &mut dyn FnMut(Option<Event>)) -> Statistics {
        let first = self.first.unwrap_or_default();
        let number = &mut self.number;
        self.engine.finish(&mut |event| emit(Some(named(event, &first, number))));
        self.engine.statistics()
    }
}

fn named(mut event: Event, first: &[u8; 32], number: &mut u64) -> Event {
    *number += 1;
    event.set("event.id", identity::of_file(first, *number).to_string());
    event
}

impl Owned {
    fn of(frame: &Frame<'_>) -> Self {
        let Frame { at, link, bytes, wire_length, vlan } = *frame;
        Self { at, link, bytes: bytes.to_vec(), wire_length, vlan }
    }

    fn borrow(&self) -> Frame<'_> {
        let Self { at, link, ref bytes, wire_length, vlan } = *self;
        Frame { at, link, bytes, wire_length, vlan }
    }
}

/// A folder of captures, or one of them.
#[derive(Clone)]
struct Source {
    path: PathBuf,
    stop: Arc<AtomicBool>,
}

/// Files that were read, and when each had last been written then.
type Done = BTreeMap<PathBuf, SystemTime>;

impl Source {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn read_all(&self, sender: &SyncSender<Message>) {
        let mut done = Done::new();
        while !self.is_over() {
            let Some((written, path)) = self.next(&done) else {
                std::thread::sleep(LOOK_EVERY);
                continue;
            };
            let mut known = done.clone();
            known.insert(path.clone(), written);
            let read = self.read(&path, known, sender);
            let latest = written_at(&path).unwrap_or(written);
            done.retain(|held, _| held.exists());
            done.insert(path.clone(), latest);
            match read {
                Ok(true) => {}
                Ok(false) => return,
                // What another program was writing when the end was told is no trouble.
                Err(CaptureError::Cut { .. } | CaptureError::Empty) if self.is_over() => {}
                Err(error) => drop(sender.send(Message::Trouble(path, error))),
            }
        }
    }

    /// The file that is to be read next: the one that was written to first of those not read, or written to since.
    fn next(&self, done: &Done) -> Option<(SystemTime, PathBuf)> {
        if !self.path.is_dir() {
            let written = written_at(&self.path)?;
            return (!done.contains_key(&self.path)).then(|| (written, self.path.clone()));
        }
        let entries = self.path.read_dir().ok()?.flatten().map(|entry| entry.path());
        entries
            .filter(|path| is_capture(path))
            .filter_map(|path| Some((written_at(&path)?, path)))
            .filter(|(written, path)| done.get(path).is_none_or(|known| written > known))
            .min()
    }

    /// Reads one file, waiting for more at its end; false when nobody takes the frames.
    fn read(&self, path: &Path, known: Done, sender: &SyncSender<Message>) -> Result<bool, CaptureError> {
        let file = File::open(path).map_err(|source| CaptureError::Open { path: path.to_owned(), source })?;
        let growing = Growing { file, path: path.to_owned(), source: self.clone(), known, ends: false };
        let mut capture = CaptureFile::from_reader(growing)?;
        while let Some(frame) = capture.next_frame()? {
            if sender.send(Message::Frame(Owned::of(&frame))).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A file that is at its end only when another one has taken its place, or all is over.
struct Growing {
    file: File,
    path: PathBuf,
    source: Source,
    known: Done,
    /// Another file is there: what this one still has is the last of it.
    ends: bool,
}

impl Read for Growing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.file.read(buffer)?;
            if count > 0 || buffer.is_empty() || self.ends || self.source.is_over() {
                return Ok(count);
            }
            if let Some(written) = written_at(&self.path) {
                self.known.insert(self.path.clone(), written);
            }
            self.ends = self.source.next(&self.known).is_some();
            if !self.ends {
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }
}

fn written_at(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

/// True for names that capture programs give, rotating ones among them: `a.pcap`, `a.pcap12`, `a_00001_2026.pcapng`, `a.cap.gz`.
pub fn is_capture(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    path.is_file() && [".pcap", ".cap"].iter().any(|part| name.contains(part))
}
