//! The state of all correlations: rule -> agency -> group -> window.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dongson_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::recall::Recall;
use super::window::{Group, hash_of, nanos};
use super::{CorrelationMatch, RuleMatchKeyed, keyed};
use crate::parts::{Parts, Saving, read_name, take_back};
use crate::ruleset::RuleSet;

/// Form of the saved state; one of another form is refused.
pub(super) const VERSION: u32 = 2;
/// Most agencies of one rule.
const MAX_SCOPES: usize = 4_096;

/// Counts matches in event time.
///
/// The same input in the same order gives the same output; [`super::Sequencer`] makes the order. State is bounded per
/// rule and agency (at most 20,000 groups, fewer where one group may hold much): when a flood exceeds it, groups that
/// expired go first, then those that counted least, the newest of them first; what was given up before and came
/// back counts as more. What was given up is counted and can be
/// asked for ([`Correlator::evictions`]). An agency's flood never touches another agency's groups.
#[derive(Debug)]
pub struct Correlator {
    rules: Arc<RuleSet>,
    by_id: HashMap<String, usize>,
    /// Beside the correlations: what each one counts, as a hash.
    shapes: Vec<u64>,
    state: State,
    limit: usize,
    /// Parts of books that are no longer there.
    gone: Parts,
}

/// Why a saved state cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is not a state.
    #[error("not a state of correlations: {0}")]
    NotState(#[from] serde_json::Error),
    /// It has another form: begin with an empty state, or run the version that wrote it.
    #[error("state of correlations has version {found}; this program reads version {VERSION}")]
    Version {
        /// The version that it has; 0 where it names none.
        found: u32,
    },
}

/// Windows that were given up for one rule in one agency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Eviction {
    /// Id of the correlation rule.
    pub rule: String,
    /// The agency.
    pub scope: String,
    /// How many groups that still counted were given up.
    pub groups: u64,
}

/// What is saved. Keys are ordered, so that the same state is the same text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct State {
    #[serde(default)]
    version: u32,
    rules: BTreeMap<String, BTreeMap<String, Book>>,
    /// Matches of agencies that were too many.
    #[serde(default)]
    refused: u64,
}

/// Groups of one rule in one agency.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Book {
    /// The key is the JSON of the group's values.
    groups: BTreeMap<String, Group>,
    /// What the correlation counted when this began: another one must not read it.
    shape: u64,
    /// When expired groups were last thrown away.
    swept: i64,
    /// How often that was done.
    #[serde(default)]
    sweeps: u64,
    evicted: u64,
    #[serde(default, skip_serializing_if = "Recall::is_empty")]
    recall: Recall,
    #[serde(skip)]
    saving: Saving,
}

/// Everything of a [`Book`] but its groups.
#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    shape: u64,
    swept: i64,
    #[serde(default)]
    sweeps: u64,
    evicted: u64,
    #[serde(default, skip_serializing_if = "Recall::is_empty")]
    recall: Recall,
}

