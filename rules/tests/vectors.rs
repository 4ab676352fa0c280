//! The vector suite: what the Sigma specification 2.1.0 says, case by case, and what was decided where it is open.
//!
//! Each file of `vectors/` is one feature. A case is one rule (`selection`, `detection`, or whole documents: `rules`,
//! with `more` behind and `before` in front of them) with `values` of placeholders, and what is expected: events that
//! must fire it (`yes`) or must not (`no`); events with the ids that fire (`events`); events in time with the reports of
//! correlations (`stream`); the reason of a refusal (`refused`). Everything runs through the public API, and the
//! matcher stands in one place, so that any engine behind [`Matcher`] is held to the same.

#![expect(clippy::unwrap_used, reason = "a test that reports what it counted")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use dongson_event::{Event, Timestamp};
use dongson_rules::correlate::keyed;
use dongson_rules::{Correlator, LoadOptions, LoadReport, Matcher, Mode, RuleSet, Taxonomies, Values};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

/// Fewest cases of the suite.
const FEWEST: usize = 400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    feature: String,
    #[serde(rename = "specification")]
    _specification: String,
    /// Documents of all cases that do not bring their own.
    #[serde(default)]
    rules: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(deserialize_with = "name")]
    name: String,
    #[serde(default, rename = "decision")]
    _decision: String,
    /// A selection whose condition is itself; `Some(null)` is the selection null.
    #[serde(default, deserialize_with = "present")]
    selection: Option<serde_yaml_ng::Value>,
    detection: Option<serde_yaml_ng::Value>,
    rules: Option<String>,
    #[serde(default)]
    before: String,
    #[serde(default)]
    more: String,
    #[serde(default)]
    values: Values,
    #[serde(default)]
    yes: Vec<Json>,
    #[serde(default)]
    no: Vec<Json>,
    #[serde(default)]
    events: Vec<Fires>,
    #[serde(default)]
    stream: Vec<Json>,
    /// What is reported when the stream ended.
    #[serde(default)]
    over: Vec<String>,
    /// In a stream, also rules that are no correlations and report by themselves.
    #[serde(default)]
    reported: bool,
    refused: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fires {
    event: Json,
    fires: Vec<String>,
}

fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<serde_yaml_ng::Value>, D::Error> {
    serde_yaml_ng::Value::deserialize(value).map(Some)
}

/// Names such as `true` are names.
fn name<'de, D: serde::Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    Ok(match serde_yaml_ng::Value::deserialize(value)? {
        serde_yaml_ng::Value::String(text) => text,
        other => format!("{other:?}"),
    })
}

/// The one place that says which engine is held to the suite.
fn matcher(rules: Arc<RuleSet>) -> Matcher {
    static TAXONOMIES: LazyLock<Arc<Taxonomies>> = LazyLock::new(|| Arc::new(Taxonomies::embedded()));
    Matcher::new(rules, Arc::clone(&TAXONOMIES), Mode::Sigma)
}

/// What is asked of an engine.
struct Asked {
    rules: Arc<RuleSet>,
    matcher: Matcher,
}

impl Asked {
    fn new(rules: RuleSet) -> Self {
        let rules = Arc::new(rules);
        Self { matcher: matcher(Arc::clone(&rules)), rules }
    }

    fn id(&self, rule: usize) -> String {
        self.rules.rule(rule).unwrap().id.clone()
    }

    /// Ids of the rules that hold, sorted.
    fn fires(&mut self, event: &Event) -> Vec<String> {
        let mut found = Vec::new();
        self.matcher.matches(event, &mut found);
        let mut ids: Vec<String> = found.iter().map(|one| self.id(one.rule)).collect();
        ids.sort();
        ids
    }

    /// Ids of what is reported with each event of a stream, sorted; the last ones are those of its end.
    fn stream(&mut self, events: &[Event], reported: bool) -> Vec<Vec<String>> {
        let mut correlator = Correlator::new(Arc::clone(&self.rules));
        let mut all = Vec::new();
        for event in events {
            let mut found = Vec::new();
            self.matcher.matches(event, &mut found);
            let mut ids = Vec::new();
            for one in found {
                ids.push(one.rule);
                for seen in keyed(&mut self.matcher, event, one.rule) {
                    ids.extend(correlator.observe_all(&seen).iter().map(|reached| reached.rule));
                }
            }
            ids.retain(|rule| {
                let rule = self.rules.rule(*rule).unwrap();
                rule.reported && (rule.correlation || reported)
            });
            let mut ids: Vec<String> = ids.into_iter().map(|rule| self.id(rule)).collect();
            ids.sort();
            ids.dedup();
            all.push(ids);
        }
        let over = correlator.close(|_| Some(Timestamp::from_nanos(i64::MAX)));
        all.push(over.iter().map(|one| self.id(one.rule)).collect());
        all
    }
}

fn event(value: &Json) -> Event {
    let text = match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    Event::parse(text.as_bytes()).unwrap().0
}

/// With the log source of cases that write only a selection.
fn sourced(value: &Json) -> Json {
    let mut value = value.clone();
    if let Some(map) = value.as_object_mut() {
        map.entry("product").or_insert(json!("x"));
    }
    value
}

