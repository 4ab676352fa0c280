//! The centre under test: `dongson up` on a disk of its own, started again after each kill, as a service manager would.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::client::now_ms;
use super::disk::Disk;
use super::link::CENTRE;
use crate::cost::children;
use crate::system::{Reach, admin, store_agent, tail_of, trusting, word};

/// Longest time to start; a debug build on a busy machine takes its time.
const START: Duration = Duration::from_mins(3);
/// Pause before a system that ended by itself is started again.
const AGAIN: Duration = Duration::from_millis(500);
/// A system that ends by itself so often will not recover.
const HOPELESS: u64 = 10;
const LOOK: Duration = Duration::from_millis(50);

/// HTTPS of the collector; the network namespace is our own, so every port is free.
const HTTPS: u16 = 9_443;
/// Syslog over TCP.
const SYSLOG: u16 = 5_514;

/// From when on the centre's clock was how far ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    /// By the harness's clock, in milliseconds since 1970 UTC.
    pub(crate) since_ms: i64,
    /// Seconds ahead.
    pub(crate) ahead: i64,
}

/// The system.
#[derive(Debug)]
pub(crate) struct Machine {
    program: PathBuf,
    folder: PathBuf,
    pub(crate) disk: Disk,
    process: Option<Child>,
    /// When it is to be started.
    due: Option<Instant>,
    ahead: i64,
    clocks: Vec<Clock>,
    starts: u64,
    /// How often it ended without being killed while its disk had room.
    pub(crate) ended_by_itself: u64,
    /// True while the disk is full: a system that cannot start then is no fault of its own.
    pub(crate) disk_full: bool,
    agent: ureq::Agent,
}

impl Machine {
    /// Makes the disk and the configuration in `folder`, with the rules of `rules` alone, and starts `program`.
    pub(crate) fn start(program: &Path, folder: &Path, rules: &Path) -> Result<Self> {
        let disk = Disk::make(folder)?;
        let any = "\"127.0.0.1:0\"";
        let text = format!(
            "metrics = {any}\n[console]\nlisten = {any}\n[collector]\nhttps = \"0.0.0.0:{HTTPS}\"\nserver_names = [\"127.0.0.1\", \"{CENTRE}\"]\nsyslog_udp = \"off\"\nsyslog_tcp = \"127.0.0.1:{SYSLOG}\"\nsyslog_tls = \"off\"\nrelp = \"off\"\n[analyzer]\nwithout_shipped_rules = true\nrules = [{:?}]\nlateness_seconds = 2\nbehind_seconds = 5\nidle_seconds = 3\n[store]\nmemory_mib = 1024\n",
            rules.display().to_string()
        );
        fs::write(folder.join("dongson.toml"), text)?;
        let mut machine = Self {
            program: program.to_owned(),
            folder: folder.to_owned(),
            disk,
            process: None,
            due: None,
            ahead: 0,
            clocks: Vec::new(),
            starts: 0,
            ended_by_itself: 0,
            disk_full: false,
            agent: store_agent(),
        };
        machine.spawn()?;
        machine.wait_ready()?;
        Ok(machine)
    }

