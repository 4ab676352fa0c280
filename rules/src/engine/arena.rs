//! The texts of one event that rules can ask for, folded and as JSON writes them ([`super::written`]), in one buffer.
//!
//! JSON text is folded as a whole; its values are then parts of it. What a test needs to see without escapes, or as it
//! is, is spelled out when such a test is asked. Buffers are kept between events. Memory: at most eight times the bytes
//! of the event's values; what one huge event needed is given back after it.

use super::record::Record;
use super::written::write;
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

/// A piece of a buffer.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    end: u32,
}

/// One text.
#[derive(Debug, Clone, Copy)]
struct Text {
    /// The field of the event.
    leaf: u32,
    /// In `written`.
    folded: Span,
}

/// A text without escapes, in `plain`.
#[derive(Debug, Clone, Copy, Default)]
struct Spelled {
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
    spelled: bool,
    first: u32,
    count: u32,
}

impl Loaded {
    /// A field that is there, without a value so far.
    pub(super) const THERE: Self = Self { present: true, null: true, spelled: false, first: 0, count: 0 };
    /// A field that is not there.
    const ABSENT: Self = Self { present: false, ..Self::THERE };

    /// True when there is at least one text.
    pub(super) const fn has_text(self) -> bool {
        self.count > 0
    }
}

/// The buffer with its fields.
#[derive(Debug, Default)]
pub(super) struct Arena {
    written: Vec<u8>,
    texts: Vec<Text>,
    slots: Vec<Loaded>,
    /// Slots that were begun.
    begun: Vec<Slot>,
    plain: String,
    /// By text.
    spelled: Vec<Spelled>,
    scratch: String,
}

impl Arena {
    /// Forgets the last event; then no field is there.
    pub(super) fn reset(&mut self, slots: usize) {
        self.written.clear();
        self.written.shrink_to(KEEP_BYTES);
        self.texts.clear();
        self.texts.shrink_to(KEEP_TEXTS);
        self.plain.clear();
        self.plain.shrink_to(KEEP_BYTES);
        self.spelled.clear();
        self.spelled.shrink_to(KEEP_TEXTS);
        for slot in self.begun.drain(..) {
            if let Some(held) = self.slots.get_mut(slot as usize) {
                *held = Loaded::ABSENT;
            }
        }
        if self.slots.len() < slots {
            self.slots.resize(slots, Loaded::ABSENT);
        }
    }

    /// Folds the JSON text of an event, before anything else.
    pub(super) fn whole(&mut self, text: &[u8]) {
        self.written.extend(text.iter().map(u8::to_ascii_lowercase));
    }

    /// Begins to fill `slot`; what is pushed next belongs to it.
    pub(super) fn begin(&mut self, slot: Slot, loaded: Loaded) {
        let first = at(self.texts.len());
        if let Some(held) = self.slots.get_mut(slot as usize) {
            *held = Loaded { first, count: 0, ..loaded };
            self.begun.push(slot);
        }
    }

    /// Slots that were begun, in that order.
    pub(super) fn begun(&self) -> &[Slot] {
        &self.begun
    }

    /// Adds a part of the folded JSON text, from field `leaf` of the event, to `slot`.
    #[inline]
    pub(super) fn part(&mut self, slot: Slot, leaf: usize, from: usize, to: usize) {
        self.texts.push(Text { leaf: at(leaf), folded: Span { start: at(from), end: at(to) } });
        if let Some(held) = self.slots.get_mut(slot as usize) {
            held.null = false;
            held.count += 1;
        }
    }

    /// Adds one scalar of field `leaf` to `slot`.
    pub(super) fn push(&mut self, slot: Slot, leaf: usize, scalar: Scalar<'_>) {
        if let Some(start) = self.write(scalar) {
            self.part(slot, leaf, start, self.written.len());
        }
    }

    /// What `look` says of one scalar, folded and written, which is not added.
    pub(super) fn tried(&mut self, scalar: Scalar<'_>, look: impl Fn(&[u8]) -> bool) -> bool {
        let Some(start) = self.write(scalar) else { return false };
        let answer = look(self.written.get(start..).unwrap_or_default());
        self.written.truncate(start);
        answer
    }

    /// Writes one scalar, folded; where it begins.
    fn write(&mut self, scalar: Scalar<'_>) -> Option<usize> {
        let start = self.written.len();
        match scalar {
            Scalar::Null => return None,
            Scalar::Text(text) | Scalar::Other(text) => self.fold(text),
            Scalar::Escaped(text) => {
                let mut plain = std::mem::take(&mut self.scratch);
                plain.clear();
                unescape(text, &mut plain);
                self.fold(&plain);
                self.scratch = plain;
                self.scratch.shrink_to(KEEP_BYTES);
            }
        }
        Some(start)
    }

    /// Writes `text`, folded.
    fn fold(&mut self, text: &str) {
        let start = self.written.len();
        if text.is_ascii() {
            write(text.as_bytes(), &mut self.written);
            self.written.get_mut(start..).unwrap_or_default().make_ascii_lowercase();
        } else {
            for run in text.split_inclusive(|sign: char| !sign.is_ascii()) {
                self.fold_run(run);
            }
        }
    }

