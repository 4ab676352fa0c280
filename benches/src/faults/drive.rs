//! One seed from start to verdict: the world is made, everybody sends, faults come by the schedule, everything is
//! restored, and what is there is compared with what was promised.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use dongson_registry::{Registry, Scope};
use dongson_sensor::ship::enrol;

use super::check::{Alerts, Row, Verdict, check};
use super::client::{Client, Naming, Repeats};
use super::history::History;
use super::link::Link;
use super::machine::Machine;
use super::mark::{SINGLE, TRIPLE, write_rules};
use super::pace::Pace;
use super::schedule::{Action, Step, schedule};
use super::sensor::Sensor;
use super::{Faults, PATIENCE, Report, syslog};
use crate::report::seconds;

const AGENCY: &str = "xa-thu-loi";
/// Pause between two looks at the schedule.
const TICK: Duration = Duration::from_millis(20);
/// Pause between two looks at the store while things settle.
const LOOK: Duration = Duration::from_secs(1);
/// Looks in a row that show the same before it counts as settled.
const QUIET: u32 = 4;
/// Nothing more is waited for when nothing has come for so long.
const STILL: Duration = Duration::from_secs(45);
/// Longest that a patient step waits for the system to start.
const HELD: Duration = Duration::from_mins(1);

/// A thread that sends.
type Sender = JoinHandle<Result<Repeats>>;

/// One seed.
pub(super) struct Drive<'f> {
    plan: &'f Faults,
    seed: u64,
    link: Link,
    machine: Machine,
    history: Arc<History>,
    clients: Vec<Arc<Client>>,
    sensors: Vec<Sensor>,
    counts: BTreeMap<&'static str, u64>,
    over: Arc<AtomicBool>,
}

impl<'f> Drive<'f> {
    /// Makes the world in `folder`.
    pub(super) fn new(plan: &'f Faults, seed: u64, folder: &Path) -> Result<Self> {
        let rules = folder.join("rules");
        write_rules(&rules)?;
        let link = Link::make()?;
        let machine = Machine::start(&plan.dongson, folder, &rules)?;
        machine.admin(&["agency", AGENCY, "Xã thử lỗi", "--name-en", "Faults"], "agency")?;
        let mut clients = Vec::new();
        for (lane, naming) in [("n0", Naming::Key), ("b0", Naming::Id), ("b1", Naming::Body)] {
            let secret = machine.admin(&["key", AGENCY, &format!("may-chu-{lane}")], "secret")?;
            let client = Client::new(lane.to_owned(), naming, Machine::https(), machine.client()?, secret)?;
            clients.push(Arc::new(client));
        }
        let history = Arc::new(History::default());
        let mut drive = Self {
            plan,
            seed,
            link,
            machine,
            history,
            clients,
            sensors: Vec::new(),
            counts: BTreeMap::new(),
            over: Arc::new(AtomicBool::new(false)),
        };
        for number in 0..plan.sensors {
            drive.add_sensor(number, folder.join(format!("sensor-{number}")))?;
        }
        Ok(drive)
    }

    fn add_sensor(&mut self, number: u8, data: PathBuf) -> Result<()> {
        let token = self.machine.admin(&["token", AGENCY, &format!("cam-bien-{number}")], "token")?;
        enrol(&Machine::url(), &token, &data)?;
        // Every other sensor's clock is wrong, where clocks may be.
        let wrong = number % 2 == 1 && self.plan.kinds.contains(&super::Fault::Clock);
        let ahead = if wrong { 90 } else { 0 };
        let pace = (self.plan.rate, ahead);
        self.sensors.push(Sensor::start(&self.link, &self.history, data, format!("s{number}"), pace)?);
        Ok(())
    }

