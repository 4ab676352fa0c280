//! How far the sources of each agency have told: what the watermarks are made of.
//!
//! A source (a monitored point) that told an event of some moment has told everything older than that moment less a
//! stated lateness. An agency has told what all its sources have told; not waited for are sources whose time has not
//! moved for a while (they are silent, or their clock stands still), and those far behind the newest one (a backlog,
//! a clock that is behind). The clock is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use dongson_event::Timestamp;
use serde::{Deserialize, Serialize};

use super::PROVINCE;
use super::order::NEVER;

/// Most sources of one agency that are waited for: made-up ones beyond it displace none that are known.
const MAX_SOURCES: usize = 4_096;
/// Most sources of all agencies.
const MAX_SOURCES_OF_ALL: usize = 65_536;
/// How long a source can hold events back.
const LONGEST_SPOOL: Duration = Duration::from_hours(7 * 24);
/// Parts an agency from what is to be apart in it: the session of a drill.
const APART: char = '\u{1f}';

/// How long is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lateness {
    /// How much older than the newest of its source an event may come. Zero: each source is in order.
    pub within_source: Duration,
    /// How far a source may be behind the newest one of its agency before nobody waits for it any longer.
    pub between_sources: Duration,
    /// How long a source whose time does not move is waited for, by the clock.
    pub idle: Duration,
}

impl Default for Lateness {
    fn default() -> Self {
        Self {
            within_source: Duration::from_secs(10),
            between_sources: Duration::from_mins(2),
            idle: Duration::from_secs(10),
        }
    }
}

/// A record of the log: up to when each agency has told everything. Agencies that are not named have nobody to wait for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Watermarks(BTreeMap<String, Timestamp>);

impl Watermarks {
    /// The agency's watermark.
    pub fn of(&self, agency: &str) -> Option<Timestamp> {
        self.0.get(agency).copied()
    }

    /// What the parts of the input have told together: of each agency the least that a part names, but for those that are
    /// further than `between_sources` behind the newest; and of all agencies together likewise. A part that does not
    /// name an agency has nobody of it to wait for.
    #[must_use]
    pub fn together<'t>(parts: impl Iterator<Item = &'t Told> + Clone, between_sources: Duration) -> Self {
        // What is later was read ahead, and displaces nobody who is still to be read.
        let Some(clock) = parts.clone().map(|part| part.clock).min() else { return Self::default() };
        let mut agencies: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
        for (agency, at) in parts.flat_map(|part| &part.marks.0) {
            agencies.entry(agency).or_default().push(*at);
        }
        let mut marks: BTreeMap<String, Timestamp> = agencies
            .into_iter()
            .filter_map(|(agency, all)| {
                Some((agency.to_owned(), least(all.into_iter(), clock, between_sources)?))
            })
            .collect();
        if let Some(least) = least(marks.values().copied(), clock, between_sources) {
            marks.insert(PROVINCE.to_owned(), least);
        }
        Self(marks)
    }

    /// The least of several that tell the same at different times; nothing is released of the agencies that some name and
    /// others do not (yet, or any more): they will soon say the same.
    #[must_use]
    pub fn least<'o>(all: impl IntoIterator<Item = &'o Self>) -> Self {
        let all: Vec<&Self> = all.into_iter().collect();
        let mut marks: BTreeMap<String, Timestamp> = BTreeMap::new();
        for agency in all.iter().flat_map(|one| one.0.keys()) {
            if !marks.contains_key(agency) {
                let least = all.iter().map(|one| one.of(agency).unwrap_or(NEVER)).min();
                marks.insert(agency.clone(), least.unwrap_or(NEVER));
            }
        }
        Self(marks)
    }

    /// Before this nothing of `scope` follows in its order any more: its agency's watermark; without one, what is older
    /// than any source holds events back, beside the newest of the others.
    pub fn settled(&self, scope: &str) -> Option<Timestamp> {
        let newest = || self.0.values().max().map(|at| at.minus(LONGEST_SPOOL));
        self.of(agency_of(scope)).or_else(newest)
    }

    /// Up to when windows of `scope` are over: of an agency of which nobody speaks, up to when the others are.
    pub fn passed(&self, scope: &str) -> Option<Timestamp> {
        self.of(agency_of(scope)).or_else(|| self.0.values().max().copied())
    }
}

/// What one part of the input (a partition, which has one reader at a time) has told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// How far it is read: the offset of the next record.
    pub read: u64,
    /// Up to when it is processed, by the clock.
    pub clock: Timestamp,
    /// How far its sources have told.
    pub marks: Watermarks,
}

impl<A: Into<String>> FromIterator<(A, Timestamp)> for Watermarks {
    fn from_iter<I: IntoIterator<Item = (A, Timestamp)>>(marks: I) -> Self {
        Self(marks.into_iter().map(|(agency, at)| (agency.into(), at)).collect())
    }
}

/// The agency of a scope that may name a drill's session, too.
pub(super) fn agency_of(scope: &str) -> &str {
    scope.split_once(APART).map_or(scope, |(agency, _)| agency)
}

