//! Eight writers at once, each with connections of its own as a process has, do what the console, the analyzer and the
//! collector do: nothing is counted twice, no number is given twice, every chain stays whole.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use dongson_event::batch::Class as BatchClass;
use dongson_registry::{
    Action, AlertFilter, AlertRef, AlertSort, AlertUpsert, Change, Class, Consumed, Entry, Error,
    LegalCategory, Level, NewIncident, Place, Received, Registry, Scope, SensorCertificate, Severity, State,
    Stated, Step,
};
use support::{START, alert, analyst, on_both, place, registry};

const WRITERS: u64 = 8;
const ROUNDS: u64 = 12;
/// Alerts that all writers add to.
const ALERTS: u64 = 5;

/// What one writer of the analyzer and the collector does in a round.
async fn machine(registry: &Registry, writer: u64, round: u64, sensor: &str) {
    let alerts = (0..ALERTS)
        .map(|id| AlertUpsert { added: id + 1, ..alert(&format!("shared-{id}"), "a", Level::High) });
    let own = alert(&format!("own-{writer}-{round}"), "b", Level::Low);
    let step = Step {
        alerts: alerts.chain([own]).collect(),
        state: Some(round.to_string().into_bytes()),
        ..Step::default()
    };
    let partition = u32::try_from(writer).unwrap();
    let run = Consumed {
        group: "analyzer".into(),
        topic: "dongson.signals".into(),
        partition,
        first: round,
        next: round + 1,
    };
    assert!(registry.apply_alerts(&run, &step, START).await.unwrap().fresh);
    // A rival with the same partition comes too late.
    assert!(!registry.apply_alerts(&run, &step, START).await.unwrap().fresh);
    let sequence = round * WRITERS + writer + 1;
    let batch = Received {
        sensor: sensor.to_owned(),
        epoch: 7,
        sequence,
        class: BatchClass::Conn,
        events: 10,
        at: START,
        signed: None,
    };
    assert_eq!(registry.note_batches(std::slice::from_ref(&batch)).await.unwrap(), [false]);
    // Sent again after a lost answer.
    assert_eq!(registry.note_batches(&[batch]).await.unwrap(), [true]);
}

fn incident() -> NewIncident {
    NewIncident {
        title: "Thử".into(),
        class: Class::Xn,
        severity: Severity::Low,
        legal_category: LegalCategory::Thuong,
        organization: Some("a".into()),
        detected_at: None,
        owner: None,
        alerts: Vec::new(),
        comment: None,
    }
}

/// What one person does in a round: the number of the incident that was raised, and of alerts that were taken.
async fn person(registry: &Registry, change: &Change, shared: &str) -> (String, u64) {
    let made = registry.create_incident(&Scope::All, change, &incident()).await.unwrap();
    registry.comment_incident(&Scope::All, change, shared, "lời").await.unwrap();
    let filter = AlertFilter { states: vec![State::New], ..AlertFilter::default() };
    let page = registry.alerts(&Scope::All, &filter, AlertSort::LastSeen, false, None, 1).await.unwrap();
    let wanted: Vec<_> =
        page.alerts.iter().map(|one| AlertRef { id: one.id.clone(), version: one.version }).collect();
    let taken = match wanted.as_slice() {
        [] => 0,
        wanted => {
            let done = registry.triage(&Scope::All, change, wanted, &Action::Acknowledge).await.unwrap();
            u64::try_from(done.changed.len()).unwrap()
        }
    };
    (made.number, taken)
}

async fn writer(
    place: Place,
    number: u64,
    account: String,
    sensor: String,
    shared: String,
) -> (Vec<String>, u64) {
    let registry = Registry::open(place).await.unwrap();
    let change = Change::by(&account, None, START);
    let (mut numbers, mut taken) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        machine(&registry, number, round, &sensor).await;
        let (incident, more) = person(&registry, &change, &shared).await;
        numbers.push(incident);
        taken += more;
    }
    registry.close().await;
    (numbers, taken)
}

async fn sensor(registry: &Registry) -> String {
    let made =
        registry.create_enrolment_token(&Change::service("test", START), "a", "gw-01", 60_000).await.unwrap();
    let certificate = SensorCertificate {
        sensor: "sensor-1".into(),
        serial: "1".into(),
        fingerprint: "f".into(),
        not_after: START + 1_000_000,
    };
    registry.redeem(&made.secret, &certificate, START).await.unwrap().id
}

