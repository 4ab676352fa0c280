//! Correlations through the public API: the order of arrival does not matter, and neither does a restart.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dongson_event::{Event, Timestamp};
use dongson_rules::correlate::{
    Disorder, Lateness, Progress, Room, RuleMatchKeyed, Sequencer, Watermarks, depths, keyed,
};
use dongson_rules::{CorrelationMatch, Correlator, LoadOptions, Matcher, Mode, RuleSet, Taxonomies};
use proptest::prelude::*;

/// One of each type, a chain, and a boolean condition; windows short enough to open and close often.
const RULES: &str = "
title: Fail
id: fail
logsource: {product: x}
detection: {s: {kind: fail}, condition: s}
---
title: Success
id: ok
logsource: {product: x}
detection: {s: {kind: ok}, condition: s}
---
title: Other
id: odd
logsource: {product: x}
detection: {s: {kind: odd}, condition: s}
---
title: Many
id: many
correlation: {type: event_count, rules: [fail], group-by: [user], timespan: 8s, condition: {gte: 3}}
---
title: Hosts
id: hosts
correlation: {type: value_count, rules: [fail, odd], group-by: [user], timespan: 8s, condition: {field: host, gt: 1}}
---
title: All
id: all
correlation: {type: temporal, rules: [fail, ok, odd], group-by: [user], timespan: 8s}
---
title: Words
id: words
correlation: {type: temporal, rules: [fail, ok, odd], group-by: [user], timespan: 8s, condition: fail and odd and not ok}
---
title: Order
id: order
correlation: {type: temporal_ordered, rules: [fail, odd, ok], group-by: [user], timespan: 9s}
---
title: Sum
id: sum
correlation: {type: value_sum, rules: [fail, ok, odd], group-by: [host], timespan: 8s, condition: {field: bytes, gte: 25}}
---
title: Average
id: average
correlation: {type: value_avg, rules: [fail, ok, odd], group-by: [host], timespan: 8s, condition: {field: bytes, lt: 4}}
---
title: Median
id: median
correlation: {type: value_median, rules: [fail, ok, odd], timespan: 8s, condition: {field: bytes, gt: 6}}
---
title: Percentile
id: percentile
correlation: {type: value_percentile, rules: [fail, ok, odd], timespan: 8s, condition: {field: bytes, percentile: 90, gte: 9}}
---
title: Share
id: share
correlation: {type: value_percentile, rules: [fail, ok, odd], timespan: 20s, condition: {field: host, lt: 20}}
---
title: Chain
id: chain
correlation: {type: temporal_ordered, rules: [many, ok], group-by: [host], timespan: 30s}
---
title: Chain of chains
id: deep
correlation: {type: event_count, rules: [chain, all], timespan: 1m, condition: {gte: 2}}
";

const KINDS: [&str; 3] = ["fail", "ok", "odd"];

static LOADED: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
    let report = RuleSet::from_documents([("all.yml", RULES)], &LoadOptions::default());
    assert_eq!(report.refused, []);
    Arc::new(report.rules)
});
static TAXONOMIES: LazyLock<Arc<Taxonomies>> = LazyLock::new(|| Arc::new(Taxonomies::embedded()));

fn rules() -> Arc<RuleSet> {
    Arc::clone(&LOADED)
}

/// Seconds since the event before, kind, user, host, bytes; the source is the place in the outer list.
type Seen = (i64, usize, u8, u8, u8);

/// What the rules make of the streams, one list for each source, in the order of each source.
fn streams(rules: &Arc<RuleSet>, sources: &[Vec<Seen>]) -> Vec<Vec<RuleMatchKeyed>> {
    let mut matcher = Matcher::new(Arc::clone(rules), Arc::clone(&TAXONOMIES), Mode::Sigma);
    let mut all = Vec::new();
    for (source, seen) in sources.iter().enumerate() {
        let (mut now, mut own) = (1_000, Vec::new());
        for (number, (later, kind, user, host, bytes)) in seen.iter().enumerate() {
            now += later;
            let mut event = Event::new();
            event.set("product", "x");
            event.set("kind", KINDS[*kind]);
            event.set("user", format!("u{user}"));
            event.set("host", format!("h{host}"));
            event.set("bytes", i64::from(*bytes));
            event.set("organization.id", if source == 0 { "xa-a" } else { "xa-b" });
            event.set("observer.name", format!("node-{source}"));
            event.set("event.id", format!("{source}-{number}"));
            event.set("@timestamp", Timestamp::from_seconds(now));
            let mut found = Vec::new();
            matcher.matches(&event, &mut found);
            own.extend(found.iter().flat_map(|found| keyed(&mut matcher, &event, found.rule)));
        }
        all.push(own);
    }
    all
}

