//! A fleet: many sensors, each with its own certificate, spool and link over mutual TLS, a third of them cut off in turn;
//! every event must be a row, once. Then how many of them a machine would carry.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::Args;
use dongson_event::{Event, Timestamp};
use dongson_sensor::ship::{Identity, ShipOptions, Shipper, enrol};
use serde::Serialize;

use crate::cost::Cost;
use crate::faults::road::Road;
use crate::lane::AGENCY;
use crate::report::{print, rate, seconds, whole};
use crate::system::System;

/// How long a third is cut off.
const CUT: Duration = Duration::from_secs(10);
/// How long the spools may take to empty at the end.
const PATIENCE: Duration = Duration::from_mins(10);
/// The wait for rows ends when none has come for so long.
const STILL: Duration = Duration::from_mins(1);
/// Pause between two pushes of a sensor, and between two looks at them all.
const TICK: Duration = Duration::from_millis(100);
/// A sensor that was held up catches up at most so many ticks at once.
const SAVED_TICKS: u64 = 20;
/// The machine of the estimate: its cores, and how much of them may be used.
const CORES: f64 = 8.0;
const USED: f64 = 0.7;

/// Measures a fleet.
#[derive(Debug, Args)]
#[command(
    after_help = "example: dongson-bench fleet --dongson target/release/dongson --sensors 60 --rate 500 --seconds 600\nExit code 1: events were lost or doubled."
)]
pub(crate) struct Fleet {
    /// The program that is measured.
    #[arg(long)]
    dongson: PathBuf,
    /// Sensors.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(3..=1_000))]
    sensors: u16,
    /// Events in a second and sensor.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=100_000))]
    rate: u64,
    /// How long they are sent.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
}

/// What came out.
#[derive(Debug, Serialize)]
struct Outcome {
    sensors: u16,
    /// Events that the sensors made.
    made: u64,
    /// Rows in the store.
    rows: u64,
    lost: u64,
    doubled: u64,
    /// How often a third was cut off.
    cuts: u64,
    /// From the first event to the last row seen.
    seconds: f64,
    events_per_second: f64,
    /// Connections that were made in all.
    connections: u64,
    /// The most that waited in all spools together, in KiB.
    spool_peak_kib: u64,
    generator: Cost,
    dongson: Cost,
    store: Cost,
    cpu_seconds_per_million_events: f64,
    nodes_on_8_cores: f64,
    arithmetic: String,
}

/// What all threads see.
#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    /// Bytes in the spool of each sensor.
    spools: Vec<AtomicU64>,
}

