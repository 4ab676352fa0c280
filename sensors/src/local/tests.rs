use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dongson_event::trust::{PackKind, PackManifest, Target};
use dongson_event::{Alert, Event, Timestamp, identity};
use dongson_rules::{Matcher, signal};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const RULE: &str = "title: Query of a test name\nid: rule-1\nlogsource:\n    category: dns\ndetection:\n    sel:\n        query|endswith: .test.example\n    condition: sel\nlevel: high\n";
const COUNT: &str = "title: Many\nid: many\ncorrelation:\n    type: event_count\n    rules: [rule-2]\n    group-by: [source.ip]\n    timespan: 1m\n    condition:\n        gte: 3\n";
const BASE: &str = "title: Base\nid: rule-2\nlogsource:\n    category: dns\ndetection:\n    sel:\n        query|startswith: base\n    condition: sel\n";

fn packed(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    zstd::encode_all(&archive.into_inner().unwrap()[..], 3).unwrap()
}

fn pack(folder: &Path, name: &str, kind: PackKind, bytes: &[u8]) -> HeldPack {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    let manifest = PackManifest {
        name: name.to_owned(),
        kind,
        version: 7,
        target: Target::All,
        sha256: "00".repeat(32),
        bytes: bytes.len() as u64,
        issued_at: Timestamp::from_seconds(1),
        expires_at: None,
    };
    HeldPack { manifest, path }
}

fn packs(folder: &Path) -> Vec<HeldPack> {
    let rules = packed(&[
        ("rules/a.yml", RULE),
        ("rules/b.yml", &format!("{BASE}---\n{COUNT}")),
        ("rules/a.test.yml", "not a rule"),
        ("rules/bad.yml", "title: Bad\nlogsource: {category: dns}\ndetection: {condition: nothing}\n"),
    ]);
    let lists = packed(&[("cert.csv", "bad.example\n203.0.113.9\n"), ("allow.txt", "good.bad.example\n")]);
    vec![pack(folder, "rules", PackKind::Rules, &rules), pack(folder, "cert", PackKind::Intel, &lists)]
}

fn query(name: &str) -> Event {
    let mut event = Event::of("sensor.dns", Timestamp::from_seconds(1_795_000_000));
    event.set("source.ip", "10.0.0.7");
    event.set("dns.question.name", name);
    event
}

fn who() -> Identity {
    Identity {
        url: "https://localhost:1".to_owned(),
        sensor: "s-1".to_owned(),
        organization: "so-yte".to_owned(),
        node: "gateway".to_owned(),
        certificate: String::new(),
        authority: String::new(),
        key: "key.pem".to_owned(),
    }
}

/// With the packs in force.
fn local(folder: &TempDir, when: When) -> Local {
    let mut local = Local::open(folder.path(), &who(), when).unwrap();
    local.want(&packs(folder.path()));
    let begun = Instant::now();
    while local.report().packs.is_empty() {
        assert!(begun.elapsed() < Duration::from_mins(1), "the packs were not compiled");
        std::thread::yield_now();
    }
    local
}

fn marks(event: &Event) -> Vec<String> {
    event
        .get("dongson.local.rule.id")
        .map_or_else(Vec::new, |ids| ids.scalars().iter().map(|id| id.to_text().into_owned()).collect())
}

#[test]
fn packs_are_read_and_what_is_wrong_in_them_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let report = local(&folder, When::Away).report().clone();
    assert_eq!(report.packs, [("rules".to_owned(), 7), ("cert".to_owned(), 7)]);
    assert_eq!((report.indicators, report.rules, report.correlations), (2, 2, 1));
    assert_eq!(report.refused, 1);
    assert!(report.reasons[0].contains("rules/rules/bad.yml"), "{:?}", report.reasons);
}