/// A line for each alert, so that failures can be read; without the order among rules, which has no meaning.
fn told(rules: &RuleSet, found: Vec<CorrelationMatch>) -> Vec<String> {
    let line = |one: CorrelationMatch| {
        let id = &rules.rule(one.rule).unwrap().id;
        format!(
            "{} {id} {} {:?} {} {:?} {:?}",
            one.last, one.scope, one.group, one.count, one.value, one.events
        )
    };
    found.into_iter().map(line).collect()
}

/// Sources are in order, and so slow that nobody is passed by.
fn lateness() -> Lateness {
    let long = Duration::from_hours(10);
    Lateness { within_source: Duration::ZERO, between_sources: long, idle: long }
}

/// Everything in the right order at once.
fn in_order(rules: &Arc<RuleSet>, streams: &[Vec<RuleMatchKeyed>]) -> Vec<String> {
    let mut all: Vec<&RuleMatchKeyed> = streams.iter().flatten().collect();
    all.sort_by_key(|seen| (seen.at, &seen.event, &seen.correlation, &seen.base));
    let mut correlator = Correlator::new(Arc::clone(rules));
    let mut out: Vec<_> = all.into_iter().flat_map(|seen| correlator.observe_all(seen)).collect();
    out.extend(correlator.close(|_| Some(Timestamp::from_nanos(i64::MAX))));
    let mut out = told(rules, out);
    out.sort();
    out
}

/// The streams mixed as `choices` say (which source is next, and whether a watermark follows), as they would come out of
/// the log: all correlations of a chain are counted where their matches are.
fn mixed(
    rules: &Arc<RuleSet>,
    streams: &[Vec<RuleMatchKeyed>],
    choices: &[usize],
    cut: usize,
) -> Vec<String> {
    let mut progress = Progress::new(lateness());
    let mut sequencer = Sequencer::new(Room::default());
    let mut correlator = Correlator::new(Arc::clone(rules));
    let (mut out, mut ready) = (Vec::new(), Vec::new());
    let mut log: Vec<RuleMatchKeyed> = Vec::new();
    let clock = |step: usize| Timestamp::from_seconds(1_000_000 + i64::try_from(step).unwrap());
    assert_eq!(progress.watermarks(clock(0).minus(lateness().idle)), None);
    for first in streams.iter().filter_map(|stream| stream.first()) {
        // Each source was heard before, so that it is waited for.
        progress.tell(&first.scope, &first.source, Timestamp::from_seconds(0), clock(0));
    }
    let mut next = vec![0; streams.len()];
    for (step, choice) in choices.iter().chain(std::iter::repeat_n(&0, usize::MAX)).enumerate() {
        let open: Vec<usize> = (0..streams.len()).filter(|&one| next[one] < streams[one].len()).collect();
        let Some(&source) = open.get(choice % open.len().max(1)) else { break };
        let seen = streams[source][next[source]].clone();
        next[source] += 1;
        sequencer.push(0, (log.len() as u64, 100), seen.clone(), &mut ready);
        log.push(seen.clone());
        progress.tell(&seen.scope, &seen.source, seen.at, clock(step));
        if choice % 3 == 0
            && let Some(marks) = progress.watermarks(clock(step))
        {
            sequencer.advance(0, &marks, &mut ready);
            out.extend(ready.drain(..).flat_map(|seen| correlator.observe_all(&seen)));
            out.extend(correlator.close(|scope| marks.of(scope)));
        }
        out.extend(ready.drain(..).flat_map(|seen| correlator.observe_all(&seen)));
        if step == cut {
            // A restart at this position of the log.
            let held: Vec<u64> = sequencer.numbers(0, u64::MAX).collect();
            sequencer = Sequencer::restore(Room::default(), sequencer.outline());
            for (number, seen) in (0..).zip(&log) {
                assert_eq!(sequencer.put_back(0, (number, 100), seen.clone()), held.contains(&number));
            }
            let counted = correlator.save().unwrap();
            correlator = Correlator::new(Arc::clone(rules));
            correlator.restore(&counted).unwrap();
        }
    }
    // All fall silent, and are passed by.
    let marks = progress.watermarks(clock(0).plus(lateness().idle * 3)).unwrap();
    assert_eq!(marks, Watermarks::default());
    sequencer.advance(0, &marks, &mut ready);
    out.extend(ready.drain(..).flat_map(|seen| correlator.observe_all(&seen)));
    assert_eq!((sequencer.held(), sequencer.disorder()), (0, Disorder::default()));
    out.extend(correlator.close(|_| Some(Timestamp::from_nanos(i64::MAX))));
    let mut out = told(rules, out);
    out.sort();
    out
}