/// Knows which sources speak, and how far each is.
#[derive(Debug)]
pub struct Progress {
    lateness: Lateness,
    /// When the first event or question came, by the clock.
    began: Option<Timestamp>,
    agencies: BTreeMap<String, BTreeMap<String, Source>>,
    sources: usize,
    told: Option<Watermarks>,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    /// The newest moment that it told.
    newest: Timestamp,
    /// When that last rose, by the clock.
    moved: Timestamp,
    /// When it last told anything.
    heard: Timestamp,
}

impl Progress {
    /// Knows nobody yet. For [`Lateness::idle`] it listens and says nothing, so that it knows who speaks.
    pub fn new(lateness: Lateness) -> Self {
        Self { lateness, began: None, agencies: BTreeMap::new(), sources: 0, told: None }
    }

    /// A source told events up to `at` (event time, no later than they were taken in). `now`, here and below, never
    /// goes back; it says how far the input is processed, not what the wall clock shows.
    pub fn tell(&mut self, agency: &str, source: &str, at: Timestamp, now: Timestamp) {
        self.began.get_or_insert(now);
        if !self.agencies.contains_key(agency) {
            self.agencies.insert(agency.to_owned(), BTreeMap::new());
        }
        let Some(own) = self.agencies.get_mut(agency) else { return };
        if let Some(known) = own.get_mut(source) {
            known.heard = now;
            if at > known.newest {
                *known = Source { newest: at, moved: now, heard: now };
            }
        } else if own.len() < MAX_SOURCES && self.sources < MAX_SOURCES_OF_ALL {
            own.insert(source.to_owned(), Source { newest: at, moved: now, heard: now });
            self.sources += 1;
        }
    }

    /// What is to be written into the log now; `None` while nothing changed.
    pub fn watermarks(&mut self, now: Timestamp) -> Option<Watermarks> {
        let began = *self.began.get_or_insert(now);
        self.forget(now);
        if now.since(began) < self.lateness.idle {
            return None;
        }
        let marks = self.marks(now);
        if self.told.as_ref() == Some(&marks) {
            return None;
        }
        self.told = Some(marks.clone());
        Some(marks)
    }

    /// How many sources speak.
    pub fn sources(&self) -> usize {
        self.sources
    }

    /// Drops sources that are silent.
    fn forget(&mut self, now: Timestamp) {
        let idle = self.lateness.idle;
        self.agencies.retain(|_, own| {
            own.retain(|_, source| now.since(source.heard) < idle);
            !own.is_empty()
        });
        self.sources = self.agencies.values().map(BTreeMap::len).sum();
    }

    /// All agencies that speak: for whom something waits is known where it waits.
    fn marks(&self, now: Timestamp) -> Watermarks {
        let is_moving = |source: &&Source| now.since(source.moved) < self.lateness.idle;
        self.agencies
            .iter()
            .filter_map(|(agency, sources)| {
                let newest = sources.values().filter(is_moving).map(|source| source.newest);
                Some((agency.as_str(), self.behind(newest, now)?))
            })
            .collect()
    }

    /// What sources that told up to `newest` have told completely.
    fn behind(&self, newest: impl Iterator<Item = Timestamp> + Clone, now: Timestamp) -> Option<Timestamp> {
        // Others of the same moment may follow: only what is older is complete.
        let least = least(newest, now, self.lateness.between_sources)?;
        Some(least.minus(self.lateness.within_source).minus(Duration::from_nanos(1)))
    }
}

