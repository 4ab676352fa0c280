//! Conformance with `SigmaHQ`'s rules and with real events whose matches are known.
//!
//! The data is not part of the project. It is looked for in the folder `DONGSON_SIGMA_DIR`, else in
//! `$DONGSON_SHARED/data/sigma`, else in `../shared/data/sigma` beside the workspace. Files of the same form whose
//! names begin with `regression-` and `otrf-` work, too.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that reports what it counted")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use dongson_event::Event;
use dongson_rules::detect::Detector;
use dongson_rules::{LoadOptions, LoadReport, Mode, RuleSet, Taxonomies};
use serde::Deserialize;
use serde_json::Value;

/// The folders of the archive that are rules for everybody.
const FOLDERS: [&str; 4] = ["rules", "rules-emerging-threats", "rules-threat-hunting", "rules-compliance"];

fn data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.to_owned();
    let shared = || std::env::var_os("DONGSON_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let folder =
        std::env::var_os("DONGSON_SIGMA_DIR").map_or_else(|| shared().join("data/sigma"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no folder {} (set DONGSON_SIGMA_DIR)", folder.display());
    None
}

/// The archive unpacked, and its rules; once for all tests.
static RULES: LazyLock<Option<(tempfile::TempDir, LoadReport)>> = LazyLock::new(|| {
    let archive = zstd::Decoder::new(File::open(data()?.join("sigma-rules.tar.zst")).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    tar::Archive::new(archive).unpack(folder.path()).unwrap();
    let paths: Vec<PathBuf> = FOLDERS.iter().map(|name| folder.path().join(name)).collect();
    let report = RuleSet::load(&paths, &LoadOptions::default());
    Some((folder, report))
});

#[test]
fn rules_compile() {
    let Some((folder, report)) = RULES.as_ref() else { return };
    println!("files {} compiled {} refused {}", report.files, report.compiled, report.refused.len());
    for refusal in &report.refused {
        println!(
            "  {}:{}: {}",
            refusal.file.trim_start_matches(&folder.path().display().to_string()),
            refusal.line,
            refusal.reason
        );
    }
    println!("predicates {}", report.rules.predicates());
    assert_eq!(report.files, report.compiled + report.refused.len());
    assert!(report.compiled * 3_757 >= report.files * 3_750, "more refused than 7 of 3,757");
}

/// The names between percent signs in a text.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    let word = |name: &&str| {
        !name.is_empty() && name.chars().all(|sign| sign.is_ascii_alphanumeric() || "_-".contains(sign))
    };
    text.split('%').filter(word)
}

#[test]
fn all_rules_compile_with_a_values_file() {
    let Some((folder, _)) = RULES.as_ref() else { return };
    let all = FOLDERS.iter().chain(&["rules-placeholder"]).map(|name| folder.path().join(name));
    let paths: Vec<PathBuf> = all.collect();
    let without = RuleSet::load(&paths, &LoadOptions::default());
    // The rules that are refused name what they lack; an address is a value for every field.
    let mut known = BTreeSet::new();
    for refusal in &without.refused {
        let text = std::fs::read_to_string(&refusal.file).unwrap();
        for name in text.lines().filter(|line| line.contains('%')).flat_map(placeholders) {
            known.insert(name.to_owned());
        }
    }
    let lines: Vec<String> = known.iter().map(|name| format!("  {name}: [192.0.2.1]\n")).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("placeholders:\n{}", lines.concat())).unwrap();
    let with = RuleSet::load(&paths, &LoadOptions::with_values(file.path()).unwrap());
    println!(
        "without values: files {} compiled {}; with {} values: compiled {}",
        without.files,
        without.compiled,
        known.len(),
        with.compiled
    );
    assert_eq!(with.refused, []);
    assert_eq!(with.compiled, with.files);
}

/// What was expected and what came.
#[derive(Default)]
struct Tally {
    expected: usize,
    fired: usize,
    missed: BTreeMap<String, usize>,
    extra: BTreeMap<String, usize>,
    disputed: usize,
}

impl Tally {
    fn print(&self, name: &str) {
        let sum = |map: &BTreeMap<String, usize>| map.values().sum::<usize>();
        println!(
            "{name}: expected {} fired {} missed {} extra {} (disputed that fire {})",
            self.expected,
            self.fired,
            sum(&self.missed),
            sum(&self.extra),
            self.disputed
        );
        for (word, map) in [("missed", &self.missed), ("extra", &self.extra)] {
            for (rule, count) in map {
                println!("  {word} {count} x {rule}");
            }
        }
    }

    fn assert_98_percent(&self) {
        assert!(self.expected > 0, "no case was run");
        assert!(self.fired * 100 >= self.expected * 98, "{} of {} fired", self.fired, self.expected);
    }
}

fn detector(mode: Mode) -> Option<Detector> {
    let (_, report) = RULES.as_ref()?;
    Some(Detector::new(Arc::new(report.rules.clone()), Arc::new(Taxonomies::embedded()), mode))
}

fn ids(detector: &mut Detector, number: u64, event: &Value) -> BTreeSet<String> {
    let (event, _) = Event::parse(event.to_string().as_bytes()).unwrap();
    detector.event("", number, event).into_iter().map(|hit| hit.rule_id).collect()
}

/// The files of the folder whose names begin and end so.
fn files(start: &str, end: &str) -> Vec<PathBuf> {
    let Some(folder) = data() else { return Vec::new() };
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    names
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with(start) && name.ends_with(end)
        })
        .collect()
}

