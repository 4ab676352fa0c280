//! What the second stage remembers of a partition: the windows of correlations and the states of scripts.

use std::collections::BTreeMap;
use std::sync::Arc;

use dongson_event::{Entity, Level, Matched, Signal, Timestamp, identity};
use dongson_registry::StateParts;
use dongson_rules::correlate::{RuleMatchKeyed, Watermarks};
use dongson_rules::{CorrelationMatch, Correlator, signal};
use dongson_script::{Alert, Counters, Failures, Outcome, Runner, Seen};
use tracing::warn;

use crate::AnalyzerError;
use crate::detect::Content;
use crate::item::About;

/// Parts the two states in what earlier versions saved as one; JSON on one line has none.
const BETWEEN: char = '\n';
/// Names of the parts of the saved state begin so.
const WINDOWS: &str = "windows";
const SCRIPTS: &str = "scripts";
/// The rule id of alerts about scripts that fail.
const FAILING: &str = "dongson-script-failing";
/// The grouping window of those alerts in seconds.
const FAILING_WINDOW: u32 = 3_600;

/// Correlations and scripts of one partition.
pub(crate) struct Counting {
    correlator: Correlator,
    runner: Runner,
    /// What the metrics were told already.
    told: Counters,
}

impl Counting {
    pub(crate) fn new(content: &Content) -> Self {
        Self {
            correlator: Correlator::new(Arc::clone(&content.rules)),
            runner: Runner::new(Arc::clone(&content.scripts)),
            told: Counters::default(),
        }
    }

    /// Adds what changed of both states since it was last saved.
    pub(crate) fn save(&mut self, parts: &mut StateParts) -> Result<(), AnalyzerError> {
        let windows = self.correlator.save_changes().map_err(AnalyzerError::Encode)?;
        let scripts = self.runner.save_changes().map_err(AnalyzerError::Encode)?;
        for (prefix, changes) in [(WINDOWS, windows), (SCRIPTS, scripts)] {
            parts.extend(
                changes
                    .into_iter()
                    .map(|(name, text)| (format!("{prefix}{name}"), text.map(String::into_bytes))),
            );
        }
        Ok(())
    }

    /// Takes the saved parts; `whole` is both states as earlier versions saved them. A part of another version of the
    /// program: its counting begins anew, nothing else is lost.
    pub(crate) fn restore(
        &mut self,
        parts: &BTreeMap<String, Vec<u8>>,
        whole: Option<&[u8]>,
        partition: u32,
    ) {
        let of = |prefix: &'static str| {
            parts.iter().filter_map(move |(name, value)| {
                Some((name.strip_prefix(prefix)?, std::str::from_utf8(value).ok()?))
            })
        };
        let whole = String::from_utf8_lossy(whole.unwrap_or_default());
        let (windows, states) = whole.split_once(BETWEEN).unwrap_or((&whole, ""));
        let windows = match windows {
            "" => self.correlator.restore_parts(of(WINDOWS)),
            whole => self.correlator.restore(whole),
        };
        let states = match states {
            "" => self.runner.restore_parts(of(SCRIPTS)),
            whole => self.runner.restore(whole),
        };
        if let Err(error) = windows {
            metrics::counter!("analyzer_correlation_states_refused_total").increment(1);
            warn!(%error, partition, "saved windows of correlations cannot be read; their counting begins anew");
        }
        if let Err(error) = states {
            metrics::counter!("analyzer_script_states_refused_total").increment(1);
            warn!(%error, partition, "saved states of scripts cannot be read; they begin anew");
        }
    }

    /// Counts a match; gives the correlations that it completes.
    pub(crate) fn correlation(&mut self, seen: &RuleMatchKeyed) -> Vec<CorrelationMatch> {
        self.correlator.observe(seen)
    }

    /// Runs a script; a signal where it raises an alert, or where it fails too often.
    pub(crate) fn script(&mut self, content: &Content, seen: &Seen, about: &About) -> Option<Signal> {
        match self.runner.observe(seen)? {
            Outcome::Alert(alert) => raised(content, alert, about),
            Outcome::Failing(failures) => {
                warn!(script = %failures.script, organization = %failures.organization, "{}", failures.told());
                Some(failing(content, &failures, about))
            }
        }
    }

    /// The correlations that windows come to which are over, by up to when each scope has `passed`.
    pub(crate) fn close(&mut self, passed: impl Fn(&str) -> Option<Timestamp>) -> Vec<CorrelationMatch> {
        self.correlator.close(passed)
    }

    /// Drops what no longer counts for agencies that have told everything up to `marks`.
    pub(crate) fn forget_idle(&mut self, marks: &Watermarks) {
        self.correlator.forget_idle(|scope| marks.settled(scope));
        self.runner.forget_idle(|scope| marks.settled(scope));
    }

    /// Tells the metrics.
    pub(crate) fn measure(&mut self) {
        metrics::gauge!("analyzer_correlation_groups").set(precise(self.correlator.groups()));
        metrics::counter!("analyzer_correlation_evicted_total").absolute(self.correlator.evicted());
        let (now, told) = (self.runner.counters(), self.told);
        metrics::counter!("analyzer_script_runs_total").increment(now.runs - told.runs);
        metrics::counter!("analyzer_script_operations_total").increment(now.operations - told.operations);
        metrics::counter!("analyzer_script_failures_total").increment(now.failures - told.failures);
        metrics::counter!("analyzer_script_starved_total").increment(now.starved - told.starved);
        metrics::counter!("analyzer_script_resets_total").increment(now.resets - told.resets);
        metrics::gauge!("analyzer_script_keys").set(precise(self.runner.keys()));
        metrics::counter!("analyzer_script_evicted_total").absolute(self.runner.evicted());
        self.told = now;
    }
}

