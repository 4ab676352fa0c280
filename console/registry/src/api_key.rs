//! API keys: what a log shipper shows when it sends events over HTTPS.

use serde::Serialize;
use utoipa::ToSchema;

use crate::database::{Flag, QueryBuilder, query, query_as};
use crate::{
    Change, Error, Millis, Registry, Result, Scope, agency,
    audit::{self, Deed},
    error::check_id,
    new_id,
    secret::{hash_secret, random_secret},
};

/// A key as the console lists it. The secret itself is not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct ApiKey {
    /// Id: the principal in the identity of events sent with it.
    pub id: String,
    /// The agency of the events.
    pub organization: String,
    /// The name of the source: `observer.name`.
    pub source_name: String,
    /// Whether what it sends belongs to a drill session.
    #[sqlx(try_from = "Flag")]
    pub drill: bool,
    /// When it was made.
    pub created_at: Millis,
    /// Who made it.
    pub created_by: String,
    /// Since when it is refused.
    pub revoked_at: Option<Millis>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Millis>,
}

/// A new key and its secret, which is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NewApiKey {
    /// The stored part.
    pub key: ApiKey,
    /// 64 hexadecimal digits.
    pub secret: String,
}

impl Registry {
    /// Makes a key for a source of an agency. A key with `drill` is for the drill's generator.
    pub async fn create_api_key(
        &self,
        change: &Change,
        organization: &str,
        source_name: &str,
        drill: bool,
    ) -> Result<NewApiKey> {
        check_id("source_name", source_name)?;
        let secret = random_secret();
        let mut tx = self.write().await?;
        agency::fetch(&mut tx, organization).await.map_err(Error::or_no_agency)?;
        let key = ApiKey {
            id: new_id(),
            organization: organization.to_owned(),
            source_name: source_name.to_owned(),
            drill,
            created_at: change.at,
            created_by: change.who.clone(),
            revoked_at: None,
            last_used_at: None,
        };
        query("INSERT INTO api_key (id, hash, organization, source_name, drill, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(&key.id)
            .bind(hash_secret(&secret))
            .bind(organization)
            .bind(source_name)
            .bind(i64::from(drill))
            .bind(key.created_at)
            .bind(&key.created_by)
            .execute(&mut *tx)
            .await?;
        let deed = Deed {
            action: "create",
            kind: "api_key",
            object: &key.id,
            organization: Some(organization),
            before: None,
            after: Some(serde_json::to_value(&key)?),
        };
        audit::record(&mut tx, change, deed).await?;
        tx.commit().await?;
        Ok(NewApiKey { key, secret })
    }

    /// The keys of a scope, newest first, at most 1000.
    pub async fn api_keys(&self, scope: &Scope) -> Result<Vec<ApiKey>> {
        let mut query = QueryBuilder::new("SELECT * FROM api_key WHERE 1 = 1");
        scope.restrict(&mut query, "organization");
        query.push(" ORDER BY created_at DESC, id DESC LIMIT 1000");
        Ok(query.build_query_as().fetch_all(&self.readers).await?)
    }

    /// The key with this secret, unless it is unknown or revoked.
    pub async fn api_key_by_secret(&self, secret: &str) -> Result<Option<ApiKey>> {
        let found = query_as("SELECT * FROM api_key WHERE hash = $1 AND revoked_at IS NULL")
            .bind(hash_secret(secret))
            .fetch_optional(&self.readers)
            .await?;
        Ok(found)
    }

    /// Notes the use of a key, at most once a minute.
    pub async fn api_key_used(&self, id: &str, at: Millis) -> Result<()> {
        query(
            "UPDATE api_key SET last_used_at = $2 WHERE id = $1 AND COALESCE(last_used_at, 0) < $2 - 60000",
        )
        .bind(id)
        .bind(at)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Refuses a key from now on.
    pub async fn revoke_api_key(&self, scope: &Scope, change: &Change, id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let key: ApiKey = query_as("SELECT * FROM api_key WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?
            .filter(|key: &ApiKey| scope.allows(&key.organization))
            .ok_or(Error::NotFound("api key"))?;
        if key.revoked_at.is_some() {
            return Err(Error::Refused { what: "api key", reason: "is revoked already" });
        }
        query("UPDATE api_key SET revoked_at = $2 WHERE id = $1")
            .bind(id)
            .bind(change.at)
            .execute(&mut *tx)
            .await?;
        let deed = Deed {
            action: "revoke",
            kind: "api_key",
            object: id,
            organization: Some(&key.organization),
            before: None,
            after: None,
        };
        audit::record(&mut tx, change, deed).await?;
        tx.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OrganizationEdit;
    use crate::support::{on_both, registry_for_test};

    async fn a_revoked_key_opens_nothing() {
        let registry = registry_for_test().await;
        let change = Change::service("test", 1_000_000);
        let edit = OrganizationEdit { name: "A".into(), name_en: "A".into(), parent: None, level: 1 };
        registry.create_organization(&change, "a", &edit).await.unwrap();
        let made = registry.create_api_key(&change, "a", "web-01", false).await.unwrap();
        assert_eq!(registry.api_key_by_secret(&made.secret).await.unwrap().unwrap().id, made.key.id);
        assert_eq!(registry.api_key_by_secret("guess").await.unwrap(), None);
        registry.api_key_used(&made.key.id, 2_000_000).await.unwrap();
        let other = Scope::Organizations(vec!["b".into()]);
        assert!(matches!(
            registry.revoke_api_key(&other, &change, &made.key.id).await,
            Err(Error::NotFound(_))
        ));
        registry.revoke_api_key(&Scope::All, &change, &made.key.id).await.unwrap();
        assert_eq!(registry.api_key_by_secret(&made.secret).await.unwrap(), None);
        assert_eq!(registry.api_keys(&Scope::All).await.unwrap()[0].last_used_at, Some(2_000_000));
    }

    on_both!(a_revoked_key_opens_nothing,);
}
