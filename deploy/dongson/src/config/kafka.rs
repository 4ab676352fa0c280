//! `[bus.kafka]`: the log in an Apache Kafka.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dongson_bus::{KafkaCompression, KafkaLogin, KafkaMechanism, KafkaOptions, KafkaTls};
use serde::Deserialize;

use super::within;

/// A Kafka, and what topics are like that are made in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KafkaConfig {
    /// Some of its brokers, `host:port,host:port`.
    pub(crate) bootstrap: String,
    /// What stands between us and it.
    #[serde(default)]
    security: Security,
    /// Who we are, for SASL.
    username: Option<String>,
    /// The file that holds its password; white space at the end does not count.
    password_file: Option<PathBuf>,
    /// Which SCRAM.
    #[serde(default)]
    mechanism: Mechanism,
    /// PEM file of the authority that signed the brokers' certificates; default: those of this machine.
    ca_file: Option<PathBuf>,
    /// PEM file of our own certificate.
    certificate_file: Option<PathBuf>,
    /// PEM file of its key.
    key_file: Option<PathBuf>,
    /// Stands before the names of topics and groups.
    #[serde(default)]
    prefix: String,
    /// Partitions of each topic that does not exist yet.
    #[serde(default = "partitions")]
    pub(crate) partitions: u32,
    /// Copies of each record.
    #[serde(default = "replication")]
    replication: u16,
    /// Hours that Kafka keeps a record, whoever has read it.
    #[serde(default = "retention_hours")]
    retention_hours: u64,
    /// How records are packed.
    #[serde(default)]
    compression: Compression,
}

/// What stands between us and Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Security {
    /// Nothing.
    #[default]
    Plain,
    /// A login, in the clear.
    Sasl,
    /// Encryption.
    Tls,
    /// Both.
    SaslTls,
}

impl Security {
    fn login(self) -> bool {
        matches!(self, Self::Sasl | Self::SaslTls)
    }

    fn tls(self) -> bool {
        matches!(self, Self::Tls | Self::SaslTls)
    }
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
enum Mechanism {
    #[default]
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Compression {
    #[default]
    Zstd,
    Lz4,
}

fn partitions() -> u32 {
    8
}

fn replication() -> u16 {
    3
}

fn retention_hours() -> u64 {
    168
}

impl KafkaConfig {
    /// What is wrong with the values, by the name of the key.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.bootstrap.split(',').any(|broker| !is_address(broker.trim())) {
            return Err(format!("bus.kafka.bootstrap: {:?} is not HOST:PORT,HOST:PORT,...", self.bootstrap));
        }
        let login = self.username.is_some() && self.password_file.is_some();
        let any = self.username.is_some() || self.password_file.is_some();
        if self.security.login() && !login || !self.security.login() && any {
            let reason = "go together with security = \"sasl\" or \"sasl-tls\"";
            return Err(format!("bus.kafka.username and bus.kafka.password_file {reason}"));
        }
        let files = [
            ("ca_file", &self.ca_file),
            ("certificate_file", &self.certificate_file),
            ("key_file", &self.key_file),
        ];
        for (key, path) in files {
            let Some(path) = path else { continue };
            if !self.security.tls() {
                return Err(format!("bus.kafka.{key} goes with security = \"tls\" or \"sasl-tls\""));
            }
            File::open(path).map_err(|error| format!("bus.kafka.{key}: {}: {error}", path.display()))?;
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return Err("bus.kafka.certificate_file and bus.kafka.key_file go together".to_owned());
        }
        let sign = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '.' | '-' | '_');
        if self.prefix.len() > 40 || !self.prefix.chars().all(sign) || self.prefix.starts_with("__") {
            return Err(format!(
                "bus.kafka.prefix: {:?} is not up to 40 letters, digits, `.`, `-` and `_`",
                self.prefix
            ));
        }
        within("bus.kafka.partitions", u64::from(self.partitions), 1, 256)?;
        within("bus.kafka.replication", u64::from(self.replication), 1, 9)?;
        within("bus.kafka.retention_hours", self.retention_hours, 1, 24 * 366)
    }

    /// As the bus takes it; reads the password. `node` names this installation.
    pub(crate) fn options(&self, node: String) -> Result<KafkaOptions> {
        let login = match (&self.username, &self.password_file) {
            (Some(user), Some(file)) => Some(KafkaLogin {
                user: user.clone(),
                password: password(file)?,
                mechanism: match self.mechanism {
                    Mechanism::ScramSha256 => KafkaMechanism::ScramSha256,
                    Mechanism::ScramSha512 => KafkaMechanism::ScramSha512,
                },
            }),
            _ => None,
        };
        let certificate = self.certificate_file.clone().zip(self.key_file.clone());
        Ok(KafkaOptions {
            tls: self.security.tls().then(|| KafkaTls { ca: self.ca_file.clone(), certificate }),
            login,
            prefix: self.prefix.clone(),
            replication: self.replication,
            retention: Duration::from_hours(self.retention_hours),
            compression: match self.compression {
                Compression::Zstd => KafkaCompression::Zstd,
                Compression::Lz4 => KafkaCompression::Lz4,
            },
            ..KafkaOptions::new(&self.bootstrap, node)
        })
    }
}

fn is_address(broker: &str) -> bool {
    broker.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn password(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("bus.kafka.password_file: reading {}", file.display()))?;
    let password = text.trim_end();
    ensure!(!password.is_empty(), "bus.kafka.password_file: {} is empty", file.display());
    Ok(password.to_owned())
}
