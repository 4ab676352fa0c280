//! What every command needs before it starts: the log, the TLS provider, and the two ways to be stopped.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One line of text.
    Text,
    /// One JSON object.
    Json,
}

/// What is logged unless `RUST_LOG` says otherwise: libraries only what is wrong, and `evtx` nothing, because `detect`
/// tells itself what it could not read.
const FILTER: &str = "info,fjall=warn,lsm_tree=warn,evtx=off";

/// Starts the log (level by `RUST_LOG`, default `info`) and installs the TLS provider.
pub(crate) fn prepare(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    // Only the first call in a process can fail, by finding a provider already there: the same one.
    let _installed = rustls::crypto::ring::default_provider().install_default();
}

/// A token that is cancelled by Ctrl-C or SIGTERM.
pub(crate) fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    Ok(token)
}
