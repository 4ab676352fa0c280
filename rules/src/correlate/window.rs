//! What one group of one correlation remembers: what counts of the last timespan, in bounded memory.
//!
//! Times are nanoseconds since 1970. What is exactly a timespan old still counts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use dongson_event::{Timestamp, identity};
use serde::{Deserialize, Serialize};

use super::RuleMatchKeyed;
use super::definition::{Definition, Kind};
use super::sample::{self, Sample};
use super::sequence::Sequence;

/// Most entries of a window of single values; sums are kept coarser beyond it, percentiles forget the oldest.
pub(super) const MAX_SAMPLES: usize = 4_096;
/// Most entries of a window of times; beyond it neighbours are joined.
const MAX_TIMES: usize = 8_192;
/// Most event ids of one report.
pub(super) const MAX_EVIDENCE: usize = 32;

/// What a window comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measure {
    /// How many events, values, rules or steps count.
    pub(super) count: u64,
    /// What the condition is about; not a number where nothing can be measured.
    pub(super) number: f64,
    /// Which rules matched: bit n is the n-th rule.
    pub(super) present: u64,
    /// The oldest entry that counts.
    pub(super) first: Option<i64>,
}

/// One group: its window, and what was told about it.
///
/// A match that is older than the newest of its group counts as of the newest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    window: Window,
    newest: i64,
    /// True while the condition holds since the last report.
    holding: bool,
    reported: Option<i64>,
    /// The newest events that count, oldest first.
    evidence: VecDeque<(i64, String)>,
    /// How often its book had been swept when it last took something.
    #[serde(default)]
    touched: u64,
    /// Of a condition that is judged when the window is over: the window that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<Open>,
}

/// A window that begins with a match and ends exactly a timespan later, whatever comes in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Open {
    since: i64,
    /// The newest match in it.
    newest: Box<RuleMatchKeyed>,
}

/// The window of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Window {
    /// Moments, each with how many events it stands for.
    Times(VecDeque<(i64, u32)>),
    /// Hash of each value and when it was last seen.
    Values(Values),
    /// Place of each rule and when it last matched.
    Rules(BTreeMap<usize, i64>),
    Sequence(Sequence),
    Numbers(VecDeque<Sample>),
    /// Hash of each value, also of equal ones.
    Shares(VecDeque<(i64, u64)>),
}

/// Different values by their hash, findable by age.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(i64, u64)>", into = "Vec<(i64, u64)>")]
struct Values {
    by_value: BTreeMap<u64, i64>,
    by_age: BTreeSet<(i64, u64)>,
}

impl From<Vec<(i64, u64)>> for Values {
    fn from(pairs: Vec<(i64, u64)>) -> Self {
        Self {
            by_value: pairs.iter().map(|(at, hash)| (*hash, *at)).collect(),
            by_age: pairs.into_iter().collect(),
        }
    }
}

impl From<Values> for Vec<(i64, u64)> {
    fn from(values: Values) -> Self {
        values.by_age.into_iter().collect()
    }
}

impl Values {
    fn insert(&mut self, at: i64, hash: u64) {
        if let Some(old) = self.by_value.insert(hash, at) {
            self.by_age.remove(&(old, hash));
        }
        self.by_age.insert((at, hash));
    }

    fn drop_oldest(&mut self) {
        if let Some((_, hash)) = self.by_age.pop_first() {
            self.by_value.remove(&hash);
        }
    }
}

/// A value as a number of its own; 64 bits of a cryptographic hash.
pub(super) fn hash_of(value: &str) -> u64 {
    let (high, _) = identity::uuid_of(&[value.as_bytes()]).as_u64_pair();
    high
}

impl Group {
    pub(super) fn new(definition: &Definition, at: Timestamp) -> Self {
        let window = match definition.kind {
            Kind::EventCount => Window::Times(VecDeque::new()),
            Kind::ValueCount => Window::Values(Values::default()),
            Kind::Temporal => Window::Rules(BTreeMap::new()),
            Kind::TemporalOrdered => Window::Sequence(Sequence::of(definition.rules.len())),
            Kind::Sum | Kind::Average | Kind::Percentile(_) => Window::Numbers(VecDeque::new()),
            Kind::Share => Window::Shares(VecDeque::new()),
        };
        Self {
            window,
            newest: at.nanos(),
            holding: false,
            reported: None,
            evidence: VecDeque::new(),
            touched: 0,
            open: None,
        }
    }

