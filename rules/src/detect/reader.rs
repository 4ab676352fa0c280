//! Records out of files: JSON lines, a JSON array, or JSON values one after another, also as Elasticsearch exports them
//! (hits with a `_source`, answers with hits); plain, gzip or Zstandard.
//!
//! Streaming: memory holds one record of at most [`MAX_RECORD_BYTES`], at the beginning of a file twice as much. What is
//! not a record is reported with its number and reading goes on.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use dongson_event::Event;

use super::hits;

/// Most bytes of one record.
const MAX_RECORD_BYTES: usize = 16 << 20;

/// Deepest array within arrays in which records are looked for.
const MAX_ARRAYS: i64 = 64;

/// Most lines that are read in order to learn the shape.
const MAX_AHEAD: usize = 64;

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its line, or its place in the array, from 1.
    pub number: u64,
    /// What it holds.
    pub event: Event,
}

/// What stands where a record should stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {number}: {reason}")]
pub struct BadRecord {
    /// Its line, or its place in the array, from 1.
    pub number: u64,
    /// Why it is none.
    pub reason: String,
}

/// Most records of one [`Texts`].
const MAX_TEXTS: usize = 1 << 14;

/// The texts of some records, to be looked at together.
#[derive(Debug, Default)]
pub struct Texts {
    bytes: Vec<u8>,
    /// Of each record its number and where its text ends.
    records: Vec<(u64, usize)>,
    bad: Vec<BadRecord>,
}

impl Texts {
    fn push(&mut self, number: u64, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.records.push((number, self.bytes.len()));
    }

    /// True when there is nothing, also nothing bad.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.bad.is_empty()
    }

    /// The number and the text of each record.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let starts = std::iter::once(0).chain(self.records.iter().map(|(_, end)| *end));
        let texts = starts.zip(&self.records);
        texts.map(|(start, (number, end))| (*number, self.bytes.get(start..*end).unwrap_or_default()))
    }

    /// What stands where records should stand.
    pub fn take_bad(&mut self) -> Vec<BadRecord> {
        std::mem::take(&mut self.bad)
    }
}

/// How records are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Unknown,
    Lines,
    Values,
}

/// The records of one file; an iterator.
pub struct Records {
    input: Box<dyn BufRead + Send>,
    shape: Shape,
    number: u64,
    line: Vec<u8>,
    /// Records out of the last text that are not given yet, the next one last.
    held: Vec<Vec<u8>>,
    /// Lines that were read in order to learn the shape.
    ahead: VecDeque<Vec<u8>>,
    done: bool,
    /// Arrays at the top that are open.
    open: i64,
}

/// Opens a file, `-` for standard input; compression is told by the first bytes.
pub fn open(path: &Path) -> io::Result<Records> {
    if path.as_os_str() == "-" {
        return Records::new(io::stdin());
    }
    Records::new(File::open(path)?)
}

