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

impl Lateness {
    /// The longest that an item can wait for its turn while its agency's sources speak.
    fn longest(&self) -> Duration {
        self.idle + self.between_sources + self.within_source
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

    /// The same, and nothing released of the agencies that it does not name although `others` do, which were told later:
    /// of these, more is to come from who is behind.
    #[must_use]
    pub fn held_by<'o>(mut self, others: impl Iterator<Item = &'o Self>) -> Self {
        for agency in others.flat_map(|other| other.0.keys()) {
            if !self.0.contains_key(agency) {
                self.0.insert(agency.clone(), NEVER);
            }
        }
        self
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
    /// When something of an agency last came that waits for its turn, by the clock.
    waiting: BTreeMap<String, Timestamp>,
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
        Self {
            lateness,
            began: None,
            agencies: BTreeMap::new(),
            sources: 0,
            waiting: BTreeMap::new(),
            told: None,
        }
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

    /// Something of this scope waits for its turn from now on.
    pub fn wait(&mut self, scope: &str, now: Timestamp) {
        let agency = agency_of(scope);
        match self.waiting.get_mut(agency) {
            Some(since) => *since = now,
            None => drop(self.waiting.insert(agency.to_owned(), now)),
        }
    }

    /// What is to be written into the log now; `None` while nothing changed.
    pub fn watermarks(&mut self, now: Timestamp) -> Option<Watermarks> {
        let began = *self.began.get_or_insert(now);
        self.forget(now);
        if now.since(began) < self.lateness.idle {
            return None;
        }
        let marks = self.marks(now, began);
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

    /// Drops sources that are silent, and agencies of which nothing waits any more.
    fn forget(&mut self, now: Timestamp) {
        let (idle, longest) = (self.lateness.idle, self.lateness.longest());
        self.agencies.retain(|_, own| {
            own.retain(|_, source| now.since(source.heard) < idle);
            !own.is_empty()
        });
        self.sources = self.agencies.values().map(BTreeMap::len).sum();
        self.waiting.retain(|_, since| now.since(*since) < longest);
    }

    fn marks(&self, now: Timestamp, began: Timestamp) -> Watermarks {
        // After a restart nobody knows for whom something waits.
        let all = now.since(began) < self.lateness.idle + self.lateness.longest();
        let is_moving = |source: &&Source| now.since(source.moved) < self.lateness.idle;
        let is_wanted = |agency: &str| all || self.waiting.contains_key(agency);
        let own: Vec<(&str, Timestamp)> = self
            .agencies
            .iter()
            .filter(|(agency, _)| is_wanted(agency) || is_wanted(PROVINCE))
            .filter_map(|(agency, sources)| {
                let newest = sources.values().filter(is_moving).map(|source| source.newest);
                Some((agency.as_str(), self.behind(newest, now)?))
            })
            .collect();
        let mut marks: BTreeMap<String, Timestamp> = own
            .iter()
            .filter(|(agency, _)| is_wanted(agency))
            .map(|(id, at)| ((*id).to_owned(), *at))
            .collect();
        if is_wanted(PROVINCE)
            && let Some(least) = self.least(own.iter().map(|(_, at)| *at), now)
        {
            marks.insert(PROVINCE.to_owned(), least);
        }
        Watermarks(marks)
    }

    /// What sources that told up to `newest` have told completely.
    fn behind(&self, newest: impl Iterator<Item = Timestamp> + Clone, now: Timestamp) -> Option<Timestamp> {
        // Others of the same moment may follow: only what is older is complete.
        let least = self.least(newest, now)?;
        Some(least.minus(self.lateness.within_source).minus(Duration::from_nanos(1)))
    }

    /// The earliest of those that are not too far behind the newest; what is later than the clock was read ahead.
    fn least(&self, all: impl Iterator<Item = Timestamp> + Clone, now: Timestamp) -> Option<Timestamp> {
        let since = all.clone().max()?.min(now).minus(self.lateness.between_sources);
        all.filter(|at| *at >= since).min()
    }
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

    #[test]
    fn only_agencies_for_which_something_waits_are_named() {
        let mut progress = spoken(&[0], 2_000);
        progress.tell("b", "s", second(1_990), second(2_000));
        assert_eq!(progress.watermarks(second(2_000)), Some(Watermarks::default()));
        progress.wait("b\u{1f}drill", second(2_000));
        let marks = progress.watermarks(second(2_000)).unwrap();
        assert_eq!((marks.of("a"), marks.of("b").map(Timestamp::seconds)), (None, Some(1_984)));
        // What counts all agencies together waits for all, and for nobody by name.
        progress.wait(PROVINCE, second(2_000));
        let marks = progress.watermarks(second(2_000)).unwrap();
        assert_eq!((marks.of("a"), marks.of(PROVINCE)), (None, marks.of("b")));
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
