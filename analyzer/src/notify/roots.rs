//! The authorities that notifications trust: those of this machine, and those of files that the configuration names, for
//! a mail server or a webhook whose certificate comes from an authority of the administration's own.

use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::NotifyError;

/// Authorities besides those of this machine. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Roots(Arc<Vec<CertificateDer<'static>>>);

impl Roots {
    /// Reads files of certificates in PEM.
    ///
    /// # Errors
    /// `Authority` when a file cannot be read or holds no certificate.
    pub fn read(files: &[impl AsRef<Path>]) -> Result<Self, NotifyError> {
        let mut all = Vec::new();
        for file in files {
            let wrong = |problem: String| NotifyError::Authority { file: file.as_ref().to_owned(), problem };
            let before = all.len();
            for one in CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))? {
                all.push(one.map_err(|error| wrong(error.to_string()))?);
            }
            if all.len() == before {
                return Err(wrong("there is no certificate in it".to_owned()));
            }
        }
        Ok(Self(Arc::new(all)))
    }

    /// Those of the files.
    pub(super) fn own(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.0.iter()
    }

    /// All in DER: those of this machine as they are now, then those of the files.
    pub(super) fn all(&self) -> Vec<CertificateDer<'static>> {
        let mut all = rustls_native_certs::load_native_certs().certs;
        all.extend(self.own().cloned());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let told = || Roots::read(&[&file]).unwrap_err().to_string();
        assert!(told().contains("ca.pem"), "{}", told());
        std::fs::write(&file, "nothing").unwrap();
        assert!(told().contains("no certificate"), "{}", told());
        let none: [&Path; 0] = [];
        assert_eq!(Roots::read(&none).unwrap().own().count(), 0);
    }
}
