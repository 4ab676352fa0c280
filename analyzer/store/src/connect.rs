//! How a `ClickHouse` server is reached: address, accounts, TLS.

use std::path::{Path, PathBuf};

use clickhouse::{Client, Compression};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::migrations::Layout;
use crate::{Result, StoreError};

/// How long a connection without work is kept; the server closes it after 10 s (`keep_alive_timeout`).
const IDLE: std::time::Duration = std::time::Duration::from_secs(5);

/// A user of the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Name.
    pub user: String,
    /// Password in plain text.
    pub password: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("user", &self.user).field("password", &"***").finish()
    }
}

/// How to reach a server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// `https://host:8443` or `http://host:8123`.
    pub url: String,
    /// Writes rows.
    pub writer: Account,
    /// Asks questions, each within a scope.
    pub reader: Account,
    /// Makes and changes tables.
    pub migrator: Account,
    /// PEM file of the authorities that the server's certificate may come from; those of this machine when `None`.
    pub ca: Option<PathBuf>,
    /// One server or a cluster.
    pub layout: Layout,
    /// How long a question may run, in seconds.
    pub search_seconds: u32,
}

impl ServerOptions {
    /// One server, one account for everything, the authorities of this machine, questions of a minute.
    pub fn new(url: &str, account: Account) -> Self {
        Self {
            url: url.to_owned(),
            writer: account.clone(),
            reader: account.clone(),
            migrator: account,
            ca: None,
            layout: Layout::Single,
            search_seconds: 60,
        }
    }

    /// A client without an account.
    pub(crate) fn client(&self) -> Result<Client> {
        let url = &self.url;
        let bad = |words: &str| StoreError::BadQuestion(format!("the address of the store {url:?} {words}"));
        let client = if url.starts_with("https://") {
            let connector = HttpsConnectorBuilder::new()
                .with_tls_config(tls(self.ca.as_deref())?)
                .https_only()
                .enable_http1()
                .build();
            let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
                .pool_idle_timeout(IDLE)
                .build(connector);
            Client::with_http_client(http)
        } else if url.starts_with("http://") {
            if self.ca.is_some() {
                return Err(bad("is plain HTTP, which needs no authority: write https://"));
            }
            Client::default()
        } else {
            return Err(bad("begins with neither https:// nor http://"));
        };
        Ok(client.with_url(url).with_compression(Compression::None))
    }
}

/// Trusts the authorities of `ca`, or those of this machine.
fn tls(ca: Option<&Path>) -> Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    match ca {
        Some(path) => {
            let unusable = |why: String| StoreError::Authority { path: path.to_owned(), why };
            let pem = std::fs::read(path).map_err(StoreError::io(path))?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(unusable("it holds no certificate".to_owned()));
            }
        }
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::NotReady(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str, ca: Option<&Path>) -> String {
        let account = Account { user: "u".to_owned(), password: "secret".to_owned() };
        let options = ServerOptions { ca: ca.map(Path::to_owned), ..ServerOptions::new(url, account) };
        assert!(!format!("{options:?}").contains("secret"));
        options.client().map(drop).unwrap_err().to_string()
    }

    #[test]
    fn addresses_and_authorities_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(refused("clickhouse:8443", None).contains("https://"));
        assert!(refused("http://clickhouse:8123", Some(&path)).contains("plain HTTP"));
        assert!(refused("https://clickhouse:8443", Some(&path)).contains("ca.pem"));
        std::fs::write(&path, "no certificate").unwrap();
        assert!(refused("https://clickhouse:8443", Some(&path)).contains("holds no certificate"));
    }
}
