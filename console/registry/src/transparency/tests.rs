use dongson_event::transparency::{
    Class, Entry, Evidence, Frontier, Head, SegmentId, Subject, leaf_hash, verify_consistency,
};

use super::*;
use crate::database::query;
use crate::{Change, Registry};

async fn acted(registry: &Registry, count: i64) {
    for number in 1..=count {
        let change = Change::service("test", number * 1_000);
        registry.audit_record(&change, "export", "report", &number.to_string(), None).await.unwrap();
    }
}

async fn problems(registry: &Registry) -> Vec<(String, String, Problem)> {
    let check = registry.check_transparency(&[], |_, _| {}).await.unwrap();
    check.findings.into_iter().map(|one| (one.kind, one.name, one.problem)).collect()
}

fn named(kind: &str, name: &str, problem: Problem) -> Vec<(String, String, Problem)> {
    vec![(kind.to_owned(), name.to_owned(), problem)]
}

async fn run(registry: &Registry, sql: &'static str) {
    query(sql).execute(&registry.writer).await.unwrap();
}

#[tokio::test]
async fn every_entry_has_a_proof_and_every_head_is_the_same_log() {
    let registry = Registry::in_memory().await.unwrap();
    assert_eq!(registry.transparency_head(1).await.unwrap(), None);
    // Over two full tiles.
    acted(&registry, 600).await;
    let head = registry.transparency_head(600_000).await.unwrap().unwrap();
    let key = registry.transparency_key().await.unwrap().unwrap();
    let now = Head::verify(&head.note, &key).unwrap();
    assert_eq!((now.size, head.size), (601, 601));
    let all = registry.transparency_entries(None, 0).await.unwrap();
    let mut tree = Frontier::new();
    let mut roots = Vec::new();
    for entry in &all {
        tree.push(leaf_hash(entry.body.as_bytes()));
        roots.push(tree.root());
    }
    assert_eq!(tree.root(), now.root);
    for old in [1_u64, 2, 3, 255, 256, 257, 300, 512, 513, 600, 601] {
        let proof = registry.transparency_consistency(old, 601).await.unwrap();
        let root = &roots[usize::try_from(old).unwrap() - 1];
        assert!(verify_consistency((old, root), (601, &now.root), &proof), "{old}");
    }
    for number in [1, 2, 255, 256, 300, 511, 512, 600] {
        let name = number.to_string();
        let logged = registry.logged("audit", &name, 600_000).await.unwrap().unwrap();
        let content = registry.audit_entry(number).await.unwrap().unwrap().content();
        let evidence = logged.evidence(Subject::Audit, &name, content, None);
        assert!(evidence.verify(Some(&key)).is_ok(), "{number}");
        let read = Evidence::parse(&serde_json::to_vec(&evidence).unwrap()).unwrap();
        assert_eq!(read, evidence);
    }
    assert_eq!(registry.logged("audit", "601", 0).await.unwrap(), None);
    assert!(registry.transparency_consistency(5, 602).await.is_err());
    assert!(problems(&registry).await.is_empty());
    let check = registry.check_transparency(&[head.note], |_, _| {}).await.unwrap();
    assert_eq!((check.entries, check.audit, check.wrong), (601, 600, 0));
    assert!(check.heads > 9, "a head was signed at least once a minute: {}", check.heads);
}

