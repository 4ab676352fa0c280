//! Requests against a folder of a sensor, without a collector; the way to one is tested in `tests/ship`.

use std::fs;

use dongson_event::Timestamp;
use dongson_event::trust::{Envelope, PacketRequest, Person, Purpose, Root, SigningKey};

use super::journal::Progress;
use super::serve::Desk;
use super::*;
use crate::capture::portable::now;
use crate::desired::{SignedRequest, take_roots};
use crate::ship::Identity;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32]).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn request(id: &str) -> PacketRequest {
    let person = |id: &str| Person { id: id.to_owned(), name: id.to_uppercase() };
    PacketRequest {
        id: id.to_owned(),
        sensor: "s".to_owned(),
        organization: "a".to_owned(),
        incident: "SC-2026-0001".to_owned(),
        reason: "what left".to_owned(),
        asked_by: person("lan"),
        approved_by: person("minh"),
        from: now().minus(std::time::Duration::from_hours(1)),
        to: now(),
        community_id: None,
        filter: Some("udp".to_owned()),
        max_bytes: 1 << 20,
        issued_at: now(),
        expires_at: now().plus(std::time::Duration::from_hours(1)),
    }
}

fn signed(request: &PacketRequest, seed: u8) -> SignedRequest {
    SignedRequest { envelope: Envelope::sign_json(Purpose::Request, request, &key(seed)).unwrap() }
}

/// A folder whose trusted root lets key 2 sign requests, and its desk. There is no collector: the desk is told to stop, so
/// that it does not wait for one.
fn desk(rules: Rules) -> (tempfile::TempDir, Desk) {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::new(1, now().plus(std::time::Duration::from_hours(1)));
    let root = root.with(Purpose::Root, 1, &[key(1).public()]).with(Purpose::Request, 1, &[key(2).public()]);
    take_roots(folder.path(), &[Envelope::sign_json(Purpose::Root, &root, &key(1)).unwrap()]).unwrap();
    let text = |text: &str| text.to_owned();
    let identity = Identity {
        url: text("https://localhost:1"),
        sensor: text("s"),
        organization: text("a"),
        node: text("gw"),
        certificate: String::new(),
        authority: String::new(),
        key: String::new(),
    };
    let desk = Desk::new(folder.path(), &identity, rules);
    desk.stop();
    (folder, desk)
}

/// The journal as deeds; it must be whole.
fn deeds(folder: &std::path::Path) -> Vec<Deed> {
    let mut deeds = Vec::new();
    assert!(!read_journal(folder, &mut |line| deeds.push(line.deed.clone())).unwrap());
    deeds
}

