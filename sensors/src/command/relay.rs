//! Which logs of the site `run` takes to the centre.

use std::path::{Path, PathBuf};

use clap::Args;
use dongson_sensor::relay::{Config, ConfigError};

/// Where the inputs are looked for when no file is named.
const INPUTS: &str = "/etc/dongson-sensor/relay.toml";

/// Where the inputs stand.
#[derive(Debug, Args)]
pub(crate) struct Inputs {
    /// The logs of the site that are taken to the centre too, as TOML: syslog over UDP and TCP, files that other programs
    /// write; the file of the package lists the keys. Without it /etc/dongson-sensor/relay.toml, if it is there.
    #[arg(long, value_name = "FILE", requires = "data")]
    relay: Option<PathBuf>,
}

impl Inputs {
    /// The inputs; read before rights are given up.
    pub(crate) fn read(&self, folder: Option<&Path>) -> Result<Config, ConfigError> {
        match &self.relay {
            Some(path) => Config::read(path),
            None if folder.is_some() && Path::new(INPUTS).exists() => Config::read(Path::new(INPUTS)),
            None => Ok(Config::default()),
        }
    }
}
