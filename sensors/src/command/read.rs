//! `read FILE...`: the events of capture files, of all below a folder, of the standard input (`-`), or with `--follow` of what
//! another program is still writing.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use dongson_sensor::capture::CaptureError;
use dongson_sensor::capture::filter::Filter;
use dongson_sensor::flow::Checksums;
use dongson_sensor::layer::Vlans;
use dongson_sensor::ship::Counts;
use dongson_sensor::{Options, follow, read_told};

use super::say;
use super::scope::Scope;
use super::sink::{Ship, Sink};

/// What to read and how.
#[derive(Debug, Args)]
pub(crate) struct Read {
    /// Capture files; a folder stands for all captures below it, - for the standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Go on reading one file, or the files of one folder, while another program writes them (dumpcap -b, tcpdump -C);
    /// ends on SIGTERM or SIGINT.
    #[arg(long)]
    follow: bool,
    /// Which frames, as in: not host 10.0.0.1 and (tcp port 443 or udp).
    #[arg(long, value_name = "EXPRESSION", value_parser = Filter::parse)]
    filter: Option<Filter>,
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
    scope: Scope,
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
    arguments.scope.apply(&mut options, false);
    let mut sink = arguments.ship.open(&mut options)?;
    let code = if arguments.follow {
        follow_one(arguments, &options, &mut sink)?
    } else {
        let mut code = ExitCode::SUCCESS;
        for file in files(&arguments.files) {
            if !read_one(&file, arguments, &options, &mut sink) {
                code = ExitCode::FAILURE;
            }
            sink.settle()?;
            if sink.is_closed() {
                break;
            }
        }
        code
    };
    let all = finish(sink, Duration::from_secs(arguments.patience))?;
    Ok(if all { code } else { ExitCode::FAILURE })
}

/// The files, in the place of a folder all captures below it by name; loops of links end at the system's limit.
fn files(named: &[PathBuf]) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for path in named {
        if path.is_dir() {
            let mut entries: Vec<PathBuf> =
                path.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            entries.retain(|entry| (entry.is_dir() && !entry.is_symlink()) || follow::is_capture(entry));
            entries.sort();
            all.extend(files(&entries));
        } else {
            all.push(path.clone());
        }
    }
    all
}

/// Reads one capture; false when it gave nothing.
fn read_one(file: &Path, arguments: &Read, options: &Options, sink: &mut Sink) -> bool {
    let filter = arguments.filter.as_ref();
    let read = if file == Path::new("-") {
        let mut emit = |event: Option<dongson_event::Event>| {
            if let Some(event) = event {
                sink.event(event);
            }
        };
        follow::read_stream(std::io::stdin(), options, filter, &mut emit)
            .map(|(statistics, warning)| (statistics.frames, 0, warning))
            .map_err(|error| format!("standard input: {error}"))
    } else {
        read_told(file, options, filter, &mut |told, id| sink.told(told, id))
            .map(|summary| (summary.statistics.frames, summary.unfiltered, summary.warning))
            .map_err(|error| error.to_string())
    };
    match read {
        Ok((frames, unfiltered, warning)) => {
            if let Some(warning) = warning {
                warn(file, &warning, &format!("; {frames} frames before that were read"));
            }
            if unfiltered > 0 {
                say(format_args!(
                    "warning: {}: {unfiltered} frames of link types that cannot be filtered were left out",
                    file.display()
                ));
            }
            true
        }
        Err(error) => {
            say(format_args!("{error}"));
            false
        }
    }
}

fn warn(file: &Path, error: &CaptureError, more: &str) {
    say(format_args!("warning: {}: {error}{more}", file.display()));
}

/// Reads what another program writes, until a signal comes or nobody takes the events.
fn follow_one(arguments: &Read, options: &Options, sink: &mut Sink) -> anyhow::Result<ExitCode> {
    static STOP: AtomicBool = AtomicBool::new(false);
    dongson_sensor::live::stop_on_signals(&STOP);
    let [path] = arguments.files.as_slice() else {
        anyhow::bail!("--follow takes one file or one folder");
    };
    anyhow::ensure!(path.exists(), "{}: there is nothing to follow", path.display());
    let stop = Arc::new(AtomicBool::new(false));
    let mut failed = Ok(());
    let mut emit = |event: Option<dongson_event::Event>| {
        match event {
            Some(event) => sink.event(event),
            None => failed = sink.settle().and(std::mem::replace(&mut failed, Ok(()))),
        }
        if STOP.load(Ordering::Relaxed) || sink.is_closed() {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let mut trouble = |file: &Path, error: &CaptureError| warn(file, error, "");
    follow::follow(path, options, arguments.filter.as_ref(), &stop, &mut emit, &mut trouble)?;
    failed?;
    Ok(ExitCode::SUCCESS)
}

/// Ends, and says what was shipped; false when the collector has not got all of it.
fn finish(sink: Sink, patience: Duration) -> anyhow::Result<bool> {
    let Some(Counts { acknowledged, refused, lost, .. }) = sink.finish(patience)? else { return Ok(true) };
    say(format_args!("{acknowledged} events acknowledged, {refused} refused, {lost} lost to a full spool"));
    Ok(refused == 0 && lost == 0)
}