    /// Writes what has at most one sign that is not ASCII, the last one.
    fn fold_run(&mut self, run: &str) {
        let start = self.written.len();
        let last = run.chars().next_back().filter(|sign| !sign.is_ascii());
        let ascii = run.len() - last.map_or(0, char::len_utf8);
        write(run.as_bytes().get(..ascii).unwrap_or_default(), &mut self.written);
        self.written.get_mut(start..).unwrap_or_default().make_ascii_lowercase();
        if let Some(last) = last {
            let mut bytes = [0; 4];
            write(fold_char(last).encode_utf8(&mut bytes).as_bytes(), &mut self.written);
        }
    }

    /// What the event carries in `slot`.
    #[inline]
    pub(super) fn loaded(&self, slot: Slot) -> Loaded {
        self.slots.get(slot as usize).copied().unwrap_or(Loaded::ABSENT)
    }

    /// Everything that is written so far: the folded JSON text right after [`Arena::whole`].
    pub(super) fn all(&self) -> &[u8] {
        &self.written
    }

    /// The texts of `slot`, written and folded.
    #[inline]
    pub(super) fn written(&self, slot: Slot) -> impl Iterator<Item = &[u8]> + Clone {
        let texts = self.texts.get(self.loaded(slot).range()).unwrap_or_default();
        texts.iter().map(|text| {
            let Span { start, end } = text.folded;
            self.written.get(start as usize..end as usize).unwrap_or_default()
        })
    }

    /// Makes [`Arena::texts`] of `slot` ready; `record` is what was loaded.
    pub(super) fn spell<R: Record>(&mut self, slot: Slot, record: &R, scratch: &mut String) {
        let loaded = self.loaded(slot);
        if loaded.spelled || !loaded.has_text() {
            return;
        }
        self.spelled.resize(self.texts.len(), Spelled::default());
        let Self { texts, spelled, plain, slots, .. } = self;
        let mut places = spelled.get_mut(loaded.range()).unwrap_or_default().iter_mut();
        let mut last = None;
        for text in texts.get(loaded.range()).unwrap_or_default() {
            // The texts of one field follow one another.
            if last == Some(text.leaf) {
                continue;
            }
            last = Some(text.leaf);
            record.scalars(text.leaf as usize, scratch, &mut |scalar| {
                if let Some(own) = spell(scalar, plain)
                    && let Some(place) = places.next()
                {
                    *place = own;
                }
            });
        }
        if let Some(held) = slots.get_mut(slot as usize) {
            held.spelled = true;
        }
    }

    /// The texts of `slot`, which was spelled: as they are and folded.
    pub(super) fn texts(&self, slot: Slot) -> impl Iterator<Item = (&str, &str)> + Clone {
        let texts = self.spelled.get(self.loaded(slot).range()).unwrap_or_default();
        let piece = |span: Span| self.plain.get(span.start as usize..span.end as usize).unwrap_or_default();
        texts.iter().map(move |text| (piece(text.raw), piece(text.folded)))
    }
}

impl Loaded {
    const fn range(self) -> std::ops::Range<usize> {
        self.first as usize..(self.first + self.count) as usize
    }
}

/// Adds a scalar to `plain`, as it is and folded.
fn spell(scalar: Scalar<'_>, plain: &mut String) -> Option<Spelled> {
    let start = plain.len();
    match scalar {
        Scalar::Null => return None,
        Scalar::Text(text) | Scalar::Other(text) => plain.push_str(text),
        Scalar::Escaped(text) => unescape(text, plain),
    }
    let raw = Span { start: at(start), end: at(plain.len()) };
    let text = plain.get(start..).unwrap_or_default();
    if text.is_ascii() {
        let end = plain.len();
        plain.extend_from_within(start..end);
        plain.get_mut(end..)?.make_ascii_lowercase();
    } else {
        let folded: String = text.chars().map(fold_char).collect();
        plain.push_str(&folded);
    }
    Some(Spelled { raw, folded: Span { start: raw.end, end: at(plain.len()) } })
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
    use super::super::record::{Fields, Spare};
    use super::*;
    use dongson_event::Event;

    #[test]
    fn texts_are_folded_once() {
        let (event, _) = Event::parse(r#"{"a":["Đông\\SƠN",null,1e5,"A\n"],"b":"x"}"#.as_bytes()).unwrap();
        let fields = Fields::new(&event, &mut Spare::default());
        let mut arena = Arena::default();
        arena.reset(3);
        arena.begin(1, Loaded::THERE);
        fields.load(0, 1, &mut String::new(), &mut arena);
        let texts: Vec<&[u8]> = arena.written(1).collect();
        assert_eq!(texts, ["đông\\\\sơn".as_bytes(), b"100000", b"a\\n"]);
        arena.spell(1, &fields, &mut String::new());
        let texts: Vec<_> = arena.texts(1).collect();
        assert_eq!(texts, [("Đông\\SƠN", "đông\\sơn"), ("100000", "100000"), ("A\n", "a\n")]);
        assert!(arena.loaded(1).has_text() && !arena.loaded(1).null);
        assert!(arena.loaded(0).null && !arena.loaded(0).present && arena.texts(0).next().is_none());
        arena.reset(1);
        assert!(!arena.loaded(1).has_text());
        arena.whole(b"{\"A\":\"B\\n\"}");
        arena.begin(2, Loaded::THERE);
        arena.part(2, 0, 6, 9);
        arena.push(2, 0, Scalar::Escaped(r#"\u0041\\B\"\n\/\\\\"#));
        let texts: Vec<&[u8]> = arena.written(2).collect();
        assert_eq!(texts, [&b"b\\n"[..], br#"a\\b\"\n/\\\\"#]);
    }
}
