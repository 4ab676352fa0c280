//! Sensors: where they stand, their certificates, when they were last heard of and how they are.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::database::{Connection, Flag, JsonText, QueryBuilder, query, query_as};
use crate::{
    Change, EnrolmentToken, Error, Millis, Registry, Result, Scope, SensorCertificate,
    audit::{self, Deed},
    owner, trust,
};

/// How long a sensor may be silent before that is an alert, unless set otherwise.
const SILENCE_AFTER_SECONDS: i64 = 300;

/// Who makes the enrolment tokens of drills.
const DRILL: &str = "service:drill";

/// The longest health report that is kept, in bytes of JSON.
const MAX_HEALTH_BYTES: usize = 64 * 1024;

/// An enrolled sensor.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema, sqlx::FromRow)]
pub struct Sensor {
    /// Id, also the subject of its certificates.
    pub id: String,
    /// Its agency.
    pub organization: String,
    /// The node that it watches: `observer.name`.
    pub node: String,
    /// Serial number of its newest certificate, hexadecimal.
    pub serial: String,
    /// SHA-256 of its newest certificate, hexadecimal.
    pub fingerprint: String,
    /// Until when its newest certificate is valid.
    pub not_after: Millis,
    /// When it enrolled.
    pub enrolled_at: Millis,
    /// Since when it may not send any more.
    pub revoked_at: Option<Millis>,
    /// When it was last heard of.
    pub last_seen: Option<Millis>,
    /// After how many seconds without a word it counts as silent.
    pub silence_after_seconds: i64,
    /// Since when it is known to be silent.
    pub silent_since: Option<Millis>,
    /// Its last health report, as it sent it.
    #[sqlx(try_from = "JsonText")]
    #[schema(value_type = Option<Object>)]
    pub health: Option<Value>,
    /// Who answers for it: a login, or a name; at first who made its enrolment token.
    pub owner: Option<String>,
    /// Whether a drill enrolled it: it watches nothing real.
    #[sqlx(try_from = "Flag")]
    pub drill: bool,
    /// For the optimistic check.
    pub version: i64,
}

/// What a person may change of a sensor; what is not given stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SensorEdit {
    /// Who answers for it: a login, or a name; inside: nobody of its own.
    pub owner: Option<Option<String>>,
    /// After how many seconds without a word it counts as silent: 60 to 86400.
    pub quiet_after_seconds: Option<i64>,
}

/// Enters a sensor and its first certificate.
pub(crate) async fn insert(
    tx: &mut Connection,
    token: &EnrolmentToken,
    certificate: &SensorCertificate,
    now: Millis,
) -> Result<Sensor> {
    query(
        "INSERT INTO sensor (id, organization, node, serial, fingerprint, not_after, enrolled_at, silence_after_seconds, version, owner, drill)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $10)",
    )
    .bind(&certificate.sensor)
    .bind(&token.organization)
    .bind(&token.node)
    .bind(&certificate.serial)
    .bind(&certificate.fingerprint)
    .bind(certificate.not_after)
    .bind(now)
    .bind(SILENCE_AFTER_SECONDS)
    .bind(owner::login_of(tx, &token.created_by).await?)
    .bind(i64::from(token.created_by == DRILL))
    .execute(&mut *tx)
    .await
    .map_err(Error::or_taken("sensor"))?;
    insert_certificate(tx, certificate, now).await?;
    fetch(tx, &certificate.sensor).await
}

async fn insert_certificate(tx: &mut Connection, certificate: &SensorCertificate, now: Millis) -> Result<()> {
    query("INSERT INTO sensor_certificate VALUES ($1, $2, $3, $4, $5)")
        .bind(&certificate.fingerprint)
        .bind(&certificate.sensor)
        .bind(&certificate.serial)
        .bind(now)
        .bind(certificate.not_after)
        .execute(tx)
        .await
        .map_err(Error::or_taken("certificate"))?;
    Ok(())
}

