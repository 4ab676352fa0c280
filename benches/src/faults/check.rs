//! The history checker: what was promised against what is in the store and in the queue of alerts, number by number.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::history::{Run, Runs, Way};
use super::machine::Clock;
use super::mark::{Kind, Mark, host};

/// An event that the collector took so long after it was made is late.
const LATE_MS: i64 = 10_000;

/// A row of the store: what it says, and when the collector says that it took it (milliseconds since 1970 UTC).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The field `message`.
    pub(crate) message: String,
    /// `event.ingested`.
    pub(crate) ingested_ms: i64,
}

/// An alert of ours: its host, and how often it is there and how many matches it counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AlertSeen {
    /// Entries of the queue.
    pub(crate) queued: u64,
    /// Matches that these count.
    pub(crate) counted: u64,
    /// Rows of the store's table of alerts.
    pub(crate) stored: u64,
}

/// Alerts by their host.
pub(crate) type Alerts = HashMap<String, AlertSeen>;

/// What became of one way in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    /// Events whose sending was begun.
    pub(crate) begun: u64,
    /// Events that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Different events in the store.
    pub(crate) stored: u64,
    /// Acknowledged, and not in the store.
    pub(crate) lost: u64,
    /// Never acknowledged, and not in the store: for plain syslog, lost between write and read.
    pub(crate) unread: u64,
    /// Rows too many.
    pub(crate) doubled: u64,
    /// Stored events that the collector took more than ten seconds after they were made.
    pub(crate) late: u64,
    /// Alerts that the stored events must raise.
    pub(crate) alerts: u64,
    /// Of these, those that are not in the queue, or not in the store.
    pub(crate) alerts_missing: u64,
    /// Alerts that are there more than once, or count more than they should.
    pub(crate) alerts_doubled: u64,
}

impl Outcome {
    /// True when a promise was broken.
    pub(crate) fn is_broken(&self) -> bool {
        self.lost + self.doubled + self.alerts_missing + self.alerts_doubled > 0
    }

    /// True when something is still on its way.
    pub(crate) fn is_waiting(&self) -> bool {
        self.lost + self.alerts_missing > 0
    }
}

/// What was found, with a few examples of what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    /// By way in.
    pub(crate) ways: BTreeMap<&'static str, Outcome>,
    /// Rows that nobody sent.
    pub(crate) rows_strange: u64,
    /// Alerts that no event explains.
    pub(crate) alerts_strange: u64,
    /// The first few things that are wrong, in words.
    pub(crate) examples: Vec<String>,
}

/// Most examples.
const EXAMPLES: usize = 20;

impl Verdict {
    /// True when a promise was broken.
    pub(crate) fn is_broken(&self) -> bool {
        self.rows_strange + self.alerts_strange > 0 || self.ways.values().any(Outcome::is_broken)
    }

    /// True when something is still on its way.
    pub(crate) fn is_waiting(&self) -> bool {
        self.ways.values().any(Outcome::is_waiting)
    }

    fn note(&mut self, example: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(example());
        }
    }
}

/// Rows of each number of one run.
type Counts = HashMap<u64, u64>;

