//! What `dongson up` is told: a data folder, and a file for what differs from the defaults.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// The configuration file. Every key may be left out; a misspelt one stops the start.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The page and its API.
    pub(crate) console: ConsoleConfig,
    /// Listeners for sensors and logs.
    pub(crate) collector: dongson_collector::Config,
    /// Detection.
    pub(crate) analyzer: AnalyzerConfig,
    /// How long the log between the services keeps what is written to the store already.
    pub(crate) bus: BusConfig,
    /// The store's engine.
    pub(crate) store: StoreConfig,
    /// Where `/metrics` and `/healthz` answer in plain HTTP, for this machine's own monitoring; off when empty.
    pub(crate) metrics: Option<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            console: ConsoleConfig::default(),
            collector: dongson_collector::Config::default(),
            analyzer: AnalyzerConfig::default(),
            bus: BusConfig::default(),
            store: StoreConfig::default(),
            metrics: Some(SocketAddr::from(([127, 0, 0, 1], 9_464))),
        }
    }
}

/// The page and its API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ConsoleConfig {
    /// Where it listens (HTTPS).
    pub(crate) listen: SocketAddr,
    /// The address under which people reach it: for links in notifications. Default: made from `listen`.
    pub(crate) url: Option<String>,
    /// Names and addresses in the certificate that is made at the first start.
    pub(crate) names: Vec<String>,
    /// The administrator's own certificate chain (PEM), instead of the one that is made.
    pub(crate) certificate: Option<PathBuf>,
    /// Its key (PEM).
    pub(crate) key: Option<PathBuf>,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 8_443)),
            url: None,
            names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
            certificate: None,
            key: None,
        }
    }
}

/// Detection.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AnalyzerConfig {
    /// Folders of Sigma rules besides those that are shipped.
    pub(crate) rules: Vec<PathBuf>,
    /// Leave the shipped rules out.
    pub(crate) without_shipped_rules: bool,
}

/// The log between the services.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BusConfig {
    /// Hours that records are kept after the store has them.
    pub(crate) retention_hours: u64,
    /// Most bytes on disk; past them producers wait and clients are told to come again.
    pub(crate) max_bytes: u64,
}

impl Default for BusConfig {
    fn default() -> Self {
        Self { retention_hours: 24, max_bytes: 20 << 30 }
    }
}

/// The store's engine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreConfig {
    /// Path of `libchdb.so`; default: where `deploy/fetch-engine` puts it.
    pub(crate) engine: Option<PathBuf>,
    /// Most memory of the engine in MiB.
    pub(crate) memory_mib: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { engine: None, memory_mib: 2_048 }
    }
}

impl Config {
    /// Reads `path`, or takes the defaults without one.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let config: Self = toml::from_str(&text).with_context(|| format!("{} is not a valid configuration", path.display()))?;
        anyhow::ensure!(
            config.console.certificate.is_some() == config.console.key.is_some(),
            "{}: console.certificate and console.key go together",
            path.display()
        );
        Ok(config)
    }
}

/// What stands where in the data folder.
#[derive(Debug, Clone)]
pub(crate) struct Paths(PathBuf);

impl Paths {
    pub(crate) fn new(data: &Path) -> Self {
        Self(data.to_owned())
    }

    /// Makes the folder, readable by its owner only.
    pub(crate) fn make(&self) -> Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .with_context(|| format!("making the data folder {}", self.0.display()))
    }

    pub(crate) fn registry(&self) -> PathBuf {
        self.0.join("registry.sqlite")
    }

    pub(crate) fn bus(&self) -> PathBuf {
        self.0.join("bus")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    pub(crate) fn collector(&self) -> PathBuf {
        self.0.join("collector")
    }

    pub(crate) fn console(&self) -> PathBuf {
        self.0.join("console")
    }

    /// Where a running `dongson up` writes its addresses.
    pub(crate) fn running(&self) -> PathBuf {
        self.0.join("running.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dongson.toml");
        std::fs::write(&path, "[console]\nlissten = \"127.0.0.1:1\"\n").unwrap();
        let error = format!("{:#}", Config::load(Some(&path)).unwrap_err());
        assert!(error.contains("lissten") && error.contains("dongson.toml"), "{error}");
    }

    #[test]
    fn the_example_is_valid() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dongson.example.toml");
        Config::load(Some(&example)).unwrap();
    }
}