impl Correlator {
    /// A correlator without memory.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let ids = rules.correlations().iter().enumerate();
        let by_id = ids.filter_map(|(at, one)| Some((rules.rule(one.number)?.id.clone(), at))).collect();
        let shapes = rules.correlations().iter().map(|one| hash_of(&shape(&rules, one))).collect();
        let state = State { version: VERSION, ..State::default() };
        Self { rules, by_id, shapes, state, limit: usize::MAX, gone: Parts::new() }
    }

    /// With at most `groups` groups for each rule and agency, where the usual bound would allow more.
    #[must_use]
    pub fn with_limit(mut self, groups: usize) -> Self {
        self.limit = groups.max(1);
        self
    }

    /// Takes one match and gives the correlation that it completes, if any; what that one in turn is to correlations
    /// around it stands in [`CorrelationMatch::onward`].
    pub fn observe(&mut self, seen: &RuleMatchKeyed) -> Vec<CorrelationMatch> {
        let rules = Arc::clone(&self.rules);
        let definition = self.by_id.get(&seen.correlation).and_then(|&at| rules.correlations().get(at));
        let Some(definition) = definition else { return Vec::new() };
        let base = |&number: &usize| rules.rule(number).is_some_and(|rule| rule.id == seen.base);
        let Some(place) = definition.rules.iter().position(base) else { return Vec::new() };
        if definition.awaits_end() {
            return self.gather(definition, seen, place);
        }
        let Some(book) = self.book(definition, seen) else { return Vec::new() };
        let key = group_key(&seen.group);
        book.saving.touch(&key);
        let group = book.groups.entry(key).or_insert_with(|| Group::new(definition, seen.at));
        group.touch(book.sweeps);
        let Some(measure) = group.record(definition, seen, place) else { return Vec::new() };
        let last = group.newest();
        let mut found = CorrelationMatch {
            rule: definition.number,
            scope: seen.scope.clone(),
            group: seen.group.clone(),
            count: measure.count,
            value: (!definition.kind.is_count()).then_some(measure.number),
            first: Timestamp::from_nanos(measure.first.unwrap_or(last)),
            last: Timestamp::from_nanos(last),
            events: group.events(),
            closed: None,
            onward: Vec::new(),
        };
        found.onward = keyed::onward(&rules, &found, seen);
        vec![found]
    }

    /// Takes one match for a correlation that is judged when its windows are over; gives those that are.
    fn gather(
        &mut self,
        definition: &Definition,
        seen: &RuleMatchKeyed,
        place: usize,
    ) -> Vec<CorrelationMatch> {
        let key = group_key(&seen.group);
        let now = seen.at.nanos();
        let (mut found, limit) = (Vec::new(), definition.max_groups().min(self.limit));
        let books = self.state.rules.get_mut(&seen.correlation);
        if let Some(book) = books.and_then(|books| books.get_mut(&seen.scope)) {
            let full = book.groups.len() >= limit && !book.groups.contains_key(&key);
            // All that are over now and then, and before one has to go for want of room.
            let only = (!full && !book.is_due(definition, now)).then_some(key.as_str());
            book.close(definition, &seen.scope, (now, false), only, &mut found);
        }
        let Some(book) = self.book(definition, seen) else { return found };
        book.saving.touch(&key);
        let group = book.groups.entry(key).or_insert_with(|| Group::new(definition, seen.at));
        group.touch(book.sweeps);
        group.gather(definition, seen, place);
        found
    }

    /// True when the correlation of this id judges its windows only when they are over.
    pub fn awaits_end(&self, id: &str) -> bool {
        let definition = self.by_id.get(id).and_then(|&at| self.rules.correlations().get(at));
        definition.is_some_and(Definition::awaits_end)
    }

    /// Judges the windows that are over because everything up to `now`, the watermark of event time of their scope, was
    /// told: those of conditions that ask for something to be missing.
    pub fn close(&mut self, now: impl Fn(&str) -> Option<Timestamp>) -> Vec<CorrelationMatch> {
        let mut found = Vec::new();
        for (id, scopes) in &mut self.state.rules {
            let definition = self.by_id.get(id).and_then(|&at| self.rules.correlations().get(at));
            let Some(definition) = definition.filter(|one| one.awaits_end()) else { continue };
            for (scope, book) in scopes {
                if let Some(now) = now(scope) {
                    book.close(definition, scope, (now.nanos(), true), None, &mut found);
                }
            }
        }
        found
    }

    /// [`Correlator::observe`], and the same for everything that becomes of it in chains, from the inside out.
    pub fn observe_all(&mut self, seen: &RuleMatchKeyed) -> Vec<CorrelationMatch> {
        let mut found = self.observe(seen);
        let mut at = 0;
        while let Some(one) = found.get(at) {
            for onward in one.onward.clone() {
                found.extend(self.observe(&onward));
            }
            at += 1;
        }
        found
    }

    /// The groups of the match's rule and agency, with room for one more.
    fn book(&mut self, definition: &Definition, seen: &RuleMatchKeyed) -> Option<&mut Book> {
        let limit = definition.max_groups().min(self.limit);
        let at = self.by_id.get(&seen.correlation).copied().unwrap_or_default();
        let shape = self.shapes.get(at).copied().unwrap_or_default();
        let scopes = self.state.rules.entry(seen.correlation.clone()).or_default();
        if scopes.len() >= MAX_SCOPES && !scopes.contains_key(&seen.scope) {
            for (scope, book) in scopes.extract_if(.., |_, book| {
                book.drop_idle(definition, seen.at.nanos());
                book.groups.is_empty()
            }) {
                book.saving.remove(&seen.correlation, &scope, &mut self.gone);
            }
            if scopes.len() >= MAX_SCOPES {
                self.state.refused += 1;
                return None;
            }
        }
        let book = scopes.entry(seen.scope.clone()).or_insert_with(|| Book::new(shape));
        let now = seen.at.nanos();
        if book.is_due(definition, now) {
            book.sweep(definition, now);
        }
        if book.groups.len() >= limit && !book.groups.contains_key(&group_key(&seen.group)) {
            book.make_room(definition, now, limit);
        }
        Some(book)
    }

    /// Drops groups of which nothing counts any more at `now`, the watermark of event time of their scope. It changes no
    /// result.
    pub fn forget_idle(&mut self, now: impl Fn(&str) -> Option<Timestamp>) {
        for (id, scopes) in &mut self.state.rules {
            let definition = self.by_id.get(id).and_then(|&at| self.rules.correlations().get(at));
            let Some(definition) = definition else { continue };
            for (scope, book) in &mut *scopes {
                if let Some(now) = now(scope).map(Timestamp::nanos)
                    && now.saturating_sub(book.swept) > nanos(definition.timespan) / 2
                {
                    book.sweep(definition, now);
                }
            }
            for (scope, book) in scopes.extract_if(.., |_, book| book.groups.is_empty() && book.evicted == 0)
            {
                book.saving.remove(id, &scope, &mut self.gone);
            }
        }
    }

    /// How many groups that still counted were given up because of the bounds, and matches of too many agencies.
    pub fn evicted(&self) -> u64 {
        let books = self.state.rules.values().flat_map(BTreeMap::values);
        books.map(|book| book.evicted).sum::<u64>() + self.state.refused
    }

    /// The same by rule and agency, most first.
    pub fn evictions(&self) -> Vec<Eviction> {
        let rules = self.state.rules.iter();
        let all =
            rules.flat_map(|(rule, scopes)| scopes.iter().map(move |(scope, book)| (rule, scope, book)));
        let lost = all.filter(|(.., book)| book.evicted > 0);
        let mut evictions: Vec<Eviction> = lost
            .map(|(rule, scope, book)| Eviction {
                rule: rule.clone(),
                scope: scope.clone(),
                groups: book.evicted,
            })
            .collect();
        evictions.sort_by_key(|one| Reverse(one.groups));
        evictions
    }

    /// How many groups are remembered.
    pub fn groups(&self) -> usize {
        self.state.rules.values().flat_map(BTreeMap::values).map(|book| book.groups.len()).sum()
    }

    /// The state as JSON text, with its version.
    ///
    /// # Errors
    /// Never in practice: the state holds texts and numbers only.
    pub fn save(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&self.state)
    }

    /// Takes a saved state instead of the present one; what belongs to rules that are no longer there, or that now
    /// count something else, is left out.
    ///
    /// # Errors
    /// When it is no state, or one of another version; the present state stays.
    pub fn restore(&mut self, text: &str) -> Result<(), StateError> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            version: u32,
        }
        let head: Head = serde_json::from_str(text)?;
        if head.version != VERSION {
            return Err(StateError::Version { found: head.version });
        }
        let mut state: State = serde_json::from_str(text)?;
        state.rules.retain(|id, scopes| {
            let Some(&at) = self.by_id.get(id) else { return false };
            let known = self.rules.correlations().get(at).zip(self.shapes.get(at));
            let Some((definition, shape)) = known else { return false };
            scopes.retain(|_, book| {
                book.shape == *shape && book.groups.values().all(|group| group.is_of(definition))
            });
            true
        });
        for book in state.rules.values_mut().flat_map(BTreeMap::values_mut) {
            book.saving.touch_head();
            book.groups.keys().for_each(|key| book.saving.touch(key));
        }
        self.state = state;
        Ok(())
    }

    /// The parts of the state that changed since this was last asked, or since it was restored, by name.
    ///
    /// # Errors
    /// Never in practice: the state holds texts and numbers only.
    pub fn save_changes(&mut self) -> Result<Parts, serde_json::Error> {
        let mut parts = std::mem::take(&mut self.gone);
        for (id, scopes) in &mut self.state.rules {
            for (scope, book) in scopes {
                let mut saving = std::mem::take(&mut book.saving);
                saving.save((id, scope), || book.head(), &book.groups, |group| group, &mut parts)?;
                book.saving = saving;
            }
        }
        Ok(parts)
    }

    /// Takes the parts that were saved instead of the present state. Left out, and removed with the next changes, is
    /// what cannot be read, has another version, or belongs to a rule that is no longer there or now counts something
    /// else.
    ///
    /// # Errors
    /// The first part that cannot be read or has another version; all others are taken nevertheless.
    pub fn restore_parts<'p>(
        &mut self,
        parts: impl Iterator<Item = (&'p str, &'p str)> + Clone,
    ) -> Result<(), StateError> {
        self.state = State { version: VERSION, ..State::default() };
        let (gone, outcome) = take_back(parts, |name, text| self.restore_part(name, text));
        self.gone = gone;
        outcome
    }

    /// False when the part belongs to nothing that is there.
    fn restore_part(&mut self, name: &str, text: &str) -> Result<bool, StateError> {
        let Some((id, scope, part)) = read_name(name) else { return Ok(false) };
        let Some(&at) = self.by_id.get(&id) else { return Ok(false) };
        let known = self.rules.correlations().get(at).zip(self.shapes.get(at));
        let Some((definition, &shape)) = known else { return Ok(false) };
        if part.is_none() {
            let head: Head = serde_json::from_str(text)?;
            if head.version != VERSION {
                return Err(StateError::Version { found: head.version });
            }
            if head.shape != shape {
                return Ok(false);
            }
            let Head { swept, sweeps, evicted, recall, .. } = head;
            let book = Book { shape, swept, sweeps, evicted, recall, ..Book::default() };
            self.state.rules.entry(id.clone()).or_default().insert(scope.clone(), book);
        }
        let book = self.state.rules.get_mut(&id).and_then(|scopes| scopes.get_mut(&scope));
        let Some(book) = book else { return Ok(false) };
        if part.is_some() {
            let groups: BTreeMap<String, Group> = serde_json::from_str(text)?;
            if !groups.values().all(|group| group.is_of(definition)) {
                return Ok(false);
            }
            book.groups.extend(groups);
        }
        book.saving.is_stored(part);
        Ok(true)
    }
}