impl Records {
    /// Reads from `input`.
    pub fn new(input: impl Read + Send + 'static) -> io::Result<Self> {
        let mut plain = BufReader::with_capacity(1 << 16, input);
        let magic: Vec<u8> = plain.fill_buf()?.iter().take(4).copied().collect();
        let input: Box<dyn BufRead + Send> = match magic.as_slice() {
            [0x1F, 0x8B, ..] => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(plain))),
            [0x28, 0xB5, 0x2F, 0xFD] => Box::new(BufReader::new(zstd::Decoder::with_buffer(plain)?)),
            _ => Box::new(plain),
        };
        Ok(Self {
            input,
            shape: Shape::Unknown,
            number: 0,
            line: Vec::new(),
            held: Vec::new(),
            ahead: VecDeque::new(),
            done: false,
            open: 0,
        })
    }

    /// Adds the texts of the next records to `texts`, until they are about `bytes` long or the input ends; false when
    /// nothing was left.
    pub fn fill(&mut self, texts: &mut Texts, bytes: usize) -> bool {
        while texts.bytes.len() < bytes && texts.records.len() < MAX_TEXTS {
            match self.step() {
                Some(Ok(number)) => texts.push(number, &self.line),
                Some(Err(bad)) => texts.bad.push(bad),
                None => return !texts.is_empty(),
            }
        }
        true
    }

    /// Reads on to the next record, whose text is then `line`; gives its number.
    fn step(&mut self) -> Option<Result<u64, BadRecord>> {
        loop {
            if let Some(held) = self.held.pop() {
                self.line = held;
                self.number += 1;
                return Some(Ok(self.number));
            }
            let record = self.text()?;
            let Some(found) = record.is_ok().then(|| hits::sources(&self.line)).flatten() else {
                return Some(record);
            };
            self.held = found.into_iter().rev().map(<[u8]>::to_vec).collect();
            // The first has the number of the text itself.
            self.number -= 1;
        }
    }

    /// Reads on to the next text that stands by itself.
    fn text(&mut self) -> Option<Result<u64, BadRecord>> {
        if self.done {
            return None;
        }
        self.read().unwrap_or_else(|error| {
            self.done = true;
            self.number += 1;
            Some(Err(self.bad(&format!("the file cannot be read further: {error}"))))
        })
    }

    fn read(&mut self) -> io::Result<Option<Result<u64, BadRecord>>> {
        if self.shape == Shape::Unknown {
            self.shape = self.learn()?;
        }
        match self.shape {
            Shape::Values => self.value(),
            _ => self.line(),
        }
    }

    /// An array is told by its bracket; values over several lines by a first line that ends too early.
    fn learn(&mut self) -> io::Result<Shape> {
        loop {
            let buffer = self.input.fill_buf()?;
            let blank =
                buffer.iter().take_while(|byte| byte.is_ascii_whitespace() && **byte != b'\n').count();
            match buffer.get(blank) {
                None if buffer.is_empty() => return Ok(Shape::Lines),
                Some(b'[') => {
                    self.number = 0;
                    return Ok(Shape::Values);
                }
                Some(b'{') => break,
                Some(b'\n') => {
                    self.number += 1;
                    self.input.consume(blank + 1);
                }
                Some(0xEF) if buffer.get(blank..blank + 3) == Some(b"\xEF\xBB\xBF") => {
                    self.input.consume(blank + 3);
                }
                Some(_) => return Ok(Shape::Lines),
                None => self.input.consume(blank),
            }
        }
        let shape = self.look_ahead()?;
        if shape == Shape::Values {
            self.number = 0;
        }
        Ok(shape)
    }

    /// Whether the object that begins here goes on beyond its line. A line that was cut does not: it ends inside a
    /// text, which no line break may stand in (RFC 8259, 7), or whole objects follow it, each in its line.
    fn look_ahead(&mut self) -> io::Result<Shape> {
        let (mut objects, mut bytes) = (0, 0);
        while self.ahead.len() < MAX_AHEAD && self.fill_line()? {
            let line = std::mem::take(&mut self.line);
            bytes += line.len();
            let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(&line);
            let is_object = parsed.is_ok() && line.trim_ascii_start().starts_with(b"{");
            let is_blank = line.iter().all(u8::is_ascii_whitespace);
            let is_first = self.ahead.is_empty();
            let is_short = bytes <= MAX_RECORD_BYTES;
            let goes_on = is_short && parsed.is_err_and(|error| error.is_eof()) && !ends_in_text(&line);
            self.ahead.push_back(line);
            if !is_short || (is_first && !goes_on) {
                return Ok(Shape::Lines);
            }
            if is_first || is_blank {
                continue;
            }
            objects += usize::from(is_object);
            if !is_object {
                return Ok(Shape::Values);
            }
            if objects == 2 {
                return Ok(Shape::Lines);
            }
        }
        Ok(if objects > 0 { Shape::Lines } else { Shape::Values })
    }

    /// Reads up to the end of the line; what is beyond the limit is read and thrown away. False at the end.
    fn fill_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        let mut any = false;
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(any);
            }
            any = true;
            let end = memchr::memchr(b'\n', buffer);
            let length = end.unwrap_or(buffer.len());
            let room = (MAX_RECORD_BYTES + 1).saturating_sub(self.line.len());
            self.line.extend(buffer.iter().take(length.min(room)));
            self.input.consume(length + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(true);
            }
        }
    }

    fn line(&mut self) -> io::Result<Option<Result<u64, BadRecord>>> {
        loop {
            if let Some(ahead) = self.ahead.pop_front() {
                self.line = ahead;
            } else if !self.fill_line()? {
                return Ok(None);
            }
            self.number += 1;
            if !self.line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(self.record()));
            }
        }
    }

    /// The next object at the top, or in the array at the top.
    fn value(&mut self) -> io::Result<Option<Result<u64, BadRecord>>> {
        // The lines that were read ahead come first, then the rest of the file.
        if !self.ahead.is_empty() {
            let mut ahead = Vec::new();
            for line in self.ahead.drain(..) {
                ahead.extend_from_slice(&line);
                ahead.push(b'\n');
            }
            let rest = std::mem::replace(&mut self.input, Box::new(io::empty()));
            self.input = Box::new(BufReader::new(io::Cursor::new(ahead).chain(rest)));
        }
        self.line.clear();
        let mut scan = Scan::default();
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                self.done = true;
                let (rest, array) = (scan.begun(), self.open > 0);
                self.number += u64::from(rest || array);
                let within =
                    if rest { "the file ends inside a record" } else { "the file ends inside its array" };
                return Ok((rest || array).then(|| Err(self.bad(within))));
            }
            let (used, finished) = scan.feed(buffer, &mut self.line);
            self.open += std::mem::take(&mut scan.opened);
            self.input.consume(used);
            if self.open > MAX_ARRAYS {
                self.done = true;
                self.number += 1;
                let reason = format!("arrays within arrays, more than {MAX_ARRAYS} deep: no list of records");
                return Ok(Some(Err(self.bad(&reason))));
            }
            match finished {
                Some(true) => {
                    self.number += 1;
                    return Ok(Some(self.record()));
                }
                Some(false) => {
                    self.number += 1;
                    return Ok(Some(Err(self.bad("not a JSON object"))));
                }
                None => {}
            }
        }
    }

    fn record(&self) -> Result<u64, BadRecord> {
        if self.line.len() > MAX_RECORD_BYTES {
            return Err(self.bad(&format!("longer than {MAX_RECORD_BYTES} bytes")));
        }
        Ok(self.number)
    }

    fn bad(&self, reason: &str) -> BadRecord {
        BadRecord { number: self.number, reason: reason.to_owned() }
    }
}

