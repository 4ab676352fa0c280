use dongson_event::Timestamp;
use dongson_event::trust::{
    Configuration, Directive, Envelope, PackKind, PackManifest, PublicKey, Purpose, Root, SigningKey, Target,
    Trust, TrustError,
};

use crate::support::{on_both, registry_for_test};
use crate::{Change, Error, OrganizationEdit, Registry, Scope, SensorCertificate, hash_secret};

const NOW: i64 = 1_000_000;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32]).unwrap()
}

fn change() -> Change {
    Change::service("test", NOW)
}

/// A root of the keys 1, 2 and 3; content is signed by key 9.
fn root(version: u64, console: &PublicKey) -> Root {
    let roots: Vec<_> = (1..4).map(|seed| key(seed).public()).collect();
    Root::new(version, Timestamp::from_millis(NOW * 2))
        .with(Purpose::Root, 2, &roots)
        .with(Purpose::Configuration, 1, std::slice::from_ref(console))
        .with(Purpose::Request, 1, std::slice::from_ref(console))
        .with(Purpose::Content, 1, &[key(9).public()])
}

fn signed(root: &Root) -> Envelope {
    let mut envelope = Envelope::sign_json(Purpose::Root, root, &key(1)).unwrap();
    envelope.sign(&key(2));
    envelope
}

/// A registry with the agencies `a` and `b`, and a sensor of `a`; its id.
async fn world() -> (Registry, String) {
    let registry = registry_for_test().await;
    for id in ["a", "b"] {
        let edit = OrganizationEdit { name: id.into(), name_en: id.into(), parent: None, level: 1 };
        registry.create_organization(&change(), id, &edit).await.unwrap();
    }
    let token = registry.create_enrolment_token(&change(), "a", "gw", 60_000).await.unwrap();
    let certificate = SensorCertificate {
        sensor: "s-1".to_owned(),
        serial: "01".to_owned(),
        fingerprint: hash_secret("x"),
        not_after: NOW * 2,
    };
    let sensor = registry.redeem(&token.secret, &certificate, NOW).await.unwrap();
    (registry, sensor.id)
}

async fn trusted() -> (Registry, String) {
    let (registry, sensor) = world().await;
    let console = registry.signing_key(&change()).await.unwrap();
    registry.publish_root(&change(), &signed(&root(1, &console))).await.unwrap();
    (registry, sensor)
}

fn filter(text: &str) -> Configuration {
    Configuration { filter: Some(text.to_owned()), ..Configuration::default() }
}

async fn without_a_root_document_nothing_is_signed() {
    let (registry, _) = world().await;
    let refused = registry.set_desired(&Scope::All, &change(), &Target::All, 0, &filter("tcp")).await;
    let words = refused.unwrap_err().to_string();
    assert!(words.contains("dongson admin trust init"), "{words}");
    let before = registry.signing_key(&change()).await.unwrap();
    assert_eq!(registry.signing_key(&change()).await.unwrap(), before, "made once");
    // A root that does not name our key lets us sign nothing.
    registry.publish_root(&change(), &signed(&root(1, &key(8).public()))).await.unwrap();
    let refused = registry.set_desired(&Scope::All, &change(), &Target::All, 0, &filter("tcp")).await;
    assert!(matches!(refused, Err(Error::Refused { what: "root document", .. })), "{refused:?}");
}

async fn versions_go_up_over_all_targets_and_a_sensor_takes_them() {
    let (registry, sensor) = trusted().await;
    let own = Target::Sensor(sensor.clone());
    let agency = Target::Organization("a".to_owned());
    let first = registry.set_desired(&Scope::All, &change(), &own, 0, &filter("udp")).await.unwrap();
    let second = registry.set_desired(&Scope::All, &change(), &Target::All, 0, &filter("tcp")).await.unwrap();
    let elsewhere = Target::Organization("b".to_owned());
    registry.set_desired(&Scope::All, &change(), &elsewhere, 0, &filter("icmp")).await.unwrap();
    let wanted = async || registry.wanted_version("a", &sensor).await.unwrap();
    assert_eq!((first.version, second.version, wanted().await), (1, 1, 2));
    assert_eq!(registry.wanted_versions().await.unwrap().of("a", &sensor), 2);
    // Another agency's documents leave ours as they are.
    let again = registry.set_desired(&Scope::All, &change(), &elsewhere, 1, &filter("arp")).await.unwrap();
    assert_eq!((again.version, wanted().await), (2, 2));
    registry.set_desired(&Scope::All, &change(), &own, 1, &filter("udp")).await.unwrap();
    assert_eq!(wanted().await, 3);
    let stale = registry.set_desired(&Scope::All, &change(), &own, 0, &filter("arp")).await;
    assert!(matches!(stale, Err(Error::Stale { .. })));

    let offer = registry.offer("a", &sensor, 0, NOW).await.unwrap();
    let trust = Trust::begin(&offer.roots[0]).unwrap();
    let now = Timestamp::from_millis(NOW);
    let taken: Vec<Directive> = offer
        .desired
        .iter()
        .map(|envelope| Directive::verify(&trust, envelope, ("a", &sensor), |_| 0, now).unwrap())
        .collect();
    assert_eq!(taken.iter().map(|one| one.target.clone()).collect::<Vec<_>>(), [Target::All, own.clone()]);
    assert_eq!(registry.desired(&Scope::All, &agency).await.unwrap().version, 0);
    assert!(registry.offer("a", &sensor, 1, NOW).await.unwrap().roots.is_empty());
    let entries = registry.audit_entries(None, 10).await.unwrap();
    assert!(entries.iter().any(|entry| entry.kind == "desired" && entry.object == own.to_string()));
}