pub(crate) async fn fetch(tx: &mut Connection, id: &str) -> Result<Sensor> {
    query_as("SELECT * FROM sensor WHERE id = $1")
        .bind(id)
        .fetch_optional(tx)
        .await?
        .ok_or(Error::NotFound("sensor"))
}

impl Registry {
    /// The sensors of a scope by agency and node, at most 5000.
    pub async fn sensors(&self, scope: &Scope) -> Result<Vec<Sensor>> {
        let mut query = QueryBuilder::new("SELECT * FROM sensor WHERE 1 = 1");
        scope.restrict(&mut query, "organization");
        query.push(" ORDER BY organization, node, enrolled_at DESC LIMIT 5000");
        Ok(query.build_query_as().fetch_all(&self.readers).await?)
    }

    /// One sensor, if it is in scope.
    pub async fn sensor(&self, scope: &Scope, id: &str) -> Result<Sensor> {
        let found = fetch(&mut *self.readers.acquire().await?, id).await?;
        scope.admit(&found.organization, "sensor")?;
        Ok(found)
    }

    /// The sensor that holds the certificate with this SHA-256 fingerprint (hexadecimal), be it revoked or not:
    /// the caller looks at `revoked_at`. `None` for a certificate that we never signed or no longer accept.
    pub async fn sensor_by_certificate(&self, fingerprint: &str, now: Millis) -> Result<Option<Sensor>> {
        let found = query_as(
            "SELECT sensor.* FROM sensor_certificate
             JOIN sensor ON sensor.id = sensor_certificate.sensor
             WHERE sensor_certificate.fingerprint = $1 AND sensor_certificate.not_after > $2",
        )
        .bind(fingerprint)
        .bind(now)
        .fetch_optional(&self.readers)
        .await?;
        Ok(found)
    }

