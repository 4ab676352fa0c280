//! Records out of a stream (RFC 6587, 3.4): octet counting and line feeds, told apart for each record.
//!
//! A record that begins with `LENGTH SP <` is counted, any other ends at a line feed. Of a record longer than
//! [`MAX_RECORD_BYTES`] the beginning is kept and the rest is counted, in bounded memory however long it is.

use dongson_event::relay::MAX_RECORD_BYTES;

/// Most digits of a length.
const MAX_DIGITS: usize = 9;

/// A record out of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Framed {
    /// The record without its end.
    pub(super) raw: Vec<u8>,
    /// Bytes of it that were left out.
    pub(super) missing: u64,
    /// How many bytes of the stream lie up to its end, since the start.
    pub(super) end: u64,
}

/// Whether lengths may stand before records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Line feeds alone: files.
    Lines,
    /// Both: streams of syslog.
    Syslog,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Not decided.
    Start,
    /// So many bytes are to come.
    Counted(usize),
    /// Up to a line feed.
    Line,
}

/// Cuts one stream.
#[derive(Debug)]
pub(super) struct Framer {
    framing: Framing,
    kind: Kind,
    /// What came of the record.
    record: Vec<u8>,
    missing: u64,
    /// Bytes of the stream that were taken in.
    at: u64,
}

impl Framer {
    /// At the start of a stream whose first byte counts as the byte `at`.
    pub(super) fn new(framing: Framing, at: u64) -> Self {
        Self { framing, kind: Kind::Start, record: Vec::new(), missing: 0, at }
    }

