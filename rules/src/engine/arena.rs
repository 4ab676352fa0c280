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
    /// Text of a JSON string whose escapes are good.
    Escaped(&'s str),
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

    /// Adds one scalar to `slot`; without `raw` only its folded form is wanted.
    pub(super) fn push(&mut self, slot: Slot, scalar: Scalar<'_>, raw: bool) {
        let start = self.buffer.len();
        match scalar {
            Scalar::Null => return,
            Scalar::Text(text) | Scalar::Other(text) => self.buffer.push_str(text),
            Scalar::Escaped(text) => unescape(text, &mut self.buffer),
        }
        let text = self.fold(start, raw);
        self.texts.push(text);
        if let Some(held) = self.slots.get_mut(slot as usize) {
            held.null = false;
            held.count += 1;
        }
    }

    /// Folds what stands behind `start`.
    fn fold(&mut self, start: usize, raw: bool) -> Text {
        let end = self.buffer.len();
        let own = Span { start: at(start), end: at(end) };
        let text = self.buffer.get(start..).unwrap_or_default();
        if !text.is_ascii() {
            // Folding may change lengths, so it cannot be done in place.
            let folded: String = text.chars().map(fold_char).collect();
            self.buffer.push_str(&folded);
            return Text { raw: own, folded: Span { start: at(end), end: at(self.buffer.len()) } };
        }
        if raw {
            self.buffer.extend_from_within(start..end);
        }
        let from = if raw { end } else { start };
        if let Some(tail) = self.buffer.get_mut(from..) {
            tail.make_ascii_lowercase();
        }
        Text { raw: own, folded: Span { start: at(from), end: at(self.buffer.len()) } }
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

/// Adds `text`, whose escapes are good, without them.
pub(super) fn unescape(text: &str, out: &mut String) {
    // Begin of what is not yet written.
    let mut from = 0;
    let mut places = memchr::memchr_iter(b'\\', text.as_bytes());
    while let Some(place) = places.next() {
        if place < from {
            continue;
        }
        let plain = |to: usize| text.get(from..to).unwrap_or_default();
        let sign = match text.as_bytes().get(place + 1) {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                out.push_str(plain(place));
                let code =
                    text.get(place + 2..place + 6).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                out.push(code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
                from = place + 6;
                continue;
            }
            Some(b'\\') => {
                // The most frequent one is its own first sign.
                out.push_str(plain(place + 1));
                from = place + 2;
                places.next();
                continue;
            }
            // A quote or a slash stands for itself.
            _ => {
                out.push_str(plain(place));
                from = place + 1;
                continue;
            }
        };
        out.push_str(plain(place));
        out.push(sign);
        from = place + 2;
    }
    out.push_str(text.get(from..).unwrap_or_default());
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
            arena.push(1, scalar, true);
        }
        arena.begin(2, Loaded::THERE);
        arena.push(2, Scalar::Escaped(r#"\u0041\\B\"\n\/\\\\"#), false);
        assert_eq!(arena.texts(2).next(), Some(("a\\b\"\n/\\\\", "a\\b\"\n/\\\\")));
        let texts: Vec<_> = arena.texts(1).collect();
        assert_eq!(texts, [("Đông SƠN", "đông sơn"), ("1e5", "1e5"), ("a", "a")]);
        assert!(arena.loaded(1).has_text() && !arena.loaded(1).null);
        assert!(arena.loaded(0).null && !arena.loaded(0).present && arena.texts(0).next().is_none());
        arena.reset(1);
        assert!(!arena.loaded(0).has_text());
    }
}
