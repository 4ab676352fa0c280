//! The road to the collector with real processes: enrolment, batches, what survives kill -9, a power cut, a full spool
//! and a collector that is away.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod stub;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use dongson_event::batch::Class;
use dongson_event::trust::{Directive, Envelope, Purpose, Root, SigningKey, Target};
use dongson_event::{Event, Timestamp};
use dongson_sensor::ship::{self, Identity, Spool};
use stub::{Authority, Batch, Mode, SECRET, Stub};
use support::{START, exchange, pcap, read_path, udp};

fn sensor(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dongson-sensor"));
    command.args(arguments).stdin(Stdio::null()).env_remove("RUST_LOG");
    command
}

fn read(file: &Path, data: &Path, more: &[&str]) -> Command {
    let mut command = sensor(&["read"]);
    command.arg(file).arg("--data").arg(data).args(more);
    command
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A capture of `count` flows, ten a second, so that events come all along.
fn capture(folder: &Path, count: u32) -> PathBuf {
    let mut bytes = pcap(&[], false, false);
    for number in 0..count {
        let packet = udp(u16::try_from(1_024 + number % 60_000).unwrap(), 9_999, b"hello");
        let length = u32::try_from(packet.len()).unwrap();
        for word in [START + number / 10, number % 10 * 100_000, length, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(packet);
    }
    let path = folder.join(format!("{count}.pcap"));
    fs::write(&path, bytes).unwrap();
    path
}

/// Ids of the events that a file gives, in their order.
fn expected(file: &Path) -> Vec<String> {
    read_path(file).0.iter().map(|event| event.id().to_owned()).collect()
}

/// Ids of the events in `batches`, in the order of the sequences, each sequence once; checks what every batch promises.
fn ids(batches: &[Batch]) -> Vec<String> {
    let mut known: BTreeMap<(u64, u64), &Batch> = BTreeMap::new();
    for batch in batches {
        assert_eq!(batch.lines().len(), batch.events, "dongson-events counts the lines");
        let first = known.entry((batch.epoch, batch.sequence)).or_insert(batch);
        assert!(first.body == batch.body, "batch {} came with two bodies", batch.sequence);
    }
    let epochs: BTreeSet<u64> = known.keys().map(|(epoch, _)| *epoch).collect();
    assert!(epochs.len() <= 1, "one spool has one epoch");
    known
        .values()
        .flat_map(|batch| batch.lines())
        .map(|line| line["event.id"].as_str().unwrap().to_owned())
        .collect()
}

fn acknowledged(stub: &Stub) -> Vec<Batch> {
    stub.state().batches.iter().filter(|batch| batch.acknowledged).cloned().collect()
}

/// Sequences of the whole batches in the spool of `data`.
fn spooled(data: &Path) -> BTreeSet<u64> {
    let names = fs::read_dir(data.join("spool")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names
        .filter(|name| name.ends_with(".ndjson.zst"))
        .map(|name| name.split('-').next().unwrap().parse().unwrap())
        .collect()
}

/// The same sensor sends to another place from now on.
fn redirect(data: &Path, stub: &Stub) {
    let mut identity = Identity::load(data).unwrap();
    identity.url = stub.url();
    identity.save(data).unwrap();
}

/// An address where nobody listens.
fn nowhere() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_sensor_enrols_and_ships_a_capture() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("sensor");
    let authority = Arc::new(Authority::new());
    let stub = Stub::start(&authority, Mode::Take, true);
    let file = folder.path().join("a.pcap");
    fs::write(&file, pcap(&exchange(), false, false)).unwrap();

    let early = read(&file, &data, &[]).output().unwrap();
    assert_eq!(early.status.code(), Some(1));
    assert!(words(&early).contains("enrol first"), "{}", words(&early));

    let enrolled =
        sensor(&["enrol", &stub.url(), &authority.token(SECRET), "--data"]).arg(&data).output().unwrap();
    assert_eq!(enrolled.status.code(), Some(0), "{}", words(&enrolled));
    let said = String::from_utf8_lossy(&enrolled.stdout);
    assert!(said.contains("agency xa-hamrong, node gw"), "{said}");

    let shipped = read(&file, &data, &[]).output().unwrap();
    assert_eq!(shipped.status.code(), Some(0), "{}", words(&shipped));
    assert!(shipped.stdout.is_empty(), "events are shipped, not printed");
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(ids(&acknowledged(&stub))), sorted(expected(&file)));
    assert_eq!(stub.state().renewals, 0, "a fresh certificate is not renewed");
    let last_word = stub.state().accounts.last().unwrap().clone();
    let sequences: BTreeSet<u64> = acknowledged(&stub).iter().map(|batch| batch.sequence).collect();
    assert_eq!(last_word["assigned"].as_u64(), sequences.last().copied());
    assert_eq!((&last_word["held"]["batches"], &last_word["gone"]), (&0.into(), &serde_json::json!([])));
    for secret in ["secret.key", "key.pem", "identity.json"] {
        assert_eq!(fs::metadata(data.join(secret)).unwrap().permissions().mode() & 0o777, 0o600, "{secret}");
    }
    let again =
        sensor(&["enrol", &stub.url(), &authority.token(SECRET), "--data"]).arg(&data).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(words(&again).contains("enrolled already"));
}

#[test]
fn a_wrong_token_and_a_wrong_authority_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::new());
    let stub = Stub::start(&authority, Mode::Take, true);
    for (token, said) in [
        ("nonsense".to_owned(), "not of the form dst1.SECRET.FINGERPRINT"),
        (authority.token("another-secret"), "no such token"),
        (Authority::new().token(SECRET), "does not belong to the authority"),
    ] {
        let output = sensor(&["enrol", &stub.url(), &token, "--data"]).arg(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(words(&output).contains(said), "{}", words(&output));
        assert!(!folder.path().join("identity.json").exists());
    }
}