#[tokio::test]
async fn what_was_changed_is_named() {
    let registry = Registry::in_memory().await.unwrap();
    acted(&registry, 20).await;
    registry.transparency_head(100_000).await.unwrap();
    let damages: [(&'static str, &str, &str, Problem); 11] = [
        ("UPDATE audit SET who = 'other' WHERE sequence = 7", "audit", "7", Problem::Changed),
        ("UPDATE audit SET at = at - 5000 WHERE sequence = 7", "audit", "7", Problem::BackDated),
        ("DELETE FROM audit WHERE sequence = 7", "audit", "7", Problem::Removed),
        ("DELETE FROM audit WHERE sequence = 20", "audit", "20", Problem::Removed),
        (
            "INSERT INTO audit SELECT 21, at, who, address, action, kind, object, organization, before, after, previous, hash
             FROM audit WHERE sequence = 20",
            "audit",
            "21",
            Problem::Inserted,
        ),
        ("UPDATE transparency_entry SET body = REPLACE(body, 'export', 'import') WHERE leaf = 5", "entry", "5", Problem::Changed),
        ("DELETE FROM transparency_entry WHERE leaf = 0", "entry", "0", Problem::Removed),
        ("UPDATE transparency_head SET note = REPLACE(note, 'A', 'B') WHERE size = 21", "head", "21", Problem::Changed),
        ("UPDATE transparency_head SET size = 20 WHERE size = 21", "head", "20", Problem::Changed),
        ("UPDATE transparency_tile SET hashes = zeroblob(672) WHERE level = 0", "entry", "0", Problem::Changed),
        ("UPDATE transparency_state SET size = 3, frontier = zeroblob(64)", "tree", "21", Problem::Changed),
    ];
    for (sql, kind, name, problem) in damages {
        let before = problems(&registry).await;
        assert!(before.is_empty(), "{before:?}");
        // Whatever a statement does is undone by what was there.
        let tables =
            ["audit", "transparency_entry", "transparency_head", "transparency_tile", "transparency_state"];
        for table in tables {
            run_text(&registry, format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await;
        }
        run(&registry, sql).await;
        let found = problems(&registry).await;
        assert!(found.contains(&named(kind, name, problem)[0]), "{sql}: {found:?}");
        for table in tables {
            run_text(&registry, format!("DELETE FROM {table}")).await;
            run_text(&registry, format!("INSERT INTO {table} SELECT * FROM kept_{table}")).await;
            run_text(&registry, format!("DROP TABLE kept_{table}")).await;
        }
    }
}

async fn run_text(registry: &Registry, sql: String) {
    query(sqlx::AssertSqlSafe(sql)).execute(&registry.writer).await.unwrap();
}

/// Somebody with the database and the key writes the log anew: only who kept a head sees it.
#[tokio::test]
async fn a_log_that_was_written_anew_is_found_by_a_witness() {
    let (registry, other) = (Registry::in_memory().await.unwrap(), Registry::in_memory().await.unwrap());
    acted(&registry, 9).await;
    acted(&other, 10).await;
    let seed = "INSERT INTO transparency_key VALUES ('k', 'AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=', 0)";
    run(&registry, seed).await;
    run(&other, seed).await;
    run(&other, "UPDATE audit SET who = 'x' WHERE sequence = 3").await;
    let witnessed = registry.transparency_head(200_000).await.unwrap().unwrap();
    let check = other.check_transparency(std::slice::from_ref(&witnessed.note), |_, _| {}).await.unwrap();
    assert!(check.findings.iter().all(|one| one.kind != "head"), "the same entries have the same head");
    run(&other, "UPDATE transparency_tile SET hashes = zeroblob(352) WHERE level = 0").await;
    let check = other.check_transparency(&[witnessed.note], |_, _| {}).await.unwrap();
    assert!(check.findings.iter().any(|one| one.kind == "head" && one.name == "10"), "{check:?}");
}

#[tokio::test]
async fn audit_rows_that_were_taken_away_do_not_stop_the_work() {
    let registry = Registry::in_memory().await.unwrap();
    acted(&registry, 3).await;
    run(&registry, "DELETE FROM audit WHERE sequence = 3").await;
    let change = Change::service("test", 9_000);
    registry.audit_record(&change, "other", "report", "9", None).await.unwrap();
    let found = problems(&registry).await;
    assert!(found.contains(&named("audit", "3", Problem::Changed)[0]), "{found:?}");
    assert!(found.contains(&named("audit", "3", Problem::Removed)[0]), "{found:?}");
}

#[tokio::test]
async fn a_segment_is_sealed_once() {
    let registry = Registry::in_memory().await.unwrap();
    let segment = |first, next| Sealed {
        id: SegmentId::new("dongson.events", 2, first).unwrap(),
        next,
        read_back: false,
        classes: vec![Class {
            days: 30,
            day: 1,
            rows: next - first,
            since: 0,
            until: 1,
            root: String::new(),
        }],
    };
    assert_eq!(registry.sealed_up_to("dongson.events", 2).await.unwrap(), None);
    assert_eq!(registry.seal_segments(&[segment(5, 9)], 1).await.unwrap(), 1);
    assert_eq!(registry.seal_segments(&[segment(5, 9), segment(5, 12)], 2).await.unwrap(), 0);
    assert_eq!(registry.seal_segments(&[segment(9, 12)], 3).await.unwrap(), 1);
    assert_eq!(registry.sealed_up_to("dongson.events", 2).await.unwrap(), Some(12));
    let entry = registry.logged("segment", "dongson.events/2/9", 4).await.unwrap().unwrap();
    assert!(
        matches!(entry.entry.entry(), Some(Entry::Segment { name, .. }) if name == "dongson.events/2/9-11")
    );
    registry.log_retention(30, 100, 5).await.unwrap();
    registry.log_retention(30, 100, 6).await.unwrap();
    assert_eq!(registry.transparency_entries(Some("retention"), 0).await.unwrap().len(), 1);
}