    /// Takes one match of the rule at `place` of the list. Gives what the window comes to when the correlation is to
    /// be reported: when it is reached, and again each timespan for as long as it stays so.
    pub(super) fn record(
        &mut self,
        definition: &Definition,
        seen: &RuleMatchKeyed,
        place: usize,
    ) -> Option<Measure> {
        let at = self.newest.max(seen.at.nanos());
        self.newest = at;
        self.forget(definition.timespan, at);
        let value = seen.value.as_deref().unwrap_or_default();
        // The share of a value is about that one value: each is a question of its own.
        self.holding &= definition.kind != Kind::Share
            && definition.wanted.holds(&self.window.measure(definition.kind, value));
        self.window.insert(definition, at, seen, place)?;
        self.evidence.push_back((at, seen.event.clone()));
        while self.evidence.len() > MAX_EVIDENCE {
            self.evidence.pop_front();
        }
        let measure = self.window.measure(definition.kind, value);
        if !definition.wanted.holds(&measure) {
            self.holding = false;
            return None;
        }
        let span = nanos(definition.timespan);
        let again = self.reported.is_none_or(|last| at.saturating_sub(last) >= span);
        let report = !self.holding || again;
        self.holding = true;
        if report {
            self.reported = Some(at);
        }
        report.then_some(measure)
    }

    /// Takes one match of the rule at `place` for a condition that is judged when the window is over. The window of a
    /// match that is not in it any more was closed before ([`Group::close`]).
    pub(super) fn gather(&mut self, definition: &Definition, seen: &RuleMatchKeyed, place: usize) {
        let at = self.newest.max(seen.at.nanos());
        self.newest = at;
        let newest = Box::new(seen.clone());
        match &mut self.open {
            Some(open) => open.newest = newest,
            None => self.open = Some(Open { since: at, newest }),
        }
        // Only windows of values have matches that do not count.
        let _counts = self.window.insert(definition, at, seen, place);
        self.evidence.push_back((at, seen.event.clone()));
        while self.evidence.len() > MAX_EVIDENCE {
            self.evidence.pop_front();
        }
    }

    /// True when its open window is over, because everything before `now` was told; with `through`, `now` itself, too.
    pub(super) fn is_over(&self, timespan: Duration, now: i64, through: bool) -> bool {
        self.open.as_ref().is_some_and(|open| {
            let end = open.since.saturating_add(nanos(timespan));
            end < now || (through && end == now)
        })
    }

    /// Ends the open window: what it comes to, its events and its newest match, if the condition holds.
    pub(super) fn close(
        &mut self,
        definition: &Definition,
    ) -> Option<(Measure, Vec<String>, Box<RuleMatchKeyed>)> {
        let open = self.open.take()?;
        let measure = self.window.measure(definition.kind, "");
        let events = self.events();
        self.evidence.clear();
        self.window.forget(i64::MAX);
        definition.wanted.holds(&measure).then_some((measure, events, open.newest))
    }

    /// It takes something after so many sweeps.
    pub(super) fn touch(&mut self, sweeps: u64) {
        self.touched = sweeps;
    }

    /// True when two sweeps found it as it is.
    pub(super) fn is_left(&self, sweeps: u64) -> bool {
        self.touched.saturating_add(2) <= sweeps
    }

    /// True when nothing of it counts any more at `now`.
    pub(super) fn is_idle(&self, timespan: Duration, now: i64) -> bool {
        self.open.is_none() && now.saturating_sub(self.newest) > nanos(timespan)
    }

    /// Drops what is older than the timespan.
    fn forget(&mut self, timespan: Duration, now: i64) {
        let since = now.saturating_sub(nanos(timespan));
        while self.evidence.front().is_some_and(|(at, _)| *at < since) {
            self.evidence.pop_front();
        }
        self.window.forget(since);
    }

    /// True when it is a window of this kind of correlation.
    pub(super) fn is_of(&self, definition: &Definition) -> bool {
        match (&self.window, definition.kind) {
            (Window::Times(_), Kind::EventCount)
            | (Window::Values(_), Kind::ValueCount)
            | (Window::Rules(_), Kind::Temporal)
            | (Window::Numbers(_), Kind::Sum | Kind::Average | Kind::Percentile(_))
            | (Window::Shares(_), Kind::Share) => true,
            (Window::Sequence(sequence), Kind::TemporalOrdered) => {
                sequence.length() == definition.rules.len()
            }
            _ => false,
        }
    }

    pub(super) fn newest(&self) -> i64 {
        self.newest
    }

    /// Ids of the events that count, oldest first.
    pub(super) fn events(&self) -> Vec<String> {
        match &self.window {
            Window::Sequence(sequence) => sequence.events(),
            _ => self.evidence.iter().map(|(_, event)| event.clone()).collect(),
        }
    }

