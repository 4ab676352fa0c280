//! The root document that this sensor trusts: `trust.json` beside the identity.
//!
//! The first one comes over the connection on which the sensor enrolled, or over the first one to its own collector after
//! that where the centre had none then; both are known by the authority that the token named. Each later one must be signed
//! as the one before demands.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dongson_event::trust::{Envelope, Trust, TrustError};

use super::DesiredError;
use crate::ship::write_whole;

fn path(folder: &Path) -> PathBuf {
    folder.join("trust.json")
}

/// The trust that `folder` keeps, if any.
pub(crate) fn load(folder: &Path) -> Result<Option<Trust>, DesiredError> {
    let path = path(folder);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DesiredError::Disk { path, error }),
        Ok(bytes) => bytes,
    };
    let trust = Envelope::parse(&bytes).and_then(|envelope| Trust::begin(&envelope));
    trust.map(Some).map_err(|error| DesiredError::Spoilt { path, error })
}

/// Goes through root documents in their order and keeps the newest that is taken; those up to the present one are passed
/// over. After an error the documents before it stay in force.
pub fn take_roots(folder: &Path, roots: &[Envelope]) -> Result<(), DesiredError> {
    let mut trust = load(folder)?;
    for envelope in roots {
        let version = dongson_event::trust::Root::read(envelope)?.version;
        match &mut trust {
            Some(held) if version <= held.root().version => continue,
            Some(held) => held.rotate(envelope)?,
            None => trust = Some(first(envelope)?),
        }
        let path = path(folder);
        write_whole(&path, envelope.to_json().as_bytes(), 0o600)
            .map_err(|error| DesiredError::Disk { path, error })?;
    }
    Ok(())
}

fn first(envelope: &Envelope) -> Result<Trust, TrustError> {
    let trust = Trust::begin(envelope)?;
    tracing::info!(version = trust.root().version, "the centre's root document is trusted from now on");
    Ok(trust)
}
