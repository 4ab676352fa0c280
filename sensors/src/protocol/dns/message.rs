//! A DNS message as bytes mean it (RFC 1035, 6891, 9460), read with patience.
//!
//! In: one datagram or one length-framed TCP message. Out: header, questions and records, as many as could be read; what
//! is cut off or broken ends the reading and is marked, it does not hide what came before. Compression pointers may only
//! go backwards and at most [`MAX_HOPS`] times, so that a name costs bounded time; a message gives at most
//! [`MAX_RECORDS`] records.

use compact_str::CompactString;

use crate::protocol::wire::{Cursor, escape};

use super::data;

/// Records kept of one message, all sections together.
pub(super) const MAX_RECORDS: usize = 512;
/// Compression pointers followed for one name.
const MAX_HOPS: usize = 64;
/// Longest name in wire form (RFC 1035, 2.3.4), with a margin for the sloppy.
const MAX_NAME: usize = 512;
/// Text that one message may become, in bytes; compression could make megabytes of 64 KiB.
const MAX_TEXT: usize = 256 * 1024;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// Name as sent, dots between labels, no final dot.
    pub(super) name: CompactString,
    /// Type code; 0 where the question was cut off behind its name.
    pub(super) kind: u16,
    /// Class code, with the mDNS "unicast response" bit still in.
    pub(super) class: u16,
}

/// One resource record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) name: CompactString,
    pub(super) kind: u16,
    pub(super) class: u16,
    /// Seconds.
    pub(super) ttl: u32,
    /// Printed as zone files do, see [`data::print`].
    pub(super) data: CompactString,
}

/// The OPT pseudo record (RFC 6891).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edns {
    pub(super) udp_bytes: u16,
    pub(super) extended_rcode: u8,
    pub(super) version: u8,
    pub(super) dnssec_ok: bool,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: u16,
    /// The 16 flag bits of the header.
    pub(super) flags: u16,
    /// Counts that the header claims: questions, answers, authorities, additionals.
    pub(super) counts: [u16; 4],
    pub(super) questions: Vec<Question>,
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
    pub(super) additionals: Vec<Record>,
    pub(super) edns: Option<Edns>,
    /// All that the header claims was there and could be read.
    pub(super) complete: bool,
    /// Bytes behind the last record.
    pub(super) trailing_bytes: usize,
}

impl Message {
    /// Reads a message; `None` when not even the header (12 bytes) is there.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut message = Self::head(bytes)?;
        let mut reader = Reader::new(bytes, 12);
        message.complete = message.sections(&mut reader).is_some();
        message.trailing_bytes = bytes.len().saturating_sub(reader.at);
        Some(message)
    }

    /// Reads the header alone.
    pub(super) fn head(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let (id, flags) = (cursor.u16()?, cursor.u16()?);
        let counts = [cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?];
        Some(Self {
            id,
            flags,
            counts,
            questions: Vec::new(),
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
            edns: None,
            complete: false,
            trailing_bytes: 0,
        })
    }

    fn sections(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let [questions, answers, authorities, additionals] = self.counts;
        for _ in 0..usize::from(questions).min(MAX_RECORDS) {
            let name = reader.name()?;
            let codes = reader.u16().zip(reader.u16());
            let (kind, class) = codes.unwrap_or((0, 1));
            self.questions.push(Question { name, kind, class });
            codes?;
        }
        reader.records(answers, &mut self.answers, &mut self.edns)?;
        reader.records(authorities, &mut self.authorities, &mut self.edns)?;
        reader.records(additionals, &mut self.additionals, &mut self.edns)
    }

    pub(super) fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    pub(super) fn opcode(&self) -> u16 {
        (self.flags >> 11) & 0xf
    }

    /// Response code with the upper bits of EDNS.
    pub(super) fn rcode(&self) -> u16 {
        let upper = self.edns.map_or(0, |edns| u16::from(edns.extended_rcode));
        (upper << 4) | (self.flags & 0xf)
    }
}

