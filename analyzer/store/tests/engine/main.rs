//! The store over the real engine, in child processes: this program starts itself again as `store`, as a parent that
//! is killed, and as the test runner. It needs the engine; where it is missing the tests fail and say how to get it.
//!
//! With `--clickhouse-url URL`, or `DONGSON_CLICKHOUSE_URL`, what does not need a child runs on that server instead, as the user
//! `DONGSON_CLICKHOUSE_USER` with `DONGSON_CLICKHOUSE_PASSWORD`, on the cluster `DONGSON_CLICKHOUSE_CLUSTER` if there is one:
//! the database `dongson` is made and dropped, so a server that has one of another origin is refused.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "a test runner reports")]

mod cluster;
mod remote;
mod upgrade;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clickhouse::Row;
use dongson_event::{Alert, Entity, Event, Level, Signal, Timestamp, Value};
use dongson_store::{
    Around, ChildCommand, Condition, EventFilter, EventRows, Period, RetentionPolicy, Scope, StoreClient,
    StoreError, StoreOptions, Supervisor, engine_path, run_store,
};
use serde::{Deserialize, Serialize};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("store") => return child(&arguments),
        Some("parent") => return parent(Path::new(arguments.get(1).unwrap())),
        Some("--list") => return ExitCode::SUCCESS,
        _ => {}
    }
    let engine = engine_path();
    if !engine.is_file() {
        println!("no engine at {}: run deploy/fetch-engine, or set DONGSON_ENGINE", engine.display());
        return ExitCode::FAILURE;
    }
    let arguments = remote::take_url(arguments);
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let mut failed = 0;
    for (name, test) in TESTS {
        if wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())) {
            let begun = Instant::now();
            let passed = std::panic::catch_unwind(test).is_ok();
            failed += u32::from(!passed);
            println!(
                "test {name} ... {} ({:.1} s)",
                if passed { "ok" } else { "FAILED" },
                begun.elapsed().as_secs_f64()
            );
        }
    }
    println!("{failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

const TESTS: [(&str, fn()); 18] = [
    ("what_is_there_is_known_without_tokens", what_is_there_is_known_without_tokens),
    ("a_migration_whose_note_is_gone_is_repeated", a_migration_whose_note_is_gone_is_repeated),
    ("the_official_client_works", the_official_client_works),
    ("events_come_back_whole", events_come_back_whole),
    ("a_token_counts_once", a_token_counts_once),
    ("a_scope_holds", a_scope_holds),
    ("questions_are_answered", questions_are_answered),
    ("lists_are_short_and_groups_are_counted", lists_are_short_and_groups_are_counted),
    ("mistakes_are_named", mistakes_are_named),
    ("kill_loses_nothing", kill_loses_nothing),
    ("the_child_dies_with_its_parent", the_child_dies_with_its_parent),
    ("rows_per_second", rows_per_second),
    ("every_statement_parses", cluster::every_statement_parses),
    ("tables_of_a_cluster_are_made", cluster::tables_of_a_cluster_are_made),
    ("a_cluster_answers_as_one_server", cluster::a_cluster_answers_as_one_server),
    ("the_servers_know_the_cluster", cluster::the_servers_know_the_cluster),
    ("a_server_is_reached_over_tls", remote::a_server_is_reached_over_tls),
    ("rows_of_the_release_before_are_found", upgrade::rows_of_the_release_before_are_found),
];

/// `store --data DIR --engine PATH --listen ADDRESS --memory BYTES --search-seconds SECONDS --child`, as the product's binary takes it.
fn child(arguments: &[String]) -> ExitCode {
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name).unwrap();
        arguments.get(at + 1).unwrap().clone()
    };
    let mut options = StoreOptions::new(value("--data"), value("--engine"));
    options.listen = Some(value("--listen").parse().unwrap());
    options.memory_bytes = value("--memory").parse().unwrap();
    options.search_seconds = value("--search-seconds").parse().unwrap();
    options.engine_config =
        arguments.iter().any(|one| one == "--engine-config").then(|| value("--engine-config").into());
    options.child = true;
    let key = |name| std::env::var(name).unwrap();
    options.keys = Some((key(dongson_store::WRITER_KEY_VARIABLE), key(dongson_store::READER_KEY_VARIABLE)));
    match run_store(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts a store, says its process number, and waits to be killed.
fn parent(data: &Path) -> ExitCode {
    let store = start(data);
    println!("child {}", store.process().unwrap());
    loop {
        std::thread::park();
    }
}

fn start(data: &Path) -> Supervisor {
    Supervisor::start(ChildCommand::current().unwrap(), &StoreOptions::new(data, engine_path())).unwrap()
}

/// Runs a test on a fresh store with tables.
fn with_store<F: Future<Output = ()>>(test: impl FnOnce(StoreClient) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = remote::options().is_none().then(|| start(folder.path()));
    runtime.block_on(async {
        let client = match &store {
            Some(store) => store.client(),
            None => remote::fresh().await,
        };
        assert_eq!(client.migrate().await.unwrap(), 7);
        assert_eq!(client.migrate().await.unwrap(), 7, "twice is as good as once");
        test(client).await;
    });
    drop(runtime);
    drop(store);
}

/// 2026-11-24T02:00:00Z.
const START: i64 = 1_795_485_600;

fn event(organization: &str, number: i64) -> Event {
    let mut event = Event::of("sshd", Timestamp::from_seconds(START + number));
    event.set("event.ingested", Timestamp::from_seconds(START + number + 5));
    event.set("event.id", format!("{organization}-{number}"));
    event.set("organization.id", organization);
    event.set("source.ip", format!("10.0.{}.{}", number / 200 % 200, number % 200));
    event.set("user.name", if number % 2 == 0 { "an" } else { "bình" });
    event.set("message", format!("Failed password for invalid user {number}"));
    event
}

/// In two blocks, as two threads make them.
fn rows(events: &[Event]) -> Vec<EventRows> {
    let policy = RetentionPolicy::default();
    let (one, other) = events.split_at(events.len() / 2);
    [one, other].map(|events| EventRows::of(events, &policy).unwrap()).to_vec()
}

fn signal(organization: &str, number: i64) -> Signal {
    Signal {
        id: format!("{organization}-signal-{number}"),
        organization: organization.to_owned(),
        rule_id: format!("rule-{}", number % 3),
        title: "SSH brute force".to_owned(),
        title_vi: "Dò mật khẩu SSH".to_owned(),
        level: Level::High,
        tags: vec!["attack.t1110".to_owned()],
        event_id: format!("{organization}-{number}"),
        timestamp: Timestamp::from_seconds(START + number),
        ingested: Timestamp::from_seconds(START + number + 5),
        observer: "nut-1".to_owned(),
        entity: Entity { kind: "source.ip".to_owned(), value: "10.0.0.1".to_owned() },
        window_seconds: 3_600,
        asset_level: 3,
        matched: Vec::new(),
        count: 1,
        drill: None,
    }
}

fn period() -> Period {
    Period { from: Timestamp::from_seconds(START), to: Timestamp::from_seconds(START + 86_400) }
}

async fn count(client: &StoreClient, scope: &Scope) -> u64 {
    client.count_events(scope, &EventFilter::default()).await.unwrap()
}

#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
struct Mixed {
    number: i64,
    text: String,
    maybe: Option<String>,
    words: Vec<String>,
}

fn the_official_client_works() {
    with_store(|store| async move {
        let client = store.writer().clone().with_database("dongson");
        client.query("CREATE TABLE mixed (number Int64, text String, maybe Nullable(String), words Array(String)) ENGINE = MergeTree ORDER BY number").execute().await.unwrap();
        let sent = Mixed {
            number: -1,
            text: "đông; sơn\n\t'\\\0".to_owned(),
            maybe: None,
            words: vec!["a".to_owned(), String::new()],
        };
        let mut insert = client.insert::<Mixed>("mixed").await.unwrap();
        for number in 0..200_000 {
            insert.write(&Mixed { number, ..sent.clone() }).await.unwrap();
        }
        insert.end().await.unwrap();
        let mut unfinished = client.insert::<Mixed>("mixed").await.unwrap();
        for _ in 0..50_000 {
            unfinished.write(&sent).await.unwrap();
        }
        drop(unfinished);
        let all: Vec<Mixed> =
            client.query("SELECT ?fields FROM mixed ORDER BY number").fetch_all().await.unwrap();
        assert_eq!(all.len(), 200_000, "a result in many pieces, and nothing of the dropped insert");
        assert!(all.iter().zip(0..).all(|(row, number)| *row == Mixed { number, ..sent.clone() }));
        let bound: u64 = client
            .query("SELECT count() FROM mixed WHERE number < ? AND text = ?")
            .bind(7)
            .bind(&sent.text)
            .fetch_one()
            .await
            .unwrap();
        assert_eq!(bound, 7);
        let named = client
            .query(
                "SELECT count() FROM mixed WHERE number IN {numbers:Array(Int64)} AND text = {text:String}",
            )
            .param("numbers", vec![1, 2])
            .param("text", &sent.text);
        assert_eq!(named.fetch_one::<u64>().await.unwrap(), 2);
        let setting = "SELECT toUInt64(getSetting('max_block_size'))";
        let usual: u64 = client.query(setting).fetch_one().await.unwrap();
        let changed: u64 =
            client.query(setting).with_setting("max_block_size", "1234").fetch_one().await.unwrap();
        assert_eq!(changed, 1_234);
        for _ in 0..20 {
            assert_eq!(
                client.query(setting).fetch_one::<u64>().await.unwrap(),
                usual,
                "settings do not stay"
            );
        }
        let error = client.query("SELECT * FROM nowhere").execute().await.unwrap_err().to_string();
        assert!(error.contains("Code: 60."), "{error}");
        let error =
            client.query("SELECT throwIf(number = 3000000) FROM numbers(10000000)").fetch_all::<u8>().await;
        assert!(error.is_err(), "an error in the middle is seen");
        let many = (0..20).map(|_| store.ping());
        for answer in futures::future::join_all(many).await {
            answer.unwrap();
        }
    });
}

fn events_come_back_whole() {
    with_store(|client| async move {
        let mut odd = event("so-yte", 1);
        odd.set("source.port", "not a number");
        odd.set("destination.port", 443_i64);
        odd.set("destination.ip", "2001:db8::1");
        odd.set("network.vlan.id", Value::Null);
        odd.set("http.request.method", "");
        odd.set("dns.answers.data", Value::List(vec![Value::from("a"), Value::Int(1), Value::Null]));
        odd.set("event.category", Value::List(Vec::new()));
        odd.set("event.original", "<34>Nov 23 mimikatz đã chạy");
        odd.set("winlog.event_data.Image", "C:\\Windows\\x.exe");
        odd.set("dongson.dns.entropy", 3.5);
        odd.set("tls.established", true);
        client.insert_events(&rows(std::slice::from_ref(&odd)), "one").await.unwrap();
        assert_eq!(client.event(&Scope::All, "so-yte-1").await.unwrap(), Some(odd));
        assert_eq!(client.event(&Scope::All, "so-yte-2").await.unwrap(), None);
        let tables = "SELECT count() FROM system.tables WHERE database = 'dongson' AND engine LIKE '%MergeTree' AND name != 'schema_migrations' AND name NOT IN (SELECT table FROM system.columns WHERE database = 'dongson' AND name = 'organization_id')";
        assert_eq!(
            client.writer().query(tables).fetch_one::<u64>().await.unwrap(),
            0,
            "each table has organization_id"
        );
    });
}

/// A power cut: the rows are synced, the engine's memory of tokens is not.
fn what_is_there_is_known_without_tokens() {
    with_store(|client| async move {
        let events: Vec<Event> = (0..6_000).map(|number| event("so-yte", number)).collect();
        let ids: Vec<String> = events.iter().map(|event| event.id().to_owned()).collect();
        let at = |number: i64| Timestamp::from_seconds(START + number + 5);
        let (there, _) = events.split_at(5_500);
        client.insert_events(&rows(there), "one").await.unwrap();
        let present = client.present_events(&ids, (at(0), at(5_999))).await.unwrap();
        assert_eq!(present, ids.iter().take(5_500).cloned().collect());
        assert_eq!(client.present_events(&ids, (at(3), at(4))).await.unwrap().len(), 2);
        let one = signal("so-yte", 1);
        client.insert_signals(std::slice::from_ref(&one), "one").await.unwrap();
        let ids = [one.id.clone(), "another".to_owned()];
        assert_eq!(client.present_signals(&ids).await.unwrap(), [one.id.clone()].into());
        let alert = Alert::of(one);
        client.insert_alerts(std::slice::from_ref(&alert), "one").await.unwrap();
        let ids = [alert.id];
        assert_eq!(client.present_alerts(&ids).await.unwrap(), ids.into());
        assert!(client.present_alerts(&[]).await.unwrap().is_empty());
    });
}

/// A crash, or a power cut, between a statement and the note of its migration.
fn a_migration_whose_note_is_gone_is_repeated() {
    with_store(|client| async move {
        client.insert_events(&rows(&[event("so-yte", 1)]), "one").await.unwrap();
        for done in [0, 1, 2, 3] {
            let forget =
                "DELETE FROM dongson.schema_migrations WHERE version > ? SETTINGS mutations_sync = 1";
            client.writer().query(forget).bind(done).execute().await.unwrap();
            assert_eq!(client.migrate().await.unwrap(), 7, "after {done}");
        }
        assert_eq!(count(&client, &Scope::All).await, 1);
        let minutes = "SELECT sum(events) FROM dongson.events_per_minute";
        assert_eq!(client.writer().query(minutes).fetch_one::<u64>().await.unwrap(), 1);
    });
}

fn a_token_counts_once() {
    with_store(|client| async move {
        let events: Vec<Event> = (0..100).map(|number| event("so-yte", number)).collect();
        let alerts: Vec<Alert> = (0..10).map(|number| Alert::of(signal("so-yte", number))).collect();
        for _ in 0..3 {
            client.insert_events(&rows(&events), "dongson.events/0/0-99/1").await.unwrap();
            client.insert_alerts(&alerts, "dongson.signals/0/0-9/1").await.unwrap();
            client.insert_signals(&[signal("so-yte", 1)], "dongson.events/0/0-99/1").await.unwrap();
        }
        assert_eq!(count(&client, &Scope::All).await, 100);
        let counted = client.events_by_organization(&Scope::All, period()).await.unwrap();
        assert_eq!(counted.first().unwrap().count, 100, "the counts per minute drop repeated inserts too");
        let levels = client.alerts_by_level(&Scope::All, period()).await.unwrap();
        assert_eq!((levels.first().unwrap().name.as_str(), levels.first().unwrap().count), ("high", 10));
        client.insert_events(&rows(&events), "dongson.events/0/100-199/1").await.unwrap();
        assert_eq!(count(&client, &Scope::All).await, 200, "another token is another insert");
        let found = client.search_events(&Scope::All, &EventFilter::default(), 1_000).await.unwrap();
        assert_eq!(found.len(), 100, "an event id is shown once all the same");
        let many: Vec<EventRows> = events.chunks(3).flat_map(rows).collect();
        client.insert_events(&many, "dongson.events/0/200-299/1").await.unwrap();
        let largest = "SELECT max(rows) FROM system.parts WHERE table = 'events'";
        let largest = client.writer().query(largest).fetch_one::<u64>().await.unwrap();
        assert!(largest >= 100, "many blocks are one insert, and so one part: {largest}");
        assert_eq!(count(&client, &Scope::All).await, 300);
    });
}

fn a_scope_holds() {
    with_store(|client| async move {
        for organization in ["so-yte", "xa-hamrong"] {
            let events: Vec<Event> = (0..50).map(|number| event(organization, number)).collect();
            client.insert_events(&rows(&events), organization).await.unwrap();
            let alerts: Vec<Alert> = (0..5).map(|number| Alert::of(signal(organization, number))).collect();
            client.insert_alerts(&alerts, organization).await.unwrap();
        }
        let mine = Scope::organization("so-yte");
        assert_eq!((count(&client, &Scope::All).await, count(&client, &mine).await), (100, 50));
        assert_eq!(client.event(&mine, "xa-hamrong-3").await.unwrap(), None);
        assert_eq!(client.event(&mine, "so-yte-3").await.unwrap(), Some(event("so-yte", 3)));
        let agencies = client.top_organizations(&mine, period(), 10).await.unwrap();
        assert_eq!(agencies.iter().map(|count| count.name.as_str()).collect::<Vec<_>>(), ["so-yte"]);
        let none = Scope::Organizations(BTreeSet::new());
        assert!(matches!(client.event(&none, "so-yte-3").await, Err(StoreError::EmptyScope)));
        let strange = Scope::organization("x') OR ('a'='a");
        assert_eq!(count(&client, &strange).await, 0, "an id is never SQL");
        // A server does not look at statements; its row policies are what holds there.
        let statements = if remote::options().is_some() { 0 } else { usize::MAX };
        for around in [
            "SELECT count() FROM dongson.events SETTINGS additional_table_filters = {}",
            "SELECT count() FROM merge('dongson', '^events$')",
            "SELECT sum(rows) FROM system.parts",
            "SELECT count() FROM mergeTreeIndex(dongson, events)",
            "SELECT count() FROM loop(dongson.events)",
            "SELECT * FROM file('/etc/passwd', 'LineAsString')",
            "SELECT * FROM (EXPLAIN ESTIMATE SELECT * FROM dongson.events)",
            "INSERT INTO dongson.events_per_minute (events) VALUES (1)",
            "DROP TABLE dongson.events",
            "SELECT 1; DROP TABLE dongson.events",
        ]
        .into_iter()
        .take(statements)
        {
            let answer = client.ask(&mine, around).unwrap().fetch_all::<u64>().await;
            assert!(answer.is_err(), "{around}");
        }
        let setting =
            client.ask(&mine, "SELECT count() FROM dongson.events").unwrap().with_setting("readonly", "0");
        assert!(setting.fetch_one::<u64>().await.is_err(), "a reader sets nothing");
        for inside in [
            "SELECT count() FROM events",
            "SELECT count() FROM (SELECT * FROM dongson.events AS e)",
            "WITH x AS (SELECT * FROM dongson.events) SELECT count() FROM x",
            "SELECT toUInt64(sum(events)) FROM dongson.events_per_minute",
            "SELECT count() FROM dongson.events AS a JOIN dongson.events AS b ON a.event_id = b.event_id",
            "SELECT count() FROM dongson.events PREWHERE event_id != ''",
        ] {
            assert_eq!(client.ask(&mine, inside).unwrap().fetch_one::<u64>().await.unwrap(), 50, "{inside}");
        }
    });
}

fn questions_are_answered() {
    with_store(|client| async move {
        let mut events: Vec<Event> = (0..120).map(|number| event("so-yte", number)).collect();
        events.get_mut(7).unwrap().set("event.original", "type=EXECVE a0=\"mimikatz.exe\" đường dẫn");
        events.get_mut(8).unwrap().set("process.args", Value::List(vec![Value::from("-enc")]));
        events.get_mut(9).unwrap().set("destination.ip", "10.0.0.3");
        events.get_mut(10).unwrap().set("file.path", "“lazagne.exe”\u{a0}—procdump64\u{fffd}…ke\u{302}nh");
        for (number, value) in [
            (20, Value::Float(5.0)),
            (21, Value::Int(5)),
            (22, Value::from("5.0")),
            (23, Value::List(vec![Value::from("a\\b\"c"), Value::Int(5)])),
            (24, Value::Float(5.25)),
            (25, Value::List(Vec::new())),
            (26, Value::Null),
            (27, Value::Bool(true)),
        ] {
            events.get_mut(number).unwrap().set("vendor.odd", value);
        }
        client.insert_events(&rows(&events), "one").await.unwrap();
        let all = Scope::All;
        let found = |filter: EventFilter| {
            let client = client.clone();
            async move {
                let events = client.search_events(&Scope::All, &filter, 1_000).await.unwrap();
                assert_eq!(client.count_events(&Scope::All, &filter).await.unwrap(), events.len() as u64);
                events.iter().map(|event| event.id().to_owned()).collect::<Vec<_>>()
            }
        };
        let field = |name: &str, condition| EventFilter {
            fields: vec![(name.to_owned(), condition)],
            ..EventFilter::default()
        };
        let words = |words: &str| EventFilter { words: Some(words.to_owned()), ..EventFilter::default() };
        assert_eq!(found(words("MIMIKATZ execve")).await, ["so-yte-7"]);
        assert_eq!(found(words("đường")).await, ["so-yte-7"]);
        assert_eq!(found(words("ĐƯỜNG dẫn")).await, ["so-yte-7"]);
        assert_eq!(found(words("đườn")).await, [""; 0], "words are whole");
        assert_eq!(found(words("user 119")).await, ["so-yte-119"]);
        for word in ["lazagne", "exe lazagne", "“lazagne.exe”", "procdump64", "ke\u{302}nh", "KÊNH"] {
            assert_eq!(found(words(word)).await, ["so-yte-10"], "{word}");
        }
        let odd = |condition| found(field("vendor.odd", condition));
        let numbered =
            |numbers: &[u32]| numbers.iter().map(|number| format!("so-yte-{number}")).collect::<Vec<_>>();
        assert_eq!(odd(Condition::Is("5".to_owned())).await, numbered(&[23, 21, 20]));
        assert_eq!(odd(Condition::Is("5.0".to_owned())).await, numbered(&[22]), "the text");
        assert_eq!(odd(Condition::IsNot("5".to_owned())).await, numbered(&[27, 24, 22]));
        assert_eq!(odd(Condition::Is("a\\b\"c".to_owned())).await, numbered(&[23]));
        assert_eq!(odd(Condition::Contains("A\\B\"".to_owned())).await, numbered(&[23]));
        assert_eq!(odd(Condition::Is("true".to_owned())).await, numbered(&[27]));
        assert_eq!(odd(Condition::Exists).await, numbered(&[27, 24, 23, 22, 21, 20]));
        let values = client.top_values(&Scope::All, &EventFilter::default(), "vendor.odd", 20).await.unwrap();
        assert_eq!(values.with_field, 6);
        for value in values.values {
            assert_eq!(
                odd(Condition::Is(value.name.clone())).await.len() as u64,
                value.count,
                "{}",
                value.name
            );
        }
        assert_eq!(found(field("source.ip", Condition::Is("10.0.0.3".to_owned()))).await, ["so-yte-3"]);
        assert_eq!(found(field("source.ip", Condition::Is("x".to_owned()))).await, [""; 0]);
        assert_eq!(found(field("user.name", Condition::IsNot("an".to_owned()))).await.len(), 60);
        assert_eq!(found(field("message", Condition::Contains("USER 11".to_owned()))).await.len(), 11);
        assert_eq!(found(field("process.args", Condition::Exists)).await, ["so-yte-8"]);
        assert_eq!(found(field("process.args", Condition::Contains("-ENC".to_owned()))).await, ["so-yte-8"]);
        assert_eq!(found(field("destination.ip", Condition::Absent)).await.len(), 119);
        assert_eq!(
            found(EventFilter { organizations: vec!["vnpt".to_owned()], ..EventFilter::default() })
                .await
                .len(),
            0
        );
        let page = client.search_events(&all, &EventFilter::default(), 50).await.unwrap();
        let last = page.last().unwrap();
        let before = Some((last.timestamp().unwrap(), last.id().to_owned()));
        assert_eq!(found(EventFilter { before, ..EventFilter::default() }).await.len(), 70);
        let around = Around {
            organization: "so-yte".to_owned(),
            period: period(),
            entities: vec![("source.ip".to_owned(), "10.0.0.3".to_owned())],
        };
        let near = client.events_around(&all, &around, 10).await.unwrap();
        assert_eq!(near.iter().map(Event::id).collect::<Vec<_>>(), ["so-yte-3", "so-yte-9"]);
        let buckets = client.events_per_bucket(&all, period(), 60, None).await.unwrap();
        assert_eq!(buckets.iter().map(|bucket| bucket.count).collect::<Vec<_>>(), [60, 60]);
        assert_eq!(i64::from(buckets.first().unwrap().start), START);
        let alert = Alert::of(signal("so-yte", 1));
        client.insert_alerts(std::slice::from_ref(&alert), "a").await.unwrap();
        client.insert_signals(std::slice::from_ref(&alert.signal), "s").await.unwrap();
        assert_eq!(client.alert(&all, &alert.id).await.unwrap(), Some(alert.clone()));
        assert_eq!(client.signals_of_alert(&all, &alert.id, 10).await.unwrap(), [alert.signal]);
        assert_eq!(client.alerts_per_bucket(&all, period(), 3_600).await.unwrap().len(), 1);
        assert_eq!(client.top_rules(&all, period(), 10).await.unwrap().first().unwrap().name, "rule-1");
        assert_eq!(client.events_by_dataset(&all, period()).await.unwrap().first().unwrap().count, 120);
    });
}

fn lists_are_short_and_groups_are_counted() {
    with_store(|client| async move {
        let long = "ắ".repeat(300_000);
        let mut events: Vec<Event> = (0..120).map(|number| event("so-yte", number)).collect();
        for event in events.iter_mut().take(40) {
            event.set("event.original", long.as_str());
            event.set("vendor.blob", format!("\"{long}").as_str());
            event.set("process.args", Value::List(vec![Value::from("-enc"), Value::from(long.as_str())]));
        }
        for (number, event) in events.iter_mut().enumerate() {
            event.set("vendor.mode", if number % 4 == 0 { "on" } else { "off" });
            event.set("vendor.tags", Value::List(vec![Value::from("x"), Value::Int(7), Value::from("x")]));
        }
        for (number, part) in events.chunks(20).enumerate() {
            client.insert_events(&rows(part), &format!("part {number}")).await.unwrap();
        }
        let (all, any) = (Scope::All, EventFilter::default());
        let listing = client.list_events(&all, &any, &[], 500).await.unwrap();
        assert_eq!((listing.events.len(), listing.cut), (120, false));
        let of = |id: &str| listing.events.iter().find(|one| one.event.id() == id).unwrap();
        let cut = of("so-yte-3");
        let mut names = cut.truncated.clone();
        names.sort();
        assert_eq!(names, ["event.original", "process.args", "vendor.blob"]);
        assert_eq!(cut.event.text("event.original").unwrap().chars().count(), 2_000);
        assert!(cut.event.text("vendor.blob").unwrap().starts_with("\"ắắ"));
        assert!(cut.event.to_json().len() < 20_000);
        assert_eq!(of("so-yte-100").truncated, Vec::<String>::new());
        assert_eq!(of("so-yte-100").event, *events.get(100).unwrap());
        assert_eq!(
            client.event(&all, "so-yte-3").await.unwrap().unwrap(),
            *events.get(3).unwrap(),
            "whole by id"
        );

        let names = ["source.ip", "vendor.mode"].map(str::to_owned);
        let some = client.list_events(&all, &any, &names, 1).await.unwrap().events.pop().unwrap();
        assert_eq!(some.event.text("vendor.mode"), Some("off"));
        assert!(some.event.get("source.ip").is_some() && some.event.get("message").is_none());
        assert!(some.event.get("event.original").is_none() && some.event.get("vendor.blob").is_none());

        let spans = client.histogram(&all, &any, 60_000, 7 * 3_600_000).await.unwrap();
        assert_eq!(spans.iter().map(|span| span.count).collect::<Vec<_>>(), [60, 60]);
        assert_eq!(spans.first().unwrap().at, START * 1_000);
        let top = |field: &'static str| {
            let (client, any) = (client.clone(), any.clone());
            async move {
                let top = client.top_values(&Scope::All, &any, field, 3).await.unwrap();
                let values = top.values.into_iter().map(|one| (one.name, one.count)).collect::<Vec<_>>();
                (values, top.with_field)
            }
        };
        let pair = |name: &str, count| (name.to_owned(), count);
        assert_eq!(top("vendor.mode").await, (vec![pair("off", 90), pair("on", 30)], 120));
        assert_eq!(top("vendor.tags").await, (vec![pair("7", 120), pair("x", 120)], 120));
        let (values, with) = top("process.args").await;
        assert_eq!((values.first().unwrap(), with), (&pair("-enc", 40), 40));
        assert_eq!(values.get(1).unwrap().0.chars().count(), 2_000);
        let (addresses, with) = top("source.ip").await;
        assert!(addresses.iter().all(|(name, _)| name.starts_with("10.")), "{addresses:?}");
        assert_eq!(with, 120);
        assert_eq!(top("no.such.field").await, (Vec::new(), 0));
        assert_eq!(top("@timestamp").await.1, 120);
        let mut odd: Vec<Event> = (0..10).map(|number| event("so-yte", 200 + number)).collect();
        for (number, event) in odd.iter_mut().enumerate() {
            if number < 6 {
                event.set("dongson.time.basis", "clamped-past");
            } else {
                event.set("dongson.drill", "d1");
            }
        }
        client.insert_events(&rows(&odd), "odd").await.unwrap();
        for (drill, expected) in [(None, 124), (Some(false), 120), (Some(true), 4)] {
            let buckets = client.events_per_bucket(&all, period(), 60, drill).await.unwrap();
            assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), expected, "{drill:?}");
        }
        let other = Scope::organization("xa-hamrong");
        assert_eq!(client.top_values(&other, &any, "vendor.mode", 3).await.unwrap().with_field, 0);
        assert_eq!(client.histogram(&other, &any, 60_000, 0).await.unwrap(), []);
    });
}

