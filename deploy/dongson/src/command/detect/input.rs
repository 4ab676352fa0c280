//! What is to be read: files, folders and standard input, told apart by their first bytes, as jobs for the threads.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::{Context as _, Result, anyhow, bail};
use dongson_event::Event;
use dongson_rules::detect::{Job, Records, Texts, Work};
use encoding_rs_io::DecodeReaderBytes;

/// Deepest folder below a given one that is read.
const MAX_FOLDER_DEPTH: usize = 32;
/// About how many bytes of JSON text one thread takes at once.
const JOB_BYTES: usize = 256 << 10;
/// Events of a capture that one thread takes at once.
const JOB_EVENTS: usize = 1_024;
/// First bytes that are looked at.
const HEAD_BYTES: u64 = 256;
/// First bytes of pcap (both byte orders, micro and nanoseconds) and pcapng.
const CAPTURES: [[u8; 4]; 5] = [
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x0a, 0x0d, 0x0d, 0x0a],
];

/// Sizes of the parts of an EVTX file.
const EVTX_HEADER_BYTES: u64 = 4_096;
const EVTX_CHUNK_BYTES: u64 = 65_536;
/// Said of an EVTX file that is shorter than its header.
const CUT_HEADER: &str = "the EVTX file is cut: it ends inside its header";

/// Said of a file that only its name calls EVTX.
const NOT_EVTX: &str =
    "is named .evtx, but is no EVTX file: it does not begin with `ElfFile`, and it is no JSON either";

/// True for `*.evtx`, also packed.
fn is_named_evtx(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    Path::new(name).extension().is_some_and(|end| end == "evtx")
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Evtx,
    Capture,
    Empty,
    Unknown,
}

/// The files to read, in order, and those of folders that are none of ours.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    files: Vec<PathBuf>,
    /// Why each was left out.
    pub(super) skipped: Vec<String>,
    /// Folders and files of folders that cannot be read.
    pub(super) unreadable: Vec<String>,
}

impl Inputs {
    /// Folders are walked in the order of names; in them only what is known by its first bytes is taken.
    pub(super) fn find(paths: &[PathBuf]) -> Self {
        let mut inputs = Self::default();
        for path in paths {
            if path.is_dir() {
                inputs.folder(path, 0);
            } else {
                inputs.files.push(path.clone());
            }
        }
        inputs
    }

    /// How many files there are to read.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    fn folder(&mut self, path: &Path, depth: usize) {
        let children = fs::read_dir(path).and_then(|entries| {
            let mut paths: Vec<PathBuf> =
                entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
            paths.sort();
            Ok(paths)
        });
        let children = match children {
            Ok(children) => children,
            Err(error) => return self.unreadable.push(format!("{}: {error}", path.display())),
        };
        for child in children {
            let skip = |reason: &str| format!("{}: skipped: {reason}", child.display());
            if child.is_dir() && child.is_symlink() {
                // It could lead round in a circle.
                self.skipped.push(skip("a link to a folder"));
            } else if child.is_dir() && depth >= MAX_FOLDER_DEPTH {
                self.unreadable
                    .push(format!("{}: more than {MAX_FOLDER_DEPTH} folders deep", child.display()));
            } else if child.is_dir() {
                self.folder(&child, depth + 1);
            } else if !child.is_file() {
                self.skipped.push(skip("not a file"));
            } else {
                match File::open(&child).and_then(|file| unpacked(Box::new(file))) {
                    Ok((Kind::Unknown, _)) if is_named_evtx(&child) => {
                        self.unreadable.push(format!("{}: {NOT_EVTX}", child.display()));
                    }
                    Ok((Kind::Unknown, _)) => {
                        self.skipped.push(skip("neither JSON, EVTX nor a packet capture"));
                    }
                    Ok((Kind::Empty, _)) => self.skipped.push(skip("empty")),
                    Ok(_) => self.files.push(child),
                    Err(error) => self.unreadable.push(format!("{}: {error}", child.display())),
                }
            }
        }
    }

    /// The jobs of all files, made while they are asked for.
    pub(super) fn jobs(self) -> Jobs {
        Jobs { files: self.files.into_iter(), file: Arc::from(""), first: false, part: None }
    }
}

type Stream = Box<dyn Read + Send>;

