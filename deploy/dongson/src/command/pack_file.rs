//! `dongson admin pack make`: a folder of rules or indicators as the one file that sensors read.
//!
//! The file is zstd over tar, entries in the order of their names, without times and owners: the same folder gives the same
//! bytes. It is read back as a sensor reads it before anybody signs it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use dongson_event::Timestamp;
use dongson_event::trust::{PackKind, PackManifest, Target};
use dongson_sensor::desired::HeldPack;
use dongson_sensor::local::{Content, Report};

use crate::output;

/// Deepest folder that is read.
const MAX_DEPTH: usize = 8;
/// A sensor unpacks it once: small is better than soon.
const ZSTD_LEVEL: i32 = 15;
/// Refusals that are named.
const TOLD: usize = 20;

/// Makes the pack `file` of `folder`, and says what a sensor finds in it.
pub(super) fn make(folder: &Path, file: &Path, kind: PackKind) -> Result<()> {
    let mut files = Vec::new();
    find(folder, kind, 0, &mut files)?;
    files.sort();
    if files.is_empty() {
        let wanted = if kind == PackKind::Rules { "*.yml and *.yaml" } else { "*.csv, *.txt and *.json" };
        bail!("{} has nothing for a pack of this kind: it takes {wanted}", folder.display());
    }
    let fresh = file.with_extension("tmp");
    let written = write(folder, &files, &fresh).with_context(|| format!("writing {}", fresh.display()));
    let read = written.and_then(|()| read_back(&fresh, kind));
    let report = match read {
        Ok(report) if report.refused == 0 => report,
        read => {
            fs::remove_file(&fresh).with_context(|| format!("removing {}", fresh.display()))?;
            let report = read?;
            bail!("{} of its rules or indicators are refused: {}", report.refused, report.reasons.join("; "));
        }
    };
    fs::rename(&fresh, file).with_context(|| format!("writing {}", file.display()))?;
    let bytes = fs::metadata(file).with_context(|| format!("reading {}", file.display()))?.len();
    Ok(output::line(&format!(
        "{}: {} files, {bytes} bytes: {} rules, {} correlations (which only the centre counts), {} indicators",
        file.display(),
        files.len(),
        report.rules,
        report.correlations,
        report.indicators,
    ))?)
}

/// The files below `folder` that a pack of this kind takes.
fn find(folder: &Path, kind: PackKind, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    if depth > MAX_DEPTH {
        bail!("{} is more than {MAX_DEPTH} folders deep", folder.display());
    }
    let ends: &[&str] = if kind == PackKind::Rules { &[".yml", ".yaml"] } else { &[".csv", ".txt", ".json"] };
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if path.is_dir() && !path.is_symlink() {
            find(&path, kind, depth + 1, files)?;
        } else if ends.iter().any(|end| name.ends_with(end)) && !name.contains(".test.") {
            files.push(path);
        }
    }
    Ok(())
}

fn write(folder: &Path, files: &[PathBuf], to: &Path) -> Result<()> {
    let packed = zstd::Encoder::new(File::create(to)?, ZSTD_LEVEL)?;
    let mut archive = tar::Builder::new(packed);
    for path in files {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path.strip_prefix(folder)?, &bytes[..])?;
    }
    let mut file = archive.into_inner()?.finish()?;
    file.flush()?;
    Ok(file.sync_all()?)
}

fn read_back(file: &Path, kind: PackKind) -> Result<Report> {
    let manifest = PackManifest {
        name: "pack".to_owned(),
        kind,
        version: 1,
        target: Target::All,
        sha256: String::new(),
        bytes: fs::metadata(file)?.len(),
        issued_at: Timestamp::default(),
        expires_at: None,
    };
    let mut report = Content::read(&[HeldPack { manifest, path: file.to_owned() }]).report;
    report.reasons.truncate(TOLD);
    Ok(report)
}