fn mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = StoreOptions::new(folder.path(), "/nowhere/libchdb.so");
    let error = Supervisor::start(ChildCommand::current().unwrap(), &missing).unwrap_err().to_string();
    assert!(error.contains("deploy/fetch-engine"), "{error}");
    let not_one = folder.path().join("libchdb.so");
    std::fs::write(&not_one, "text").unwrap();
    let error = run_store(&StoreOptions::new(folder.path(), &not_one)).unwrap_err();
    assert!(matches!(error, StoreError::EngineUnusable(..)), "{error}");
    let store = start(folder.path());
    let reach: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("connection.json")).unwrap()).unwrap();
    let url = reach.get("url").unwrap().as_str().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stranger = StoreClient::new(url, "wrong", "wrong");
        let error = stranger.ping().await.unwrap_err().to_string();
        assert!(error.contains("Code: 516."), "{error}");
        assert!(stranger.ask(&Scope::All, "SELECT 1").unwrap().fetch_one::<u8>().await.is_err());
        store.client().ping().await.unwrap();
    });
    let busy = Command::new(std::env::current_exe().unwrap())
        .args([
            "store",
            "--listen",
            "127.0.0.1:0",
            "--memory",
            "1000000000",
            "--search-seconds",
            "60",
            "--engine",
        ])
        .arg(engine_path())
        .arg("--data")
        .arg(folder.path())
        .env(dongson_store::WRITER_KEY_VARIABLE, "w")
        .env(dongson_store::READER_KEY_VARIABLE, "r")
        .stdin(Stdio::piped())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&busy.stdout);
    assert!(words.contains("is another store running on it?"), "{words}");
}

