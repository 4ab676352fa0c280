//! `manifest.json`: what a backup holds.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use dongson_registry::Exported;
use serde::{Deserialize, Serialize};

/// The name of the file.
const NAME: &str = "manifest.json";

/// What the folder looks like; a part that is added makes it no other, one that changes does.
const FORMAT: u32 = 1;

/// What a backup holds. A further part is a further field with `#[serde(default)]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: u32,
    /// The version of the program that wrote it.
    version: String,
    /// When it was finished, RFC 3339.
    made_at: String,
    /// The files in `registry/`.
    pub(super) registry: Exported,
}

impl Manifest {
    /// Of now.
    pub(super) fn new(registry: Exported) -> Self {
        let made_at = jiff::Timestamp::now().to_string();
        Self { format: FORMAT, version: env!("CARGO_PKG_VERSION").to_owned(), made_at, registry }
    }

    /// Writes it and makes it last; with it the backup is finished.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(NAME);
        let write = || -> Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            // The names of the files, too.
            Ok(File::open(folder)?.sync_all()?)
        };
        write().with_context(|| format!("writing {}", path.display()))
    }

    /// The manifest of a folder.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        if !path.exists() {
            bail!("{} has no {NAME}: it is no backup, or one that was not finished", folder.display());
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        // First the format alone: another one may have other fields.
        let value: serde_json::Value =
            serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
        let format = value.get("format").and_then(serde_json::Value::as_u64);
        if format != Some(u64::from(FORMAT)) {
            let format = format.map_or("none".to_owned(), |format| format.to_string());
            bail!("{} has format {format}, this version reads {FORMAT}", path.display());
        }
        serde_json::from_value(value).with_context(|| format!("{} is no manifest", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_finished_manifest_is_no_backup() {
        let folder = tempfile::tempdir().unwrap();
        let said = |folder: &Path| format!("{:#}", Manifest::read(folder).unwrap_err());
        assert!(said(folder.path()).contains("not finished"));
        let manifest = Manifest::new(Exported { schema: vec![1], tables: Vec::new() });
        manifest.write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), manifest);
        assert!(manifest.write(folder.path()).is_err(), "a manifest is written once");
        let path = folder.path().join(NAME);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"format\": 1", "\"format\": 7")).unwrap();
        assert!(said(folder.path()).contains("has format 7, this version reads 1"));
        std::fs::write(&path, "{").unwrap();
        assert!(said(folder.path()).contains("is no JSON"));
    }
}
