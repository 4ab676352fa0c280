//! Capture files: pcap and pcapng, plain or compressed with gzip or zstd.
//!
//! In: a path or a reader. Out: frames in file order, borrowed from the one buffer that the file is read into. What always
//! holds: memory is bounded by the longest frame ([`super::MAX_FRAME_BYTES`]) and by the number of interfaces; a file that ends in the middle of a record gives all
//! whole records first and then [`CaptureError::Cut`].

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use dongson_event::Timestamp;
use flate2::bufread::MultiGzDecoder;

use super::{Frame, LinkType, pcap, pcapng};

/// Why a capture could not be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be opened or read at all.
    #[error("cannot read {path:?}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("the file is empty: it has no bytes")]
    Empty,
    /// The first bytes belong to no format we know.
    #[error("not a pcap or pcapng file: it starts with {0:02x?}")]
    UnknownFormat(Vec<u8>),
    /// The file ends inside a record.
    #[error("the file is cut: it ends inside the record at byte {offset}")]
    Cut {
        /// Where the record starts, in uncompressed bytes.
        offset: u64,
    },
    /// A length or number in the file cannot be right.
    #[error("the file is damaged at byte {offset}: {reason}")]
    Damaged {
        /// Where, in uncompressed bytes.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// Reading failed in the middle (also: the compressed data is damaged).
    #[error("reading failed at byte {offset}: {source}")]
    Read {
        /// How many uncompressed bytes were read before.
        offset: u64,
        /// What the system or the decompressor says.
        source: io::Error,
    },
}

/// An open capture file.
pub struct CaptureFile {
    input: Input,
    format: Format,
}

enum Format {
    Pcap(pcap::Reader),
    PcapNg(pcapng::Reader),
}

impl CaptureFile {
    /// Opens the file at `path` and reads its header. It is read in whole blocks, so that [`CaptureFile::mark`] is the same
    /// in every run.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let file = File::open(path).map_err(|source| CaptureError::Open { path: path.to_owned(), source })?;
        Self::start(Input::decompress(file, Fill::Blocks)?)
    }

    /// Reads the header of a capture from any reader, and never waits for more than it needs.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Result<Self, CaptureError> {
        Self::start(Input::decompress(reader, Fill::AsItComes)?)
    }

    fn start(mut input: Input) -> Result<Self, CaptureError> {
        let magic = input.ahead(4)?;
        let format = match *magic {
            [] => return Err(CaptureError::Empty),
            [a, b, c, d] if [a, b, c, d] == pcapng::MAGIC => {
                input.pass(4);
                Format::PcapNg(pcapng::Reader::start(&mut input)?)
            }
            [a, b, c, d] => {
                input.pass(4);
                Format::Pcap(pcap::Reader::start([a, b, c, d], &mut input)?)
            }
            ref short => return Err(CaptureError::UnknownFormat(short.to_vec())),
        };
        Ok(Self { input, format })
    }

    /// The next frame; `None` at the end. After an error the file is at its end.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        Ok(self.next_marked()?.map(|(frame, _)| frame))
    }

    /// The next frame, and [`CaptureFile::mark`] behind it.
    pub fn next_marked(&mut self) -> Result<Option<(Frame<'_>, &[u8; 32])>, CaptureError> {
        let record = match &mut self.format {
            Format::Pcap(reader) => reader.next_record(&mut self.input)?,
            Format::PcapNg(reader) => reader.next_record(&mut self.input)?,
        };
        let Some(Record { at, link, wire_length, length, back }) = record else { return Ok(None) };
        let bytes = self.input.passed(length, back);
        let wire_length = wire_length.max(u32::try_from(length).unwrap_or(u32::MAX));
        Ok(Some((Frame { at, link, bytes, wire_length, vlan: None }, &self.input.mark)))
    }

    /// What tells this capture from others as far as it was read: a hash (BLAKE3) over every uncompressed byte up to the
    /// end of the block of [`BLOCK`] bytes in which the last frame ended. Of a file that goes on growing, what was there
    /// keeps its marks but for the last block.
    pub fn mark(&self) -> &[u8; 32] {
        &self.input.mark
    }
}

/// A frame in the buffer: `length` bytes, which end `back` bytes before the place that the input is at.
pub(super) struct Record {
    pub(super) at: Timestamp,
    pub(super) link: LinkType,
    pub(super) wire_length: u32,
    pub(super) length: usize,
    pub(super) back: usize,
}

/// Bytes read at a time: few calls, and what is hashed is still in the cache when it is read.
const BLOCK: usize = 1 << 18;

/// How the buffer is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fill {
    /// By whole blocks, each of which changes the mark.
    Blocks,
    /// By whatever the reader gives at once; there is no mark.
    AsItComes,
}

