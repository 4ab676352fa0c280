//! The short ways: reading text that is in the canonical form already, and printing it.
//!
//! Most texts that are read were printed by us (every record on the bus), so names are flat and rising and no value is
//! an object. One walk over the bytes reads those; at the first sign of anything else it gives up, and the long
//! way, which knows every form, reads the text from its beginning. Both give the same event: a property test compares them.

use std::fmt::Write as _;

use crate::{Event, MAX_FIELDS, MAX_NAME_BYTES, Name, Value, fields};

/// Reads `text` if it is canonical; `None` says nothing about what else it may be.
pub(super) fn read(text: &str) -> Option<Event> {
    let mut cursor = Cursor { text, at: 0 };
    cursor.take(b'{')?;
    let mut held: Vec<(Name, Value)> = Vec::with_capacity(40);
    if cursor.peek()? == b'}' {
        cursor.at += 1;
        return cursor.done().then(Event::new);
    }
    loop {
        cursor.take(b'"')?;
        let name = cursor.plain()?;
        if name.is_empty() || name.len() > MAX_NAME_BYTES || held.len() >= MAX_FIELDS {
            return None;
        }
        let name = Name::new(name);
        if held.last().is_some_and(|(last, _)| *last >= name) {
            return None;
        }
        cursor.take(b':')?;
        let value = cursor.value()?;
        held.push((name, value));
        match cursor.next()? {
            b',' => {}
            b'}' => return cursor.done().then(|| Event::from_sorted(held)),
            _ => return None,
        }
    }
}

/// About how many bytes the text of an event takes.
pub(super) fn size(event: &Event) -> usize {
    2 + event.iter().map(|(name, value)| name.len() + room(value)).sum::<usize>()
}

/// Appends what `serde_json` prints; most texts need no escape and are copied whole.
pub(super) fn print(event: &Event, out: &mut String) {
    let begin = out.len();
    for (held, value) in event.named() {
        name(held, out);
        put(value, out);
    }
    close(begin, out);
}

/// Makes the fields behind `begin`, each with its comma before it, an object.
pub(super) fn close(begin: usize, out: &mut String) {
    if out.len() == begin {
        out.push('{');
    } else {
        out.replace_range(begin..=begin, "{");
    }
    out.push('}');
}

/// Appends a name behind a comma, with its quotes and the colon.
pub(super) fn name(name: &Name, out: &mut String) {
    if let Some(printed) = name.number().and_then(fields::printed) {
        out.push_str(printed);
    } else {
        out.push(',');
        text(name.as_str(), out);
        out.push(':');
    }
}

/// About how many bytes a value takes, with the signs around it.
fn room(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len() + 6,
        Value::List(items) => 6 + items.iter().map(room).sum::<usize>(),
        _ => 16,
    }
}

/// Appends the JSON text of a value.
pub(super) fn put(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Int(number) => out.push_str(itoa::Buffer::new().format(*number)),
        Value::Float(_) => out.push_str(&serde_json::to_string(value).unwrap_or_default()),
        Value::Text(held) => text(held, out),
        Value::List(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                put(item, out);
            }
            out.push(']');
        }
    }
}

/// Appends a text with its quotes.
pub(super) fn text(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some((plain, byte, after)) = until_special(rest) {
        out.push_str(plain);
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            // Writing to a String cannot fail.
            _ => {
                let _written = write!(out, "\\u{byte:04x}");
            }
        }
        rest = after;
    }
    out.push_str(rest);
    out.push('"');
}

