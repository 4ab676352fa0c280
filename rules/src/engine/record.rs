//! What the engine needs to know of a record, whether it is an [`Event`] or still JSON text.

use dongson_event::{Event, Value};

use super::arena::{Arena, Scalar, Slot};
use super::sieve::Sieve;

/// A flat record; its fields are numbered in their order.
pub(super) trait Record {
    /// The name of a field.
    fn name(&self, leaf: usize) -> &str;
    /// Gives the arena what can be folded at once.
    fn begin(&self, arena: &mut Arena);
    /// False where the sieve says that no keyword can be in the record.
    fn may_hold(&self, sieve: &Sieve, scratch: &mut String, arena: &mut Arena) -> bool;
    /// Adds the texts of a field to `slot`, which was begun.
    fn load(&self, leaf: usize, slot: Slot, scratch: &mut String, arena: &mut Arena);
    /// True when the field holds a list.
    fn is_list(&self, leaf: usize) -> bool;
    /// Tells every scalar of a field; `scratch` may be used on the way.
    fn scalars(&self, leaf: usize, scratch: &mut String, take: &mut dyn FnMut(Scalar<'_>));
}

/// An event's fields, so that they can be reached by number.
#[derive(Debug)]
pub(super) struct Fields<'e> {
    list: Vec<(&'e str, &'e Value)>,
}

/// Memory for [`Fields`], kept between events.
#[derive(Debug, Default)]
pub(super) struct Spare {
    list: Vec<(&'static str, &'static Value)>,
}

impl<'e> Fields<'e> {
    /// The fields of `event`, in the memory of `spare`.
    pub(super) fn new(event: &'e Event, spare: &mut Spare) -> Self {
        let mut list: Vec<(&'e str, &'e Value)> = std::mem::take(&mut spare.list);
        list.extend(event.iter());
        Self { list }
    }

    /// Gives the memory back.
    #[expect(clippy::unnecessary_filter_map, reason = "a filter would keep the lifetime")]
    pub(super) fn recycle(mut self, spare: &mut Spare) {
        self.list.clear();
        // The list is empty: what is kept is its memory, and that has no lifetime.
        spare.list = self.list.into_iter().filter_map(|_| None).collect();
    }

    /// The names, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &'e str> {
        self.list.iter().map(|(name, _)| *name)
    }

    /// Names and values, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'e str, &'e Value)> {
        self.list.iter().copied()
    }

    /// Name and value of a field.
    pub(super) fn value(&self, leaf: usize) -> Option<(&'e str, &'e Value)> {
        self.list.get(leaf).copied()
    }
}

impl Record for Fields<'_> {
    fn name(&self, leaf: usize) -> &str {
        self.list.get(leaf).map_or("", |(name, _)| name)
    }

    fn begin(&self, _: &mut Arena) {}

    /// To write all texts is as much work as to look for keywords in them.
    fn may_hold(&self, _: &Sieve, _: &mut String, _: &mut Arena) -> bool {
        true
    }

    fn load(&self, leaf: usize, slot: Slot, scratch: &mut String, arena: &mut Arena) {
        self.scalars(leaf, scratch, &mut |scalar| arena.push(slot, leaf, scalar));
    }

    fn is_list(&self, leaf: usize) -> bool {
        matches!(self.list.get(leaf), Some((_, Value::List(_))))
    }

    fn scalars(&self, leaf: usize, scratch: &mut String, take: &mut dyn FnMut(Scalar<'_>)) {
        let Some((_, value)) = self.list.get(leaf) else { return };
        for scalar in value.scalars() {
            match scalar {
                Value::Null => take(Scalar::Null),
                Value::Text(text) => take(Scalar::Text(text)),
                Value::Int(number) => take(Scalar::Other(itoa::Buffer::new().format(*number))),
                other => {
                    scratch.clear();
                    scratch.push_str(&other.to_text());
                    take(Scalar::Other(scratch));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again() {
        let mut spare = Spare::default();
        let (event, _) = Event::parse(br#"{"a":1,"b":[null,"x",1.5],"c":true}"#).unwrap();
        let fields = Fields::new(&event, &mut spare);
        let mut given = Vec::new();
        for leaf in 0..4 {
            fields.scalars(leaf, &mut String::new(), &mut |scalar| given.push(format!("{scalar:?}")));
        }
        assert_eq!(given, ["Other(\"1\")", "Null", "Text(\"x\")", "Other(\"1.5\")", "Other(\"true\")"]);
        assert!(
            fields.is_list(1) && !fields.is_list(0) && fields.name(2) == "c" && fields.name(3).is_empty()
        );
        let (memory, room) = (fields.list.as_ptr().addr(), fields.list.capacity());
        fields.recycle(&mut spare);
        assert_eq!((spare.list.as_ptr().addr(), spare.list.capacity()), (memory, room));
    }
}
