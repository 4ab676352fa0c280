//! Audit entries with names beside the ids: people read them. The chain itself holds ids alone, so a name here is the
//! present one.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::database::{Connection, query_as};
use crate::{AuditEntry, Registry, Result};

/// An entry of the chain and the names of what it is about.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct NamedEntry {
    /// The entry.
    #[serde(flatten)]
    pub entry: AuditEntry,
    /// Who did it: an account's full name; of a service, its Vietnamese name; the id where neither is known.
    pub actor_name: String,
    /// What it was done to: a setting by its meaning or key, an account's, agency's, source's or channel's name, an alert's title, an incident's number; none
    /// where the registry knows no better than the id.
    pub object_name: Option<String>,
    /// `object_name` in English, where it has such a name.
    pub object_name_en: Option<String>,
    /// The agency's name, if one is concerned and known.
    pub organization_name: Option<String>,
    /// `organization_name` in English, where it has such a name.
    pub organization_name_en: Option<String>,
}

/// A name, and the English one where there is one.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct Name {
    name: String,
    english: Option<String>,
}

impl Name {
    fn new(name: &str, english: Option<&str>) -> Self {
        Self { name: name.to_owned(), english: english.filter(|text| !text.is_empty()).map(str::to_owned) }
    }

    /// Both names, each where there is one.
    fn split(found: Option<Self>) -> (Option<String>, Option<String>) {
        found.map_or((None, None), |one| (Some(one.name), one.english))
    }
}

/// Our own services and commands, in Vietnamese.
const SERVICES: &[(&str, &str)] = &[
    ("service:admin", "Lệnh quản trị tại máy chủ"),
    ("service:analyzer", "Bộ phân tích"),
    ("service:collector", "Bộ thu thập"),
    ("service:console", "Giao diện điều hành"),
    ("service:drill", "Diễn tập"),
    ("service:registry", "Sổ đăng ký hệ thống"),
    ("service:setup", "Cài đặt ban đầu"),
];

/// Where the name of an object of a kind stands; none where the query finds no name.
const NAMES: &[(&str, &str)] = &[
    (
        "account",
        "SELECT full_name || ' (' || login || ')' AS name, NULL AS english FROM account WHERE id = $1",
    ),
    ("organization", "SELECT name, NULLIF(name_en, '') AS english FROM organization WHERE id = $1"),
    ("incident", "SELECT number AS name, NULL AS english FROM incident WHERE id = $1"),
    ("alert", "SELECT title_vi AS name, NULLIF(title_en, '') AS english FROM alert WHERE id = $1"),
    ("sensor", "SELECT node AS name, NULL AS english FROM sensor WHERE id = $1"),
    (
        "packet_order",
        "SELECT sensor.node AS name, NULL AS english FROM packet_order JOIN sensor ON sensor.id = packet_order.sensor WHERE packet_order.id = $1",
    ),
    ("enrolment_token", "SELECT node AS name, NULL AS english FROM enrolment_token WHERE id = $1"),
    ("source", "SELECT name, NULL AS english FROM source WHERE id = $1"),
    ("api_key", "SELECT source_name AS name, NULL AS english FROM api_key WHERE id = $1"),
    ("asset", "SELECT name, NULL AS english FROM asset WHERE id = $1"),
    ("notification_channel", "SELECT name, NULL AS english FROM notification_channel WHERE id = $1"),
    (
        "exception",
        "SELECT COALESCE(rule_id, entity_value) AS name, NULL AS english FROM exception WHERE id = $1",
    ),
];

/// What settings are, in Vietnamese and English; others go by their key.
const SETTINGS: &[(&str, &str, &str)] = &[
    (
        "collector.authority.fingerprint",
        "Dấu vân tay chứng thư gốc của bộ thu thập",
        "Fingerprint of the collector's root certificate",
    ),
    (crate::SILENCE_OWNER_SETTING, "Người nhận cảnh báo mất tín hiệu", "Who gets the alerts about silence"),
];

/// The names that a page of entries asked for already.
#[derive(Default)]
struct Known(HashMap<(String, String), Option<Name>>);

impl Known {
    async fn name(&mut self, tx: &mut Connection, kind: &str, id: &str) -> Result<Option<Name>> {
        let key = (kind.to_owned(), id.to_owned());
        if let Some(found) = self.0.get(&key) {
            return Ok(found.clone());
        }
        let query = NAMES.iter().find(|(known, _)| *known == kind).map(|(_, query)| *query);
        let found = match query {
            Some(query) => query_as(query).bind(id).fetch_optional(tx).await?,
            None => None,
        };
        self.0.insert(key, found.clone());
        Ok(found)
    }
}

