//! Correlations from the specification, against plain models.

use super::*;
use crate::matcher::Matcher;
use crate::ruleset::{LoadOptions, LoadReport};
use crate::taxonomy::{Mode, Taxonomies};
use crate::{correlate, samples};
use dongson_event::Event;
use proptest::prelude::*;

const BASES: &str = "
title: Fail
id: fail
name: failed
logsource: {product: x}
detection: {s: {kind: fail}, condition: s}
---
title: Success
id: ok
logsource: {product: x}
detection: {s: {kind: ok}, condition: s}
";

fn load(correlation: &str) -> LoadReport {
    let text = format!("{BASES}---\ntitle: C\nid: c\ncorrelation:\n{correlation}");
    RuleSet::from_documents([("c.yml", text)], &LoadOptions::default())
}

/// Feeds (second, kind, group, value, organization) and gives the seconds at which the correlation was reported.
fn run(correlation: &str, seen: &[(i64, &str, &str, &str, &str)]) -> Vec<(i64, u64)> {
    let report = load(correlation);
    assert_eq!(report.refused, []);
    let rules = Arc::new(report.rules);
    let mut matcher = Matcher::new(Arc::clone(&rules), Arc::new(Taxonomies::embedded()), Mode::Sigma);
    let mut correlator = Correlator::new(rules);
    let mut out = Vec::new();
    for (second, kind, group, value, organization) in seen {
        let mut event = Event::new();
        event.set("product", "x");
        event.set("kind", *kind);
        event.set("user", *value);
        event.set(if *kind == "ok" { "target" } else { "ip" }, *group);
        event.set("organization.id", *organization);
        event.set("@timestamp", Timestamp::from_seconds(*second));
        let mut found = Vec::new();
        matcher.matches(&event, &mut found);
        for one in found {
            for keyed in correlate::keyed(&mut matcher, &event, one.rule) {
                // Saved and restored at every step, to show that nothing is lost.
                let text = correlator.save().unwrap();
                correlator.restore(&text).unwrap();
                out.extend(
                    correlator.observe_all(&keyed).into_iter().map(|reached| (*second, reached.count)),
                );
            }
        }
    }
    out
}

#[test]
fn event_count_slides() {
    let rule =
        "  type: event_count\n  rules: [failed]\n  group-by: [ip]\n  timespan: 10s\n  condition: {gte: 3}\n";
    let fail = |second| (second, "fail", "a", "u", "o");
    assert_eq!(run(rule, &[fail(0), fail(6), fail(9), fail(10)]), [(9, 3)]);
    assert_eq!(run(rule, &[fail(0), fail(6), fail(17), fail(18)]), []);
    // Reported again while it goes on, once a timespan.
    let flood: Vec<_> = (0..30).map(fail).collect();
    assert_eq!(run(rule, &flood).iter().map(|(second, _)| *second).collect::<Vec<_>>(), [2, 12, 22]);
    // Groups and agencies are apart.
    let mixed = [fail(0), (1, "fail", "b", "u", "o"), (2, "fail", "a", "u", "p"), fail(3)];
    assert_eq!(run(rule, &mixed), []);
}

#[test]
fn value_count_counts_different_values() {
    let rule = "  type: value_count\n  rules: [fail]\n  group-by: [ip]\n  timespan: 1m\n  condition: {field: user, gt: 2}\n";
    let fail = |second, user| (second, "fail", "a", user, "o");
    assert_eq!(run(rule, &[fail(0, "x"), fail(1, "x"), fail(2, "y"), fail(3, "y"), fail(4, "z")]), [(4, 3)]);
    assert_eq!(run(rule, &[fail(0, "x"), fail(50, "y"), fail(61, "z")]), []);
}