impl Iterator for Records {
    type Item = Result<Record, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.step()?;
        Some(number.and_then(|number| match Event::parse(&self.line) {
            Ok((event, _)) => Ok(Record { number, event }),
            Err(error) => Err(self.bad(&error.to_string())),
        }))
    }
}

/// Finds where one top-level object begins and ends.
#[derive(Debug, Default)]
struct Scan {
    depth: usize,
    in_text: bool,
    escaped: bool,
    /// Inside something at the top that is not an object.
    junk: bool,
    /// Brackets at the top: opened less closed.
    opened: i64,
}

impl Scan {
    fn begun(&self) -> bool {
        self.depth > 0 || self.junk
    }

    /// Takes bytes into `record`. Gives how many, and true after an object, false after something else.
    fn feed(&mut self, bytes: &[u8], record: &mut Vec<u8>) -> (usize, Option<bool>) {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.depth == 0 {
                let between = byte.is_ascii_whitespace() || matches!(byte, b',' | b'[' | b']');
                if byte != b'{' && !between {
                    self.junk = true;
                    continue;
                }
                if self.junk {
                    self.junk = false;
                    return (at, Some(false));
                }
                if between {
                    self.opened += i64::from(byte == b'[') - i64::from(byte == b']');
                    continue;
                }
            }
            if record.len() <= MAX_RECORD_BYTES {
                record.push(byte);
            }
            if self.inside(byte) {
                return (at + 1, Some(true));
            }
        }
        (bytes.len(), None)
    }

    /// One byte of an object; true when it is the last.
    fn inside(&mut self, byte: u8) -> bool {
        if self.in_text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.depth == 0
    }
}

