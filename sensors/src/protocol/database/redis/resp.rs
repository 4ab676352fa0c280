//! RESP, the encoding of Redis, versions 2 and 3, and inline commands.
//!
//! In: bytes of one side in any pieces. Out: whole messages: the first scalars of the outermost list, and the whole as text.
//! Memory: one line of [`MAX_LINE`] bytes, [`MAX_ITEMS`] scalars of [`MAX_KEPT`] bytes, a text of [`MAX_TEXT`] bytes; longer
//! strings are passed over. Nothing is buffered twice.

use crate::protocol::wire::text;

/// Longest line.
const MAX_LINE: usize = 8 * 1024;
/// Bytes of one scalar that are kept.
const MAX_KEPT: usize = 1024;
/// Scalars of a message that are kept.
const MAX_ITEMS: usize = 6;
/// Bytes of a message as text.
const MAX_TEXT: usize = 4 * 1024;
/// Lists in lists.
const MAX_DEPTH: usize = 16;

/// One whole message.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Its first byte; `None` for an inline command.
    pub(super) kind: Option<u8>,
    /// The first scalars, at any depth.
    pub(super) items: Vec<Vec<u8>>,
    /// The whole, as text.
    pub(super) text: String,
}

/// A list that is not whole yet.
#[derive(Debug)]
struct List {
    left: u64,
    first: bool,
}

/// A string of announced length.
#[derive(Debug)]
struct Bulk {
    left: u64,
    kept: Vec<u8>,
}

/// The reader of one side.
#[derive(Debug, Default)]
pub(super) struct Resp {
    line: Vec<u8>,
    bulk: Option<Bulk>,
    lists: Vec<List>,
    message: Message,
    /// Values of attributes (RESP3 `|`) that are passed over.
    unseen: u64,
    broken: bool,
}

impl Resp {
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    pub(super) fn lose(&mut self) {
        *self = Self { broken: true, ..Self::default() };
    }

