//! What one group of one correlation remembers: the entries of the last timespan.

use std::collections::{BTreeSet, VecDeque};

use dongson_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::RuleMatchKeyed;
use super::definition::{Definition, Kind};

/// One match that still counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    /// The value that is counted, or the rule that matched; empty where only the number counts.
    mark: String,
    pub(super) event: String,
}

/// The entries within the timespan, oldest first.
///
/// A late match counts as of the newest time seen in its group. Memory: as many entries as the condition's largest
/// number and two more; for `value_count` and the temporal kinds one entry (the newest) for each value or rule, or,
/// in order, for each rule and step.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Window {
    pub(super) entries: VecDeque<Entry>,
    /// True while the condition holds since the last report.
    holding: bool,
    reported: Option<Timestamp>,
}

impl Window {
    /// Takes one match. Gives the count when the correlation is to be reported: when it is reached, and again each
    /// timespan for as long as it stays so.
    pub(super) fn record(
        &mut self,
        definition: &Definition,
        seen: &RuleMatchKeyed,
        order: usize,
    ) -> Option<u64> {
        let at = self.newest().map_or(seen.at, |newest| newest.max(seen.at));
        self.forget(definition, at);
        self.holding = self.holding && definition.reached(self.count(definition));
        let mark = match definition.kind {
            Kind::EventCount => String::new(),
            Kind::ValueCount => seen.value.clone().unwrap_or_default(),
            Kind::Temporal | Kind::TemporalOrdered => order.to_string(),
        };
        if matches!(definition.kind, Kind::ValueCount | Kind::Temporal) {
            self.entries.retain(|entry| entry.mark != mark);
        }
        self.entries.push_back(Entry { at, mark, event: seen.event.clone() });
        self.shrink(definition);
        let count = self.count(definition);
        if !definition.reached(count) {
            self.holding = false;
            return None;
        }
        let again = self.reported.is_none_or(|last| at.since(last) >= definition.timespan);
        let report = !self.holding || again;
        self.holding = true;
        if report {
            self.reported = Some(at);
        }
        report.then_some(count)
    }

    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.entries.back().map(|entry| entry.at)
    }

    /// Drops what is older than the timespan.
    pub(super) fn forget(&mut self, definition: &Definition, now: Timestamp) {
        while self.entries.front().is_some_and(|entry| now.since(entry.at) > definition.timespan) {
            self.entries.pop_front();
        }
    }

    fn shrink(&mut self, definition: &Definition) {
        let memory = match definition.kind {
            Kind::TemporalOrdered => 64 * definition.rules.len(),
            _ => definition.memory(),
        };
        while self.entries.len() > memory {
            self.entries.pop_front();
        }
    }

    fn count(&self, definition: &Definition) -> u64 {
        match definition.kind {
            Kind::EventCount | Kind::ValueCount | Kind::Temporal => self.entries.len() as u64,
            Kind::TemporalOrdered => self.in_order(),
        }
    }

    /// How many rules of the list, from the first on, have matched one after the other.
    fn in_order(&self) -> u64 {
        let mut step = 0_u64;
        for entry in &self.entries {
            if entry.mark == step.to_string() {
                step += 1;
            }
        }
        step
    }

    /// How many different marks there are; what is kept under a flood goes by it.
    pub(super) fn weight(&self) -> usize {
        match self.entries.front() {
            Some(first) if first.mark.is_empty() => self.entries.len(),
            _ => self.entries.iter().map(|entry| &entry.mark).collect::<BTreeSet<_>>().len(),
        }
    }
}
