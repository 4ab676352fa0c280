//! What needs no data from elsewhere: the shipped rules and their samples, the vector suite, awkward values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dongson_event::Event;
use dongson_rules::{LoadOptions, Mode, RuleSet};
use serde_json::{Value as Json, json};

use super::{Case, awkward, compare, invented, stored};

/// Fewest rules of the vector suite that are compared.
const FEWEST: usize = 200;

pub(super) fn run() -> bool {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules");
    content(&rules.join("content/sigma")) & vectors(&rules.join("vectors"))
}

/// The shipped rules over their samples and over events made from them.
fn content(folder: &Path) -> bool {
    let files = files(folder);
    let texts =
        |wanted: bool| files.iter().filter(move |(name, _)| name.ends_with(".test.yml") == wanted).cloned();
    let rules = RuleSet::from_documents(texts(false), &LoadOptions::default()).rules;
    let mut events: Vec<Event> = texts(true).flat_map(|(_, text)| samples(&text)).collect();
    let whole = events.len();
    events.extend(texts(false).flat_map(|(_, text)| invented::events(&text, false)));
    println!("{whole} samples, {} events made from rules", events.len() - whole);
    stored(&mut events, "so-yte");
    compare(&Case {
        name: "content",
        rules: Arc::new(rules),
        events,
        organization: "so-yte",
        mode: Mode::Auto,
        alone: 12,
    })
}

/// The vector suite and awkward values: every rule over every event.
fn vectors(folder: &Path) -> bool {
    let (mut rules, mut events) = awkward::all();
    for (name, text) in files(folder) {
        let file: BTreeMap<String, Json> = yaml(&text);
        for case in file.get("cases").and_then(Json::as_array).into_iter().flatten() {
            let detection = match (case.get("selection"), case.get("detection")) {
                (Some(selection), _) => json!({"sel": selection, "condition": "sel"}),
                (None, Some(detection)) => detection.clone(),
                _ => continue,
            };
            let title = case.get("name").map(Json::to_string).unwrap_or_default();
            rules.push((name.clone(), rule(&title, &detection)));
            let given = |key: &str| case.get(key).and_then(Json::as_array).cloned().unwrap_or_default();
            events.extend([given("yes"), given("no")].concat());
        }
    }
    let loaded = RuleSet::from_documents(rules, &LoadOptions::default());
    assert!(loaded.compiled >= FEWEST, "{} rules", loaded.compiled);
    let mut events: Vec<Event> =
        events.iter().filter_map(|event| Some(Event::parse(event.to_string().as_bytes()).ok()?.0)).collect();
    stored(&mut events, "so-yte");
    let rules = Arc::new(loaded.rules);
    let case = |name, mode, events| Case {
        name,
        rules: Arc::clone(&rules),
        events,
        organization: "so-yte",
        mode,
        alone: 100,
    };
    let said: Vec<Event> = events
        .iter()
        .cloned()
        .map(|mut event| {
            event.set("product", "Dongson");
            event
        })
        .collect();
    compare(&case("vectors", Mode::Auto, events)) & compare(&case("vectors as said", Mode::Sigma, said))
}

/// A rule over all our events.
pub(super) fn rule(title: &str, detection: &Json) -> String {
    json!({"title": title, "logsource": {"product": "dongson"}, "detection": detection}).to_string()
}

fn yaml<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_yaml_ng::from_str(text).unwrap()
}

/// The single events beside a rule.
fn samples(text: &str) -> Vec<Event> {
    let file: BTreeMap<String, Vec<Json>> = yaml(text);
    let mut found = Vec::new();
    for sample in file.into_values().flatten() {
        let several = match sample {
            Json::Array(several) => several,
            single => vec![single],
        };
        for one in several {
            let one = one.get("event").cloned().unwrap_or(one);
            found.extend(Event::parse(one.to_string().as_bytes()).ok().map(|(event, _)| event));
        }
    }
    found
}

/// Names and texts of the YAML files under a folder.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yml") {
                found.push((path.display().to_string(), std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
