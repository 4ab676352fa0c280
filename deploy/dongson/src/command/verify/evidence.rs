//! `dongson evidence`: one event, alert or audit entry with its proof, as one JSON file for somebody else.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use dongson_event::transparency::Subject;
use dongson_registry::{Scope, now};

use super::place::Opened;
use crate::output;

/// Writes the proof of one thing.
#[derive(Debug, Args)]
#[command(
    after_help = "example: dongson evidence --data /var/lib/dongson 0198c1de-0000-8000-8000-000000000001 --output evidence.json\nWhoever gets the file checks it with deploy/check-evidence (Python 3, nothing else), given the key of the log, which `dongson verify` prints."
)]
pub(crate) struct EvidenceCommand {
    /// Of what: the id of an event or alert, or a place in the audit.
    id: String,
    /// What it is the id of.
    #[arg(long, value_enum, default_value = "event")]
    of: Of,
    /// The data folder of `dongson up`.
    #[arg(long, env = "DONGSON_DATA")]
    data: PathBuf,
    /// The configuration of `dongson up`, if it names a registry elsewhere (`registry.url`).
    #[arg(long, env = "DONGSON_CONFIG")]
    config: Option<PathBuf>,
    /// The file that is written; standard output where not given.
    #[arg(long)]
    output: Option<PathBuf>,
}

/// What can be proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Of {
    /// A stored event.
    Event,
    /// The facts of an alert.
    Alert,
    /// An entry of the audit.
    Audit,
}

impl EvidenceCommand {
    pub(crate) fn run(self) -> Result<ExitCode> {
        tokio::runtime::Runtime::new()?.block_on(self.write())
    }

    async fn write(&self) -> Result<ExitCode> {
        let opened = Opened::open(&self.data, self.config.as_deref(), self.of != Of::Audit).await?;
        let subject = match self.of {
            Of::Event => Subject::Event,
            Of::Alert => Subject::Alert,
            Of::Audit => Subject::Audit,
        };
        let found = dongson_console::evidence(
            &opened.registry,
            opened.store.as_ref(),
            &Scope::All,
            (subject, &self.id),
            now(),
        );
        let found = found.await;
        opened.close().await?;
        let evidence = match found? {
            dongson_console::Proof::Found(evidence) => evidence,
            dongson_console::Proof::Unknown => bail!("there is no {:?} of the id {:?}", self.of, self.id),
            dongson_console::Proof::NotLogged => bail!(
                "{:?} {:?} is not in the log: it is from before the log began, or was stored less than half a minute ago",
                self.of,
                self.id
            ),
        };
        if let Err(error) = evidence.verify(None) {
            bail!("what is stored is not what was logged: {error}; `dongson verify` names what was changed");
        }
        match &self.output {
            Some(path) => std::fs::write(path, serde_json::to_string_pretty(&*evidence)? + "\n")
                .with_context(|| format!("writing {}", path.display()))?,
            None => output::json(&*evidence)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
