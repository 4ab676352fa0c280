//! `dongson admin pack`: content for sensors, signed with the content key and offered by the collector.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Subcommand, ValueEnum};
use dongson_event::Timestamp;
use dongson_event::trust::{Envelope, PackKind, PackManifest, Purpose, Target};
use dongson_registry::{Change, now};
use sha2::{Digest as _, Sha256};

use super::admin::Place;
use super::key_file;
use crate::output::{self, Format};

const DAY: Duration = Duration::from_hours(24);

/// What a pack holds.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Holds {
    /// Indicators.
    Intel,
    /// Rules.
    Rules,
}

impl From<Holds> for PackKind {
    fn from(kind: Holds) -> Self {
        match kind {
            Holds::Intel => Self::Intel,
            Holds::Rules => Self::Rules,
        }
    }
}

/// What to do with packs.
#[derive(Debug, Subcommand)]
pub(crate) enum PackCommand {
    /// Makes the file of a pack from a folder of Sigma rules or of lists of indicators, and reads it back.
    #[command(after_help = "example: dongson admin pack make indicators/ provincial.pack --kind intel")]
    Make {
        /// The folder: of rules its *.yml and *.yaml; of indicators its *.csv, *.txt and *.json, and allow*.txt for what is
        /// never one.
        folder: PathBuf,
        /// The pack to write.
        file: PathBuf,
        /// What it holds.
        #[arg(long, value_enum)]
        kind: Holds,
    },
    /// Writes the signed manifest of a pack; needs neither network nor data folder.
    #[command(
        after_help = "example: dongson admin pack sign provincial.pack --name provincial --kind intel --version 7 --key content.key manifest.json"
    )]
    Sign {
        /// The pack.
        file: PathBuf,
        /// The manifest to write.
        manifest: PathBuf,
        /// Its name: 1 to 64 of a-z, 0-9, -, _ and .
        #[arg(long)]
        name: String,
        /// What it holds.
        #[arg(long, value_enum)]
        kind: Holds,
        /// Its version: higher than every one before.
        #[arg(long)]
        version: u64,
        /// Whom it is for: all, organization:ID or sensor:ID.
        #[arg(long, default_value = "all")]
        target: String,
        /// Days until its content is too old to be used; without it, never.
        #[arg(long)]
        days: Option<u32>,
        /// The content key.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Offers a pack to the sensors that it is for.
    #[command(
        after_help = "example: dongson admin pack publish --data /var/lib/dongson provincial.pack manifest.json"
    )]
    Publish {
        /// The pack.
        file: PathBuf,
        /// Its signed manifest.
        manifest: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Lists the packs that are offered.
    #[command(after_help = "example: dongson admin pack list --data /var/lib/dongson")]
    List {
        #[command(flatten)]
        place: Place,
    },
}

impl PackCommand {
    pub(super) async fn execute(self) -> Result<()> {
        match self {
            Self::Make { folder, file, kind } => super::pack_file::make(&folder, &file, kind.into()),
            Self::Sign { file, manifest, name, kind, version, target, days, key } => {
                let (sha256, bytes) = measure(&file)?;
                let at = Timestamp::from_millis(now());
                let target: Target = target.parse()?;
                let pack = PackManifest {
                    name,
                    kind: kind.into(),
                    version,
                    target,
                    sha256,
                    bytes,
                    issued_at: at,
                    expires_at: days.map(|days| at.plus(DAY * days)),
                };
                pack.check()?;
                let envelope = Envelope::sign_json(Purpose::Content, &pack, &key_file::read(&key)?)?;
                fs::write(&manifest, envelope.to_json() + "\n")
                    .with_context(|| format!("writing {}", manifest.display()))?;
                Ok(output::line(&format!(
                    "{} {}: {} bytes, SHA-256 {}",
                    pack.name, version, bytes, pack.sha256
                ))?)
            }
            Self::Publish { file, manifest, place } => publish(&place, &file, &manifest).await,
            Self::List { place } => list(&place).await,
        }
    }
}

/// SHA-256 in hexadecimal, and length.
fn measure(file: &Path) -> Result<(String, u64)> {
    let failed = || format!("reading {}", file.display());
    let mut opened = File::open(file).with_context(failed)?;
    let mut hasher = Hasher(Sha256::new());
    let bytes = io::copy(&mut opened, &mut hasher).with_context(failed)?;
    Ok((hex::encode(hasher.0.finalize()), bytes))
}

struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn publish(place: &Place, file: &Path, manifest: &Path) -> Result<()> {
    let registry = place.open().await?;
    let text = fs::read(manifest).with_context(|| format!("reading {}", manifest.display()))?;
    let envelope = Envelope::parse(&text).with_context(|| format!("{}", manifest.display()))?;
    let claimed: PackManifest = serde_json::from_slice(&envelope.payload)
        .with_context(|| format!("{} holds no manifest of a pack", manifest.display()))?;
    claimed.check()?;
    let (sha256, bytes) = measure(file)?;
    if sha256 != claimed.sha256 || bytes != claimed.bytes {
        bail!(
            "{} is not the pack that {} was signed for: SHA-256 {sha256}",
            file.display(),
            manifest.display()
        );
    }
    // The bytes lie there before anybody is told of them.
    let folder = place.collector().join("packs");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let (fresh, whole) = (folder.join(format!("{sha256}.tmp")), folder.join(&sha256));
    fs::copy(file, &fresh)
        .and_then(|_| File::open(&fresh)?.sync_all())
        .and_then(|()| fs::rename(&fresh, &whole))
        .with_context(|| format!("copying the pack to {}", folder.display()))?;
    let pack = registry.publish_pack(&Change::service("admin", now()), &envelope).await?;
    place.print(&[
        ("pack", &pack.name),
        ("version", &pack.version.to_string()),
        ("for", &pack.target.to_string()),
    ])
}

async fn list(place: &Place) -> Result<()> {
    let packs = place.open().await?.packs().await?;
    if place.format() == Format::Json {
        return output::json(&packs);
    }
    let rows: Vec<Vec<String>> = packs
        .into_iter()
        .map(|pack| {
            vec![
                pack.name,
                pack.kind,
                pack.version.to_string(),
                pack.target,
                pack.bytes.to_string(),
                pack.sha256,
            ]
        })
        .collect();
    Ok(output::table(&["name", "kind", "version", "for", "bytes", "sha256"], &rows)?)
}
