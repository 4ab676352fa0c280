//! One file of the ring: `NUMBER.pcapng`, and its index `NUMBER.index` beside it.
//!
//! Written only at its end. [`walk`] reads frames from any granule on; [`mend`] takes up a file after a crash: what is not whole
//! at its end is cut off, and what the index does not know is read through.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use dongson_event::Timestamp;

use super::block::{self, Block};
use super::flows::{Parts, key_of};
use super::index::Index;
use crate::capture::{Frame, LinkType};

pub(super) const SUFFIX: &str = "pcapng";
const INDEX: &str = "index";
/// How much is read at once; grows for a longer frame.
const READ: usize = 256 << 10;

/// The file that is being written.
pub(super) struct Segment {
    pub(super) path: PathBuf,
    file: File,
    /// Bytes on the disk.
    written: u64,
    /// Blocks that are not written yet.
    pending: Vec<u8>,
    pub(super) index: Index,
    /// When the first frame came.
    pub(super) begun: Timestamp,
}

impl Segment {
    /// A new file.
    pub(super) fn create(folder: &Path, number: u64, begun: Timestamp) -> io::Result<Self> {
        let path = folder.join(format!("{number:012}.{SUFFIX}"));
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        let mut pending = Vec::with_capacity(READ);
        block::section(&mut pending);
        Ok(Self { path, file, written: 0, pending, index: Index::default(), begun })
    }

    /// Adds a frame; it is on the disk after [`Segment::flush`].
    pub(super) fn add(&mut self, frame: &Frame<'_>, keys: impl Iterator<Item = u32>) {
        let known = self.index.links.iter().position(|link| *link == frame.link);
        let interface = known.unwrap_or_else(|| {
            block::interface(&mut self.pending, frame.link);
            self.index.links.push(frame.link);
            self.index.links.len() - 1
        });
        self.index.add(self.written + self.pending.len() as u64, frame.at, keys);
        block::packet(&mut self.pending, u32::try_from(interface).unwrap_or(u32::MAX), frame);
    }

    /// Bytes of the file with what is not written yet.
    pub(super) fn bytes(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    /// Bytes that wait.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Writes what waits. When the disk refuses, the file is as it was before, and all still waits.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Err(error) = self.file.write_all(&self.pending) {
            self.file.set_len(self.written)?;
            return Err(error);
        }
        self.written += self.pending.len() as u64;
        self.pending.clear();
        self.index.covered = self.written;
        Ok(())
    }

    /// Writes the index of what is on the disk.
    pub(super) fn save_index(&self) -> io::Result<()> {
        write_index(&self.path, &self.index)
    }
}

/// Writes an index; a torn one is known by its sum, so it need not be synced.
fn write_index(path: &Path, index: &Index) -> io::Result<()> {
    let (target, unfinished) = (path.with_extension(INDEX), path.with_extension("tmp"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(&index.encode())?;
    fs::rename(unfinished, target)
}

/// The index of a file, or an empty one when there is none that is whole.
pub(super) fn read_index(path: &Path) -> Index {
    fs::read(path.with_extension(INDEX)).ok().and_then(|bytes| Index::decode(&bytes)).unwrap_or_default()
}

/// Bytes of a file and its index.
pub(super) fn size(path: &Path) -> u64 {
    let of = |path: &Path| path.metadata().map_or(0, |found| found.len());
    of(path) + of(&path.with_extension(INDEX))
}

/// Removes a file and its index.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path.with_extension(INDEX)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::remove_file(path)
}

/// Reads the file at `path` from `start` to `end`, or to its end: `take` is given each frame with the place where it
/// stands, and says whether to go on. `links` are the interfaces known before `start`; what is found is added. Says where the
/// last whole block ended.
pub(super) fn walk(
    path: &Path,
    (start, end): (u64, u64),
    links: &mut Vec<LinkType>,
    take: &mut dyn FnMut(u64, &Frame<'_>) -> bool,
) -> io::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut file = file.take(end.saturating_sub(start));
    let (mut held, mut room, mut at) = (Vec::new(), READ, start);
    loop {
        let before = held.len();
        file.by_ref().take(room.saturating_sub(before) as u64).read_to_end(&mut held)?;
        let ended = held.len() == before;
        let mut used = 0;
        while let Some((found, length)) = held.get(used..).and_then(block::read) {
            match found {
                Block::Interface(link) => links.push(link),
                Block::Packet(interface, time, bytes, wire_length) => {
                    let link = usize::try_from(interface).ok().and_then(|number| links.get(number));
                    let Some(link) = link else { return Ok(at + used as u64) };
                    let frame = Frame { at: time, link: *link, bytes, wire_length, vlan: None };
                    if !take(at + used as u64, &frame) {
                        return Ok(at + used as u64);
                    }
                }
                Block::Other => {}
            }
            used += length;
        }
        at += used as u64;
        held.drain(..used);
        if used == 0 {
            // Either the block is longer than the room, or this is the end.
            if ended || room > crate::capture::MAX_FRAME_BYTES {
                return Ok(at);
            }
            room *= 2;
        }
    }
}

/// The index of a file with all that the file holds; `end` is where its last whole block ends.
pub(super) fn whole_index(path: &Path) -> io::Result<(Index, u64)> {
    let length = path.metadata()?.len();
    let mut index = read_index(path);
    if index.covered > length {
        index = Index::default();
    }
    if index.covered == length {
        return Ok((index, length));
    }
    let (mut links, mut parts, start) = (index.links.clone(), Parts::new(), index.covered);
    let end = walk(path, (start, length), &mut links, &mut |offset, frame| {
        let parts = parts.of(frame);
        index.add(offset, frame.at, parts.iter().filter_map(|part| key_of(&part.tuple.community_id())));
        true
    })?;
    index.links = links;
    index.covered = end;
    Ok((index, end))
}

/// Takes up a file after a restart: cuts off what is not whole, and completes the index.
pub(super) fn mend(path: &Path) -> io::Result<Index> {
    let known = read_index(path).covered;
    let (index, end) = whole_index(path)?;
    if path.metadata()?.len() > end {
        OpenOptions::new().write(true).open(path)?.set_len(end)?;
    }
    if index.covered != known {
        write_index(path, &index)?;
    }
    Ok(index)
}
