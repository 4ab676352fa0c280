//! Cutting one side of a text protocol into lines.
//!
//! In: bytes in any pieces. Out: whole lines with their ends, of longer ones the beginning and that they were cut. Memory: one
//! line of at most the given limit.

/// A whole line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// With its end, unless it was cut.
    pub(super) bytes: Vec<u8>,
    /// It was longer than is kept.
    pub(super) cut: bool,
}

impl Line {
    /// Without its end.
    pub(super) fn content(&self) -> &[u8] {
        let bytes = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        bytes.strip_suffix(b"\r").unwrap_or(bytes)
    }
}

/// The line that one side is at.
#[derive(Debug, Default)]
pub(super) struct Lines {
    held: Vec<u8>,
    cut: bool,
}

impl Lines {
    /// Takes bytes up to the next end of a line from the front of `bytes`: the line that they complete.
    pub(super) fn next(&mut self, limit: usize, bytes: &mut &[u8]) -> Option<Line> {
        let end = bytes.iter().position(|sign| *sign == b'\n');
        let (piece, rest) =
            bytes.split_at_checked(end.map_or(bytes.len(), |end| end + 1)).unwrap_or((bytes, &[]));
        *bytes = rest;
        let room = limit.saturating_sub(self.held.len());
        self.held.extend_from_slice(piece.get(..room).unwrap_or(piece));
        self.cut |= piece.len() > room;
        end?;
        Some(Line { bytes: std::mem::take(&mut self.held), cut: std::mem::take(&mut self.cut) })
    }

    /// What was begun is over.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(bytes: &[u8], chunk: usize) -> Vec<Line> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for mut piece in bytes.chunks(chunk) {
            while !piece.is_empty() {
                found.extend(lines.next(8, &mut piece));
            }
        }
        found
    }

    #[test]
    fn long_lines_are_cut() {
        let lines = cut(b"ab\r\n0123456789\nx", 100);
        assert_eq!(lines.iter().map(Line::content).collect::<Vec<_>>(), [&b"ab"[..], b"01234567"]);
        assert_eq!(lines.iter().map(|line| line.cut).collect::<Vec<_>>(), [false, true]);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(words in prop::collection::vec(prop::sample::select(vec!["a", "\r", "\n", "bcdefgh"]), 0..40), chunk in 1..9_usize) {
            let bytes = words.concat().into_bytes();
            prop_assert_eq!(cut(&bytes, chunk), cut(&bytes, usize::MAX));
        }
    }
}
