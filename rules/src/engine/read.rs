//! The fields of JSON text as a [`Record`]: most values are compared where they stand in the folded text.

use super::arena::{Arena, Scalar, Slot};
use super::record::Record;
use super::sieve::Sieve;
use super::stripes::Stripes;
use super::tape::{Kind, Piece, Tape};

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

    fn begin(&self, arena: &mut Arena) {
        arena.whole(self.text.as_bytes());
    }

    fn may_hold(&self, sieve: &Sieve, scratch: &mut String, arena: &mut Arena) -> bool {
        if sieve.may_hold(arena.all()) {
            return true;
        }
        let Tape { stripes, printed, pieces, .. } = self.tape;
        if stripes.ascii && stripes.usual && !printed {
            return false;
        }
        let mut others = pieces.iter().filter(|piece| !self.stands(piece));
        others.any(|piece| {
            let mut found = false;
            piece.scalar(self.text_of(piece), scratch, &mut |scalar| {
                found |= arena.tried(scalar, |text| sieve.may_hold(text));
            });
            found
        })
    }

    fn is_list(&self, leaf: usize) -> bool {
        self.tape.leaves.get(leaf).is_some_and(|leaf| leaf.list)
    }

    #[inline]
    fn load(&self, leaf: usize, slot: Slot, scratch: &mut String, arena: &mut Arena) {
        for piece in self.pieces(leaf) {
            if self.stands(piece) {
                arena.part(slot, leaf, piece.start as usize, piece.end as usize);
            } else {
                piece.scalar(self.text_of(piece), scratch, &mut |scalar| arena.push(slot, leaf, scalar));
            }
        }
    }

    fn scalars(&self, leaf: usize, scratch: &mut String, take: &mut dyn FnMut(Scalar<'_>)) {
        for piece in self.pieces(leaf) {
            piece.scalar(self.text_of(piece), scratch, take);
        }
    }
}

impl Read<'_> {
    #[inline]
    fn text_of(&self, piece: &Piece) -> &str {
        self.text.get(piece.start as usize..piece.end as usize).unwrap_or_default()
    }

    /// True for a text that is written in the usual way, so that it is folded where it stands.
    #[inline]
    fn stands(&self, piece: &Piece) -> bool {
        let Stripes { ascii, usual, .. } = &self.tape.stripes;
        match piece.kind {
            Kind::Plain => true,
            Kind::Null | Kind::Number => false,
            Kind::Text => {
                (*usual || is_usual(self.text_of(piece))) && (*ascii || self.text_of(piece).is_ascii())
            }
        }
    }

    #[inline]
    fn pieces(&self, leaf: usize) -> &[Piece] {
        let Some(leaf) = self.tape.leaves.get(leaf) else { return &[] };
        self.tape.pieces.get(leaf.first as usize..(leaf.first + leaf.count) as usize).unwrap_or_default()
    }
}

/// True for text without control characters and escapes other than the usual ones.
fn is_usual(text: &str) -> bool {
    !text.bytes().any(|byte| byte < 0x20) && !text.contains("\\u") && !text.contains("\\/")
}

impl Piece {
    fn scalar(&self, text: &str, scratch: &mut String, take: &mut dyn FnMut(Scalar<'_>)) {
        match self.kind {
            Kind::Null => take(Scalar::Null),
            Kind::Text if memchr::memchr(b'\\', text.as_bytes()).is_some() => take(Scalar::Escaped(text)),
            Kind::Text => take(Scalar::Text(text)),
            Kind::Plain => take(Scalar::Other(text)),
            Kind::Number => number(text, scratch, take),
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
