//! The sensor over a capture on one core: packets per second of processor time, beside softflowd, by stage; memory with many
//! live flows; what a flood of SYNs costs the flows that were there; two at a time.

mod process;
mod stages;
mod traffic;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;
use tempfile::TempDir;

use crate::report::print;
use process::{Run, best, run, run_all};
use stages::Stages;

/// Packets of the capture that is made where none is given.
const PACKETS: u64 = 1_000_000;
/// Connections that are there before a flood.
const ESTABLISHED: u64 = 2_000;

/// Measures the sensor.
#[derive(Debug, Args)]
#[command(
    after_help = "example: dongson-bench sensor --sensor target/sensor/dongson-sensor --capture bench.pcap\nsoftflowd is measured beside it where it is installed (apt-get install softflowd)."
)]
pub(crate) struct Sensor {
    /// The program that is measured; build it with --profile sensor.
    #[arg(long = "sensor")]
    program: PathBuf,
    /// The capture; by default one of a million packets is made.
    #[arg(long)]
    capture: Option<PathBuf>,
    /// Seed of everything that is made.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often each run is repeated; the best counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    times: u32,
    /// Live flows of the memory runs.
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 1_000_000])]
    flows: Vec<u64>,
    /// SYNs of the flood, each from a tuple of its own, in a minute; a capture of 76 bytes for each is made.
    #[arg(long, default_value_t = 10_000_000)]
    syns: u64,
}

/// Packets in a second of processor time.
#[derive(Debug, Serialize)]
struct Speed {
    packets_per_cpu_second: f64,
    peak_rss_mib: f64,
}

#[derive(Debug, Serialize)]
struct Memory {
    live_flows: u64,
    peak_rss_mib: f64,
}

#[derive(Debug, Serialize)]
struct Flood {
    syns: u64,
    /// Transactions of the connections that were there before, of those that they carried.
    facts_kept_percent: f64,
    peak_rss_mib: f64,
}

#[derive(Debug, Serialize)]
struct Measured {
    packets: u64,
    four_kinds: Speed,
    flows_only: Speed,
    all_kinds: Speed,
    softflowd: Option<Speed>,
    four_kinds_to_softflowd: Option<f64>,
    flows_only_to_softflowd: Option<f64>,
    /// How much more two engines do at the same time than one, as two threads with rings of their own do: they share nothing.
    two_at_a_time: f64,
    nanoseconds_per_packet: Stages,
    memory: Vec<Memory>,
    flood: Flood,
}

