//! One thing that happened on one host or wire, as a parser understood it.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::{Timestamp, Value, fields};

/// The name of a field; names of the table are borrowed, others owned.
pub type Name = Cow<'static, str>;

/// A flat record: names in byte order, one value each.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Event {
    fields: Vec<(Name, Value)>,
}

impl Event {
    /// An event without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// An event without fields, with room for as many as a record usually has.
    pub fn with_room() -> Self {
        Self { fields: Vec::with_capacity(40) }
    }

    /// An event of fields that are in the byte order of their names, each name once.
    pub(crate) fn from_sorted(fields: Vec<(Name, Value)>) -> Self {
        debug_assert!(fields.is_sorted_by(|(one, _), (other, _)| one < other), "names are sorted and unique");
        Self { fields }
    }

    /// An event of `dataset` at `moment`.
    pub fn of(dataset: &'static str, moment: Timestamp) -> Self {
        let mut event = Self { fields: Vec::with_capacity(32) };
        event.set("@timestamp", moment);
        event.set("event.dataset", dataset);
        event
    }

    /// The value of `name`; `None` when the field is absent (a `null` is [`Value::Null`]).
    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = self.position(name).ok()?;
        self.fields.get(at).map(|(_, value)| value)
    }

    /// The text of `name`, when it is present and text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// The whole number of `name`, when it is present and one.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_i64()
    }

    /// The address of `name`, when it is present and one.
    pub fn ip(&self, name: &str) -> Option<IpAddr> {
        self.text(name)?.parse().ok()
    }

    /// The moment of `name`, when it is present and one.
    pub fn time(&self, name: &str) -> Option<Timestamp> {
        Timestamp::parse(self.text(name)?).ok()
    }

    /// `@timestamp`: when it happened, as far as we hold it true.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.time("@timestamp")
    }

    /// `event.dataset`, or the empty text.
    pub fn dataset(&self) -> &str {
        self.text("event.dataset").unwrap_or_default()
    }

    /// `event.id`, or the empty text.
    pub fn id(&self) -> &str {
        self.text("event.id").unwrap_or_default()
    }

    /// `organization.id`, or the empty text.
    pub fn organization(&self) -> &str {
        self.text("organization.id").unwrap_or_default()
    }

    /// Sets `name` to `value`, replacing what was there; the value that was there is returned.
    pub fn set(&mut self, name: impl Into<Name>, value: impl Into<Value>) -> Option<Value> {
        let (name, value) = (name.into(), value.into());
        match self.position(&name) {
            Ok(at) => self.fields.get_mut(at).map(|(_, old)| std::mem::replace(old, value)),
            Err(at) => {
                let name = match name {
                    Cow::Borrowed(known) => Cow::Borrowed(known),
                    Cow::Owned(text) => fields::intern(text),
                };
                self.fields.insert(at, (name, value));
                None
            }
        }
    }

    /// Sets `name` when there is a value; leaves the event as it is otherwise.
    pub fn set_some(&mut self, name: impl Into<Name>, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// Adds `value` under `name`; a value already there and this one become a list. True when one was there.
    pub fn merge(&mut self, name: impl Into<Name>, value: Value) -> bool {
        let name = name.into();
        let old = self.remove(&name);
        let joined = old.is_some();
        self.set(
            name,
            match old {
                Some(old) => old.merge(&value),
                None => value,
            },
        );
        joined
    }

    /// Takes `name` out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.position(name).ok()?;
        Some(self.fields.remove(at).1)
    }

    /// Names and values in the byte order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.fields.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// How many names it holds.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// True when it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Keeps the fields for which `keep` answers true.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &Value) -> bool) {
        self.fields.retain(|(name, value)| keep(name, value));
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.fields.binary_search_by(|(held, _)| held.as_ref().cmp(name))
    }
}

impl FromIterator<(Name, Value)> for Event {
    /// A later value of a name joins the earlier ones in a list.
    fn from_iter<I: IntoIterator<Item = (Name, Value)>>(pairs: I) -> Self {
        let mut event = Self::new();
        for (name, value) in pairs {
            event.merge(name, value);
        }
        event
    }
}

impl IntoIterator for Event {
    type Item = (Name, Value);
    type IntoIter = std::vec::IntoIter<(Name, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.fields.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_per_name() {
        let mut event = Event::new();
        assert_eq!(event.set("source.port", 443_u16), None);
        assert_eq!(event.set("source.port", 80_u16), Some(Value::Int(443)));
        assert!(event.merge("source.port", Value::Int(8080)));
        assert_eq!(event.get("source.port"), Some(&Value::List(vec![Value::Int(80), Value::Int(8080)])));
        assert_eq!(event.len(), 1);
    }

    #[test]
    fn names_stay_sorted() {
        let event: Event = ["b", "a", "c"].into_iter().map(|name| (Name::from(name), Value::Null)).collect();
        assert_eq!(event.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
