//! The rules that are shipped: all of them compile, do what their samples say, and speak Vietnamese.

use std::collections::BTreeSet;
use std::path::PathBuf;

use dongson_event::fields;
use dongson_rules::{LoadOptions, RuleSet, samples};

/// Fewest rules that raise alerts.
const FEWEST: usize = 120;
/// Names that entities may use beside the field table: what the parsers keep of formats of their own.
const OTHER_NAMES: [&str; 1] = ["user.audit.id"];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("content/sigma")
}

/// Letters that only Vietnamese text has.
fn is_vietnamese(text: &str) -> bool {
    text.chars().any(|letter| matches!(letter, 'ă' | 'đ' | 'Đ' | 'ơ' | 'ư' | '\u{1ea0}'..='\u{1ef9}'))
}

#[test]
fn all_rules_compile_and_say_what_they_are_about() {
    let report = RuleSet::load(&[folder()], &LoadOptions::default());
    assert!(report.refused.is_empty(), "{:#?}", report.refused);
    let rules = report.rules.rules();
    let told: Vec<_> = rules.iter().filter(|rule| rule.reported).collect();
    println!("{} rules that raise alerts, {} in all", told.len(), rules.len());
    assert!(told.len() >= FEWEST);
    let ids: BTreeSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids.len(), rules.len(), "an id is there twice");
    for rule in told {
        let file = &rule.file;
        let texts = [&rule.title_vi, &rule.description_vi];
        assert!(
            texts.iter().all(|text| text.as_deref().is_some_and(is_vietnamese)),
            "{file}: Vietnamese texts"
        );
        assert!(
            !rule.description.is_empty() && !rule.falsepositives.is_empty(),
            "{file}: description, falsepositives"
        );
        assert!(rule.window.is_some() && !rule.entity.is_empty(), "{file}: window and entity");
        for name in &rule.entity {
            let known = fields::find(name).is_some() || OTHER_NAMES.contains(&name.as_str());
            assert!(known, "{file}: entity {name} is no known field");
        }
    }
}

#[test]
fn all_samples_do_what_they_should() {
    let report = samples::run(&[folder()], &LoadOptions::default());
    println!("{} files, {} samples", report.files, report.samples);
    assert!(
        report.is_clean(),
        "{:#?} untested {:#?} refused {:#?}",
        report.failed,
        report.untested,
        report.refused
    );
}
