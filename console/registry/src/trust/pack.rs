//! Packs: their manifests, signed outside with the content key. The packs themselves lie in the collector's folder.

use dongson_event::Timestamp;
use dongson_event::trust::{Envelope, PackManifest};
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::{bump, root, stored};
use crate::database::{query, query_as, query_scalar};
use crate::{
    Change, Error, Millis, Registry, Result,
    audit::{self, Deed},
};

/// A pack that is offered to sensors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, FromRow)]
pub struct Pack {
    /// Its name.
    pub name: String,
    /// `intel` or `rules`.
    pub kind: String,
    /// Its version.
    pub version: i64,
    /// Whom it is for.
    pub target: String,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: i64,
    /// The signed manifest.
    #[serde(skip)]
    pub envelope: String,
    /// When it was published.
    pub published_at: Millis,
    /// Who published it.
    pub published_by: String,
}

impl Registry {
    /// Offers a pack to sensors in the place of the former version of its name. Its bytes must lie in the collector's
    /// folder before.
    pub async fn publish_pack(&self, change: &Change, envelope: &Envelope) -> Result<PackManifest> {
        let mut tx = self.write().await?;
        let trust = root::needed(&mut tx).await?;
        let manifest = PackManifest::verify(&trust, envelope, Timestamp::from_millis(change.at))?;
        let before: Option<i64> = query_scalar("SELECT version FROM pack WHERE name = $1")
            .bind(&manifest.name)
            .fetch_optional(&mut *tx)
            .await?;
        if before.is_some_and(|before| stored(manifest.version).is_ok_and(|given| given <= before)) {
            return Err(Error::Refused {
                what: "pack",
                reason: "has this version or a newer one already: versions only go up",
            });
        }
        query(
            "INSERT INTO pack VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, version = excluded.version,
                 target = excluded.target, sha256 = excluded.sha256, bytes = excluded.bytes,
                 envelope = excluded.envelope, published_at = excluded.published_at,
                 published_by = excluded.published_by",
        )
        .bind(&manifest.name)
        .bind(serde_json::to_value(manifest.kind)?.as_str().unwrap_or_default())
        .bind(stored(manifest.version)?)
        .bind(manifest.target.to_string())
        .bind(&manifest.sha256)
        .bind(stored(manifest.bytes)?)
        .bind(envelope.to_json())
        .bind(change.at)
        .bind(&change.who)
        .execute(&mut *tx)
        .await?;
        let deed = Deed {
            action: "publish",
            kind: "pack",
            object: &manifest.name,
            organization: None,
            before: before.map(|version| serde_json::json!({ "version": version })),
            after: Some(serde_json::to_value(&manifest)?),
        };
        audit::record(&mut tx, change, deed).await?;
        bump(&mut tx).await?;
        tx.commit().await?;
        Ok(manifest)
    }

    /// The packs by name.
    pub async fn packs(&self) -> Result<Vec<Pack>> {
        Ok(query_as("SELECT * FROM pack ORDER BY name LIMIT 1000").fetch_all(&self.readers).await?)
    }
}
