//! JSON text as a flat row of fields, without a tree: names, and where in the text their values stand.
//!
//! Only what is plain is read here: objects in objects, lists of scalars, escapes. Whatever [`Event::parse`] would have
//! to mend, join or refuse (repeated names, objects in lists, lone surrogates, text that is not JSON) is left to it:
//! [`Tape::read`] says so, and the answer is the same, only slower. A property test compares the two.
//!
//! [`Event::parse`]: dongson_event::Event::parse

use dongson_event::{MAX_FIELDS, MAX_NAME_BYTES};
use wide::u8x16;

use super::arena::Scalar;
use super::names::{NameId, Names};
use super::record::Record;
use super::sieve::Sieve;

/// Deepest nesting of objects that is read here.
const MAX_DEPTH: usize = 32;
/// Fields whose memory is kept for the next event.
const KEEP: usize = 1 << 14;

/// Where a value stands, and how it is to be read.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start: u32,
    end: u32,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    /// Text without escapes.
    Text,
    /// Text with escapes.
    Escaped,
    /// A whole number of at most 18 digits, or a truth value: its text is its value.
    Plain,
    /// Any other number.
    Number,
}

#[derive(Debug, Clone, Copy)]
struct Leaf {
    name_start: u32,
    name_end: u32,
    /// The name stands in `joined`, not in the text.
    nested: bool,
    list: bool,
    first: u32,
    count: u32,
}

/// The fields of the text that was read last.
#[derive(Debug, Default)]
pub(super) struct Tape {
    leaves: Vec<Leaf>,
    pieces: Vec<Piece>,
    /// Names of nested fields.
    joined: String,
    path: String,
    /// Lengths of `path` outside of the objects that are open.
    outer: Vec<usize>,
    /// A sign is written by its number.
    numbered: bool,
}

/// The text is not plain, or not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotPlain;

impl Tape {
    /// Reads `text` and puts the number of each field's name into `ids`.
    pub(super) fn read(&mut self, text: &str, names: &Names, ids: &mut Vec<NameId>) -> Result<(), NotPlain> {
        self.leaves.clear();
        self.leaves.shrink_to(KEEP);
        self.pieces.clear();
        self.pieces.shrink_to(KEEP);
        self.joined.clear();
        self.path.clear();
        self.outer.clear();
        ids.clear();
        let mut cursor = Cursor { text, bytes: text.as_bytes(), at: 0, numbered: false };
        cursor.blank();
        cursor.expect(b'{')?;
        self.object(&mut cursor, names, ids)?;
        cursor.blank();
        self.numbered = cursor.numbered;
        if cursor.at == cursor.bytes.len() { Ok(()) } else { Err(NotPlain) }
    }

    /// Reads entries up to the end of the outermost object, whose brace is already read.
    fn object(
        &mut self,
        cursor: &mut Cursor<'_>,
        names: &Names,
        ids: &mut Vec<NameId>,
    ) -> Result<(), NotPlain> {
        cursor.blank();
        if cursor.take(b'}') {
            return Ok(());
        }
        loop {
            cursor.expect(b'"')?;
            let (start, end) = cursor.plain_string()?;
            if start == end || self.leaves.len() >= MAX_FIELDS {
                return Err(NotPlain);
            }
            cursor.blank();
            cursor.expect(b':')?;
            cursor.blank();
            if cursor.take(b'{') {
                if self.open(cursor, cursor.slice(start, end)) {
                    continue;
                }
                if self.outer.len() > MAX_DEPTH {
                    return Err(NotPlain);
                }
                // An object without entries is a null under its own name.
                self.close();
                self.leaf(cursor, (start, end), names, ids)?;
                self.add(Piece { start: 0, end: 0, kind: Kind::Null });
            } else {
                self.leaf(cursor, (start, end), names, ids)?;
                self.value(cursor)?;
            }
            if self.ends(cursor)? {
                return Ok(());
            }
        }
    }

    /// Opens a nested object; false where it ends at once.
    fn open(&mut self, cursor: &mut Cursor<'_>, key: &str) -> bool {
        self.outer.push(self.path.len());
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(key);
        cursor.blank();
        !cursor.take(b'}') && self.outer.len() <= MAX_DEPTH
    }

