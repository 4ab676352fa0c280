//! Latency: from the moment at which an attack is sent until its alert is in the queue, under an ordinary load.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use dongson_registry::{Registry, Scope};
use jiff::Timestamp;
use serde::Serialize;

use crate::lane::{AGENCY, Http, Lane};
use crate::load::{Load, Sent, send};
use crate::record::{Batch, Kind, attack};
use crate::report::print;
use crate::system::System;

/// The shipped rule that the attacks match: SQL injection attempt.
const RULE: &str = "3a3048f2-8ac0-47d1-bb5a-3f8a253df218";
/// How often the queue is looked at: the precision of the measurement.
const LOOK: Duration = Duration::from_millis(5);
/// Longest wait for the last alert after the last attack.
const PATIENCE: Duration = Duration::from_mins(1);
/// The load runs for so long before the first attack.
const WARM: Duration = Duration::from_secs(3);
/// Lanes of the ordinary load.
const LANES: u8 = 2;

/// Measures latency.
#[derive(Debug, Args)]
#[command(
    after_help = "example: dongson-bench latency --dongson target/release/dongson --rate 2000 --alerts 200\nExit code 1: an alert is missing."
)]
pub(crate) struct Latency {
    /// The program that is measured.
    #[arg(long)]
    dongson: PathBuf,
    /// Ordinary records in a second.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(10..))]
    rate: u64,
    /// How many attacks are sent, each from another address.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=50_000))]
    alerts: u16,
    /// Time between two attacks in milliseconds.
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    every_ms: u64,
    /// Where the made-up numbers begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What came out; times in milliseconds from sending to the row in the registry.
#[derive(Debug, Serialize)]
struct Outcome {
    seed: u64,
    rate: u64,
    ordinary_records: u64,
    attacks: usize,
    alerts: usize,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// When an attack from an address was sent, or its alert seen.
type Moment = (String, Instant);

impl Latency {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let mut system = System::start(&self.dongson)?;
        system.make_agency(AGENCY)?;
        let lanes =
            (0..LANES).map(|number| Lane::open(&system, Kind::Ndjson, number)).collect::<Result<_>>()?;
        let attacker = Http::with_key(&system, "cong-dich-vu")?;
        let registry = system.data().join("registry.sqlite");
        let stop = AtomicBool::new(false);
        // Ten requests in a second and lane, so that the load is even.
        let batch = (self.rate / (10 * u64::from(LANES))).max(1);
        let time = WARM + self.time() + PATIENCE;
        let load = Load { kind: Kind::Ndjson, seed: self.seed, batch, rate: Some(self.rate), time };
        let (tell, seen) = channel();

        let (ordinary, sent, seen) = thread::scope(|scope| -> Result<_> {
            let load = scope.spawn(|| send(load, lanes, &stop));
            let watcher = scope.spawn(|| watch(&registry, usize::from(self.alerts), &stop, &tell));
            let sent = self.attack(attacker, &stop);
            let seen = gather(&seen, usize::from(self.alerts), &stop);
            stop.store(true, Ordering::Relaxed);
            let finished = watcher.join().map_err(|_| anyhow!("the watcher panicked"))?;
            let ordinary: Sent = load.join().map_err(|_| anyhow!("the load panicked"))??;
            finished?;
            Ok((ordinary, sent?, seen))
        })?;
        let times = times(&sent, &seen);
        let outcome = Outcome {
            seed: self.seed,
            rate: self.rate,
            ordinary_records: ordinary.acknowledged,
            attacks: sent.len(),
            alerts: times.len(),
            p50_ms: percentile(&times, 50),
            p90_ms: percentile(&times, 90),
            p99_ms: percentile(&times, 99),
            max_ms: percentile(&times, 100),
        };
        print(&outcome)?;
        system.stop()?;
        let whole = outcome.alerts == outcome.attacks && outcome.attacks == usize::from(self.alerts);
        Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// How long the attacks take.
    fn time(&self) -> Duration {
        Duration::from_millis(self.every_ms).saturating_mul(u32::from(self.alerts))
    }

