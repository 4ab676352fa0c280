//! RELP, the reliable syslog of rsyslog: a frame is answered after the bus has its record.
//!
//! `TXNR SP COMMAND SP LENGTH [SP DATA] LF`; commands `open`, `syslog`, `close`. A client that lost an answer opens a
//! new session and sends again, first, what was not answered. So within the first [`WINDOW`] records of a session a
//! record that this peer has sent before, byte for byte, is that record: it is answered and not stored twice. After
//! them it is another record that happens to be equal, and is stored. Records that are equal within a session are told
//! apart by counting them. The bus keeps the tokens, so this holds over a crash of the collector too.

use super::{Hall, accept};
use crate::intake::Origin;
use crate::publish::{Item, Landed, PublishError};
use bytes::{Buf as _, Bytes, BytesMut};
use dongson_bus::Position;
use dongson_event::identity;
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Frames a client may have unanswered; librelp's own default is 128.
pub const WINDOW: u64 = 1_024;
/// Distinct records of a session that are remembered for counting.
const REMEMBERED: usize = 16_384;
/// Records published side by side.
const BATCH: usize = 128;

/// Why a stream is not RELP; the connection is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The header is not `TXNR COMMAND LENGTH`.
    #[error("the frame has no header of number, command and length")]
    Header,
    /// The frame is longer than allowed.
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    /// No line feed after the data.
    #[error("the frame does not end with a line feed")]
    Trailer,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Transaction number.
    pub number: u64,
    /// `open`, `syslog`, `close`, ...
    pub command: String,
    /// What it carries.
    pub data: Bytes,
}

/// Takes one frame from the front of `buffer`; `None` when more bytes are needed.
pub fn frame(buffer: &mut BytesMut, longest: usize) -> Result<Option<Frame>, FrameError> {
    let blank = buffer.iter().take_while(|byte| **byte == b'\n').count();
    buffer.advance(blank);
    // 9 digits, 32 letters, 9 digits and three separators.
    let head = buffer.get(..buffer.len().min(64)).unwrap_or_default();
    let mut ends = head.iter().enumerate().filter(|(_, byte)| matches!(byte, b' ' | b'\n')).map(|(at, _)| at);
    let (Some(first), Some(second), Some(third)) = (ends.next(), ends.next(), ends.next()) else {
        return if head.len() == 64 || head.contains(&b'\n') { Err(FrameError::Header) } else { Ok(None) };
    };
    let text = |from: usize, to: usize| head.get(from..to).and_then(|word| std::str::from_utf8(word).ok());
    let digits = |word: &str| word.len() <= 9 && word.bytes().all(|byte| byte.is_ascii_digit());
    let number = text(0, first).filter(|word| digits(word)).and_then(|word| word.parse().ok());
    let command = text(first + 1, second).filter(|word| !word.is_empty() && word.len() <= 32);
    let length =
        text(second + 1, third).filter(|word| digits(word)).and_then(|word| word.parse::<usize>().ok());
    let (Some(number), Some(command), Some(length)) = (number, command, length) else {
        return Err(FrameError::Header);
    };
    if length > 0 && buffer.get(third) == Some(&b'\n') {
        return Err(FrameError::Header);
    }
    if length > longest {
        return Err(FrameError::TooLong(length));
    }
    // With no data the separator itself may be the trailer, or a space before it.
    let start = if buffer.get(third) == Some(&b' ') { third + 1 } else { third };
    let Some(trailer) = buffer.get(start + length) else { return Ok(None) };
    if *trailer != b'\n' {
        return Err(FrameError::Trailer);
    }
    let command = command.to_owned();
    buffer.advance(start);
    let data = buffer.split_to(length).freeze();
    buffer.advance(1);
    Ok(Some(Frame { number, command, data }))
}

/// Accepts connections until shutdown.
pub(crate) async fn serve(hall: Hall, listener: TcpListener) {
    let one = |socket, peer: SocketAddr| {
        let hall = hall.clone();
        async move {
            if let Err(error) = session(&hall, socket, peer.ip()).await {
                tracing::debug!(%error, %peer, "a RELP session broke");
            }
        }
    };
    accept::connections(&hall, listener, one).await;
}

/// Why a session broke.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
}

