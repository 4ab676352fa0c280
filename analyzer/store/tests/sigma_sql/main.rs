//! Sigma as SQL against the engine over the same events, in the real store: both must find the same.
//!
//! Two parts. `shipped` always runs: the shipped rules over their samples, the vector suite, and awkward values of every
//! type of column. `published` runs a sample of the published rules (all with `SIGMA_SQL_ALL=1`; `SIGMA_SQL_SEED` takes
//! another one) over real Windows events and over events made from the rules; the data's folder is `DONGSON_SHARED`, else
//! `../shared` beside the workspace. A part is chosen by its name. With `SIGMA_SQL_FOLDER` each statement is written there
//! and its time is told.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "a test runner reports")]

mod awkward;
mod invented;
mod published;
mod shipped;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clickhouse::Row;
use dongson_event::{Event, Timestamp};
use dongson_rules::sql::{Source, Within};
use dongson_rules::{Engine, Matcher, Mode, RuleSet, Taxonomies};
use dongson_store::{
    ChildCommand, EventRows, RetentionPolicy, StoreClient, StoreOptions, Supervisor, engine_path, run_store,
};
use futures::StreamExt as _;
use serde::Deserialize;

/// 2026-11-23T02:00:00Z.
const START: i64 = 1_795_485_600;
/// Most bytes of a statement that asks several rules.
const BATCH_BYTES: usize = 240 << 10;
/// Rows of one insert.
const INSERT_ROWS: usize = 2_000;

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
    let wanted = |name: &str| {
        let mut named = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
        named.peek().is_none() || named.any(|part| name.contains(part.as_str()))
    };
    let mut good = true;
    if wanted("shipped") {
        good &= shipped::run();
    }
    if wanted("published") {
        let shared = std::env::var_os("DONGSON_SHARED")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
        good &= published::run(&shared.join("data/sigma"));
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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

/// Events as the analyzer stores them: each with a time, an id, an agency, a dataset.
fn stored(events: &mut [Event], organization: &str) {
    for (number, event) in (0..).zip(events) {
        event.set("@timestamp", Timestamp::from_seconds(START + number));
        event.set("event.ingested", Timestamp::from_seconds(START + number + 5));
        event.set("event.id", format!("{organization}-{number}"));
        event.set("organization.id", organization);
        if event.text("event.dataset").is_none() {
            event.set("event.dataset", "other");
        }
    }
}

/// What is compared.
struct Case {
    name: &'static str,
    rules: Arc<RuleSet>,
    events: Vec<Event>,
    organization: &'static str,
    mode: Mode,
    /// Every so many rules are asked alone, too, by the statement that people get.
    alone: usize,
}

/// A row of a batch's answer.
#[derive(Row, Deserialize)]
struct Told {
    event_id: String,
    found: Vec<u8>,
}

/// Rules by number, the ids of the events on which each holds.
type Found = BTreeMap<usize, BTreeSet<String>>;

/// Runs the engine and the SQL; true when they agree and found something.
fn compare(case: &Case) -> bool {
    let begun = Instant::now();
    let taxonomies = Arc::new(Taxonomies::embedded());
    let expected = by_engine(case, &taxonomies);
    let by_engine = begun.elapsed();
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(folder.path(), engine_path());
    let store = Supervisor::start(ChildCommand::current().unwrap(), &options).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let wrong = runtime.block_on(async {
        let client = store.client();
        client.migrate().await.unwrap();
        insert(&client, &case.events).await;
        let inserted = begun.elapsed();
        println!(
            "{}: {} rules, {} events; the engine took {by_engine:.1?}, the store had them after {inserted:.1?}",
            case.name,
            case.rules.rules().len(),
            case.events.len()
        );
        ask(&client, case, &taxonomies, &expected).await
    });
    drop(runtime);
    drop(store);
    let matches: usize = expected.values().map(BTreeSet::len).sum();
    println!(
        "{}: {} rules hold somewhere, {matches} matches, {wrong} differences; {:.1?}",
        case.name,
        expected.len(),
        begun.elapsed()
    );
    wrong == 0 && matches > 0
}

fn by_engine(case: &Case, taxonomies: &Arc<Taxonomies>) -> Found {
    let engine = Engine::new(Arc::clone(&case.rules), Arc::clone(taxonomies), case.mode, None);
    let mut matcher = Matcher::sharing(Arc::new(engine));
    let mut expected = Found::new();
    for event in &case.events {
        let mut found = Vec::new();
        matcher.matches(event, &mut found);
        for one in found {
            expected.entry(one.rule).or_default().insert(event.id().to_owned());
        }
    }
    expected
}

async fn insert(client: &StoreClient, events: &[Event]) {
    let policy = RetentionPolicy::default();
    for (number, events) in events.chunks(INSERT_ROWS).enumerate() {
        let rows = EventRows::of(events, &policy).unwrap();
        client.insert_events(&[rows], &format!("part-{number}")).await.unwrap();
    }
}

/// Asks all rules; answers how many differ.
async fn ask(client: &StoreClient, case: &Case, taxonomies: &Taxonomies, expected: &Found) -> usize {
    let source = Source { rules: &case.rules, taxonomies, mode: case.mode };
    let within = Within { organizations: vec![case.organization.to_owned()], ..Within::default() };
    let begun = Instant::now();
    let numbers = 0..case.rules.rules().len();
    let (batches, refused) = source.batches(numbers, &within, BATCH_BYTES);
    let mut kinds = BTreeMap::<&str, usize>::new();
    for (rule, error) in &refused {
        *kinds.entry(error.kind()).or_default() += 1;
        if !["correlation", "log source"].contains(&error.kind()) {
            println!("{}: {error}", case.rules.rules()[*rule].title);
        }
    }
    let told: usize = batches.iter().map(|batch| batch.rules.len()).sum();
    println!(
        "{}: {told} rules in {} statements, written in {:.1?}; refused: {kinds:?}",
        case.name,
        batches.len(),
        begun.elapsed()
    );
    let (mut wrong, mut compared, mut slowest) = (0, 0, Duration::ZERO);
    // A statement is planned on one core: two at a time.
    let answers = batches.iter().map(|batch| async move {
        let asked = Instant::now();
        let answer = client.writer().query_raw(&batch.sql).fetch_all::<Told>().await;
        (batch, answer, asked.elapsed())
    });
    let mut answers = futures::stream::iter(answers).buffer_unordered(2);
    while let Some((batch, answer, took)) = answers.next().await {
        slowest = slowest.max(took);
        if let Some(folder) = std::env::var_os("SIGMA_SQL_FOLDER") {
            std::fs::write(Path::new(&folder).join(format!("{}.sql", batch.rules[0])), &batch.sql).unwrap();
            println!("{} rules, {} bytes: {took:.2?}", batch.rules.len(), batch.sql.len());
        }
        let rows = match answer {
            Ok(rows) => rows,
            Err(error) => {
                wrong += batch.rules.len();
                let titles: Vec<&str> =
                    batch.rules.iter().map(|rule| case.rules.rules()[*rule].title.as_str()).collect();
                println!("{titles:?}: {}", error.to_string().chars().take(900).collect::<String>());
                continue;
            }
        };
        let mut found = Found::new();
        for Told { event_id, found: truths } in rows {
            assert_eq!(truths.len(), batch.rules.len());
            for (rule, _) in batch.rules.iter().zip(truths).filter(|(_, holds)| *holds == 1) {
                assert!(found.entry(*rule).or_default().insert(event_id.clone()), "{event_id} twice");
            }
        }
        for rule in &batch.rules {
            compared += expected.get(rule).map_or(0, BTreeSet::len);
            wrong += usize::from(!same(case, *rule, expected, &found.remove(rule).unwrap_or_default()));
        }
    }
    println!(
        "{}: {compared} matches compared, slowest statement {slowest:.1?}, all {:.1?}",
        case.name,
        begun.elapsed()
    );
    wrong + alone(client, case, &source, &within, expected).await
}

/// The statements that people get, for some of the rules.
async fn alone(
    client: &StoreClient,
    case: &Case,
    source: &Source<'_>,
    within: &Within,
    expected: &Found,
) -> usize {
    let (begun, mut wrong, mut asked) = (Instant::now(), 0, 0);
    for rule in (0..case.rules.rules().len()).step_by(case.alone) {
        let Ok(sql) = source.select(rule, within) else { continue };
        asked += 1;
        let rows = client.writer().query_raw(&format!("SELECT event_id FROM ({sql})"));
        match rows.fetch_all::<String>().await {
            Ok(rows) => {
                let count = rows.len();
                let found: BTreeSet<String> = rows.into_iter().collect();
                assert_eq!(count, found.len(), "an event stands there twice");
                wrong += usize::from(!same(case, rule, expected, &found));
            }
            Err(error) => {
                wrong += 1;
                println!(
                    "{}: {}",
                    case.rules.rules()[rule].title,
                    error.to_string().chars().take(900).collect::<String>()
                );
            }
        }
    }
    println!("{}: {asked} rules asked alone in {:.1?}", case.name, begun.elapsed());
    wrong
}

fn same(case: &Case, rule: usize, expected: &Found, found: &BTreeSet<String>) -> bool {
    let none = BTreeSet::new();
    let wanted = expected.get(&rule).unwrap_or(&none);
    if wanted == found {
        return true;
    }
    let event = |id: &String| case.events.iter().find(|event| event.id() == id);
    let shown = |id: Option<&String>| {
        id.and_then(event)
            .map(|event| serde_json::to_string(event).unwrap().chars().take(700).collect::<String>())
    };
    let head = &case.rules.rules()[rule];
    println!(
        "{} ({}): the engine finds {}, SQL {}\n  only the engine {:?}\n  only SQL {:?}",
        head.title,
        head.file,
        wanted.len(),
        found.len(),
        shown(wanted.difference(found).next()),
        shown(found.difference(wanted).next())
    );
    false
}