impl Case {
    fn load(&self, common: &str) -> LoadReport {
        let detection = |detection: &serde_yaml_ng::Value| {
            let rule: serde_yaml_ng::Value = serde_yaml_ng::to_value(json!({
                "title": "T", "id": "t", "logsource": {"product": "x"},
            }))
            .unwrap();
            let serde_yaml_ng::Value::Mapping(mut rule) = rule else { unreachable!() };
            rule.insert("detection".into(), detection.clone());
            serde_yaml_ng::to_string(&rule).unwrap()
        };
        let text = match (&self.selection, &self.detection) {
            (Some(selection), _) => {
                let mut map = serde_yaml_ng::Mapping::new();
                map.insert("sel".into(), selection.clone());
                map.insert("condition".into(), "sel".into());
                detection(&serde_yaml_ng::Value::Mapping(map))
            }
            (_, Some(given)) => detection(given),
            _ => self.rules.clone().unwrap_or_else(|| common.to_owned()),
        };
        let text = [self.before.as_str(), text.as_str(), self.more.as_str()].join("\n---\n");
        RuleSet::from_documents(
            [("vector.yml", text)],
            &LoadOptions { values: self.values.clone(), ..LoadOptions::default() },
        )
    }

    /// What went otherwise than expected; empty when all is well.
    fn run(&self, common: &str) -> Vec<String> {
        let report = self.load(common);
        let mut wrong = Vec::new();
        let reasons: Vec<&str> = report.refused.iter().map(|one| one.reason.as_str()).collect();
        match &self.refused {
            None if !reasons.is_empty() => return vec![format!("refused: {reasons:?}")],
            Some(part) if !reasons.iter().any(|reason| reason.contains(part)) => {
                wrong.push(format!("not refused because of {part:?} but: {reasons:?}"));
            }
            _ => {}
        }
        if self.yes.is_empty() && self.events.is_empty() && self.stream.is_empty() && self.refused.is_none() {
            wrong.push("the case expects nothing".to_owned());
        }
        let mut asked = Asked::new(report.rules);
        for (values, expected) in [(&self.yes, true), (&self.no, false)] {
            for value in values {
                if asked.fires(&event(&sourced(value))).is_empty() == expected {
                    wrong.push(format!("{} on {value}", if expected { "silent" } else { "fires" }));
                }
            }
        }
        for Fires { event: value, fires } in &self.events {
            let value = if value.get("category").is_some() { value.clone() } else { sourced(value) };
            let fired = asked.fires(&event(&value));
            if fired != *fires {
                wrong.push(format!("{fired:?} instead of {fires:?} on {value}"));
            }
        }
        wrong.extend(self.run_stream(&mut asked));
        wrong
    }

    fn run_stream(&self, asked: &mut Asked) -> Vec<String> {
        let (mut events, mut expected) = (Vec::new(), Vec::new());
        for (number, step) in self.stream.iter().enumerate() {
            let mut map: Map<String, Json> = step.as_object().unwrap().clone();
            let second = map.remove("t").and_then(|t| t.as_i64()).unwrap();
            let fires: Vec<String> = serde_json::from_value(map.remove("fires").unwrap()).unwrap();
            expected.push(fires);
            let mut event = event(&sourced(&Json::Object(map)));
            event.set("@timestamp", Timestamp::from_seconds(1_767_571_200 + second));
            event.set("event.id", format!("event-{number:04}"));
            events.push(event);
        }
        expected.push(self.over.clone());
        let plain = self.stream.iter().flat_map(|step| step["fires"].as_array().unwrap());
        let correlations: Vec<&str> =
            asked.rules.rules().iter().filter(|rule| rule.correlation).map(|rule| rule.id.as_str()).collect();
        let named = plain.filter_map(Json::as_str).any(|id| !correlations.contains(&id));
        let told = asked.stream(&events, self.reported || named);
        let pairs = told.iter().zip(&expected).enumerate().filter(|(_, (told, expected))| told != expected);
        pairs
            .map(|(number, (told, expected))| format!("{told:?} instead of {expected:?} at event {number}"))
            .collect()
    }
}

#[test]
fn every_vector_holds() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let (mut cases, mut checks, mut wrong) = (0, 0, Vec::new());
    for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "yml")) {
        let text = std::fs::read_to_string(path).unwrap();
        let file: File =
            serde_yaml_ng::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut names = BTreeMap::new();
        for case in &file.cases {
            *names.entry(&case.name).or_insert(0) += 1;
            checks += case.yes.len() + case.no.len() + case.events.len() + case.stream.len();
            checks += usize::from(case.refused.is_some());
            wrong.extend(
                case.run(&file.rules)
                    .into_iter()
                    .map(|one| format!("{}: {}: {one}", file.feature, case.name)),
            );
        }
        let twice = names.iter().filter(|(_, count)| **count > 1);
        wrong.extend(twice.map(|(name, _)| format!("{}: {name}: this name is there twice", file.feature)));
        println!("{}: {} cases", file.feature, file.cases.len());
        cases += file.cases.len();
    }
    println!("{cases} cases with {checks} expectations");
    for one in &wrong {
        println!("  {one}");
    }
    assert!(wrong.is_empty(), "{} expectations do not hold", wrong.len());
    assert!(cases >= FEWEST, "only {cases} cases");
}
