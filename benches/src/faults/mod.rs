//! Faults: numbered events through every way in, while processes are killed, links cut, answers lost, disks filled and
//! clocks set wrong; then a checker counts, by number, what was lost or doubled.
//!
//! - [`mark`]: the events; [`history`]: what was promised of them; [`check`]: what is there.
//! - [`schedule`]: what goes wrong when, by a seed; [`drive`] does it.
//! - [`machine`], [`disk`], [`link`], [`road`]: the centre, its disk, the sensors' link, the clients' roads.
//! - [`sensor`], [`client`], [`syslog`]: the senders; [`pace`]: how fast.

mod check;
mod client;
mod disk;
mod drive;
mod history;
mod link;
mod machine;
mod mark;
mod pace;
pub(crate) mod road;
mod schedule;
mod sensor;
mod syslog;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;

use check::Verdict;
use drive::Drive;
use schedule::Fault;
pub(crate) use sensor::{COMMAND as SENSOR, Simulated};

/// How long everything may take once no more faults come.
const PATIENCE: Duration = Duration::from_mins(3);

/// Runs the faults.
#[derive(Debug, Args)]
#[command(
    after_help = "Needs root, for namespaces and a disk of its own; python3, iproute2, e2fsprogs, util-linux.\nexamples:\n  dongson-bench faults --dongson target/debug/dongson --seconds 30\n  dongson-bench faults --dongson target/release/dongson --seeds 10 --seconds 180\n  dongson-bench faults --dongson target/debug/dongson --seed 7 --faults whole,power\nExit code 1: something that was acknowledged was lost or doubled, an alert was, or the system ended by itself."
)]
pub(crate) struct Faults {
    /// The program that is tested.
    #[arg(long)]
    dongson: PathBuf,
    /// How long faults come, for each seed.
    #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// The first seed: the same seed makes the same faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    /// Seconds between two faults, on average.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    every: u64,
    /// Which faults come; default: all.
    #[arg(long = "faults", value_enum, value_delimiter = ',', default_values_t = Fault::value_variants().to_vec())]
    kinds: Vec<Fault>,
    /// Events in a second and sender.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(10..=100_000))]
    rate: u64,
    /// Sensors; there are three clients and two senders of syslog beside them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=64))]
    sensors: u8,
    /// How the result is printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// A line of JSON for each seed.
    Json,
}

/// What one seed gave.
#[derive(Debug, Serialize)]
struct Report {
    seed: u64,
    seconds: u64,
    /// How often each fault came.
    faults: BTreeMap<&'static str, u64>,
    /// Starts of the system.
    starts: u64,
    /// How often it ended without being killed, its disk not being full.
    ended_by_itself: u64,
    /// Requests sent again for want of an answer, and acknowledged ones sent once more.
    requests_unanswered: u64,
    requests_repeated: u64,
    /// From the last fault until everything was there.
    settled_seconds: f64,
    verdict: Verdict,
    whole: bool,
}

impl Faults {
    pub(crate) fn run(self) -> Result<ExitCode> {
        link::inside()?;
        let mut failed = Vec::new();
        for seed in self.seed..self.seed.saturating_add(self.seeds) {
            let folder = tempfile::Builder::new().prefix("dongson-faults-").tempdir()?;
            let report = Drive::new(&self, seed, folder.path())?.run();
            match report {
                Ok(report) => {
                    self.print(&report)?;
                    if report.whole {
                        continue;
                    }
                }
                Err(error) => writeln!(std::io::stderr(), "seed {seed}: {error:#}")?,
            }
            writeln!(std::io::stderr(), "seed {seed} failed; logs: {}", keep(folder).display())?;
            failed.push(seed);
        }
        for seed in &failed {
            let (program, seconds, every) = (self.dongson.display(), self.seconds, self.every);
            let kinds: Vec<String> = self
                .kinds
                .iter()
                .filter_map(ValueEnum::to_possible_value)
                .map(|kind| kind.get_name().to_owned())
                .collect();
            writeln!(
                std::io::stderr(),
                "again: dongson-bench faults --dongson {program} --seed {seed} --seconds {seconds} --every {every} --rate {} --sensors {} --faults {}",
                self.rate,
                self.sensors,
                kinds.join(",")
            )?;
        }
        Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn print(&self, report: &Report) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if self.format == Format::Json {
            return Ok(writeln!(out, "{}", serde_json::to_string(report)?)?);
        }
        let faults: Vec<String> =
            report.faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
        writeln!(out, "seed {}: {} s: {}", report.seed, report.seconds, faults.join(", "))?;
        writeln!(
            out,
            "{:<8}{:>8}{:>8}{:>8}{:>6}{:>8}{:>8}{:>7}{:>8}{:>9}{:>9}",
            "way",
            "begun",
            "acked",
            "stored",
            "lost",
            "unread",
            "doubled",
            "late",
            "alerts",
            "missing",
            "doubled"
        )?;
        for (name, way) in &report.verdict.ways {
            writeln!(
                out,
                "{name:<8}{:>8}{:>8}{:>8}{:>6}{:>8}{:>8}{:>7}{:>8}{:>9}{:>9}",
                way.begun,
                way.acknowledged,
                way.stored,
                way.lost,
                way.unread,
                way.doubled,
                way.late,
                way.alerts,
                way.alerts_missing,
                way.alerts_doubled
            )?;
        }
        writeln!(
            out,
            "starts {}, ended by itself {}, requests unanswered {}, repeated {}, settled in {} s, rows that nobody sent {}, unexplained alerts {}: {}",
            report.starts,
            report.ended_by_itself,
            report.requests_unanswered,
            report.requests_repeated,
            report.settled_seconds,
            report.verdict.rows_strange,
            report.verdict.alerts_strange,
            if report.whole { "whole" } else { "BROKEN" }
        )?;
        for example in &report.verdict.examples {
            writeln!(out, "  {example}")?;
        }
        Ok(())
    }
}

/// Leaves the folder for whoever looks for the cause.
fn keep(folder: tempfile::TempDir) -> PathBuf {
    folder.keep()
}