    /// How much it has counted, and since when: what is kept under a flood goes by it.
    pub(super) fn weight(&self) -> (u64, i64) {
        let measure = self.window.measure(Kind::EventCount, "");
        (measure.count, measure.first.unwrap_or(i64::MAX))
    }
}

pub(super) fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

impl Window {
    /// Takes one match; `None` when it has no value that counts.
    fn insert(
        &mut self,
        definition: &Definition,
        at: i64,
        seen: &RuleMatchKeyed,
        place: usize,
    ) -> Option<()> {
        let value = seen.value.as_deref().unwrap_or_default();
        match self {
            Self::Times(times) => {
                times.push_back((at, 1));
                shrink_times(times, definition.memory());
            }
            Self::Values(values) => {
                values.insert(at, hash_of(value));
                if values.by_age.len() > definition.memory() {
                    values.drop_oldest();
                }
            }
            Self::Rules(rules) => drop(rules.insert(place, at)),
            Self::Sequence(sequence) => sequence.insert(place, at, &seen.event),
            Self::Numbers(samples) => {
                let number = value.trim().parse().ok().filter(|number: &f64| number.is_finite())?;
                let exact = matches!(definition.kind, Kind::Percentile(_));
                sample::insert(samples, at, number, exact);
            }
            Self::Shares(shares) => {
                shares.push_back((at, hash_of(value)));
                if shares.len() > MAX_SAMPLES {
                    shares.pop_front();
                }
            }
        }
        Some(())
    }

    fn forget(&mut self, since: i64) {
        match self {
            Self::Times(times) => while times.pop_front_if(|(at, _)| *at < since).is_some() {},
            Self::Values(values) => {
                while values.by_age.first().is_some_and(|(at, _)| *at < since) {
                    values.drop_oldest();
                }
            }
            Self::Rules(rules) => rules.retain(|_, at| *at >= since),
            Self::Sequence(sequence) => sequence.forget(since),
            Self::Numbers(samples) => while samples.pop_front_if(|sample| sample.at < since).is_some() {},
            Self::Shares(shares) => while shares.pop_front_if(|(at, _)| *at < since).is_some() {},
        }
    }

    fn measure(&self, kind: Kind, newest: &str) -> Measure {
        let counted =
            |count: u64, first: Option<i64>| Measure { count, number: float(count), present: 0, first };
        match self {
            Self::Times(times) => {
                let count = times.iter().map(|(_, number)| u64::from(*number)).sum();
                counted(count, times.front().map(|(at, _)| *at))
            }
            Self::Values(values) => {
                counted(values.by_age.len() as u64, values.by_age.first().map(|(at, _)| *at))
            }
            Self::Rules(rules) => {
                let present = rules.keys().fold(0, |bits, place| bits | 1 << place);
                Measure { present, ..counted(rules.len() as u64, rules.values().min().copied()) }
            }
            Self::Sequence(sequence) => counted(sequence.steps(), sequence.first()),
            Self::Numbers(samples) => {
                let count = samples.iter().map(|sample| u64::from(sample.events)).sum();
                let number = sample::measure(samples, kind);
                Measure { number, ..counted(count, samples.front().map(|sample| sample.at)) }
            }
            Self::Shares(shares) => {
                let hash = hash_of(newest);
                let equal = shares.iter().filter(|(_, one)| *one == hash).count() as u64;
                let number = 100.0 * float(equal) / float(shares.len() as u64);
                let first = shares.front().map(|(at, _)| *at);
                Measure { number, ..counted(shares.len() as u64, first) }
            }
        }
    }
}

/// Keeps no more events than matter and no more entries than allowed: two neighbours become one at the later moment.
fn shrink_times(times: &mut VecDeque<(i64, u32)>, memory: usize) {
    let events: usize =
        if times.len() > memory { times.iter().map(|(_, number)| *number as usize).sum() } else { 0 };
    if events > memory
        && let Some(front) = times.front_mut()
    {
        front.1 -= 1;
        if front.1 == 0 {
            times.pop_front();
        }
    }
    if times.len() > MAX_TIMES {
        let all: Vec<(i64, u32)> = times.drain(..).collect();
        times.extend(all.chunks(2).filter_map(|pair| {
            let (at, _) = pair.last()?;
            Some((*at, pair.iter().map(|(_, number)| number).sum()))
        }));
    }
}

/// A count as a number; exact up to 2^32, beyond which no window counts.
pub(super) fn float(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
