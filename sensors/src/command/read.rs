//! `read FILE...`: the events of capture files.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use dongson_sensor::flow::Checksums;
use dongson_sensor::layer::Vlans;
use dongson_sensor::ship::Counts;
use dongson_sensor::{Options, read_file};

use super::say;
use super::sink::{Ship, Sink};

/// What to read and how.
#[derive(Debug, Args)]
pub(crate) struct Read {
    /// Capture files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How events are printed.
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Name of the monitored point, for observer.name.
    #[arg(long, value_name = "NAME")]
    observer: Option<String>,
    /// Leave out packets whose transport checksum is wrong.
    #[arg(long)]
    verify_checksums: bool,
    /// Let VLAN tags not tell flows and fragments apart: for mirror ports that tag only one direction, or each one
    /// differently. By default the same addresses and ports in another VLAN are another flow.
    #[arg(long)]
    ignore_vlan: bool,
    #[command(flatten)]
    ship: Ship,
    /// With --data: how many seconds to wait until everything is acknowledged.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "data")]
    patience: u64,
}

/// How events are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line.
    Jsonl,
}

/// Reads the files in their order.
pub(crate) fn read(arguments: &Read) -> ExitCode {
    match read_all(arguments) {
        Ok(code) => code,
        Err(error) => {
            say(format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}

fn read_all(arguments: &Read) -> anyhow::Result<ExitCode> {
    let Format::Jsonl = arguments.format;
    let checksums = if arguments.verify_checksums { Checksums::Verify } else { Checksums::Ignore };
    let vlans = if arguments.ignore_vlan { Vlans::Ignore } else { Vlans::Separate };
    let observer = arguments.observer.clone();
    let mut options = Options { observer, checksums, vlans, ..Options::default() };
    let mut sink = arguments.ship.open(&mut options)?;
    let mut code = ExitCode::SUCCESS;
    for file in &arguments.files {
        match read_file(file, &options, &mut |event| sink.event(event)) {
            Ok(summary) => {
                if let Some(warning) = summary.warning {
                    let frames = summary.statistics.frames;
                    say(format_args!(
                        "warning: {}: {warning}; {frames} frames before that were read",
                        file.display()
                    ));
                }
            }
            Err(error) => {
                say(format_args!("{error}"));
                code = ExitCode::FAILURE;
            }
        }
        sink.settle()?;
        if sink.is_closed() {
            break;
        }
    }
    let all = finish(sink, Duration::from_secs(arguments.patience))?;
    Ok(if all { code } else { ExitCode::FAILURE })
}

/// Ends, and says what was shipped; false when the collector has not got all of it.
fn finish(sink: Sink, patience: Duration) -> anyhow::Result<bool> {
    let Some(Counts { acknowledged, refused, lost, .. }) = sink.finish(patience)? else { return Ok(true) };
    say(format_args!("{acknowledged} events acknowledged, {refused} refused, {lost} lost to a full spool"));
    Ok(refused == 0 && lost == 0)
}
