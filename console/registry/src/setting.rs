//! Settings: named JSON values.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::database::{JsonText, query, query_as};
use crate::{Change, Error, Millis, Registry, Result, audit};

/// One named value.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema, sqlx::FromRow)]
pub struct Setting {
    /// Its name, for example `province.name`.
    pub key: String,
    /// Any JSON.
    #[sqlx(try_from = "JsonText")]
    #[schema(value_type = Object)]
    pub value: Value,
    /// When it was last written.
    pub updated_at: Millis,
    /// For the optimistic check.
    pub version: i64,
}

impl Registry {
    /// The value of `key`, if it was ever set.
    pub async fn setting(&self, key: &str) -> Result<Option<Setting>> {
        Ok(query_as("SELECT * FROM setting WHERE key = $1").bind(key).fetch_optional(&self.readers).await?)
    }

    /// All settings by name.
    pub async fn settings(&self) -> Result<Vec<Setting>> {
        Ok(query_as("SELECT * FROM setting ORDER BY key LIMIT 1000").fetch_all(&self.readers).await?)
    }

    /// Writes `key`; `version` is the one that the caller saw, 0 for a new key.
    pub async fn set_setting(
        &self,
        change: &Change,
        key: &str,
        value: &Value,
        version: i64,
    ) -> Result<Setting> {
        crate::error::check_id("key", key)?;
        let mut tx = self.write().await?;
        let before: Option<Setting> =
            query_as("SELECT * FROM setting WHERE key = $1").bind(key).fetch_optional(&mut *tx).await?;
        Error::check_version("setting", version, before.as_ref().map_or(0, |setting| setting.version))?;
        query(
            "INSERT INTO setting (key, value, updated_at, version) VALUES ($1, $2, $3, 1)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at, version = setting.version + 1",
        )
        .bind(key)
        .bind(value.to_string())
        .bind(change.at)
        .execute(&mut *tx)
        .await?;
        let deed = audit::Deed {
            action: "set",
            kind: "setting",
            object: key,
            organization: None,
            before: before.map(|setting| setting.value),
            after: Some(value.clone()),
        };
        audit::record(&mut tx, change, deed).await?;
        tx.commit().await?;
        Ok(Setting { key: key.to_owned(), value: value.clone(), updated_at: change.at, version: version + 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{on_both, registry_for_test};

    async fn the_second_writer_of_a_version_loses() {
        let registry = registry_for_test().await;
        let change = Change::service("test", 5);
        registry.set_setting(&change, "a", &1.into(), 0).await.unwrap();
        registry.set_setting(&change, "a", &2.into(), 1).await.unwrap();
        assert!(matches!(
            registry.set_setting(&change, "a", &3.into(), 1).await,
            Err(Error::Stale { now: 2, .. })
        ));
        assert_eq!(registry.setting("a").await.unwrap().unwrap().value, 2);
    }

    on_both!(the_second_writer_of_a_version_loses,);
}
