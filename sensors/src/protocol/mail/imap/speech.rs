//! One side of an IMAP connection: lines with literals inside (RFC 9051, 4.3; LITERAL+: RFC 7888; binary ones: RFC 3516).
//!
//! In: bytes in any pieces. Out: the text of each command or response, in which a short literal stands as a quoted string; what a
//! long one holds goes into its [`Sink`]. Memory: [`MAX_LINE`] bytes of text, [`MAX_MESSAGES`] messages until their line ends.

use dongson_event::Timestamp;

use crate::protocol::file::File;
use crate::protocol::mail::multipart::Reader;

/// Bytes of a line that are kept, with the literals in it.
const MAX_LINE: usize = 8192;
/// Last bytes of a physical line, which tell of a literal also where the line was cut.
const MAX_TAIL: usize = 64;
/// Longest literal that is taken into the text.
pub(super) const MAX_KEPT: u64 = 1024;
/// Messages kept of one line.
const MAX_MESSAGES: usize = 16;

/// Where the bytes of a literal go.
#[derive(Debug)]
pub(super) enum Sink {
    /// Into the text.
    Kept,
    Skipped,
    Mail(Box<Message>),
    Part(Box<File>),
}

/// A mail in a literal.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) started: Timestamp,
    pub(super) reader: Reader,
    /// As it is asked for: BODY[].
    pub(super) item: String,
    /// Length of the literal.
    pub(super) length: u64,
    /// Only its beginning is sent.
    pub(super) beginning: bool,
    /// All bytes of the literal were seen.
    pub(super) complete: bool,
}

#[derive(Debug)]
struct Literal {
    left: u64,
    missing: u64,
    sink: Sink,
}

/// A command or response.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) text: Vec<u8>,
    pub(super) messages: Vec<Message>,
    pub(super) parts: Vec<File>,
}

/// What a physical line means.
#[derive(Debug)]
pub(super) enum Step {
    /// More bytes are needed.
    Wait,
    /// A literal of this length follows.
    Literal(u64),
    /// The command or response is whole.
    Whole(Said),
}

/// One side.
#[derive(Debug, Default)]
pub(super) struct Speech {
    said: Said,
    tail: Vec<u8>,
    literal: Option<Literal>,
    /// Bytes are missing: the rest of the line is passed over.
    lost: bool,
}

impl Speech {
    /// Text of the present command so far.
    pub(super) fn text(&self) -> &[u8] {
        &self.said.text
    }

    /// Takes bytes from the front of `bytes` up to the next decision.
    pub(super) fn next(&mut self, at: Timestamp, bytes: &mut &[u8]) -> Step {
        if let Some(literal) = &mut self.literal {
            let take = usize::try_from(literal.left).unwrap_or(usize::MAX).min(bytes.len());
            let (part, rest) = bytes.split_at_checked(take).unwrap_or((bytes, &[]));
            *bytes = rest;
            literal.left -= part.len() as u64;
            let is_over = literal.left == 0;
            match &mut literal.sink {
                Sink::Kept => keep_quoted(&mut self.said.text, part),
                Sink::Mail(message) => message.reader.data(at, part),
                Sink::Part(file) => file.data(at, part),
                Sink::Skipped => {}
            }
            if is_over {
                self.close_literal();
            }
            return Step::Wait;
        }
        let end = bytes.iter().position(|sign| *sign == b'\n').map(|end| end + 1);
        let (piece, rest) = bytes.split_at_checked(end.unwrap_or(bytes.len())).unwrap_or((bytes, &[]));
        *bytes = rest;
        if self.lost {
            self.lost = end.is_none();
            return Step::Wait;
        }
        let last = piece.get(piece.len().saturating_sub(MAX_TAIL)..).unwrap_or(piece);
        self.tail.extend_from_slice(last);
        self.tail.drain(..self.tail.len().saturating_sub(MAX_TAIL));
        keep(&mut self.said.text, piece);
        if end.is_none() {
            return Step::Wait;
        }
        while self.said.text.ends_with(b"\r") || self.said.text.ends_with(b"\n") {
            self.said.text.pop();
        }
        let tail = std::mem::take(&mut self.tail);
        match marker(tail.trim_ascii_end()) {
            Some((length, mark)) => {
                let room = self.said.text.len();
                if room < MAX_LINE {
                    self.said.text.truncate(room.saturating_sub(mark));
                }
                Step::Literal(length)
            }
            None => Step::Whole(std::mem::take(&mut self.said)),
        }
    }

