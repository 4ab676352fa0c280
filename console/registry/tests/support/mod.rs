//! What the registry's tests begin with.

#![allow(dead_code, reason = "not every test file needs all of it")]

use dongson_registry::{
    Account, AccountEdit, AlertUpsert, Change, Consumed, Level, OrganizationEdit, Registry, Role, Scope, Step,
};
use tempfile::TempDir;

mod postgres;

#[allow(unused_imports, reason = "not every test file needs all of it")]
pub(crate) use postgres::{database, on_both, on_postgres, place, registry_for_test};

/// The time at which tests begin: 2026-11-23 00:00 UTC.
pub(crate) const START: i64 = 1_795_392_000_000;

/// A registry with agencies `a` and `b`.
pub(crate) async fn registry() -> (TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(place(&folder.path().join("registry.sqlite"))).await.unwrap();
    for id in ["a", "b"] {
        let edit =
            OrganizationEdit { name: id.to_uppercase(), name_en: id.to_uppercase(), parent: None, level: 2 };
        registry.create_organization(&Change::service("test", START), id, &edit).await.unwrap();
    }
    (folder, registry)
}

/// An analyst of the whole province.
pub(crate) async fn analyst(registry: &Registry, login: &str, organizations: Option<Vec<String>>) -> Account {
    let edit = AccountEdit { full_name: login.into(), role: Role::Analyst, organizations, disabled: false };
    registry.create_account(&Change::service("test", START), login, &edit).await.unwrap().account
}

/// An alert of `organization`.
pub(crate) fn alert(id: &str, organization: &str, level: Level) -> AlertUpsert {
    AlertUpsert {
        id: id.into(),
        organization: organization.into(),
        node: Some("gw-01".into()),
        rule_id: "rule-1".into(),
        rule_version: "1".into(),
        title_vi: "Dò mật khẩu SSH".into(),
        title_en: "SSH brute force".into(),
        level,
        entity_type: "source.ip".into(),
        entity_value: "10.0.0.1".into(),
        first_seen: START,
        last_seen: START,
        event_id: "event-1".into(),
        added: 1,
        risk: 50,
        tags: vec!["attack.t1110".into()],
        facts: [0; 32],
        drill: false,
    }
}

/// Puts alerts into the queue, at offsets that no other call uses.
pub(crate) async fn apply(registry: &Registry, alerts: Vec<AlertUpsert>) {
    let first = registry.offset("test", "signals", 0).await.unwrap().map_or(0, |saved| saved.next);
    let run =
        Consumed { group: "test".into(), topic: "signals".into(), partition: 0, first, next: first + 1 };
    registry.apply_alerts(&run, &Step { alerts, ..Step::default() }, START).await.unwrap();
}

/// The scope of one agency.
pub(crate) fn only(organization: &str) -> Scope {
    Scope::Organizations(vec![organization.to_owned()])
}