    fn close(&mut self) {
        if let Some(length) = self.outer.pop() {
            self.path.truncate(length);
        }
    }

    /// After a value: on to the next entry, out of nested objects; true at the end of the outermost.
    fn ends(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, NotPlain> {
        loop {
            cursor.blank();
            if cursor.take(b',') {
                cursor.blank();
                return Ok(false);
            }
            cursor.expect(b'}')?;
            if self.outer.is_empty() {
                return Ok(true);
            }
            self.close();
        }
    }

    /// Begins a field of the current object.
    fn leaf(
        &mut self,
        cursor: &Cursor<'_>,
        (start, end): (usize, usize),
        names: &Names,
        ids: &mut Vec<NameId>,
    ) -> Result<(), NotPlain> {
        let key = cursor.slice(start, end);
        let first = small(self.pieces.len());
        let nested = !self.path.is_empty();
        let (name_start, name_end) = if nested {
            let from = self.joined.len();
            self.joined.push_str(&self.path);
            self.joined.push('.');
            self.joined.push_str(key);
            ids.push(names.find(self.joined.get(from..).unwrap_or_default()));
            (from, self.joined.len())
        } else {
            ids.push(names.find(key));
            (start, end)
        };
        if name_end - name_start > MAX_NAME_BYTES {
            return Err(NotPlain);
        }
        let (name_start, name_end) = (small(name_start), small(name_end));
        self.leaves.push(Leaf { name_start, name_end, nested, list: false, first, count: 0 });
        Ok(())
    }

    fn add(&mut self, piece: Piece) {
        self.pieces.push(piece);
        if let Some(leaf) = self.leaves.last_mut() {
            leaf.count += 1;
        }
    }

    fn value(&mut self, cursor: &mut Cursor<'_>) -> Result<(), NotPlain> {
        if !cursor.take(b'[') {
            let piece = cursor.scalar()?;
            self.add(piece);
            return Ok(());
        }
        if let Some(leaf) = self.leaves.last_mut() {
            leaf.list = true;
        }
        cursor.blank();
        if cursor.take(b']') {
            return Ok(());
        }
        loop {
            let piece = cursor.scalar()?;
            self.add(piece);
            cursor.blank();
            if cursor.take(b']') {
                return Ok(());
            }
            cursor.expect(b',')?;
            cursor.blank();
        }
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A place in the text.
struct Cursor<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// A sign was written by its number.
    numbered: bool,
}

impl<'t> Cursor<'t> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), NotPlain> {
        if self.take(byte) { Ok(()) } else { Err(NotPlain) }
    }

    #[inline]
    fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn slice(&self, start: usize, end: usize) -> &'t str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// A string without escapes whose opening quote is read: its begin and end.
    #[inline]
    fn plain_string(&mut self) -> Result<(usize, usize), NotPlain> {
        let start = self.at;
        let escaped = self.string()?;
        if escaped { Err(NotPlain) } else { Ok((start, self.at - 1)) }
    }

