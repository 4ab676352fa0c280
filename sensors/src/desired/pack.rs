//! Packs on disk, in `packs/` of the sensor's folder: `NAME.json` (the signed manifest) beside `NAME-VERSION` (the bytes).
//!
//! A pack is fetched in parts into `NAME.part`; a part that broke off is gone on with. Only a pack whose length and SHA-256
//! are those of its manifest gets its name, and only then the former version goes.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use dongson_event::Timestamp;
use dongson_event::trust::{Envelope, PackManifest, Trust, TrustError};
use sha2::{Digest as _, Sha256};

use super::DesiredError;
use crate::ship::{Identity, write_whole};

/// Most bytes of all packs together: 1 GiB.
pub(super) const MAX_BYTES: u64 = 1 << 30;

/// A pack that lies whole on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldPack {
    /// What it is.
    pub manifest: PackManifest,
    /// Where it lies.
    pub path: PathBuf,
}

/// Where the bytes of a pack come from: the pack's SHA-256, and the offset to go on at; answers a part, never empty.
pub(super) type Fetch<'f> = dyn FnMut(&str, u64) -> Result<Vec<u8>, DesiredError> + 'f;

/// The packs of a sensor.
#[derive(Debug)]
pub(super) struct Packs {
    folder: PathBuf,
    held: BTreeMap<String, HeldPack>,
}

impl Packs {
    /// Reads what was kept: packs whose manifest the present keys signed, and whose bytes are there.
    pub(super) fn open(folder: &Path, trust: Option<&Trust>) -> Result<Self, DesiredError> {
        let folder = folder.join("packs");
        let failed = |error| DesiredError::Disk { path: folder.clone(), error };
        fs::create_dir_all(&folder).map_err(failed)?;
        let mut held = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match kept(&folder, &path, trust) {
                Ok(Some(pack)) => drop(held.insert(pack.manifest.name.clone(), pack)),
                Ok(None) => {}
                Err(error) => tracing::warn!(?path, %error, "a kept pack is not taken any more"),
            }
        }
        Ok(Self { folder, held })
    }

    /// The packs, by name.
    pub(super) fn held(&self) -> Vec<HeldPack> {
        self.held.values().cloned().collect()
    }

    /// Takes a manifest and fetches its pack where it is newer than what is held; true when there is a new pack.
    pub(super) fn take(
        &mut self,
        trust: &Trust,
        envelope: &Envelope,
        identity: &Identity,
        now: Timestamp,
        fetch: &mut Fetch<'_>,
    ) -> Result<bool, DesiredError> {
        let manifest = PackManifest::verify(trust, envelope, now)?;
        if !manifest.target.covers(&identity.organization, &identity.sensor) {
            return Err(TrustError::NotForUs(manifest.target.to_string()).into());
        }
        let present = self.held.get(&manifest.name).map_or(0, |held| held.manifest.version);
        if manifest.version == present {
            return Ok(false);
        }
        if manifest.version < present {
            let what = format!("pack {:?}", manifest.name);
            return Err(TrustError::Older { what, present, given: manifest.version }.into());
        }
        let others = self.held.values().filter(|held| held.manifest.name != manifest.name);
        let together: u64 = others.map(|held| held.manifest.bytes).sum();
        if together.saturating_add(manifest.bytes) > MAX_BYTES {
            let reason = format!("pack {:?} does not fit: all packs together may have 1 GiB", manifest.name);
            return Err(TrustError::Malformed { what: "the manifest of a pack", reason }.into());
        }
        let path = self.fetch(&manifest, fetch)?;
        let note = self.folder.join(format!("{}.json", manifest.name));
        write_whole(&note, envelope.to_json().as_bytes(), 0o600)
            .map_err(|error| DesiredError::Disk { path: note, error })?;
        let name = manifest.name.clone();
        if let Some(former) = self.held.insert(name, HeldPack { manifest, path })
            && let Err(error) = fs::remove_file(&former.path)
        {
            tracing::warn!(path = ?former.path, %error, "a former pack was left");
        }
        Ok(true)
    }

    /// Fetches the bytes, going on where a former try ended.
    fn fetch(&self, manifest: &PackManifest, fetch: &mut Fetch<'_>) -> Result<PathBuf, DesiredError> {
        let part = self.folder.join(format!("{}.part", manifest.sha256));
        let failed = |error| DesiredError::Disk { path: part.clone(), error };
        self.tidy(&part).map_err(failed)?;
        let mut file = OpenOptions::new().read(true).create(true).append(true).open(&part).map_err(failed)?;
        let mut length = file.metadata().map_err(failed)?.len();
        while length < manifest.bytes {
            let bytes = fetch(&manifest.sha256, length)?;
            let more = bytes.len() as u64;
            if more == 0 || more > manifest.bytes - length {
                return Err(self.spoilt(&part, manifest, "has another length than its manifest says"));
            }
            file.write_all(&bytes).map_err(failed)?;
            length += more;
        }
        if length != manifest.bytes || sha256(&mut file).map_err(failed)? != manifest.sha256 {
            return Err(self.spoilt(&part, manifest, "has another SHA-256 than its manifest says"));
        }
        file.sync_all().map_err(failed)?;
        let path = bytes_path(&self.folder, manifest);
        fs::rename(&part, &path).map_err(failed)?;
        Ok(path)
    }

    /// Throws a part away that can never become its pack.
    fn spoilt(&self, part: &Path, manifest: &PackManifest, reason: &str) -> DesiredError {
        if let Err(error) = fs::remove_file(part) {
            tracing::warn!(folder = ?self.folder, %error, "a spoilt part of a pack was left");
        }
        let reason = format!("pack {:?} {} {reason}", manifest.name, manifest.version);
        TrustError::Malformed { what: "a pack", reason }.into()
    }

    /// Removes the parts of other packs: one is fetched at a time.
    fn tidy(&self, present: &Path) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path != present && path.extension().is_some_and(|extension| extension == "part") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

fn bytes_path(folder: &Path, manifest: &PackManifest) -> PathBuf {
    folder.join(format!("{}-{}", manifest.name, manifest.version))
}

/// The pack of a manifest on disk; `None` without its bytes, or when nothing is trusted yet.
fn kept(folder: &Path, note: &Path, trust: Option<&Trust>) -> Result<Option<HeldPack>, DesiredError> {
    let disk = |error| DesiredError::Disk { path: note.to_owned(), error };
    let Some(trust) = trust else { return Ok(None) };
    let envelope = Envelope::parse(&fs::read(note).map_err(disk)?)?;
    let manifest = PackManifest::verify(trust, &envelope, Timestamp::from_nanos(i64::MIN))?;
    let path = bytes_path(folder, &manifest);
    let whole = fs::metadata(&path).is_ok_and(|there| there.len() == manifest.bytes);
    Ok(whole.then_some(HeldPack { manifest, path }))
}

fn sha256(file: &mut File) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 64 << 10]);
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(hex::encode(hasher.finalize()));
        };
        hasher.update(bytes);
    }
}
