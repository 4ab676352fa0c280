//! A system of its own: `dongson up` in a temporary folder on free ports, ended with the value.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use tempfile::TempDir;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::cost::Cost;

/// Longest time to start; a debug build on a busy machine takes its time.
const START: Duration = Duration::from_secs(90);
/// Longest time to stop.
const STOP: Duration = Duration::from_mins(1);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Longest request.
const REQUEST: Duration = Duration::from_mins(1);

/// As `deploy/free-ports` prints it.
const FREE_PORTS: &str = "metrics = \"127.0.0.1:0\"\n[console]\nlisten = \"127.0.0.1:0\"\n[collector]\nhttps = \"127.0.0.1:0\"\nsyslog_udp = \"127.0.0.1:0\"\nsyslog_tcp = \"127.0.0.1:0\"\nsyslog_tls = \"127.0.0.1:0\"\nrelp = \"127.0.0.1:0\"\n";

/// Where a running system answers (`running.json`).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Running {
    /// HTTPS: sensors, NDJSON.
    pub(crate) collector: SocketAddr,
    /// Syslog over TCP.
    pub(crate) syslog_tcp: SocketAddr,
}

/// How the store is reached (`store/connection.json`).
#[derive(Debug, Deserialize)]
pub(crate) struct Reach {
    url: String,
    writer_key: String,
}

impl Reach {
    /// Of the system whose data is in `data`.
    pub(crate) fn of(data: &Path) -> Result<Self> {
        read(&data.join("store/connection.json")).context("reading how the store is reached")
    }

    /// Gives the store a statement (with `body` as the data of an insert) and answers what it says.
    pub(crate) fn ask(&self, agent: &ureq::Agent, sql: &str, body: &[u8]) -> Result<Vec<u8>> {
        let mut answer = agent
            .post(&self.url)
            .query("query", sql)
            .header("x-clickhouse-user", "writer")
            .header("x-clickhouse-key", &self.writer_key)
            .send(body)
            .with_context(|| format!("asking the store {sql:?}"))?;
        let status = answer.status();
        let said = answer.body_mut().with_config().limit(512 << 20).read_to_vec()?;
        ensure!(status.is_success(), "the store refused {sql:?}: {}", String::from_utf8_lossy(&said).trim());
        Ok(said)
    }
}

