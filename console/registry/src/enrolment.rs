//! Enrolment of sensors: a one-time, expiring token bound to an agency and a node becomes a sensor with a certificate.
//!
//! The collector first asks what a token is for ([`Registry::enrolment_token`]), signs the certificate with the sensor id
//! that it has chosen ([`crate::new_id`]), and then redeems: of two that redeem at once, one wins and the other is refused.

use serde::Serialize;
use utoipa::ToSchema;

use crate::database::{Connection, QueryBuilder, query, query_as};
use crate::{
    Change, Error, Millis, Registry, Result, Scope, Sensor, agency,
    audit::{self, Deed},
    error::check_id,
    new_id,
    secret::{hash_secret, random_secret},
    sensor,
};

/// The longest that a token may live: seven days.
const MAX_LIFE_MS: Millis = 7 * 24 * 3_600_000;

/// A token as the console lists it. The secret itself is not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct EnrolmentToken {
    /// Id for revoking it.
    pub id: String,
    /// The agency that the sensor will belong to.
    pub organization: String,
    /// The node (`observer.name`) that it will watch.
    pub node: String,
    /// When it was made.
    pub created_at: Millis,
    /// Who made it.
    pub created_by: String,
    /// Until when it may be used.
    pub expires_at: Millis,
    /// When it was used.
    pub used_at: Option<Millis>,
    /// When it was withdrawn.
    pub revoked_at: Option<Millis>,
    /// The sensor that came of it.
    pub sensor: Option<String>,
}

/// A new token and its secret, which is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NewToken {
    /// The stored part.
    pub token: EnrolmentToken,
    /// 64 hexadecimal digits.
    pub secret: String,
}

/// What a valid token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// Token id.
    pub token: String,
    /// The agency of the sensor.
    pub organization: String,
    /// The node of the sensor.
    pub node: String,
}

/// A certificate that was signed for a sensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SensorCertificate {
    /// The sensor's id, as in the certificate's subject.
    pub sensor: String,
    /// Serial number in hexadecimal.
    pub serial: String,
    /// SHA-256 of the DER certificate in hexadecimal.
    pub fingerprint: String,
    /// End of validity.
    pub not_after: Millis,
}

impl EnrolmentToken {
    /// Refuses a token that was used, withdrawn or has expired.
    fn check_usable(&self, now: Millis) -> Result<()> {
        let reason = if self.used_at.is_some() {
            "was used already"
        } else if self.revoked_at.is_some() {
            "was withdrawn"
        } else if now >= self.expires_at {
            "has expired"
        } else {
            return Ok(());
        };
        Err(Error::Refused { what: "enrolment token", reason })
    }
}

impl Registry {
    /// Makes a token for one sensor of `organization` at `node`, valid for `life_ms` (at most seven days).
    pub async fn create_enrolment_token(
        &self,
        change: &Change,
        organization: &str,
        node: &str,
        life_ms: Millis,
    ) -> Result<NewToken> {
        check_id("node", node)?;
        if !(1..=MAX_LIFE_MS).contains(&life_ms) {
            return Err(Error::Invalid {
                field: "life",
                reason: "must be more than zero and at most seven days",
            });
        }
        let secret = random_secret();
        let mut tx = self.write().await?;
        agency::fetch(&mut tx, organization).await?;
        let token = EnrolmentToken {
            id: new_id(),
            organization: organization.to_owned(),
            node: node.to_owned(),
            created_at: change.at,
            created_by: change.who.clone(),
            expires_at: change.at.saturating_add(life_ms),
            used_at: None,
            revoked_at: None,
            sensor: None,
        };
        query("INSERT INTO enrolment_token (id, hash, organization, node, created_at, created_by, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(&token.id)
            .bind(hash_secret(&secret))
            .bind(organization)
            .bind(node)
            .bind(token.created_at)
            .bind(&token.created_by)
            .bind(token.expires_at)
            .execute(&mut *tx)
            .await?;
        let deed = Deed {
            action: "create",
            kind: "enrolment_token",
            object: &token.id,
            organization: Some(organization),
            before: None,
            after: Some(serde_json::to_value(&token)?),
        };
        audit::record(&mut tx, change, deed).await?;
        tx.commit().await?;
        Ok(NewToken { token, secret })
    }

    /// The tokens of a scope, newest first, at most 500.
    pub async fn enrolment_tokens(&self, scope: &Scope) -> Result<Vec<EnrolmentToken>> {
        let mut query = QueryBuilder::new("SELECT * FROM enrolment_token WHERE 1 = 1");
        scope.restrict(&mut query, "organization");
        query.push(" ORDER BY created_at DESC, id DESC LIMIT 500");
        Ok(query.build_query_as().fetch_all(&self.readers).await?)
    }

    /// Withdraws a token that was not used yet.
    pub async fn revoke_enrolment_token(&self, scope: &Scope, change: &Change, id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let token: EnrolmentToken = query_as("SELECT * FROM enrolment_token WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?
            .filter(|token: &EnrolmentToken| scope.allows(&token.organization))
            .ok_or(Error::NotFound("enrolment token"))?;
        token.check_usable(change.at)?;
        query("UPDATE enrolment_token SET revoked_at = $2 WHERE id = $1")
            .bind(id)
            .bind(change.at)
            .execute(&mut *tx)
            .await?;
        let deed = Deed {
            action: "revoke",
            kind: "enrolment_token",
            object: id,
            organization: Some(&token.organization),
            before: None,
            after: None,
        };
        audit::record(&mut tx, change, deed).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What the token with this secret is for, if it may still be used. An unknown secret is [`Error::NotFound`],
    /// a used, withdrawn or expired one [`Error::Refused`].
    pub async fn enrolment_token(&self, secret: &str, now: Millis) -> Result<Redeemed> {
        let token = by_secret(&mut *self.readers.acquire().await?, secret).await?;
        token.check_usable(now)?;
        Ok(Redeemed { token: token.id, organization: token.organization, node: token.node })
    }

    /// Uses the token up and enters the sensor with its certificate, in one transaction.
    pub async fn redeem(&self, secret: &str, certificate: &SensorCertificate, now: Millis) -> Result<Sensor> {
        let mut tx = self.write().await?;
        let token = by_secret(&mut tx, secret).await?;
        token.check_usable(now)?;
        let made = sensor::insert(&mut tx, &token, certificate, now).await?;
        query("UPDATE enrolment_token SET used_at = $2, sensor = $3 WHERE id = $1")
            .bind(&token.id)
            .bind(now)
            .bind(&made.id)
            .execute(&mut *tx)
            .await?;
        let deed = Deed {
            action: "enrol",
            kind: "sensor",
            object: &made.id,
            organization: Some(&made.organization),
            before: None,
            after: Some(serde_json::to_value(&made)?),
        };
        audit::record(&mut tx, &Change::service("collector", now), deed).await?;
        tx.commit().await?;
        Ok(made)
    }
}

/// The token with this secret, whatever its state.
async fn by_secret(tx: &mut Connection, secret: &str) -> Result<EnrolmentToken> {
    query_as("SELECT * FROM enrolment_token WHERE hash = $1")
        .bind(hash_secret(secret))
        .fetch_optional(tx)
        .await?
        .ok_or(Error::NotFound("enrolment token"))
}
