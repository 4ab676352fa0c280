//! `rules test`: each rule over the events beside it that must fire it and those that must not.
//!
//! Beside `X.yml` stands `X.test.yml`:
//!
//! ```yaml
//! fires:
//!   - {event.dataset: sensor.dns, dns.question.name: bad.example}      # one event
//!   - [{...}, {...}]                                                   # several, for a correlation
//!   - - {repeat: 20, every: 5s, event: {event.dataset: sshd, user.name: 'user{n}'}}
//!   - {events: [{...}, {...}], at: [2]}                             # ... and on exactly these events, from 1
//! silent:
//!   - {event.dataset: sensor.dns, dns.question.name: good.example}
//! ```
//!
//! A sample fires when any rule of the file that raises alerts does. `repeat` makes events 0, 1, 2...; `{n}` in
//! their texts is that number. An event without `@timestamp` gets one, a second (or `every`) after the one before.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dongson_event::{Event, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::detect::Detector;
use crate::error::Refusal;
use crate::ruleset::{LoadOptions, LoadReport, RuleSet};
use crate::sigma::meta::timespan;
use crate::taxonomy::{Mode, Taxonomies};

/// Time of the first event of a sample that has none: 2026-01-05 00:00:00 UTC, a Monday.
const START: Timestamp = Timestamp::from_seconds(1_767_571_200);
/// Most events of one sample.
const MAX_EVENTS: usize = 100_000;

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestReport {
    /// Rule files that were compiled.
    pub files: usize,
    /// Samples that were run.
    pub samples: usize,
    /// Samples that did not do what they should.
    pub failed: Vec<Failure>,
    /// Rule files without samples that fire, or without samples that do not.
    pub untested: Vec<String>,
    /// What could not be loaded.
    pub refused: Vec<Refusal>,
}

/// One sample that did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The file with the samples.
    pub file: String,
    /// Which one: `fires 1`, `silent 2`, from 1.
    pub sample: String,
    /// What happened instead.
    pub reason: String,
}

impl TestReport {
    /// True when everything was loaded and tested and no sample failed.
    pub fn is_clean(&self) -> bool {
        self.failed.is_empty() && self.untested.is_empty() && self.refused.is_empty() && self.files > 0
    }
}

/// The samples of one file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Samples {
    #[serde(default)]
    fires: Vec<Sample>,
    #[serde(default)]
    silent: Vec<Sample>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Sample {
    Several(Vec<Step>),
    Exact { events: Vec<Step>, at: Vec<u64> },
    One(Step),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Step {
    Repeat(Repeat),
    Event(Json),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    #[serde(rename = "repeat")]
    times: usize,
    #[serde(default)]
    every: Option<String>,
    event: Json,
}

/// Runs the samples of all rule files below `paths`.
pub fn run(paths: &[PathBuf], options: &LoadOptions) -> TestReport {
    let taxonomies = Arc::new(Taxonomies::embedded());
    run_by(RuleSet::load(paths, options), |rules, events| {
        let mut detector = Detector::new(Arc::clone(rules), Arc::clone(&taxonomies), Mode::Auto);
        let mut hits: Vec<_> =
            (1..).zip(events).flat_map(|(number, event)| detector.event("", number, event)).collect();
        hits.extend(detector.end());
        Ok(hits
            .into_iter()
            .map(|hit| Fired { event: hit.event, rule_id: hit.rule_id, title: hit.rule_title })
            .collect())
    })
}

/// A rule that fired on a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// Number of the event that made it fire, from 1.
    pub event: u64,
    /// The rule's id.
    pub rule_id: String,
    /// The rule's title.
    pub title: String,
}

/// Runs the samples of the rules of `loaded`; `fire` answers what fires on the events of one sample, or why that cannot
/// be said.
pub fn run_by(
    loaded: LoadReport,
    fire: impl Fn(&Arc<RuleSet>, Vec<Event>) -> Result<Vec<Fired>, String>,
) -> TestReport {
    let rules = Arc::new(loaded.rules);
    // Rules that feed correlations of other files need samples of their own only where they raise alerts.
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for rule in rules.rules().iter().filter(|rule| rule.reported || rule.script) {
        files.entry(rule.file.clone()).or_default().push(rule.id.clone());
    }
    let mut report = TestReport {
        files: files.len(),
        samples: 0,
        failed: Vec::new(),
        untested: Vec::new(),
        refused: loaded.refused,
    };
    for (file, ids) in &files {
        let path = Path::new(file).with_extension("test.yml");
        match read(&path) {
            Ok(samples) => {
                if samples.fires.is_empty() || samples.silent.is_empty() {
                    report.untested.push(file.clone());
                }
                one_file(&path, &samples, ids, |events| fire(&rules, events), &mut report);
            }
            Err(Some(reason)) => report.failed.push(Failure {
                file: path.display().to_string(),
                sample: "all".to_owned(),
                reason,
            }),
            Err(None) => report.untested.push(file.clone()),
        }
    }
    report
}

/// The samples; `Err(None)` where there is no such file.
fn read(path: &Path) -> Result<Samples, Option<String>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(None),
        Err(error) => return Err(Some(format!("cannot be read: {error}"))),
    };
    serde_yaml_ng::from_str(&text)
        .map_err(|error| Some(format!("not a sample file (fires, silent): {error}")))
}