    /// Goes behind the closing quote; true where there were escapes. Control characters stand for themselves.
    #[inline]
    fn string(&mut self) -> Result<bool, NotPlain> {
        let mut escaped = false;
        while let Some(chunk) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<16>) {
            let block = u8x16::new(*chunk);
            let special = block.simd_eq(u8x16::splat(b'"')) | block.simd_eq(u8x16::splat(b'\\'));
            let mut mask = special.to_bitmask();
            let mut next = self.at + 16;
            while mask != 0 {
                let place = self.at + mask.trailing_zeros() as usize;
                if self.bytes.get(place) == Some(&b'"') {
                    self.at = place + 1;
                    return Ok(escaped);
                }
                escaped = true;
                let behind = place + self.escape(place)?;
                if behind >= self.at + 16 {
                    next = behind;
                    break;
                }
                mask &= u32::MAX << (behind - self.at);
            }
            self.at = next;
        }
        self.string_end(escaped)
    }

    /// The last bytes of the text, one after the other.
    fn string_end(&mut self, mut escaped: bool) -> Result<bool, NotPlain> {
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += self.escape(self.at)?;
                }
                Some(_) => self.at += 1,
                None => return Err(NotPlain),
            }
        }
    }

    /// Length of the escape at `place`.
    #[inline]
    fn escape(&mut self, place: usize) -> Result<usize, NotPlain> {
        match self.bytes.get(place + 1) {
            Some(b'\\' | b'"' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
            Some(b'u') => {
                let digits = self.bytes.get(place + 2..place + 6).ok_or(NotPlain)?;
                self.numbered = true;
                // Surrogates are left to whoever knows how to mend them.
                let surrogate = matches!(digits, [b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..]);
                let good = digits.iter().all(u8::is_ascii_hexdigit) && !surrogate;
                if good { Ok(6) } else { Err(NotPlain) }
            }
            _ => Err(NotPlain),
        }
    }

    fn scalar(&mut self) -> Result<Piece, NotPlain> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                let kind = if self.string()? { Kind::Escaped } else { Kind::Text };
                Ok(Piece { start: small(start + 1), end: small(self.at - 1), kind })
            }
            Some(b'-' | b'0'..=b'9') => self.number(start),
            Some(b't') => self.word(b"true", Kind::Plain),
            Some(b'f') => self.word(b"false", Kind::Plain),
            Some(b'n') => self.word(b"null", Kind::Null),
            _ => Err(NotPlain),
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<Piece, NotPlain> {
        let start = self.at;
        if !self.bytes.get(start..).unwrap_or_default().starts_with(word) {
            return Err(NotPlain);
        }
        self.at += word.len();
        Ok(Piece { start: small(start), end: small(self.at), kind })
    }

    /// A number by the grammar of RFC 8259, section 6.
    fn number(&mut self, start: usize) -> Result<Piece, NotPlain> {
        let negative = self.take(b'-');
        let zero = self.take(b'0');
        let digits = usize::from(zero) + if zero { 0 } else { self.digits()? };
        let mut kind = if digits > 18 || (zero && negative) { Kind::Number } else { Kind::Plain };
        if self.take(b'.') {
            self.digits()?;
            kind = Kind::Number;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
            kind = Kind::Number;
        }
        Ok(Piece { start: small(start), end: small(self.at), kind })
    }

    /// At least one digit; how many.
    fn digits(&mut self) -> Result<usize, NotPlain> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at > start { Ok(self.at - start) } else { Err(NotPlain) }
    }
}

/// A tape together with the text that it was read from.
pub(super) struct Read<'t> {
    pub(super) tape: &'t Tape,
    pub(super) text: &'t str,
}

impl Record for Read<'_> {
    fn name(&self, leaf: usize) -> &str {
        let Some(leaf) = self.tape.leaves.get(leaf) else { return "" };
        let from = if leaf.nested { self.tape.joined.as_str() } else { self.text };
        from.get(leaf.name_start as usize..leaf.name_end as usize).unwrap_or_default()
    }

    fn may_hold(&self, sieve: &Sieve) -> bool {
        self.tape.numbered || !self.text.is_ascii() || sieve.may_hold(self.text.as_bytes())
    }

    fn is_list(&self, leaf: usize) -> bool {
        self.tape.leaves.get(leaf).is_some_and(|leaf| leaf.list)
    }

    fn scalars(&self, leaf: usize, scratch: &mut String, take: &mut dyn FnMut(Scalar<'_>)) {
        let Some(leaf) = self.tape.leaves.get(leaf) else { return };
        let pieces = self.tape.pieces.get(leaf.first as usize..(leaf.first + leaf.count) as usize);
        for piece in pieces.unwrap_or_default() {
            let text = self.text.get(piece.start as usize..piece.end as usize).unwrap_or_default();
            match piece.kind {
                Kind::Null => take(Scalar::Null),
                Kind::Text => take(Scalar::Text(text)),
                Kind::Plain => take(Scalar::Other(text)),
                Kind::Escaped => take(Scalar::Escaped(text)),
                Kind::Number => number(text, scratch, take),
            }
        }
    }
}