    /// Says where the literal goes that was announced.
    pub(super) fn open_literal(&mut self, length: u64, sink: Sink) {
        if matches!(sink, Sink::Kept) {
            keep(&mut self.said.text, b"\"");
        }
        self.literal = Some(Literal { left: length, missing: 0, sink });
        if length == 0 {
            self.close_literal();
        }
    }

    fn close_literal(&mut self) {
        let Some(Literal { left, missing, sink }) = self.literal.take() else { return };
        match sink {
            Sink::Kept => keep(&mut self.said.text, b"\""),
            Sink::Mail(mut message) if self.said.messages.len() < MAX_MESSAGES => {
                message.complete = left == 0 && missing == 0;
                self.said.messages.push(*message);
            }
            Sink::Part(file) if self.said.parts.len() < MAX_MESSAGES => self.said.parts.push(*file),
            _ => {}
        }
    }

    /// `length` bytes are missing. What was said before is over unless all of them were in a literal.
    pub(super) fn gap(&mut self, length: u64) {
        if let Some(literal) = &mut self.literal {
            let inside = literal.left.min(length);
            literal.missing += inside;
            literal.left -= inside;
            match &mut literal.sink {
                Sink::Mail(message) => message.reader.gap(inside),
                Sink::Part(file) => file.gap(inside),
                Sink::Kept | Sink::Skipped => {}
            }
            let is_over = literal.left == 0;
            if is_over {
                self.close_literal();
            }
            if inside == length {
                return;
            }
        }
        self.tail.clear();
        self.said.text.clear();
        self.lost = true;
    }

    /// What was begun is over.
    pub(super) fn finish(&mut self) -> Said {
        self.close_literal();
        std::mem::take(&mut self.said)
    }
}

fn keep(text: &mut Vec<u8>, piece: &[u8]) {
    let room = MAX_LINE.saturating_sub(text.len());
    text.extend_from_slice(piece.get(..room).unwrap_or(piece));
}

/// Inside a quoted string these two signs are escaped (RFC 9051, 9).
fn keep_quoted(text: &mut Vec<u8>, piece: &[u8]) {
    for sign in piece {
        if matches!(sign, b'"' | b'\\') {
            keep(text, b"\\");
        }
        keep(text, &[*sign]);
    }
}

/// `{12}`, `{12+}` or `~{12}` at the end of a line: its length, and how many bytes say so.
fn marker(line: &[u8]) -> Option<(u64, usize)> {
    let inner = line.strip_suffix(b"}")?;
    let open = inner.iter().rposition(|sign| *sign == b'{')?;
    let digits = inner.get(open + 1..)?;
    let digits = digits.strip_suffix(b"+").or_else(|| digits.strip_suffix(b"-")).unwrap_or(digits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let binary = open.checked_sub(1).and_then(|before| line.get(before)) == Some(&b'~');
    Some((length, line.len() - open + usize::from(binary)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_read() {
        assert_eq!(marker(b"a LOGIN {2}"), Some((2, 3)));
        assert_eq!(marker(b"a APPEND x ~{310+}"), Some((310, 7)));
        assert_eq!(marker(b"a {x}"), None);
        assert_eq!(marker(b"{99999999999999999999}"), None);
        assert_eq!(marker(b"a {}"), None);
    }
}
