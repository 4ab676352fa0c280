//! The certificate of the HTTPS listener: the administrator's own, or one that is made at the first start.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::Config;

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{path}: {cause}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file holds no certificate or key in PEM.
    #[error("{path}: not a PEM file of the expected kind: {cause}")]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: rustls_pki_types::pem::Error,
    },
    /// A new certificate cannot be made, for example because a name is not one.
    #[error("making a certificate for {names:?}: {cause}")]
    Make {
        /// The names that it was to carry.
        names: Vec<String>,
        /// What is wrong.
        cause: rcgen::Error,
    },
    /// Certificate and key do not fit or are not accepted.
    #[error("the certificate is not usable: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The server's side of TLS 1.2 and 1.3, with the files named in `config` or those made in `folder`.
pub(crate) fn server_config(config: &Config, folder: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let (chain, key) = match &config.certificate {
        Some(files) => (files.chain.clone(), files.key.clone()),
        None => made(&config.names, folder)?,
    };
    let pem = |path: &Path| {
        let path = path.to_owned();
        move |cause| TlsError::Pem { path, cause }
    };
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(&chain).map_err(pem(&chain))?.collect();
    let key_der = PrivateKeyDer::from_pem_file(&key).map_err(pem(&key))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates.map_err(pem(&chain))?, key_der)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

/// The files of our own certificate in `folder`, made if they are missing. It is valid for ten years: browsers ask once.
fn made(names: &[String], folder: &Path) -> Result<(PathBuf, PathBuf), TlsError> {
    let (chain, key) = (folder.join("console.crt.pem"), folder.join("console.key.pem"));
    // An empty file is what a power cut left of one that was not synced.
    let whole = |path: &Path| fs::metadata(path).is_ok_and(|found| found.len() > 0);
    if whole(&chain) && whole(&key) {
        return Ok((chain, key));
    }
    let file = |path: &Path| {
        let path = path.to_owned();
        move |cause| TlsError::File { path, cause }
    };
    fs::create_dir_all(folder).map_err(file(folder))?;
    let failed = |cause| TlsError::Make { names: names.to_vec(), cause };
    let mut params = CertificateParams::new(names.to_vec()).map_err(failed)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, "Dongson console");
    params.distinguished_name = subject;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let year = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year();
    params.not_before = rcgen::date_time_ymd(i32::from(year) - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(i32::from(year) + 10, 1, 1);
    let pair = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&pair).map_err(failed)?;
    write_whole(&key, &pair.serialize_pem(), 0o600).map_err(file(&key))?;
    write_whole(&chain, &certificate.pem(), 0o644).map_err(file(&chain))?;
    Ok((chain, key))
}

/// Writes a file so that after a power cut it is there whole or not at all.
fn write_whole(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let fresh = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::CertificateFiles;

    #[test]
    fn the_certificate_is_made_once_and_its_key_is_private() {
        let folder = tempfile::tempdir().unwrap();
        server_config(&Config::default(), folder.path()).unwrap();
        let key = folder.path().join("console.key.pem");
        let first = fs::read(&key).unwrap();
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        server_config(&Config::default(), folder.path()).unwrap();
        assert_eq!(fs::read(&key).unwrap(), first);
    }

    #[test]
    fn what_a_power_cut_left_empty_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["console.crt.pem", "console.key.pem"] {
            server_config(&Config::default(), folder.path()).unwrap();
            fs::write(folder.path().join(name), b"").unwrap();
        }
        server_config(&Config::default(), folder.path()).unwrap();
    }

    #[test]
    fn broken_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let files =
            CertificateFiles { chain: folder.path().join("none.pem"), key: folder.path().join("none.key") };
        let config = Config { certificate: Some(files), ..Config::default() };
        let error = server_config(&config, folder.path()).unwrap_err().to_string();
        assert!(error.contains("none.pem"), "{error}");
    }
}
