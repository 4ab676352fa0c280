//! Throughput: records in, rows out, and every acknowledged record must be a row, once.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::cost::Cost;
use crate::lane::{AGENCY, Lane, agency};
use crate::load::{Load, Sent, send};
use crate::record::Kind;
use crate::report::{print, rate, seconds};
use crate::system::System;
use crate::yardstick::{self, Yardstick};

/// The wait for rows ends when none has come for so long.
const STILL: Duration = Duration::from_secs(30);
/// How often rows are counted: the precision of the end, and little work for the store.
const COUNT: Duration = Duration::from_millis(250);

/// Measures throughput.
#[derive(Debug, Args)]
#[command(
    after_help = "examples:\n  dongson-bench ingest --dongson target/release/dongson              (syslog, as fast as it goes)\n  dongson-bench ingest --dongson target/release/dongson --sensor --rate 20000 --seconds 60\nExit code 1: records were lost, or stored twice."
)]
pub(crate) struct Ingest {
    /// The program that is measured.
    #[arg(long)]
    dongson: PathBuf,
    /// How long records are sent.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Records in a second; default: as many as are taken.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    #[command(flatten)]
    way: Way,
    /// Connections at once, each another sender.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    lanes: u8,
    /// Records of one request, or of one write.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    batch: u64,
    /// Where the made-up numbers begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Which way in.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Way {
    /// RFC 5424 over TCP with octet counting (default).
    #[arg(long)]
    syslog: bool,
    /// Batches of sensors over mutual TLS.
    #[arg(long)]
    sensor: bool,
    /// NDJSON over HTTPS with API keys.
    #[arg(long)]
    ndjson: bool,
}

impl Way {
    fn kind(&self) -> (Kind, &'static str) {
        match (self.sensor, self.ndjson) {
            (true, _) => (Kind::Sensor, "sensor"),
            (_, true) => (Kind::Ndjson, "ndjson"),
            _ => (Kind::Syslog, "syslog"),
        }
    }
}

/// What came out.
#[derive(Debug, Serialize)]
struct Outcome {
    way: &'static str,
    seed: u64,
    lanes: u8,
    batch: u64,
    sent: u64,
    acknowledged: u64,
    /// Rows in the store.
    rows: u64,
    /// Different events among them.
    distinct: u64,
    /// Records that no parser took; also rows, but of another kind than was sent.
    unparsed: u64,
    alerts: u64,
    requests_sent_again: u64,
    megabytes: u64,
    /// From the first byte sent to the last.
    send_seconds: f64,
    /// Rows that were there when the last byte had been sent.
    rows_when_sent: u64,
    /// From the first byte sent to the last row seen.
    seconds: f64,
    events_per_second: f64,
    generator: Cost,
    dongson: Cost,
    store: Cost,
    alone: Yardstick,
}

impl Ingest {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let (kind, way) = self.way.kind();
        let mut system = System::start(&self.dongson)?;
        system.make_agency(AGENCY)?;
        let lanes = (0..self.lanes).map(|number| Lane::open(&system, kind, number)).collect::<Result<_>>()?;
        let time = Duration::from_secs(self.seconds);
        let load = Load { kind, seed: self.seed, batch: self.batch, rate: self.rate, time };

        let (dongson, store) = system.costs();
        let generator = own_cost();
        let begin = Instant::now();
        let sent = send(load, lanes, &AtomicBool::new(false))?;
        let send_seconds = seconds(begin.elapsed());
        let generator = own_cost().since(generator);
        let agency = agency(kind);
        let rows_when_sent = rows(&system, agency, "count()")?;
        let (rows, until_last) = wait(&system, agency, sent, begin)?;
        let (dongson_now, store_now) = system.costs();

        let outcome = Outcome {
            way,
            seed: self.seed,
            lanes: self.lanes,
            batch: self.batch,
            sent: sent.begun,
            acknowledged: sent.acknowledged,
            rows,
            distinct: self::rows(&system, agency, "uniqExact(event_id)")?,
            unparsed: self::rows(&system, agency, "countIf(event_dataset = 'dongson.unparsed')")?,
            alerts: system.number("SELECT count() FROM dongson.alerts")?,
            requests_sent_again: sent.again,
            megabytes: sent.bytes / 1_000_000,
            send_seconds,
            rows_when_sent,
            seconds: seconds(until_last),
            events_per_second: rate(rows, until_last.as_secs_f64()),
            generator,
            dongson: dongson_now.since(dongson),
            store: store_now.since(store),
            alone: yardstick::measure(&system, agency, rows, sent.bytes, self.batch)?,
        };
        print(&outcome)?;
        system.stop()?;
        Ok(if outcome.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Outcome {
    /// Everything that was acknowledged is there, once, and was understood.
    fn is_whole(&self) -> bool {
        let same = self.sent == self.acknowledged && self.acknowledged == self.rows;
        same && self.rows == self.distinct && self.unparsed == 0
    }
}

fn own_cost() -> Cost {
    Cost::of(std::process::id())
}

/// `what` over the rows of an agency, without those that the system writes about itself.
fn rows(system: &System, agency: &str, what: &str) -> Result<u64> {
    system.number(&format!(
        "SELECT {what} FROM dongson.events WHERE organization_id = '{agency}' AND event_dataset != 'dongson.health'"
    ))
}

/// Waits until as many rows are there as were acknowledged, or no more come. Answers the rows, and the time from
/// `begin` until the last of them was seen.
fn wait(system: &System, agency: &str, sent: Sent, begin: Instant) -> Result<(u64, Duration)> {
    let mut last = (0, begin.elapsed());
    loop {
        let found = rows(system, agency, "count()")?;
        if found != last.0 {
            last = (found, begin.elapsed());
        }
        if found >= sent.acknowledged || begin.elapsed().saturating_sub(last.1) > STILL {
            return Ok(last);
        }
        sleep(COUNT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_word_it_is_syslog() {
        let way = Way { syslog: false, sensor: false, ndjson: false };
        assert_eq!(way.kind(), (Kind::Syslog, "syslog"));
        assert_eq!(Way { sensor: true, ..way }.kind().0, Kind::Sensor);
    }
}