impl Sensor {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let folder = tempfile::Builder::new().prefix("dongson-bench-").tempdir()?;
        let capture = if let Some(path) = &self.capture {
            path.clone()
        } else {
            let path = folder.path().join("capture.pcap");
            traffic::ordinary(&path, PACKETS, self.seed)?;
            path
        };
        let packets = dongson_sensor::read_file(&capture, &dongson_sensor::Options::default(), &mut |_| {})?
            .statistics
            .frames;
        let four = self.speed(&folder, &capture, packets, Some("conn,dns,http,tls"))?;
        let flows_only = self.speed(&folder, &capture, packets, Some("conn"))?;
        let softflowd = self.softflowd(&folder, &capture, packets);
        let ratio = |speed: &Speed| {
            let other = softflowd.as_ref()?.packets_per_cpu_second;
            Some(two_digits(speed.packets_per_cpu_second / other))
        };
        print(&Measured {
            packets,
            four_kinds_to_softflowd: ratio(&four),
            flows_only_to_softflowd: ratio(&flows_only),
            all_kinds: self.speed(&folder, &capture, packets, None)?,
            two_at_a_time: self.two(&folder, &capture)?,
            nanoseconds_per_packet: stages::measure(&capture, packets, self.times)?,
            memory: self.flows.iter().map(|flows| self.memory(&folder, *flows)).collect::<Result<_>>()?,
            flood: self.flood(&folder)?,
            four_kinds: four,
            flows_only,
            softflowd,
        })?;
        Ok(ExitCode::SUCCESS)
    }

    /// Runs the sensor over `capture` with `more` arguments; its events go to a file.
    fn read(&self, folder: &TempDir, capture: &Path, more: &[&str]) -> Result<Run> {
        let mut arguments: Vec<&OsStr> = vec![OsStr::new("read"), capture.as_os_str()];
        arguments.extend(more.iter().map(OsStr::new));
        run(self.program.as_os_str(), &arguments, &folder.path().join("events"))
    }

    fn speed(&self, folder: &TempDir, capture: &Path, packets: u64, only: Option<&str>) -> Result<Speed> {
        let more: Vec<&str> = only.into_iter().flat_map(|only| ["--only", only]).collect();
        Ok(speed(packets, best(self.times, || self.read(folder, capture, &more))?))
    }

    /// The same capture through softflowd, which makes flows only; nothing where it is not installed.
    fn softflowd(&self, folder: &TempDir, capture: &Path, packets: u64) -> Option<Speed> {
        let arguments =
            ["-r".as_ref(), capture.as_os_str(), "-n".as_ref(), "127.0.0.1:9995".as_ref(), "-d".as_ref()];
        let out = folder.path().join("softflowd");
        let best = best(self.times, || run("softflowd".as_ref(), &arguments, &out)).ok()?;
        Some(speed(packets, best))
    }

    /// The time that one run takes alone, twice, to the time that two take at once.
    fn two(&self, folder: &TempDir, capture: &Path) -> Result<f64> {
        let arguments =
            ["read".as_ref(), capture.as_os_str(), "--only".as_ref(), "conn,dns,http,tls".as_ref()];
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        let program = self.program.as_os_str();
        let wall = |lists: &[(&[&OsStr], &Path)]| -> Result<f64> {
            let mut least = f64::INFINITY;
            for _ in 0..self.times {
                let runs = run_all(program, lists)?;
                least = least.min(runs.iter().map(|run| run.wall_seconds).fold(0.0, f64::max));
            }
            Ok(least)
        };
        let alone = wall(&[(&arguments, &one)])?;
        let together = wall(&[(&arguments, &one), (&arguments, &other)])?;
        Ok(two_digits(2.0 * alone / together))
    }

    fn memory(&self, folder: &TempDir, flows: u64) -> Result<Memory> {
        let path = folder.path().join("flows.pcap");
        traffic::open_flows(&path, flows, self.seed)?;
        let most = (flows + 1).to_string();
        let run = self.read(folder, &path, &["--max-flows", &most])?;
        Ok(Memory { live_flows: flows, peak_rss_mib: run.peak_rss_mib })
    }

    fn flood(&self, folder: &TempDir) -> Result<Flood> {
        let path = folder.path().join("flood.pcap");
        traffic::flood(&path, ESTABLISHED, self.syns, self.seed)?;
        let run = self.read(folder, &path, &["--only", "http"])?;
        let events = fs::read_to_string(folder.path().join("events")).context("reading the events")?;
        let whole = |line: &&str| {
            line.contains("\"sensor.http\"") && line.contains("\"http.response.status_code\":200")
        };
        let kept = events.lines().filter(whole).count();
        #[expect(clippy::cast_precision_loss, reason = "transactions are far fewer than 2^52")]
        let share = 100.0 * kept as f64 / (2 * ESTABLISHED) as f64;
        Ok(Flood { syns: self.syns, facts_kept_percent: two_digits(share), peak_rss_mib: run.peak_rss_mib })
    }
}

#[expect(clippy::cast_precision_loss, reason = "packets are far fewer than 2^52")]
fn speed(packets: u64, run: Run) -> Speed {
    Speed {
        packets_per_cpu_second: (packets as f64 / run.cpu_seconds).round(),
        peak_rss_mib: run.peak_rss_mib,
    }
}

fn two_digits(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
