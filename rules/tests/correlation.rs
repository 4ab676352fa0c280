//! Correlations through the public API: the order of arrival does not matter, and neither does a restart.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dongson_event::{Event, Timestamp};
use dongson_rules::correlate::{Lateness, RuleMatchKeyed, Sequencer, Watermark, keyed};
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

fn lateness() -> Lateness {
    Lateness { within_source: Duration::ZERO, between_sources: Duration::from_hours(10) }
}

/// Everything in the right order at once.
fn in_order(rules: &Arc<RuleSet>, streams: &[Vec<RuleMatchKeyed>]) -> Vec<String> {
    let mut all: Vec<&RuleMatchKeyed> = streams.iter().flatten().collect();
    all.sort_by_key(|seen| (seen.at, &seen.event, &seen.correlation, &seen.base));
    let mut correlator = Correlator::new(Arc::clone(rules));
    let mut out = told(rules, all.into_iter().flat_map(|seen| correlator.observe_all(seen)).collect());
    out.sort();
    out
}

/// The streams mixed as `choices` say: which source is next.
fn mixed(
    rules: &Arc<RuleSet>,
    streams: &[Vec<RuleMatchKeyed>],
    choices: &[usize],
    cut: usize,
) -> Vec<String> {
    let mut sequencer = Sequencer::new(lateness());
    let mut correlator = Correlator::new(Arc::clone(rules));
    let (mut out, mut ready) = (Vec::new(), Vec::new());
    let mark = |stream: &[RuleMatchKeyed], at: Timestamp| {
        let first = stream.first();
        first.map(|seen| Watermark { scope: seen.scope.clone(), source: seen.source.clone(), at })
    };
    for stream in streams {
        mark(stream, Timestamp::from_seconds(0)).inspect(|mark| sequencer.advance(mark, &mut ready));
    }
    let mut next = vec![0; streams.len()];
    for (step, choice) in choices.iter().chain(std::iter::repeat_n(&0, usize::MAX)).enumerate() {
        let open: Vec<usize> = (0..streams.len()).filter(|&one| next[one] < streams[one].len()).collect();
        let Some(&source) = open.get(choice % open.len().max(1)) else { break };
        sequencer.push(streams[source][next[source]].clone(), &mut ready);
        next[source] += 1;
        if next[source] == streams[source].len() {
            mark(&streams[source], Watermark::END).inspect(|mark| sequencer.advance(mark, &mut ready));
        }
        out.extend(ready.drain(..).flat_map(|seen| correlator.observe_all(&seen)));
        if step == cut {
            // A restart at this position of the log.
            let (held, counted) = (sequencer.save().unwrap(), correlator.save().unwrap());
            sequencer = Sequencer::restore(&held).unwrap();
            correlator = Correlator::new(Arc::clone(rules));
            correlator.restore(&counted).unwrap();
        }
    }
    assert_eq!((sequencer.held(), sequencer.late(), sequencer.forced()), (0, 0, 0));
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
        let (mut straight, mut restored) = (limited(), limited());
        for (step, seen) in streams.iter().flatten().enumerate() {
            if step == cut {
                let text = restored.save().unwrap();
                restored = limited();
                restored.restore(&text).unwrap();
            }
            prop_assert_eq!(straight.observe_all(seen), restored.observe_all(seen));
        }
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
    let lateness =
        Lateness { within_source: Duration::from_secs(5), between_sources: Duration::from_mins(2) };
    let mut sequencer = Sequencer::new(lateness);
    let mut out = Vec::new();
    // One clock stands still in 1970, one is a year ahead.
    for source in ["good-1", "good-2", "good-3"] {
        sequencer.push(match_of(source, 1_000_000, "a"), &mut out);
    }
    sequencer.push(match_of("past", 0, "a"), &mut out);
    sequencer.push(match_of("future", 40_000_000, "a"), &mut out);
    for second in 1_000_001..1_000_600 {
        for source in ["good-1", "good-2", "good-3"] {
            sequencer.push(match_of(source, second, "a"), &mut out);
        }
    }
    // The clock of the past is waited for two minutes and no longer; its own match came first.
    let newest = out.iter().map(|seen| seen.at).max().unwrap();
    assert_eq!(newest, Timestamp::from_seconds(1_000_599 - 5 - 120 - 1));
    assert!(out.windows(2).all(|pair| pair[0].at <= pair[1].at));
    assert_eq!(sequencer.late(), 0);
    // What comes after its turn is passed on, and counted.
    out.clear();
    sequencer.push(match_of("past", 60, "a"), &mut out);
    assert_eq!((out.len(), sequencer.late()), (1, 1));
    let mut rest = Vec::new();
    sequencer.flush(&mut rest);
    assert_eq!(rest.last().unwrap().source, "future");
}

#[test]
fn what_is_held_is_bounded_and_a_match_sent_again_is_one() {
    let mut sequencer = Sequencer::new(lateness());
    let mut out = Vec::new();
    sequencer.advance(
        &Watermark { scope: "xa-a".into(), source: "silent".into(), at: Timestamp::from_seconds(0) },
        &mut out,
    );
    for second in 1..60_000 {
        sequencer.push(match_of("one", second, "a"), &mut out);
        sequencer.push(match_of("one", second, "a"), &mut out);
    }
    assert!(sequencer.held() <= 50_000 && sequencer.forced() > 0);
    assert!(out.windows(2).all(|pair| pair[0].at < pair[1].at));
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
fn the_state_has_a_version() {
    let mut correlator = Correlator::new(rules());
    let reason = correlator.restore("{\"rules\":{}}").unwrap_err().to_string();
    assert!(reason.contains("version 0"), "{reason}");
    assert!(correlator.restore("[]").is_err());
    let reason =
        Sequencer::<RuleMatchKeyed>::restore("{\"version\":7,\"sequencer\":0}").unwrap_err().to_string();
    assert!(reason.contains("version 7"), "{reason}");
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
