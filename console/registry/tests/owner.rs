//! A silence always has an owner.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod support;

use dongson_registry::{
    AccountEdit, AlertUpsert, Change, Error, Level, Registry, Role, SILENCE_OWNER_SETTING, Scope, Sensor,
    SensorCertificate, SourceEdit, SourceKind, new_id,
};
use support::on_both;
use support::{START, alert, analyst, apply, only, registry};

/// A sensor of agency `a` whose token `who` made.
async fn sensor(registry: &Registry, who: &str) -> Sensor {
    let made =
        registry.create_enrolment_token(&Change::by(who, None, START), "a", "gw-01", 60_000).await.unwrap();
    let id = new_id();
    let certificate = SensorCertificate {
        serial: format!("s{id}"),
        fingerprint: format!("f{id}"),
        sensor: id,
        not_after: START + 1_000_000,
    };
    registry.redeem(&made.secret, &certificate, START).await.unwrap()
}

fn source(owner: Option<&str>) -> SourceEdit {
    SourceEdit {
        organization: "a".into(),
        name: new_id(),
        kind: SourceKind::Syslog,
        address: Some("10.1.0.0/16".into()),
        listener: None,
        // No two sources have the same marks.
        certificate: Some(format!("{:0>64}", new_id().replace('-', ""))),
        api_key: None,
        parser: None,
        time_zone: "UTC".into(),
        clock_offset_ms: 0,
        expected_per_hour: None,
        silence_after_seconds: Some(60),
        owner: owner.map(Into::into),
    }
}

/// The owner that a new alert about `thing` begins with.
async fn owner_of_alert(registry: &Registry, thing: &str) -> Option<String> {
    let id = new_id();
    let about = AlertUpsert {
        entity_type: "dongson.health.source".into(),
        entity_value: thing.into(),
        ..alert(&id, "a", Level::High)
    };
    apply(registry, vec![about]).await;
    registry.alert(&Scope::All, &id).await.unwrap().owner
}

async fn disable(registry: &Registry, id: &str) {
    let account = registry.account(id).await.unwrap();
    let edit = AccountEdit {
        full_name: account.full_name,
        role: account.role,
        organizations: account.organizations,
        disabled: true,
    };
    registry.update_account(&Change::service("test", START), id, account.version, &edit).await.unwrap();
}

async fn administrator(registry: &Registry, login: &str, at: i64) -> String {
    let edit = AccountEdit {
        full_name: login.to_uppercase(),
        role: Role::Administrator,
        organizations: None,
        disabled: false,
    };
    registry.create_account(&Change::service("test", at), login, &edit).await.unwrap().account.id
}

async fn a_sensor_belongs_to_who_made_its_token_then_to_who_is_named_then_to_an_administrator() {
    let (_folder, registry) = registry().await;
    let first = administrator(&registry, "first", START).await;
    administrator(&registry, "second", START + 1).await;
    let (an, binh) = (analyst(&registry, "an", None).await, analyst(&registry, "binh", None).await);
    let sensor = sensor(&registry, &an.id).await;
    assert_eq!(sensor.owner.as_deref(), Some("an"));
    let thing = format!("sensor:{}", sensor.id);
    assert_eq!(owner_of_alert(&registry, &thing).await, Some(an.id.clone()));

    let change = Change::service("test", START);
    let outside = registry.set_sensor_owner(&only("b"), &change, &sensor.id, 1, Some("binh")).await;
    assert!(outside.is_err());
    for nobody in ["bihn", "nobody"] {
        let unknown = registry.set_sensor_owner(&Scope::All, &change, &sensor.id, 1, Some(nobody)).await;
        assert!(matches!(unknown, Err(Error::Invalid { field: "owner", .. })), "{nobody}: {unknown:?}");
    }
    let given = registry.set_sensor_owner(&Scope::All, &change, &sensor.id, 1, Some("binh")).await.unwrap();
    assert!(registry.set_sensor_owner(&Scope::All, &change, &sensor.id, 1, None).await.is_err());
    assert_eq!(owner_of_alert(&registry, &thing).await, Some(binh.id.clone()));

    disable(&registry, &binh.id).await;
    let owner = registry.owner_of("a", &thing).await.unwrap();
    assert_eq!((owner.account.as_ref(), owner.name.as_str()), (Some(&first), "FIRST"));
    registry.set_setting(&change, SILENCE_OWNER_SETTING, &"an".into(), 0).await.unwrap();
    assert_eq!(owner_of_alert(&registry, &thing).await, Some(an.id.clone()));
    disable(&registry, &an.id).await;
    registry.set_sensor_owner(&Scope::All, &change, &sensor.id, given.version, None).await.unwrap();
    assert_eq!(owner_of_alert(&registry, &thing).await, Some(first));
}

async fn a_source_belongs_to_its_owner_in_words_and_to_an_account_in_the_queue() {
    let (_folder, registry) = registry().await;
    let first = administrator(&registry, "first", START).await;
    let an = analyst(&registry, "an", None).await;
    let foreign = analyst(&registry, "cuc", Some(vec!["b".into()])).await;
    let by_an = Change::by(&an.id, None, START);
    for (wanted, account, name) in [
        (None, &an.id, "an"),
        (Some("an"), &an.id, "an"),
        // A team that has no account is called; the alert belongs to the administrator.
        (Some("Tổ CNTT xã"), &first, "Tổ CNTT xã"),
        // Who may not see the agency cannot answer for it.
        (Some(foreign.login.as_str()), &first, "FIRST"),
    ] {
        let made = registry.create_source(&by_an, &source(wanted)).await.unwrap();
        let thing = format!("source:{}", made.id);
        let owner = registry.owner_of("a", &thing).await.unwrap();
        assert_eq!((owner.account.as_ref(), owner.name.as_str()), (Some(account), name), "{wanted:?}");
        assert_eq!(owner_of_alert(&registry, &thing).await.as_ref(), Some(account), "{wanted:?}");
    }
    assert_eq!(owner_of_alert(&registry, "source:gone").await, Some(first));
    let other = AlertUpsert { ..alert("other", "a", Level::High) };
    apply(&registry, vec![other]).await;
    assert_eq!(registry.alert(&Scope::All, "other").await.unwrap().owner, None);
}

on_both!(
    a_sensor_belongs_to_who_made_its_token_then_to_who_is_named_then_to_an_administrator,
    a_source_belongs_to_its_owner_in_words_and_to_an_account_in_the_queue,
);
