//! `dongson admin backup` and `dongson admin restore`: what is kept, as a folder, and back.
//!
//! A backup is a folder with a part for each place where things are kept (a file here, a subfolder there) and `manifest.json`
//! ([`manifest`]), which is written last: a folder without it was not finished. Each part says in the manifest what it wrote,
//! with counts and hashes, and is checked against that when it is restored. Nothing is restored into a place that holds
//! something already.

mod manifest;
mod registry;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use self::manifest::Manifest;
use super::admin::Place;

/// Writes a backup.
#[derive(Debug, Args)]
#[command(
    after_help = "example: dongson admin backup --data /var/lib/dongson /backup/2026-11-24\nPeople may go on working meanwhile: it is of one moment. It holds the hashes of passwords and the key that sensors trust: only its owner can read it; keep it so.\nIn it: the registry (people, agencies, sources, triage, incidents, audit)."
)]
pub(crate) struct Backup {
    /// The folder to make; it must not be there, or be empty.
    folder: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Restores a backup.
#[derive(Debug, Args)]
#[command(
    after_help = "example: dongson admin restore --data /var/lib/dongson /backup/2026-11-24\nInto a new data folder, or with --config into the empty database of a PostgreSQL server (`registry.url`): this is also the way from one machine to a cluster. A backup of an older version is brought up to date."
)]
pub(crate) struct Restore {
    /// The folder that `dongson admin backup` made.
    folder: PathBuf,
    #[command(flatten)]
    place: Place,
}

impl Backup {
    pub(super) async fn execute(self) -> Result<()> {
        let opened = self.place.open().await?;
        make(&self.folder)?;
        let registry = registry::write(&opened, &self.folder).await?;
        opened.close().await;
        let rows = rows(&registry);
        let manifest = Manifest::new(registry);
        manifest.write(&self.folder)?;
        self.place.print(&[("backup", &self.folder.display().to_string()), ("registry", &rows)])
    }
}

impl Restore {
    pub(super) async fn execute(self) -> Result<()> {
        let manifest = Manifest::read(&self.folder)?;
        self.place.make_folder()?;
        let into = self.place.registry()?;
        registry::read(&into, &self.folder, &manifest.registry).await?;
        let rows = rows(&manifest.registry);
        self.place.print(&[("restored", &into.to_string()), ("registry", &rows)])
    }
}

/// `rows in tables`, for people.
fn rows(registry: &dongson_registry::Exported) -> String {
    let rows: u64 = registry.tables.iter().map(|table| table.rows).sum();
    format!("{rows} rows in {} tables", registry.tables.len())
}

/// Makes the folder of a backup, readable by its owner only.
fn make(folder: &Path) -> Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("making {}", folder.display()))?;
    let mut inside = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    if inside.next().is_some() {
        bail!("{} is not empty: a backup is made into a folder of its own", folder.display());
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
        .with_context(|| format!("closing {} to other users", folder.display()))
}
