//! What enrolment leaves on disk: the collector's address, the key, the certificate and the authority.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use serde::{Deserialize, Serialize};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::write_whole;

/// Why there is no usable identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The sensor was never enrolled.
    #[error("{0:?} holds no identity: enrol first with `dongson-sensor enrol URL TOKEN --data FOLDER`")]
    NotEnrolled(PathBuf),
    /// The disk refused.
    #[error("{path:?}: {error}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file holds something else than it should.
    #[error("{path:?} {problem}; enrol again with a new token")]
    Spoilt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The key for secrets is not 32 bytes.
    #[error("{0:?} is not 32 bytes: remove it, and a new key is made")]
    SpoiltSecret(PathBuf),
}

/// Who this sensor is, and to whom it sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The collector: `https://host:port`, without a closing slash.
    pub url: String,
    /// The sensor's id, as in its certificate.
    pub sensor: String,
    /// Its agency.
    pub organization: String,
    /// The node that it watches.
    pub node: String,
    /// Certificate chain in PEM, its own first.
    pub certificate: String,
    /// The authority's certificate in PEM: the only root that is trusted.
    pub authority: String,
    /// Name of the file in the same folder that holds the private key of the certificate.
    #[serde(default = "first_key")]
    pub key: String,
}

const FILE: &str = "identity.json";
const KEY: &str = "key.pem";

/// Name of the file of the first key, which enrolment makes.
pub(super) fn first_key() -> String {
    KEY.to_owned()
}

impl Identity {
    /// Reads the identity of `folder`.
    pub fn load(folder: &Path) -> Result<Self, IdentityError> {
        let path = folder.join(FILE);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(IdentityError::NotEnrolled(folder.to_owned()));
            }
            Err(error) => return Err(IdentityError::Disk { path, error }),
            Ok(bytes) => bytes,
        };
        serde_json::from_slice(&bytes)
            .map_err(|error| IdentityError::Spoilt { path, problem: format!("is not an identity: {error}") })
    }

    /// Writes the identity; the key is written by `save_key` before.
    pub fn save(&self, folder: &Path) -> Result<(), IdentityError> {
        let path = folder.join(FILE);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| IdentityError::Spoilt { path: path.clone(), problem: error.to_string() })?;
        write_whole(&path, &text, 0o600).map_err(|error| IdentityError::Disk { path, error })
    }

    /// TLS as this sensor: its certificate shown, only the authority's servers trusted.
    pub fn tls(&self, folder: &Path) -> Result<TlsConfig, IdentityError> {
        let path = folder.join(&self.key);
        let spoilt =
            |problem: &str| IdentityError::Spoilt { path: path.clone(), problem: problem.to_owned() };
        let key = fs::read(&path).map_err(|error| IdentityError::Disk { path: path.clone(), error })?;
        let key = PrivateKey::from_pem(&key).map_err(|_| spoilt("is not a private key"))?;
        let chain = certificates(&self.certificate).ok_or_else(|| spoilt("belongs to no certificate"))?;
        let roots = certificates(&self.authority).ok_or_else(|| spoilt("belongs to no authority"))?;
        Ok(TlsConfig::builder()
            .client_cert(Some(ClientCert::new_with_certs(&chain, key)))
            .root_certs(RootCerts::new_with_certs(&roots))
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build())
    }
}

/// Writes a private key, readable by its owner only.
pub(super) fn save_key(folder: &Path, name: &str, pem: &str) -> Result<(), IdentityError> {
    let path = folder.join(name);
    write_whole(&path, pem.as_bytes(), 0o600).map_err(|error| IdentityError::Disk { path, error })
}

/// The certificates of a PEM text; `None` when there is none.
pub(super) fn certificates(pem: &str) -> Option<Vec<Certificate<'static>>> {
    let found: Vec<_> = parse_pem(pem.as_bytes())
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    (!found.is_empty()).then_some(found)
}

/// The random key of `folder` under which passwords, cookies and tokens are hashed; made at the first call and kept,
/// so that reuse of a secret is seen across restarts.
pub fn secret_key(folder: &Path) -> Result<[u8; 32], IdentityError> {
    let path = folder.join("secret.key");
    let failed = |error| IdentityError::Disk { path: path.clone(), error };
    match fs::read(&path) {
        Ok(bytes) => bytes.try_into().map_err(|_| IdentityError::SpoiltSecret(path.clone())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key: [u8; 32] = rand::random();
            write_whole(&path, &key, 0o600).map_err(failed)?;
            Ok(key)
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_enrolment_it_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = Identity::load(folder.path()).unwrap_err();
        assert!(error.to_string().contains("dongson-sensor enrol"));
    }

    #[test]
    fn the_key_for_secrets_is_kept_and_closed_to_others() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let key = secret_key(folder.path()).unwrap();
        assert_ne!(key, [0; 32]);
        assert_eq!(secret_key(folder.path()).unwrap(), key);
        let path = folder.path().join("secret.key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, b"short").unwrap();
        assert!(matches!(secret_key(folder.path()), Err(IdentityError::SpoiltSecret(_))));
    }

    #[test]
    fn a_spoilt_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "{}").unwrap();
        assert!(matches!(Identity::load(folder.path()), Err(IdentityError::Spoilt { .. })));
    }
}
