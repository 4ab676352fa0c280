//! How the console is set up.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde::Deserialize;

/// The console's part of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where HTTPS is served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Names and addresses in the certificate that is made at the first start.
    pub names: Vec<String>,
    /// A certificate of the administrator's own instead.
    pub certificate: Option<CertificateFiles>,
    /// Addresses that may read `/metrics`, besides this machine.
    pub metrics_from: Vec<IpAddr>,
    /// How long a session lasts, in minutes.
    pub session_minutes: u32,
    /// After how many minutes without an act a session ends.
    pub idle_minutes: u32,
    /// How many connections may be open at once.
    pub max_connections: usize,
    /// How long a search of events may take, in seconds; then the caller is told to narrow it.
    pub search_seconds: u32,
}

/// A certificate chain and its key as PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// The chain, the server's own certificate first.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443),
            names: vec!["localhost".into(), "127.0.0.1".into(), "::1".into()],
            certificate: None,
            metrics_from: Vec::new(),
            session_minutes: 12 * 60,
            idle_minutes: 60,
            max_connections: 2000,
            search_seconds: 15,
        }
    }
}

impl Config {
    /// What is wrong with the values, if anything is.
    pub fn validate(&self) -> Result<(), &'static str> {
        if self.names.is_empty() && self.certificate.is_none() {
            return Err("console.names must name at least one host");
        }
        if !(5..=7 * 24 * 60).contains(&self.session_minutes) {
            return Err("console.session_minutes must be 5 to 10080");
        }
        if !(1..=self.session_minutes).contains(&self.idle_minutes) {
            return Err(
                "console.idle_minutes (60 where it is not written) must be 1 to console.session_minutes",
            );
        }
        if !(1..=60).contains(&self.search_seconds) {
            return Err("console.search_seconds must be 1 to 60");
        }
        if self.max_connections == 0 {
            return Err("console.max_connections must be more than 0");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_values_are_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        assert!(Config { names: Vec::new(), ..Config::default() }.validate().is_err());
        assert!(Config { idle_minutes: 0, ..Config::default() }.validate().is_err());
        assert!(Config { session_minutes: 1, ..Config::default() }.validate().is_err());
        assert!(Config { search_seconds: 0, ..Config::default() }.validate().is_err());
        assert!(Config { max_connections: 0, ..Config::default() }.validate().is_err());
    }
}
