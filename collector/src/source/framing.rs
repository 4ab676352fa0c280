//! Cuts a stream of syslog into records (RFC 6587): octet counting and newlines, told apart for each record.
//!
//! A record that begins with `LENGTH SP <` or `LENGTH SP {` is counted; any other ends at a line feed. Memory is
//! bounded by [`RECORD_BYTES`] however long a line is: what is longer comes out in numbered parts while it is read,
//! the last with the totals.

use crate::intake::{PART_BYTES, RECORD_BYTES, Totals, cut};
use bytes::{Buf as _, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

/// Most digits of a length: just below a gibibyte.
const MAX_DIGITS: usize = 9;

/// What comes out of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A whole record, without its terminator.
    Whole(Bytes),
    /// A part of a record that is too long; `number` counts from 1.
    Part {
        /// The bytes.
        bytes: Bytes,
        /// Number of the part, from 1.
        number: u64,
        /// With the last part.
        totals: Option<Totals>,
    },
}

/// What of the current record is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing yet.
    Start,
    /// So many bytes are still to come.
    Counted(usize),
    /// It ends at a line feed.
    Line,
}

/// A record that is too long, while it passes.
#[derive(Debug)]
struct Long {
    number: u64,
    length: u64,
    hash: Sha256,
}

/// Cuts one stream.
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    kind: Kind,
    /// Bytes of `buffer` that hold no line feed.
    searched: usize,
    /// The length that the current record announced.
    announced: usize,
    long: Option<Long>,
}

impl Default for Framer {
    fn default() -> Self {
        Self { buffer: BytesMut::new(), kind: Kind::Start, searched: 0, announced: 0, long: None }
    }
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what was read; call [`Framer::next_frame`] until it has nothing before the next read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes held at the moment.
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// The next record or part that is complete.
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            let frame = match self.kind {
                Kind::Start => {
                    self.begin()?;
                    continue;
                }
                Kind::Counted(left) => self.counted(left)?,
                Kind::Line => self.line()?,
            };
            // Empty lines between records say nothing.
            if frame != Frame::Whole(Bytes::new()) {
                return Some(frame);
            }
        }
    }

    /// What is left when the stream ends: a line without its line feed, or a counted record of which less came than
    /// was announced. In both the sender may have wanted to say more.
    pub fn finish(&mut self) -> Option<Frame> {
        let rest = self.buffer.split().freeze();
        if let Kind::Counted(left) = self.kind
            && left > rest.len()
        {
            let came = self.announced.saturating_sub(left - rest.len());
            tracing::warn!(
                announced = self.announced,
                came,
                "a stream ended inside a record that announced its length"
            );
        }
        self.kind = Kind::Start;
        self.searched = 0;
        let frame = self.last(trim(rest));
        (frame != Frame::Whole(Bytes::new())).then_some(frame)
    }

    /// Decides how the next record is delimited; `None` when more bytes are needed for that.
    fn begin(&mut self) -> Option<()> {
        let blank = self.buffer.iter().take_while(|byte| matches!(byte, b'\n' | b'\r' | 0)).count();
        self.buffer.advance(blank);
        let digits = self.buffer.iter().take(MAX_DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
        let leading = *self.buffer.first()?;
        if digits == 0 || digits > MAX_DIGITS || leading == b'0' {
            self.kind = Kind::Line;
            return Some(());
        }
        let (Some(space), Some(first)) = (self.buffer.get(digits), self.buffer.get(digits + 1)) else {
            // A short line of digits alone is a line.
            let undecided = self.buffer.get(digits).is_none_or(|byte| *byte == b' ');
            if undecided {
                return None;
            }
            self.kind = Kind::Line;
            return Some(());
        };
        if *space == b' ' && matches!(first, b'<' | b'{') {
            let text = self.buffer.split_to(digits);
            self.buffer.advance(1);
            let length = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
            self.announced = length;
            if length > RECORD_BYTES {
                tracing::warn!(
                    announced = length,
                    longest = RECORD_BYTES,
                    "a record announces a length that is too long; it is kept in parts"
                );
            }
            self.kind = Kind::Counted(length);
        } else {
            self.kind = Kind::Line;
        }
        Some(())
    }

    fn counted(&mut self, left: usize) -> Option<Frame> {
        if left <= self.buffer.len()
            && (left <= RECORD_BYTES || self.long.is_some())
            && left <= PART_BYTES.max(RECORD_BYTES)
        {
            let rest = self.buffer.split_to(left).freeze();
            self.kind = Kind::Start;
            return Some(self.last(trim(rest)));
        }
        if self.buffer.len() <= RECORD_BYTES {
            return None;
        }
        let bytes = self.buffer.split_to(cut(&self.buffer)).freeze();
        self.kind = Kind::Counted(left.saturating_sub(bytes.len()));
        Some(self.piece(bytes))
    }

    fn line(&mut self) -> Option<Frame> {
        let fresh = self.buffer.get(self.searched..)?;
        if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
            let end = self.searched + at;
            if end <= RECORD_BYTES {
                let rest = self.buffer.split_to(end).freeze();
                self.buffer.advance(1);
                self.kind = Kind::Start;
                self.searched = 0;
                return Some(self.last(trim(rest)));
            }
        } else {
            self.searched = self.buffer.len();
            if self.buffer.len() <= RECORD_BYTES {
                return None;
            }
        }
        let bytes = self.buffer.split_to(cut(&self.buffer)).freeze();
        self.searched = 0;
        Some(self.piece(bytes))
    }

    /// A part in the middle.
    fn piece(&mut self, bytes: Bytes) -> Frame {
        let long = self.long.get_or_insert_with(|| Long { number: 0, length: 0, hash: Sha256::new() });
        long.number += 1;
        long.length += bytes.len() as u64;
        long.hash.update(&bytes);
        Frame::Part { bytes, number: long.number, totals: None }
    }

    /// The end of a record: all of it, or its last part.
    fn last(&mut self, bytes: Bytes) -> Frame {
        let Some(mut long) = self.long.take() else { return Frame::Whole(bytes) };
        long.number += 1;
        long.length += bytes.len() as u64;
        long.hash.update(&bytes);
        let totals =
            Totals { length: long.length, sha256: hex::encode(long.hash.finalize()), parts: long.number };
        Frame::Part { bytes, number: long.number, totals: Some(totals) }
    }
}