async fn eight_writers_lose_and_double_nothing() {
    let (folder, registry) = registry().await;
    let place = place(&folder.path().join("registry.sqlite"));
    let account = analyst(&registry, "an", None).await.id;
    let sensor = sensor(&registry).await;
    let change = Change::by(&account, None, START);
    let shared = registry.create_incident(&Scope::All, &change, &incident()).await.unwrap().id;
    let entries = registry.audit_verify().await.unwrap().entries;

    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let (place, account) = (place.clone(), account.clone());
            tokio::spawn(writer(place, number, account, sensor.clone(), shared.clone()))
        })
        .collect();
    let (mut numbers, mut taken) = (BTreeSet::new(), 0);
    for writer in writers {
        let (incidents, more) = writer.await.unwrap();
        for number in incidents {
            assert!(numbers.insert(number.clone()), "{number} was given twice");
        }
        taken += more;
    }

    let proof = registry.audit_verify().await.unwrap();
    assert_eq!(proof.broken_at, None);
    // Each incident and each act leaves one entry; comments stand in the time line.
    let deeds = i64::try_from(WRITERS * ROUNDS + taken).unwrap();
    assert_eq!(proof.entries, entries + deeds);
    // The incident of the beginning has the first number: no gap after it.
    let expected = (2..).take(numbers.len()).map(|number| format!("SC-2026-{number:04}"));
    assert_eq!(numbers, expected.collect());
    let timeline = registry.timeline(&Scope::All, &shared).await.unwrap();
    assert!(Entry::unbroken(&shared, &timeline));
    assert_eq!(u64::try_from(timeline.len()).unwrap(), 1 + WRITERS * ROUNDS);
    let (alerts, _) = registry.alerts_changed(&Scope::All, 0, 1_000).await.unwrap();
    let counts: BTreeMap<&str, i64> = alerts.iter().map(|one| (one.id.as_str(), one.count)).collect();
    for id in 0..ALERTS {
        let count = *counts.get(format!("shared-{id}").as_str()).unwrap();
        assert_eq!(u64::try_from(count).unwrap(), WRITERS * ROUNDS * (id + 1));
    }
    assert_eq!(u64::try_from(alerts.len()).unwrap(), ALERTS + WRITERS * ROUNDS);
    let changes: BTreeSet<i64> = alerts.iter().map(|one| one.change).collect();
    assert_eq!(changes.len(), alerts.len(), "each change has a number of its own");
    let touched = alerts.iter().filter(|one| one.state == State::Acknowledged).count();
    assert_eq!(u64::try_from(touched).unwrap(), taken, "each alert was taken once");
    let stated = Stated { epoch: 7, assigned: WRITERS * ROUNDS, ..Stated::default() };
    let summary = registry.state_account(&sensor, &stated, START).await.unwrap();
    assert_eq!((summary.received, summary.unaccounted), (WRITERS * ROUNDS, 0));
    let accounts = registry.sensor_accounts(&Scope::All, &sensor).await.unwrap();
    assert_eq!(accounts.first().unwrap().received_events.get("conn"), Some(&(WRITERS * ROUNDS * 10)));
}

async fn of_eight_that_begin_at_once_one_makes_the_schema_and_the_first_administrator() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(&folder.path().join("registry.sqlite"));
    let starts: Vec<_> = (0..WRITERS)
        .map(|_| {
            let place = place.clone();
            tokio::spawn(async move {
                let registry = Registry::open(place).await?;
                registry.create_first_administrator(START).await
            })
        })
        .collect();
    let mut made = 0;
    for start in starts {
        let first: Result<_, Error> = start.await.unwrap();
        made += u32::from(first.unwrap().is_some());
    }
    assert_eq!(made, 1);
    let registry = Registry::open(place).await.unwrap();
    assert_eq!(registry.accounts().await.unwrap().len(), 1);
    assert_eq!(registry.audit_verify().await.unwrap().entries, 1);
}

on_both!(
    eight_writers_lose_and_double_nothing,
    of_eight_that_begin_at_once_one_makes_the_schema_and_the_first_administrator,
);
