//! `dongson store`: the engine's process, and its installation.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use dongson_store::{
    READER_KEY_VARIABLE, StoreOptions, WRITER_KEY_VARIABLE, engine_path, grants, install_engine, run_store,
    schema,
};

use crate::config::Config;
use crate::output;

/// The store.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct StoreCommand {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Prints the SQL that makes the accounts of the configured server, with least rights: row policies, quotas.
    #[command(
        after_help = "example: dongson store grants --config dongson.toml --agency so-yte | clickhouse-client --user admin -n\n\nPasswords leave this command as SHA-256 only. A person of an agency who asks the server gets its role:\n  GRANT \"dongson_agency_so-yte\" TO an; SET DEFAULT ROLE \"dongson_agency_so-yte\" TO an"
    )]
    Grants {
        /// The configuration file, which names the server, its accounts and the files of their passwords.
        #[arg(long)]
        config: PathBuf,
        /// An agency for whose people a role is made; may be given several times.
        #[arg(long, value_name = "ID")]
        agency: Vec<String>,
    },
    /// Prints the SQL that makes the tables; the programs run the same by themselves.
    #[command(after_help = "example: dongson store schema --config dongson.toml > tables.sql")]
    Schema {
        /// The configuration file; without one, the tables of one machine.
        #[arg(long)]
        config: Option<PathBuf>,
    },
    /// Checks the engine package and puts its library in place.
    #[command(after_help = "example: dongson store install engine.tgz --to ~/.cache/dongson/engine")]
    Install {
        /// The package, as the npm registry gives it.
        file: PathBuf,
        /// The folder; default: where it is looked for.
        #[arg(long)]
        to: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// Where the data is.
    #[arg(long, default_value = "store")]
    data: PathBuf,
    /// Path of `libchdb.so`; default: where `deploy/fetch-engine` puts it.
    #[arg(long)]
    engine: Option<PathBuf>,
    /// XML file of the engine's own server settings.
    #[arg(long, value_name = "FILE")]
    engine_config: Option<PathBuf>,
    /// Address to listen on; default: the loopback, at the port of the last start, else a free one.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Most memory for statements and merges, in bytes.
    #[arg(long, default_value_t = 2 << 30)]
    memory: u64,
    /// How long a question of a reader may run, in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    search_seconds: u32,
    /// End when the parent ends.
    #[arg(long, hide = true)]
    child: bool,
}

impl StoreCommand {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self.action {
            Some(Action::Install { file, to }) => {
                let folder = to.or_else(|| engine_path().parent().map(PathBuf::from)).unwrap_or_default();
                let library = install_engine(&file, &folder)?;
                output::line(&format!("the engine is at {}", library.display()))?;
                return Ok(ExitCode::SUCCESS);
            }
            Some(Action::Grants { config, agency }) => {
                let config = Config::load(Some(&config))?;
                let server = config.store.server(config.console.search_seconds)?;
                let server = server.context("the configuration names no server: set store.url")?;
                return statements(&grants(&server, &agency)?);
            }
            Some(Action::Schema { config }) => {
                let config = Config::load(config.as_deref())?;
                return statements(&schema(&config.store.layout()?)?);
            }
            None => {}
        }
        let run = self.run;
        let key = |name| std::env::var(name).ok().filter(|key: &String| !key.is_empty());
        run_store(&StoreOptions {
            data: run.data,
            engine: run.engine.unwrap_or_else(engine_path),
            engine_config: run.engine_config,
            listen: run.listen,
            memory_bytes: run.memory,
            search_seconds: run.search_seconds,
            child: run.child,
            keys: key(WRITER_KEY_VARIABLE).zip(key(READER_KEY_VARIABLE)),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints statements, each ended by a semicolon.
fn statements(all: &[String]) -> Result<ExitCode> {
    for statement in all {
        output::line(&format!("{statement};\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}
