//! What is in force, on trial or refused: `desired/applied.json` of the sensor's folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dongson_event::trust::{Configuration, TrustError};
use serde::{Deserialize, Serialize};

use super::super::DesiredError;
use crate::ship::write_whole;

/// Settings and their version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Numbered {
    pub(super) version: u64,
    pub(super) configuration: Configuration,
}

/// A version that is not tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refused {
    pub(super) version: u64,
    pub(super) reason: String,
}

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// The last settings that went through their trial.
    #[serde(default)]
    pub(super) good: Numbered,
    /// Those that are on trial. Found at a start, they are those under which the sensor ended.
    #[serde(default)]
    pub(super) trial: Option<Numbered>,
    /// The newest that were refused or taken back.
    #[serde(default)]
    pub(super) refused: Option<Refused>,
    #[serde(skip)]
    path: PathBuf,
}

impl Ledger {
    pub(super) fn open(folder: &Path) -> Result<Self, DesiredError> {
        let folder = folder.join("desired");
        fs::create_dir_all(&folder).map_err(|error| DesiredError::Disk { path: folder.clone(), error })?;
        let path = folder.join("applied.json");
        let read = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, ..Self::default() });
            }
            Err(error) => return Err(DesiredError::Disk { path, error }),
            Ok(bytes) => serde_json::from_slice::<Self>(&bytes),
        };
        match read {
            Ok(ledger) => Ok(Self { path, ..ledger }),
            Err(error) => {
                let error =
                    TrustError::Malformed { what: "the ledger of settings", reason: error.to_string() };
                Err(DesiredError::Spoilt { path, error })
            }
        }
    }

    pub(super) fn save(&self) -> Result<(), DesiredError> {
        let failed = |error| DesiredError::Disk { path: self.path.clone(), error };
        let text = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        write_whole(&self.path, &text, 0o600).map_err(failed)
    }
}