/// Compares.
pub(crate) fn check(runs: &Runs, rows: &[Row], alerts: &Alerts, clocks: &[Clock]) -> Verdict {
    let mut verdict = Verdict::default();
    for way in Way::ALL {
        verdict.ways.insert(way.as_str(), Outcome::default());
    }
    let mut stored: HashMap<(&str, u32), Counts> = HashMap::new();
    for row in rows {
        let mark = Mark::parse(&row.message);
        let run = mark.and_then(|mark| Some((mark, runs.get(&(mark.lane.to_owned(), mark.run))?)));
        let Some((mark, run)) = run.filter(|(mark, run)| mark.number < run.begun) else {
            verdict.rows_strange += 1;
            verdict.note(|| format!("nobody sent {:?}", row.message));
            continue;
        };
        let outcome = verdict.ways.entry(run.way.as_str()).or_default();
        let count = stored.entry((mark.lane, mark.run)).or_default().entry(mark.number).or_default();
        *count += 1;
        if *count > 1 {
            outcome.doubled += 1;
            verdict.note(|| format!("doubled: {}", row.message));
            continue;
        }
        outcome.stored += 1;
        outcome.late += u64::from(taken_after(row.ingested_ms, mark.made_ms, clocks) > LATE_MS);
    }
    let mut explained = 0;
    for ((lane, number), run) in runs {
        let counts = stored.remove(&(lane.as_str(), *number)).unwrap_or_default();
        explained += judge((lane, *number), *run, &counts, alerts, &mut verdict);
    }
    verdict.alerts_strange = (alerts.len() as u64).saturating_sub(explained);
    if verdict.alerts_strange > 0 {
        let count = verdict.alerts_strange;
        verdict.note(|| format!("{count} alerts that no stored event explains"));
    }
    verdict
}

/// One run; answers how many alerts its events explain.
fn judge(
    (lane, number): (&str, u32),
    run: Run,
    counts: &Counts,
    alerts: &Alerts,
    verdict: &mut Verdict,
) -> u64 {
    let Run { way, begun, promised } = run;
    let mut found = Outcome { begun, acknowledged: promised, ..Outcome::default() };
    let mut explained = 0;
    for event in 0..begun {
        let is_there = counts.contains_key(&event);
        if !is_there && event < promised {
            found.lost += 1;
            verdict.note(|| format!("lost: {lane} run {number} number {event}"));
        }
        found.unread += u64::from(!is_there && event >= promised);
        let expected = match Kind::of(event) {
            Kind::Plain => continue,
            Kind::Single => is_there,
            // Judged once, at the last of the three.
            Kind::Step if event % 100 != 9 => continue,
            Kind::Step => is_there && counts.contains_key(&(event - 1)) && counts.contains_key(&(event - 2)),
        };
        let name = host(lane, number, event);
        let Some(seen) = alerts.get(&name) else {
            found.alerts += u64::from(expected);
            found.alerts_missing += u64::from(expected);
            if expected {
                verdict.note(|| format!("no alert about {name}"));
            }
            continue;
        };
        if !expected {
            // Counted by the caller: there is an alert that nothing explains.
            continue;
        }
        (found.alerts, explained) = (found.alerts + 1, explained + 1);
        if seen.queued == 0 || seen.stored == 0 {
            found.alerts_missing += 1;
            verdict.note(|| format!("the alert about {name} is half there: {seen:?}"));
        } else if *seen != (AlertSeen { queued: 1, counted: 1, stored: 1 }) {
            found.alerts_doubled += 1;
            verdict.note(|| format!("the alert about {name} is there too often: {seen:?}"));
        }
    }
    let sum = verdict.ways.entry(way.as_str()).or_default();
    sum.begun += found.begun;
    sum.acknowledged += found.acknowledged;
    sum.lost += found.lost;
    sum.unread += found.unread;
    sum.alerts += found.alerts;
    sum.alerts_missing += found.alerts_missing;
    sum.alerts_doubled += found.alerts_doubled;
    explained
}