#[test]
fn what_was_spooled_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let authority = Arc::new(Authority::new());
    let stub = Stub::start(&authority, Mode::TakeThenHang(2), true);
    authority.enrolled(data, stub.address, 90);
    let file = capture(data, 30_000);
    let mut child = read(&file, data, &[]).stderr(Stdio::null()).spawn().unwrap();
    stub.wait(|state| state.batches.len() == 3);
    child.kill().unwrap();
    child.wait().unwrap();

    let left = spooled(data);
    let before = acknowledged(&stub);
    assert_eq!(before.len(), 2);
    let hanging = stub.state().batches[2].clone();
    assert!(left.contains(&hanging.sequence), "what was not acknowledged is still there");

    let later = Stub::start(&authority, Mode::LoseFirstAnswer, true);
    redirect(data, &later);
    let nothing = folder.path().join("nothing.pcap");
    fs::write(&nothing, pcap(&[], false, false)).unwrap();
    let output = read(&nothing, data, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(spooled(data).is_empty());

    let sequences: BTreeSet<u64> = acknowledged(&later).iter().map(|batch| batch.sequence).collect();
    assert_eq!(sequences, left, "exactly what was on the disk is sent");
    let mut all = before;
    all.push(hanging);
    all.extend(later.state().batches.iter().cloned());
    let (got, whole) = (ids(&all), expected(&file));
    assert!(got.len() >= 6_000, "three batches at least were read before the kill: {}", got.len());
    assert_eq!(got, whole[..got.len()], "the beginning of the capture, each event once and in its order");
}