/// What a stream holds behind gzip or Zstandard, and the stream from its first (unpacked) byte.
fn unpacked(stream: Stream) -> io::Result<(Kind, Stream)> {
    let (head, stream) = peek(stream)?;
    let (head, stream) = if head.starts_with(&[0x1f, 0x8b]) {
        peek(Box::new(flate2::read::MultiGzDecoder::new(stream)))?
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        peek(Box::new(zstd::Decoder::new(stream)?))?
    } else {
        (head, stream)
    };
    // PowerShell writes UTF-16 with a byte order mark.
    let (head, stream) = if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        peek(Box::new(DecodeReaderBytes::new(stream)))?
    } else {
        (head, stream)
    };
    Ok((kind(&head), stream))
}

fn peek(mut stream: Stream) -> io::Result<(Vec<u8>, Stream)> {
    let mut head = Vec::new();
    let failed = stream.by_ref().take(HEAD_BYTES).read_to_end(&mut head).err();
    // A packed stream that is cut early still has a beginning; what is wrong is said behind it.
    let rest: Stream = match failed {
        Some(error) if head.is_empty() => return Err(error),
        Some(error) => Box::new(Broken(Some(error))),
        None => stream,
    };
    Ok((head.clone(), Box::new(io::Cursor::new(head).chain(rest))))
}

/// Fails once, then is at its end.
struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

fn kind(head: &[u8]) -> Kind {
    if head.starts_with(b"ElfFile\0") {
        return Kind::Evtx;
    }
    if CAPTURES.iter().any(|magic| head.starts_with(magic)) {
        return Kind::Capture;
    }
    let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    match text.first() {
        None if head.is_empty() => Kind::Empty,
        // Without a sign there are only blank lines so far.
        Some(b'{' | b'[') | None => Kind::Json,
        Some(_) => Kind::Unknown,
    }
}

/// The file that is being read.
enum Part {
    Records(Records),
    Evtx(Evtx),
    Events(Receiver<Batch>),
}

/// An EVTX file that is being read.
struct Evtx {
    chunks: evtx::IntoIterChunks<File>,
    settings: Arc<evtx::ParserSettings>,
    /// What is wrong with the file as a whole; told after its chunks.
    problem: Option<String>,
}

type Batch = Vec<Result<Event, String>>;

/// Jobs of one file after another.
pub(super) struct Jobs {
    files: std::vec::IntoIter<PathBuf>,
    file: Arc<str>,
    /// The file has given no job yet.
    first: bool,
    part: Option<Part>,
}

impl Iterator for Jobs {
    type Item = Job;

    fn next(&mut self) -> Option<Job> {
        loop {
            if let Some(part) = &mut self.part {
                match more(part) {
                    Some(work) => return Some(self.job(work)),
                    None => self.part = None,
                }
            }
            let path = self.files.next()?;
            self.file = Arc::from(path.display().to_string());
            self.first = true;
            match open(&path) {
                Ok(part) => self.part = Some(part),
                Err(error) => return Some(self.job(Work::Unreadable(format!("{error:#}")))),
            }
        }
    }
}

impl Jobs {
    fn job(&mut self, work: Work) -> Job {
        Job { file: Arc::clone(&self.file), first: std::mem::take(&mut self.first), work }
    }
}

fn open(path: &Path) -> Result<Part> {
    let standard = path.as_os_str() == "-";
    let stream: Stream = if standard { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let (kind, mut stream) = unpacked(stream)?;
    if kind == Kind::Unknown && is_named_evtx(path) {
        bail!(NOT_EVTX);
    }
    Ok(match kind {
        Kind::Evtx => evtx_part(spool(&mut stream)?)?,
        Kind::Capture if standard => {
            let mut file = tempfile::NamedTempFile::new().context("a temporary file")?;
            io::copy(&mut stream, &mut file)?;
            let kept = file.into_temp_path();
            capture_part(kept.to_path_buf(), Some(kept))
        }
        Kind::Capture => capture_part(path.to_owned(), None),
        Kind::Empty if !standard => bail!("the file is empty"),
        Kind::Json | Kind::Empty | Kind::Unknown => Part::Records(Records::new(stream)?),
    })
}

/// A stream as a file in which one can go back; it has no name and is gone when it is closed.
fn spool(stream: &mut Stream) -> Result<File> {
    let mut file = tempfile::tempfile().context("a temporary file")?;
    io::copy(stream, &mut file)?;
    file.rewind()?;
    Ok(file)
}

/// Chunks have places and checksums of their own, so they are read behind a damaged header too; but that is said.
fn evtx_part(mut file: File) -> Result<Part> {
    let header = evtx::EvtxFileHeader::from_stream(&mut file).map_err(|_| anyhow!(CUT_HEADER))?;
    let size = file.metadata()?.len();
    file.rewind()?;
    let parser = evtx::EvtxParser::from_read_seek(file)
        .map_err(|error| anyhow!("the header of the EVTX file is damaged: {error}"))?;
    Ok(Part::Evtx(Evtx {
        chunks: parser.into_chunks(),
        settings: Arc::new(evtx::ParserSettings::default().indent(false)),
        problem: evtx_problem(&header, size).map(str::to_owned),
    }))
}

/// What is wrong with an EVTX file of `size` bytes as a whole, by its header.
fn evtx_problem(header: &evtx::EvtxFileHeader, size: u64) -> Option<&'static str> {
    let chunks = size.saturating_sub(EVTX_HEADER_BYTES);
    if !header.validate_checksum() {
        Some("the header of the EVTX file is damaged; what could be found behind it was read")
    } else if chunks == 0 {
        Some("the EVTX file ends after its header: there are no records in it")
    } else if !chunks.is_multiple_of(EVTX_CHUNK_BYTES) {
        Some("the EVTX file is cut: it ends inside a chunk, whose records are missing")
    } else {
        None
    }
}

