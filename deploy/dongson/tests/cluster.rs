//! The roles as processes of their own over a real Kafka: analyzers come, go and are killed in the middle of a stream.
//!
//! Needs the store engine (`deploy/fetch-engine`) and what `deploy/kafka/run` needs; without them it fails and says so.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at its first surprise")]

#[allow(dead_code, reason = "what is for `dongson up` is not used here")]
mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Target, ask, command, eventually, json, make_agency, make_key};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dongson");
const AGENCY: &str = "xa-cum";
/// The sources of the agency, in several partitions of the events.
const SOURCES: usize = 10;
/// Addresses that each fail once at every source: ten times in all, which is what the shipped rule counts.
const ADDRESSES: usize = 90;
const PATIENCE: Duration = Duration::from_secs(90);

/// A process that is killed when the test ends.
struct Process(Child);

impl Process {
    /// SIGTERM, and a clean end.
    fn stop(mut self) {
        assert!(Command::new("kill").arg(self.0.id().to_string()).status().unwrap().success());
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return assert!(status.success(), "{status}");
            }
            assert!(Instant::now() < until, "it did not stop");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// SIGKILL.
impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

struct Cluster {
    folder: TempDir,
    data: PathBuf,
    started: usize,
    _store: Process,
    /// It ends with its standard input, which is in here.
    kafka: Child,
}

impl Cluster {
    fn start() -> Self {
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let (kafka, bootstrap) = kafka();
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let any = "127.0.0.1:0";
        let config = format!(
            "metrics = \"{any}\"\n[console]\nlisten = \"{any}\"\n[collector]\nhttps = \"{any}\"\nsyslog_udp = \"off\"\n\
             syslog_tcp = \"off\"\nsyslog_tls = \"off\"\nrelp = \"off\"\n[analyzer]\nlateness_seconds = 3\n\
             [bus.kafka]\nbootstrap = \"{bootstrap}\"\npartitions = 6\nreplication = 1\n"
        );
        fs::write(folder.path().join("cluster.toml"), config).unwrap();
        let store = spawn(
            &folder.path().join("store.log"),
            &["store", "--data", data.join("store").to_str().unwrap()],
        );
        eventually(PATIENCE, || ask(&data, "SELECT 1") == Ok(1));
        Self { folder, data, started: 0, _store: store, kafka }
    }

    fn role(&mut self, role: &str) -> Process {
        self.started += 1;
        let log = self.folder.path().join(format!("{}-{role}.log", self.started));
        let config = self.folder.path().join("cluster.toml");
        spawn(&log, &[role, "--data", self.data.to_str().unwrap(), "--config", config.to_str().unwrap()])
    }

    /// What a role that has started wrote down.
    fn running(&self, role: &str, process: &Process) -> Option<Value> {
        let text = fs::read_to_string(self.data.join(format!("running-{role}.json"))).ok()?;
        serde_json::from_str::<Value>(&text).ok().filter(|running| running["process"] == process.0.id())
    }

    fn wait_for(&self, role: &str, process: &mut Process) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(running) = self.running(role, process) {
                return running;
            }
            let ended = process.0.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < until, "the {role} did not start:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn logs(&self) -> String {
        let mut text = String::new();
        for entry in fs::read_dir(self.folder.path()).unwrap().map(Result::unwrap) {
            if entry.path().extension().is_some_and(|ending| ending == "log") {
                let log = fs::read_to_string(entry.path()).unwrap();
                let tail: Vec<&str> = log.lines().rev().take(40).collect();
                let lines: Vec<&str> = tail.into_iter().rev().collect();
                text.extend(["--- ", &entry.path().display().to_string(), "\n", &lines.join("\n"), "\n"]);
            }
        }
        text
    }

    fn count(&self, sql: &str) -> u64 {
        ask(&self.data, sql).unwrap_or_else(|error| panic!("{sql}: {error}\n{}", self.logs()))
    }

    /// Waits until the query gives at least `wanted`.
    fn wait_count(&self, sql: &str, wanted: u64) {
        let until = Instant::now() + PATIENCE;
        while self.count(sql) < wanted {
            assert!(Instant::now() < until, "{sql}: {} of {wanted}\n{}", self.count(sql), self.logs());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.kafka.stdin.take());
        drop(self.kafka.wait());
    }
}

fn spawn(log: &Path, arguments: &[&str]) -> Process {
    let log = fs::File::create(log).unwrap();
    let child = Command::new(PROGRAM)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    Process(child)
}

