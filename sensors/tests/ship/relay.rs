//! A running, confined sensor that takes the site's own logs too, and is killed with -9 meanwhile.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;

use crate::stub::{Authority, Mode, State, Stub};
use crate::{acknowledged, running, sensor, wanted};

/// Killed with -9 when it is dropped, also by a test that fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn start(data: &Path, inputs: &Path, limits: &Path) -> Killed {
    let mut command = sensor(&["run", "--interface", "lo", "--filter", "port 1", "--data"]);
    command.arg(data).arg("--relay").arg(inputs).arg("--limits").arg(limits);
    Killed(running(command.stderr(Stdio::null())))
}

fn append(path: &Path, lines: std::ops::Range<u32>) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    let text: String = lines.map(|number| format!("{{\"event_type\":\"dns\",\"n\":{number}}}\n")).collect();
    file.write_all(text.as_bytes()).unwrap();
}

/// How often each record came, by its text.
fn records(stub: &Stub) -> BTreeMap<String, usize> {
    let mut sequences = BTreeMap::new();
    for batch in acknowledged(stub) {
        sequences.insert((batch.epoch, batch.sequence), batch.lines());
    }
    let mut found = BTreeMap::new();
    let lines = sequences.into_values().flatten();
    for line in lines.filter(|line| line["event.dataset"] == "sensor.relay") {
        *found.entry(line["event.original"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    found
}

/// How many lines of relayed records are acknowledged.
fn count(state: &State) -> usize {
    let batches = state.batches.iter().filter(|batch| batch.acknowledged);
    batches.flat_map(crate::Batch::lines).filter(|line| line["event.dataset"] == "sensor.relay").count()
}

#[test]
fn every_line_of_a_file_comes_once_over_kill_9_and_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let (data, logs) = (folder.path().join("sensor"), folder.path().join("logs"));
    for path in [&data, &logs] {
        fs::create_dir(path).unwrap();
    }
    let authority = Arc::new(Authority::new());
    let stub = Stub::start(&authority, Mode::Take, true);
    authority.enrolled(&data, stub.address, 90);
    let eve = logs.join("eve.json");
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (inputs, limits) = (folder.path().join("relay.toml"), folder.path().join("limits.toml"));
    fs::write(
        &inputs,
        format!("[relay.suricata]\nfile = {eve:?}\n[relay.firewall]\nudp = \"127.0.0.1:{port}\"\nenabled = false\n"),
    )
    .unwrap();
    fs::write(&limits, "trial_seconds = 1\nsettings = [\"relay\"]\n").unwrap();

    append(&eve, 0..3_000);
    for round in 1..=3_u32 {
        let killed = start(&data, &inputs, &limits);
        // Killed while records are on their way.
        stub.wait(|state| count(state) > 1_000 * round as usize);
        append(&eve, 3_000 * round..3_000 * round + 1_500);
        drop(killed);
        append(&eve, 3_000 * round + 1_500..3_000 * (round + 1));
        fs::rename(&eve, logs.join(format!("eve.json.{round}"))).unwrap();
        append(&eve, 0..0);
    }
    stub.state().desired = Some(wanted(1, r#"{"relay":["firewall","suricata"]}"#));
    let killed = start(&data, &inputs, &limits);
    stub.wait(|state| count(state) >= 12_000);
    // What the owner left off, the centre puts on.
    stub.wait(|state| state.reports.iter().any(|report| report["relay"]["firewall"]["on"] == true));
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"<13>from the firewall", ("127.0.0.1", port)).unwrap();
    stub.wait(|state| count(state) > 12_000);
    drop(killed);

    let mut found = records(&stub);
    assert_eq!(found.remove("<13>from the firewall"), Some(1));
    let twice: Vec<_> = found.iter().filter(|(_, times)| **times != 1).collect();
    assert_eq!((found.len(), twice.len()), (12_000, 0), "{twice:?}");
    let report = stub.state().reports.last().unwrap().clone();
    assert_eq!(report["relay"]["suricata"]["problem"], serde_json::Value::Null, "{report}");
}