/// Runs `dongson admin` over the data in `data` and answers what it says.
pub(crate) fn admin(program: &Path, data: &Path, arguments: &[&str]) -> Result<serde_json::Value> {
    let output = Command::new(program)
        .arg("admin")
        .args(arguments)
        .args(["--format", "json", "--data"])
        .arg(data)
        .output()
        .with_context(|| format!("starting {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "dongson admin {arguments:?}: {}", said.trim());
    serde_json::from_slice(&output.stdout).context("the answer of dongson admin is not JSON")
}

/// A client that trusts the collector whose data is in `data`.
pub(crate) fn trusting(data: &Path) -> Result<ureq::Agent> {
    let pem = fs::read(data.join("collector/ca/ca.pem")).context("reading the authority")?;
    let root = Certificate::from_pem(&pem)?;
    let roots = RootCerts::new_with_certs(&[root]);
    Ok(client(TlsConfig::builder().root_certs(roots).build()))
}

/// A client for the store.
pub(crate) fn store_agent() -> ureq::Agent {
    let agent = ureq::Agent::config_builder().timeout_global(Some(REQUEST)).http_status_as_error(false);
    agent.build().into()
}

/// A running system.
#[derive(Debug)]
pub(crate) struct System {
    folder: TempDir,
    program: PathBuf,
    process: Child,
    running: Running,
    store: Reach,
    agent: ureq::Agent,
}

impl System {
    /// Starts `program` and waits until it serves.
    pub(crate) fn start(program: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("dongson-bench-").tempdir()?;
        let data = folder.path().join("data");
        fs::create_dir(&data)?;
        let config = folder.path().join("free.toml");
        fs::write(&config, FREE_PORTS)?;
        let log = fs::File::create(folder.path().join("log"))?;
        let process = Command::new(program)
            .arg("up")
            .arg("--data")
            .arg(&data)
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        // From here on the process ends with this value, whatever fails.
        let mut guard = Guard(Some(process));
        let running: Running = guard.wait_for(&data.join("running.json"), folder.path())?;
        let store = Reach::of(&data)?;
        let process = guard.0.take().context("the process is held until here")?;
        Ok(Self { folder, program: program.to_owned(), process, running, store, agent: store_agent() })
    }

    /// Where it answers.
    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// The collector's HTTPS as sensors are told it.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.running.collector)
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A new folder for something of ours beside the data.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the process itself and its store have cost so far.
    pub(crate) fn costs(&self) -> (Cost, Cost) {
        let pid = self.process.id();
        (Cost::of(pid), Cost::of_children(pid))
    }

    /// Enters an agency.
    pub(crate) fn make_agency(&self, id: &str) -> Result<()> {
        self.admin(&["agency", id, "Xã thử tải", "--name-en", "Load test"]).map(drop)
    }

    /// Makes an API key for a source and answers its secret.
    pub(crate) fn make_key(&self, agency: &str, source: &str) -> Result<String> {
        word(&self.admin(&["key", agency, source])?, "secret")
    }

    /// Makes an enrolment token for a sensor.
    pub(crate) fn make_token(&self, agency: &str, node: &str) -> Result<String> {
        word(&self.admin(&["token", agency, node])?, "token")
    }

    fn admin(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        admin(&self.program, &self.data(), arguments)
    }

    /// A client that trusts the collector.
    pub(crate) fn client(&self) -> Result<ureq::Agent> {
        trusting(&self.data())
    }

    /// Gives the store a statement (with `body` as the data of an insert) and answers what it says.
    pub(crate) fn store(&self, sql: &str, body: &[u8]) -> Result<Vec<u8>> {
        self.store.ask(&self.agent, sql, body)
    }

    /// The number that a query gives.
    pub(crate) fn number(&self, sql: &str) -> Result<u64> {
        let said = self.store(&format!("{sql} FORMAT TabSeparated"), b"")?;
        let said = String::from_utf8_lossy(&said);
        said.trim().parse().with_context(|| format!("the store answered {said:?} to {sql:?}"))
    }

    /// Tells it to end and waits; an error when it did not end well.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let told = Command::new("kill").arg(self.process.id().to_string()).status()?;
        ensure!(told.success(), "the system had ended before it was told to:\n{}", tail(self.folder.path()));
        let until = Instant::now() + STOP;
        loop {
            if let Some(status) = self.process.try_wait()? {
                ensure!(status.success(), "the system ended with {status}:\n{}", tail(self.folder.path()));
                return Ok(());
            }
            ensure!(Instant::now() < until, "the system did not stop:\n{}", tail(self.folder.path()));
            sleep(LOOK);
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// A client with this TLS.
pub(crate) fn client(tls: TlsConfig) -> ureq::Agent {
    let agent = ureq::Agent::config_builder().tls_config(tls).timeout_global(Some(REQUEST));
    agent.http_status_as_error(false).build().into()
}

/// A process that must not outlive a failed start.
struct Guard(Option<Child>);

impl Guard {
    fn wait_for(&mut self, path: &Path, folder: &Path) -> Result<Running> {
        let until = Instant::now() + START;
        loop {
            if let Ok(running) = read(path) {
                return Ok(running);
            }
            let ended = self.0.as_mut().and_then(|child| child.try_wait().ok()).flatten();
            if ended.is_some() || Instant::now() >= until {
                bail!("dongson up did not start:\n{}", tail(folder));
            }
            sleep(LOOK);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(child) = self.0.as_mut() {
            end(child);
        }
    }
}

/// Kills and reaps; a process that has ended already is as good.
fn end(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// A text of an answer of `dongson admin`.
pub(crate) fn word(answer: &serde_json::Value, name: &str) -> Result<String> {
    let word = answer.get(name).and_then(serde_json::Value::as_str);
    word.map(str::to_owned).with_context(|| format!("the answer of dongson admin has no {name}"))
}

/// The last lines of the log.
fn tail(folder: &Path) -> String {
    tail_of(&folder.join("log"))
}

/// The last lines of a file.
pub(crate) fn tail_of(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
}
