//! One thing that happened on one host or wire, as a parser understood it.

use std::net::IpAddr;

use crate::{Name, Timestamp, Value, fields};

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
    #[inline]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = self.position(name).ok()?;
        self.fields.get(at).map(|(_, value)| value)
    }

    /// The text of `name`, when it is present and text.
    #[inline]
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
        match self.fields.binary_search_by(|(held, _)| held.cmp(&name)) {
            Ok(at) => self.fields.get_mut(at).map(|(_, old)| std::mem::replace(old, value)),
            Err(at) => {
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

    /// Sets `name` to `value` unless the event has it.
    pub fn set_absent(&mut self, name: impl Into<Name>, value: impl Into<Value>) {
        let name = name.into();
        if let Err(at) = self.fields.binary_search_by(|(held, _)| held.cmp(&name)) {
            self.fields.insert(at, (name, value.into()));
        }
    }

    /// Takes from `other` the fields that it lacks.
    pub fn fill(&mut self, other: Self) {
        let room = self.fields.len() + other.fields.len();
        let own = std::mem::replace(&mut self.fields, Vec::with_capacity(room));
        let mut rest = other.fields.into_iter().peekable();
        for (name, value) in own {
            while let Some(before) = rest.next_if(|(held, _)| *held < name) {
                self.fields.push(before);
            }
            rest.next_if(|(held, _)| *held == name);
            self.fields.push((name, value));
        }
        self.fields.extend(rest);
    }

    /// Adds `value` under `name`; a value already there and this one become a list. True when one was there.
    pub fn merge(&mut self, name: impl Into<Name>, value: Value) -> bool {
        let name = name.into();
        let old = self.remove(name.as_str());
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
        self.fields.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// As [`Event::iter`], with the names' numbers in the table of fields.
    pub fn named(&self) -> impl Iterator<Item = (&Name, &Value)> {
        self.fields.iter().map(|(name, value)| (name, value))
    }

    /// The same as a list.
    pub(crate) fn pairs(&self) -> &[(Name, Value)] {
        &self.fields
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
        self.fields.retain(|(name, value)| keep(name.as_str(), value));
    }

    #[inline]
    fn position(&self, name: &str) -> Result<usize, usize> {
        let Some(number) = fields::number(name) else {
            return self.fields.binary_search_by(|(held, _)| held.as_str().cmp(name));
        };
        self.fields.binary_search_by(|(held, _)| match held.number() {
            Some(held) => held.cmp(&number),
            None => held.as_str().cmp(name),
        })
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
    use proptest::prelude::*;

    #[test]
    fn one_value_per_name() {
        let mut event = Event::new();
        assert_eq!(event.set("source.port", 443_u16), None);
        assert_eq!(event.set("source.port", 80_u16), Some(Value::Int(443)));
        assert!(event.merge("source.port", Value::Int(8080)));
        assert_eq!(event.get("source.port"), Some(&Value::List(vec![Value::Int(80), Value::Int(8080)])));
        assert_eq!(event.len(), 1);
    }

    proptest! {
        #[test]
        fn filling_is_setting_what_is_absent(own in pairs(), other in pairs()) {
            let (event, other): (Event, Event) = (own.into_iter().collect(), other.into_iter().collect());
            let (mut filled, mut set) = (event.clone(), event);
            for (name, value) in other.clone() {
                set.set_absent(name, value);
            }
            filled.fill(other);
            prop_assert_eq!(filled, set);
        }
    }

    fn pairs() -> impl Strategy<Value = Vec<(Name, Value)>> {
        let name = prop_oneof!["[a-c]{1,2}", Just("event.id".to_owned()), Just("@timestamp".to_owned())];
        prop::collection::vec((name.prop_map(Name::from), any::<i64>().prop_map(Value::Int)), 0..9)
    }

    #[test]
    fn names_stay_sorted() {
        let event: Event = ["b", "a", "c"].into_iter().map(|name| (Name::from(name), Value::Null)).collect();
        assert_eq!(event.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
