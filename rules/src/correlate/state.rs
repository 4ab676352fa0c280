//! The state of all correlations: rule -> agency -> group -> window.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dongson_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::window::Window;
use super::{CorrelationMatch, RuleMatchKeyed};
use crate::ruleset::RuleSet;

/// Most groups of one rule in one agency.
const MAX_GROUPS: usize = 20_000;
/// Most agencies of one rule.
const MAX_SCOPES: usize = 4_096;
/// Most event ids of one report.
const MAX_EVIDENCE: usize = 32;

/// Counts matches in event time.
///
/// The same input in the same order gives the same output. State is bounded per rule and agency ([`MAX_GROUPS`]):
/// when a flood exceeds it, groups that expired go first, then those that counted least, the newest of them first;
/// each is counted in [`Correlator::evicted`]. An agency's flood never touches another agency's groups.
#[derive(Debug)]
pub struct Correlator {
    rules: Arc<RuleSet>,
    by_id: HashMap<String, usize>,
    state: State,
    evicted: u64,
}

/// What is saved. Keys are ordered, so that the same state is the same text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct State {
    rules: BTreeMap<String, BTreeMap<String, Groups>>,
}

/// Groups of one rule in one agency; the key is the JSON of the group's values.
type Groups = BTreeMap<String, Window>;

impl Correlator {
    /// A correlator without memory.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let ids = rules.correlations().iter().enumerate();
        let by_id = ids.filter_map(|(at, one)| Some((rules.rule(one.number)?.id.clone(), at))).collect();
        Self { rules, by_id, state: State::default(), evicted: 0 }
    }

    /// Takes one match, in the order (event time, event id), and gives the correlations that it completes.
    pub fn observe(&mut self, seen: &RuleMatchKeyed) -> Vec<CorrelationMatch> {
        let Some(definition) =
            self.by_id.get(&seen.correlation).and_then(|&at| self.rules.correlations().get(at))
        else {
            return Vec::new();
        };
        let base = |&number: &usize| self.rules.rule(number).is_some_and(|rule| rule.id == seen.base);
        let Some(order) = definition.rules.iter().position(base) else { return Vec::new() };
        let scopes = self.state.rules.entry(seen.correlation.clone()).or_default();
        if scopes.len() >= MAX_SCOPES && !scopes.contains_key(&seen.scope) {
            self.evicted += 1;
            return Vec::new();
        }
        let groups = scopes.entry(seen.scope.clone()).or_default();
        let key = group_key(&seen.group);
        if groups.len() >= MAX_GROUPS && !groups.contains_key(&key) {
            self.evicted += evict(groups, definition, seen.at);
        }
        let window = groups.entry(key).or_default();
        let Some(count) = window.record(definition, seen, order) else { return Vec::new() };
        let skip = window.entries.len().saturating_sub(MAX_EVIDENCE);
        vec![CorrelationMatch {
            rule: definition.number,
            scope: seen.scope.clone(),
            group: seen.group.clone(),
            count,
            first: window.entries.front().map_or(seen.at, |entry| entry.at),
            last: window.newest().unwrap_or(seen.at),
            events: window.entries.iter().skip(skip).map(|entry| entry.event.clone()).collect(),
        }]
    }

    /// Drops groups of which nothing counts any more at `now`, the watermark of event time.
    pub fn forget_idle(&mut self, now: Timestamp) {
        for (id, scopes) in &mut self.state.rules {
            let Some(definition) = self.by_id.get(id).and_then(|&at| self.rules.correlations().get(at))
            else {
                continue;
            };
            for groups in scopes.values_mut() {
                groups.retain(|_, window| !idle(window, definition, now));
            }
            scopes.retain(|_, groups| !groups.is_empty());
        }
    }

    /// How many groups were given up because of the bounds.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many groups are remembered.
    pub fn groups(&self) -> usize {
        self.state.rules.values().flat_map(BTreeMap::values).map(BTreeMap::len).sum()
    }

    /// The state as JSON text.
    ///
    /// # Errors
    /// Never in practice: the state holds texts and numbers only.
    pub fn save(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&self.state)
    }

    /// Takes a saved state instead of the present one; what belongs to rules that are no longer there is left out.
    pub fn restore(&mut self, text: &str) -> Result<(), serde_json::Error> {
        let mut state: State = serde_json::from_str(text)?;
        state.rules.retain(|id, _| self.by_id.contains_key(id));
        self.state = state;
        Ok(())
    }
}

fn group_key(group: &[(String, String)]) -> String {
    let values: Vec<&str> = group.iter().map(|(_, value)| value.as_str()).collect();
    serde_json::to_string(&values).unwrap_or_default()
}

fn idle(window: &Window, definition: &Definition, now: Timestamp) -> bool {
    window.newest().is_none_or(|newest| now.since(newest) > definition.timespan)
}

/// Makes room for an eighth of the groups; gives how many that still counted were given up.
fn evict(groups: &mut Groups, definition: &Definition, now: Timestamp) -> u64 {
    groups.retain(|_, window| !idle(window, definition, now));
    let wanted = MAX_GROUPS - MAX_GROUPS / 8;
    let excess = groups.len().saturating_sub(wanted);
    let mut order: Vec<(usize, std::cmp::Reverse<Option<Timestamp>>, String)> = groups
        .iter()
        .map(|(key, window)| {
            let oldest = window.entries.front().map(|entry| entry.at);
            (window.weight(), std::cmp::Reverse(oldest), key.clone())
        })
        .collect();
    order.sort_unstable();
    for (.., key) in order.into_iter().take(excess) {
        groups.remove(&key);
    }
    excess as u64
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
