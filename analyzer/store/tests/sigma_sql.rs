//! Sigma as SQL against the engine, rule by rule, over real events in the real store: both must find the same events.
//! The data's folder is `DONGSON_SHARED`, else `../shared` beside the workspace; `SIGMA_SQL_EVENTS` says how many events.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "a test runner reports")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use dongson_event::{Event, Timestamp};
use dongson_rules::{Engine, LoadOptions, Matcher, Mode, RuleSet, Taxonomies, detect, sql};
use dongson_store::{
    ChildCommand, EventRow, RetentionPolicy, StoreOptions, Supervisor, engine_path, run_store,
};

/// 2026-11-23T02:00:00Z.
const START: i64 = 1_795_485_600;
/// Most events that are compared unless told otherwise.
const EVENTS: usize = 4_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("store") => return child(&arguments),
        Some("--list") => return ExitCode::SUCCESS,
        _ => {}
    }
    let engine = engine_path();
    if !engine.is_file() {
        println!("no engine at {}: run deploy/fetch-engine, or set DONGSON_ENGINE", engine.display());
        return ExitCode::FAILURE;
    }
    let shared = std::env::var_os("DONGSON_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let data = shared.join("data/sigma");
    if !data.join("sigma-rules.tar.zst").is_file() {
        println!("skipped: no data in {}", data.display());
        return ExitCode::SUCCESS;
    }
    compare(&data)
}

/// `store --data DIR --engine PATH --listen ADDRESS --memory BYTES --child`, as the product's binary takes it.
fn child(arguments: &[String]) -> ExitCode {
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name).unwrap();
        arguments.get(at + 1).unwrap().clone()
    };
    let mut options = StoreOptions::new(value("--data"), value("--engine"));
    options.listen = Some(value("--listen").parse().unwrap());
    options.memory_bytes = value("--memory").parse().unwrap();
    options.child = true;
    let key = |name| std::env::var(name).unwrap();
    options.keys = Some((key(dongson_store::WRITER_KEY_VARIABLE), key(dongson_store::READER_KEY_VARIABLE)));
    run_store(&options).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// All rules of the archive.
fn rules(data: &Path) -> RuleSet {
    let archive = zstd::Decoder::new(File::open(data.join("sigma-rules.tar.zst")).unwrap()).unwrap();
    let mut documents = Vec::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        if Path::new(&name).extension().is_some_and(|extension| extension == "yml") {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            documents.push((name, text));
        }
    }
    RuleSet::from_documents(documents, &LoadOptions::default()).rules
}

/// Events as the analyzer stores them: each with a time, an id, an agency and a dataset.
fn events(data: &Path, most: usize) -> Vec<Event> {
    let mut events = Vec::new();
    let cases = BufReader::new(File::open(data.join("regression-dev.jsonl")).unwrap());
    for line in cases.lines() {
        let case: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        for event in case.get("events").and_then(serde_json::Value::as_array).unwrap() {
            events.push(detect::unpack(Event::parse(event.to_string().as_bytes()).unwrap().0));
        }
    }
    let all: Vec<Event> =
        detect::open(&data.join("otrf-dev.jsonl.zst")).unwrap().map(|record| record.unwrap().event).collect();
    let stride = (all.len() / most.saturating_sub(events.len()).max(1)).max(1);
    events.extend(all.into_iter().step_by(stride));
    for (number, event) in (0..).zip(&mut events) {
        event.set("@timestamp", Timestamp::from_seconds(START + number));
        event.set("event.ingested", Timestamp::from_seconds(START + number + 5));
        event.set("event.id", format!("e{number}"));
        event.set("organization.id", "so-yte");
        if event.get("event.dataset").is_none() {
            event.set("event.dataset", "windows");
        }
    }
    events
}

fn compare(data: &Path) -> ExitCode {
    let most = std::env::var("SIGMA_SQL_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(EVENTS);
    let (rules, events) = (Arc::new(rules(data)), events(data, most));
    let taxonomies = Arc::new(Taxonomies::embedded());
    let engine = Engine::new(Arc::clone(&rules), Arc::clone(&taxonomies), Mode::Auto, None);
    let mut matcher = Matcher::sharing(Arc::new(engine));
    let mut expected: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for event in &events {
        let mut found = Vec::new();
        matcher.matches(event, &mut found);
        for one in found {
            expected.entry(one.rule).or_default().insert(event.id().to_owned());
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(folder.path(), engine_path());
    let store = Supervisor::start(ChildCommand::current().unwrap(), &options).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let policy = RetentionPolicy::default();
    let (mut refused, mut compared, mut wrong, mut hits) = (BTreeMap::<&str, u32>::new(), 0, 0, 0);
    runtime.block_on(async {
        let client = store.client();
        client.migrate().await.unwrap();
        let rows: Vec<EventRow> =
            events.iter().map(|event| EventRow::from_event(event, &policy).unwrap()).collect();
        for (number, rows) in rows.chunks(2_000).enumerate() {
            client.insert_events(rows, &format!("part-{number}")).await.unwrap();
        }
        // Every rule that the engine found, and every tenth of those that must find nothing.
        let sparse = std::env::var_os("SIGMA_SQL_ALL").is_none();
        for number in 0..rules.rules().len() {
            let text = match sql::select(&rules, &taxonomies, number) {
                Ok(text) => text,
                Err(error) => {
                    *refused.entry(error.kind()).or_default() += 1;
                    continue;
                }
            };
            if sparse && !expected.contains_key(&number) && !number.is_multiple_of(10) {
                continue;
            }
            let ids = format!("SELECT event_id FROM ({text})").replace('?', "??");
            let found = client.writer().query(&ids).fetch_all::<String>().await;
            let wanted = expected.remove(&number).unwrap_or_default();
            compared += 1;
            hits += wanted.len();
            let title = rules.rule(number).map_or("", |rule| rule.title.as_str());
            match found {
                Ok(found) => {
                    let found: BTreeSet<String> = found.into_iter().collect();
                    if found != wanted {
                        wrong += 1;
                        let first = |set: &BTreeSet<String>, other: &BTreeSet<String>| {
                            set.difference(other).next().cloned()
                        };
                        println!(
                            "{title}: the engine finds {}, SQL {}; only the engine {:?}, only SQL {:?}",
                            wanted.len(),
                            found.len(),
                            first(&wanted, &found),
                            first(&found, &wanted)
                        );
                    }
                }
                Err(error) => {
                    wrong += 1;
                    println!("{title}: {}", error.to_string().chars().take(600).collect::<String>());
                }
            }
        }
    });
    drop(runtime);
    drop(store);
    println!(
        "{} events, {compared} rules compared, {hits} matches, {wrong} differ; refused: {refused:?}",
        events.len()
    );
    if wrong == 0 && hits > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