#[test]
fn a_collector_that_is_away_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let authority = Arc::new(Authority::new());
    authority.enrolled(data, nowhere(), 90);
    let file = capture(data, 5_000);
    let events = expected(&file);
    let output = read(&file, data, &["--patience", "0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let count = format!("{} events in 3 batches were not acknowledged", events.len());
    assert!(words(&output).contains(&count), "{}", words(&output));

    let stub = Stub::start(&authority, Mode::Take, true);
    redirect(data, &stub);
    let nothing = folder.path().join("nothing.pcap");
    fs::write(&nothing, pcap(&[], false, false)).unwrap();
    let output = read(&nothing, data, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert_eq!(ids(&acknowledged(&stub)), events);
}

#[test]
fn a_full_spool_counts_what_it_loses() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    Authority::new().enrolled(data, nowhere(), 90);
    let file = capture(data, 40_000);
    let output = read(&file, data, &["--patience", "0", "--spool-mib", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains("the spool took no more"), "{}", words(&output));
    let spool = Spool::open(&data.join("spool"), 1 << 20).unwrap();
    assert!(spool.bytes() <= 1 << 20 && spool.total_lost() > 0);
    let all = u64::try_from(expected(&file).len()).unwrap();
    assert_eq!(spool.events() + spool.total_lost(), all, "each event is kept or counted");
    assert_eq!(spool.lost().get("sensor.conn"), Some(&spool.total_lost()), "by dataset");
}

#[test]
fn a_refused_batch_is_set_aside_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let authority = Arc::new(Authority::new());
    let stub = Stub::start(&authority, Mode::Refuse, true);
    authority.enrolled(data, stub.address, 90);
    let output = read(&capture(data, 10), data, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains("10 refused"), "{}", words(&output));
    assert_eq!(fs::read_dir(data.join("spool/refused")).unwrap().count(), 1);
}

#[test]
fn a_revoked_sensor_says_so_once_and_keeps_what_it_sees() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let authority = Arc::new(Authority::new());
    let stub = Stub::start(&authority, Mode::Bar, true);
    authority.enrolled(data, stub.address, 90);
    let file = capture(data, 10_000);
    let output = read(&file, data, &["--patience", "2"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = words(&output);
    assert_eq!(said.matches("refuses this sensor: it is revoked").count(), 1, "{said}");
    assert!(said.contains("enrol again"), "{said}");
    assert_eq!(stub.state().batches.len(), 1, "a refused sensor does not go on sending");
    let spool = Spool::open(&data.join("spool"), 1 << 30).unwrap();
    let all = u64::try_from(expected(&file).len()).unwrap();
    assert_eq!((spool.events(), spool.total_lost()), (all, 0), "nothing is lost");
}

/// What the centre says: a root document and settings for all sensors, signed.
fn wanted(version: u64, configuration: &str) -> serde_json::Value {
    let key = |seed| SigningKey::from_seed([seed; 32]).unwrap();
    let end = Timestamp::from_millis(4_000_000_000_000);
    let root = Root::new(1, end).with(Purpose::Root, 1, &[key(1).public()]);
    let root = root.with(Purpose::Configuration, 1, &[key(2).public()]);
    let directive = Directive {
        target: Target::All,
        version,
        issued_at: Timestamp::from_seconds(1),
        set_by: "test".to_owned(),
        configuration: serde_json::from_str(configuration).unwrap(),
    };
    serde_json::json!({
        "roots": [Envelope::sign_json(Purpose::Root, &root, &key(1)).unwrap()],
        "desired": [Envelope::sign_json(Purpose::Configuration, &directive, &key(2)).unwrap()],
    })
}

/// The sensor that runs confined: what the centre wants is in force after its trial, what the owner forbids is not, and
/// both are told. Takes half a minute: a sensor looks every ten seconds.
#[test]
fn a_running_sensor_does_what_the_centre_wants() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("sensor");
    fs::create_dir(&data).unwrap();
    let authority = Arc::new(Authority::new());
    let stub = Stub::start(&authority, Mode::Take, true);
    authority.enrolled(&data, stub.address, 90);
    let limits = folder.path().join("limits.toml");
    fs::write(&limits, "trial_seconds = 1\nsettings = [\"filter\", \"only\"]\n").unwrap();
    stub.state().desired = Some(wanted(1, r#"{"filter":"udp or tcp","only":["conn"]}"#));
    let mut command = sensor(&["run", "--interface", "lo", "--data"]);
    command.arg(&data).arg("--limits").arg(&limits).stderr(Stdio::piped());
    let mut child = running(&mut command);
    let told = |state: &stub::State, field: &str, value: serde_json::Value| {
        state.reports.iter().any(|report| report["desired"][field] == value)
    };
    stub.wait(|state| told(state, "applied", 1.into()));
    stub.wait(|state| {
        state
            .reports
            .iter()
            .any(|report| report["desired"]["applied"] == 1 && report["desired"]["trial"] == false)
    });
    stub.state().desired = Some(wanted(2, r#"{"observer":"x"}"#));
    let why = "the owner of this sensor lets the centre not set observer";
    stub.wait(|state| told(state, "why_not", why.into()));
    child.kill().unwrap();
    child.wait().unwrap();
    let applied: serde_json::Value =
        serde_json::from_slice(&fs::read(data.join("desired/applied.json")).unwrap()).unwrap();
    assert_eq!((&applied["good"]["version"], &applied["refused"]["version"]), (&1.into(), &2.into()));
}

#[test]
fn a_power_cut_leaves_whole_batches_only() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let authority = Arc::new(Authority::new());
    let stub = Stub::start(&authority, Mode::Take, true);
    authority.enrolled(data, stub.address, 90);
    let mut event = Event::of("sensor.dns", Timestamp::from_seconds(1));
    event.set("event.id", "whole");
    let mut batch = ship::Batch::new(Class::Protocol);
    batch.push(&event);
    let mut spool = Spool::open(&data.join("spool"), 1 << 20).unwrap();
    spool.store(&batch).unwrap();
    let whole = fs::read(&spool.take_next().unwrap().path).unwrap();
    drop(spool);
    // The power went while the next batch, the state and a renewed identity were being written.
    fs::write(data.join("spool/00000000000000000002-conn-1.ndjson.tmp"), &whole[..whole.len() / 2]).unwrap();
    fs::write(data.join("spool/state.tmp"), b"{\"epo").unwrap();
    fs::write(data.join("identity.tmp"), b"{").unwrap();

    let output = read(&capture(data, 1), data, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let batches = acknowledged(&stub);
    let mut sequences: Vec<_> = batches.iter().map(|batch| batch.sequence).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, [1, 2]);
    assert_eq!(ids(&batches)[0], "whole");
    let left: BTreeSet<_> = fs::read_dir(data.join("spool"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left, BTreeSet::from(["lock".to_owned(), "state.json".to_owned()]));
}

#[test]
fn a_certificate_is_renewed_in_its_last_third() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let authority = Arc::new(Authority::new());
    let stub = Stub::start(&authority, Mode::Take, true);
    authority.enrolled(data, stub.address, 29);
    let old = Identity::load(data).unwrap();
    for _ in 0..2 {
        let output = read(&capture(data, 3), data, &[]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    }
    let new = Identity::load(data).unwrap();
    assert!(new.certificate != old.certificate && new.key != old.key);
    assert!(data.join(&new.key).exists() && !data.join(&old.key).exists());
    let state = stub.state();
    assert_eq!(state.renewals, 1, "the new certificate is fresh");
    let clients: BTreeSet<_> = state.batches.iter().map(|batch| batch.client.clone()).collect();
    assert_eq!((state.batches.len(), clients.len()), (2, 1), "both batches came under the new certificate");
}

#[test]
fn a_renewal_that_fails_leaves_the_old_certificate_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let authority = Arc::new(Authority::new());
    let stub = Stub::start(&authority, Mode::Take, false);
    authority.enrolled(data, stub.address, 29);
    let old = Identity::load(data).unwrap();
    let output = read(&capture(data, 3), data, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(words(&output).contains("could not be renewed"), "{}", words(&output));
    assert_eq!((Identity::load(data).unwrap(), stub.state().renewals), (old, 1));
    let keys = fs::read_dir(data).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
        name.starts_with("key")
    });
    assert_eq!(keys.count(), 1, "the key that was not needed is gone");
}

/// A sensor that captures on the loopback interface.
#[cfg(target_os = "linux")]
fn running(command: &mut Command) -> Child {
    use dongson_sensor::capture::ring::{Ring, RingOptions};
    let opened = Ring::open(&["lo".to_owned()], None, RingOptions::default());
    assert!(opened.is_ok(), "{:?}: {}", opened.err(), support::HOW_TO_CAPTURE);
    command.spawn().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_running_sensor_tells_its_health_and_ends_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let authority = Arc::new(Authority::new());
    let stub = Stub::start(&authority, Mode::TakeThenHang(1), true);
    authority.enrolled(data, stub.address, 90);
    let mut command = sensor(&["run", "--interface", "lo", "--data"]);
    let child = running(command.arg(data).stderr(Stdio::piped()));
    // The first batch is the first health event; what was captured of sending it waits when the end comes.
    stub.wait(|state| !state.reports.is_empty() && !state.batches.is_empty());
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(words(&output).contains("were not acknowledged in time"), "{}", words(&output));
    assert!(!spooled(data).is_empty(), "what waits is sent at the next start");

    let first = &acknowledged(&stub)[0].lines()[0];
    assert_eq!(first["event.dataset"], "sensor.health");
    assert_eq!(first["dongson.health.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(first["dongson.health.spool.lost"], 0);
    let report = stub.state().reports[0].clone();
    let numbers = ["packets_per_second", "packets", "drops", "spool_bytes", "spool_batches", "spool_lost"];
    for key in numbers.into_iter().chain(["flows", "memory_bytes"]) {
        assert!(report[key].is_u64(), "{key}: {report}");
    }
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
}