fn seen() -> impl Strategy<Value = Vec<Seen>> {
    prop::collection::vec((0_i64..4, 0_usize..3, 0_u8..2, 0_u8..3, 0_u8..12), 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// A thousand random interleavings, each cut and restored somewhere, give the same alerts as the sorted input.
    #[test]
    fn interleavings_and_restarts_change_nothing(
        sources in prop::collection::vec(seen(), 1..5),
        choices in prop::collection::vec(0_usize..5, 100),
        cut in 0_usize..200,
    ) {
        let rules = rules();
        let streams = streams(&rules, &sources);
        prop_assert_eq!(mixed(&rules, &streams, &choices, cut), in_order(&rules, &streams));
    }

    /// Cut anywhere, also in the middle of a flood that evicts: what follows is the same as without the cut.
    #[test]
    fn a_restart_changes_nothing_even_when_windows_are_given_up(sources in prop::collection::vec(seen(), 3), cut in 0_usize..300) {
        let rules = rules();
        let streams = streams(&rules, &sources);
        let limited = || Correlator::new(Arc::clone(&rules)).with_limit(2);
        let (mut straight, mut restored, mut pieced) = (limited(), limited(), limited());
        let mut kept = std::collections::BTreeMap::new();
        for (step, seen) in streams.iter().flatten().enumerate() {
            for (name, part) in pieced.save_changes().unwrap() {
                match part {
                    Some(part) => drop(kept.insert(name, part)),
                    None => prop_assert!(kept.remove(&name).is_some()),
                }
            }
            if step == cut || step == cut / 2 {
                // The same from parts, of which each step wrote those that it changed.
                pieced = limited();
                pieced.restore_parts(kept.iter().map(|(name, part)| (name.as_str(), part.as_str()))).unwrap();
            }
            if step == cut {
                let text = restored.save().unwrap();
                restored = limited();
                restored.restore(&text).unwrap();
            }
            let found = straight.observe_all(seen);
            prop_assert_eq!(&found, &restored.observe_all(seen));
            prop_assert_eq!(found, pieced.observe_all(seen));
        }
        prop_assert_eq!(straight.save().unwrap(), pieced.save().unwrap());
        prop_assert_eq!(straight.evictions(), pieced.evictions());
        prop_assert_eq!(straight.save().unwrap(), restored.save().unwrap());
        prop_assert_eq!(straight.evictions(), restored.evictions());
    }

    /// Whatever stands in a correlation or a filter, it is compiled or refused.
    #[test]
    fn any_document_is_taken(
        key in prop::sample::select(vec!["correlation", "filter"]),
        kind in prop::sample::select(vec!["event_count", "value_count", "temporal", "temporal_ordered", "value_avg", "value_percentile", "x"]),
        names in prop::sample::select(vec!["[fail]", "any", "[fail, ok]", "[many]", "fail", "[c]", "[]", "{a: b}"]),
        span in "[0-9]{1,3}[smhdwMx]?|\\[\\]",
        condition in prop::sample::select(vec!["{gte: 1}", "fail and ok", "{field: [a, b], lt: 2}", "{field: a, percentile: 50, gt: 1}", "sel", "not sel", "[]", "(", "{gte: a}"]),
        extra in prop::sample::select(vec!["", "  group-by: [a]\n", "  aliases: {a: {fail: b}}\n", "  sel: {a|re: '['}\n", "  sel: {a: 1}\n", "  generate: 7\n"]),
    ) {
        let own = format!("title: C\nid: c\nlogsource: {{product: x}}\n{key}:\n  type: {kind}\n  rules: {names}\n  timespan: {span}\n  condition: {condition}\n{extra}");
        let report = RuleSet::from_documents([("x.yml", format!("{RULES}---\n{own}"))], &LoadOptions::default());
        prop_assert_eq!(report.compiled + report.filters + report.refused.len(), 16);
    }

    /// A state that somebody damaged is refused or taken, never a panic.
    #[test]
    fn any_state_is_taken_or_refused(text in "\\PC{0,60}|\\{\"version\":2,\"rules\":\\{\"many\":\\{\"o\":\\{\"groups\":\\{[a-z0-9:,\"\\[\\]{}]{0,40}") {
        let mut correlator = Correlator::new(rules());
        drop(correlator.restore(&text));
        let head = ("[\"many\",\"o\",null]", "{\"version\":2,\"shape\":0,\"swept\":0,\"evicted\":0}");
        let parts = [head, ("[\"many\",\"o\",7]", text.as_str()), (text.as_str(), "{}")];
        drop(correlator.restore_parts(parts.into_iter()));
    }
}

fn match_of(source: &str, second: i64, ip: &str) -> RuleMatchKeyed {
    RuleMatchKeyed {
        correlation: "many".into(),
        scope: "xa-a".into(),
        group: vec![("user".into(), ip.into())],
        base: "fail".into(),
        value: None,
        at: Timestamp::from_seconds(second),
        event: format!("{source}-{second}"),
        source: source.into(),
        organization: "xa-a".into(),
        carried: std::collections::BTreeMap::default(),
    }
}

#[test]
fn a_wrong_clock_makes_nobody_else_late() {
    let lateness = Lateness { within_source: Duration::from_secs(5), ..Lateness::default() };
    let mut progress = Progress::new(lateness);
    let mut sequencer = Sequencer::new(Room::default());
    let mut out = Vec::new();
    let mut number = 0;
    for second in 1_000_000..1_000_600 {
        let now = Timestamp::from_seconds(second);
        // One clock stands still in 1970, one is an hour behind; one that is ahead is held at the clock of the
        // collector.
        for (source, at) in [("good", second), ("past", 0), ("behind", second - 3_600), ("ahead", second)] {
            number += 1;
            let seen = RuleMatchKeyed { event: format!("{number}"), ..match_of(source, at, "a") };
            sequencer.push(0, (number, 100), seen, &mut out);
            progress.tell("xa-a", source, Timestamp::from_seconds(at), now);
        }
        if let Some(marks) = progress.watermarks(now) {
            sequencer.advance(0, &marks, &mut out);
        }
    }
    let good: Vec<&RuleMatchKeyed> = out.iter().filter(|seen| seen.source == "good").collect();
    assert!(good.windows(2).all(|pair| pair[0].at < pair[1].at));
    assert_eq!(good.last().unwrap().at, Timestamp::from_seconds(1_000_599 - 6));
    // Those two are not held and not lost: they come after their turn, and are counted.
    let wrong = out.iter().filter(|seen| ["past", "behind"].contains(&seen.source.as_str())).count();
    assert_eq!(wrong, 1_200);
    assert!(sequencer.disorder().late > 500);
    assert!(sequencer.held() < 20);
}

#[test]
fn real_windows_survive_a_flood_of_made_up_sources() {
    let mut correlator = Correlator::new(rules());
    let mut reached = |source: &str, second: i64, user: &str| {
        !correlator.observe(&match_of(source, second, user)).is_empty()
    };
    assert!(!reached("s", 0, "frequent") && !reached("s", 1, "frequent") && !reached("s", 0, "old"));
    for number in 0..100_000 {
        assert!(!reached("s", 2, &format!("made-up-{number}")));
    }
    assert!(reached("s", 3, "frequent"));
    assert!(!reached("s", 3, "old"));
    assert!(reached("s", 4, "old"));
    // One that begins in the middle of the flood, and comes back less often than room is made.
    let mut told = 0;
    for number in 0..200_000 {
        reached("s", 5, &format!("invented-{number}"));
        if number % 4_000 == 0 {
            told += usize::from(reached("s", 5, "patient"));
        }
    }
    assert_eq!(told, 1);
    let evictions = correlator.evictions();
    assert!(correlator.evicted() > 50_000 && correlator.groups() <= 20_001);
    assert_eq!((evictions[0].rule.as_str(), evictions[0].scope.as_str()), ("many", "xa-a"));
}

#[test]
fn chains_have_depths() {
    let depths = depths(&rules());
    assert_eq!((depths["many"], depths["chain"], depths["deep"]), (0, 1, 2));
}

#[test]
fn the_state_has_a_version() {
    let mut correlator = Correlator::new(rules());
    let reason = correlator.restore("{\"rules\":{}}").unwrap_err().to_string();
    assert!(reason.contains("version 0"), "{reason}");
    assert!(correlator.restore("[]").is_err());
}

#[test]
fn a_rule_that_counts_something_else_begins_anew() {
    let mut correlator = Correlator::new(rules());
    correlator.observe(&match_of("s", 1, "u"));
    let text = correlator.save().unwrap();
    let other = RULES.replace(
        "type: event_count, rules: [fail], group-by: [user]",
        "type: event_count, rules: [odd, fail], group-by: [user]",
    );
    let report = RuleSet::from_documents([("all.yml", other)], &LoadOptions::default());
    let mut edited = Correlator::new(Arc::new(report.rules));
    edited.restore(&text).unwrap();
    assert_eq!(edited.groups(), 0);
    let mut same = Correlator::new(rules());
    same.restore(&text).unwrap();
    assert_eq!(same.groups(), 1);
}
