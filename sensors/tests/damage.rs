//! Damaged captures: cut, with flipped bytes, and whole. No crash, little time, little memory.
//!
//! Each case is one run of the real program, so that its peak memory and processor time are its own. The captures are those
//! that the test builds itself, and those of the shared set (as [`folder`] finds it; where it is missing the test says
//! "skipped" and the built ones remain). By default a seeded sample of the set runs; `DONGSON_DAMAGE=all` takes every
//! capture with [`CUTS`] cuts. Damage comes from a fixed seed and the name of the file: a failure can be run again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "how much was tried is what the run is for")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use fastrand::Rng;

/// Places at which a capture of the whole set is cut.
const CUTS: usize = 20;
/// Captures of the sample, and cuts of each.
const SAMPLE: (usize, usize) = (60, 2);
/// Longest processor time of one case; a build without optimisation is several times slower than the one that ships.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most memory of one case in KiB.
const MEMORY: u64 = 300 << 10;

/// How a capture is damaged.
#[derive(Debug, Clone, Copy)]
enum Damage {
    None,
    /// Cut at a random place.
    Cut,
    /// One byte in a hundred is another one.
    Flipped,
}

impl Damage {
    fn apply(self, rng: &mut Rng, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        match self {
            Self::None => {}
            Self::Cut => bytes.truncate(rng.usize(0..=bytes.len())),
            Self::Flipped => {
                for _ in 0..bytes.len().div_ceil(100) {
                    let at = rng.usize(0..bytes.len());
                    *bytes.get_mut(at).unwrap() ^= rng.u8(1..);
                }
            }
        }
        bytes
    }
}

/// What one run took.
struct Usage {
    peak_kib: u64,
    time: Duration,
    /// Exit code, and what was written to the standard error.
    end: (Option<i32>, String),
}

/// What all runs took at most.
#[derive(Default)]
struct Report {
    cases: usize,
    peak_kib: u64,
    longest: Duration,
    faults: Vec<String>,
}

impl Report {
    fn add(&mut self, what: &str, usage: &Usage) {
        self.cases += 1;
        self.peak_kib = self.peak_kib.max(usage.peak_kib);
        self.longest = self.longest.max(usage.time);
        let Usage { peak_kib, time, end: (code, text) } = usage;
        // 1 says that there was nothing to read, as in an empty file.
        if !matches!(code, Some(0 | 1)) || text.contains("panicked") {
            self.faults.push(format!("{what}: ended with {code:?}: {text}"));
        }
        if *time > PATIENCE || *peak_kib > MEMORY {
            self.faults.push(format!("{what}: took {time:?} and {peak_kib} KiB"));
        }
    }
}

/// Runs the program over a file.
#[expect(clippy::zombie_processes, reason = "it is waited for by wait4, which the lint does not know")]
fn run(file: &Path) -> Usage {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dongson-sensor"))
        .arg("read")
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut text).unwrap();
    let (status, usage) = support::child::wait(&child);
    let seconds = |time: libc::timeval| {
        Duration::from_secs(u64::try_from(time.tv_sec).unwrap())
            + Duration::from_micros(u64::try_from(time.tv_usec).unwrap())
    };
    Usage {
        peak_kib: u64::try_from(usage.ru_maxrss).unwrap(),
        time: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        end: (status.code(), text),
    }
}

/// Runs a capture whole, cut `cuts` times and with flipped bytes.
fn damage(name: &str, bytes: &[u8], cuts: usize, report: &mut Report) {
    let seed = name.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut rng = Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture");
    let kinds = [Damage::None, Damage::Flipped].into_iter().chain(std::iter::repeat_n(Damage::Cut, cuts));
    for (number, kind) in kinds.enumerate() {
        fs::write(&path, kind.apply(&mut rng, bytes)).unwrap();
        report.add(&format!("{name}, case {number} ({kind:?})"), &run(&path));
    }
}

/// The shared captures: `DONGSON_PCAP_DIR`, else `data/pcap` below `DONGSON_SHARED` or `../shared` beside the workspace.
fn folder() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let shared = std::env::var_os("DONGSON_SHARED").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let folder = std::env::var_os("DONGSON_PCAP_DIR").map_or_else(|| shared.join("data/pcap"), PathBuf::from);
    folder.is_dir().then_some(folder)
}

fn captures(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            captures(&path, all);
        } else if dongson_sensor::follow::is_capture(&path) {
            all.push(path);
        }
    }
}

fn conclude(report: &Report) {
    println!(
        "{} damaged captures: at most {:?} of processor time and {} MiB",
        report.cases,
        report.longest,
        report.peak_kib >> 10
    );
    assert!(report.faults.is_empty(), "{}", report.faults.join("\n"));
}

#[test]
fn built_captures_survive_damage() {
    let mut packets = support::exchange();
    packets.push(support::udp(
        40_000,
        53,
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02vn\x00\x00\x01\x00\x01",
    ));
    packets.push(support::udp(40_000, 514, b"<34>Oct 11 22:14:15 host su: failed"));
    let mut report = Report::default();
    damage("pcap", &support::pcap(&packets, false, false), CUTS, &mut report);
    damage("pcap, big-endian", &support::pcap(&packets, true, true), CUTS, &mut report);
    damage("pcapng", &support::pcapng(&packets, false), CUTS, &mut report);
    assert_eq!(report.cases, 3 * (CUTS + 2));
    conclude(&report);
}

#[test]
fn shared_captures_survive_damage() {
    let Some(folder) = folder() else {
        println!("skipped: no capture set (set DONGSON_PCAP_DIR)");
        return;
    };
    let mut all = Vec::new();
    captures(&folder, &mut all);
    all.sort();
    let whole = std::env::var("DONGSON_DAMAGE").is_ok_and(|value| value == "all");
    let mut cuts = CUTS;
    if !whole {
        Rng::with_seed(4).shuffle(&mut all);
        all.truncate(SAMPLE.0);
        cuts = SAMPLE.1;
    }
    let mut report = Report::default();
    for path in all {
        let name = path.strip_prefix(&folder).unwrap().display().to_string();
        damage(&name, &fs::read(&path).unwrap(), cuts, &mut report);
    }
    conclude(&report);
}