#[test]
fn rules_are_asked_while_the_centre_is_away_and_indicators_always() {
    let folder = tempfile::tempdir().unwrap();
    let mut local = local(&folder, When::Away);
    let mut look = |name: &str, away: bool| {
        let mut event = query(name);
        local.look(&mut event, away);
        marks(&event)
    };
    assert_eq!(look("a.test.example", false), [""; 0]);
    assert_eq!(look("a.test.example", true), ["rule-1"]);
    assert_eq!(look("x.bad.example", false), ["dongson-indicator"]);
    assert_eq!(look("good.bad.example", true), [""; 0]);
    assert_eq!(look("base.example", true), [""; 0], "it only feeds a correlation");
    assert_eq!(alerts(folder.path()).unwrap().len(), 2);
}

#[test]
fn never_is_never() {
    let folder = tempfile::tempdir().unwrap();
    let mut local = Local::open(folder.path(), &who(), When::Never).unwrap();
    local.want(&packs(folder.path()));
    let mut event = query("x.bad.example");
    local.look(&mut event, true);
    assert!(marks(&event).is_empty());
}

#[test]
fn the_alert_is_the_one_that_the_centre_makes() {
    let folder = tempfile::tempdir().unwrap();
    let mut local = local(&folder, When::Always);
    let mut event = query("a.test.example");
    local.look(&mut event, false);
    let told = alerts(folder.path()).unwrap();
    // As the collector stamps it and the analyzer reads it.
    event.set("event.id", identity::of_sequence("sensor:s-1", 1, 1, 0).to_string());
    event.set("organization.id", "so-yte");
    event.set("observer.name", "gateway");
    let content = Content::read(&packs(folder.path()));
    let mut matcher = Matcher::sharing(Arc::clone(content.engine().unwrap()));
    let mut found = Vec::new();
    matcher.matches(&event, &mut found);
    let one = found.pop().unwrap();
    let signal = signal::of(&mut matcher, &event, content.rule(one.rule).unwrap(), one.because);
    assert_eq!(told[0].id, Alert::of(signal).id);
}

#[test]
fn the_journal_is_bounded_and_remembers_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut alert = {
        let mut local = local(&folder, When::Always);
        local.look(&mut query("a.test.example"), false);
        local.look(&mut query("a.test.example"), false);
        alerts(folder.path()).unwrap().pop().unwrap()
    };
    let mut log = AlertLog::open(folder.path()).unwrap();
    log.note(&alert);
    assert_eq!(alerts(folder.path()).unwrap().len(), 1, "it was written before the restart");
    alert.signal.title = "x".repeat(100_000);
    for number in 0..200 {
        alert.id = number.to_string();
        log.note(&alert);
    }
    let bytes: u64 = fs::read_dir(folder.path().join("alerts"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes <= 16 << 20, "{bytes}");
    assert_eq!(alerts(folder.path()).unwrap().last().unwrap().id, "199");
    assert_eq!(log.unwritten(), 0);
}

#[test]
fn a_line_that_was_cut_off_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let alert = {
        let mut local = local(&folder, When::Always);
        local.look(&mut query("a.test.example"), false);
        alerts(folder.path()).unwrap().pop().unwrap()
    };
    let path = folder.path().join("alerts/now.jsonl");
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(b"{\"id\":\"x");
    fs::write(&path, bytes).unwrap();
    let next = Alert { id: "next".to_owned(), ..alert };
    AlertLog::open(folder.path()).unwrap().note(&next);
    let ids: Vec<String> = alerts(folder.path()).unwrap().into_iter().map(|alert| alert.id).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[1], "next");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_as_a_pack_are_refused_or_read(bytes: Vec<u8>, cut in 0_usize..400, flip in 0_usize..400) {
        let folder = tempfile::tempdir().unwrap();
        let mut whole = packed(&[("a.yml", RULE), ("b.csv", "bad.example\n")]);
        if let Some(byte) = whole.get_mut(flip) {
            *byte ^= 0x55;
        }
        whole.truncate(cut);
        for (bytes, kind) in [(&bytes, PackKind::Intel), (&whole, PackKind::Rules), (&whole, PackKind::Intel)] {
            let content = Content::read(&[pack(folder.path(), "p", kind, bytes)]);
            prop_assert!(content.report.packs.len() + content.report.refused > 0);
        }
    }
}