async fn an_agency_sets_its_own_sensors_only() {
    let (registry, sensor) = trusted().await;
    let theirs = Scope::Organizations(vec!["b".to_owned()]);
    let ours = Scope::Organizations(vec!["a".to_owned()]);
    let own = Target::Sensor(sensor);
    for (scope, target, allowed) in [
        (&theirs, own.clone(), false),
        (&theirs, Target::All, false),
        (&theirs, Target::Organization("a".to_owned()), false),
        (&ours, own, true),
        (&ours, Target::Organization("a".to_owned()), true),
        (&ours, Target::All, false),
    ] {
        let read = registry.desired(scope, &target).await;
        let set = registry.set_desired(scope, &change(), &target, 0, &filter("tcp")).await;
        assert_eq!((read.is_ok(), set.is_ok()), (allowed, allowed), "{target} {scope:?} {set:?}");
    }
}

async fn a_rotation_signs_anew_what_the_new_root_would_not_take() {
    let (registry, sensor) = trusted().await;
    let before = registry.set_desired(&Scope::All, &change(), &Target::All, 0, &filter("tcp")).await.unwrap();
    let fresh = registry.renew_signing_key(&change()).await.unwrap();
    let replayed = registry.publish_root(&change(), &signed(&root(1, &fresh))).await;
    assert!(matches!(replayed, Err(Error::Trust(TrustError::NotNext { .. }))), "{replayed:?}");
    registry.publish_root(&change(), &signed(&root(2, &fresh))).await.unwrap();
    let after = registry.desired(&Scope::All, &Target::All).await.unwrap();
    assert!(after.version > before.version);
    let offer = registry.offer("a", &sensor, 0, NOW).await.unwrap();
    let mut trust = Trust::begin(&offer.roots[0]).unwrap();
    trust.rotate(&offer.roots[1]).unwrap();
    let now = Timestamp::from_millis(NOW);
    Directive::verify(&trust, &offer.desired[0], ("a", &sensor), |_| 0, now).unwrap();
    assert!(trust.verify(Purpose::Configuration, before.envelope.as_ref().unwrap(), now).is_err());
}

async fn an_expired_root_signs_nothing() {
    let (registry, _) = trusted().await;
    let late = Change::service("test", NOW * 2);
    let refused = registry.set_desired(&Scope::All, &late, &Target::All, 0, &filter("tcp")).await;
    assert!(matches!(refused, Err(Error::Trust(TrustError::RootExpired { .. }))), "{refused:?}");
}

async fn requests_are_open_until_they_are_closed_or_end() {
    let (registry, sensor) = trusted().await;
    let mark = registry.desired_mark().await.unwrap();
    let first = registry.put_request(&change(), &sensor, &"a", NOW + 10).await.unwrap();
    registry.put_request(&change(), &sensor, &"b", NOW + 20).await.unwrap();
    assert!(registry.desired_mark().await.unwrap() > mark);
    let count = async |at| registry.offer("a", &sensor, 0, at).await.unwrap().requests.len();
    assert_eq!((count(NOW).await, count(NOW + 10).await, count(NOW + 20).await), (2, 1, 0));
    registry.close_request(&first.id, NOW).await.unwrap();
    assert!(matches!(registry.close_request(&first.id, NOW).await, Err(Error::NotFound("request"))));
    assert_eq!(count(NOW).await, 1);
    assert!(registry.offer("a", "another", 0, NOW).await.unwrap().requests.is_empty());
}

async fn packs_go_up_and_need_the_content_key() {
    let (registry, sensor) = trusted().await;
    let manifest = |version| PackManifest {
        name: "province".to_owned(),
        kind: PackKind::Intel,
        version,
        target: Target::All,
        sha256: "ab".repeat(32),
        bytes: 3,
        issued_at: Timestamp::from_millis(NOW),
        expires_at: None,
    };
    let publish = async |version, seed| {
        let envelope = Envelope::sign_json(Purpose::Content, &manifest(version), &key(seed)).unwrap();
        registry.publish_pack(&change(), &envelope).await
    };
    assert!(matches!(publish(1, 8).await, Err(Error::Trust(TrustError::TooFewSignatures { .. }))));
    publish(2, 9).await.unwrap();
    assert!(matches!(publish(2, 9).await, Err(Error::Refused { what: "pack", .. })));
    publish(3, 9).await.unwrap();
    assert_eq!(registry.packs().await.unwrap()[0].version, 3);
    assert_eq!(registry.offer("a", &sensor, 0, NOW).await.unwrap().packs.len(), 1);
}

async fn a_revocation_moves_the_mark() {
    let (registry, sensor) = trusted().await;
    let mark = registry.desired_mark().await.unwrap();
    registry.revoke_sensor(&Scope::All, &change(), &sensor, "lost").await.unwrap();
    assert!(registry.desired_mark().await.unwrap() > mark);
}

on_both!(
    without_a_root_document_nothing_is_signed,
    versions_go_up_over_all_targets_and_a_sensor_takes_them,
    an_agency_sets_its_own_sensors_only,
    a_rotation_signs_anew_what_the_new_root_would_not_take,
    an_expired_root_signs_nothing,
    requests_are_open_until_they_are_closed_or_end,
    packs_go_up_and_need_the_content_key,
    a_revocation_moves_the_mark,
);