/// Packets are put together in a thread of their own; `kept` lives as long as they are read.
fn capture_part(path: PathBuf, kept: Option<tempfile::TempPath>) -> Part {
    let (sender, receiver) = sync_channel::<Batch>(4);
    thread::spawn(move || {
        let mut batch = Batch::new();
        let mut push = |event: Result<Event, String>, last: bool| {
            batch.push(event);
            if last || batch.len() >= JOB_EVENTS {
                // Nobody listens when the output is closed.
                let _closed = sender.send(std::mem::take(&mut batch)).is_err();
            }
        };
        let outcome = dongson_sensor::read_file(&path, &dongson_sensor::Options::default(), &mut |event| {
            push(Ok(event), false);
        });
        match outcome {
            Ok(summary) => {
                if let Some(warning) = summary.warning {
                    push(Err(warning.to_string()), true);
                }
            }
            Err(error) => push(Err(error.source.to_string()), true),
        }
        if !batch.is_empty() {
            let _closed = sender.send(batch).is_err();
        }
        drop(kept);
    });
    Part::Events(receiver)
}

/// The next job of a file.
fn more(part: &mut Part) -> Option<Work> {
    match part {
        Part::Records(records) => {
            let mut texts = Texts::default();
            records.fill(&mut texts, JOB_BYTES).then_some(Work::Texts(texts))
        }
        Part::Events(batches) => {
            let batch = batches.recv().ok()?;
            Some(Work::Events(Box::new(move |emit| batch.into_iter().for_each(emit))))
        }
        Part::Evtx(file) => {
            let Some(chunk) = file.chunks.next() else { return file.problem.take().map(Work::Unreadable) };
            let settings = Arc::clone(&file.settings);
            Some(Work::Events(Box::new(move |emit| evtx_chunk(chunk, &settings, emit))))
        }
    }
}

