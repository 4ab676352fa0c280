//! JSON text as a flat row of fields, without a tree: names, and where in the text their values stand.
//!
//! Only what is plain is read here: objects in objects, lists of scalars, escapes. Whatever [`Event::parse`] would have
//! to mend, join or refuse (repeated names, objects in lists, lone surrogates, text that is not JSON) is left to it:
//! [`Tape::read`] says so, and the answer is the same, only slower. A property test compares the two.
//!
//! [`Event::parse`]: dongson_event::Event::parse

use dongson_event::{MAX_FIELDS, MAX_NAME_BYTES};

use super::cursor::Cursor;
use super::habit::Habit;
use super::names::{NameId, Names};
use super::stripes::Stripes;

/// Deepest nesting of objects that is read here.
const MAX_DEPTH: usize = 32;
/// Fields whose memory is kept for the next event.
const KEEP: usize = 1 << 14;

/// Where a value stands, and how it is to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    /// Text between quotes.
    Text,
    /// A whole number of at most 18 digits, or a truth value: its text is its value.
    Plain,
    /// Any other number.
    Number,
}

impl Piece {
    pub(super) fn new(start: usize, end: usize, kind: Kind) -> Self {
        Self { start: small(start), end: small(end), kind }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf {
    pub(super) name_start: u32,
    pub(super) name_end: u32,
    /// The name stands in `joined`, not in the text.
    pub(super) nested: bool,
    pub(super) list: bool,
    pub(super) first: u32,
    pub(super) count: u32,
}

/// The fields of the text that was read last.
#[derive(Debug, Default)]
pub(super) struct Tape {
    pub(super) leaves: Vec<Leaf>,
    pub(super) pieces: Vec<Piece>,
    /// Names of nested fields.
    pub(super) joined: String,
    path: String,
    /// Lengths of `path` outside of the objects that are open.
    outer: Vec<usize>,
    pub(super) stripes: Stripes,
    /// A number will be printed otherwise than it is written.
    pub(super) printed: bool,
    habit: Habit,
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
        let mut stripes = std::mem::take(&mut self.stripes);
        let outcome = stripes.read(text.as_bytes()).and_then(|()| {
            let mut cursor = Cursor { text, bytes: text.as_bytes(), stripes: &stripes, at: 0 };
            self.entries(&mut cursor, names, ids)
        });
        self.stripes = stripes;
        outcome
    }

    fn entries(
        &mut self,
        cursor: &mut Cursor<'_>,
        names: &Names,
        ids: &mut Vec<NameId>,
    ) -> Result<(), NotPlain> {
        self.habit.begin();
        self.printed = false;
        cursor.blank();
        cursor.expect(b'{')?;
        self.object(cursor, names, ids)?;
        cursor.blank();
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
            let expected = if self.path.is_empty() { self.habit.expected(cursor.rest()) } else { None };
            let start = cursor.at;
            let end = if let Some((length, name)) = expected {
                // Its quote and colon were compared as well.
                cursor.at += length + 2;
                if cursor.take(b'"') {
                    // What most fields are.
                    let (from, to) = cursor.string()?;
                    self.text((start, start + length), name, (from, to), ids)?;
                    if self.ends(cursor)? {
                        return Ok(());
                    }
                    continue;
                }
                start + length
            } else {
                let (_, end) = cursor.string()?;
                cursor.blank();
                cursor.expect(b':')?;
                end
            };
            if start == end || self.leaves.len() >= MAX_FIELDS {
                return Err(NotPlain);
            }
            cursor.blank();
            let name = expected.map(|(_, name)| name);
            if cursor.take(b'{') {
                if self.open(cursor, plain_name(cursor.slice(start, end))?) {
                    continue;
                }
                if self.outer.len() > MAX_DEPTH {
                    return Err(NotPlain);
                }
                // An object without entries is a null under its own name.
                self.close();
                self.leaf(cursor, (start, end), name, names, ids)?;
                self.add(Piece::new(0, 0, Kind::Null));
            } else {
                self.leaf(cursor, (start, end), name, names, ids)?;
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

    /// Begins a field of the current object; `name` is its number where that is known.
    #[inline]
    fn leaf(
        &mut self,
        cursor: &Cursor<'_>,
        (start, end): (usize, usize),
        name: Option<NameId>,
        names: &Names,
        ids: &mut Vec<NameId>,
    ) -> Result<(), NotPlain> {
        let first = small(self.pieces.len());
        if let Some(name) = name {
            ids.push(name);
            let (name_start, name_end) = (small(start), small(end));
            self.leaves.push(Leaf { name_start, name_end, nested: false, list: false, first, count: 0 });
            return Ok(());
        }
        let key = plain_name(cursor.slice(start, end))?;
        let nested = !self.path.is_empty();
        let (name_start, name_end) = if nested {
            let from = self.joined.len();
            self.joined.push_str(&self.path);
            self.joined.push('.');
            self.joined.push_str(key);
            ids.push(names.find(self.joined.get(from..).unwrap_or_default()));
            (from, self.joined.len())
        } else {
            let name = names.find(key);
            self.habit.learn(key.as_bytes(), name);
            ids.push(name);
            (start, end)
        };
        if name_end - name_start > MAX_NAME_BYTES {
            return Err(NotPlain);
        }
        let (name_start, name_end) = (small(name_start), small(name_end));
        self.leaves.push(Leaf { name_start, name_end, nested, list: false, first, count: 0 });
        Ok(())
    }

    /// A field of the outermost object with one text.
    #[inline]
    fn text(
        &mut self,
        (name_start, name_end): (usize, usize),
        name: NameId,
        (from, to): (usize, usize),
        ids: &mut Vec<NameId>,
    ) -> Result<(), NotPlain> {
        if self.leaves.len() >= MAX_FIELDS {
            return Err(NotPlain);
        }
        let first = small(self.pieces.len());
        ids.push(name);
        self.leaves.push(Leaf {
            name_start: small(name_start),
            name_end: small(name_end),
            nested: false,
            list: false,
            first,
            count: 1,
        });
        self.pieces.push(Piece::new(from, to, Kind::Text));
        Ok(())
    }

    #[inline]
    fn add(&mut self, piece: Piece) {
        self.printed |= piece.kind == Kind::Number;
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

/// Names with escapes are not read here.
fn plain_name(name: &str) -> Result<&str, NotPlain> {
    if name.contains('\\') { Err(NotPlain) } else { Ok(name) }
}

#[cfg(test)]
mod tests {
    use super::super::arena::{Scalar, unescape};
    use super::super::read::Read;
    use super::super::record::{Fields, Record, Spare};
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
