//! A system of its own in a temporary folder on free ports; it is ended when the test ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dongson");
/// A debug build on a busy machine takes its time.
const START: Duration = Duration::from_secs(90);

/// Waits until `holds`; fails after `patience`.
#[track_caller]
pub(crate) fn eventually(patience: Duration, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + patience;
    while !holds() {
        assert!(Instant::now() < until, "it did not come true within {patience:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a command of the program.
pub(crate) fn command(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

/// One JSON object on a line.
pub(crate) fn json(fields: &[(&str, &str)]) -> String {
    let object: serde_json::Map<String, Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    Value::Object(object).to_string() + "\n"
}

/// Enters an agency.
pub(crate) fn make_agency(data: &str, agency: &str) {
    let made = command(&["admin", "agency", "--data", data, agency, "Xã thử nghiệm", "--name-en", "Test"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// The secret of a new key for a source of an agency.
pub(crate) fn make_key(data: &str, agency: &str, source: &str) -> String {
    let made = command(&["admin", "key", "--data", data, agency, source, "--format", "json"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let answer: Value = serde_json::from_slice(&made.stdout).unwrap();
    answer["secret"].as_str().unwrap().to_owned()
}

/// The number that a query gives, asked of the store in `data` directly.
pub(crate) fn ask(data: &Path, sql: &str) -> Result<u64, String> {
    let text = said(data, &format!("{sql} FORMAT TabSeparated"))?;
    text.parse().map_err(|_| text)
}

/// What the store in `data` answers to a statement, as whoever may do everything there.
pub(crate) fn said(data: &Path, sql: &str) -> Result<String, String> {
    let reach = data.join("store/connection.json");
    let text = fs::read_to_string(&reach).map_err(|error| format!("{}: {error}", reach.display()))?;
    let reach: Value = serde_json::from_str(&text).unwrap();
    let mut answer = ureq::post(reach["url"].as_str().unwrap())
        .header("x-clickhouse-user", "writer")
        .header("x-clickhouse-key", reach["writer_key"].as_str().unwrap())
        .config()
        .http_status_as_error(false)
        .build()
        .send(sql)
        .map_err(|error| error.to_string())?;
    let text = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
    if answer.status().is_success() { Ok(text.trim().to_owned()) } else { Err(text) }
}

pub(crate) struct System {
    folder: TempDir,
    data: PathBuf,
    process: Option<Child>,
}

impl System {
    pub(crate) fn new() -> Self {
        // The tests use both providers' users in one process: clients here, servers in the children.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let any = "127.0.0.1:0";
        fs::write(
            folder.path().join("free.toml"),
            format!(
                "metrics = \"{any}\"\n[console]\nlisten = \"{any}\"\n[collector]\nhttps = \"{any}\"\nsyslog_udp = \"{any}\"\n\
                 syslog_tcp = \"{any}\"\nsyslog_tls = \"{any}\"\nrelp = \"{any}\"\n"
            ),
        )
        .unwrap();
        Self { folder, data, process: None }
    }

    pub(crate) fn data(&self) -> &str {
        self.data.to_str().unwrap()
    }

    pub(crate) fn start(&mut self) {
        drop(fs::remove_file(self.data.join("running.json")));
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let config = self.folder.path().join("free.toml");
        let child = Command::new(PROGRAM)
            .args(["up", "--data", self.data(), "--config", config.to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(child);
        let until = Instant::now() + START;
        while self.running().is_none() {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < until, "dongson up did not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn running(&self) -> Option<Value> {
        serde_json::from_str(&fs::read_to_string(self.data.join("running.json")).ok()?).ok()
    }

    /// Enters an agency and answers the secret of a new key for a source of it.
    pub(crate) fn make_key(&self, agency: &str, source: &str) -> String {
        make_agency(self.data(), agency);
        make_key(self.data(), agency, source)
    }

    pub(crate) fn target(&self) -> Target {
        let running = self.running().expect("the system runs");
        Target::new(&self.data, running["collector"].as_str().unwrap())
    }

    /// Kills the process with SIGKILL while `busy` runs on another thread.
    pub(crate) fn kill_during(&mut self, busy: impl FnOnce(&Target) + Send) {
        let target = self.target();
        let child = self.process.as_mut().expect("the system runs");
        std::thread::scope(|scope| {
            scope.spawn(move || busy(&target));
            child.kill().unwrap();
            child.wait().unwrap();
        });
        self.process = None;
    }

    /// The number that a query gives, asked of the store directly.
    pub(crate) fn count(&self, sql: &str) -> u64 {
        ask(&self.data, sql).unwrap_or_else(|error| panic!("{sql}: {error}\n{}", self.log()))
    }

    fn machine(&self, path: &str) -> (u16, String) {
        let address = self.running().unwrap()["metrics"].as_str().unwrap().to_owned();
        let mut answer = ureq::get(format!("http://{address}{path}")).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    pub(crate) fn health(&self) -> (u16, String) {
        self.machine("/healthz")
    }

    pub(crate) fn metrics(&self) -> String {
        self.machine("/metrics").1
    }

    /// SIGTERM; the process must end by itself with exit code 0.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.process.take() else { return };
        let ended = Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(ended.success());
        let until = Instant::now() + Duration::from_mins(1);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "it did not stop:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        };
        assert!(status.success(), "{status}\n{}", self.log());
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if let Some(child) = self.process.as_mut() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The way to the collector's HTTPS.
pub(crate) struct Target {
    agent: ureq::Agent,
    url: String,
}

impl Target {
    /// The collector at `address`, whose data is in `data`.
    pub(crate) fn new(data: &Path, address: &str) -> Self {
        let pem = fs::read(data.join("collector/ca/ca.pem")).unwrap();
        let root = Certificate::from_pem(&pem).unwrap();
        let agent = ureq::Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root])).build())
            .timeout_global(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            .build()
            .into();
        Self { agent, url: format!("https://{address}") }
    }

    /// Sends `count` events as batch `number`: the same number is the same batch.
    pub(crate) fn send(&self, key: &str, number: usize, count: usize) -> Result<u64, String> {
        let body: String =
            (0..count).map(|event| json(&[("message", &format!("batch {number} event {event}"))])).collect();
        self.post(key, &format!("batch-{number}"), &body).map(|()| count as u64)
    }

    pub(crate) fn post(&self, key: &str, idempotency: &str, body: &str) -> Result<(), String> {
        let mut answer = self
            .agent
            .post(format!("{}/v1/events", self.url))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/x-ndjson")
            .header("idempotency-key", idempotency)
            .send(body)
            .map_err(|error| error.to_string())?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(format!("{} {}", answer.status(), answer.body_mut().read_to_string().unwrap_or_default()))
    }
}
