//! `dongson up`: everything on one machine. `dongson collector`, `analyzer`, `console`: one role each.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::config::{Config, Listen, Paths};
use crate::role::{self, Role};

/// Everything on this machine.
#[derive(Debug, Args)]
#[command(
    after_help = "example: dongson up --data /var/lib/dongson --config /etc/dongson.toml\nCtrl-C and SIGTERM stop it; a kill loses nothing that was acknowledged.\nAlerts of correlations and scripts come some 12 seconds after the event: they wait for late ones ([analyzer] lateness_seconds, behind_seconds, idle_seconds in the file)."
)]
pub(crate) struct Up {
    #[command(flatten)]
    process: Process,
}

/// One role.
#[derive(Debug, Args)]
#[command(
    after_help = "example: dongson analyzer --data /var/lib/dongson --config /etc/dongson.toml --metrics 0.0.0.0:9465\nThe roles of a cluster share one configuration file. They meet in Kafka ([bus.kafka]), in the store and in the registry.\nOf each role as many processes may run as are needed: collectors and consoles behind an address of theirs, analyzers as\none consumer group that shares the partitions."
)]
pub(crate) struct One {
    #[command(flatten)]
    process: Process,
    /// Where `/metrics` and `/healthz` answer: ADDRESS:PORT, or `off`; in place of `metrics` in the file.
    #[arg(long, value_parser = |text: &str| Listen::try_from(text.to_owned()))]
    metrics: Option<Listen>,
}

#[derive(Debug, Args)]
struct Process {
    /// Everything that is kept stands in this folder; made when missing.
    #[arg(long, env = "DONGSON_DATA")]
    data: PathBuf,
    /// What differs from the defaults (TOML).
    #[arg(long)]
    config: Option<PathBuf>,
}

impl Up {
    pub(super) fn run(self) -> Result<ExitCode> {
        let config = Config::load(self.process.config.as_deref())?;
        role::run(Role::All, config, Paths::new(&self.process.data))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl One {
    pub(super) fn run(self, role: Role) -> Result<ExitCode> {
        let mut config = Config::load(self.process.config.as_deref())?;
        if let Some(metrics) = self.metrics {
            config.metrics = metrics;
        }
        role::run(role, config, Paths::new(&self.process.data))?;
        Ok(ExitCode::SUCCESS)
    }
}
