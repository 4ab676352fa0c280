//! `dongson store`: the engine's process, and its installation.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use dongson_store::{
    READER_KEY_VARIABLE, StoreOptions, WRITER_KEY_VARIABLE, engine_path, install_engine, run_store,
};

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
        if let Some(Action::Install { file, to }) = self.action {
            let folder = to.or_else(|| engine_path().parent().map(PathBuf::from)).unwrap_or_default();
            let library = install_engine(&file, &folder)?;
            output::line(&format!("the engine is at {}", library.display()))?;
            return Ok(ExitCode::SUCCESS);
        }
        let run = self.run;
        let key = |name| std::env::var(name).ok().filter(|key: &String| !key.is_empty());
        run_store(&StoreOptions {
            data: run.data,
            engine: run.engine.unwrap_or_else(engine_path),
            listen: run.listen,
            memory_bytes: run.memory,
            search_seconds: run.search_seconds,
            child: run.child,
            keys: key(WRITER_KEY_VARIABLE).zip(key(READER_KEY_VARIABLE)),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
