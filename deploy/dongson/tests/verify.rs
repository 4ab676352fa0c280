//! The transparency log over the real processes: what is stored is proved, and whatever is changed behind it is named.
//!
//! Needs the store engine (`deploy/fetch-engine`) and Python 3 for `deploy/check-evidence`; without them it fails and
//! says so.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at its first surprise")]

#[expect(dead_code, reason = "only a part of it is needed here")]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use support::{System, command};

/// What the store answers to a statement.
#[track_caller]
fn ask(system: &System, sql: &str) -> String {
    support::said(Path::new(system.data()), sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// What `dongson verify` says, and whether it was content.
fn verify(system: &System, more: &[&str]) -> (bool, Value) {
    let output = command(&[&["verify", "--data", system.data(), "--format", "json"], more].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)));
    let code = output.status.code().unwrap();
    assert!(code == 0 || code == 1, "{code}");
    (code == 0, said)
}

fn findings(said: &Value) -> Vec<(String, String, String)> {
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    let all = said["log"]["findings"].as_array().unwrap().iter();
    all.map(|one| (text(one, "kind"), text(one, "name"), text(one, "problem"))).collect()
}

/// Fails unless something of this kind whose name holds `part` is said to have this problem.
#[track_caller]
fn named(system: &System, kind: &str, part: &str, problem: &str) {
    let (good, said) = verify(system, &[]);
    let found = findings(&said);
    let hit =
        |(one, name, what): &(String, String, String)| one == kind && name.contains(part) && what == problem;
    assert!(!good && found.iter().any(hit), "{kind} {part} {problem}: {said}");
}

