//! What was found in parts: single matches in the order of files and records, then what correlations make of them. These
//! count in the order of event time over all files, as live: their matches wait until everything was read.

use std::collections::HashMap;
use std::sync::Arc;

use dongson_event::{Level, Matched, Timestamp};

use super::Hit;
use super::scan::{Found, Held};
use crate::correlate::{CorrelationMatch, Correlator, RuleMatchKeyed};
use crate::ruleset::RuleSet;

/// Which matches are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The least level. Rules below it still feed correlations.
    pub level: Level,
    /// Events before are left out, as if they were not there.
    pub from: Option<Timestamp>,
    /// Events from then on are left out, as if they were not there.
    pub to: Option<Timestamp>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { level: Level::Informational, from: None, to: None }
    }
}

impl Wanted {
    /// Whether the event counts. One without a time is in no range.
    fn holds(&self, time: Option<Timestamp>) -> bool {
        match time {
            _ if self.from.is_none() && self.to.is_none() => true,
            None => false,
            Some(time) => self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time < to),
        }
    }
}

/// How much may wait to be counted: beyond it the older half is counted early.
#[derive(Debug, Clone, Copy)]
struct Room {
    matches: usize,
    bytes: usize,
}

const ROOM: Room = Room { matches: 500_000, bytes: 256 << 20 };

/// Takes what was found, in the order of files and records, and gives matches.
#[derive(Debug)]
pub struct Merger {
    rules: Arc<RuleSet>,
    correlator: Correlator,
    wanted: Wanted,
    /// Records of the file in the parts before.
    before: u64,
    /// What correlations have still to count.
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
    room: Room,
    /// Where the newest match of each open window was found.
    open: HashMap<Window, Arc<Place>>,
    /// The last that was counted.
    counted: Option<(Timestamp, String)>,
    late: u64,
}

/// A match that a correlation counts, with where it was found.
#[derive(Debug)]
struct Waiting {
    seen: RuleMatchKeyed,
    at: Arc<Place>,
}

impl Waiting {
    /// Bytes of memory, about.
    fn size(&self) -> usize {
        let seen = &self.seen;
        let texts =
            [&seen.correlation, &seen.scope, &seen.base, &seen.event, &seen.source, &seen.organization];
        let pairs = seen.group.iter().map(|(name, value)| (name, value)).chain(&seen.carried);
        let pairs: usize =
            pairs.map(|(name, value)| name.len() + value.len() + 2 * size_of::<String>()).sum();
        let host = self.at.host.as_ref().map_or(0, String::len);
        size_of::<Self>()
            + size_of::<Place>()
            + texts.iter().map(|text| text.len()).sum::<usize>()
            + seen.value.as_ref().map_or(0, String::len)
            + pairs
            + host
    }
}

/// A window that is judged when it is over: its correlation, scope and group.
type Window = (String, String, Vec<(String, String)>);

fn window(seen: &RuleMatchKeyed) -> Window {
    (seen.correlation.clone(), seen.scope.clone(), seen.group.clone())
}

/// Where a match was found.
#[derive(Debug)]
struct Place {
    file: Arc<str>,
    number: u64,
    time: Option<Timestamp>,
    host: Option<String>,
}

impl Merger {
    /// Nothing was found yet.
    pub fn new(rules: Arc<RuleSet>, wanted: Wanted) -> Self {
        Self {
            correlator: Correlator::new(Arc::clone(&rules)),
            rules,
            wanted,
            before: 0,
            waiting: Vec::new(),
            waiting_bytes: 0,
            room: ROOM,
            open: HashMap::new(),
            counted: None,
            late: 0,
        }
    }

    /// Gives the matches of one part to `take`, one record after the other; the numbers of all records become those
    /// of the file. What correlations count waits for [`Merger::count`].
    pub fn add<E>(&mut self, found: &mut Found, take: &mut dyn FnMut(Hit) -> Result<(), E>) -> Result<(), E> {
        if found.first {
            self.before = 0;
        }
        if found.relative {
            found.bad.iter_mut().for_each(|bad| bad.number += self.before);
            found.hits.iter_mut().for_each(|held| held.number += self.before);
            self.before += found.places;
        }
        for held in std::mem::take(&mut found.hits) {
            self.record(&found.file, held, take)?;
        }
        self.keep_to_room(take)
    }