    /// Where HTTPS answers on the loopback.
    pub(crate) fn https() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], HTTPS))
    }

    /// Where sensors are told to go.
    pub(crate) fn url() -> String {
        format!("https://{CENTRE}:{HTTPS}")
    }

    /// Where syslog over TCP is taken.
    pub(crate) fn syslog() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], SYSLOG))
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.disk.place().join("data")
    }

    /// Its log.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("up.log")
    }

    /// How often it was started.
    pub(crate) fn starts(&self) -> u64 {
        self.starts
    }

    /// How its clock went.
    pub(crate) fn clocks(&self) -> &[Clock] {
        &self.clocks
    }

    /// kill -9, store and all; it is started again after `down` with a clock that is `ahead` seconds ahead.
    pub(crate) fn kill(&mut self, down: Duration, ahead: i64) -> Result<()> {
        self.end()?;
        (self.ahead, self.due) = (ahead, Some(Instant::now() + down));
        Ok(())
    }

    /// The same, and what was not synced is gone.
    pub(crate) fn cut_power(&mut self, down: Duration, ahead: i64) -> Result<()> {
        self.kill(down, ahead)?;
        self.disk.cut_power()
    }

    /// kill -9 of the store's engine; false when there is none at the moment.
    pub(crate) fn kill_store(&mut self) -> Result<bool> {
        let store = self.process.as_ref().and_then(|process| children(process.id()).first().copied());
        let Some(store) = store else { return Ok(false) };
        // One that ended meanwhile is as good.
        Ok(Command::new("kill").args(["-9", &store.to_string()]).stderr(Stdio::null()).status()?.success())
    }

    /// Starts it when it is due; to be called often.
    pub(crate) fn tend(&mut self) -> Result<()> {
        if let Some(process) = self.process.as_mut()
            && let Some(status) = process.try_wait()?
        {
            self.process = None;
            self.due = Some(Instant::now() + AGAIN);
            if !self.disk_full {
                self.ended_by_itself += 1;
                let said = tail_of(&self.log());
                self.note(&format!("=== it ended by itself: {status}\n"))?;
                ensure!(self.ended_by_itself < HOPELESS, "the system ends again and again:\n{said}");
            }
        }
        if self.due.is_some_and(|due| due <= Instant::now()) {
            self.spawn()?;
        }
        Ok(())
    }

    /// True when it serves.
    pub(crate) fn is_ready(&self) -> bool {
        self.process.is_some() && self.data().join("running.json").exists()
    }

    /// Waits until it serves.
    pub(crate) fn wait_ready(&mut self) -> Result<()> {
        let until = Instant::now() + START;
        while !self.is_ready() {
            self.tend()?;
            ensure!(Instant::now() < until, "dongson up did not start:\n{}", tail_of(&self.log()));
            sleep(LOOK);
        }
        Ok(())
    }

    /// Asks the store; an error while it is away.
    pub(crate) fn ask(&self, sql: &str) -> Result<String> {
        let said = Reach::of(&self.data())?.ask(&self.agent, sql, b"")?;
        String::from_utf8(said).context("the store's answer is no text")
    }

    /// A client that trusts the collector.
    pub(crate) fn client(&self) -> Result<ureq::Agent> {
        trusting(&self.data())
    }

    /// Asks `dongson admin` for the text `name` of an answer.
    pub(crate) fn admin(&self, arguments: &[&str], name: &str) -> Result<String> {
        word(&admin(&self.program, &self.data(), arguments)?, name)
    }

    /// Tells it to end and waits.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else { bail!("the system does not run") };
        let told = Command::new("kill").arg(process.id().to_string()).status()?;
        ensure!(told.success(), "the system had ended before it was told to");
        let status = process.wait()?;
        ensure!(status.success(), "the system ended with {status}:\n{}", tail_of(&self.log()));
        Ok(())
    }

    fn spawn(&mut self) -> Result<()> {
        self.due = None;
        // Of a process that was killed: it would say that this one serves.
        drop(fs::remove_file(self.data().join("running.json")));
        self.starts += 1;
        self.clocks.push(Clock { since_ms: now_ms(), ahead: self.ahead });
        self.note(&format!("=== start {}, clock {:+} s\n", self.starts, self.ahead))?;
        let log = self.log_file()?;
        let process = Command::new(&self.program)
            .args(["up", "--clock-offset", &self.ahead.to_string(), "--data"])
            .arg(self.data())
            .arg("--config")
            .arg(self.folder.join("dongson.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))?;
        self.process = Some(process);
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.due = None;
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let theirs = children(process.id());
        process.kill()?;
        process.wait()?;
        // The store ends with its parent; its last breath must not be taken for the next one's.
        let until = Instant::now() + START;
        while theirs.iter().any(|pid| Path::new(&format!("/proc/{pid}/exe")).exists()) {
            ensure!(Instant::now() < until, "the store outlives the system that started it");
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn log_file(&self) -> Result<fs::File> {
        Ok(fs::File::options().create(true).append(true).open(self.log())?)
    }

    fn note(&self, text: &str) -> Result<()> {
        use std::io::Write as _;
        Ok(self.log_file()?.write_all(text.as_bytes())?)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Before the disk is unmounted; what cannot be killed has ended.
        drop(self.end());
    }
}