fn evtx_chunk(
    chunk: Result<evtx::EvtxChunkData, evtx::err::EvtxError>,
    settings: &Arc<evtx::ParserSettings>,
    emit: &mut dyn FnMut(Result<Event, String>),
) {
    let mut chunk = match chunk {
        Ok(chunk) => chunk,
        Err(error) => return emit(Err(error.to_string())),
    };
    let mut parsed = match chunk.parse(Arc::clone(settings)) {
        Ok(parsed) => parsed,
        Err(error) => return emit(Err(error.to_string())),
    };
    // Of a damaged chunk every record may say the same; the first speaks for all.
    let (mut first, mut more) = (None, 0);
    for record in parsed.iter() {
        let text = record.and_then(evtx::EvtxRecord::into_json).map_err(|error| error.to_string());
        let event = text.and_then(|text| {
            let event = Event::parse(text.data.as_bytes()).map_err(|error| error.to_string())?;
            Ok(event.0)
        });
        match event {
            Ok(event) => emit(Ok(event)),
            Err(reason) if first.is_none() => first = Some(reason),
            Err(_) => more += 1,
        }
    }
    match first {
        Some(reason) if more > 0 => emit(Err(format!("{reason} (and {more} more records of this chunk)"))),
        Some(reason) => emit(Err(reason)),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_first_bytes() {
        for (head, expected) in [
            (&b"{\"a\":1}"[..], Kind::Json),
            (b"\xEF\xBB\xBF\n [", Kind::Json),
            (b"\n\n", Kind::Json),
            (b"", Kind::Empty),
            (b"ElfFile\0\0", Kind::Evtx),
            (&[0x0a, 0x0d, 0x0d, 0x0a, 1], Kind::Capture),
            (b"title: T", Kind::Unknown),
            (b"PK\x03\x04", Kind::Unknown),
        ] {
            assert_eq!(kind(head), expected, "{head:?}");
        }
        let packed = zstd::encode_all(&b"[{}]"[..], 1).unwrap();
        let (kind, mut stream) = unpacked(Box::new(io::Cursor::new(packed))).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!((kind, text.as_str()), (Kind::Json, "[{}]"));
        for (mark, bytes) in
            [([0xff, 0xfe], u16::to_le_bytes as fn(u16) -> [u8; 2]), ([0xfe, 0xff], u16::to_be_bytes)]
        {
            let units = "{\"ạ\":1}".encode_utf16().flat_map(bytes);
            let wide: Vec<u8> = mark.into_iter().chain(units).collect();
            let (kind, mut stream) = unpacked(Box::new(io::Cursor::new(wide))).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert_eq!((kind, text.as_str()), (Kind::Json, "{\"ạ\":1}"));
        }
    }

    #[test]
    fn the_beginning_of_a_cut_stream_is_read() {
        use std::io::Write as _;
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(b"{\"a\":1}\n{\"a\":2}\n").unwrap();
        packer.flush().unwrap();
        let cut = packer.get_ref().clone();
        let (kind, mut stream) = unpacked(Box::new(io::Cursor::new(cut))).unwrap();
        let mut text = Vec::new();
        let error = stream.read_to_end(&mut text).unwrap_err();
        assert_eq!((kind, error.kind()), (Kind::Json, io::ErrorKind::UnexpectedEof));
        assert_eq!(text, b"{\"a\":1}\n{\"a\":2}\n");
    }

    /// A header as Windows writes it, with its checksum.
    fn header() -> Vec<u8> {
        let mut bytes = vec![0; 4_096];
        bytes[..8].copy_from_slice(b"ElfFile\0");
        bytes[32..36].copy_from_slice(&128_u32.to_le_bytes());
        bytes[36..40].copy_from_slice(&[1, 0, 3, 0]);
        bytes[40..42].copy_from_slice(&4_096_u16.to_le_bytes());
        bytes[42..44].copy_from_slice(&1_u16.to_le_bytes());
        let mut sum = flate2::Crc::new();
        sum.update(&bytes[..120]);
        bytes[124..128].copy_from_slice(&sum.sum().to_le_bytes());
        bytes
    }

    /// What is said of an EVTX file as a whole.
    fn told(bytes: &[u8]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.evtx");
        fs::write(&path, bytes).unwrap();
        let jobs = Inputs::find(&[path]).jobs();
        let problems = jobs.filter_map(|job| match job.work {
            Work::Unreadable(reason) => Some(reason),
            _ => None,
        });
        problems.last()
    }

    #[test]
    fn a_file_that_only_its_name_calls_evtx_gives_one_error() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in [("a.evtx", &b"garbage\nmore\nlines\n"[..]), ("c.EVTX", b"\x00\x01")] {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            let works: Vec<Work> = Inputs::find(&[path]).jobs().map(|job| job.work).collect();
            assert!(
                matches!(works.as_slice(), [Work::Unreadable(reason)] if reason.contains("no EVTX file")),
                "{name}"
            );
        }
        let inputs = Inputs::find(&[folder.path().to_owned()]);
        assert_eq!((inputs.len(), inputs.unreadable.len(), inputs.skipped.len()), (0, 2, 0));
    }

    #[test]
    fn an_evtx_file_that_is_not_whole_is_said_to_be_so() {
        let chunk = vec![0; 65_536];
        assert_eq!(told(&[header(), chunk.clone()].concat()), None);
        for (place, value) in [(24, 7), (40, 1), (124, 1)] {
            let mut broken = [header(), chunk.clone()].concat();
            broken[place] ^= value;
            assert!(told(&broken).is_some_and(|words| words.contains("damaged")), "{place}");
        }
        let mut lost = b"ElfFile\0".to_vec();
        lost.resize(4_096, 0);
        assert!(told(&lost).is_some_and(|words| words.contains("damaged")));
        assert!(told(&header()).is_some_and(|words| words.contains("no records")));
        assert!(told(&[header(), vec![0; 70_000]].concat()).is_some_and(|words| words.contains("cut")));
        assert!(told(&header()[..200]).is_some_and(|words| words.contains("inside its header")));
        assert_eq!(told(b"").as_deref(), Some("the file is empty"));
    }
}