/// The name that stands in the object itself: it may be gone from its table.
fn told(entry: &AuditEntry) -> Option<Name> {
    if entry.kind == "setting" {
        let known = SETTINGS.iter().find(|(key, ..)| *key == entry.object);
        return Some(known.map_or(Name::new(&entry.object, None), |(_, name, en)| Name::new(name, Some(en))));
    }
    let texts = [entry.after.as_deref(), entry.before.as_deref()];
    texts.into_iter().flatten().find_map(|text| {
        let value: Value = serde_json::from_str(text).ok()?;
        let names = ["number", "full_name", "name", "node", "source_name", "login"];
        let name = names.iter().find_map(|name| value.get(name)?.as_str())?;
        Some(Name::new(name, value.get("name_en").and_then(Value::as_str)))
    })
}

impl Registry {
    /// [`Registry::audit_entries`] with names.
    pub async fn named_audit_entries(&self, before: Option<i64>, limit: u32) -> Result<Vec<NamedEntry>> {
        let entries = self.audit_entries(before, limit).await?;
        let mut connection = self.readers.acquire().await?;
        let (mut known, mut named) = (Known::default(), Vec::with_capacity(entries.len()));
        for entry in entries {
            let service =
                SERVICES.iter().find(|(id, _)| *id == entry.who).map(|(_, name)| (*name).to_owned());
            let actor_name = if let Some(name) = service {
                name
            } else {
                let account = known.name(&mut connection, "account", &entry.who).await?;
                let other = || entry.who.strip_prefix("service:").unwrap_or(&entry.who).to_owned();
                account.map_or_else(other, |one| one.name)
            };
            let object = known.name(&mut connection, &entry.kind, &entry.object).await?;
            let organization = match &entry.organization {
                Some(id) => known.name(&mut connection, "organization", id).await?,
                None => None,
            };
            let (object_name, object_name_en) = Name::split(object.or_else(|| told(&entry)));
            let (organization_name, organization_name_en) = Name::split(organization);
            named.push(NamedEntry {
                entry,
                actor_name,
                object_name,
                object_name_en,
                organization_name,
                organization_name_en,
            });
        }
        Ok(named)
    }
}

#[cfg(test)]
mod tests {
    use crate::support::{on_both, registry_for_test};
    use crate::{AccountEdit, Change, OrganizationEdit, Role};

    async fn entries_carry_names() {
        let registry = registry_for_test().await;
        let edit = AccountEdit {
            full_name: "Nguyễn An".into(),
            role: Role::Administrator,
            organizations: None,
            disabled: false,
        };
        let made = registry.create_account(&Change::service("admin", 1), "an", &edit).await.unwrap();
        let by = Change::by(&made.account.id, None, 2);
        let agency =
            OrganizationEdit { name: "Sở Y tế".into(), name_en: "Health".into(), parent: None, level: 2 };
        registry.create_organization(&by, "so-yte", &agency).await.unwrap();
        registry.audit_record(&Change::service("odd", 3), "x", "strange", "7", None).await.unwrap();
        let found = registry.named_audit_entries(None, 10).await.unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|one| (one.entry.action.as_str(), one.actor_name.as_str(), one.object_name.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("x", "odd", None),
                ("create", "Nguyễn An (an)", Some("Sở Y tế")),
                ("create", "Lệnh quản trị tại máy chủ", Some("Nguyễn An (an)")),
            ]
        );
        let agency = &found[1];
        assert_eq!(agency.object_name_en.as_deref(), Some("Health"));
        assert_eq!(
            agency.organization_name_en.as_deref(),
            agency.entry.organization.as_ref().map(|_| "Health")
        );
        let by = Change::service("collector", 4);
        registry.set_setting(&by, crate::SILENCE_OWNER_SETTING, &"an".into(), 0).await.unwrap();
        registry.set_setting(&by, "other.key", &1.into(), 0).await.unwrap();
        let found = registry.named_audit_entries(None, 2).await.unwrap();
        let told: Vec<_> = found.iter().map(|one| one.object_name.as_deref()).collect();
        assert_eq!(told, [Some("other.key"), Some("Người nhận cảnh báo mất tín hiệu")]);
        assert_eq!(found[1].object_name_en.as_deref(), Some("Who gets the alerts about silence"));
        assert_eq!(found[0].object_name_en, None);
        // Every query of a name fits the schema.
        for (kind, _) in super::NAMES {
            let mut connection = registry.readers.acquire().await.unwrap();
            assert_eq!(super::Known::default().name(&mut connection, kind, "none").await.unwrap(), None);
        }
    }

    on_both!(entries_carry_names,);
}
