//! `rules check` and `rules test` for folders of Sigma rules and scripts.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use dongson_event::{Event, Timestamp};
use dongson_rules::check::CheckReport;
use dongson_rules::correlate::{Correlator, keyed};
use dongson_rules::samples::{Fired, TestReport, run_by};
use dongson_rules::{CorrelationMatch, LoadOptions, Matcher, Mode, RuleSet, Taxonomies};

use crate::compile::{Loaded, Scripts, load};
use crate::runner::{Outcome, Runner};
use crate::seen::seen;

/// Loads rules and scripts and forgets them.
pub fn check(paths: &[PathBuf], options: &LoadOptions) -> CheckReport {
    load(paths, options).report.into()
}

/// Runs the samples of all rules and scripts below `paths`.
pub fn test(paths: &[PathBuf], options: &LoadOptions) -> TestReport {
    let Loaded { report, scripts } = load(paths, options);
    let (scripts, taxonomies) = (Arc::new(scripts), Arc::new(Taxonomies::embedded()));
    run_by(report, |rules, events| fired(rules, &taxonomies, &scripts, events))
}

/// What fires on the events of one sample; an error where a script fails on one of them.
fn fired(
    rules: &Arc<RuleSet>,
    taxonomies: &Arc<Taxonomies>,
    scripts: &Arc<Scripts>,
    events: Vec<Event>,
) -> Result<Vec<Fired>, String> {
    let mut matcher = Matcher::new(Arc::clone(rules), Arc::clone(taxonomies), Mode::Auto);
    let mut correlator = Correlator::new(Arc::clone(rules));
    let mut runner = Runner::new(Arc::clone(scripts));
    let mut fired = Vec::new();
    let mut numbers = HashMap::new();
    for (number, event) in (1..).zip(events) {
        numbers.insert(event.id().to_owned(), number);
        let event = dongson_rules::detect::unpack(event);
        let mut found = Vec::new();
        matcher.matches(&event, &mut found);
        for one in found {
            if is_reported(rules, one.rule) {
                fired.extend(named(rules, one.rule, number));
            }
            for seen in keyed(&mut matcher, &event, one.rule) {
                let reached = correlator.observe_all(&seen);
                for reached in reached.iter().filter(|one| is_reported(rules, one.rule)) {
                    let number = last_of(reached, &numbers).unwrap_or(number);
                    fired.extend(named(rules, reached.rule, number));
                }
            }
            let Some(seen) = seen(&mut matcher, &event, one.rule) else { continue };
            match runner.observe(&seen) {
                Some(Outcome::Alert(alert)) => fired.extend(named(rules, alert.rule, number)),
                Some(Outcome::Failing(_)) | None => {}
            }
            if let Some((reason, line)) = runner.last_failure() {
                let script = scripts.find(&seen.script);
                let (file, title) = script.map_or(("", ""), |one| (one.file.as_str(), one.title.as_str()));
                return Err(format!("{file}:{line}: {title:?} fails on event {number}: {reason}"));
            }
        }
    }
    let over = correlator.close(|_| Some(Timestamp::from_nanos(i64::MAX)));
    for reached in over.iter().filter(|one| is_reported(rules, one.rule)) {
        fired.extend(last_of(reached, &numbers).and_then(|number| named(rules, reached.rule, number)));
    }
    Ok(fired)
}

fn is_reported(rules: &RuleSet, rule: usize) -> bool {
    rules.rule(rule).is_some_and(|rule| rule.reported)
}

fn named(rules: &RuleSet, rule: usize, event: u64) -> Option<Fired> {
    let rule = rules.rule(rule)?;
    Some(Fired { event, rule_id: rule.id.clone(), title: rule.title.clone() })
}

/// The number of the newest event of a window that is over.
fn last_of(reached: &CorrelationMatch, numbers: &HashMap<String, u64>) -> Option<u64> {
    numbers.get(&reached.closed.as_ref()?.event).copied()
}