    /// Takes what was read and gives the records that end in it to `emit`.
    pub(super) fn push(&mut self, mut bytes: &[u8], emit: &mut dyn FnMut(Framed)) {
        while !bytes.is_empty() {
            let taken = match self.kind {
                Kind::Start => self.begin(bytes),
                Kind::Counted(left) => self.counted(bytes, left, emit),
                Kind::Line => self.line(bytes, emit),
            };
            self.at += taken as u64;
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    /// The record that has not ended when the stream does.
    pub(super) fn finish(&mut self) -> Option<Framed> {
        self.close(self.at)
    }

    /// Decides what the record is, one byte at a time: the digits of a length are short. What is no length stays the
    /// beginning of a line.
    fn begin(&mut self, bytes: &[u8]) -> usize {
        let Some(byte) = bytes.first() else { return 0 };
        match (self.record.as_slice(), byte) {
            ([], b'\n' | b'\r' | 0) => return 1,
            ([], b'1'..=b'9') if self.framing == Framing::Syslog => {}
            ([b'0'..=b'9', ..], b'0'..=b'9') if self.record.len() < MAX_DIGITS && self.is_digits() => {}
            ([b'0'..=b'9', ..], b' ') if self.is_digits() => {}
            ([digits @ .., b' '], b'<') => {
                let length = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
                if let Some(length) = length {
                    self.record.clear();
                    self.kind = Kind::Counted(length);
                    return 0;
                }
                self.kind = Kind::Line;
                return 0;
            }
            _ => {
                self.kind = Kind::Line;
                return 0;
            }
        }
        self.record.push(*byte);
        1
    }

    fn is_digits(&self) -> bool {
        self.record.iter().all(u8::is_ascii_digit)
    }

    fn counted(&mut self, bytes: &[u8], left: usize, emit: &mut dyn FnMut(Framed)) -> usize {
        let taken = left.min(bytes.len());
        self.keep(bytes.get(..taken).unwrap_or_default());
        self.kind = Kind::Counted(left - taken);
        if taken == left
            && let Some(framed) = self.close(self.at + taken as u64)
        {
            emit(framed);
        }
        taken
    }

    fn line(&mut self, bytes: &[u8], emit: &mut dyn FnMut(Framed)) -> usize {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.keep(bytes);
            return bytes.len();
        };
        self.keep(bytes.get(..end).unwrap_or_default());
        if let Some(framed) = self.close(self.at + end as u64 + 1) {
            emit(framed);
        }
        end + 1
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_RECORD_BYTES.saturating_sub(self.record.len());
        let (kept, rest) = bytes.split_at(room.min(bytes.len()));
        self.record.extend_from_slice(kept);
        self.missing += rest.len() as u64;
    }

    /// The end of a record, without the carriage return or NUL that some senders add; an empty one is none.
    fn close(&mut self, end: u64) -> Option<Framed> {
        self.kind = Kind::Start;
        let (mut raw, missing) = (std::mem::take(&mut self.record), std::mem::take(&mut self.missing));
        let kept = raw.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n' | 0)).map_or(0, |last| last + 1);
        raw.truncate(kept);
        (kept > 0 || missing > 0).then_some(Framed { raw, missing, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(framing: Framing, input: &[u8], step: usize) -> Vec<Framed> {
        let (mut framer, mut out) = (Framer::new(framing, 0), Vec::new());
        for piece in input.chunks(step.max(1)) {
            framer.push(piece, &mut |framed| out.push(framed));
            assert!(framer.record.len() <= MAX_RECORD_BYTES);
        }
        out.extend(framer.finish());
        out
    }

    #[track_caller]
    fn check(framing: Framing, input: &str, expected: &[&str]) {
        for step in [1, 2, 7, 4096] {
            let found = frames(framing, input.as_bytes(), step);
            let found: Vec<_> =
                found.iter().map(|framed| std::str::from_utf8(&framed.raw).unwrap()).collect();
            assert_eq!(found, expected, "{input:?} by {step}");
        }
    }

    #[test]
    fn framings_are_told_apart() {
        check(Framing::Syslog, "<1>a\n<2>b\r\n\n<3>c", &["<1>a", "<2>b", "<3>c"]);
        check(Framing::Syslog, "4 <1>a5 <2>bc<3>d\n", &["<1>a", "<2>bc", "<3>d"]);
        check(Framing::Syslog, "6 <1>a\nb4 <2>c", &["<1>a\nb", "<2>c"]);
        check(Framing::Syslog, "2026-11-23 line\n12 apples\n7\n", &["2026-11-23 line", "12 apples", "7"]);
        check(Framing::Syslog, "99999999999 <1>\n", &["99999999999 <1>"]);
        check(Framing::Syslog, "10 <1>cut", &["<1>cut"]);
        check(Framing::Syslog, "<1>a\0\n", &["<1>a"]);
        check(Framing::Lines, "4 <1>a\n{\"a\":1}\n\n12", &["4 <1>a", "{\"a\":1}", "12"]);
    }

    #[test]
    fn ends_are_places_in_the_stream() {
        let found = frames(Framing::Lines, b"ab\n\ncd\r\ne", 2);
        assert_eq!(found.iter().map(|framed| framed.end).collect::<Vec<_>>(), [3, 8, 9]);
    }

    #[test]
    fn a_long_record_is_cut_and_the_rest_counted() {
        let long = "<1>".to_owned() + &"x".repeat(3 * MAX_RECORD_BYTES);
        for input in [format!("{long}\n<2>y\n"), format!("{} {long}4 <2>y", long.len())] {
            let found = frames(Framing::Syslog, input.as_bytes(), 65_536);
            assert_eq!(found.len(), 2);
            assert_eq!(found[0].raw.len(), MAX_RECORD_BYTES);
            assert_eq!(found[0].missing, (long.len() - MAX_RECORD_BYTES) as u64);
            assert_eq!((found[1].raw.as_slice(), found[1].missing), (&b"<2>y"[..], 0));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_steps(input in prop::collection::vec(any::<u8>(), 0..400), step in 1_usize..50) {
            for framing in [Framing::Lines, Framing::Syslog] {
                prop_assert_eq!(frames(framing, &input, step), frames(framing, &input, input.len()));
            }
        }

        #[test]
        fn lines_come_back(lines in prop::collection::vec("<[0-9]{1,3}>[ -~]{0,40}[!-~]", 0..20), step in 1_usize..30) {
            let input = lines.join("\n") + "\n";
            let found: Vec<_> = frames(Framing::Syslog, input.as_bytes(), step).into_iter().map(|framed| framed.raw).collect();
            let expected: Vec<_> = lines.into_iter().map(String::into_bytes).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