/// A Kafka of one broker, and where it answers.
fn kafka() -> (Child, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kafka/run");
    let mut child = Command::new(&script)
        .arg("--until-eof")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", script.display()));
    let mut bootstrap = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        if let Some(address) = line.strip_prefix("bootstrap ") {
            bootstrap = Some(address.to_owned());
        }
        if line == "ready" {
            return (child, bootstrap.expect("it says where it answers"));
        }
    }
    let ended = child.wait().unwrap();
    panic!("{} did not start ({ended}): see above what it lacks", script.display());
}

/// Every source sends one body in each round; in which round an address fails at a source differs, so that what belongs
/// together is spread over a third of the stream.
fn body(source: usize, round: usize, rounds: usize) -> String {
    let failed = |address: usize| {
        json(&[
            ("event.dataset", "sshd"),
            ("sshd.event", "Failed"),
            ("event.outcome", "failure"),
            ("host.name", "web01"),
            ("source.ip", &format!("203.0.113.{address}")),
        ])
    };
    let mine = (0..ADDRESSES).filter(|address| (address + source) % rounds == round);
    mine.map(failed).chain([json(&[("message", &format!("{source} {round}"))])]).collect()
}

/// One analyzer, a second one beside it, the first killed, a third, the second stopped: every event is stored once, and
/// each correlation counts each event once, wherever it stood.
#[test]
fn analyzers_come_and_go() {
    const ROUNDS: usize = 30;
    let mut cluster = Cluster::start();
    let mut collector = cluster.role("collector");
    let address = cluster.wait_for("collector", &mut collector)["collector"].as_str().unwrap().to_owned();
    let data = cluster.data.to_str().unwrap().to_owned();
    make_agency(&data, AGENCY);
    let keys: Vec<String> =
        (0..SOURCES).map(|source| make_key(&data, AGENCY, &format!("nguon-{source}"))).collect();
    let target = Target::new(&cluster.data, &address);
    let mut analyzers = vec![cluster.role("analyzer")];
    cluster.wait_for("analyzer", &mut analyzers[0]);
    let stored = "SELECT count() FROM dongson.events WHERE organization_id = 'xa-cum'";
    let mut sent = 0;
    for round in 0..ROUNDS {
        for (source, key) in keys.iter().enumerate() {
            let body = body(source, round, ROUNDS);
            sent += body.lines().count() as u64;
            target.post(key, &format!("round {round}"), &body).unwrap();
        }
        match round {
            6 => {
                // The first analyzer is at work; the second takes partitions from it.
                cluster.wait_count(stored, sent / 2);
                analyzers.push(cluster.role("analyzer"));
            }
            12 => {
                cluster.wait_for("analyzer", &mut analyzers[1]);
                cluster.wait_count(stored, sent * 3 / 4);
                drop(analyzers.remove(0));
            }
            18 => {
                analyzers.push(cluster.role("analyzer"));
                cluster.wait_for("analyzer", &mut analyzers[1]);
            }
            24 => {
                cluster.wait_count(stored, sent * 3 / 4);
                analyzers.remove(0).stop();
            }
            _ => {}
        }
    }
    cluster.wait_count(stored, sent);
    let signals =
        "SELECT count() FROM dongson.signals WHERE rule_id = 'b7847156-6482-4161-9e56-27b40045efbf'";
    cluster.wait_count(signals, ADDRESSES as u64);
    let last = analyzers.remove(0);
    last.stop();
    assert_eq!(cluster.count(stored), sent, "{}", cluster.logs());
    let distinct = "SELECT uniqExact(event_id) FROM dongson.events WHERE organization_id = 'xa-cum'";
    assert_eq!(cluster.count(distinct), sent);
    // Ten of ten at each address, once: what one analyzer finds in this log.
    assert_eq!(cluster.count(signals), ADDRESSES as u64, "{}", cluster.logs());
    assert_eq!(cluster.count(&format!("{signals} AND count = 10")), ADDRESSES as u64);
    let alerts = "SELECT count() FROM dongson.alerts WHERE organization_id = 'xa-cum' AND rule_id = 'b7847156-6482-4161-9e56-27b40045efbf'";
    assert_eq!(cluster.count(alerts), ADDRESSES as u64, "{}", cluster.logs());
    collector.stop();
}

#[test]
fn a_role_alone_asks_for_kafka() {
    let folder = tempfile::tempdir().unwrap();
    for role in ["collector", "analyzer"] {
        let output = command(&[role, "--data", folder.path().to_str().unwrap(), "--metrics", "off"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("[bus.kafka]") && text.contains("dongson up"), "{text}");
    }
    let output = command(&["console", "--data", folder.path().to_str().unwrap(), "--metrics", "off"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("dongson store --data"), "{text}");
}
