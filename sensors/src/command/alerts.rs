//! `alerts --data FOLDER`: what the sensor found by itself.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use dongson_event::Alert;
use dongson_sensor::local;

use super::say;

/// Whose alerts, and how they are printed.
#[derive(Debug, Args)]
pub(crate) struct Alerts {
    /// Folder of the sensor.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Only the newest so many.
    #[arg(long, value_name = "N", default_value_t = 100)]
    newest: usize,
    /// How they are printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How alerts are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for people each.
    Text,
    /// One JSON object a line, as the centre writes alerts.
    Json,
}

/// Exit codes: 0 read (also when there are none), 1 the log cannot be read.
pub(crate) fn alerts(arguments: &Alerts) -> ExitCode {
    if !arguments.data.is_dir() {
        say(format_args!("{} is not a folder: name the folder of the sensor", arguments.data.display()));
        return ExitCode::from(2);
    }
    let all = match local::alerts(&arguments.data) {
        Ok(all) => all,
        Err(error) => {
            say(format_args!("{error}"));
            return ExitCode::FAILURE;
        }
    };
    let newest = all.iter().skip(all.len().saturating_sub(arguments.newest));
    newest.for_each(|alert| print(alert, arguments.format));
    if all.is_empty() {
        say(format_args!("no alerts: nothing held on what was seen, or no packs are in force"));
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "the alerts are the output")]
fn print(alert: &Alert, format: Format) {
    let signal = &alert.signal;
    match format {
        Format::Json => match serde_json::to_string(alert) {
            Ok(line) => println!("{line}"),
            Err(error) => say(format_args!("{}: {error}", alert.id)),
        },
        Format::Text => println!(
            "{}  {:<13} {} ({})  {}={}  {}",
            signal.timestamp,
            signal.level.as_str(),
            plain(&signal.title),
            plain(&signal.rule_id),
            signal.entity.kind,
            plain(&signal.entity.value),
            alert.id,
        ),
    }
}

/// Without signs that a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|sign| if sign.is_control() { '\u{fffd}' } else { sign }).collect()
}