/// What a correlation counts, in words: its type, the ids of its rules, its fields.
fn shape(rules: &RuleSet, definition: &Definition) -> String {
    let bases: Vec<&str> =
        definition.rules.iter().filter_map(|&base| Some(rules.rule(base)?.id.as_str())).collect();
    let closes = if definition.awaits_end() { " closed" } else { "" };
    format!("{:?} {bases:?} {:?} {:?}{closes}", definition.kind, definition.group_by, definition.counted)
}

fn group_key(group: &[(String, String)]) -> String {
    let values: Vec<&str> = group.iter().map(|(_, value)| value.as_str()).collect();
    serde_json::to_string(&values).unwrap_or_default()
}

impl Book {
    fn new(shape: u64) -> Self {
        let mut book = Self { shape, ..Self::default() };
        book.saving.touch_head();
        book
    }

    fn head(&self) -> Head {
        let recall = self.recall.clone();
        Head {
            version: VERSION,
            shape: self.shape,
            swept: self.swept,
            sweeps: self.sweeps,
            evicted: self.evicted,
            recall,
        }
    }

    /// True when it is time to sweep.
    fn is_due(&self, definition: &Definition, now: i64) -> bool {
        now.saturating_sub(self.swept) > nanos(definition.timespan)
    }

    /// Judges the windows that are over, of all groups or of `only` one.
    fn close(
        &mut self,
        definition: &Definition,
        scope: &str,
        (now, through): (i64, bool),
        only: Option<&str>,
        found: &mut Vec<CorrelationMatch>,
    ) {
        let mut judge = |key: &str, group: &mut Group| {
            if !group.is_over(definition.timespan, now, through) {
                return;
            }
            self.saving.touch(key);
            let Some((measure, events, newest)) = group.close(definition) else { return };
            found.push(CorrelationMatch {
                rule: definition.number,
                scope: scope.to_owned(),
                group: newest.group.clone(),
                count: measure.count,
                value: None,
                first: Timestamp::from_nanos(measure.first.unwrap_or(group.newest())),
                last: Timestamp::from_nanos(group.newest()),
                events,
                closed: Some(newest),
                onward: Vec::new(),
            });
        };
        match only {
            Some(key) => {
                if let Some(group) = self.groups.get_mut(key) {
                    judge(key, group);
                }
            }
            None => self.groups.iter_mut().for_each(|(key, group)| judge(key, group)),
        }
    }

