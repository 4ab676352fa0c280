//! The part of the registry: `registry/`, a file for each table.

use std::path::Path;

use anyhow::{Context as _, Result};
use dongson_registry::{Exported, Place, Registry};

/// Its folder in the backup.
const FOLDER: &str = "registry";

/// Writes it.
pub(super) async fn write(registry: &Registry, backup: &Path) -> Result<Exported> {
    let folder = backup.join(FOLDER);
    super::make(&folder)?;
    registry.export(&folder).await.context("writing the registry")
}

/// Restores it.
pub(super) async fn read(place: &Place, backup: &Path, exported: &Exported) -> Result<()> {
    let registry = Registry::restore(place, &backup.join(FOLDER), exported).await;
    let registry = registry.with_context(|| format!("restoring the registry into {place}"))?;
    // What was signed and chained is checked where it is now.
    let proof = registry.audit_verify().await?;
    registry.close().await;
    match proof.broken_at {
        None => Ok(()),
        Some(entry) => anyhow::bail!(
            "everything is restored as it was written, but the audit chain is broken at entry {entry}: it was when the backup was made"
        ),
    }
}
