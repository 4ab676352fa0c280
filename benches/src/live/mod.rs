//! `live`: frames over a pair of virtual Ethernet ends, in a network namespace of its own, into each way of receiving.
//!
//! One thread sends at one end as fast as it can (or at a rate); the receiver is at the other. Told are the frames sent, those
//! that the receiving end was given, those that the receiver saw, and its processor time for each. The kernel's part of
//! a ring's work is done while the frame is sent, on the sender's time; that of a socket that is read, on the receiver's.

mod frames;
mod receive;
mod send;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde::Serialize;

use crate::report;
use receive::{Received, Receiver};

/// The end that sends, and the one that receives.
const ENDS: [&str; 2] = ["bench-send", "bench-recv"];
/// Set in the child that lives in the namespace.
const INSIDE: &str = "DONGSON_BENCH_INSIDE";

/// What is measured.
#[derive(Debug, Args)]
pub(crate) struct Live {
    /// How long each receiver is sent to.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Frames in a second; as many as can be sent, unless given.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// Who receives; all of them one after the other, unless given.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Receiver::ALL)]
    receiver: Vec<Receiver>,
}

/// What became of the frames sent to one receiver.
#[derive(Debug, Serialize)]
struct Run {
    receiver: String,
    seconds: f64,
    sent: u64,
    frames_per_second: f64,
    /// What the receiving end was given; what it was not was lost before any receiver.
    delivered: u64,
    received: u64,
    lost: u64,
    /// What the kernel says it dropped; absent where nobody counts.
    dropped: Option<u64>,
    /// Processor time of the receiver for each frame that it received.
    cpu_ns_per_frame: f64,
    /// Events of the engine, where there is one.
    events: u64,
}

#[derive(Debug, Serialize)]
struct Report {
    runs: Vec<Run>,
}

impl Live {
    /// Fails when a ring lost a frame.
    pub(crate) fn run(self) -> Result<ExitCode> {
        if std::env::var_os(INSIDE).is_none() {
            let this = std::env::current_exe()?;
            let failed = Command::new("unshare")
                .args(["--net", "--mount"])
                .arg(this)
                .args(std::env::args_os().skip(1))
                .env(INSIDE, "1")
                .exec();
            bail!("unshare: {failed} (it makes the network namespace; install util-linux)");
        }
        let [from, to] = ENDS;
        ip(&["link", "add", from, "type", "veth", "peer", "name", to])?;
        for end in ENDS {
            ip(&["link", "set", end, "up"])?;
        }
        // So that the folder tells of this namespace.
        command("mount", &["-t", "sysfs", "sysfs", "/sys"])?;
        let mut runs = Vec::new();
        for receiver in &self.receiver {
            runs.push(self.measure(*receiver)?);
        }
        let whole = runs.iter().all(|run| run.lost == 0 || !run.receiver.starts_with("ring"));
        report::print(&Report { runs })?;
        Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn measure(&self, receiver: Receiver) -> Result<Run> {
        let [from, to] = ENDS;
        let before = (counter(from, "tx_packets")?, counter(to, "rx_packets")?);
        let (ready, stop, seen) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
        let begun = Instant::now();
        let (outcome, took) = std::thread::scope(|scope| -> Result<(Received, Duration)> {
            let thread = scope.spawn(|| receiver.receive(to, &ready, &stop, &seen));
            while !ready.load(Ordering::Acquire) && !thread.is_finished() {
                std::thread::yield_now();
            }
            let sent = self.send(from);
            let took = begun.elapsed();
            let expected = counter(to, "rx_packets")?.saturating_sub(before.1);
            drain(&seen, expected);
            stop.store(true, Ordering::Release);
            sent?;
            let joined = thread.join().map_err(|_| anyhow::anyhow!("the receiver broke off"))?;
            Ok((joined?, took))
        })?;
        let sent = counter(from, "tx_packets")?.saturating_sub(before.0);
        let delivered = counter(to, "rx_packets")?.saturating_sub(before.1);
        let name = clap::ValueEnum::to_possible_value(&receiver)
            .map_or_else(String::new, |name| name.get_name().to_owned());
        Ok(Run {
            receiver: name,
            seconds: report::seconds(took),
            sent,
            frames_per_second: report::rate(sent, took.as_secs_f64()),
            delivered,
            received: outcome.frames,
            lost: delivered.saturating_sub(outcome.frames),
            dropped: outcome.dropped,
            cpu_ns_per_frame: report::rate(
                u64::try_from(outcome.cpu.as_nanos())?,
                report::whole(outcome.frames),
            ),
            events: outcome.events,
        })
    }

    fn send(&self, from: &str) -> Result<()> {
        let sender = send::Sender::open(from).with_context(|| format!("sending on {from} (needs root)"))?;
        let mut frames = frames::Frames::new();
        let begun = Instant::now();
        let end = Duration::from_secs(self.seconds);
        let mut sent: u64 = 0;
        loop {
            let now = begun.elapsed();
            if now >= end {
                return Ok(());
            }
            if self.rate > 0 && report::rate(sent, now.as_secs_f64()) > report::whole(self.rate) {
                std::thread::yield_now();
                continue;
            }
            sent += sender.send(frames.next_batch())? as u64;
        }
    }
}

/// Waits until the receiver has seen all, or has seen nothing new for a second.
fn drain(seen: &AtomicU64, expected: u64) {
    let mut last = (seen.load(Ordering::Relaxed), Instant::now());
    while last.0 < expected && last.1.elapsed() < Duration::from_secs(1) {
        std::thread::yield_now();
        let now = seen.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        }
    }
}

fn ip(words: &[&str]) -> Result<()> {
    command("ip", words)
}

fn command(program: &str, words: &[&str]) -> Result<()> {
    let output =
        Command::new(program).args(words).output().with_context(|| format!("{program} {words:?}"))?;
    ensure!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A counter of an interface (the kernel's `ABI/testing/sysfs-class-net-statistics`).
fn counter(interface: &str, name: &str) -> Result<u64> {
    let path = format!("/sys/class/net/{interface}/statistics/{name}");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    text.trim().parse().with_context(|| path)
}
