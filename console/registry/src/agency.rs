//! Agencies: the organizations whose networks are watched.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::database::{Connection, QueryBuilder, query, query_as};
use crate::{
    Change, Error, Millis, Registry, Result, Scope,
    audit::{self, Deed},
    error::{check_id, check_text},
};

/// An agency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct Organization {
    /// Short id: `organization.id` of its events, for example `so-yte`.
    pub id: String,
    /// Vietnamese name.
    pub name: String,
    /// English name.
    pub name_en: String,
    /// The agency above it.
    pub parent: Option<String>,
    /// Highest level (1 to 5) among its information systems.
    pub level: i64,
    /// When it was entered.
    pub created_at: Millis,
    /// For the optimistic check.
    pub version: i64,
}

/// What a person may write of an agency.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationEdit {
    /// Vietnamese name, at most 200 characters.
    pub name: String,
    /// English name, at most 200 characters.
    pub name_en: String,
    /// The agency above it.
    #[serde(default)]
    pub parent: Option<String>,
    /// Highest level (1 to 5) among its information systems.
    pub level: i64,
}

impl OrganizationEdit {
    fn check(&self) -> Result<()> {
        check_text("name", &self.name, 200)?;
        check_text("name_en", &self.name_en, 200)?;
        check_level(self.level)
    }
}

/// Refuses a level that is not 1 to 5.
pub(crate) fn check_level(level: i64) -> Result<()> {
    if (1..=5).contains(&level) {
        Ok(())
    } else {
        Err(Error::Invalid { field: "level", reason: "must be 1 to 5" })
    }
}

/// The agency, inside a transaction.
pub(crate) async fn fetch(tx: &mut Connection, id: &str) -> Result<Organization> {
    query_as("SELECT * FROM organization WHERE id = $1")
        .bind(id)
        .fetch_optional(tx)
        .await?
        .ok_or(Error::NotFound("organization"))
}

/// A name in use, or a parent that does not exist.
fn taken_or_orphan(error: sqlx::Error) -> Error {
    match Error::or_taken("organization")(error) {
        Error::Invalid { reason, .. } => Error::Invalid { field: "parent", reason },
        other => other,
    }
}

impl Registry {
    /// The agencies of a scope by Vietnamese name.
    pub async fn organizations(&self, scope: &Scope) -> Result<Vec<Organization>> {
        let mut query = QueryBuilder::new("SELECT * FROM organization WHERE 1 = 1");
        scope.restrict(&mut query, "id");
        query.push(" ORDER BY name, id LIMIT 5000");
        let mut found: Vec<Organization> = query.build_query_as().fetch_all(&self.readers).await?;
        for one in &mut found {
            one.hide_parent(scope);
        }
        Ok(found)
    }

    /// One agency, if it is in scope.
    pub async fn organization(&self, scope: &Scope, id: &str) -> Result<Organization> {
        let mut found = fetch(&mut *self.readers.acquire().await?, id).await?;
        scope.admit(&found.id, "organization")?;
        found.hide_parent(scope);
        Ok(found)
    }