/// Whether a text is open at the end of a line that begins an object.
fn ends_in_text(line: &[u8]) -> bool {
    let mut scan = Scan::default();
    for byte in line {
        scan.inside(*byte);
    }
    scan.in_text
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use proptest::prelude::*;

    /// Numbers of records; those that are none are negative.
    fn numbers(bytes: &[u8]) -> Vec<i64> {
        let records = Records::new(io::Cursor::new(bytes.to_vec())).unwrap();
        records
            .map(|record| {
                record.map_or_else(|bad| -bad.number.cast_signed(), |good| good.number.cast_signed())
            })
            .collect()
    }

    fn check(text: &str, expected: &[i64]) {
        assert_eq!(numbers(text.as_bytes()), expected, "{text}");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        assert_eq!(numbers(&gzip.finish().unwrap()), expected, "gzip {text}");
        assert_eq!(numbers(&zstd::encode_all(text.as_bytes(), 1).unwrap()), expected, "zstd {text}");
    }

    #[test]
    fn shapes() {
        check("{\"a\":1}\n\n{\"a\":2}", &[1, 3]);
        check("\n\n{\"a\":1}\n", &[3]);
        check("{\"a\":1}\nno json\n[1]\n{\"a\":2}\n", &[1, -2, -3, 4]);
        check("no json\n{\"a\":1}\n", &[-1, 2]);
        check("{\"a\":1}\n[{\"a\":2},7,{\"a\":3}]\n{\"a\":4}\n", &[1, 2, -3, 4, 5]);
        check("{\"a\":1}\n[{\"a\":2}\n{\"a\":3}\n", &[1, -2, 3]);
        check("[{\"a\":1},{\"a\":\"}]\\\"\"}]", &[1, 2]);
        check("[\n  {\n \"a\": [1, {}]\n },\n 7,\n {\"a\": 1}\n]\n", &[1, -2, 3]);
        check("{\n  \"a\": 1\n}\n{\n  \"a\": 2\n}\n", &[1, 2]);
        check("{\n  \"a\": 1\n}\n{\n  \"a\": ", &[1, -2]);
        check("\u{feff}{\"a\":1}\n", &[1]);
        check("{\"_id\":\"x\",\"_source\":{\"a\":1}}\n{\"_id\":\"y\",\"_source\":{\"a\":2}}\n", &[1, 2]);
        let answer =
            r#"{"took":1,"hits":{"total":3,"hits":[{"_source":{"a":1}},{"_source":7},{"_source":{"a":2}}]}}"#;
        check(answer, &[1, -2, 3]);
        check(&answer.replace(',', ",\n"), &[1, -2, 3]);
        check(&format!("{answer}\n{{\"took\":1,\"hits\":{{\"hits\":[]}}}}\n{{\"a\":1}}"), &[1, -2, 3, 4]);
        check("", &[]);
    }

    #[test]
    fn a_first_line_that_was_cut_hides_no_other() {
        let good = "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n";
        let deep = "{\"a\":".repeat(200);
        for cut in
            ["{", "{\"a\":\"b", "{\"a\":\"b\\\"", "{\"a\":{\"b\":[1,2,{\"c\":\"d\"", &deep, "{\"a\":1,"]
        {
            check(&format!("{cut}\n{good}"), &[-1, 2, 3, 4]);
            check(&format!("\n{cut}\n\n{{\"a\":1}}"), &[-2, 4]);
        }
        check("{\n \"a\": 1,\n", &[-1]);
        check("{\"a\":\n{\"b\":1}\n}\n{\"a\":2}\n", &[1, 2]);
        check("{\"hits\":{\"hits\":[\n{\"_source\":{\"a\":1}}\n,{\"_source\":{\"a\":2}}\n]}}\n", &[1, 2]);
        let long = format!("{{\"a\":\"{}\"}}\n{good}", "x".repeat(MAX_RECORD_BYTES));
        assert_eq!(numbers(long.as_bytes()), [-1, 2, 3, 4]);
    }

    #[test]
    fn deep_arrays_are_an_error_and_cost_nothing() {
        let deep = "[".repeat(3_000_000);
        for text in [deep.clone(), format!("{deep}{}", "]".repeat(3_000_000)), format!(" \n{deep}")] {
            let told: Vec<_> = Records::new(io::Cursor::new(text.into_bytes())).unwrap().collect();
            let [Err(bad)] = told.as_slice() else { panic!("{told:?}") };
            assert!(bad.reason.contains("more than 64 deep"), "{bad}");
        }
        // Inside a record the reader of JSON says it; a text that does not end is held up to its limit alone.
        assert_eq!(numbers(format!("{{\"a\":1}}\n{deep}\n{{\"a\":2}}\n").as_bytes()), [1, -2, 3]);
        assert_eq!(numbers(format!("[{{\"a\":{deep}").as_bytes()), [-1]);
        assert_eq!(
            numbers(format!("[{{\"a\":1}},{{\"a\":{}}}]", deep + &"]".repeat(3_000_000)).as_bytes()),
            [1, -2]
        );
        assert_eq!(numbers(b"[[{\"a\":1}]]"), [1]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",\\\n :1a".to_vec())], 0..200)) {
            drop(numbers(&bytes));
        }
    }
}