    /// Sends the attacks at their times.
    fn attack(&self, mut attacker: Http, stop: &AtomicBool) -> Result<Vec<Moment>> {
        sleep(WARM);
        let begin = Instant::now();
        let mut sent = Vec::with_capacity(usize::from(self.alerts));
        for number in 0..self.alerts {
            let due = Duration::from_millis(self.every_ms).saturating_mul(u32::from(number));
            sleep(due.saturating_sub(begin.elapsed()));
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let [high, low] = number.to_be_bytes();
            // RFC 2544's network for measurements.
            let source = format!("198.18.{high}.{low}");
            let batch = Batch { text: attack(&source, Timestamp::now()), records: 1 };
            let at = Instant::now();
            attacker.send(&batch)?;
            sent.push((source, at));
        }
        Ok(sent)
    }
}

/// Tells of each alert of the rule when its row is seen, until `count` were seen or `stop` is true.
fn watch(registry: &std::path::Path, count: usize, stop: &AtomicBool, tell: &Sender<Moment>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let watched = runtime.block_on(async {
        let registry = Registry::open(registry).await.context("opening the registry")?;
        let (mut after, mut seen) = (0, 0);
        while seen < count && !stop.load(Ordering::Relaxed) {
            let (alerts, next) = registry.alerts_changed(&Scope::All, after, 1_000).await?;
            let now = Instant::now();
            after = next;
            for alert in alerts.into_iter().filter(|alert| alert.rule_id == RULE && alert.count == 1) {
                seen += 1;
                // Nobody listens any more only when the measurement is over.
                let _told = tell.send((alert.entity_value, now));
            }
            tokio::time::sleep(LOOK).await;
        }
        registry.close().await;
        Ok(())
    });
    if watched.is_err() {
        stop.store(true, Ordering::Relaxed);
    }
    watched
}

/// The first `count` moments, or those that come in time.
fn gather(seen: &Receiver<Moment>, count: usize, stop: &AtomicBool) -> Vec<Moment> {
    let until = Instant::now() + PATIENCE;
    let mut moments = Vec::with_capacity(count);
    while moments.len() < count && Instant::now() < until && !stop.load(Ordering::Relaxed) {
        if let Ok(moment) = seen.recv_timeout(Duration::from_millis(100)) {
            moments.push(moment);
        }
    }
    moments
}

/// The times between sending and seeing in milliseconds, shortest first; an address counts once.
fn times(sent: &[Moment], seen: &[Moment]) -> Vec<f64> {
    let mut first: HashMap<&str, Instant> = HashMap::new();
    for (source, at) in seen {
        first.entry(source).or_insert(*at);
    }
    let mut times: Vec<f64> = sent
        .iter()
        .filter_map(|(source, at)| Some(first.get(source.as_str())?.saturating_duration_since(*at)))
        .map(|time| time.as_secs_f64() * 1_000.0)
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

/// The nearest-rank percentile of sorted `times`; 0 when there are none.
fn percentile(times: &[f64], percent: usize) -> f64 {
    let rank = (times.len() * percent).div_ceil(100).max(1);
    times.get(rank - 1).map_or(0.0, |time| (time * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_by_nearest_rank() {
        let times: Vec<f64> = (1..=200).map(f64::from).collect();
        let close = |percent, expected: f64| assert!((percentile(&times, percent) - expected).abs() < 1e-9);
        close(50, 100.0);
        close(99, 198.0);
        close(100, 200.0);
        assert!(percentile(&[], 50).abs() < 1e-9);
    }

    #[test]
    fn a_time_needs_both_moments() {
        let now = Instant::now();
        let later = now + Duration::from_millis(20);
        let moment = |source: &str, at| (source.to_owned(), at);
        let found = times(
            &[moment("a", now), moment("b", now)],
            &[moment("a", later), moment("a", later + Duration::from_secs(1)), moment("c", now)],
        );
        assert_eq!(found.len(), 1);
        assert!((found[0] - 20.0).abs() < 1e-6);
    }
}
