//! Header lists of HTTP/2 (HPACK, RFC 7541).
//!
//! In: header blocks of one direction, in order. Out: names and values. The dynamic table is kept as the encoder keeps it, at
//! most [`MAX_TABLE`] bytes. Behind a hole, or where the reading began in mid-stream, what was entered before is not known:
//! fields that refer to it are left out and counted, and those entered since are found again, as indexes count from the newest.

use std::collections::VecDeque;

use super::huffman;

/// Largest dynamic table kept; a larger one is cut, and its oldest entries are not known.
const MAX_TABLE: usize = 64 * 1024;
/// What an entry counts beside its bytes (RFC 7541, 4.1).
const ENTRY: usize = 32;
/// Bytes of names and values of one block; what is longer is refused, as it unpacks out of few bytes.
pub(super) const MAX_LIST: usize = 32 * 1024;

/// Why a block cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It ends inside a field.
    Cut,
    /// An index that nothing stands at.
    Index,
    /// A number or string that is none.
    Broken,
    /// More than [`MAX_LIST`] bytes.
    TooLong,
}

/// Names and values of a block.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct List {
    pub(super) fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// Fields that refer to what was not seen.
    pub(super) unknown: u32,
}

type Entry = (Vec<u8>, Vec<u8>);

/// The decoder of one direction.
#[derive(Debug)]
pub(super) struct Decoder {
    /// The newest first.
    entries: VecDeque<Entry>,
    size: usize,
    limit: usize,
    /// Entries may be missing at the old end.
    lost: bool,
}

impl Decoder {
    /// A decoder at the beginning of a connection, or somewhere in it.
    pub(super) fn new(lost: bool) -> Self {
        Self { entries: VecDeque::new(), size: 0, limit: 4096, lost }
    }

    /// A block was missed.
    pub(super) fn lose(&mut self) {
        *self = Self { limit: self.limit, ..Self::new(true) };
    }

    /// Reads a whole block; after an error the table counts as lost.
    pub(super) fn decode(&mut self, block: &[u8]) -> Result<List, Fault> {
        let read = self.read(block);
        if read.is_err() {
            self.lose();
        }
        read
    }

    fn read(&mut self, mut rest: &[u8]) -> Result<List, Fault> {
        let mut list = List::default();
        let mut room = MAX_LIST;
        while let Some(&first) = rest.first() {
            let (prefix, enter) = match first {
                0x80.. => (7, false),
                0x40.. => (6, true),
                0x20.. => {
                    let size = number(&mut rest, 5)?;
                    self.resize(size);
                    continue;
                }
                _ => (4, false),
            };
            let index = number(&mut rest, prefix)?;
            let field = if first >= 0x80 {
                self.at(index)?
            } else {
                let name =
                    if index == 0 { Some(string(&mut rest)?) } else { self.at(index)?.map(|(name, _)| name) };
                let value = string(&mut rest)?;
                if enter {
                    // The place is taken even where the name is not known.
                    self.enter((name.clone().unwrap_or_default(), value.clone()));
                }
                name.map(|name| (name, value))
            };
            let Some(field) = field.filter(|(name, _)| !name.is_empty()) else {
                list.unknown += 1;
                continue;
            };
            room = room.checked_sub(field.0.len() + field.1.len() + ENTRY).ok_or(Fault::TooLong)?;
            list.fields.push(field);
        }
        Ok(list)
    }

    /// The entry at an index; `None` where it may be one that was not seen.
    fn at(&self, index: usize) -> Result<Option<Entry>, Fault> {
        let Some(at) = index.checked_sub(1) else { return Err(Fault::Index) };
        if let Some((name, value)) = STATIC.get(at) {
            return Ok(Some((name.as_bytes().to_vec(), value.as_bytes().to_vec())));
        }
        match self.entries.get(at - STATIC.len()) {
            Some(entry) => Ok(Some(entry.clone())),
            None if self.lost => Ok(None),
            None => Err(Fault::Index),
        }
    }

    fn enter(&mut self, entry: Entry) {
        self.size += cost(&entry);
        self.entries.push_front(entry);
        self.evict();
    }

    fn resize(&mut self, size: usize) {
        self.lost |= size > MAX_TABLE;
        self.limit = size.min(MAX_TABLE);
        self.evict();
    }

    fn evict(&mut self) {
        while self.size > self.limit {
            let Some(oldest) = self.entries.pop_back() else { return };
            self.size -= cost(&oldest);
        }
    }
}