impl Fleet {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let mut system = System::start(&self.dongson)?;
        system.make_agency(AGENCY)?;
        let mut roads = Vec::new();
        for number in 0..self.sensors {
            let road = Road::open(system.running().collector)?;
            let token = system.make_token(AGENCY, &node(number))?;
            enrol(&road.url(), &token, &system.scratch(&node(number)))?;
            roads.push(road);
        }
        let spools = (0..self.sensors).map(|_| AtomicU64::new(0)).collect();
        let shared = Arc::new(Shared { over: AtomicBool::new(false), spools });
        let (dongson, store) = system.costs();
        let (generator, begun) = (Cost::of(std::process::id()), Instant::now());
        let mut senders: Vec<JoinHandle<Result<u64>>> = Vec::new();
        for number in 0..self.sensors {
            let (folder, shared, rate) = (system.scratch(&node(number)), Arc::clone(&shared), self.rate);
            senders.push(thread::spawn(move || send(number, &folder, rate, &shared)));
        }
        let (cuts, spool_peak) = self.cut(&roads, &shared, &senders, begun);
        shared.over.store(true, Ordering::Relaxed);
        let mut made = Vec::new();
        for sender in senders {
            made.push(sender.join().map_err(|_| anyhow!("a sensor panicked"))??);
        }
        let total: u64 = made.iter().sum();
        let took = wait(&system, total, begun)?;
        let (dongson_now, store_now) = system.costs();
        let (dongson, store) = (dongson_now.since(dongson), store_now.since(store));
        let (mut lost, mut doubled, mut rows) = (0, 0, 0);
        for (number, made) in (0..).zip(&made) {
            let (found, distinct) = found(&system, number)?;
            rows += found;
            lost += made.saturating_sub(distinct);
            doubled += found.saturating_sub(distinct);
        }
        let per_event = (dongson.cpu_seconds + store.cpu_seconds) / whole(total.max(1));
        let nodes = (CORES * USED / (per_event * whole(self.rate))).floor();
        let mut arithmetic = String::new();
        // Writing to a `String` cannot fail.
        let _written = write!(
            arithmetic,
            "{CORES} cores x {USED} / ({:.1} us of processor per event x {} events/s) = {nodes} nodes",
            per_event * 1e6,
            self.rate
        );
        let outcome = Outcome {
            sensors: self.sensors,
            made: total,
            rows,
            lost,
            doubled,
            cuts,
            seconds: seconds(took),
            events_per_second: rate(rows, took.as_secs_f64()),
            connections: roads.iter().map(Road::connections).sum(),
            spool_peak_kib: spool_peak >> 10,
            generator: Cost::of(std::process::id()).since(generator),
            dongson,
            store,
            cpu_seconds_per_million_events: (per_event * 1e8).round() / 100.0,
            nodes_on_8_cores: nodes,
            arithmetic,
        };
        print(&outcome)?;
        system.stop()?;
        Ok(if lost + doubled == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Cuts one third after the other until the time is over; in the end all are joined. How many cuts there were, and
    /// the most bytes that waited.
    fn cut(
        &self,
        roads: &[Road],
        shared: &Shared,
        senders: &[JoinHandle<Result<u64>>],
        begun: Instant,
    ) -> (u64, u64) {
        let (time, mut peak, mut turn) = (Duration::from_secs(self.seconds), 0, 0);
        while begun.elapsed() < time && !senders.iter().any(JoinHandle::is_finished) {
            let now = 1 + begun.elapsed().as_secs() / CUT.as_secs();
            if now != turn {
                turn = now;
                for (number, road) in (0..).zip(roads) {
                    road.close(number % 3 == turn % 3);
                }
            }
            peak = peak.max(shared.spools.iter().map(|bytes| bytes.load(Ordering::Relaxed)).sum());
            sleep(TICK);
        }
        for road in roads {
            road.close(false);
        }
        (turn, peak)
    }
}

fn node(number: u16) -> String {
    format!("cam-bien-{number:03}")
}

/// One sensor, until the end; how many events it made, all of them acknowledged.
fn send(number: u16, folder: &std::path::Path, rate: u64, shared: &Shared) -> Result<u64> {
    let identity = Identity::load(folder)?;
    let mut shipper = Shipper::start(folder, &identity, ShipOptions::default())?;
    let (begun, mut made, mut ticks) = (Instant::now(), 0, 0_u64);
    while !shared.over.load(Ordering::Relaxed) {
        let now = u64::try_from(begun.elapsed().as_millis() / TICK.as_millis()).unwrap_or(u64::MAX);
        for _ in 0..(now.saturating_sub(ticks).min(SAVED_TICKS) * rate / 10) {
            shipper.push(event(number, made))?;
            made += 1;
        }
        ticks = now;
        shipper.flush_old()?;
        if let Some(bytes) = shared.spools.get(usize::from(number)) {
            bytes.store(shipper.backlog().0, Ordering::Relaxed);
        }
        sleep(TICK);
    }
    let counts = shipper.finish(PATIENCE)?;
    ensure!(counts.lost + counts.refused == 0, "{}: {counts:?}", node(number));
    Ok(made)
}

/// A conversation, as a sensor tells it, with its number.
fn event(sensor: u16, number: u64) -> Event {
    let now = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());
    let mut event = Event::of("sensor.conn", now);
    let low = number % 250;
    event.set("event.kind", "event");
    event.set("source.ip", format!("10.38.{}.{low}", sensor % 250));
    event.set("source.port", i64::try_from(32_768 + number % 28_000).unwrap_or_default());
    event.set("destination.ip", format!("10.39.10.{low}"));
    event.set("destination.port", 443_i64);
    event.set("network.transport", "tcp");
    event.set("dongson.conn.state", "SF");
    event.set("source.bytes", i64::try_from(200 + number % 4_000).unwrap_or_default());
    event.set("destination.bytes", i64::try_from(400 + number % 60_000).unwrap_or_default());
    event.set("message", format!("fleet {sensor} {number}"));
    event
}

/// Waits until `total` rows are there, or no more come; the time from `begun` until the last of them was seen.
fn wait(system: &System, total: u64, begun: Instant) -> Result<Duration> {
    let mut last = (0, begun.elapsed());
    loop {
        let rows = system.number("SELECT count() FROM dongson.events WHERE startsWith(message, 'fleet ')")?;
        if rows != last.0 {
            last = (rows, begun.elapsed());
        }
        if rows >= total || begun.elapsed().saturating_sub(last.1) > STILL {
            return Ok(last.1);
        }
        sleep(TICK * 5);
    }
}

/// Rows of a sensor, and different numbers among them.
fn found(system: &System, number: u16) -> Result<(u64, u64)> {
    let said = system.store(
        &format!(
            "SELECT count(), uniqExact(message) FROM dongson.events WHERE organization_id = '{AGENCY}' \
             AND observer_name = '{}' AND startsWith(message, 'fleet {number} ') FORMAT TabSeparated",
            node(number)
        ),
        b"",
    )?;
    let said = String::from_utf8(said).context("the store's answer is no text")?;
    let (rows, distinct) = said.trim().split_once('\t').context("the store answered no counts")?;
    Ok((rows.parse()?, distinct.parse()?))
}
