//! The newest documents for this sensor, in `desired/` of its folder: `all.json`, `organization.json`, `sensor.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dongson_event::Timestamp;
use dongson_event::trust::{Configuration, Directive, Envelope, Target, Trust, TrustError};

use super::DesiredError;
use crate::ship::{Identity, write_whole};

/// What is kept.
#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
    directives: BTreeMap<Target, Directive>,
}

impl Kept {
    /// Reads what was kept. It was in force, so a root document that has ended since does not matter; what the present
    /// keys did not sign is left out and asked for again.
    pub(super) fn open(
        folder: &Path,
        identity: &Identity,
        trust: Option<&Trust>,
    ) -> Result<Self, DesiredError> {
        let folder = folder.join("desired");
        fs::create_dir_all(&folder).map_err(|error| DesiredError::Disk { path: folder.clone(), error })?;
        let mut kept = Self { folder, directives: BTreeMap::new() };
        let Some(trust) = trust else { return Ok(kept) };
        for name in ["all.json", "organization.json", "sensor.json"] {
            let path = kept.folder.join(name);
            let Ok(bytes) = fs::read(&path) else { continue };
            let read = Envelope::parse(&bytes).and_then(|envelope| {
                kept.verify(trust, &envelope, identity, Timestamp::from_nanos(i64::MIN))
            });
            match read {
                Ok(directive) => drop(kept.directives.insert(directive.target.clone(), directive)),
                Err(error) => tracing::warn!(?path, %error, "kept desired state is not taken any more"),
            }
        }
        Ok(kept)
    }

    fn verify(
        &self,
        trust: &Trust,
        envelope: &Envelope,
        identity: &Identity,
        now: Timestamp,
    ) -> Result<Directive, TrustError> {
        let newest = |target: &Target| self.directives.get(target).map_or(0, |held| held.version);
        Directive::verify(trust, envelope, (&identity.organization, &identity.sensor), newest, now)
    }

    /// Takes a document; true when it is newer than what was kept for its target.
    pub(super) fn take(
        &mut self,
        trust: &Trust,
        envelope: &Envelope,
        identity: &Identity,
        now: Timestamp,
    ) -> Result<bool, DesiredError> {
        let directive = self.verify(trust, envelope, identity, now)?;
        let held = self.directives.get(&directive.target);
        if let Some(held) = held.filter(|held| held.version == directive.version) {
            return if *held == directive {
                Ok(false)
            } else {
                let what = format!("another document for {}", directive.target);
                Err(TrustError::Older { what, present: held.version, given: directive.version }.into())
            };
        }
        let name = match directive.target {
            Target::All => "all.json",
            Target::Organization(_) => "organization.json",
            Target::Sensor(_) => "sensor.json",
        };
        let path = self.folder.join(name);
        write_whole(&path, envelope.to_json().as_bytes(), 0o600)
            .map_err(|error| DesiredError::Disk { path, error })?;
        self.directives.insert(directive.target.clone(), directive);
        Ok(true)
    }

    /// The sum of the versions, which goes up with each of them, and the settings of all documents, the narrower over the
    /// wider.
    pub(super) fn whole(&self) -> (u64, Configuration) {
        let version = self.directives.values().fold(0_u64, |sum, one| sum.saturating_add(one.version));
        // Targets are ordered from wide to narrow.
        let settings = self.directives.values().map(|one| one.configuration.clone());
        (version, settings.fold(Configuration::default(), |wider, narrower| narrower.over(wider)))
    }
}