fn cost(entry: &Entry) -> usize {
    entry.0.len() + entry.1.len() + ENTRY
}

/// An integer whose first byte has `bits` bits of it (5.1).
fn number(rest: &mut &[u8], bits: u8) -> Result<usize, Fault> {
    let (first, mut tail) = rest.split_first().ok_or(Fault::Cut)?;
    let mask = (1_u8 << bits) - 1;
    let mut value = usize::from(first & mask);
    if first & mask == mask {
        for shift in (0..).step_by(7) {
            let (byte, next) = tail.split_first().ok_or(Fault::Cut)?;
            tail = next;
            // Nothing in a block needs more than 28 bits.
            if shift > 21 {
                return Err(Fault::Broken);
            }
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *rest = tail;
    Ok(value)
}

/// A string (5.2).
fn string(rest: &mut &[u8]) -> Result<Vec<u8>, Fault> {
    let packed = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = number(rest, 7)?;
    let (bytes, tail) = rest.split_at_checked(length).ok_or(Fault::Cut)?;
    *rest = tail;
    if packed { huffman::decode(bytes, MAX_LIST).ok_or(Fault::Broken) } else { Ok(bytes.to_vec()) }
}

/// The static table (Appendix A), from index 1.
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
    ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""),
    ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
    ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""),
    ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(list: &List) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        list.fields.iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect()
    }

    #[track_caller]
    fn check(decoder: &mut Decoder, block: &str, expected: &[&str]) {
        let list = decoder.decode(&hex::decode(block).unwrap()).unwrap();
        assert_eq!(shown(&list), expected);
    }

    #[test]
    fn requests_of_the_rfc() {
        // RFC 7541, C.4: Huffman code, a table that grows.
        let mut decoder = Decoder::new(false);
        let first = [":method=GET", ":scheme=http", ":path=/", ":authority=www.example.com"];
        check(&mut decoder, "828684418cf1e3c2e5f23a6ba0ab90f4ff", &first);
        let second = [&first[..], &["cache-control=no-cache"]].concat();
        check(&mut decoder, "828684be5886a8eb10649cbf", &second);
        let third =
            [":method=GET", ":scheme=https", ":path=/index.html", first[3], "custom-key=custom-value"];
        check(&mut decoder, "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", &third);
        assert_eq!(decoder.size, 164);
    }

    #[test]
    fn entries_leave_a_small_table() {
        let mut decoder = Decoder::new(false);
        // The table is made 64 bytes long; each entry takes 36, so that only the newest stays.
        check(
            &mut decoder,
            "3f2140 02 6161 02 6262 40 02 6363 02 6464".replace(' ', "").as_str(),
            &["aa=bb", "cc=dd"],
        );
        check(&mut decoder, "be", &["cc=dd"]);
        assert_eq!(decoder.decode(&[0xbf]), Err(Fault::Index));
    }

    #[test]
    fn what_was_not_seen_is_left_out() {
        let mut decoder = Decoder::new(true);
        let list = decoder.decode(&hex::decode("82c5400261610262627f010162").unwrap()).unwrap();
        assert_eq!((shown(&list), list.unknown), (vec![":method=GET".to_owned(), "aa=bb".to_owned()], 2));
        // What was entered since is found, although older entries are not known.
        check(&mut decoder, "bf", &["aa=bb"]);
        decoder.lose();
        assert_eq!(decoder.decode(&[0xbf]).unwrap().unknown, 1);
    }

    #[test]
    fn broken_blocks() {
        for (block, fault) in [
            (&[0x80][..], Fault::Index),
            (&[0xff, 0x80], Fault::Cut),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], Fault::Broken),
            (&[0x40, 0x05, b'a'], Fault::Cut),
            (&[0x40, 0x81, 0x00, 0x00], Fault::Broken),
        ] {
            assert_eq!(Decoder::new(false).decode(block), Err(fault), "{block:?}");
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let mut decoder = Decoder::new(false);
        let mut block = vec![0x40, 1, b'a', 0x7f, 0xa1, 0x1e];
        block.extend([b'x'; 4000]);
        assert!(decoder.decode(&block).is_ok());
        assert_eq!(decoder.decode(&[0xbe; 1000]), Err(Fault::TooLong));
    }

    proptest! {
        #[test]
        fn any_blocks_are_read(blocks: Vec<Vec<u8>>, lost: bool) {
            let mut decoder = Decoder::new(lost);
            for block in blocks {
                drop(decoder.decode(&block));
                prop_assert!(decoder.size <= MAX_TABLE);
            }
        }
    }
}
