//! Data of an earlier release under this program: its tables are brought up, and its rows are found.

use dongson_store::{EventFilter, Layout, Scope, schema};

use super::{event, period, remote, rows, start};
use dongson_store::StoreClient;

/// The tables of the release before texts had words of their own, without two columns of fields that came later.
const BEFORE: u32 = 3;
const LATER: [&str; 2] = ["destination_port", "http_request_method"];

async fn execute(client: &StoreClient, sql: &str) {
    client.writer().query_raw(sql).execute().await.unwrap_or_else(|error| panic!("{error}: {sql}"));
}

pub(super) fn rows_of_the_release_before_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = start(folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = StoreClient::server(&remote::of_child(folder.path())).unwrap();
        let last = format!("SELECT {BEFORE}");
        for statement in schema(&Layout::Single).unwrap() {
            execute(&client, &statement).await;
            if statement.starts_with("INSERT") && statement.ends_with(&last) {
                break;
            }
        }
        let columns = "SELECT name FROM system.columns WHERE database = 'dongson' AND table = 'events'";
        let names: Vec<String> = client.writer().query(columns).fetch_all().await.unwrap();
        assert!(!names.contains(&"words".to_owned()));
        for name in LATER {
            execute(&client, &format!("ALTER TABLE dongson.events DROP COLUMN `{name}`")).await;
        }
        execute(
            &client,
            "INSERT INTO dongson.events (timestamp, event_ingested, event_id, organization_id, event_dataset, message, retention_days) \
             SELECT toDateTime64('2026-11-24 02:00:00', 9, 'UTC') + number, toDateTime64('2026-11-24 02:00:05', 9, 'UTC') + number, \
             concat('old-', toString(number)), 'so-yte', 'sshd', concat('Đăng nhập thất bại lần ', toString(number)), 365 FROM numbers(1000)",
        )
        .await;
        assert_eq!(client.migrate().await.unwrap(), 7);
        assert_eq!(client.migrate().await.unwrap(), 7);
        let names: Vec<String> = client.writer().query(columns).fetch_all().await.unwrap();
        for name in ["words"].into_iter().chain(LATER) {
            assert!(names.contains(&name.to_owned()), "{name}");
        }
        client.insert_events(&rows(&[event("so-yte", 1), event("so-yte", 2)]), "new").await.unwrap();
        let count = |words: Option<&str>| {
            let filter = EventFilter { words: words.map(str::to_owned), ..EventFilter::default() };
            let client = client.clone();
            async move { client.count_events(&Scope::All, &filter).await.unwrap() }
        };
        assert_eq!(count(None).await, 1_002);
        assert_eq!((count(Some("thất bại")).await, count(Some("password")).await), (1_000, 2));
        let old = client.event(&Scope::All, "old-7").await.unwrap().unwrap();
        assert_eq!(old.text("message"), Some("Đăng nhập thất bại lần 7"));
        let counted = client.events_by_organization(&Scope::All, period()).await.unwrap();
        assert_eq!(counted.first().unwrap().count, 1_002, "minutes of before and of now stand in one table");
    });
    drop(runtime);
    drop(store);
}