#[test]
fn temporal_in_any_and_in_given_order() {
    let common =
        "  rules: [fail, ok]\n  group-by: [who]\n  timespan: 1m\n  aliases: {who: {fail: ip, ok: target}}\n";
    let (fail, ok) = (|second| (second, "fail", "a", "u", "o"), |second| (second, "ok", "a", "u", "o"));
    let any = format!("  type: temporal\n{common}");
    let ordered = format!("  type: temporal_ordered\n{common}");
    assert_eq!(run(&any, &[ok(0), fail(5)]), [(5, 2)]);
    assert_eq!(run(&any, &[fail(0), fail(1), ok(70)]), []);
    assert_eq!(run(&ordered, &[ok(0), fail(5)]), []);
    assert_eq!(run(&ordered, &[ok(0), fail(5), fail(6), ok(7)]), [(7, 2)]);
}

#[test]
fn rules_that_only_feed_a_correlation_are_not_reported() {
    let rule = "  type: event_count\n  rules: [failed]\n  timespan: 10s\n  condition: {gte: 3}\n";
    let reported = |text: &str| load(text).rules.rules().iter().map(|rule| rule.reported).collect::<Vec<_>>();
    assert_eq!(reported(rule), [false, true, true]);
    assert_eq!(reported(&format!("{rule}  generate: true\n")), [true, true, true]);
}

#[test]
fn refusals() {
    let good = "  type: event_count\n  rules: [failed]\n  timespan: 10s\n  condition: {gte: 3}\n";
    // The document begins at line 13, `correlation:` stands at 15.
    for (from, to, line, reason) in [
        ("event_count", "value_avg", 19, "needs `field`"),
        ("event_count", "magic", 16, "\"magic\" is unknown"),
        ("event_count", "value_count", 19, "needs `field`"),
        ("event_count", "", 15, "`type` is missing"),
        ("[failed]", "[nobody]", 17, "\"nobody\""),
        ("[failed]", "[]", 17, "1 to 64 rules"),
        ("[failed]", "[failed, fail]", 17, "twice"),
        ("10s", "10y", 18, "such as 5m"),
        ("10s", "1M", 18, "a month is 30d"),
        ("10s", "", 15, "`timespan` is missing"),
        ("{gte: 3}", "", 15, "`condition` is missing"),
        ("{gte: 3}", "{above: 3}", 19, "gt, gte, lt"),
        ("{gte: 3}", "{gte: 9999999}", 19, "100000"),
        ("{gte: 3}", "failed and ok", 19, "in words"),
        ("{gte: 3}", "{gt: 5, lt: 3}", 19, "can never hold"),
        ("{gte: 3}", "{lt: 1}", 19, "at least 1"),
        ("  timespan", "  window: 1\n  timespan", 15, "unknown key \"window\""),
    ] {
        let report = load(&good.replace(from, to));
        assert_eq!(report.compiled, 2, "{to}");
        assert!(report.refused[0].reason.contains(reason), "{to}: {}", report.refused[0].reason);
        assert_eq!(report.refused[0].line, line, "{to}: {}", report.refused[0].reason);
    }
}

#[test]
fn a_flood_of_groups_is_bounded_and_keeps_the_frequent() {
    let report = load(
        "  type: event_count\n  rules: [fail]\n  group-by: [ip]\n  timespan: 1h\n  condition: {gte: 3}\n",
    );
    let mut correlator = Correlator::new(Arc::new(report.rules));
    let mut seen = |scope: &str, ip: String, second: i64| {
        let keyed = RuleMatchKeyed {
            correlation: "c".into(),
            scope: scope.into(),
            group: vec![("ip".into(), ip)],
            base: "fail".into(),
            value: None,
            at: Timestamp::from_seconds(second),
            event: String::new(),
            source: String::new(),
            organization: String::new(),
            carried: std::collections::BTreeMap::new(),
        };
        let reached = correlator.observe(&keyed).len();
        (reached, correlator.groups(), correlator.evicted())
    };
    seen("o", "frequent".into(), 0);
    seen("o", "frequent".into(), 1);
    seen("quiet", "one".into(), 1);
    for number in 0..30_000 {
        let (_, groups, _) = seen("o", format!("10.{number}"), 2);
        assert!(groups <= 20_001);
    }
    let (reached, _, evicted) = seen("o", "frequent".into(), 3);
    assert_eq!(reached, 1);
    assert!(evicted > 0);
    seen("quiet", "one".into(), 4);
    assert_eq!(seen("quiet", "one".into(), 5).0, 1);
    let mut left = |time: &dyn Fn(&str) -> Option<Timestamp>| {
        correlator.forget_idle(time);
        correlator.groups()
    };
    for hours in 3..9 {
        let now = Timestamp::from_seconds(hours * 3_600);
        assert!(
            left(&|scope| (scope == "quiet").then_some(now)) > 1_000,
            "another agency's time is not its own"
        );
    }
    let groups: Vec<usize> =
        (3..6).map(|hours| left(&|_| Some(Timestamp::from_seconds(hours * 3_600)))).collect();
    assert!(groups[0] > 1_000 && groups[0] == groups[1] && groups[2] == 0, "{groups:?}");
}