fn one_file(
    path: &Path,
    samples: &Samples,
    ids: &[String],
    fire: impl Fn(Vec<Event>) -> Result<Vec<Fired>, String>,
    report: &mut TestReport,
) {
    let named = [("fires", true, &samples.fires), ("silent", false, &samples.silent)];
    for (word, wanted, list) in named {
        for (index, sample) in list.iter().enumerate() {
            report.samples += 1;
            let outcome = events(sample.events()).and_then(&fire).map(|fired| of_file(fired, ids));
            let reason = match outcome {
                Ok(fired) if fired.is_empty() != wanted => match sample.unlike(&fired) {
                    None => continue,
                    Some(reason) => reason,
                },
                Ok(fired) if fired.is_empty() => "no rule of the file fired".to_owned(),
                Ok(fired) => format!("{} fired", titles(&fired).join(", ")),
                Err(reason) => reason,
            };
            let sample = format!("{word} {}", index + 1);
            report.failed.push(Failure { file: path.display().to_string(), sample, reason });
        }
    }
}

/// What fired of the rules of the file.
fn of_file(mut fired: Vec<Fired>, ids: &[String]) -> Vec<Fired> {
    fired.retain(|one| ids.contains(&one.rule_id));
    fired
}

fn titles(fired: &[Fired]) -> Vec<&str> {
    let mut titles: Vec<&str> = fired.iter().map(|one| one.title.as_str()).collect();
    titles.sort_unstable();
    titles.dedup();
    titles
}

impl Sample {
    fn events(&self) -> &[Step] {
        match self {
            Self::One(step) => std::slice::from_ref(step),
            Self::Several(steps) => steps,
            Self::Exact { events, .. } => events,
        }
    }

    /// How what fired differs from what the sample says of it, if it says anything.
    fn unlike(&self, fired: &[Fired]) -> Option<String> {
        let Self::Exact { at, .. } = self else { return None };
        let found: Vec<u64> = fired.iter().map(|one| one.event).collect();
        (found != *at).then(|| format!("fired on the events {found:?}, not on {at:?}"))
    }
}

/// The events of a sample, each with a time.
fn events(steps: &[Step]) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    let mut now = START;
    for step in steps {
        let (count, every, event) = match step {
            Step::Event(event) => (1, Duration::from_secs(1), event),
            Step::Repeat(Repeat { times, every, event }) => {
                let every = every.as_deref().unwrap_or("1s");
                let span =
                    timespan(every).ok_or_else(|| format!("`every: {every}` is not a time such as 5s"))?;
                (*times, span, event)
            }
        };
        if events.len() + count > MAX_EVENTS {
            return Err(format!("more than {MAX_EVENTS} events"));
        }
        for number in 0..count {
            let text = numbered(event, number).to_string();
            let (mut event, _) = Event::parse(text.as_bytes()).map_err(|error| error.to_string())?;
            if event.get("@timestamp").is_none() {
                event.set("@timestamp", now);
            }
            if event.get("event.id").is_none() {
                event.set("event.id", format!("sample-{}", events.len()));
            }
            now = event.timestamp().unwrap_or(now).plus(every);
            events.push(event);
        }
    }
    Ok(events)
}

/// `{n}` in texts becomes the number.
fn numbered(value: &Json, number: usize) -> Json {
    match value {
        Json::String(text) => Json::String(text.replace("{n}", &number.to_string())),
        Json::Array(items) => Json::Array(items.iter().map(|item| numbered(item, number)).collect()),
        Json::Object(map) => {
            Json::Object(map.iter().map(|(key, value)| (key.clone(), numbered(value, number))).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let rule = |id: &str| {
            format!(
                "title: T {id}\nid: {id}\nlogsource: {{product: dongson}}\ndetection: {{s: {{a: b}}, condition: s}}\n"
            )
        };
        write("good.yml", &rule("good"));
        write("good.test.yml", "fires: [{event.dataset: x, a: B}]\nsilent: [{event: {dataset: x}, a: c}]\n");
        write("bad.yml", &rule("bad"));
        write("bad.test.yml", "fires: [{event.dataset: x, a: c}]\nsilent: [{event.dataset: x, a: b}, 7]\n");
        write("none.yml", &rule("none"));
        write("typo.yml", &rule("typo"));
        write("typo.test.yml", "fire: []\n");
        let report = run(&[folder.path().to_owned()], &LoadOptions::default());
        assert_eq!((report.files, report.samples), (4, 5));
        let failed: Vec<_> =
            report.failed.iter().map(|failure| (failure.sample.as_str(), failure.reason.as_str())).collect();
        assert_eq!(failed[0], ("fires 1", "no rule of the file fired"));
        assert_eq!(failed[1], ("silent 1", "T bad fired"));
        assert!(failed[2].1.contains("object"), "{failed:?}");
        assert!(failed[3].0 == "all" && failed[3].1.contains("fire"), "{failed:?}");
        assert_eq!(report.untested.len(), 1);
        assert!(!report.is_clean());
    }
}