fn evidence(system: &System, of: &str, id: &str) -> Value {
    let output = command(&["evidence", id, "--of", of, "--data", system.data()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn check(key: &str, files: &[PathBuf]) -> Output {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../check-evidence");
    let output = Command::new("python3").arg(program).args(["--key", key]).args(files).output();
    output.expect("python3 runs the checker of evidence: install Debian's python3")
}

/// The value with each of its texts, numbers and lists changed in one place.
fn changed(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(map) => {
            let one = |(name, inner): (&String, &Value)| {
                let with = |other| {
                    let mut map = map.clone();
                    map.insert(name.clone(), other);
                    Value::Object(map)
                };
                changed(inner).into_iter().map(with).collect::<Vec<_>>()
            };
            let mut all: Vec<Value> = map.iter().flat_map(one).collect();
            for name in map.keys() {
                let mut map = map.clone();
                map.remove(name);
                all.push(Value::Object(map));
            }
            all
        }
        Value::Array(items) => (0..items.len())
            .flat_map(|at| {
                changed(&items[at]).into_iter().map(move |other| {
                    let mut items = items.clone();
                    items[at] = other;
                    Value::Array(items)
                })
            })
            .collect(),
        Value::Number(number) => vec![Value::from(number.as_i64().unwrap() + 1)],
        Value::String(text) => {
            // Long texts at some places, short ones at each.
            let signs: Vec<char> = text.chars().collect();
            let step = (signs.len() / 12).max(1);
            let flip = |at: usize| {
                let mut signs = signs.clone();
                signs[at] = if signs[at] == '1' { '2' } else { '1' };
                Value::from(signs.into_iter().collect::<String>())
            };
            (0..signs.len()).step_by(step).map(flip).collect()
        }
        other => panic!("{other}"),
    }
}

#[test]
fn whatever_is_changed_behind_the_log_is_named() {
    let mut system = System::new();
    system.start();
    let output = command(&["drill", "run", "--data", system.data()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // What ends seals what it has stored.
    system.stop();
    // Without a running system it starts the store itself.
    let (good, said) = verify(&system, &[]);
    assert!(good, "{said}");
    let rows = said["store"]["rows"].as_u64().unwrap();
    assert!(rows > 500 && said["store"]["rows_not_sealed"] == 0, "{said}");
    assert!(said["store"]["alerts_checked"].as_u64().unwrap() >= 5, "{said}");
    assert!(said["log"]["audit"].as_u64().unwrap() > 0, "{said}");
    let key = said["key"].as_str().unwrap().to_owned();

    system.start();
    let (good, sample) = verify(&system, &["--sample", "1"]);
    assert!(good && sample["store"]["segments_checked"] == 1, "{sample}");
    let events = ask(
        &system,
        "SELECT event_id FROM dongson.events WHERE segment > 0 AND event_dataset != 'dongson.health' \
         ORDER BY place, event_id LIMIT 5 FORMAT TabSeparated",
    );
    let events: Vec<&str> = events.lines().collect();
    let alerts =
        ask(&system, "SELECT alert_id FROM dongson.alerts ORDER BY alert_id LIMIT 2 FORMAT TabSeparated");
    let alerts: Vec<&str> = alerts.lines().collect();

    // Each proof is taken by the checker that shares no code with this, and none of it can be changed.
    let folder = tempfile::tempdir().unwrap();
    for (of, id) in [("event", events[0]), ("event", events[4]), ("alert", alerts[0]), ("audit", "1")] {
        let proof = evidence(&system, of, id);
        assert_eq!(proof["key"], key.as_str());
        let write = |name: String, value: &Value| {
            let path = folder.path().join(name);
            std::fs::write(&path, value.to_string()).unwrap();
            path
        };
        let whole = check(&key, &[write("good".to_owned(), &proof)]);
        let (said, ill) = (String::from_utf8_lossy(&whole.stdout), String::from_utf8_lossy(&whole.stderr));
        assert!(whole.status.success() && said.starts_with("good: "), "{said}{ill}");
        let wrong = changed(&proof);
        assert!(wrong.len() > 60, "{}", wrong.len());
        let files: Vec<PathBuf> =
            wrong.iter().enumerate().map(|(number, one)| write(format!("wrong-{number}"), one)).collect();
        let output = check(&key, &files);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        let good: Vec<&str> = said.lines().filter(|line| !line.starts_with("BAD: ")).collect();
        assert!(good.is_empty() && said.lines().count() == wrong.len(), "{good:?}");
    }

    // Row by row, in the engine itself.
    let now = "SETTINGS mutations_sync = 1";
    let id = events[1];
    ask(
        &system,
        &format!(
            "ALTER TABLE dongson.events UPDATE rest = mapUpdate(rest, map('a.b', '\"c\"')) WHERE event_id = '{id}' {now}"
        ),
    );
    named(&system, "row", id, "changed");
    let (id, place) = (events[2], format!("WHERE event_id = '{}'", events[2]));
    let offset =
        system.count(&format!("SELECT bitAnd(segment, 281474976710655) + place FROM dongson.events {place}"));
    ask(&system, &format!("ALTER TABLE dongson.events DELETE WHERE event_id = '{id}' {now}"));
    named(&system, "row", &format!("/{offset}"), "removed");
    named(&system, "segment", "dongson.events/", "removed");
    let id = "0198c1de-0000-8000-8000-0000000000ff";
    ask(
        &system,
        &format!(
            "INSERT INTO dongson.events SELECT * REPLACE ('{id}' AS event_id) \
         FROM (SELECT * FROM dongson.events WHERE event_id = '{}')",
            events[3]
        ),
    );
    named(&system, "row", id, "inserted");
    ask(
        &system,
        &format!("ALTER TABLE dongson.alerts UPDATE risk = 99 - risk WHERE alert_id = '{}' {now}", alerts[0]),
    );
    named(&system, "alert", alerts[0], "changed");
    ask(&system, &format!("ALTER TABLE dongson.alerts DELETE WHERE alert_id = '{}' {now}", alerts[1]));
    named(&system, "alert", alerts[1], "removed");
    // What was changed has no proof any more.
    let output = command(&["evidence", events[1], "--data", system.data()]);
    let ill = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && ill.contains("not what was logged"), "{ill}");
    let output = command(&["evidence", "no-such-event", "--data", system.data()]);
    assert_eq!(output.status.code(), Some(1));
    system.stop();
}
