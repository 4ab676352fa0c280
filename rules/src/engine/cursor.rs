//! A place in JSON text, and what can be read there.

use super::stripes::Stripes;
use super::tape::{Kind, NotPlain, Piece};

/// A place in the text.
pub(super) struct Cursor<'t> {
    pub(super) text: &'t str,
    pub(super) bytes: &'t [u8],
    pub(super) stripes: &'t Stripes,
    pub(super) at: usize,
}

impl<'t> Cursor<'t> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), NotPlain> {
        if self.take(byte) { Ok(()) } else { Err(NotPlain) }
    }

    #[inline]
    pub(super) fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> &'t str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// What is still to be read.
    #[inline]
    pub(super) fn rest(&self) -> &'t [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Goes behind the closing quote of the string whose opening quote is read; where it begins and ends.
    #[inline]
    pub(super) fn string(&mut self) -> Result<(usize, usize), NotPlain> {
        let start = self.at;
        let end = self.stripes.quote(start)?;
        self.at = end + 1;
        // The blanks behind a text have no quotes.
        Ok((start, end))
    }

    #[inline]
    pub(super) fn scalar(&mut self) -> Result<Piece, NotPlain> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                let (start, end) = self.string()?;
                Ok(Piece::new(start, end, Kind::Text))
            }
            Some(b'-' | b'0'..=b'9') => self.number(self.at),
            Some(b't') => self.word(b"true", Kind::Plain),
            Some(b'f') => self.word(b"false", Kind::Plain),
            Some(b'n') => self.word(b"null", Kind::Null),
            _ => Err(NotPlain),
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<Piece, NotPlain> {
        let start = self.at;
        if !self.rest().starts_with(word) {
            return Err(NotPlain);
        }
        self.at += word.len();
        Ok(Piece::new(start, self.at, kind))
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
        Ok(Piece::new(start, self.at, kind))
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