    /// Sends, breaks, restores, waits, compares.
    pub(super) fn run(mut self) -> Result<Report> {
        let time = Duration::from_secs(self.plan.seconds);
        let steps = schedule(self.seed, &self.plan.kinds, time, Duration::from_secs(self.plan.every));
        let mut senders = self.send();
        self.faults(&steps, time, &senders)?;
        self.restore()?;
        self.over.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        let mut sensors = std::mem::take(&mut self.sensors);
        senders.push(thread::spawn(move || {
            sensors.iter_mut().for_each(Sensor::close);
            sensors.iter_mut().try_for_each(Sensor::finish)?;
            Ok(Repeats::default())
        }));
        let repeats = self.join(senders)?;
        let verdict = self.settle()?;
        let settled_seconds = seconds(begun.elapsed());
        self.machine.stop()?;
        let ended_by_itself = self.machine.ended_by_itself;
        Ok(Report {
            seed: self.seed,
            seconds: self.plan.seconds,
            faults: self.counts.clone(),
            starts: self.machine.starts(),
            ended_by_itself,
            requests_unanswered: repeats.unanswered,
            requests_repeated: repeats.acknowledged,
            settled_seconds,
            whole: !verdict.is_broken() && ended_by_itself == 0,
            verdict,
        })
    }

    /// Starts the clients and the senders of syslog.
    fn send(&self) -> Vec<Sender> {
        let mut senders = Vec::new();
        for client in &self.clients {
            let (client, history) = (Arc::clone(client), Arc::clone(&self.history));
            let (pace, seed) = (self.pace(), self.seed);
            senders.push(thread::spawn(move || client.run(&history, pace, seed, PATIENCE)));
        }
        for lane in ["t0", "t1"] {
            let (history, pace) = (Arc::clone(&self.history), self.pace());
            senders.push(thread::spawn(move || {
                syslog::run(lane, Machine::syslog(), &history, pace, PATIENCE)?;
                Ok(Repeats::default())
            }));
        }
        senders
    }

    fn pace(&self) -> Pace {
        Pace::new(self.plan.rate, Arc::clone(&self.over))
    }

    /// Does what the schedule says; ends early when a sender has given up. A patient step waits for the system, and all
    /// that follow wait with it.
    fn faults(&mut self, steps: &[Step], time: Duration, senders: &[Sender]) -> Result<()> {
        let (begun, mut held) = (Instant::now(), Duration::ZERO);
        let mut steps = steps.iter().peekable();
        while begun.elapsed().saturating_sub(held) < time && !senders.iter().any(JoinHandle::is_finished) {
            self.machine.tend()?;
            let due = |step: &&Step| step.at <= begun.elapsed().saturating_sub(held);
            if let Some(step) = steps.next_if(due) {
                if step.patient {
                    held += self.hold()?;
                }
                self.act(step.action)?;
            } else {
                sleep(TICK);
            }
        }
        Ok(())
    }

    /// Waits until the system serves, but not for ever: how long it took. A full disk is not waited for.
    fn hold(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        while !self.machine.is_ready() && !self.machine.disk_full && begun.elapsed() < HELD {
            self.machine.tend()?;
            sleep(TICK);
        }
        Ok(begun.elapsed())
    }

    fn act(&mut self, action: Action) -> Result<()> {
        let done = match action {
            Action::KillWhole { down, clock } => self.machine.kill(down, clock).map(|()| true),
            Action::CutPower { down, clock } => self.machine.cut_power(down, clock).map(|()| true),
            Action::KillStore => self.machine.kill_store(),
            Action::KillSensor(number) => {
                let count = self.sensors.len() as u64;
                let which = usize::try_from(number.checked_rem(count).unwrap_or(0)).unwrap_or(0);
                let sensor = self.sensors.get_mut(which).context("there is no sensor")?;
                sensor.kill(&self.link, &self.history).map(|()| true)
            }
            Action::CutLink => self.link.cut().map(|()| true),
            Action::JoinLink => self.link.join().map(|()| true),
            Action::LoseAnswer { client, early } => {
                let count = self.clients.len() as u64;
                let which = usize::try_from(client.checked_rem(count).unwrap_or(0)).unwrap_or(0);
                self.clients.get(which).context("there is no client")?.road.lose_answer(early);
                Ok(true)
            }
            Action::FillDisk => {
                self.machine.disk_full = true;
                self.machine.disk.fill().map(|()| true)
            }
            Action::FreeDisk => {
                self.machine.disk_full = false;
                self.machine.disk.free().map(|()| true)
            }
        };
        if done.with_context(|| action.name())? {
            *self.counts.entry(action.name()).or_default() += 1;
        }
        Ok(())
    }