    /// Gives the matches of one record to `take`; what correlations count waits for [`Merger::count`].
    pub(super) fn record<E>(
        &mut self,
        file: &Arc<str>,
        held: Held,
        take: &mut dyn FnMut(Hit) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.wanted.holds(held.time) {
            return Ok(());
        }
        let at =
            Arc::new(Place { file: Arc::clone(file), number: held.number, time: held.time, host: held.host });
        for (found, keyed) in held.matches {
            self.tell(&at, found.rule, None, found.because, take)?;
            for seen in keyed {
                let waiting = Waiting { seen, at: Arc::clone(&at) };
                self.waiting_bytes += waiting.size();
                self.waiting.push(waiting);
            }
        }
        Ok(())
    }

    /// Counts all that waits, in the order of event time and id, and gives what correlations found to `take`.
    pub fn count<E>(&mut self, take: &mut dyn FnMut(Hit) -> Result<(), E>) -> Result<(), E> {
        self.count_oldest(usize::MAX, take)
    }

    /// Nothing more comes: counts all that waits, and judges the windows that were still open.
    pub fn end<E>(&mut self, take: &mut dyn FnMut(Hit) -> Result<(), E>) -> Result<(), E> {
        self.count(take)?;
        let never = Timestamp::from_nanos(i64::MAX);
        for reached in self.correlator.close(|_| Some(never)) {
            self.reached(reached, None, take)?;
        }
        self.open.clear();
        Ok(())
    }

    /// How many matches were older than what had to be counted before them, because too much waited.
    pub const fn late(&self) -> u64 {
        self.late
    }

    fn keep_to_room<E>(&mut self, take: &mut dyn FnMut(Hit) -> Result<(), E>) -> Result<(), E> {
        while self.waiting.len() > self.room.matches
            || self.waiting_bytes > self.room.bytes && !self.waiting.is_empty()
        {
            self.count_oldest(self.waiting.len().div_ceil(2), take)?;
        }
        Ok(())
    }

    fn count_oldest<E>(&mut self, most: usize, take: &mut dyn FnMut(Hit) -> Result<(), E>) -> Result<(), E> {
        // Stable: where both are the same, the order of files and records decides.
        self.waiting.sort_by(|one, other| order(one).cmp(&order(other)));
        let oldest: Vec<Waiting> = self.waiting.drain(..most.min(self.waiting.len())).collect();
        for one in oldest {
            self.waiting_bytes = self.waiting_bytes.saturating_sub(one.size());
            let place = (one.seen.at, one.seen.event.clone());
            if self.counted.as_ref().is_some_and(|counted| *counted > place) {
                self.late += 1;
            } else {
                self.counted = Some(place);
            }
            for reached in self.correlator.observe_all(&one.seen) {
                self.reached(reached, Some(&one.at), take)?;
            }
            if self.correlator.awaits_end(&one.seen.correlation) {
                self.open.insert(window(&one.seen), one.at);
            }
        }
        Ok(())
    }

    /// Tells of a correlation with the record that completed it, or with the newest one of a window that is over.
    fn reached<E>(
        &mut self,
        reached: CorrelationMatch,
        at: Option<&Arc<Place>>,
        take: &mut dyn FnMut(Hit) -> Result<(), E>,
    ) -> Result<(), E> {
        let newest = reached.closed.as_ref().and_then(|newest| self.open.remove(&window(newest)));
        let Some(at) = newest.as_ref().or(at) else { return Ok(()) };
        let group = reached.group.into_iter().map(|(field, value)| Matched {
            field,
            value: value.into(),
            selection: String::new(),
        });
        self.tell(at, reached.rule, Some(reached.count), group.collect(), take)
    }

