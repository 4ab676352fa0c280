//! The short way in: text that is in the canonical form already, as [`Event::to_json`] prints it.
//!
//! Most texts that are read were printed by us (every record on the bus), so names are flat and rising and no value is
//! an object. One walk over the bytes reads those; at the first sign of anything else it gives up, and the long
//! way, which knows every form, reads the text from its beginning. Both give the same event: a property test compares them.

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
        let rising = held.last().is_none_or(|(last, _)| last.as_ref() < name);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !rising || held.len() >= MAX_FIELDS {
            return None;
        }
        cursor.take(b':')?;
        let value = cursor.value()?;
        held.push((fields::intern_str(name), value));
        match cursor.next()? {
            b',' => {}
            b'}' => return cursor.done().then(|| Event::from_sorted(held)),
            _ => return None,
        }
    }
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
                self.string().map(Value::Text)
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
        // A fold without an early end, so that many bytes are looked at in one step.
        let special = inside.bytes().fold(false, |any, byte| any | (byte == b'\\') | (byte < b' '));
        self.at += end + 1;
        (!special).then_some(inside)
    }

    fn string(&mut self) -> Option<String> {
        let start = self.at;
        if let Some(plain) = self.plain() {
            return Some(plain.to_owned());
        }
        self.at = start;
        let mut out = String::with_capacity(64);
        loop {
            let rest = self.rest()?;
            let end = memchr::memchr2(b'"', b'\\', rest.as_bytes())?;
            let run = rest.get(..end)?;
            if run.bytes().fold(false, |any, byte| any | (byte < b' ')) {
                return None;
            }
            out.push_str(run);
            self.at += end;
            if self.next()? == b'"' {
                return Some(out);
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
