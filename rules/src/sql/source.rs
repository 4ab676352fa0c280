//! Which stored events a log source means, taxonomy by taxonomy, and what fields are called in them.
//!
//! A stored event always has `event.dataset`, so what it says of itself in `product` or `category` never counts.

use super::place;
use super::test;
use crate::rule::LogSource;
use crate::taxonomy::{Condition, Taxonomies};

/// One taxonomy, as far as a rule's log source is concerned.
pub(super) struct Way<'w> {
    taxonomies: &'w Taxonomies,
    number: usize,
    /// Begins the names of this taxonomy's texts.
    pub(super) prefix: String,
    /// True for events of this taxonomy and of the log source.
    pub(super) fits: String,
    /// By source: true for its events.
    gates: Vec<String>,
}

/// All taxonomies that give events of this log source.
pub(super) fn ways<'w>(taxonomies: &'w Taxonomies, wanted: &LogSource) -> Vec<Way<'w>> {
    let mut earlier: Vec<String> = Vec::new();
    let mut ways = Vec::new();
    for (number, (recognise, gates)) in taxonomies.conditions().enumerate() {
        let recognised = any(recognise.iter().map(|all| every(all)));
        let gates: Vec<String> = gates.iter().map(|all| every(all)).collect();
        let accepting: Vec<String> = taxonomies
            .given(number)
            .zip(&gates)
            .filter(|(given, _)| given.iter().any(|given| wanted.accepts(given)))
            .map(|(_, gate)| gate.clone())
            .collect();
        if !accepting.is_empty() {
            let mut parts = vec![recognised.clone()];
            parts.extend(earlier.iter().map(|earlier| format!("NOT {earlier}")));
            parts.push(any(accepting.into_iter()));
            let fits = parts.join("\n    AND ");
            ways.push(Way { taxonomies, number, prefix: format!("t{number}"), fits, gates });
        }
        earlier.push(recognised);
    }
    ways
}

fn any(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { "false".to_owned() } else { format!("({})", parts.join(" OR ")) }
}

fn every(conditions: &[Condition]) -> String {
    let parts: Vec<String> = conditions.iter().map(condition).collect();
    if parts.is_empty() { "true".to_owned() } else { format!("({})", parts.join(" AND ")) }
}

/// A field of the event has one of some values, or is there.
fn condition(condition: &Condition) -> String {
    let Some(values) = &condition.values else {
        return any(condition.names.iter().map(|name| place::present(name)));
    };
    let texts = chosen(condition.names.iter().map(|name| (None, name.clone())).collect(), &[]);
    let mut values: Vec<&String> = values.iter().collect();
    values.sort();
    test::is_one_of(&texts, &values)
}

/// The texts under the first of the names that is there; a name may only count for events of some sources.
fn chosen(names: Vec<(Option<usize>, String)>, gates: &[String]) -> String {
    let count = names.len();
    let mut parts = Vec::new();
    for (at, (source, name)) in names.into_iter().enumerate() {
        let gate = source.and_then(|source| gates.get(source));
        // Without a field the texts are empty: the last name needs no question.
        if at + 1 == count && gate.is_none() {
            parts.push(place::texts(&name));
            return if parts.len() == 1 { parts.concat() } else { format!("multiIf({})", parts.join(", ")) };
        }
        let there = place::present(&name);
        parts.push(gate.map_or_else(|| there.clone(), |gate| format!("{gate} AND {there}")));
        parts.push(place::texts(&name));
    }
    parts.push("emptyArrayString()".to_owned());
    if parts.len() == 1 { parts.concat() } else { format!("multiIf({})", parts.join(", ")) }
}

impl Way<'_> {
    /// The texts of the field that rules call `name`.
    pub(super) fn texts(&self, name: &str) -> String {
        chosen(self.taxonomies.gated_names(self.number, name), &self.gates)
    }

    /// Whether there is such a field.
    pub(super) fn present(&self, name: &str) -> String {
        any(self.taxonomies.gated_names(self.number, name).into_iter().map(|(source, name)| {
            let there = place::present(&name);
            match source.and_then(|source| self.gates.get(source)) {
                Some(gate) => format!("({gate} AND {there})"),
                None => there,
            }
        }))
    }
}