/// As the event would print it.
fn number(text: &str, scratch: &mut String, take: &mut dyn FnMut(Scalar<'_>)) {
    let whole = !text.contains(['.', 'e', 'E']) && text != "-0";
    if whole && text.parse::<i64>().is_ok() {
        take(Scalar::Other(text));
    } else if whole && text.parse::<u64>().is_ok() {
        take(Scalar::Text(text));
    } else {
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => {
                scratch.clear();
                scratch.push_str(&number.to_string());
                take(Scalar::Other(scratch));
            }
            _ => take(Scalar::Text(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::arena::unescape;
    use super::super::record::{Fields, Spare};
    use super::*;
    use crate::taxonomy::Mode;
    use dongson_event::Event;
    use proptest::prelude::*;

    /// Names and scalars, sorted; `None` where it is not plain.
    fn tape(text: &str) -> Option<Vec<String>> {
        let names = Names::new(["a".to_owned()], Mode::Auto);
        let (mut tape, mut ids) = (Tape::default(), Vec::new());
        tape.read(text, &names, &mut ids).ok()?;
        assert_eq!(ids.len(), tape.leaves.len());
        let record = Read { tape: &tape, text };
        let mut all: Vec<String> = (0..ids.len()).map(|leaf| show(&record, leaf)).collect();
        all.sort();
        all.windows(2).all(|two| two[0].split('=').next() != two[1].split('=').next()).then_some(all)
    }

    #[expect(clippy::format_push_string, reason = "a test")]
    fn show(record: &impl Record, leaf: usize) -> String {
        let mut text = format!("{}={}", record.name(leaf), record.is_list(leaf));
        record.scalars(leaf, &mut String::new(), &mut |scalar| match scalar {
            Scalar::Escaped(escaped) => {
                let mut plain = String::new();
                unescape(escaped, &mut plain);
                text.push_str(&format!(" {:?}", Scalar::Text(&plain)));
            }
            other => text.push_str(&format!(" {other:?}")),
        });
        text
    }

    fn event(text: &str) -> Option<Vec<String>> {
        let (event, _) = Event::parse(text.as_bytes()).ok()?;
        let fields = Fields::new(&event, &mut Spare::default());
        let mut all: Vec<String> = (0..event.len()).map(|leaf| show(&fields, leaf)).collect();
        all.sort();
        Some(all)
    }

    #[test]
    fn plain_texts_are_read() {
        for text in [
            r#" {"a" : 1 , "b":{"c":"x\\y","d":{}},"e":[],"f":[1,"z",null,true]} "#,
            r#"{"a":-0,"b":1.50,"c":1e3,"d":12345678901234567890,"e":1234567890123456789012345,"f":1e999}"#,
            "{\"a\":\"tab\there, \\u0041\\n\\\"quoted\\\" and much longer than sixteen bytes\"}",
            "{}",
        ] {
            assert_eq!(tape(text), event(text), "{text}");
            assert!(tape(text).is_some(), "{text}");
        }
        for text in [
            "",
            "[]",
            "{\"a\":1,}",
            "{\"a\":01}",
            "{\"a\":\"\\x\"}",
            "{\"a\":[{\"b\":1}]}",
            "{\"a\":1}x",
            "{\"a\":nul}",
            "{\"\":1}",
        ] {
            assert_eq!(tape(text), None, "{text}");
        }
        assert_eq!(tape(&"{\"a\":".repeat(5_000)), None);
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_the_event_holds(text in r#"\{("(a|b|c\.d|\\u0062|\\ud834)": ?(1|-?[0-9]{1,3}(\.[0-9])?(e[0-9]{1,3})?|"([a\\"nu0-9 đ]|\\\\|\\n|\\u00e9|\\ud834|\\udd1e){0,20}"|\{\}|\{"[a-c]":(2|\{"x":null\})\}|\[(1|"x"|\{"a":1\}|\[2\])?(,null)?\]|true|fals) ?[,]?){0,4}\}"#) {
            if let Some(given) = tape(&text) {
                prop_assert_eq!(Some(given), event(&text));
            }
        }

        #[test]
        fn any_text_is_taken(text in "\\PC{0,60}|[{}\\[\\]\",:0-9eE.\\\\u-]{0,40}") {
            if let Some(given) = tape(&text) {
                prop_assert_eq!(Some(given), event(&text));
            }
        }
    }
}
