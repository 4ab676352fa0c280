//! `journal`: what the centre asked of this sensor, for its agency.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use dongson_sensor::answer::read_journal;

use super::say;

/// Which journal.
#[derive(Debug, Args)]
pub(crate) struct Journal {
    /// Folder of the sensor.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// Prints the lines whose chain is whole; fails at the first one that was changed.
#[expect(clippy::print_stdout, reason = "the journal is the output")]
pub(crate) fn journal(arguments: &Journal) -> ExitCode {
    let mut lines = 0_u64;
    let read = read_journal(&arguments.data, &mut |line| {
        lines += 1;
        println!("{}", serde_json::json!(line));
    });
    match read {
        Ok(torn) => {
            let tail = if torn { "; the last one is torn and left out" } else { "" };
            say(format_args!("{lines} lines, the chain is unbroken{tail}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}