    /// Enters an agency; `id` is for ever, because events carry it.
    pub async fn create_organization(
        &self,
        change: &Change,
        id: &str,
        edit: &OrganizationEdit,
    ) -> Result<Organization> {
        check_id("id", id)?;
        edit.check()?;
        let mut tx = self.write().await?;
        query("INSERT INTO organization VALUES ($1, $2, $3, $4, $5, $6, 1)")
            .bind(id)
            .bind(&edit.name)
            .bind(&edit.name_en)
            .bind(&edit.parent)
            .bind(edit.level)
            .bind(change.at)
            .execute(&mut *tx)
            .await
            .map_err(taken_or_orphan)?;
        let made = fetch(&mut tx, id).await?;
        let after = Some(serde_json::to_value(&made)?);
        let deed = Deed {
            action: "create",
            kind: "organization",
            object: id,
            organization: Some(id),
            before: None,
            after,
        };
        audit::record(&mut tx, change, deed).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Enters an agency unless it is there: for the files read at a start. Answers the stored one.
    pub async fn ensure_organization(
        &self,
        change: &Change,
        id: &str,
        edit: &OrganizationEdit,
    ) -> Result<Organization> {
        match self.create_organization(change, id, edit).await {
            Err(Error::Taken(_)) => self.organization(&Scope::All, id).await,
            made => made,
        }
    }

    /// Rewrites an agency; `version` is the one that the caller saw. A loop of parents is refused.
    pub async fn update_organization(
        &self,
        change: &Change,
        id: &str,
        version: i64,
        edit: &OrganizationEdit,
    ) -> Result<Organization> {
        edit.check()?;
        let mut tx = self.write().await?;
        let before = fetch(&mut tx, id).await?;
        Error::check_version("organization", version, before.version)?;
        refuse_loop(&mut tx, id, edit.parent.as_deref()).await?;
        query("UPDATE organization SET name = $2, name_en = $3, parent = $4, level = $5, version = version + 1 WHERE id = $1")
            .bind(id)
            .bind(&edit.name)
            .bind(&edit.name_en)
            .bind(&edit.parent)
            .bind(edit.level)
            .execute(&mut *tx)
            .await
            .map_err(taken_or_orphan)?;
        let after = fetch(&mut tx, id).await?;
        let deed = Deed {
            action: "update",
            kind: "organization",
            object: id,
            organization: Some(id),
            before: Some(serde_json::to_value(&before)?),
            after: Some(serde_json::to_value(&after)?),
        };
        audit::record(&mut tx, change, deed).await?;
        tx.commit().await?;
        Ok(after)
    }
}

impl Organization {
    /// A parent outside the scope does not exist for the caller.
    fn hide_parent(&mut self, scope: &Scope) {
        self.parent.take_if(|parent| !scope.allows(parent));
    }
}

/// Walks up from `parent`; the tree is a few levels deep, so thirty steps are a loop.
async fn refuse_loop(tx: &mut Connection, id: &str, parent: Option<&str>) -> Result<()> {
    let mut above = parent.map(str::to_owned);
    for _ in 0..30 {
        let Some(current) = above else { return Ok(()) };
        if current == id {
            break;
        }
        above = fetch(&mut *tx, &current).await?.parent;
    }
    Err(Error::Invalid { field: "parent", reason: "would make a loop" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{on_both, registry_for_test};

    fn edit(name: &str, parent: Option<&str>) -> OrganizationEdit {
        OrganizationEdit {
            name: name.into(),
            name_en: name.into(),
            parent: parent.map(str::to_owned),
            level: 2,
        }
    }

    async fn scope_loops_and_versions() {
        let registry = registry_for_test().await;
        let change = Change::service("test", 1);
        registry.create_organization(&change, "tinh", &edit("Tỉnh", None)).await.unwrap();
        registry.create_organization(&change, "so-yte", &edit("Sở Y tế", Some("tinh"))).await.unwrap();
        let twice = registry.create_organization(&change, "so-yte", &edit("Sở Y tế", None)).await;
        assert!(matches!(twice, Err(Error::Taken(_))));
        let orphan = registry.create_organization(&change, "x", &edit("X", Some("none"))).await;
        assert!(matches!(orphan, Err(Error::Invalid { field: "parent", .. })));
        let looped = registry.update_organization(&change, "tinh", 1, &edit("Tỉnh", Some("so-yte"))).await;
        assert!(matches!(looped, Err(Error::Invalid { field: "parent", .. })));
        let scope = Scope::Organizations(vec!["so-yte".into()]);
        let seen = registry.organizations(&scope).await.unwrap();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].parent, None, "a parent out of scope is hidden");
        assert!(matches!(registry.organization(&scope, "tinh").await, Err(Error::NotFound(_))));
    }

    on_both!(scope_loops_and_versions,);
}