#[test]
fn a_backlog_is_counted_beside_what_is_fresh() {
    let report = load(
        "  type: event_count\n  rules: [fail]\n  group-by: [ip]\n  timespan: 60s\n  condition: {gte: 3}\n",
    );
    let mut correlator = Correlator::new(Arc::new(report.rules));
    let seen = |ip: &str, second: i64| RuleMatchKeyed {
        correlation: "c".into(),
        scope: "o".into(),
        group: vec![("ip".into(), ip.into())],
        base: "fail".into(),
        value: None,
        at: Timestamp::from_seconds(second),
        event: String::new(),
        source: String::new(),
        organization: String::new(),
        carried: std::collections::BTreeMap::new(),
    };
    let mut reached = Vec::new();
    let mut most = 0;
    for second in 100_000..103_600 {
        correlator.observe(&seen(&format!("fresh {second}"), second));
        // The clock of one source is an hour behind; each half a minute it tells something of the same address.
        if second % 29 == 0 {
            reached.extend(correlator.observe(&seen("behind", second - 3_600)));
        }
        correlator.forget_idle(|_| Some(Timestamp::from_seconds(second - 10)));
        most = most.max(correlator.groups());
    }
    assert!(reached.len() > 50, "{}", reached.len());
    assert!(most < 5 * 60, "what expired goes all the same: {most}");
}

proptest! {
    /// At the moment of the first report, and not before, `limit` events lie within the span.
    #[test]
    fn event_count_agrees_with_a_plain_model(mut seconds in prop::collection::vec(0_i64..60, 1..40), limit in 1_u64..6) {
        seconds.sort_unstable();
        let rule = format!("  type: event_count\n  rules: [fail]\n  group-by: [ip]\n  timespan: 10s\n  condition: {{gte: {limit}}}\n");
        let seen: Vec<_> = seconds.iter().map(|second| (*second, "fail", "a", "u", "o")).collect();
        let model = seconds.iter().enumerate().position(|(at, second)| {
            seconds[..=at].iter().filter(|earlier| second - **earlier <= 10).count() as u64 >= limit
        });
        prop_assert_eq!(run(&rule, &seen).first().map(|(second, _)| *second), model.map(|at| seconds[at]));
    }
}

#[test]
fn samples_of_correlations_run() {
    let folder = tempfile::tempdir().unwrap();
    let rule =
        "  type: event_count\n  rules: [failed]\n  group-by: [ip]\n  timespan: 10s\n  condition: {gte: 3}\n";
    std::fs::write(folder.path().join("c.yml"), format!("{BASES}---\ntitle: C\nid: c\ncorrelation:\n{rule}"))
        .unwrap();
    let samples = "fires:\n  - - repeat: 3\n      every: 2s\n      event: {product: x, kind: fail, ip: a}\nsilent:\n  - - repeat: 3\n      every: 6s\n      event: {product: x, kind: fail, ip: a}\n  - - repeat: 3\n      every: 2s\n      event: {product: x, kind: fail, ip: 'a{n}'}\n  - {product: x, kind: fail, ip: a}\n";
    std::fs::write(folder.path().join("c.test.yml"), samples).unwrap();
    let report = samples::run(&[folder.path().to_owned()], &LoadOptions::default());
    // `Success` stands in the same file and is reported by itself, but no sample of it fires.
    assert_eq!((report.samples, report.failed.clone()), (4, vec![]));
}