    /// Drops groups that expired, but not those that took something not long ago: a source that was away tells of
    /// hours that are over for the others of its agency, and its windows count nevertheless.
    fn sweep(&mut self, definition: &Definition, now: i64) {
        let sweeps = self.sweeps;
        self.retain(|group| !(group.is_idle(definition.timespan, now) && group.is_left(sweeps)));
        self.swept = now;
        self.sweeps += 1;
        self.saving.touch_head();
    }

    /// Drops all groups that expired: there is no room for them.
    fn drop_idle(&mut self, definition: &Definition, now: i64) {
        self.retain(|group| !group.is_idle(definition.timespan, now));
    }

    fn retain(&mut self, stays: impl Fn(&Group) -> bool) {
        let saving = &mut self.saving;
        self.groups.retain(|key, group| {
            let stays = stays(group);
            if !stays {
                saving.touch(key);
            }
            stays
        });
    }

    /// Makes room for an eighth of `limit`: what counted least goes, of equals the one that began last, so that the
    /// frequent, the old and those that keep coming back survive a flood of made-up groups.
    fn make_room(&mut self, definition: &Definition, now: i64, limit: usize) {
        self.drop_idle(definition, now);
        self.saving.touch_head();
        self.recall.age(now, nanos(definition.timespan));
        let keep = limit - (limit / 8).max(1);
        let excess = self.groups.len().saturating_sub(keep);
        let mut order: Vec<(u64, Reverse<i64>, String)> = self
            .groups
            .iter()
            .map(|(key, group)| {
                let (count, since) = group.weight();
                (count + self.recall.weight(key), Reverse(since), key.clone())
            })
            .collect();
        order.sort_unstable();
        for (.., key) in order.into_iter().take(excess) {
            self.groups.remove(&key);
            self.saving.touch(&key);
            self.recall.note(&key);
            self.evicted += 1;
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