fn kill(process: u32) {
    assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
}

/// Inserts go on while the store is killed again and again; what was refused is sent again with its token.
fn kill_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = start(folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (batches, size, kills) = (120_i64, 500_i64, 4);
    runtime.block_on(async {
        store.client().migrate().await.unwrap();
        let client = store.client();
        let (sender, mut acknowledged) = tokio::sync::mpsc::channel(1_000);
        let inserting = tokio::spawn(async move {
            for batch in 0..batches {
                let events: Vec<Event> =
                    (batch * size..(batch + 1) * size).map(|number| event("so-yte", number)).collect();
                let rows = rows(&events);
                let deadline = Instant::now() + Duration::from_mins(1);
                while let Err(error) = client.insert_events(&rows, &format!("dongson.events/0/{batch}")).await
                {
                    assert!(Instant::now() < deadline, "{error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                // The answer may have been lost: the same insert once more changes nothing.
                if batch % 10 == 0 {
                    drop(client.insert_events(&rows, &format!("dongson.events/0/{batch}")).await);
                }
                sender.send(batch).await.unwrap();
            }
        });
        let mut killed = 0;
        while let Some(batch) = acknowledged.recv().await {
            if killed < kills && batch >= (killed + 1) * 20 {
                kill(store.process().unwrap());
                killed += 1;
            }
        }
        inserting.await.unwrap();
        assert_eq!(killed, kills);
        let total = u64::try_from(batches * size).unwrap();
        let client = store.client();
        assert_eq!(count(&client, &Scope::All).await, total);
        let distinct = "SELECT uniqExact(event_id) FROM dongson.events";
        assert_eq!(client.writer().query(distinct).fetch_one::<u64>().await.unwrap(), total);
        let minutes = client.events_by_organization(&Scope::All, period()).await.unwrap();
        assert_eq!(minutes.first().unwrap().count, total, "the counts per minute are exact too");
        println!("killed {kills} times, {total} rows acknowledged, {total} found; {} starts", store.starts());
    });
}

fn the_child_dies_with_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .arg("parent")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines().map_while(Result::ok);
    let child = lines.find_map(|line| line.strip_prefix("child ").map(str::to_owned)).unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    let process = PathBuf::from("/proc").join(&child).join("cmdline");
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::fs::read(&process).is_ok_and(|words| !words.is_empty()) {
        assert!(Instant::now() < deadline, "process {child} outlives its parent");
        std::thread::sleep(Duration::from_millis(20));
    }
    let again = start(folder.path());
    assert_eq!(again.starts(), 1, "the folder of the dead store opens at once or is waited for");
}

/// A figure for people.
fn rows_per_second() {
    with_store(|client| async move {
        let size = 10_000_i64;
        let batches: Vec<Vec<EventRows>> = (0..10)
            .map(|batch| {
                rows(&(0..size).map(|number| event("so-yte", batch * size + number)).collect::<Vec<_>>())
            })
            .collect();
        let begun = Instant::now();
        for (number, batch) in batches.iter().enumerate() {
            client.insert_events(batch, &format!("t{number}")).await.unwrap();
        }
        let rate = 100_000.0 / begun.elapsed().as_secs_f64();
        assert_eq!(count(&client, &Scope::All).await, 100_000);
        println!("100000 events in batches of 10000, one writer, synced: {rate:.0} rows/s");
        let begun = Instant::now();
        assert_eq!(
            client.search_events(&Scope::All, &EventFilter::default(), 10_000).await.unwrap().len(),
            10_000
        );
        println!("10000 whole events read in {:.0} ms", begun.elapsed().as_secs_f64() * 1_000.0);
    });
}
