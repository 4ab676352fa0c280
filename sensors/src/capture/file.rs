//! Capture files: pcap and pcapng, plain or compressed with gzip or zstd.
//!
//! In: a path or a reader. Out: frames in file order. What always holds: memory is bounded by the longest frame
//! ([`super::MAX_FRAME_BYTES`]) and by the number of interfaces; a file that ends in the middle of a record gives all
//! whole records first and then [`CaptureError::Cut`].

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::{Frame, pcap, pcapng};

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
    /// Opens the file at `path` and reads its header.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let file = File::open(path).map_err(|source| CaptureError::Open { path: path.to_owned(), source })?;
        Self::from_reader(file)
    }

    /// Reads the header of a capture from any reader.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Result<Self, CaptureError> {
        let mut input = Input::decompress(reader)?;
        let mut magic = [0_u8; 4];
        let held = input.fill(&mut magic)?;
        if held == 0 {
            return Err(CaptureError::Empty);
        }
        if held < magic.len() {
            return Err(CaptureError::UnknownFormat(magic.get(..held).unwrap_or_default().to_vec()));
        }
        let format = if magic == pcapng::MAGIC {
            Format::PcapNg(pcapng::Reader::start(&mut input)?)
        } else {
            Format::Pcap(pcap::Reader::start(magic, &mut input)?)
        };
        Ok(Self { input, format })
    }

    /// The next frame; `None` at the end. After an error the file is at its end.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        match &mut self.format {
            Format::Pcap(reader) => reader.next_frame(&mut self.input),
            Format::PcapNg(reader) => reader.next_frame(&mut self.input),
        }
    }
}

/// The SHA-256 of the file as it lies on the disk; half of each event's identity.
pub fn sha256_of(path: &Path) -> Result<[u8; 32], CaptureError> {
    let failed = |source| CaptureError::Open { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hasher.finalize().into()),
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

/// Uncompressed bytes with a position.
pub(super) struct Input {
    reader: Box<dyn Read + Send>,
    /// Uncompressed bytes handed out so far.
    pub(super) offset: u64,
}

impl Input {
    /// Looks at the first bytes and puts a decompressor in front where one is needed.
    fn decompress(reader: impl Read + Send + 'static) -> Result<Self, CaptureError> {
        let mut plain = Self { reader: Box::new(BufReader::with_capacity(1 << 17, reader)), offset: 0 };
        let mut magic = [0_u8; 4];
        let held = plain.fill(&mut magic)?;
        let start = magic.get(..held).unwrap_or_default().to_vec();
        let whole = io::Cursor::new(start.clone()).chain(plain.reader);
        let reader: Box<dyn Read + Send> = match start.as_slice() {
            [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(1 << 17, MultiGzDecoder::new(whole))),
            [0x28, 0xb5, 0x2f, 0xfd] => {
                let decoder =
                    zstd::Decoder::new(whole).map_err(|source| CaptureError::Read { offset: 0, source })?;
                Box::new(BufReader::with_capacity(1 << 17, decoder))
            }
            _ => Box::new(whole),
        };
        Ok(Self { reader, offset: 0 })
    }

    /// Reads until `buffer` is full or the input ends; says how many bytes came.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, CaptureError> {
        let mut held = 0;
        while let Some(rest) = buffer.get_mut(held..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) => break,
                Ok(count) => {
                    held += count;
                    self.offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(CaptureError::Cut { offset: self.offset });
                }
                Err(source) => return Err(CaptureError::Read { offset: self.offset, source }),
            }
        }
        Ok(held)
    }

    /// Fills `buffer`, or says that the record which starts at `record` is cut.
    pub(super) fn fill_whole(&mut self, buffer: &mut [u8], record: u64) -> Result<(), CaptureError> {
        if self.fill(buffer)? < buffer.len() {
            return Err(CaptureError::Cut { offset: record });
        }
        Ok(())
    }

    /// Reads `length` bytes into `buffer`, which is made that long.
    pub(super) fn fill_vec(
        &mut self,
        buffer: &mut Vec<u8>,
        length: usize,
        record: u64,
    ) -> Result<(), CaptureError> {
        buffer.resize(length, 0);
        self.fill_whole(buffer, record)
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