#[track_caller]
fn check_refused(rules: Rules, signed: &SignedRequest, word: &str) {
    let (folder, mut desk) = desk(rules);
    assert!(desk.serve(signed).is_err(), "there is no collector to tell");
    match deeds(folder.path()).as_slice() {
        [Deed::Refused { reason, .. }] => assert!(reason.contains(word), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert!(!folder.path().join("answers").exists());
}

#[test]
fn refusals_are_written_down_with_their_reason() {
    let kept = || Rules { packets: Some("nowhere".into()), ..Rules::default() };
    check_refused(Rules::default(), &signed(&request("r"), 2), "keeps no packets");
    check_refused(Rules { answers: false, ..kept() }, &signed(&request("r"), 2), "gives no packets");
    check_refused(Rules { max_bytes: 1_000, ..kept() }, &signed(&request("r"), 2), "at most 1000");
    check_refused(Rules { per_day: 0, ..kept() }, &signed(&request("r"), 2), "at most 0 requests");
    let span = Rules { max_span: std::time::Duration::from_mins(1), ..kept() };
    check_refused(span, &signed(&request("r"), 2), "at most 60 at once");
    check_refused(kept(), &signed(&request("r"), 3), "signed by 0 of the 1 keys");
    let alone = PacketRequest { approved_by: request("r").asked_by, ..request("r") };
    check_refused(kept(), &signed(&alone, 2), "somebody else");
    let other = PacketRequest { sensor: "t".to_owned(), ..request("r") };
    check_refused(kept(), &signed(&other, 2), "not for this sensor");
    let late = PacketRequest { issued_at: at(1), expires_at: at(2), ..request("r") };
    check_refused(kept(), &signed(&late, 2), "ended at");
    let nonsense = PacketRequest { filter: Some("tpc".to_owned()), ..request("r") };
    check_refused(kept(), &signed(&nonsense, 2), "does not know \"tpc\"");
    let mut tampered = signed(&request("r"), 2);
    tampered.envelope.payload =
        serde_json::to_vec(&PacketRequest { max_bytes: 2 << 20, ..request("r") }).unwrap();
    check_refused(kept(), &tampered, "changed after they were signed");
}

#[test]
fn a_request_is_looked_for_once_and_the_journal_is_first() {
    let packets = tempfile::tempdir().unwrap();
    drop(crate::packets::Ring::open(packets.path(), crate::packets::Limits::default()).unwrap());
    let rules = Rules { packets: Some(packets.path().to_owned()), per_day: 1, ..Rules::default() };
    let (folder, mut desk) = desk(rules);
    let asked = signed(&request("r-1"), 2);
    assert!(desk.serve(&asked).is_err());
    let answer = folder.path().join("answers/r-1.pcapng");
    let first = (fs::read(&answer).unwrap(), answer.metadata().unwrap().modified().unwrap());
    let accepted = |deeds: &[Deed]| deeds.iter().filter(|deed| matches!(deed, Deed::Accepted { .. })).count();
    assert!(matches!(deeds(folder.path()).last(), Some(Deed::Sending { request, .. }) if request == "r-1"));
    // Again, as after a restart: the same answer, and it counts once against the day.
    assert!(desk.serve(&asked).is_err());
    assert_eq!((fs::read(&answer).unwrap(), answer.metadata().unwrap().modified().unwrap()), first);
    assert_eq!(accepted(&deeds(folder.path())), 1);
    assert!(desk.serve(&signed(&request("r-2"), 2)).is_err());
    assert!(
        matches!(deeds(folder.path()).last(), Some(Deed::Refused { reason, .. }) if reason.contains("at most 1 requests"))
    );
    // What a forger calls by the same name changes nothing.
    let mut journal = Journal::open(folder.path(), now()).unwrap();
    journal.write(Deed::Answered { request: "r-1".to_owned() }, now()).unwrap();
    let forged = Deed::Refused {
        request: Some("r-1".to_owned()),
        payload_sha256: String::new(),
        reason: "x".to_owned(),
    };
    journal.write(forged, now()).unwrap();
    assert!(
        matches!(journal.progress("r-1"), Some(Progress::Answered(account)) if !account.sha256.is_empty())
    );
}

#[test]
fn the_journal_shows_what_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let deed = |number: i64| Deed::Dropped { request: format!("r-{number}"), reason: "late".to_owned() };
    let mut journal = Journal::open(folder.path(), at(0)).unwrap();
    for number in 0..4 {
        journal.write(deed(number), at(number)).unwrap();
    }
    drop(journal);
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let broken = |text: &str| {
        fs::write(&path, text).unwrap();
        match Journal::open(folder.path(), at(0)).unwrap_err() {
            JournalError::Broken { line, .. } => line,
            other @ JournalError::Disk { .. } => panic!("{other}"),
        }
    };
    assert_eq!(broken(&whole.replacen("r-2", "r-9", 1)), 3);
    assert_eq!(broken(&format!("{}\n{}\n", lines[0], lines[2])), 2, "a line is left out");
    assert_eq!(broken(&format!("{}\n{}\n{}\n", lines[0], lines[2], lines[1])), 2, "lines are exchanged");
    assert_eq!(broken(&format!("{}\n", lines[1])), 1, "the beginning is left out");
    // A torn line is no forgery.
    fs::write(&path, &whole.as_bytes()[..whole.len() - 9]).unwrap();
    let mut journal = Journal::open(folder.path(), at(9)).unwrap();
    journal.write(deed(5), at(10)).unwrap();
    let torn = u64::try_from(lines[3].len() + 1 - 9).unwrap();
    assert_eq!(deeds(folder.path())[3..], [Deed::Mended { bytes: torn }, deed(5)]);
}