    /// Reads bytes; each message that they complete goes to `tell`.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Message)) {
        while !bytes.is_empty() && !self.broken {
            if self.bulk.is_some() {
                bytes = self.string(bytes, &mut tell);
                continue;
            }
            let end = bytes.iter().position(|sign| *sign == b'\n');
            let (head, rest) =
                bytes.split_at_checked(end.map_or(bytes.len(), |end| end + 1)).unwrap_or((bytes, &[]));
            bytes = rest;
            if self.line.len() + head.len() > MAX_LINE {
                return self.lose();
            }
            self.line.extend_from_slice(head);
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                self.element(line.trim_ascii_end(), &mut tell);
            }
        }
    }

    fn string<'a>(&mut self, bytes: &'a [u8], tell: &mut impl FnMut(Message)) -> &'a [u8] {
        let Some(bulk) = &mut self.bulk else { return bytes };
        let length = usize::try_from(bulk.left).unwrap_or(usize::MAX).min(bytes.len());
        let (head, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
        let room = (MAX_KEPT + 2).saturating_sub(bulk.kept.len());
        bulk.kept.extend_from_slice(head.get(..room).unwrap_or(head));
        bulk.left -= head.len() as u64;
        if bulk.left == 0 {
            let kept = std::mem::take(&mut bulk.kept);
            self.bulk = None;
            // The two bytes of the line's end may have been cut off with what is too long to keep.
            let value = kept.strip_suffix(b"\r\n").unwrap_or(&kept);
            self.scalar(value, tell);
        }
        rest
    }

    fn element(&mut self, line: &[u8], tell: &mut impl FnMut(Message)) {
        let Some((&kind, rest)) = line.split_first() else { return };
        if self.lists.is_empty() && self.message.kind.is_none() {
            if !b"+-:$*_#,(!=%~>|".contains(&kind) {
                return inline(line, tell);
            }
            if kind != b'|' {
                self.message.kind = Some(kind);
            }
        }
        match kind {
            b'$' | b'=' | b'!' => match number(rest) {
                Some(length) => {
                    self.bulk = Some(Bulk { left: length.saturating_add(2), kept: Vec::new() });
                }
                None if rest == b"-1" => self.scalar(b"null", tell),
                None => self.lose(),
            },
            b'*' | b'~' | b'>' | b'%' | b'|' => match number(rest) {
                Some(count) => self.list(kind, count, tell),
                None if rest == b"-1" => self.scalar(b"null", tell),
                None => self.lose(),
            },
            b'_' => self.scalar(b"null", tell),
            b'#' => self.scalar(if rest == b"t" { b"T" } else { b"F" }, tell),
            b'+' | b'-' | b':' | b',' | b'(' => self.scalar(rest, tell),
            _ => self.lose(),
        }
    }

    fn list(&mut self, kind: u8, count: u64, tell: &mut impl FnMut(Message)) {
        if self.lists.len() >= MAX_DEPTH {
            return self.lose();
        }
        let pairs = matches!(kind, b'%' | b'|');
        let left = if pairs { count.saturating_mul(2) } else { count };
        if kind == b'|' {
            // What follows is about the next value and no part of it; lists in attributes are not told apart.
            self.unseen = self.unseen.saturating_add(left);
            return;
        }
        if self.unseen > 0 {
            self.unseen = (self.unseen - 1).saturating_add(left);
            if self.lists.is_empty() {
                self.message.kind = None;
            }
            return;
        }
        self.separate();
        self.write("[");
        self.lists.push(List { left, first: true });
        self.close(tell);
    }

    fn scalar(&mut self, value: &[u8], tell: &mut impl FnMut(Message)) {
        if self.unseen > 0 {
            self.unseen -= 1;
            if self.lists.is_empty() {
                self.message.kind = None;
            }
            return;
        }
        if self.message.items.len() < MAX_ITEMS {
            self.message.items.push(value.get(..MAX_KEPT).unwrap_or(value).to_vec());
        }
        self.separate();
        if self.message.text.len() < MAX_TEXT {
            self.write(&text(value, MAX_KEPT));
        }
        if let Some(list) = self.lists.last_mut() {
            list.left = list.left.saturating_sub(1);
        }
        self.close(tell);
    }

    fn separate(&mut self) {
        let Some(list) = self.lists.last_mut() else { return };
        if !std::mem::replace(&mut list.first, false) {
            self.write(", ");
        }
    }

    fn write(&mut self, words: &str) {
        if self.message.text.len() < MAX_TEXT {
            self.message.text.push_str(words);
        }
    }

    /// Ends the lists that are whole, and the message when none is left.
    fn close(&mut self, tell: &mut impl FnMut(Message)) {
        while self.lists.last().is_some_and(|list| list.left == 0) {
            self.lists.pop();
            self.write("]");
            if let Some(list) = self.lists.last_mut() {
                list.left = list.left.saturating_sub(1);
            }
        }
        if self.lists.is_empty() {
            tell(std::mem::take(&mut self.message));
        }
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A command as a person types it.
fn inline(line: &[u8], tell: &mut impl FnMut(Message)) {
    let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let items = words.take(MAX_ITEMS).map(|word| word.get(..MAX_KEPT).unwrap_or(word).to_vec()).collect();
    tell(Message { kind: None, items, text: text(line, MAX_TEXT) });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], chunk: usize) -> Vec<Message> {
        let (mut resp, mut out) = (Resp::default(), Vec::new());
        for part in bytes.chunks(chunk) {
            resp.feed(part, |message| out.push(message));
        }
        out
    }

    #[test]
    fn lists_maps_attributes_and_long_strings() {
        let long = [b"$3000\r\n".to_vec(), vec![b'x'; 3000], b"\r\n+OK\r\n".to_vec()].concat();
        let cases: [(&[u8], &[&str]); 5] = [
            (b"*2\r\n*2\r\n:1\r\n+a\r\n$-1\r\n", &["[[1, a], null]"]),
            (b"%1\r\n+k\r\n#t\r\n*0\r\n", &["[k, T]", "[]"]),
            (b"|1\r\n+ttl\r\n:3\r\n:7\r\n", &["7"]),
            (b"PING now\r\n", &["PING now"]),
            (&long, &["", "OK"]),
        ];
        for (bytes, expected) in cases {
            for chunk in [1, 7, 10_000] {
                let texts: Vec<String> = read(bytes, chunk).into_iter().map(|message| message.text).collect();
                assert_eq!(texts.len(), expected.len());
                for (text, expected) in texts.iter().zip(expected) {
                    assert!(text == expected || text.len() == MAX_KEPT, "{text}");
                }
            }
        }
    }
}