/// The signal of a script's alert.
fn raised(content: &Content, alert: Alert, about: &About) -> Option<Signal> {
    let rule = content.rules.rule(alert.rule)?;
    let names: Vec<&str> = alert.entity.iter().map(|(name, _)| name.as_str()).collect();
    let values: Vec<&str> = alert.entity.iter().map(|(_, value)| value.as_str()).collect();
    let entity = if names.is_empty() {
        Entity { kind: "organization.id".to_owned(), value: alert.organization.clone() }
    } else {
        Entity { kind: names.join("+"), value: values.join("|") }
    };
    Some(Signal {
        id: identity::of_signal(&alert.organization, &rule.id, &alert.event),
        event_id: alert.event,
        timestamp: alert.at,
        entity,
        matched: alert.because,
        count: alert.count,
        ..said(about, signal::blank(rule, alert.organization))
    })
}

/// The signal about a script that fails: a detection that does not work is something to look at.
fn failing(content: &Content, failures: &Failures, about: &About) -> Signal {
    let title = content.rules.rule(failures.rule).map_or("", |rule| rule.title.as_str());
    let matched = |field: &str, value: &str| Matched {
        field: field.to_owned(),
        value: value.into(),
        selection: "script".to_owned(),
    };
    let signal = Signal {
        id: identity::of_signal(
            &failures.organization,
            FAILING,
            &format!("{}/{}", failures.script, failures.event),
        ),
        organization: failures.organization.clone(),
        rule_id: FAILING.to_owned(),
        title: format!("A detection script fails: {title}"),
        title_vi: format!("Kịch bản phát hiện gặp lỗi: {title}"),
        level: Level::Medium,
        tags: Vec::new(),
        event_id: failures.event.clone(),
        timestamp: failures.at,
        ingested: Timestamp::default(),
        observer: String::new(),
        entity: Entity { kind: "dongson.script.id".to_owned(), value: failures.script.clone() },
        window_seconds: FAILING_WINDOW,
        asset_level: 0,
        matched: vec![
            matched("dongson.script.reason", &failures.told()),
            matched("dongson.script.reason_vi", &failures.told_vi()),
        ],
        count: failures.count,
        drill: None,
    };
    said(about, signal)
}

/// The same with what is known of the event.
fn said(about: &About, signal: Signal) -> Signal {
    Signal {
        ingested: about.ingested,
        observer: about.observer.clone(),
        asset_level: about.asset_level,
        drill: about.drill.clone(),
        ..signal
    }
}