/// What stands before the first byte that needs an escape, the byte, and what stands behind it.
fn until_special(text: &str) -> Option<(&str, u8, &str)> {
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..b' ');
    let bytes = text.as_bytes();
    let (words, short) = bytes.as_chunks::<8>();
    let is_plain = match (words, bytes.last_chunk()) {
        // The last word is looked at up to the end, so that no single bytes are left over.
        ([.., _], Some(last)) => {
            !words.iter().chain([last]).any(|word| holds_special(u64::from_ne_bytes(*word)))
        }
        _ => !short.iter().any(special),
    };
    if is_plain {
        return None;
    }
    let (plain, rest) = text.split_at_checked(bytes.iter().position(special)?)?;
    let byte = *rest.as_bytes().first()?;
    Some((plain, byte, rest.get(1..)?))
}

/// Whether one of eight bytes is a quote, a backslash or below a space: subtracting borrows into the highest bit of a byte that is
/// too small, in which ASCII has nothing.
fn holds_special(word: u64) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let below = |word: u64, least: u8| word.wrapping_sub(ONES * u64::from(least)) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, b' ') | is(b'"') | is(b'\\')) & (ONES << 7) != 0
}

/// True when any byte is `special`. All are looked at, because many are in one step; an early end would prevent it.
fn holds(text: &str, special: impl Fn(u8) -> bool) -> bool {
    text.bytes().filter(|byte| special(*byte)).count() > 0
}

/// A place in the text; always between two letters.
struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    fn done(&self) -> bool {
        self.at == self.text.len()
    }

    fn rest(&self) -> Option<&'t str> {
        self.text.get(self.at..)
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        self.rest()?.starts_with(word).then(|| {
            self.at += word.len();
            value
        })
    }

    fn value(&mut self) -> Option<Value> {
        if self.peek()? != b'[' {
            return self.scalar();
        }
        self.at += 1;
        let mut items = Vec::new();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(Value::List(items));
        }
        loop {
            items.push(self.scalar()?);
            match self.next()? {
                b',' => {}
                b']' => return Some(Value::List(items)),
                _ => return None,
            }
        }
    }

    fn scalar(&mut self) -> Option<Value> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.string()
            }
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => None,
        }
    }

    /// Whole numbers of up to 18 digits; others, rare as they are, take the long way.
    fn number(&mut self) -> Option<Value> {
        let rest = self.rest()?;
        let end = rest.bytes().take(20).position(|byte| matches!(byte, b',' | b'}' | b']'))?;
        let text = rest.get(..end)?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = matches!(digits.len(), 1..=18) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !plain || (digits.starts_with('0') && text != "0") {
            return None;
        }
        self.at += end;
        text.parse().ok().map(Value::Int)
    }

    /// What stands before the next quote, when it needs no translation; the quote is taken too.
    fn plain(&mut self) -> Option<&'t str> {
        let rest = self.rest()?;
        let end = memchr::memchr(b'"', rest.as_bytes())?;
        let inside = rest.get(..end)?;
        let special = holds(inside, |byte| matches!(byte, b'\\' | 0..b' '));
        self.at += end + 1;
        (!special).then_some(inside)
    }

    fn string(&mut self) -> Option<Value> {
        let start = self.at;
        if let Some(plain) = self.plain() {
            return Some(Value::from(plain));
        }
        self.at = start;
        let mut out = String::with_capacity(64);
        loop {
            let rest = self.rest()?;
            let end = memchr::memchr2(b'"', b'\\', rest.as_bytes())?;
            let run = rest.get(..end)?;
            if holds(run, |byte| byte < b' ') {
                return None;
            }
            out.push_str(run);
            self.at += end;
            if self.next()? == b'"' {
                return Some(Value::from(out));
            }
            out.push(match self.next()? {
                b'"' => '"',
                b'\\' => '\\',
                b'/' => '/',
                b'n' => '\n',
                b't' => '\t',
                b'r' => '\r',
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'u' => self.unit()?,
                _ => return None,
            });
        }
    }

    /// Four hexadecimal digits; surrogates take the long way.
    fn unit(&mut self) -> Option<char> {
        let (unit, _) = super::code_unit(self.rest()?)?;
        self.at += 4;
        char::from_u32(u32::from(unit))
    }
}