    /// Enters a further certificate of a sensor that is not revoked. The older ones stay valid until they expire,
    /// because the answer that carries the new one may be lost.
    pub async fn renew_sensor(&self, certificate: &SensorCertificate, now: Millis) -> Result<Sensor> {
        let mut tx = self.write().await?;
        if fetch(&mut tx, &certificate.sensor).await?.revoked_at.is_some() {
            return Err(Error::Refused { what: "sensor", reason: "is revoked" });
        }
        insert_certificate(&mut tx, certificate, now).await?;
        query("UPDATE sensor SET serial = $2, fingerprint = $3, not_after = $4, version = version + 1 WHERE id = $1")
            .bind(&certificate.sensor)
            .bind(&certificate.serial)
            .bind(&certificate.fingerprint)
            .bind(certificate.not_after)
            .execute(&mut *tx)
            .await?;
        let after = fetch(&mut tx, &certificate.sensor).await?;
        let deed = Deed {
            action: "renew",
            kind: "sensor",
            object: &after.id,
            organization: Some(&after.organization),
            before: None,
            after: Some(serde_json::to_value(&after)?),
        };
        audit::record(&mut tx, &Change::service("collector", now), deed).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Shuts a sensor out at once and for ever; it must enrol again.
    pub async fn revoke_sensor(
        &self,
        scope: &Scope,
        change: &Change,
        id: &str,
        reason: &str,
    ) -> Result<Sensor> {
        crate::error::check_text("reason", reason, 500)?;
        let mut tx = self.write().await?;
        let before = fetch(&mut tx, id).await?;
        scope.admit(&before.organization, "sensor")?;
        if before.revoked_at.is_some() {
            return Err(Error::Refused { what: "sensor", reason: "is revoked already" });
        }
        query("UPDATE sensor SET revoked_at = $2, version = version + 1 WHERE id = $1")
            .bind(id)
            .bind(change.at)
            .execute(&mut *tx)
            .await?;
        let deed = Deed {
            action: "revoke",
            kind: "sensor",
            object: id,
            organization: Some(&before.organization),
            before: None,
            after: Some(serde_json::json!({ "reason": reason })),
        };
        audit::record(&mut tx, change, deed).await?;
        // A connection of the sensor that waits for news is answered at once.
        trust::bump(&mut tx).await?;
        let after = fetch(&mut tx, id).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Notes that a sensor was heard of, with its health report if it sent one (over 64 KiB: refused).
    /// Answers since when it had been silent, if it had.
    pub async fn sensor_seen(&self, id: &str, at: Millis, health: Option<&Value>) -> Result<Option<Millis>> {
        let health = health.map(Value::to_string);
        if health.as_ref().is_some_and(|text| text.len() > MAX_HEALTH_BYTES) {
            return Err(Error::Invalid { field: "health", reason: "is longer than 64 KiB" });
        }
        let mut tx = self.write().await?;
        let before = fetch(&mut tx, id).await?;
        query(
            "UPDATE sensor SET last_seen = CASE WHEN last_seen > $2 THEN last_seen ELSE $2 END, silent_since = NULL, health = COALESCE($3, health)
             WHERE id = $1",
        )
        .bind(id)
        .bind(at)
        .bind(health)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(before.silent_since)
    }

    /// Gives a sensor to somebody (a login, or a name), or to nobody; `version` is the one that the caller saw.
    pub async fn set_sensor_owner(
        &self,
        scope: &Scope,
        change: &Change,
        id: &str,
        version: i64,
        owner: Option<&str>,
    ) -> Result<Sensor> {
        let edit = SensorEdit { owner: Some(owner.map(str::to_owned)), quiet_after_seconds: None };
        self.edit_sensor(scope, change, id, version, &edit).await
    }

    /// Changes who answers for a sensor and when it counts as silent; `version` is the one that the caller saw.
    pub async fn edit_sensor(
        &self,
        scope: &Scope,
        change: &Change,
        id: &str,
        version: i64,
        edit: &SensorEdit,
    ) -> Result<Sensor> {
        if edit.quiet_after_seconds.is_some_and(|seconds| !(60..=86_400).contains(&seconds)) {
            return Err(Error::Invalid { field: "quiet_after_seconds", reason: "must be 60 to 86400" });
        }
        let mut tx = self.write().await?;
        let before = fetch(&mut tx, id).await?;
        scope.admit(&before.organization, "sensor")?;
        Error::check_version("sensor", version, before.version)?;
        if let Some(Some(owner)) = edit.owner.as_ref().filter(|owner| **owner != before.owner) {
            owner::check(&mut tx, &before.organization, owner).await?;
        }
        let owner = edit.owner.clone().unwrap_or_else(|| before.owner.clone());
        let quiet = edit.quiet_after_seconds.unwrap_or(before.silence_after_seconds);
        query(
            "UPDATE sensor SET owner = $2, silence_after_seconds = $3, version = version + 1 WHERE id = $1",
        )
        .bind(id)
        .bind(&owner)
        .bind(quiet)
        .execute(&mut *tx)
        .await?;
        let told = |owner: &Option<String>, quiet: i64| serde_json::json!({ "owner": owner, "quiet_after_seconds": quiet });
        let deed = Deed {
            action: "update",
            kind: "sensor",
            object: id,
            organization: Some(&before.organization),
            before: Some(told(&before.owner, before.silence_after_seconds)),
            after: Some(told(&owner, quiet)),
        };
        audit::record(&mut tx, change, deed).await?;
        let after = fetch(&mut tx, id).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Marks the sensors that have been silent for too long and answers those that were not marked before:
    /// each silence is answered once. A sensor that never spoke is counted from its enrolment, and none from before
    /// `listening`, when the collector began to listen: while it did not, nobody could be heard.
    pub async fn mark_silent_sensors(&self, listening: Millis, now: Millis) -> Result<Vec<Sensor>> {
        let mut tx = self.write().await?;
        let found = query_as(
            "UPDATE sensor SET silent_since = COALESCE(last_seen, enrolled_at)
             WHERE revoked_at IS NULL AND silent_since IS NULL
               AND COALESCE(last_seen, enrolled_at) + silence_after_seconds * 1000 <= $1
               AND $2 + silence_after_seconds * 1000 <= $1
             RETURNING *",
        )
        .bind(now)
        .bind(listening)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(found)
    }
}
