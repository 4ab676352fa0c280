//! Exceptions: what the analyzer keeps out of the queue, with a reason, an owner, an end, and a count of what was hidden.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::database::{Connection, QueryBuilder, query, query_as};
use crate::{
    Change, Error, Millis, Registry, Result, Scope,
    audit::{self, Deed},
    error::check_text,
    new_id,
};

/// The longest that an exception may last: a year.
const MAX_LIFE_MS: Millis = 366 * 24 * 3_600_000;

/// An exception. It applies where every given one of agency, rule and entity is the alert's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct Exception {
    /// Id.
    pub id: String,
    /// Its agency; none = the whole province.
    pub organization: Option<String>,
    /// The rule; none = every rule.
    pub rule_id: Option<String>,
    /// Kind of the entity.
    pub entity_type: Option<String>,
    /// The entity; none = every entity.
    pub entity_value: Option<String>,
    /// Why.
    pub reason: String,
    /// Account id of who answers for it.
    pub owner: String,
    /// When it was made.
    pub created_at: Millis,
    /// When it ends by itself.
    pub expires_at: Millis,
    /// When it was ended by hand.
    pub ended_at: Option<Millis>,
    /// Matches that it hid.
    pub hits: i64,
    /// Event time of the last of them.
    pub last_hit_at: Option<Millis>,
    /// For the optimistic check.
    pub version: i64,
}

/// What a person may write of an exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExceptionEdit {
    /// Its agency; none = the whole province.
    #[serde(default)]
    pub organization: Option<String>,
    /// The rule; none = every rule.
    #[serde(default)]
    pub rule_id: Option<String>,
    /// Kind of the entity.
    #[serde(default)]
    pub entity_type: Option<String>,
    /// The entity; none = every entity.
    #[serde(default)]
    pub entity_value: Option<String>,
    /// Why, at most 1000 characters.
    pub reason: String,
    /// When it ends by itself; at most a year ahead.
    pub expires_at: Millis,
}

impl ExceptionEdit {
    fn check(&self, now: Millis) -> Result<()> {
        check_text("reason", &self.reason, 1000)?;
        if self.rule_id.is_none() && self.entity_value.is_none() {
            return Err(Error::Invalid {
                field: "rule_id",
                reason: "name a rule or an entity: an exception cannot hide everything",
            });
        }
        for (field, value) in [("rule_id", &self.rule_id), ("entity_value", &self.entity_value)] {
            value.as_deref().map_or(Ok(()), |value| check_text(field, value, 500))?;
        }
        if self.entity_type.is_some() != self.entity_value.is_some() {
            return Err(Error::Invalid {
                field: "entity_type",
                reason: "type and value of the entity go together",
            });
        }
        if self.expires_at <= now || self.expires_at > now + MAX_LIFE_MS {
            return Err(Error::Invalid {
                field: "expires_at",
                reason: "must lie in the future, at most a year ahead",
            });
        }
        Ok(())
    }
}

impl Exception {
    /// Whether it hides a match of `rule` about this entity of `organization` at `now`.
    pub fn hides(
        &self,
        organization: &str,
        rule: &str,
        entity_type: &str,
        entity_value: &str,
        now: Millis,
    ) -> bool {
        let agrees = |mine: &Option<String>, value: &str| mine.as_deref().is_none_or(|mine| mine == value);
        self.ended_at.is_none()
            && now < self.expires_at
            && agrees(&self.organization, organization)
            && agrees(&self.rule_id, rule)
            && agrees(&self.entity_type, entity_type)
            && agrees(&self.entity_value, entity_value)
    }
}

async fn fetch(tx: &mut Connection, scope: &Scope, id: &str) -> Result<Exception> {
    let found: Option<Exception> =
        query_as("SELECT * FROM exception WHERE id = $1").bind(id).fetch_optional(tx).await?;
    found.filter(|one| scope.allows_optional(one.organization.as_deref())).ok_or(Error::NotFound("exception"))
}

impl Registry {
    /// The exceptions of a scope, newest first, at most 2000. Whole-province ones are seen by the centre only.
    pub async fn exceptions(&self, scope: &Scope) -> Result<Vec<Exception>> {
        let mut query = QueryBuilder::new("SELECT * FROM exception WHERE 1 = 1");
        scope.restrict(&mut query, "organization");
        query.push(" ORDER BY id DESC LIMIT 2000");
        Ok(query.build_query_as().fetch_all(&self.readers).await?)
    }

    /// All exceptions in force at `now`: for the analyzer.
    pub async fn active_exceptions(&self, now: Millis) -> Result<Vec<Exception>> {
        let found = query_as(
            "SELECT * FROM exception WHERE ended_at IS NULL AND expires_at > $1 ORDER BY id LIMIT 10000",
        )
        .bind(now)
        .fetch_all(&self.readers)
        .await?;
        Ok(found)
    }

    /// Makes an exception, owned by who makes it.
    pub async fn create_exception(
        &self,
        scope: &Scope,
        change: &Change,
        edit: &ExceptionEdit,
    ) -> Result<Exception> {
        edit.check(change.at)?;
        if !scope.allows_optional(edit.organization.as_deref()) {
            return Err(match edit.organization {
                Some(_) => Error::no_agency(),
                None => Error::Invalid { field: "organization", reason: "name one agency of yours" },
            });
        }
        let id = new_id();
        let mut tx = self.write().await?;
        query(
            "INSERT INTO exception (id, organization, rule_id, entity_type, entity_value, reason, owner, created_at, expires_at, hits, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 1)",
        )
        .bind(&id)
        .bind(&edit.organization)
        .bind(&edit.rule_id)
        .bind(&edit.entity_type)
        .bind(&edit.entity_value)
        .bind(&edit.reason)
        .bind(&change.who)
        .bind(change.at)
        .bind(edit.expires_at)
        .execute(&mut *tx)
        .await
        .map_err(Error::or_taken("exception"))?;
        let made = fetch(&mut tx, &Scope::All, &id).await?;
        record(&mut tx, change, "create", None, &made).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Ends an exception at once. It stays in the list, with what it hid.
    pub async fn end_exception(
        &self,
        scope: &Scope,
        change: &Change,
        id: &str,
        version: i64,
    ) -> Result<Exception> {
        let mut tx = self.write().await?;
        let before = fetch(&mut tx, scope, id).await?;
        Error::check_version("exception", version, before.version)?;
        if before.ended_at.is_some() {
            return Err(Error::Refused { what: "exception", reason: "has ended already" });
        }
        query("UPDATE exception SET ended_at = $2, version = version + 1 WHERE id = $1")
            .bind(id)
            .bind(change.at)
            .execute(&mut *tx)
            .await?;
        let after = fetch(&mut tx, scope, id).await?;
        record(&mut tx, change, "end", Some(&before), &after).await?;
        tx.commit().await?;
        Ok(after)
    }
}

async fn record(
    tx: &mut Connection,
    change: &Change,
    action: &str,
    before: Option<&Exception>,
    after: &Exception,
) -> Result<()> {
    let deed = Deed {
        action,
        kind: "exception",
        object: &after.id,
        organization: after.organization.as_deref(),
        before: before.map(serde_json::to_value).transpose()?,
        after: Some(serde_json::to_value(after)?),
    };
    audit::record(tx, change, deed).await
}