/// Without the carriage return or NUL that some senders add.
fn trim(mut bytes: Bytes) -> Bytes {
    let kept = bytes.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n' | 0)).map_or(0, |last| last + 1);
    bytes.truncate(kept);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(input: &[u8], step: usize) -> Vec<Frame> {
        let mut framer = Framer::new();
        let mut out = Vec::new();
        for piece in input.chunks(step.max(1)) {
            framer.push(piece);
            while let Some(frame) = framer.next_frame() {
                out.push(frame);
            }
            assert!(framer.held() <= RECORD_BYTES + piece.len(), "holds {}", framer.held());
        }
        out.extend(framer.finish());
        out
    }

    #[track_caller]
    fn check(input: &str, expected: &[&str]) {
        for step in [1, 2, 7, 4096] {
            let found: Vec<_> = frames(input.as_bytes(), step)
                .into_iter()
                .map(|frame| match frame {
                    Frame::Whole(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                    Frame::Part { .. } => "part".to_owned(),
                })
                .collect();
            assert_eq!(found, expected, "{input:?} by {step}");
        }
    }

    #[test]
    fn framings_are_told_apart() {
        check("<1>a\n<2>b\r\n\n<3>c", &["<1>a", "<2>b", "<3>c"]);
        check("4 <1>a5 <2>bc<3>d\n", &["<1>a", "<2>bc", "<3>d"]);
        check("6 <1>a\nb4 <2>c", &["<1>a\nb", "<2>c"]);
        check(
            "2026-11-23 line\n12 apples\n7\n{\"a\":1}\n",
            &["2026-11-23 line", "12 apples", "7", "{\"a\":1}"],
        );
        check("7 {\"a\":1}8 {\"a\":22}", &["{\"a\":1}", "{\"a\":22}"]);
        check("10 <1>cut", &["<1>cut"]);
        check("<1>a\0\n", &["<1>a"]);
        check("99999999999 <1>\n", &["99999999999 <1>"]);
    }

    #[test]
    fn ten_mebibytes_in_bounded_memory() {
        let line = "<13>".to_owned() + &"ặ".repeat((10 << 20) / 3);
        for input in [format!("{line}\n<1>x\n"), format!("{} {line}5 <1>xy", line.len())] {
            let found = frames(input.as_bytes(), 65_536);
            let mut joined = Vec::new();
            let mut ended = 0;
            for frame in &found {
                if let Frame::Part { bytes, totals, .. } = frame {
                    assert!(std::str::from_utf8(bytes).is_ok());
                    joined.extend_from_slice(bytes);
                    if let Some(totals) = totals {
                        ended += 1;
                        assert_eq!(totals.length, line.len() as u64);
                        assert_eq!(totals.sha256, hex::encode(Sha256::digest(&line)));
                    }
                }
            }
            assert!(joined == line.as_bytes());
            assert_eq!(ended, 1);
            assert!(matches!(found.last(), Some(Frame::Whole(bytes)) if bytes.starts_with(b"<1>x")));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_steps(input in proptest::collection::vec(any::<u8>(), 0..400), step in 1_usize..50) {
            prop_assert_eq!(frames(&input, step), frames(&input, input.len().max(1)));
        }

        #[test]
        fn lines_come_back(lines in proptest::collection::vec("<[0-9]{1,3}>[ -~]{0,40}[!-~]", 0..20), step in 1_usize..30) {
            let input = lines.join("\n") + "\n";
            let found: Vec<_> = frames(input.as_bytes(), step).into_iter().collect();
            let expected: Vec<_> = lines.into_iter().map(|line| Frame::Whole(Bytes::from(line))).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
