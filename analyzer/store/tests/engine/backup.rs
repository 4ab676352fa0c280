//! A copy of the tables, taken while rows come, and the tables out of it in an empty place.

use std::path::Path;

use dongson_event::Alert;
use dongson_store::{BACKUPS, EventFilter, Scope, StoreError, TableContents};

use super::{count, event, period, rows, signal, start};

/// Where the child of `folder` keeps its copies.
fn copy(folder: &Path) -> std::path::PathBuf {
    folder.join(BACKUPS).join("copy.tar.zst")
}

pub(super) fn a_copy_is_restored_whole() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = start(from.path());
    let (contents, counted) = runtime.block_on(async {
        let client = store.client();
        client.migrate().await.unwrap();
        let write = |from: i64, to: i64| {
            let client = client.clone();
            async move {
                for batch in from..to {
                    let mut events: Vec<_> =
                        (batch * 50..(batch + 1) * 50).map(|number| event("so-yte", number)).collect();
                    events[0].set("event.original", "<34>Đăng nhập thất bại");
                    client.insert_events(&rows(&events), &format!("t{batch}")).await.unwrap();
                }
            }
        };
        write(0, 10).await;
        let alerts: Vec<Alert> = (0..7).map(|number| Alert::of(signal("so-yte", number))).collect();
        client.insert_alerts(&alerts, "a").await.unwrap();
        client.insert_signals(&[signal("so-yte", 1)], "s").await.unwrap();
        let (contents, ()) = tokio::join!(client.back_up("copy.tar.zst"), write(10, 30));
        let contents = contents.unwrap();
        let rows = |table: &str| contents.iter().find(|one| one.table == table).unwrap().rows;
        assert!((500..=1_500).contains(&rows("events")), "{contents:?}");
        assert_eq!((rows("alerts"), rows("signals")), (7, 1));
        assert!(client.back_up("copy.tar.zst").await.is_err(), "a copy is never overwritten");
        assert!(
            client
                .restore("copy.tar.zst", &contents)
                .await
                .is_err_and(|error| matches!(error, StoreError::NotEmpty))
        );
        let left = "SELECT count() FROM system.databases WHERE name = 'dongson_backup'";
        assert_eq!(client.writer().query(left).fetch_one::<u64>().await.unwrap(), 0);
        let all = rows("events");
        (contents, all)
    });
    let other = start(to.path());
    std::fs::rename(copy(from.path()), copy(to.path())).unwrap();
    runtime.block_on(async {
        let client = other.client();
        client.restore("copy.tar.zst", &contents).await.unwrap();
        assert_eq!(client.migrate().await.unwrap(), 5);
        assert_eq!(count(&client, &Scope::All).await, counted);
        let mut first = event("so-yte", 0);
        first.set("event.original", "<34>Đăng nhập thất bại");
        assert_eq!(client.event(&Scope::All, "so-yte-0").await.unwrap(), Some(first));
        let words = EventFilter { words: Some("thất bại".to_owned()), ..EventFilter::default() };
        assert_eq!(client.count_events(&Scope::All, &words).await.unwrap(), counted / 50);
        client
            .insert_events(&rows(&[event("so-yte", 5_000), event("so-yte", 5_001)]), "later")
            .await
            .unwrap();
        let minutes = client.events_by_organization(&Scope::All, period()).await.unwrap();
        assert!(minutes.first().unwrap().count >= 502, "the restored views count: {minutes:?}");
        let rows =
            client.writer().query("SELECT sum(events) FROM dongson.events_per_minute").fetch_one::<u64>();
        assert!(rows.await.unwrap() >= counted);
    });
    drop(other);
    // One value of one row is another: found, by the name of the table.
    let third = tempfile::tempdir().unwrap();
    let last = start(third.path());
    std::fs::rename(copy(to.path()), copy(third.path())).unwrap();
    runtime.block_on(async {
        let changed: Vec<TableContents> = contents
            .iter()
            .map(|one| match one.table.as_str() {
                "alerts" => TableContents { hash: "0".repeat(16), ..one.clone() },
                _ => one.clone(),
            })
            .collect();
        let error = last.client().restore("copy.tar.zst", &changed).await.unwrap_err();
        assert!(error.to_string().contains("alerts"), "{error}");
    });
    drop((store, last, runtime));
}

/// What the comparison rests on: any other value, and any null, is another hash.
pub(super) fn a_changed_row_is_another_hash() {
    if super::remote::options().is_some() {
        println!("a server writes copies where its own settings say: not run there");
        return;
    }
    super::with_store(|client| async move {
        let hash = |events: Vec<dongson_event::Event>, token: &'static str| {
            let client = client.clone();
            async move {
                client.writer().query("TRUNCATE TABLE dongson.events").execute().await.unwrap();
                client.insert_events(&rows(&events), token).await.unwrap();
                let contents = client.back_up(&format!("{token}.tar.zst")).await.unwrap();
                contents.into_iter().find(|one| one.table == "events").unwrap()
            }
        };
        let events = || vec![event("so-yte", 1), event("so-yte", 2)];
        let plain = hash(events(), "plain").await;
        assert_eq!(plain, hash(events().into_iter().rev().collect(), "turned").await, "order does not count");
        for (name, change) in [("message", Some("other")), ("user.name", None), ("vendor.x", Some("y"))] {
            let mut changed = events();
            match change {
                Some(value) => drop(changed[0].set(name, value)),
                None => drop(changed[0].remove(name)),
            }
            let token: &'static str = name;
            assert_ne!(plain.hash, hash(changed, token).await.hash, "{name}");
        }
    });
}
