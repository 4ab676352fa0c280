//! Desired state: who set what for which sensors, and the signed document that they get.

use std::collections::HashMap;

use dongson_event::Timestamp;
use dongson_event::trust::{Configuration, Directive, Envelope, Purpose, Target, Trust};
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::{bump, key, offer::targets};
use crate::database::{Connection, query, query_as, query_scalar};
use crate::{
    Change, Error, Millis, Registry, Result, Scope, agency,
    audit::{self, Deed},
};

/// What is wanted of the sensors of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Desired {
    /// `all`, `organization:ID` or `sensor:ID`.
    #[schema(value_type = String)]
    pub target: Target,
    /// The agency that it concerns; none for all.
    pub organization: Option<String>,
    /// One more with every change; 0 where nothing was ever set.
    pub version: i64,
    /// The settings.
    #[schema(value_type = Object)]
    pub configuration: Configuration,
    /// When it was set.
    pub set_at: Millis,
    /// Who set it.
    pub set_by: String,
    /// The document as sensors get it.
    #[serde(skip)]
    pub envelope: Option<Envelope>,
}

/// A row of `desired`.
#[derive(Debug, FromRow)]
struct DesiredRow {
    target: String,
    organization: Option<String>,
    version: i64,
    configuration: String,
    envelope: String,
    set_at: Millis,
    set_by: String,
}

impl TryFrom<DesiredRow> for Desired {
    type Error = Error;

    fn try_from(row: DesiredRow) -> Result<Self> {
        Ok(Self {
            target: row.target.parse()?,
            organization: row.organization,
            version: row.version,
            configuration: serde_json::from_str(&row.configuration)?,
            set_at: row.set_at,
            set_by: row.set_by,
            envelope: Some(Envelope::parse(row.envelope.as_bytes())?),
        })
    }
}

async fn fetch(tx: &mut Connection, target: &Target) -> Result<Option<Desired>> {
    let found: Option<DesiredRow> = query_as("SELECT * FROM desired WHERE target = $1")
        .bind(target.to_string())
        .fetch_optional(tx)
        .await?;
    found.map(Desired::try_from).transpose()
}

/// The agency that a target concerns, if the caller may know of it; all sensors are the whole province's alone.
async fn organization_of(tx: &mut Connection, scope: &Scope, target: &Target) -> Result<Option<String>> {
    let organization = match target {
        Target::All => None,
        Target::Organization(id) => {
            scope.admit(id, "organization")?;
            Some(agency::fetch(tx, id).await?.id)
        }
        Target::Sensor(id) => {
            let sensor = crate::sensor::fetch(tx, id).await?;
            scope.admit(&sensor.organization, "sensor")?;
            Some(sensor.organization)
        }
    };
    if scope.allows_optional(organization.as_deref()) {
        Ok(organization)
    } else {
        Err(Error::NotFound("desired state"))
    }
}

async fn store(tx: &mut Connection, desired: &Desired, envelope: &Envelope) -> Result<()> {
    query(
        "INSERT INTO desired (target, organization, version, configuration, envelope, set_at, set_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (target) DO UPDATE SET version = excluded.version, configuration = excluded.configuration,
             envelope = excluded.envelope, set_at = excluded.set_at, set_by = excluded.set_by",
    )
    .bind(desired.target.to_string())
    .bind(&desired.organization)
    .bind(desired.version)
    .bind(serde_json::to_string(&desired.configuration)?)
    .bind(envelope.to_json())
    .bind(desired.set_at)
    .bind(&desired.set_by)
    .execute(tx)
    .await?;
    Ok(())
}

fn directive(desired: &Desired) -> Result<Directive> {
    Ok(Directive {
        target: desired.target.clone(),
        version: u64::try_from(desired.version).map_err(|_| Error::Range("version"))?,
        issued_at: Timestamp::from_millis(desired.set_at),
        set_by: desired.set_by.clone(),
        configuration: desired.configuration.clone(),
    })
}