/// How long after it was made the collector took an event, by the harness's clock: the least that fits one of the
/// clocks that the collector had.
fn taken_after(ingested_ms: i64, made_ms: i64, clocks: &[Clock]) -> i64 {
    let ends = clocks.iter().skip(1).map(|clock| clock.since_ms).chain([i64::MAX]);
    let taken = clocks.iter().zip(ends).filter_map(|(clock, end)| {
        let at = ingested_ms.saturating_sub(clock.ahead.saturating_mul(1_000));
        (clock.since_ms..end).contains(&at).then_some(at.saturating_sub(made_ms))
    });
    taken.filter(|after| *after >= 0).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCKS: [Clock; 2] = [Clock { since_ms: 0, ahead: 0 }, Clock { since_ms: 50_000, ahead: -40 }];

    fn row(lane: &str, number: u64) -> Row {
        Row { message: Mark { lane, run: 0, number, made_ms: 1_000 }.message(), ingested_ms: 2_000 }
    }

    fn alert(lane: &str, number: u64) -> (String, AlertSeen) {
        (host(lane, 0, number), AlertSeen { queued: 1, counted: 1, stored: 1 })
    }

    fn runs(way: Way, promised: u64) -> Runs {
        Runs::from([(("n0".to_owned(), 0), Run { way, begun: 20, promised })])
    }

    fn rows() -> Vec<Row> {
        (0..20).map(|number| row("n0", number)).collect()
    }

    #[track_caller]
    fn expect(
        runs: &Runs,
        rows: &[Row],
        alerts: &Alerts,
        broken: bool,
        look: fn(&Outcome) -> u64,
        count: u64,
    ) {
        let verdict = check(runs, rows, alerts, &CLOCKS);
        assert_eq!((verdict.is_broken(), look(&verdict.ways["ndjson"])), (broken, count), "{verdict:?}");
    }

    #[test]
    fn what_was_promised_and_is_there_once_is_whole() {
        let alerts = Alerts::from([alert("n0", 9)]);
        expect(&runs(Way::Ndjson, 20), &rows(), &alerts, false, |way| way.stored, 20);
        expect(&runs(Way::Ndjson, 20), &rows(), &alerts, false, |way| way.alerts, 1);
    }

    #[test]
    fn lost_doubled_and_strange_rows_are_found() {
        let (alerts, all) = (Alerts::from([alert("n0", 9)]), runs(Way::Ndjson, 20));
        expect(&all, &rows()[..19], &alerts, true, |way| way.lost, 1);
        expect(&runs(Way::Ndjson, 19), &rows()[..19], &alerts, false, |way| way.unread, 1);
        expect(&all, &[rows(), vec![row("n0", 3)]].concat(), &alerts, true, |way| way.doubled, 1);
        let verdict = check(&all, &[rows(), vec![row("n0", 20)]].concat(), &alerts, &CLOCKS);
        assert!(verdict.is_broken() && verdict.examples[0].contains("nobody sent"));
    }

    #[test]
    fn alerts_that_are_missing_doubled_or_unexplained_are_found() {
        let all = runs(Way::Ndjson, 20);
        expect(&all, &rows(), &Alerts::new(), true, |way| way.alerts_missing, 1);
        for bad in [(2, 2, 1), (1, 2, 1), (1, 1, 2)] {
            let seen = AlertSeen { queued: bad.0, counted: bad.1, stored: bad.2 };
            expect(
                &all,
                &rows(),
                &Alerts::from([(host("n0", 0, 9), seen)]),
                true,
                |way| way.alerts_doubled,
                1,
            );
        }
        let seen = AlertSeen { queued: 1, counted: 1, stored: 0 };
        expect(&all, &rows(), &Alerts::from([(host("n0", 0, 9), seen)]), true, |way| way.alerts_missing, 1);
        // Two of three were stored: an alert about them is one too many.
        let two: Vec<Row> = rows().into_iter().filter(|one| *one != row("n0", 8)).collect();
        let verdict = check(&runs(Way::Ndjson, 0), &two, &Alerts::from([alert("n0", 9)]), &CLOCKS);
        assert!(verdict.is_broken() && verdict.alerts_strange == 1, "{verdict:?}");
    }

    #[test]
    fn late_is_by_the_clock_that_the_collector_had() {
        assert_eq!(taken_after(2_000, 1_000, &CLOCKS), 1_000);
        // Taken at 60 s with a clock that was 40 s behind.
        assert_eq!(taken_after(20_000, 45_000, &CLOCKS), 15_000);
        assert_eq!(taken_after(20_000, 5_000, &CLOCKS), 15_000);
    }
}
