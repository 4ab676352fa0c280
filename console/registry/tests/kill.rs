//! A process that is killed in the middle of its steps leaves counts and offset that agree.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test stops at the first surprise")]

mod support;

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use dongson_registry::{AlertUpsert, Consumed, Level, Place, Postgres, Registry, Scope, Step};
use support::{START, alert, on_both, place};

/// Names the child's registry, a file or a server's URL; set for the child alone.
const CHILD: &str = "DONGSON_REGISTRY_KILL_CHILD";

fn run(offset: u64) -> Consumed {
    Consumed { group: "g".into(), topic: "t".into(), partition: 0, first: offset, next: offset + 1 }
}

/// What the child does: one match for each offset, told on stdout when it is stored.
async fn work(place: &str) {
    let place = match place.strip_prefix("postgres:") {
        Some(_) => Place::Postgres(Postgres { url: place.to_owned(), password_file: None, ca: None }),
        None => Place::File(place.into()),
    };
    let registry = Registry::open(place).await.unwrap();
    let first = registry.offset("g", "t", 0).await.unwrap().map_or(0, |saved| saved.next);
    for offset in first.. {
        let alerts = vec![AlertUpsert { added: 2, ..alert("x", "a", Level::Low) }];
        let step = Step { alerts, state: Some(offset.to_string().into_bytes()), ..Step::default() };
        registry.apply_alerts(&run(offset), &step, START).await.unwrap();
        println!("stored {offset}");
    }
}

/// The child, when it is one.
#[tokio::test]
async fn child() {
    if let Ok(place) = env::var(CHILD) {
        work(&place).await;
    }
}

async fn counts_and_offset_agree_after_kill() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(&folder.path().join("registry.sqlite"));
    for round in 1..=5_u64 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, place.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = |line: std::io::Result<String>| {
            line.unwrap().rsplit_once("stored ").and_then(|(_, n)| n.parse::<u64>().ok())
        };
        let last = lines.filter_map(told).find(|offset| offset % 20 == 10 + round).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let registry = Registry::open(&place).await.unwrap();
        let saved = registry.offset("g", "t", 0).await.unwrap().unwrap();
        assert!(saved.next > last, "what was told is stored");
        assert_eq!(saved.state.unwrap(), (saved.next - 1).to_string().into_bytes());
        let count = registry.alert(&Scope::All, "x").await.unwrap().count;
        assert_eq!(u64::try_from(count).unwrap(), saved.next * 2, "each offset counted once");
        registry.close().await;
    }
}

on_both!(counts_and_offset_agree_after_kill);