async fn session(hall: &Hall, mut socket: TcpStream, peer: IpAddr) -> Result<(), SessionError> {
    let mut memory = Memory::default();
    let mut buffer = BytesMut::new();
    loop {
        let mut frames = Vec::new();
        let mut broken = None;
        while frames.len() < BATCH {
            match frame(&mut buffer, hall.limits.relp_frame_bytes) {
                Ok(Some(next)) => frames.push(next),
                Ok(None) => break,
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
        if !frames.is_empty() {
            let origin = Arc::new(hall.directory.peer(peer, "relp", None));
            if !answer(hall, &mut socket, &origin, frames, &mut memory).await? {
                return Ok(());
            }
        }
        if let Some(error) = broken {
            hall.publisher.tally().reject(1);
            socket.write_all(b"0 serverclose 0\n").await?;
            return Err(error.into());
        }
        let read = tokio::select! {
            () = hall.shutdown.cancelled() => 0,
            read = tokio::time::timeout(hall.limits.idle(), socket.read_buf(&mut buffer)) => read.unwrap_or(Ok(0))?,
        };
        if read == 0 {
            // What stands in the buffer is no whole frame: it was not answered and will be sent again.
            return Ok(socket.write_all(b"0 serverclose 0\n").await?);
        }
    }
}

/// Answers frames in order; false when the session ends.
async fn answer(
    hall: &Hall,
    socket: &mut TcpStream,
    origin: &Arc<Origin>,
    frames: Vec<Frame>,
    memory: &mut Memory,
) -> std::io::Result<bool> {
    let mut replies = String::new();
    let records: Vec<Bytes> =
        frames.iter().filter(|frame| frame.command == "syslog").map(|frame| frame.data.clone()).collect();
    let outcomes = store(hall, origin, records, memory).await;
    let mut outcomes = outcomes.into_iter();
    for frame in frames {
        let number = frame.number;
        match frame.command.as_str() {
            "open" => replies += &open(number, &frame.data),
            "syslog" if outcomes.next() == Some(true) => replies += &reply(number, "200 OK"),
            "syslog" => {
                // The bus does not take it now: answer what was stored, then close; the client comes again.
                socket.write_all(replies.as_bytes()).await?;
                socket.write_all(b"0 serverclose 0\n").await?;
                return Ok(false);
            }
            "close" => {
                replies += &reply(number, "");
                replies += "0 serverclose 0\n";
                socket.write_all(replies.as_bytes()).await?;
                return Ok(false);
            }
            _ => replies += &reply(number, "500 command not supported"),
        }
    }
    socket.write_all(replies.as_bytes()).await?;
    Ok(true)
}

/// Stores records side by side, each once; true for each that the bus has.
async fn store(hall: &Hall, origin: &Arc<Origin>, records: Vec<Bytes>, memory: &mut Memory) -> Vec<bool> {
    let before = memory.newest.clone();
    let mut work = Vec::with_capacity(records.len());
    for raw in records {
        let replay = memory.records < WINDOW;
        let (digest, ordinal) = memory.count(&raw);
        work.push((raw, digest, ordinal, replay));
    }
    let tasks = work.iter().map(|(raw, digest, ordinal, replay)| {
        store_one(hall, origin, raw, digest, *ordinal, if *replay { None } else { Some(&before) })
    });
    let outcomes = futures::future::join_all(tasks).await;
    outcomes
        .into_iter()
        .map(|outcome| match outcome {
            Ok(landed) => {
                memory.newest.note(&landed);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "a RELP record is not stored");
                false
            }
        })
        .collect()
}

/// Stores one record under its token. With `newest`, a token that is known already belongs to an older, equal record:
/// then the next number is tried.
async fn store_one(
    hall: &Hall,
    origin: &Arc<Origin>,
    raw: &Bytes,
    digest: &str,
    ordinal: u64,
    newest: Option<&Newest>,
) -> Result<Landed, PublishError> {
    let principal = &origin.principal.id;
    let mut ordinal = ordinal;
    loop {
        let token = format!("relp/{principal}/{digest}/{ordinal}");
        let id = identity::of_client(principal, &token, 0);
        let item = Item { raw: raw.clone(), id };
        let landed = hall.publisher.publish(origin, vec![item], Some(&token)).await?;
        if !newest.is_some_and(|newest| newest.precedes(&landed)) {
            return Ok(landed);
        }
        ordinal = ordinal.saturating_add(1);
    }
}

/// The highest positions that a session has reached: what lands at or before them was stored earlier.
#[derive(Debug, Clone, Default)]
struct Newest {
    events: HashMap<u32, u64>,
    unparsed: HashMap<u32, u64>,
}

impl Newest {
    fn note(&mut self, landed: &Landed) {
        for (held, found) in [(&mut self.events, &landed.events), (&mut self.unparsed, &landed.unparsed)] {
            for Position { partition, offset } in found {
                let newest = held.entry(*partition).or_insert(*offset);
                *newest = (*newest).max(*offset);
            }
        }
    }

    fn precedes(&self, landed: &Landed) -> bool {
        let old = |held: &HashMap<u32, u64>, found: &[Position]| {
            found.iter().any(|at| held.get(&at.partition).is_some_and(|newest| at.offset <= *newest))
        };
        old(&self.events, &landed.events) || old(&self.unparsed, &landed.unparsed)
    }
}

fn reply(number: u64, text: &str) -> String {
    if text.is_empty() {
        format!("{number} rsp 0\n")
    } else {
        format!("{number} rsp {} {text}\n", text.len())
    }
}

/// Answers the offers of an `open`: version 0 and the command `syslog` are ours.
fn open(number: u64, offers: &[u8]) -> String {
    let offers = String::from_utf8_lossy(offers);
    let commands = offers.lines().find_map(|line| line.strip_prefix("commands=")).unwrap_or_default();
    if !commands.split(',').any(|command| command.trim() == "syslog") {
        return reply(number, "500 the command syslog was not offered");
    }
    reply(number, "200 OK\nrelp_version=0\nrelp_software=dongson\ncommands=syslog\n")
}

/// What a session remembers of its records, to tell equal ones apart.
#[derive(Debug, Default)]
struct Memory {
    seen: HashMap<String, u64>,
    order: VecDeque<String>,
    records: u64,
    newest: Newest,
}

impl Memory {
    /// The digest of the next record, and how many equal ones this session has sent, it included.
    fn count(&mut self, raw: &[u8]) -> (String, u64) {
        self.records += 1;
        let digest = hex::encode(Sha256::digest(raw));
        let count = self.seen.entry(digest.clone()).or_insert(0);
        *count += 1;
        let ordinal = *count;
        if ordinal == 1 {
            self.order.push_back(digest.clone());
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        (digest, ordinal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(input: &str, expected: Result<Option<(u64, &str, &str)>, FrameError>) {
        let mut buffer = BytesMut::from(input.as_bytes());
        let found = frame(&mut buffer, 1_000);
        let expected = expected.map(|frame| {
            frame.map(|(number, command, data)| Frame {
                number,
                command: command.to_owned(),
                data: Bytes::copy_from_slice(data.as_bytes()),
            })
        });
        assert_eq!(found, expected, "{input:?}");
    }

    #[test]
    fn frames() {
        check("1 syslog 5 hello\n", Ok(Some((1, "syslog", "hello"))));
        check("2 close 0\n", Ok(Some((2, "close", ""))));
        check("2 close 0 \n", Ok(Some((2, "close", ""))));
        check("3 syslog 3 a\nb\n4 x", Ok(Some((3, "syslog", "a\nb"))));
        check("1 syslog 5 hel", Ok(None));
        check("1 sys", Ok(None));
        check("1 syslog 5000 x", Err(FrameError::TooLong(5_000)));
        check("1 syslog 2 abc\n", Err(FrameError::Trailer));
        check("x syslog 2 ab\n", Err(FrameError::Header));
        check("GET / HTTP/1.1\r\n", Err(FrameError::Header));
    }

    proptest! {
        #[test]
        fn any_bytes(input: Vec<u8>) {
            drop(frame(&mut BytesMut::from(input.as_slice()), 1_000));
        }

        #[test]
        fn round_trip(number in 0_u64..999_999_999, data in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut buffer = BytesMut::from(format!("{number} syslog {}", data.len()).as_bytes());
            if !data.is_empty() {
                buffer.extend_from_slice(b" ");
                buffer.extend_from_slice(&data);
            }
            buffer.extend_from_slice(b"\n");
            let found = frame(&mut buffer, 1_000).unwrap().unwrap();
            prop_assert_eq!((found.number, found.data.as_ref()), (number, data.as_slice()));
            prop_assert!(buffer.is_empty());
        }
    }
}
