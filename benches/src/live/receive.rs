//! The ways of receiving: the sensor's ring and its portable socket, with the engine and without, and libpcap's.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use dongson_sensor::Options;
use dongson_sensor::capture::portable::Portable;
use dongson_sensor::capture::ring::{Ring, RingOptions};
use dongson_sensor::live::{Backend, Capture, LiveOptions};
use rustix::time::{ClockId, clock_gettime};

use crate::cost::Cost;

/// A way of receiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Receiver {
    /// The sensor's ring with its whole engine.
    Ring,
    /// The ring alone: frames are counted.
    RingBare,
    /// The portable socket (pnet) with the whole engine.
    Portable,
    /// The portable socket alone.
    PortableBare,
    /// libpcap's receiver: tcpdump, which writes to nowhere.
    Libpcap,
}

impl Receiver {
    pub(super) const ALL: [Self; 5] =
        [Self::Ring, Self::RingBare, Self::Portable, Self::PortableBare, Self::Libpcap];
}

/// What a receiver has seen, and what it cost.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) frames: u64,
    pub(super) events: u64,
    pub(super) dropped: Option<u64>,
    pub(super) cpu: Duration,
}

/// Longest wait for frames at a time.
const WAIT: Duration = Duration::from_millis(20);

impl Receiver {
    /// Receives until `stop`; tells when it has begun and how many frames it has seen.
    pub(super) fn receive(
        self,
        interface: &str,
        ready: &AtomicBool,
        stop: &AtomicBool,
        seen: &AtomicU64,
    ) -> Result<Received> {
        let going = || !stop.load(Ordering::Acquire);
        let (mut frames, mut events) = (0, 0);
        let begun = thread_time();
        let mut dropped = None;
        match self {
            Self::Ring | Self::Portable => {
                let backend = if self == Self::Ring { Backend::Ring } else { Backend::Portable };
                let live =
                    LiveOptions { interfaces: vec![interface.to_owned()], backend, ..LiveOptions::default() };
                let mut capture = Capture::open(&live, &Options::default())?;
                ready.store(true, Ordering::Release);
                while going() {
                    capture.poll(&mut |_| events += 1)?;
                    seen.store(capture.counts()?.frames, Ordering::Relaxed);
                }
                let counts = capture.finish(&mut |_| events += 1)?;
                (frames, dropped) = (counts.frames, counts.dropped);
            }
            Self::RingBare => {
                let mut ring = Ring::open(&[interface.to_owned()], None, RingOptions::default())?;
                ready.store(true, Ordering::Release);
                while going() {
                    frames += ring.poll(WAIT, &mut |_| {})? as u64;
                    seen.store(frames, Ordering::Relaxed);
                }
                dropped = Some(ring.statistics()?.dropped);
            }
            Self::PortableBare => {
                let mut portable = Portable::open(interface, None)?;
                ready.store(true, Ordering::Release);
                while going() {
                    frames += portable.poll(&mut |_| {})? as u64;
                    seen.store(frames, Ordering::Relaxed);
                }
            }
            Self::Libpcap => return tcpdump(interface, ready, stop),
        }
        Ok(Received { frames, events, dropped, cpu: thread_time().saturating_sub(begun) })
    }
}

fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// A child that reads with libpcap; it says itself how many frames it had and how many were dropped.
fn tcpdump(interface: &str, ready: &AtomicBool, stop: &AtomicBool) -> Result<Received> {
    let mut child = Command::new("tcpdump")
        .args(["-i", interface, "-n", "-B", "65536", "-s", "65535", "-w", "/dev/null"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("tcpdump (install tcpdump, or leave libpcap out with --receiver)")?;
    let mut told = BufReader::new(child.stderr.take().context("the error output of tcpdump")?);
    let mut line = String::new();
    while told.read_line(&mut line)? > 0 && !line.contains("listening on") {
        line.clear();
    }
    ready.store(true, Ordering::Release);
    while !stop.load(Ordering::Acquire) {
        std::thread::park_timeout(WAIT);
    }
    let cpu = Duration::from_secs_f64(Cost::of(child.id()).cpu_seconds);
    Command::new("kill").args(["-INT", &child.id().to_string()]).status()?;
    let lines: Vec<String> = told.lines().collect::<std::io::Result<_>>()?;
    child.wait()?;
    let count = |what: &str| {
        let line = lines.iter().find(|line| line.contains(what))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Ok(Received {
        frames: count("captured").context("tcpdump did not say how many packets it captured")?,
        events: 0,
        dropped: count("dropped by kernel"),
        cpu,
    })
}
