//! Accounts of sensors through the public API.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod support;

use dongson_event::batch::Class;
use dongson_registry::{
    Change, Gone, Held, Received, Registry, Scope, SensorCertificate, Signed, Stated, new_id,
};
use std::collections::BTreeMap;
use support::on_both;
use support::{START, only, registry};

async fn sensor(registry: &Registry) -> String {
    let change = Change::service("test", START);
    let made = registry.create_enrolment_token(&change, "a", "gw-01", 60_000).await.unwrap();
    let mark = new_id();
    let certificate = SensorCertificate {
        sensor: new_id(),
        serial: format!("s{mark}"),
        fingerprint: format!("f{mark}"),
        not_after: START + 1_000_000,
    };
    registry.redeem(&made.secret, &certificate, START).await.unwrap().id
}

fn batch(sensor: &str, sequence: u64, class: Class) -> Received {
    Received {
        sensor: sensor.to_owned(),
        epoch: u64::MAX,
        sequence,
        class,
        events: 10,
        at: START + 1,
        signed: Some(Signed { root: [7; 32], signature: vec![1], certificate: "c".to_owned() }),
    }
}

fn counts(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

async fn every_sequence_is_received_held_gone_or_unaccounted() {
    let (_folder, registry) = registry().await;
    let id = sensor(&registry).await;
    // As the most urgent go first: 1, 2, 4, 9, 5; and 2 once more.
    let mut batches: Vec<Received> = [1, 2, 4, 9, 5].map(|sequence| batch(&id, sequence, Class::Conn)).into();
    assert_eq!(registry.note_batches(&batches).await.unwrap(), [false; 5]);
    assert_eq!(registry.note_batches(&batches[1..2]).await.unwrap(), [true]);
    let gone = |first, last, events| Gone { first, last, class: "file".into(), why: "shed".into(), events };
    let mut stated = Stated {
        epoch: u64::MAX,
        assigned: 9,
        held: Held { runs: vec![(8, 8)], batches: 1, events: counts(&[("file", 3)]) },
        gone: vec![gone(6, 6, 4)],
        ..Stated::default()
    };
    let summary = registry.state_account(&id, &stated, START + 2).await.unwrap();
    assert_eq!((summary.assigned, summary.received, summary.held, summary.gone), (9, 5, 1, 1));
    assert_eq!((summary.unaccounted, &summary.gone_events), (2, &counts(&[("file", 4)])));
    let accounts = registry.sensor_accounts(&Scope::All, &id).await.unwrap();
    assert_eq!(accounts[0].epoch, u64::MAX.to_string());
    assert_eq!(accounts[0].received, [(1, 2), (4, 5), (9, 9)]);
    assert_eq!(accounts[0].unaccounted, [(3, 3), (7, 7)]);
    assert_eq!(accounts[0].received_events, counts(&[("conn", 50)]));
    assert!(!accounts[0].accounted && !accounts[0].nothing_missing);

    // The rest comes: 7 is gone too, and its run has grown; 3 and 8 arrive.
    batches = [3, 8].map(|sequence| batch(&id, sequence, Class::File)).into();
    registry.note_batches(&batches).await.unwrap();
    stated.held = Held::default();
    stated.gone = vec![gone(6, 7, 9)];
    registry.state_account(&id, &stated, START + 3).await.unwrap();
    let account = &registry.sensor_accounts(&Scope::All, &id).await.unwrap()[0];
    assert!(account.accounted && !account.nothing_missing);
    assert_eq!(account.received, [(1, 5), (8, 9)]);
    assert_eq!(account.gone, [gone(6, 7, 9)]);
    assert_eq!(account.summary.gone_events, counts(&[("file", 9)]));
    assert_eq!(
        registry.account_summaries(&Scope::All).await.unwrap()[&id],
        std::slice::from_ref(&account.summary)
    );
    assert!(registry.account_summaries(&only("b")).await.unwrap().is_empty());
    assert!(registry.sensor_accounts(&only("b"), &id).await.is_err());
    assert_eq!(registry.batch_root(&id, u64::MAX, 3).await.unwrap(), Some(vec![7; 32]));
    assert_eq!(registry.batch_root(&id, u64::MAX, 6).await.unwrap(), None);
}

async fn what_a_sensor_holds_beyond_its_list_is_held() {
    let (_folder, registry) = registry().await;
    let id = sensor(&registry).await;
    registry.note_batches(&[batch(&id, 5, Class::Alert)]).await.unwrap();
    let held = Held { runs: vec![(2, 2), (4, 4)], batches: 4, events: BTreeMap::new() };
    let stated = Stated { epoch: u64::MAX, assigned: 7, held, ..Stated::default() };
    let summary = registry.state_account(&id, &stated, START).await.unwrap();
    // 1 and 3 lie before the end of the list, so they are not among what it leaves out.
    assert_eq!((summary.held, summary.unaccounted), (4, 2));
}

async fn only_the_newest_spools_are_remembered() {
    let (_folder, registry) = registry().await;
    let id = sensor(&registry).await;
    for epoch in 0..20 {
        let at = START + i64::try_from(epoch).unwrap();
        registry.note_batches(&[Received { epoch, at, ..batch(&id, 1, Class::Conn) }]).await.unwrap();
    }
    let accounts = registry.sensor_accounts(&Scope::All, &id).await.unwrap();
    let epochs: Vec<_> = accounts.iter().map(|account| account.epoch.as_str()).collect();
    assert_eq!((epochs.len(), epochs[0], epochs[15]), (16, "19", "4"));
    assert!(accounts.iter().all(|account| !account.accounted), "the sensor has stated nothing");
    assert_eq!(registry.batch_root(&id, 3, 1).await.unwrap(), None);
}

async fn statements_that_make_no_sense_are_refused() {
    let (_folder, registry) = registry().await;
    let id = sensor(&registry).await;
    for (first, last, class, why) in [(2, 1, "file", "shed"), (1, 2, "files", "shed"), (1, 2, "file", "x")] {
        let gone = vec![Gone { first, last, class: class.into(), why: why.into(), events: 1 }];
        let stated = Stated { epoch: 1, assigned: 2, gone, ..Stated::default() };
        assert!(registry.state_account(&id, &stated, START).await.is_err());
    }
    assert!(registry.sensor_accounts(&Scope::All, &id).await.unwrap().is_empty(), "nothing of it is kept");
}

async fn a_refused_batch_is_in_the_audit() {
    let (_folder, registry) = registry().await;
    let id = sensor(&registry).await;
    let sensor = registry.sensor(&Scope::All, &id).await.unwrap();
    let change = Change::service("collector", START);
    registry.refuse_batch(&change, &sensor, (u64::MAX, 3), "its root is another").await.unwrap();
    let entries = registry.audit_entries(None, 1).await.unwrap();
    assert_eq!((entries[0].action.as_str(), &entries[0].object), ("refuse", &id));
    assert!(entries[0].after.as_ref().unwrap().contains("its root is another"));
}

on_both!(
    every_sequence_is_received_held_gone_or_unaccounted,
    what_a_sensor_holds_beyond_its_list_is_held,
    only_the_newest_spools_are_remembered,
    statements_that_make_no_sense_are_refused,
    a_refused_batch_is_in_the_audit,
);