    /// Everything is as it should be again.
    fn restore(&mut self) -> Result<()> {
        self.link.join()?;
        self.machine.disk.free()?;
        self.machine.disk_full = false;
        self.machine.wait_ready()
    }

    /// Waits until all senders have ended; the first error of one is told.
    fn join(&mut self, senders: Vec<Sender>) -> Result<Repeats> {
        while !senders.iter().all(JoinHandle::is_finished) {
            self.machine.tend()?;
            sleep(TICK);
        }
        let mut sum = Repeats::default();
        for sender in senders {
            let one = sender.join().map_err(|_| anyhow!("a sender panicked"))??;
            sum.unanswered += one.unanswered;
            sum.acknowledged += one.acknowledged;
        }
        Ok(sum)
    }

    /// Waits until nothing is on its way any more, or nothing more comes.
    fn settle(&mut self) -> Result<Verdict> {
        let runs = self.history.runs();
        let (mut seen, mut since, mut quiet) = (0, Instant::now(), 0);
        loop {
            self.machine.tend()?;
            // A store that is away, or a queue that is busy, is asked again.
            let looked = self.rows().and_then(|rows| Ok((rows, self.alerts()?)));
            if let Ok((rows, alerts)) = &looked {
                let verdict = check(&runs, rows, alerts, self.machine.clocks());
                let now = rows.len() + alerts.len();
                quiet = if now == seen { quiet + 1 } else { 0 };
                if now != seen {
                    (seen, since) = (now, Instant::now());
                }
                // What is doubled may come last.
                if since.elapsed() > STILL || (quiet >= QUIET && !verdict.is_waiting()) {
                    return Ok(verdict);
                }
            }
            if since.elapsed() > PATIENCE {
                looked.context("the store or the queue cannot be read")?;
            }
            sleep(LOOK);
        }
    }

    fn rows(&self) -> Result<Vec<Row>> {
        let said = self.machine.ask(
            "SELECT message, toUnixTimestamp64Milli(event_ingested) FROM dongson.events \
             WHERE startsWith(message, 'fault-') AND NOT mapContains(rest, 'dongson.record.cut') FORMAT TabSeparated",
        )?;
        let row = |line: &str| {
            let (message, ingested) = line.split_once('\t')?;
            Some(Row { message: message.to_owned(), ingested_ms: ingested.parse().ok()? })
        };
        said.lines().map(|line| row(line).with_context(|| format!("the store answered {line:?}"))).collect()
    }

    /// The alerts in the store and in the queue.
    fn alerts(&self) -> Result<Alerts> {
        let mut alerts = Alerts::new();
        let said = self.machine.ask(&format!(
            "SELECT entity_value, count() FROM dongson.alerts WHERE rule_id IN ('{SINGLE}', '{TRIPLE}') \
             GROUP BY entity_value FORMAT TabSeparated"
        ))?;
        for line in said.lines() {
            let (host, count) = line.split_once('\t').context("the store answered no count")?;
            alerts.entry(host.to_owned()).or_default().stored += count.parse::<u64>()?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let registry = Registry::open(&self.machine.data().join("registry.sqlite")).await?;
            let mut after = 0;
            loop {
                let (some, next) = registry.alerts_changed(&Scope::All, after, 1_000).await?;
                if some.is_empty() {
                    break;
                }
                after = next;
                for alert in some.into_iter().filter(|one| one.rule_id == SINGLE || one.rule_id == TRIPLE) {
                    let seen = alerts.entry(alert.entity_value).or_default();
                    seen.queued += 1;
                    seen.counted += u64::try_from(alert.count).unwrap_or(0);
                }
            }
            registry.close().await;
            Ok::<_, anyhow::Error>(())
        })?;
        Ok(alerts)
    }
}