/// Signs anew what sensors would not take any more under `trust`, each with a new version.
pub(super) async fn sign_anew(tx: &mut Connection, trust: &Trust, change: &Change) -> Result<()> {
    let all: Vec<DesiredRow> = query_as("SELECT * FROM desired ORDER BY target").fetch_all(&mut *tx).await?;
    let key = key::signer(tx, trust, Purpose::Configuration).await?;
    let now = Timestamp::from_millis(change.at);
    for one in all {
        let mut one = Desired::try_from(one)?;
        let held = one.envelope.as_ref();
        if held.is_some_and(|envelope| trust.verify(Purpose::Configuration, envelope, now).is_ok()) {
            continue;
        }
        one.version += 1;
        let envelope = Envelope::sign_json(Purpose::Configuration, &directive(&one)?, &key)?;
        store(tx, &one, &envelope).await?;
    }
    Ok(())
}

impl Registry {
    /// What is wanted of a target; version 0 and no settings where nothing was ever set.
    pub async fn desired(&self, scope: &Scope, target: &Target) -> Result<Desired> {
        let mut reader = self.readers.acquire().await?;
        let organization = organization_of(&mut reader, scope, target).await?;
        let found = fetch(&mut reader, target).await?;
        Ok(found.unwrap_or_else(|| Desired {
            target: target.clone(),
            organization,
            version: 0,
            configuration: Configuration::default(),
            set_at: 0,
            set_by: String::new(),
            envelope: None,
        }))
    }

    /// Sets what is wanted of a target; `version` is the one that the caller saw. The document is signed here and
    /// reaches the sensors with their next question.
    pub async fn set_desired(
        &self,
        scope: &Scope,
        change: &Change,
        target: &Target,
        version: i64,
        configuration: &Configuration,
    ) -> Result<Desired> {
        if let Err((field, reason)) = configuration.check() {
            return Err(Error::Invalid { field, reason });
        }
        let mut tx = self.write().await?;
        let organization = organization_of(&mut tx, scope, target).await?;
        let before = fetch(&mut tx, target).await?;
        Error::check_version("desired state", version, before.as_ref().map_or(0, |before| before.version))?;
        let mut after = Desired {
            target: target.clone(),
            organization,
            version: before.as_ref().map_or(0, |before| before.version) + 1,
            configuration: configuration.clone(),
            set_at: change.at,
            set_by: change.who.clone(),
            envelope: None,
        };
        let envelope = key::sign(&mut tx, Purpose::Configuration, &directive(&after)?, change).await?;
        store(&mut tx, &after, &envelope).await?;
        bump(&mut tx).await?;
        let deed = Deed {
            action: "set",
            kind: "desired",
            object: &target.to_string(),
            organization: after.organization.as_deref(),
            before: before.map(|before| serde_json::to_value(before.configuration)).transpose()?,
            after: Some(serde_json::json!({ "version": after.version, "configuration": configuration })),
        };
        audit::record(&mut tx, change, deed).await?;
        tx.commit().await?;
        after.envelope = Some(envelope);
        Ok(after)
    }

    /// The version that a sensor should have: the sum over its documents, which goes up with each of them and tells nothing
    /// of other agencies; 0 where there is none.
    pub async fn wanted_version(&self, organization: &str, sensor: &str) -> Result<u64> {
        let [all, agency, own] = targets(organization, sensor);
        let found: Option<i64> =
            query_scalar("SELECT CAST(SUM(version) AS BIGINT) FROM desired WHERE target IN ($1, $2, $3)")
                .bind(all)
                .bind(agency)
                .bind(own)
                .fetch_one(&self.readers)
                .await?;
        Ok(found.and_then(|version| u64::try_from(version).ok()).unwrap_or_default())
    }
    /// The same for many sensors at once.
    pub async fn wanted_versions(&self) -> Result<WantedVersions> {
        let found = query_as("SELECT target, version FROM desired").fetch_all(&self.readers).await?;
        Ok(WantedVersions(found.into_iter().collect()))
    }
}

/// The versions of all documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedVersions(HashMap<String, i64>);

impl WantedVersions {
    /// The version that a sensor should have.
    pub fn of(&self, organization: &str, sensor: &str) -> u64 {
        let versions = targets(organization, sensor);
        let sum: i64 = versions.iter().filter_map(|target| self.0.get(target)).sum();
        u64::try_from(sum).unwrap_or_default()
    }
}