    /// Rules that only feed correlations, and the inner correlations of a chain, are not told.
    fn tell<E>(
        &self,
        at: &Place,
        rule: usize,
        count: Option<u64>,
        fields: Vec<Matched>,
        take: &mut dyn FnMut(Hit) -> Result<(), E>,
    ) -> Result<(), E> {
        let told = self.rules.rule(rule).filter(|one| one.reported && one.level >= self.wanted.level);
        told.map_or(Ok(()), |told| {
            take(Hit {
                event: at.number,
                rule_id: told.id.clone(),
                rule_title: told.title.clone(),
                level: told.level,
                file: Arc::clone(&at.file),
                timestamp: at.time.map(|moment| moment.to_string()),
                host: at.host.clone(),
                count,
                fields,
                rule,
                moment: at.time,
            })
        })
    }
}

fn order(one: &Waiting) -> (Timestamp, &str) {
    (one.seen.at, &one.seen.event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, Tuner};
    use crate::ruleset::LoadOptions;
    use crate::taxonomy::{Mode, Taxonomies};
    use dongson_event::Event;

    const RULES: &str = "title: failed\nid: 0198c7a0-0000-4000-8000-000000000001\nname: failed\nlevel: low\nlogsource: {product: a}\ndetection: {s: {result: bad}, condition: s}\n---\ntitle: done\nid: 0198c7a0-0000-4000-8000-000000000002\nname: done\nlevel: low\nlogsource: {product: a}\ndetection: {s: {result: good}, condition: s}\n---\ntitle: guessed\nid: 0198c7a0-0000-4000-8000-000000000003\nlevel: high\ncorrelation: {type: temporal_ordered, rules: [failed, done], group-by: [user], timespan: 60s}\n";

    /// What is found in records of (second, user, result), and how many came late.
    fn found(records: &[(u32, &str, &str)], room: Room) -> (Vec<String>, u64) {
        let loaded = RuleSet::from_documents([("rules.yml", RULES)], &LoadOptions::default());
        assert_eq!(loaded.refused, []);
        let rules = Arc::new(loaded.rules);
        let engine = Engine::new(Arc::clone(&rules), Arc::new(Taxonomies::embedded()), Mode::Sigma, None);
        let mut scanner = super::super::scan::Scanner::new(Arc::new(Tuner::new(Arc::new(engine))), false);
        let mut merger = Merger { room, ..Merger::new(rules, Wanted::default()) };
        let mut users = Vec::new();
        let mut take = |hit: Hit| {
            if hit.count.is_some() {
                assert_eq!(hit.fields.len(), 1);
                users.push(hit.fields[0].value.to_text().into_owned());
            }
            Ok::<(), std::convert::Infallible>(())
        };
        for (number, (second, user, result)) in (1..).zip(records) {
            let json = format!(
                r#"{{"@timestamp":"2026-11-23T10:00:{second:02}Z","product":"a","user":"{user}","result":"{result}","Computer":"{user}"}}"#
            );
            let (event, _) = Event::parse(json.as_bytes()).unwrap();
            let Some(held) = scanner.event(number, event) else { continue };
            merger.record(&Arc::from("a.jsonl"), held, &mut take).unwrap();
            merger.keep_to_room(&mut take).unwrap();
        }
        merger.count(&mut take).unwrap();
        assert_eq!(merger.waiting_bytes, 0);
        (users, merger.late())
    }

    #[test]
    fn correlations_count_by_event_time_whatever_the_order_of_records() {
        let records = [(5, "bob", "good"), (0, "bob", "bad"), (20, "dan", "bad"), (10, "dan", "good")];
        assert_eq!(found(&records, ROOM), (vec!["bob".to_owned()], 0));
    }

    #[test]
    fn what_had_to_be_counted_early_is_told() {
        let records = [(5, "bob", "good"), (6, "eve", "bad"), (7, "eve", "good"), (0, "bob", "bad")];
        for room in [Room { matches: 2, ..ROOM }, Room { bytes: 1, ..ROOM }] {
            assert_eq!(found(&records, room), (vec!["eve".to_owned()], 1), "{room:?}");
        }
    }
}
