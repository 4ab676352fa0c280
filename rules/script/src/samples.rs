//! `rules check` and `rules test` for folders of Sigma rules and scripts.

use std::path::PathBuf;
use std::sync::Arc;

use dongson_event::Event;
use dongson_rules::check::CheckReport;
use dongson_rules::correlate::{Correlator, keyed};
use dongson_rules::samples::{Fired, TestReport, run_by};
use dongson_rules::{LoadOptions, Matcher, Mode, RuleSet, Taxonomies};

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
    for (number, event) in (1..).zip(events) {
        let event = dongson_rules::detect::unpack(event);
        let mut found = Vec::new();
        matcher.matches(&event, &mut found);
        let mut fire = |rule: usize| {
            let named = |rule: &dongson_rules::Rule| (rule.id.clone(), rule.title.clone());
            let fire = |(rule_id, title)| Fired { event: number, rule_id, title };
            fired.extend(rules.rule(rule).map(named).map(fire));
        };
        for one in found {
            if rules.rule(one.rule).is_some_and(|rule| rule.reported) {
                fire(one.rule);
            }
            for seen in keyed(&mut matcher, &event, one.rule) {
                for reached in correlator.observe_all(&seen) {
                    if rules.rule(reached.rule).is_some_and(|rule| rule.reported) {
                        fire(reached.rule);
                    }
                }
            }
            let Some(seen) = seen(&mut matcher, &event, one.rule) else { continue };
            match runner.observe(&seen) {
                Some(Outcome::Alert(alert)) => fire(alert.rule),
                Some(Outcome::Failing(_)) | None => {}
            }
            if let Some((reason, line)) = runner.last_failure() {
                return Err(format!(
                    "script {:?} fails on event {number}, line {line}: {reason}",
                    seen.script
                ));
            }
        }
    }
    Ok(fired)
}
