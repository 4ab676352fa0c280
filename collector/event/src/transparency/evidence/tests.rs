use super::*;
use crate::transparency::{Frontier, Row, SegmentRoots};
use crate::trust::SigningKey;
use crate::{Event, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

fn key() -> SigningKey {
    SigningKey::from_seed([3; 32]).unwrap()
}

/// Puts evidence into a log between two other entries.
fn logged(mut evidence: Evidence, entry: &Entry) -> Evidence {
    let text = entry.to_text();
    let leaves = [leaf_hash(b"before"), leaf_hash(text.as_bytes()), leaf_hash(b"after")];
    let root = leaves.iter().copied().collect::<Frontier>().root();
    evidence.entry = text;
    evidence.leaf = 1;
    evidence.path = [leaves[0], leaves[2]].map(hex::encode).to_vec();
    evidence.head = Head { size: 3, root }.sign(&key());
    evidence.key = LogKey::of(&key()).to_string();
    evidence
}

fn event_evidence() -> Evidence {
    let event = |id: &str| {
        let mut event = Event::of("sshd", Timestamp::from_seconds(1));
        event.set("event.id", id);
        event.set("event.ingested", Timestamp::from_seconds(2));
        event.set("message", "\u{111}\u{103}ng nh\u{1ead}p \"sai\"");
        event
    };
    let rows = [Row::of(&event("e1"), 30), Row::of(&event("e2"), 30)];
    let mut roots = SegmentRoots::default();
    for row in &rows {
        roots.push(row);
    }
    let name = "dongson.events/0/7-8".to_owned();
    let entry = Entry::Segment { at: 9, name, read_back: false, classes: roots.classes() };
    let place = Place { days: 30, day: 0, index: 1, path: vec![hex::encode(rows[0].leaf)] };
    let content = event("e2").to_json();
    logged(Evidence::new(Subject::Event, "e2".to_owned(), content, Some(place)), &entry)
}

fn alert_evidence() -> Evidence {
    let content = "{\"id\":\"a1\",\"risk\":70}".to_owned();
    let hash = hex::encode(leaf_hash(content.as_bytes()));
    let (name, organization) = ("a1".to_owned(), "so-yte".to_owned());
    let entry = Entry::Alert { at: 9, name, organization, hash };
    logged(Evidence::new(Subject::Alert, "a1".to_owned(), content, None), &entry)
}

fn audit_evidence() -> Evidence {
    let content =
        "[\"00ff\",\"12\",\"5\",\"admin\",null,\"approve\",\"packet_order\",\"o1\",\"\",null,\"{}\"]";
    let parts: Vec<Option<String>> = serde_json::from_str(content).unwrap();
    let parts: Vec<Option<&str>> = parts.iter().map(Option::as_deref).collect();
    let entry = Entry::Approval(Link {
        at: 5,
        name: "12".to_owned(),
        action: "approve".to_owned(),
        object_kind: "packet_order".to_owned(),
        object: "o1".to_owned(),
        hash: link("00ff", &parts[1..]),
    });
    logged(Evidence::new(Subject::Audit, "12".to_owned(), content.to_owned(), None), &entry)
}

fn all() -> [Evidence; 3] {
    [event_evidence(), alert_evidence(), audit_evidence()]
}

#[test]
fn evidence_is_followed_to_the_head() {
    for evidence in all() {
        let proven = evidence.verify(Some(&LogKey::of(&key()))).unwrap();
        assert_eq!(proven.head.size, 3);
        let json = serde_json::to_vec(&evidence).unwrap();
        assert_eq!(Evidence::parse(&json), Ok(evidence.clone()));
        let other = LogKey::of(&SigningKey::from_seed([4; 32]).unwrap());
        assert!(matches!(evidence.verify(Some(&other)), Err(EvidenceError::OtherLog { .. })));
    }
}

/// Every leaf of a JSON value, changed in each way that its type has.
fn changed(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(map) => {
            let mut all = Vec::new();
            for (name, inner) in map {
                for other in changed(inner) {
                    let mut map = map.clone();
                    map.insert(name.clone(), other);
                    all.push(Value::Object(map));
                }
                let mut map = map.clone();
                map.remove(name);
                all.push(Value::Object(map));
            }
            all
        }
        Value::Array(items) => {
            let mut all: Vec<Value> = (0..items.len())
                .flat_map(|at| {
                    changed(&items[at]).into_iter().map(move |other| {
                        let mut items = items.clone();
                        items[at] = other;
                        Value::Array(items)
                    })
                })
                .collect();
            let mut longer = items.clone();
            longer.push(Value::from("00".repeat(32)));
            all.push(Value::Array(longer));
            all
        }
        Value::Number(number) => vec![Value::from(number.as_i64().unwrap() + 1)],
        Value::String(text) => (0..text.chars().count())
            .map(|at| {
                let swap = |sign| if sign == '1' { '2' } else { '1' };
                let flip = |(number, sign)| if number == at { swap(sign) } else { sign };
                text.chars().enumerate().map(flip).collect::<String>().into()
            })
            .collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn whatever_is_changed_is_found() {
    for evidence in all() {
        let whole = serde_json::to_value(&evidence).unwrap();
        let wrong = changed(&whole);
        assert!(wrong.len() > 500);
        for wrong in wrong {
            let read = Evidence::parse(&serde_json::to_vec(&wrong).unwrap());
            let taken = read.and_then(|read| read.verify(None));
            let differs = wrong.as_object().unwrap().iter().find(|(name, value)| whole[name] != **value);
            // The last base64 digit of the name's other line endings says nothing; nothing else may pass.
            assert!(taken.is_err(), "{differs:?}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_judged(bytes: Vec<u8>, at: prop::sample::Index, byte: u8) {
        drop(Evidence::parse(&bytes));
        let mut json = serde_json::to_vec(&event_evidence()).unwrap();
        let place = at.index(json.len());
        json[place] = byte;
        if let Ok(read) = Evidence::parse(&json) {
            drop(read.verify(None));
        }
    }
}