/// A position in a message, with the whole message at hand for compression pointers.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    message: &'a [u8],
    at: usize,
    /// Bytes of text made so far.
    text_bytes: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8], at: usize) -> Self {
        Self { message, at, text_bytes: 0 }
    }

    /// What lies behind this place.
    pub(super) fn rest(&self) -> Option<Cursor<'a>> {
        self.cursor()
    }

    fn cursor(&self) -> Option<Cursor<'a>> {
        self.message.get(self.at..).map(Cursor::new)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        let value = self.cursor()?.u16()?;
        self.at += 2;
        Some(value)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let value = self.cursor()?.u32()?;
        self.at += 4;
        Some(value)
    }

    /// A name at this place; labels of other kinds than plain ones and pointers are refused.
    pub(super) fn name(&mut self) -> Option<CompactString> {
        let mut name = CompactString::default();
        let (mut at, mut hops, mut length) = (self.at, 0, 0);
        let mut after = None;
        loop {
            let lead = usize::from(*self.message.get(at)?);
            match lead {
                0 => break,
                1..=0x3f => {
                    let label = self.message.get(at + 1..at + 1 + lead)?;
                    push_label(&mut name, label);
                    at += 1 + lead;
                    length += 1 + lead;
                }
                0xc0.. => {
                    let target = ((lead & 0x3f) << 8) | usize::from(*self.message.get(at + 1)?);
                    after = after.or(Some(at + 2));
                    hops += 1;
                    if target >= at || hops > MAX_HOPS {
                        return None;
                    }
                    at = target;
                }
                _ => return None,
            }
            if length > MAX_NAME {
                return None;
            }
        }
        self.at = after.unwrap_or(at + 1);
        Some(name)
    }

    fn records(&mut self, count: u16, out: &mut Vec<Record>, edns: &mut Option<Edns>) -> Option<()> {
        for _ in 0..usize::from(count).min(MAX_RECORDS) {
            let name = self.name()?;
            let (kind, class, ttl) = (self.u16()?, self.u16()?, self.u32()?);
            let length = usize::from(self.u16()?);
            let start = self.at;
            let whole = self.message.get(start..start + length).is_some();
            let end = if whole { start + length } else { self.message.len() };
            self.at = end;
            if kind == 41 {
                let [extended_rcode, version, flags, _] = ttl.to_be_bytes();
                let dnssec_ok = flags & 0x80 != 0;
                *edns = Some(Edns { udp_bytes: class, extended_rcode, version, dnssec_ok });
            } else {
                let data = data::print(self.message, start, end, kind);
                out.push(Record { name, kind, class, ttl, data });
            }
            self.text_bytes += out.last().map_or(0, |record| record.name.len() + record.data.len());
            if !whole || self.text_bytes > MAX_TEXT {
                return None;
            }
        }
        Some(())
    }
}

/// Appends a label; dots, backslashes and control signs inside it are written `\xNN`.
fn push_label(name: &mut CompactString, label: &[u8]) {
    if !name.is_empty() {
        name.push('.');
    }
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'.' | b'\\');
    if label.iter().all(is_plain) {
        return name.push_str(std::str::from_utf8(label).unwrap_or_default());
    }
    let mut text = String::with_capacity(label.len() * 2);
    for chunk in label.utf8_chunks() {
        for sign in chunk.valid().chars() {
            if sign.is_control() || matches!(sign, '.' | '\\') {
                escape(&mut text, sign.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                text.push(sign);
            }
        }
        escape(&mut text, chunk.invalid());
    }
    name.push_str(&text);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Header, the question `www.example.vn A`, and `answers` behind it (names may point at offset 12).
    pub(in crate::protocol::dns) fn reply(answers: &[&[u8]]) -> Vec<u8> {
        let mut bytes =
            vec![0x12, 0x34, 0x81, 0x80, 0, 1, 0, u8::try_from(answers.len()).unwrap(), 0, 0, 0, 0];
        bytes.extend_from_slice(b"\x03www\x07example\x02vn\x00\x00\x01\x00\x01");
        bytes.extend(answers.concat());
        bytes
    }

    #[test]
    fn reads_a_reply() {
        let cname = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x06\x03cdn\xc0\x10";
        let address = b"\xc0\x2c\x00\x01\x00\x01\x00\x00\x00\x1e\x00\x04\xcb\x00\x71\x07";
        let message = Message::parse(&reply(&[cname, address])).unwrap();
        assert!(message.complete && message.is_response());
        assert_eq!(message.questions[0].name, "www.example.vn");
        assert_eq!(message.answers[0].data, "cdn.example.vn");
        assert_eq!(
            message.answers[1],
            Record { name: "cdn.example.vn".into(), kind: 1, class: 1, ttl: 30, data: "203.0.113.7".into() }
        );
    }

    #[test]
    fn loops_and_cuts_end_the_reading() {
        let looping = b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01";
        assert!(!Message::parse(looping).unwrap().complete);
        let whole = reply(&[b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x1e\x00\x04\xcb\x00\x71\x07"]);
        let cut = Message::parse(&whole[..whole.len() - 6]).unwrap();
        assert_eq!((cut.complete, cut.questions.len()), (false, 1));
    }

    #[test]
    fn hostile_labels_are_escaped() {
        let mut name = CompactString::default();
        push_label(&mut name, b"a.b\\\x00\xff");
        push_label(&mut name, "máy in".as_bytes());
        assert_eq!(name, "a\\x2eb\\x5c\\x00\\xff.máy in");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            drop(Message::parse(&bytes));
        }

        #[test]
        fn any_tail_is_read(tail: Vec<u8>, count in 0..9_u8) {
            let mut bytes = reply(&[]);
            bytes[7] = count;
            bytes.extend(tail);
            drop(Message::parse(&bytes));
        }
    }
}