/// A count as a gauge's number; exact up to 2^32, which no count here reaches.
fn precise(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Detector;
    use crate::item::{Item, items};
    use dongson_event::Event;
    use dongson_rules::{LoadOptions, RuleSet};
    use dongson_script::{Limits, Scripts};

    const SCRIPT: &str = "/* meta\ntitle: Three\nid: three\nlogsource: {product: dongson, service: conn}\ndetection:\n  s: {event.dataset: sensor.conn}\n  condition: s\nscript:\n  key: [source.ip]\n  fields: [fail]\n*/\nfn on(event, state) {\n  if event[\"fail\"] == true { loop { } }\n  if state.n == () { state.n = 0; }\n  state.n += 1;\n  return state.n == 3;\n}\n";

    fn content() -> Content {
        let options = LoadOptions { scripts: true, ..LoadOptions::default() };
        let report = RuleSet::from_documents([("three.rhai", SCRIPT)], &options);
        let (scripts, refused) = Scripts::compile(&report.rules, &Limits::default());
        assert!(report.refused.is_empty() && refused.is_empty());
        Content::new(report.rules, scripts)
    }

    /// What the first stage makes of one connection.
    fn item(content: &Content, detector: &mut Detector, number: u32, rest: &str) -> Item {
        let text = format!(
            r#"{{"@timestamp":"2026-11-23T02:00:{:02}Z","event.ingested":"2026-11-23T02:01:00Z","event.dataset":"sensor.conn","organization.id":"so-yte","observer.name":"gw","event.id":"e{number}","source.ip":"10.0.0.7"{rest}}}"#,
            number % 60
        );
        let event = Event::parse(text.as_bytes()).unwrap().0;
        let (rule, signal) = detector.signals(&event).pop().unwrap();
        let mut made = items(&content.rules, rule, signal, detector, &event);
        assert_eq!(made.len(), 1, "the head itself is not reported");
        let item = made.pop().unwrap();
        assert_eq!(Item::from_record(&item.to_record().unwrap()).unwrap(), item);
        item
    }

    fn run(counting: &mut Counting, content: &Content, item: &Item) -> Option<Signal> {
        let Item::Script { seen, about } = item else { panic!("{item:?}") };
        counting.script(content, seen, about)
    }

    #[test]
    fn a_script_counts_on_after_a_restart_and_drills_apart() {
        let content = content();
        let mut detector = Detector::new(&content);
        let mut counting = Counting::new(&content);
        for number in 1..3 {
            assert_eq!(run(&mut counting, &content, &item(&content, &mut detector, number, "")), None);
        }
        let drill = item(&content, &mut detector, 3, r#","dongson.drill":"d1""#);
        assert_eq!(run(&mut counting, &content, &drill), None);
        let mut parts = StateParts::new();
        counting.save(&mut parts).unwrap();
        let saved: BTreeMap<String, Vec<u8>> =
            parts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        assert!(saved.keys().all(|name| name.starts_with(SCRIPTS)), "only what changed is saved: {saved:?}");
        let mut restarted = Counting::new(&content);
        restarted.restore(&saved, None, 0);
        let signal = run(&mut restarted, &content, &item(&content, &mut detector, 4, "")).unwrap();
        assert_eq!((signal.rule_id.as_str(), signal.organization.as_str()), ("three", "so-yte"));
        assert_eq!((signal.entity.kind.as_str(), signal.entity.value.as_str()), ("source.ip", "10.0.0.7"));
        assert_eq!((signal.observer.as_str(), signal.event_id.as_str()), ("gw", "e4"));
        // What earlier versions saved as one is read, too.
        let whole =
            format!("{}{BETWEEN}{}", restarted.correlator.save().unwrap(), restarted.runner.save().unwrap());
        let mut restarted = Counting::new(&content);
        restarted.restore(&BTreeMap::new(), Some(whole.as_bytes()), 0);
        assert_eq!(restarted.runner.keys(), 2);
    }

    #[test]
    fn a_script_that_keeps_failing_raises_an_alert_of_its_own() {
        let content = content();
        let mut detector = Detector::new(&content);
        let mut counting = Counting::new(&content);
        let signals: Vec<Signal> = (0..30)
            .filter_map(|number| {
                run(&mut counting, &content, &item(&content, &mut detector, number, r#","fail":true"#))
            })
            .collect();
        assert_eq!(signals.len(), 1);
        assert_eq!((signals[0].rule_id.as_str(), signals[0].entity.value.as_str()), (FAILING, "three"));
        assert!(signals[0].matched[0].value.to_text().contains("three.rhai:13"), "{:?}", signals[0].matched);
    }
}