/// The earliest of those that are not too far behind the newest; what is later than the clock was read ahead.
fn least(
    all: impl Iterator<Item = Timestamp> + Clone,
    now: Timestamp,
    between_sources: Duration,
) -> Option<Timestamp> {
    let since = all.clone().max()?.min(now).minus(between_sources);
    all.filter(|at| *at >= since).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENESS: Lateness = Lateness {
        within_source: Duration::from_secs(5),
        between_sources: Duration::from_mins(2),
        idle: Duration::from_secs(10),
    };

    fn second(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    /// Sources of agency `a` that told these moments from second 1,000 on, one a second, behind the clock as stated.
    fn spoken(behind: &[i64], until: i64) -> Progress {
        let mut progress = Progress::new(LATENESS);
        for now in 1_000..=until {
            for (number, behind) in behind.iter().enumerate() {
                progress.tell("a", &format!("s{number}"), second(now - behind), second(now));
            }
        }
        progress
    }

    /// How far behind the clock agency `a` is, less the lateness.
    fn waited(progress: &mut Progress, now: i64) -> Option<i64> {
        let mark = progress.watermarks(second(now))?.of("a")?;
        Some(now - 5 - mark.seconds() - 1)
    }

    #[test]
    fn the_slowest_is_waited_for_but_not_for_ever() {
        for (behind, expected) in [
            (vec![0], 0),
            (vec![0, 30], 30),
            (vec![0, 30, 119], 119),
            // A clock an hour behind, or a backlog: nobody waits for it, however few the others are.
            (vec![0, 3_600], 0),
            (vec![7, 3_600, 3_600, 3_600], 7),
            // All have a backlog: they wait for each other.
            (vec![3_600, 3_590], 3_600),
        ] {
            assert_eq!(waited(&mut spoken(&behind, 1_020), 1_020), Some(expected), "{behind:?}");
        }
    }

    #[test]
    fn it_listens_before_it_tells() {
        let mut progress = spoken(&[0], 1_005);
        assert_eq!(progress.watermarks(second(1_009)), None);
        assert!(progress.watermarks(second(1_010)).is_some());
        assert_eq!(progress.watermarks(second(1_010)), None, "nothing changed");
        // Nobody speaks, from the start: one record says so, and no more follow.
        let mut silent = Progress::new(LATENESS);
        assert_eq!(silent.watermarks(second(0)), None);
        assert_eq!(silent.watermarks(second(10)), Some(Watermarks::default()));
        assert_eq!(silent.watermarks(second(20)), None);
    }

    #[test]
    fn the_silent_and_the_stuck_hold_nobody_up() {
        let mut progress = spoken(&[0, 0], 1_020);
        for now in 1_021..1_040 {
            progress.tell("a", "s0", second(now), second(now));
            // `s1` speaks, but its clock stands still.
            progress.tell("a", "s1", second(1_020), second(now));
            let expected = if now < 1_030 { now - 1_020 } else { 0 };
            assert_eq!(
                waited(&mut progress, now),
                Some(expected).filter(|_| now >= 1_030 || now == 1_021),
                "{now}"
            );
        }
        // Both are silent: the agency has nobody to wait for; and once more the first speaks.
        assert_eq!(progress.watermarks(second(1_060)), Some(Watermarks::default()));
        assert_eq!(progress.sources(), 0);
        progress.tell("a", "s0", second(1_061), second(1_061));
        assert_eq!(waited(&mut progress, 1_061), Some(0));
    }

    fn told<const N: usize>(clock: i64, marks: [(&str, i64); N]) -> Told {
        let marks = marks.into_iter().map(|(agency, at)| (agency, second(at))).collect();
        Told { read: 0, clock: second(clock), marks }
    }

    #[test]
    fn parts_of_the_input_wait_for_one_another() {
        let together = |parts: &[Told]| {
            let marks = Watermarks::together(parts.iter(), LATENESS.between_sources);
            ["a", "b", PROVINCE].map(|agency| marks.of(agency).map(Timestamp::seconds))
        };
        let one = told(1_000, [("a", 990), ("b", 940)]);
        assert_eq!(together(&[]), [None; 3]);
        assert_eq!(together(std::slice::from_ref(&one)), [Some(990), Some(940), Some(940)]);
        // The other part has a slower source of `a`, and none of `b`.
        let other = told(1_000, [("a", 960)]);
        assert_eq!(together(&[one.clone(), other]), [Some(960), Some(940), Some(940)]);
        // A backlog is not waited for.
        let backlog = told(1_000, [("a", 500)]);
        assert_eq!(together(&[one.clone(), backlog]), [Some(990), Some(940), Some(940)]);
        // But a part that is read late only seems to be one.
        let late = told(560, [("a", 500)]);
        assert_eq!(together(&[one, late]), [Some(500), Some(940), Some(500)]);
    }

    #[test]
    fn who_is_a_record_behind_holds_what_it_does_not_name() {
        let marks = |named: &[(&str, i64)]| -> Watermarks {
            named.iter().map(|(agency, at)| (*agency, second(*at))).collect()
        };
        let (one, other) = (marks(&[("a", 7), ("b", 9)]), marks(&[("a", 5)]));
        let least = Watermarks::least([&one, &other]);
        assert_eq!((least.of("a"), least.of("b"), least.of("c")), (Some(second(5)), Some(NEVER), None));
    }

    #[test]
    fn made_up_sources_displace_none_that_are_known() {
        let mut progress = Progress::new(LATENESS);
        progress.tell("a", "real", second(1_000), second(1_000));
        for number in 0..200_000 {
            progress.tell(
                &format!("o{}", number % 50),
                &format!("made up {number}"),
                second(900),
                second(1_000),
            );
        }
        assert!(progress.sources() <= MAX_SOURCES_OF_ALL);
        progress.tell("a", "real", second(1_011), second(1_011));
        assert_eq!((waited(&mut progress, 1_011), progress.sources()), (Some(0), 1));
    }

    #[test]
    fn an_agency_is_settled_by_its_own_watermark() {
        let marks: Watermarks = [("a", second(5)), ("b", second(700_000))].into_iter().collect();
        assert_eq!(marks.settled("a\u{1f}drill"), Some(second(5)));
        assert_eq!(marks.settled("c"), Some(second(700_000 - 604_800)));
        assert_eq!(Watermarks::default().settled("a"), None);
        assert_eq!(
            (marks.passed("a\u{1f}drill"), marks.passed("c")),
            (Some(second(5)), Some(second(700_000)))
        );
        assert_eq!(Watermarks::default().passed("a"), None);
    }
}