#[derive(Deserialize)]
struct Case {
    rule_id: String,
    rule_title: String,
    expected_match_count: Option<usize>,
    events: Vec<Value>,
}

#[test]
fn regression_cases_fire() {
    let Some(mut detector) = detector(Mode::Auto) else { return };
    for file in files("regression-", ".jsonl") {
        let (mut tally, mut counts) = (Tally::default(), 0);
        for line in BufReader::new(File::open(&file).unwrap()).lines() {
            let case: Case = serde_json::from_str(&line.unwrap()).unwrap();
            tally.expected += 1;
            let events = case.events.iter().zip(1..);
            let hits = events
                .filter(|(event, number)| ids(&mut detector, *number, event).contains(&case.rule_id))
                .count();
            let name = format!("{} {}", case.rule_id, case.rule_title);
            if hits > 0 {
                tally.fired += 1;
            } else {
                *tally.missed.entry(name.clone()).or_default() += 1;
            }
            if case.expected_match_count.is_some_and(|expected| expected != hits) {
                println!("  {name}: {hits} events of {:?}", case.expected_match_count);
                counts += 1;
            }
        }
        tally.print(&file.file_name().unwrap().to_string_lossy());
        println!("  cases whose number of events differs: {counts}");
        tally.assert_98_percent();
    }
}

#[derive(Deserialize)]
struct Flat {
    event: Value,
    expected: BTreeSet<String>,
    disputed: BTreeSet<String>,
}

/// Runs the flat events through `change` and the rules in `mode`; `strict`: what nobody expects is a failure.
fn otrf(what: &str, mode: Mode, strict: bool, change: impl Fn(Value) -> Value) {
    let Some(mut detector) = detector(mode) else { return };
    let (_, report) = RULES.as_ref().unwrap();
    let title = |id: &String| {
        let rule = report.rules.find(id).and_then(|number| report.rules.rule(number));
        format!("{id} {}", rule.map_or("(refused)", |rule| &rule.title))
    };
    for file in files("otrf-", "-flat-expected.jsonl.zst") {
        let (mut tally, mut events) = (Tally::default(), 0);
        let started = std::time::Instant::now();
        for line in BufReader::new(zstd::Decoder::new(File::open(&file).unwrap()).unwrap()).lines() {
            let flat: Flat = serde_json::from_str(&line.unwrap()).unwrap();
            events += 1;
            let fired = ids(&mut detector, events, &change(flat.event));
            tally.expected += flat.expected.len();
            tally.fired += flat.expected.intersection(&fired).count();
            tally.disputed += flat.disputed.intersection(&fired).count();
            for id in flat.expected.difference(&fired) {
                *tally.missed.entry(title(id)).or_default() += 1;
            }
            for id in fired.difference(&flat.expected).filter(|id| !flat.disputed.contains(*id)) {
                *tally.extra.entry(title(id)).or_default() += 1;
            }
        }
        println!("{events} events in {:.1} s", started.elapsed().as_secs_f64());
        tally.print(&format!("{} {what}", file.file_name().unwrap().to_string_lossy()));
        tally.assert_98_percent();
        let extra = tally.extra.values().sum::<usize>();
        assert!(!strict || extra * 50 <= tally.expected, "too much that nobody expects");
    }
}

#[test]
fn otrf_events_fire_what_is_expected() {
    otrf("as they are", Mode::Sigma, true, |event| event);
}

/// The log source is found from channel and event id. More fires, because `registry_event` is found, too.
#[test]
fn otrf_events_without_their_log_source_fire_the_same() {
    otrf("without log source", Mode::Auto, false, |mut event| {
        let map = event.as_object_mut().unwrap();
        for name in ["product", "service", "category"] {
            map.remove(name);
        }
        event
    });
}

/// As Winlogbeat would have sent them.
#[test]
fn otrf_events_in_winlogbeat_form_fire_the_same() {
    otrf("as Winlogbeat", Mode::Auto, false, |event| {
        let (mut header, mut data) = (serde_json::Map::new(), serde_json::Map::new());
        for (name, value) in event.as_object().unwrap().clone() {
            match name.as_str() {
                // Aliases that the data set added.
                "product" | "service" | "category" => {}
                "Image" | "ParentImage" if event["EventID"] == 4688 => {}
                "Channel" => drop(header.insert("channel".to_owned(), value)),
                "EventID" => drop(header.insert("event_id".to_owned(), Value::String(value.to_string()))),
                "Provider_Name" => drop(header.insert("provider_name".to_owned(), value)),
                _ => drop(data.insert(name, value)),
            }
        }
        header.insert("event_data".to_owned(), Value::Object(data));
        serde_json::json!({ "winlog": header, "event": {"dataset": "windows.any"} })
    });
}

#[test]
fn otrf_events_as_published_find_their_log_source() {
    let Some(mut detector) = detector(Mode::Auto) else { return };
    for file in
        files("otrf-", ".jsonl.zst").into_iter().filter(|path| !path.to_string_lossy().contains("flat"))
    {
        let (mut events, mut hits) = (0, 0);
        for record in dongson_rules::detect::open(&file).unwrap() {
            let record = record.unwrap();
            events += 1;
            hits += detector.event("", record.number, record.event).len();
        }
        println!(
            "{}: {events} events, {hits} matches in auto mode",
            file.file_name().unwrap().to_string_lossy()
        );
        assert!(hits > 0);
    }
}
