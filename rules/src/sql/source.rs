//! Which stored events a log source means, taxonomy by taxonomy, and what fields are called in them.
//!
//! A stored event always has `event.dataset`, so what it says of itself in `product` or `category` never counts, unless
//! all events are read so ([`Mode::Sigma`]).

use super::SqlError;
use super::level::{Candidates, Levels};
use super::test;
use crate::rule::LogSource;
use crate::taxonomy::{Condition, Mode, Taxonomies};

/// A field that every stored event has.
const ALWAYS: &str = "event.dataset";

/// How some of the stored events are read. An event is read in one way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way<'w> {
    taxonomies: &'w Taxonomies,
    /// The taxonomy; `None` where events say their log source themselves.
    number: Option<usize>,
}

/// All ways in which stored events are read.
pub(super) fn ways(taxonomies: &Taxonomies, mode: Mode) -> Vec<Way<'_>> {
    if mode == Mode::Sigma {
        return vec![Way { taxonomies, number: None }];
    }
    let mut ways = Vec::new();
    for (number, (recognise, _)) in taxonomies.conditions().enumerate() {
        ways.push(Way { taxonomies, number: Some(number) });
        if recognise.iter().any(|all| all.iter().all(always)) {
            // No stored event is left for a later one.
            break;
        }
    }
    ways
}

/// True when every stored event fits.
fn always(condition: &Condition) -> bool {
    condition.values.is_none() && condition.names.iter().any(|name| name == ALWAYS)
}

impl Way<'_> {
    /// True for the events that are read in this way.
    pub(super) fn recognised(&self, levels: &mut Levels) -> Result<String, SqlError> {
        let Some(number) = self.number else { return Ok("true".to_owned()) };
        let mut parts = Vec::new();
        for (at, (recognise, _)) in self.taxonomies.conditions().enumerate().take(number + 1) {
            let all = recognise.iter().map(|all| every(all, levels)).collect::<Result<Vec<_>, _>>()?;
            let not = if at == number { "" } else { "NOT " };
            parts.push(format!("{not}{}", any(&all)));
        }
        Ok(parts.join("\n    AND "))
    }

    /// True for the events of a log source among them; `None` when there are none.
    pub(super) fn accepted(
        &self,
        wanted: &LogSource,
        levels: &mut Levels,
    ) -> Result<Option<String>, SqlError> {
        let Some(number) = self.number else { return said(wanted, levels).map(Some) };
        let chosen: Vec<usize> = self
            .taxonomies
            .given(number)
            .enumerate()
            .filter(|(_, given)| given.iter().any(|given| wanted.accepts(given)))
            .map(|(source, _)| source)
            .collect();
        let gates =
            chosen.into_iter().map(|source| self.gate(source, levels)).collect::<Result<Vec<_>, _>>()?;
        Ok((!gates.is_empty()).then(|| any(&gates)))
    }

    /// True for the events of a source.
    fn gate(&self, source: usize, levels: &mut Levels) -> Result<String, SqlError> {
        let number = self.number.unwrap_or_default();
        let gates = self.taxonomies.conditions().nth(number).map(|(_, gates)| gates);
        let Some(all) = gates.and_then(|gates| gates.get(source)) else { return Ok("false".to_owned()) };
        let says = every(all, levels)?;
        Ok(levels.condition(says))
    }

    /// Where the field stands that rules call `name`.
    pub(super) fn names(&self, name: &str, levels: &mut Levels) -> Result<Candidates, SqlError> {
        let Some(number) = self.number else { return Ok(vec![(None, name.to_owned())]) };
        let names = self.taxonomies.gated_names(number, name).into_iter();
        names
            .map(|(source, name)| Ok((source.map(|source| self.gate(source, levels)).transpose()?, name)))
            .collect()
    }
}

/// The log source as the events say it.
fn said(wanted: &LogSource, levels: &mut Levels) -> Result<String, SqlError> {
    let words = [("product", &wanted.product), ("category", &wanted.category), ("service", &wanted.service)];
    let mut parts = Vec::new();
    for (name, word) in words {
        if let Some(word) = word {
            let (says, texts) = (levels.text(name), levels.decisive(&[name.to_owned()]));
            parts.push(format!("({says} AND {})", test::is_one_of(&texts, &[word])?));
        }
    }
    Ok(if parts.is_empty() { "true".to_owned() } else { parts.join(" AND ") })
}

fn any(parts: &[String]) -> String {
    if parts.is_empty() { "false".to_owned() } else { format!("({})", parts.join(" OR ")) }
}

fn every(conditions: &[Condition], levels: &mut Levels) -> Result<String, SqlError> {
    let parts = conditions.iter().map(|one| condition(one, levels)).collect::<Result<Vec<_>, _>>()?;
    Ok(if parts.is_empty() { "true".to_owned() } else { format!("({})", parts.join(" AND ")) })
}

/// A field of the event has one of some values, or is there.
fn condition(condition: &Condition, levels: &mut Levels) -> Result<String, SqlError> {
    let Some(values) = &condition.values else {
        let parts: Vec<String> = condition.names.iter().map(|name| levels.carries(name)).collect();
        return Ok(any(&parts));
    };
    let mut values: Vec<&str> = values.iter().map(String::as_str).collect();
    values.sort_unstable();
    test::is_one_of(&levels.decisive(&condition.names), &values)
}