/// Uncompressed bytes with a position. Memory: a block, and the longest record.
pub(super) struct Input {
    reader: Box<dyn Read + Send>,
    fill: Fill,
    /// What was read; the first `start` bytes of it were handed out.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    is_over: bool,
    /// Why it is over, when that is no end; told behind what came before.
    failure: Option<io::Error>,
    mark: [u8; 32],
    /// Uncompressed bytes handed out so far.
    pub(super) offset: u64,
}

impl Input {
    fn new(reader: Box<dyn Read + Send>, fill: Fill) -> Self {
        Self {
            reader,
            fill,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            is_over: false,
            failure: None,
            mark: [0; 32],
            offset: 0,
        }
    }

    /// Looks at the first bytes and puts a decompressor in front where one is needed.
    fn decompress(mut reader: impl Read + Send + 'static, fill: Fill) -> Result<Self, CaptureError> {
        let mut magic = [0_u8; 4];
        let mut held = 0;
        while let Some(rest) = magic.get_mut(held..).filter(|rest| !rest.is_empty()) {
            match reader.read(rest) {
                Ok(0) => break,
                Ok(count) => held += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(CaptureError::Read { offset: held as u64, source }),
            }
        }
        let start = magic.get(..held).unwrap_or_default().to_vec();
        let whole = io::Cursor::new(start.clone()).chain(reader);
        let packed = |reader| BufReader::with_capacity(1 << 17, reader);
        let reader: Box<dyn Read + Send> = match start.as_slice() {
            [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(packed(whole))),
            [0x28, 0xb5, 0x2f, 0xfd] => Box::new(
                zstd::Decoder::with_buffer(packed(whole))
                    .map_err(|source| CaptureError::Read { offset: 0, source })?,
            ),
            _ => Box::new(whole),
        };
        Ok(Self::new(reader, fill))
    }

    /// The next `count` bytes, or fewer where the input ends; they stay until [`Input::pass`].
    pub(super) fn ahead(&mut self, count: usize) -> Result<&[u8], CaptureError> {
        while self.end - self.start < count && !self.is_over {
            self.refill(count);
        }
        if self.end - self.start < count
            && let Some(error) = self.failure.take()
        {
            return Err(self.failed(error));
        }
        Ok(self.buffer.get(self.start..self.end.min(self.start + count)).unwrap_or_default())
    }

    /// The next `count` bytes; when there are fewer, the record at [`Input::offset`] is cut.
    pub(super) fn whole(&mut self, count: usize) -> Result<&[u8], CaptureError> {
        let offset = self.offset;
        let bytes = self.ahead(count)?;
        if bytes.len() < count { Err(CaptureError::Cut { offset }) } else { Ok(bytes) }
    }

    /// Hands out the next `count` bytes, which were looked at before.
    pub(super) fn pass(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
        self.offset += count as u64;
    }

    /// What was handed out last: `length` bytes up to `back` bytes before this place.
    pub(super) fn passed(&self, length: usize, back: usize) -> &[u8] {
        let end = self.start.saturating_sub(back);
        self.buffer.get(end.saturating_sub(length)..end).unwrap_or_default()
    }

    /// Reads a block behind what is held, or once what the reader gives; what was handed out makes room for it.
    fn refill(&mut self, wanted: usize) {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let room = self.end + BLOCK;
        // A long record is gone: its room is given back.
        if self.buffer.len() > 8 * BLOCK && wanted < BLOCK {
            self.buffer.truncate(room);
            self.buffer.shrink_to_fit();
        }
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        let from = self.end;
        while let Some(rest) = self.buffer.get_mut(self.end..room).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) => self.is_over = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => (self.is_over, self.failure) = (true, Some(error)),
            }
            if self.is_over || self.fill == Fill::AsItComes {
                break;
            }
        }
        if self.fill == Fill::Blocks {
            let block = self.buffer.get(from..self.end).unwrap_or_default();
            self.mark = *blake3::Hasher::new_keyed(&self.mark).update(block).finalize().as_bytes();
        }
    }

    fn failed(&self, source: io::Error) -> CaptureError {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => CaptureError::Cut { offset: self.offset },
            _ => CaptureError::Read { offset: self.offset, source },
        }
    }
}

/// Numbers in the byte order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// The 16-bit number at `at`, or 0 past the end.
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let word = bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
        if self == Self::Little { u16::from_le_bytes(word) } else { u16::from_be_bytes(word) }
    }

    /// The 32-bit number at `at`, or 0 past the end.
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let word = bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
        if self == Self::Little { u32::from_le_bytes(word) } else { u32::from_be_bytes(word) }
    }

    /// The 64-bit signed number at `at`, or 0 past the end.
    pub(super) fn i64(self, bytes: &[u8], at: usize) -> i64 {
        let word = bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
        if self == Self::Little { i64::from_le_bytes(word) } else { i64::from_be_bytes(word) }
    }
}
