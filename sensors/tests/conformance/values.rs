//! Reading values of facts and of events so that they can be compared as text.

use dongson_event::Event;
use serde_json::Value;

use crate::fact::Fact;

/// One event beside a fact.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) event: &'a Event,
    /// The fact's originator is our responder.
    pub(crate) swapped: bool,
    /// The number in the brackets of the fact's name.
    pub(crate) index: usize,
    /// All events of the capture.
    pub(crate) all: &'a [Event],
    /// The fact itself.
    pub(crate) fact: Option<&'a Fact>,
}

impl Case<'_> {
    /// Our field as text, from the fact's point of view; empty when it is absent.
    pub(crate) fn text(&self, name: &str) -> String {
        let name = if self.swapped { turned(name) } else { name.to_owned() };
        self.event.get(&name).map(|value| value.to_text().into_owned()).unwrap_or_default()
    }

    /// Our field as a number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.text(name).parse().ok()
    }

    /// The values of a list.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let values = self.event.get(name).map(dongson_event::Value::scalars).unwrap_or_default();
        values.iter().map(|value| value.to_text().into_owned()).collect()
    }

    /// The value of a list at the fact's index.
    pub(crate) fn item(&self, name: &str) -> Option<String> {
        self.list(name).into_iter().nth(self.index)
    }
}

/// The name of the same field of the other side.
fn turned(name: &str) -> String {
    if name.contains("source.") {
        name.replace("source.", "destination.")
    } else {
        name.replace("destination.", "source.")
    }
}

/// A value of a fact as text.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
