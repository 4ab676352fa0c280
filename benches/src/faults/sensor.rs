//! Simulated sensors: processes of this program that push numbered events through the sensor's own spool and link, so that
//! they can be killed and cut off like real ones.
//!
//! A sensor says on its standard output `begun N` before it pushes the numbers below N, and `kept N` when its disk has
//! them. It ends when its standard input does, once everything is acknowledged.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use dongson_event::{Event, Timestamp};
use dongson_sensor::ship::{Identity, ShipOptions, Shipper};

use super::client::now_ms;
use super::history::{History, Way};
use super::link::Link;
use super::mark::{BLOCK, Mark};
use super::pace::Pace;

/// The name of the hidden command.
pub(crate) const COMMAND: &str = "faults-sensor";
/// Datasets of different classes: batches of one go before those of another.
const DATASETS: [&str; 3] = ["sensor.conn", "sensor.dns", "sensor.file"];
/// Events between two flushes: small batches, many sequences.
const FLUSH: u64 = 5 * BLOCK;

/// What a simulated sensor is told.
#[derive(Debug, Args)]
pub(crate) struct Simulated {
    /// Folder of the enrolled sensor.
    #[arg(long)]
    data: PathBuf,
    /// Name of its lane.
    #[arg(long)]
    lane: String,
    /// Which start this is.
    #[arg(long)]
    run: u32,
    /// Events in a second.
    #[arg(long)]
    rate: u64,
    /// By how many seconds its clock is ahead.
    #[arg(long, allow_negative_numbers = true)]
    clock_offset: i64,
    /// How long the end may take, in seconds.
    #[arg(long)]
    patience: u64,
}

impl Simulated {
    /// Runs until standard input ends; fails when something stays in the spool or was lost.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let identity = Identity::load(&self.data)?;
        let mut shipper = Shipper::start(&self.data, &identity, ShipOptions::default())?;
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        thread::spawn(move || {
            // Whatever is read, and an error too: the end is the end.
            drop(std::io::stdin().read_to_end(&mut Vec::new()));
            told.store(true, Ordering::Relaxed);
        });
        let (mut pace, mut next) = (Pace::new(self.rate, over), 0);
        while pace.wait() {
            let upto = next + BLOCK;
            say("begun", upto)?;
            for number in next..upto {
                shipper.push(self.event(number))?;
            }
            if upto.is_multiple_of(FLUSH) {
                self.keep(&mut shipper, upto)?;
            }
            pace.spend(BLOCK);
            next = upto;
        }
        self.keep(&mut shipper, next)?;
        shipper.finish(Duration::from_secs(self.patience))?;
        Ok(ExitCode::SUCCESS)
    }

    fn keep(&self, shipper: &mut Shipper, upto: u64) -> Result<()> {
        shipper.flush()?;
        let lost = shipper.counts().lost;
        ensure!(lost == 0, "{}: the spool lost {lost} events", self.lane);
        say("kept", upto)
    }

    fn event(&self, number: u64) -> Event {
        let mark = Mark { lane: &self.lane, run: self.run, number, made_ms: now_ms() };
        let at = Timestamp::from_millis(mark.made_ms.saturating_add(self.clock_offset.saturating_mul(1_000)));
        // A triple is of one class.
        let dataset = usize::try_from(number / BLOCK).unwrap_or(0) % DATASETS.len();
        let mut event = Event::of(DATASETS.get(dataset).copied().unwrap_or("sensor.conn"), at);
        event.set("host.name", mark.host());
        event.set("message", mark.message());
        event
    }
}

#[expect(clippy::print_stdout, reason = "this is how the parent is told")]
fn say(word: &str, upto: u64) -> Result<()> {
    println!("{word} {upto}");
    Ok(std::io::stdout().flush()?)
}

/// A simulated sensor that is started again after each kill.
#[derive(Debug)]
pub(crate) struct Sensor {
    data: PathBuf,
    lane: String,
    rate: u64,
    clock_offset: i64,
    run: u32,
    process: Child,
    input: Option<ChildStdin>,
    reader: Option<JoinHandle<()>>,
}

impl Sensor {
    /// Starts a sensor that is enrolled in `data`, at the other end of `link`.
    pub(crate) fn start(
        link: &Link,
        history: &Arc<History>,
        data: PathBuf,
        lane: String,
        (rate, clock_offset): (u64, i64),
    ) -> Result<Self> {
        let process = spawn(link, &data, &lane, 0, (rate, clock_offset))?;
        let mut sensor = Self { data, lane, rate, clock_offset, run: 0, process, input: None, reader: None };
        sensor.listen(history)?;
        Ok(sensor)
    }

    /// kill -9, and a new start.
    pub(crate) fn kill(&mut self, link: &Link, history: &Arc<History>) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        self.join()?;
        self.run += 1;
        self.process = spawn(link, &self.data, &self.lane, self.run, (self.rate, self.clock_offset))?;
        self.listen(history)
    }

    /// Tells it to end.
    pub(crate) fn close(&mut self) {
        self.input = None;
    }

    /// Waits until it has ended, which it does once everything is acknowledged; [`Sensor::close`] comes before.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let status = self.process.wait()?;
        self.join()?;
        ensure!(
            status.success(),
            "sensor {} ended with {status}: what its spool holds was not acknowledged",
            self.lane
        );
        Ok(())
    }

    /// Writes into the history what the process says.
    fn listen(&mut self, history: &Arc<History>) -> Result<()> {
        self.input = self.process.stdin.take();
        let output = self.process.stdout.take().context("the sensor has no output")?;
        let (history, lane, run) = (Arc::clone(history), self.lane.clone(), self.run);
        let read = move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                match line.split_once(' ').and_then(|(word, upto)| Some((word, upto.parse().ok()?))) {
                    Some(("begun", upto)) => history.begin(Way::Sensor, &lane, run, upto),
                    Some(("kept", upto)) => history.promise(&lane, run, upto),
                    _ => {}
                }
            }
        };
        self.reader = Some(thread::Builder::new().name(format!("reads {}", self.lane)).spawn(read)?);
        Ok(())
    }

    fn join(&mut self) -> Result<()> {
        let reader = self.reader.take().map_or(Ok(()), JoinHandle::join);
        reader.map_err(|_| anyhow::anyhow!("reading sensor {} panicked", self.lane))
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        // One that has ended already is as good.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn spawn(
    link: &Link,
    data: &PathBuf,
    lane: &str,
    run: u32,
    (rate, clock_offset): (u64, i64),
) -> Result<Child> {
    let this: OsString = std::env::current_exe()?.into();
    let log = std::fs::File::options().create(true).append(true).open(data.with_extension("log"))?;
    let mut command = there(link, this);
    command.arg("--data").arg(data).args(["--lane", lane, "--run", &run.to_string()]);
    command.args(["--rate", &rate.to_string(), "--clock-offset", &clock_offset.to_string()]);
    command.args(["--patience", &super::PATIENCE.as_secs().to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
    command.spawn().with_context(|| format!("starting sensor {lane}"))
}

fn there(link: &Link, this: OsString) -> Command {
    let mut command = link.there(this);
    command.arg(COMMAND);
    command
}
