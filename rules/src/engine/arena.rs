//! The texts of one event that rules can ask for: unescaped, once as they are and once folded, in one buffer.
//!
//! The buffer is kept between events. Memory: at most twice the bytes of the event's values; what one huge event
//! needed is given back after it.

use crate::text::fold_char;

/// Bytes that are kept for the next event.
const KEEP_BYTES: usize = 1 << 20;
/// Texts that are kept for the next event.
const KEEP_TEXTS: usize = 1 << 14;

/// Number of a field of a route; the last one stands for the whole event.
pub(super) type Slot = u32;

/// One scalar of a record.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scalar<'s> {
    /// Present without a value.
    Null,
    /// Text.
    Text(&'s str),
    /// A number or a truth value, printed.
    Other(&'s str),
}

/// A piece of the buffer.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

/// One text, as it is and folded.
#[derive(Debug, Clone, Copy)]
struct Text {
    raw: Span,
    folded: Span,
}

/// What the event carries in one field of the route.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Loaded {
    /// The field is there, be it as `null`.
    pub(super) present: bool,
    /// The field is absent or has no value.
    pub(super) null: bool,
    first: u32,
    count: u32,
}

impl Loaded {
    /// A field that is there, without a value so far.
    pub(super) const THERE: Self = Self { present: true, null: true, first: 0, count: 0 };

    /// True when there is at least one text.
    pub(super) const fn has_text(self) -> bool {
        self.count > 0
    }
}

/// The buffer with its fields.
#[derive(Debug, Default)]
pub(super) struct Arena {
    buffer: String,
    texts: Vec<Text>,
    slots: Vec<Loaded>,
}

impl Arena {
    /// Forgets the last event; then no field is there.
    pub(super) fn reset(&mut self, slots: usize) {
        self.buffer.clear();
        self.buffer.shrink_to(KEEP_BYTES);
        self.texts.clear();
        self.texts.shrink_to(KEEP_TEXTS);
        self.slots.clear();
        self.slots.resize(slots, Loaded { present: false, null: true, first: 0, count: 0 });
    }

    /// Begins to fill `slot`; [`Arena::push`] adds to it until the next is begun.
    pub(super) fn begin(&mut self, slot: Slot, loaded: Loaded) {
        let first = at(self.texts.len());
        if let Some(held) = self.slots.get_mut(slot as usize) {
            *held = Loaded { first, count: 0, ..loaded };
        }
    }

    /// Adds one scalar to `slot`.
    pub(super) fn push(&mut self, slot: Slot, scalar: Scalar<'_>) {
        let text = match scalar {
            Scalar::Null => return,
            Scalar::Text(text) | Scalar::Other(text) => self.text(text),
        };
        self.texts.push(text);
        if let Some(held) = self.slots.get_mut(slot as usize) {
            held.null = false;
            held.count += 1;
        }
    }

    fn text(&mut self, text: &str) -> Text {
        let raw = self.append(text);
        if !text.is_ascii() {
            let start = at(self.buffer.len());
            self.buffer.extend(text.chars().map(fold_char));
            return Text { raw, folded: Span { start, end: at(self.buffer.len()) } };
        }
        if !text.bytes().fold(false, |any, byte| any | byte.is_ascii_uppercase()) {
            return Text { raw, folded: raw };
        }
        let folded = self.append(text);
        if let Some(tail) = self.buffer.get_mut(folded.start as usize..) {
            tail.make_ascii_lowercase();
        }
        Text { raw, folded }
    }

    fn append(&mut self, text: &str) -> Span {
        let start = at(self.buffer.len());
        self.buffer.push_str(text);
        Span { start, end: at(self.buffer.len()) }
    }

    /// What the event carries in `slot`.
    pub(super) fn loaded(&self, slot: Slot) -> Loaded {
        self.slots.get(slot as usize).copied().unwrap_or_default()
    }

    /// The texts of `slot`: as they are and folded.
    pub(super) fn texts(&self, slot: Slot) -> impl Iterator<Item = (&str, &str)> + Clone {
        let Loaded { first, count, .. } = self.loaded(slot);
        let range = first as usize..(first + count) as usize;
        let texts = self.texts.get(range).unwrap_or_default();
        texts.iter().map(|text| (self.span(text.raw), self.span(text.folded)))
    }

    fn span(&self, span: Span) -> &str {
        self.buffer.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}

/// An event has at most 4 GiB, because whoever reads one refuses far smaller ones.
fn at(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_folded_once() {
        let mut arena = Arena::default();
        arena.reset(3);
        arena.begin(1, Loaded::THERE);
        for scalar in [Scalar::Text("Đông SƠN"), Scalar::Null, Scalar::Other("1e5"), Scalar::Text("a")] {
            arena.push(1, scalar);
        }
        let texts: Vec<_> = arena.texts(1).collect();
        assert_eq!(texts, [("Đông SƠN", "đông sơn"), ("1e5", "1e5"), ("a", "a")]);
        assert!(arena.loaded(1).has_text() && !arena.loaded(1).null);
        assert!(arena.loaded(0).null && !arena.loaded(0).present && arena.texts(2).next().is_none());
        arena.reset(1);
        assert!(!arena.loaded(0).has_text());
    }
}
