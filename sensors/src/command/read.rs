//! `read FILE...`: the events of capture files.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use dongson_sensor::flow::Checksums;
use dongson_sensor::{Options, read_file};

use super::{Lines, say};

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
}

/// How events are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line.
    Jsonl,
}

/// Reads the files in their order.
pub(crate) fn read(arguments: &Read) -> ExitCode {
    let Format::Jsonl = arguments.format;
    let checksums = if arguments.verify_checksums { Checksums::Verify } else { Checksums::Ignore };
    let options = Options { observer: arguments.observer.clone(), checksums, ..Options::default() };
    let mut lines = Lines::new();
    let mut code = ExitCode::SUCCESS;
    for file in &arguments.files {
        match read_file(file, &options, &mut |event| lines.event(&event)) {
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
        if lines.is_closed() {
            break;
        }
    }
    match lines.finish() {
        Ok(()) => code,
        Err(error) => {
            say(format_args!("writing the events: {error}"));
            ExitCode::FAILURE
        }
    }
}
