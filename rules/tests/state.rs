//! What it costs to save the windows of 20,000 groups after each step. It prints figures and fails only when something
//! is badly wrong; `cargo test --release -p dongson-rules --test state -- --nocapture` gives those to quote.

use std::sync::Arc;
use std::time::Instant;

use dongson_event::Timestamp;
use dongson_rules::correlate::RuleMatchKeyed;
use dongson_rules::{Correlator, LoadOptions, RuleSet};

const RULES: &str = "
title: Fail
id: fail
logsource: {product: x}
detection: {s: {kind: fail}, condition: s}
---
title: Many
id: many
correlation: {type: event_count, rules: [fail], group-by: [ip], timespan: 1d, condition: {gte: 20}}
";
const GROUPS: usize = 20_000;
const STEPS: usize = 20;

fn seen(number: usize) -> RuleMatchKeyed {
    RuleMatchKeyed {
        correlation: "many".into(),
        scope: "xa-a".into(),
        group: vec![("ip".into(), format!("198.51.{}.{}", number / 250, number % 250))],
        base: "fail".into(),
        value: None,
        at: Timestamp::from_seconds(1_800_000_000),
        event: format!("0190a2c3-0000-7000-8000-{number:012}"),
        source: "cong".into(),
        organization: "xa-a".into(),
        carried: std::collections::BTreeMap::new(),
    }
}

#[test]
fn a_step_saves_what_it_changed() {
    let rules = Arc::new(RuleSet::from_documents([("r.yml", RULES)], &LoadOptions::default()).rules);
    let mut correlator = Correlator::new(rules);
    // As many as the bound leaves: it gives up an eighth when it is full.
    for number in 0..GROUPS {
        correlator.observe(&seen(number));
    }
    assert_eq!(correlator.groups(), GROUPS);
    let began = Instant::now();
    let whole: usize = (0..STEPS).map(|_| correlator.save().unwrap().len()).sum::<usize>() / STEPS;
    println!("whole, each step: {:?}, {whole} bytes", began.elapsed() / 20);
    drop(correlator.save_changes().unwrap());
    for changed in [0, 1, 100, 5_000] {
        let (mut bytes, mut spent) = (0, std::time::Duration::ZERO);
        for step in 0..STEPS {
            for number in 0..changed {
                correlator.observe(&seen((step + number * 7) % GROUPS));
            }
            let began = Instant::now();
            let parts = correlator.save_changes().unwrap();
            spent += began.elapsed();
            bytes += parts.values().flatten().map(String::len).sum::<usize>();
        }
        println!("{changed} groups a step: {:?}, {} bytes", spent / 20, bytes / STEPS);
        // The windows have grown since.
        let whole = correlator.save().unwrap().len();
        assert!(bytes / STEPS <= whole * 11 / 10, "{bytes}");
        assert!(changed > 1 || bytes / STEPS < whole / 100, "{bytes}");
    }
}
