//! Enrolment tokens and sensors through the public API.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod support;

use dongson_registry::{Change, Error, Scope, SensorCertificate, new_id};
use serde_json::json;
use support::on_both;
use support::{START, only, registry};

fn certificate(mark: &str) -> SensorCertificate {
    SensorCertificate {
        sensor: new_id(),
        serial: format!("s{mark}"),
        fingerprint: format!("f{mark}"),
        not_after: START + 1_000_000,
    }
}

async fn of_two_that_redeem_at_once_one_wins() {
    let (_folder, registry) = registry().await;
    let made =
        registry.create_enrolment_token(&Change::service("test", START), "a", "gw-01", 60_000).await.unwrap();
    let (first, second) = (certificate("1"), certificate("2"));
    let (one, two) = tokio::join!(
        registry.redeem(&made.secret, &first, START),
        registry.redeem(&made.secret, &second, START)
    );
    assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1);
    let loser = if one.is_ok() { two } else { one };
    assert!(matches!(loser, Err(Error::Refused { reason: "was used already", .. })));
    assert_eq!(registry.sensors(&Scope::All).await.unwrap().len(), 1);
}

async fn expired_revoked_and_unknown_tokens_open_nothing() {
    let (_folder, registry) = registry().await;
    let change = Change::service("test", START);
    let made = registry.create_enrolment_token(&change, "a", "gw-01", 60_000).await.unwrap();
    assert!(matches!(registry.enrolment_token("guess", START).await, Err(Error::NotFound(_))));
    let late = registry.redeem(&made.secret, &certificate("1"), START + 60_000).await;
    assert!(matches!(late, Err(Error::Refused { reason: "has expired", .. })));
    let foreign = registry.revoke_enrolment_token(&only("b"), &change, &made.token.id).await;
    assert!(matches!(foreign, Err(Error::NotFound(_))));
    registry.revoke_enrolment_token(&Scope::All, &change, &made.token.id).await.unwrap();
    assert!(matches!(registry.enrolment_token(&made.secret, START).await, Err(Error::Refused { .. })));
    assert!(registry.create_enrolment_token(&change, "none", "gw", 1).await.is_err());
    assert!(registry.create_enrolment_token(&change, "a", "../x", 1).await.is_err());
    assert!(registry.create_enrolment_token(&change, "a", "gw", 0).await.is_err());
}

async fn a_renewed_sensor_keeps_its_old_certificate_until_it_expires() {
    let (_folder, registry) = registry().await;
    let change = Change::service("test", START);
    let made = registry.create_enrolment_token(&change, "a", "gw-01", 60_000).await.unwrap();
    let sensor = registry.redeem(&made.secret, &certificate("1"), START).await.unwrap();
    let next =
        SensorCertificate { sensor: sensor.id.clone(), not_after: START + 9_000_000, ..certificate("2") };
    registry.renew_sensor(&next, START).await.unwrap();
    for (fingerprint, at, known) in
        [("f1", START, true), ("f2", START, true), ("f1", START + 1_000_000, false), ("f3", START, false)]
    {
        let found = registry.sensor_by_certificate(fingerprint, at).await.unwrap();
        assert_eq!(found.is_some(), known, "{fingerprint} at {at}");
    }
    registry.revoke_sensor(&Scope::All, &change, &sensor.id, "lost").await.unwrap();
    assert!(registry.sensor_by_certificate("f1", START).await.unwrap().unwrap().revoked_at.is_some());
    assert!(matches!(registry.renew_sensor(&next, START).await, Err(Error::Refused { .. })));
}

async fn silence_and_return_of_a_sensor_are_told_once() {
    let (_folder, registry) = registry().await;
    let made =
        registry.create_enrolment_token(&Change::service("test", START), "a", "gw-01", 60_000).await.unwrap();
    let sensor = registry.redeem(&made.secret, &certificate("1"), START).await.unwrap();
    registry.sensor_seen(&sensor.id, START + 1_000, Some(&json!({ "drops": 0 }))).await.unwrap();
    assert!(registry.mark_silent_sensors(START, START + 300_000).await.unwrap().is_empty());
    assert_eq!(registry.mark_silent_sensors(START, START + 301_000).await.unwrap().len(), 1);
    assert!(registry.mark_silent_sensors(START, START + 400_000).await.unwrap().is_empty());
    assert_eq!(registry.sensor_seen(&sensor.id, START + 500_000, None).await.unwrap(), Some(START + 1_000));
    let now = registry.sensor(&Scope::All, &sensor.id).await.unwrap();
    assert_eq!((now.silent_since, now.health), (None, Some(json!({ "drops": 0 }))));
    assert!(matches!(registry.sensor(&only("b"), &sensor.id).await, Err(Error::NotFound(_))));
}

on_both!(
    of_two_that_redeem_at_once_one_wins,
    expired_revoked_and_unknown_tokens_open_nothing,
    a_renewed_sensor_keeps_its_old_certificate_until_it_expires,
    silence_and_return_of_a_sensor_are_told_once,
);
