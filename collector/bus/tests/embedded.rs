//! The embedded log: the contract, and what belongs to a log on this machine's disk.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[macro_use]
mod contract;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use contract::{Fixture, drain, record};
use dongson_bus::{Bus, BusError, EmbeddedBus, Options, Record, Retention};

const TOPIC: &str = "dongson.events";
/// Tells the child process of `kill_loses_nothing` its folder.
const CHILD: &str = "DONGSON_BUS_TEST_FOLDER";

#[expect(clippy::unused_async, reason = "others have to wait for theirs")]
async fn make() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let bus = EmbeddedBus::open(folder.path(), Options::default()).unwrap();
    Fixture { bus: Arc::new(bus), keep: Box::new(folder) }
}

contract!(make);

/// Everything in the one partition of `TOPIC`, as text.
async fn everything(bus: &EmbeddedBus, group: &str) -> Vec<String> {
    let mut consumer = bus.consumer(group, &[TOPIC]).await.unwrap();
    let mut values = Vec::new();
    loop {
        let batches = consumer.poll(10_000, 16 << 20, Duration::from_millis(1)).await.unwrap();
        if batches.is_empty() {
            return values;
        }
        let records = batches.iter().flat_map(|batch| &batch.records);
        values.extend(records.map(|record| String::from_utf8_lossy(&record.value).into_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_start_finds_all() {
    let folder = tempfile::tempdir().unwrap();
    let first = EmbeddedBus::open(folder.path(), Options::default()).unwrap();
    first.create_topic(TOPIC, 1).await.unwrap();
    let batch: Vec<Record> = (0..5).map(|n| record("k", n)).collect();
    let positions = first.produce_once(TOPIC, "token", batch.clone()).await.unwrap();
    let mut consumer = first.consumer("reader", &[TOPIC]).await.unwrap();
    consumer.commit(TOPIC, 0, 2, "note".to_owned()).await.unwrap();
    assert!(matches!(
        EmbeddedBus::open(folder.path(), Options::default()).err(),
        Some(BusError::Locked { process: Some(_), .. })
    ));
    drop(consumer);
    first.close().await.unwrap();
    let second = EmbeddedBus::open(folder.path(), Options::default()).unwrap();
    assert_eq!(second.produce_once(TOPIC, "token", batch).await.unwrap(), positions);
    assert_eq!(everything(&second, "reader").await, ["2", "3", "4"]);
    assert_eq!(second.lag("reader").await.unwrap().first().map(|lag| lag.records), Some(3));
}

/// Options whose time is in the caller's hand.
fn with_clock(now: &Arc<AtomicU64>, retention: Retention, quota_bytes: u64) -> Options {
    let now = Arc::clone(now);
    let clock = Arc::new(move || now.load(Ordering::Relaxed));
    Options { retention, quota_bytes, clock, token_age: Duration::from_secs(100), ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_data_goes_but_never_what_a_group_needs() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_000_000));
    let hour = Retention { age: Duration::from_hours(1), bytes: 1 << 30 };
    let options = with_clock(&now, hour, 1 << 30);
    let bus = EmbeddedBus::open(folder.path(), options.clone()).unwrap();
    bus.create_topic(TOPIC, 1).await.unwrap();
    let mut consumer = bus.consumer("slow", &[TOPIC]).await.unwrap();
    for n in 0..10 {
        bus.produce_once(TOPIC, "again", vec![record("k", n)]).await.unwrap();
        bus.produce(TOPIC, vec![record("k", n)]).await.unwrap();
    }
    assert_eq!(bus.sweep().await.unwrap(), 0, "nothing is old");
    now.fetch_add(3_600_001, Ordering::Relaxed);
    assert_eq!(bus.sweep().await.unwrap(), 0, "the group needs all");
    consumer.commit(TOPIC, 0, 6, String::new()).await.unwrap();
    assert!(bus.sweep().await.unwrap() > 0);
    assert!(matches!(consumer.read(TOPIC, 0, 5, 5).await, Err(BusError::OutOfRange { start: 6, .. })));
    assert_eq!(drain(consumer.as_mut(), 5).await.first().map(|batch| batch.first), Some(6));
    let after = bus.produce_once(TOPIC, "again", vec![record("k", 99)]).await.unwrap();
    assert_eq!(after.first().map(|position| position.offset), Some(11), "the token was forgotten");
    drop(consumer);
    bus.forget_group("slow").await.unwrap();
    now.fetch_add(3_600_001, Ordering::Relaxed);
    bus.sweep().await.unwrap();
    bus.close().await.unwrap();
    let bus = EmbeddedBus::open(folder.path(), options).unwrap();
    let next = bus.produce(TOPIC, vec![record("k", "next")]).await.unwrap();
    assert_eq!(next.first().map(|position| position.offset), Some(12), "offsets go on after all was deleted");
    assert_eq!(everything(&bus, "new").await, ["99", "next"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_bus_says_so_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_000_000));
    let long = Retention { age: Duration::from_hours(1), bytes: 1 << 30 };
    let bus = EmbeddedBus::open(folder.path(), with_clock(&now, long, 2 << 20)).unwrap();
    bus.create_topic(TOPIC, 1).await.unwrap();
    let mut consumer = bus.consumer("slow", &[TOPIC]).await.unwrap();
    let mut accepted = 0_u64;
    let refused = loop {
        match bus.produce(TOPIC, vec![record("k", "x".repeat(100_000))]).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, BusError::Full { .. }), "{refused}");
    assert!((15..=21).contains(&accepted), "{accepted}");
    assert_eq!(
        drain(consumer.as_mut(), usize::try_from(accepted).unwrap()).await.last().map(|b| b.last + 1),
        Some(accepted)
    );
    consumer.commit(TOPIC, 0, accepted, String::new()).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = bus.produce(TOPIC, vec![record("k", "x".repeat(100_000))]).await {
        assert!(Instant::now() < deadline, "no room after the commit: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A file system in memory, unmounted when dropped; `None` where this process may not mount.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let disk = Self(tempfile::tempdir().unwrap());
        disk.run("mount", &["-t", "tmpfs", "-o", size, "tmpfs"]).then_some(disk)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let ended = Command::new(program).args(arguments).arg(self.0.path()).stderr(Stdio::null()).status();
        ended.is_ok_and(|status| status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.run("umount", &["--lazy"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount("size=96m") else {
        panic!("this test mounts a small disk: run it as root, or: unshare -Urm cargo test -p dongson-bus");
    };
    let folder = disk.0.path().join("bus");
    let options = Options { reserve_bytes: 64 << 20, ..Options::default() };
    let bus = EmbeddedBus::open(&folder, options.clone()).unwrap();
    bus.create_topic(TOPIC, 1).await.unwrap();
    // Signs that lz4 cannot shorten.
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'0' + u8::try_from(state >> 58).unwrap())
    };
    let mut acknowledged = 0;
    let refused = loop {
        let value: String = (0..300_000).map(|_| noise()).collect();
        match bus.produce(TOPIC, vec![record("k", format!("{acknowledged} {value}"))]).await {
            Ok(_) => acknowledged += 1,
            // What the log tidies away behind us may give room once more.
            Err(BusError::DiskFull { .. }) if bus.check().await.is_ok() => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, BusError::DiskFull { .. }), "{refused}");
    let kept = everything(&bus, "reader").await;
    let numbers = |kept: &[String]| -> Vec<usize> {
        kept.iter().map(|value| value.split(' ').next().unwrap().parse().unwrap()).collect()
    };
    assert_eq!(numbers(&kept), (0..acknowledged).collect::<Vec<_>>());
    assert!(disk.run("mount", &["-o", "remount,size=300m"]));
    bus.check().await.unwrap();
    bus.produce(TOPIC, vec![record("k", format!("{acknowledged} after"))]).await.unwrap();
    bus.close().await.unwrap();
    let bus = EmbeddedBus::open(&folder, options).unwrap();
    assert_eq!(numbers(&everything(&bus, "another").await), (0..=acknowledged).collect::<Vec<_>>());
    println!("{acknowledged} records of 300 kB before the disk was full; it went on when there was room");
    bus.close().await.unwrap();
}

/// Files of the journal, newest last.
fn journals(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "jnl")).collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let bus = EmbeddedBus::open(folder.path(), Options::default()).unwrap();
    bus.create_topic(TOPIC, 1).await.unwrap();
    for n in 0..50 {
        bus.produce(TOPIC, vec![record("k", n)]).await.unwrap();
    }
    bus.close().await.unwrap();
    let journal = journals(folder.path()).pop().unwrap();
    let whole = std::fs::read(&journal).unwrap();
    let used = whole.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let mut cuts = BTreeSet::new();
    for cut in (used / 2..used).rev().step_by(97) {
        // What a power cut leaves: the file ends early, or zeros where the rest should be.
        for zeros in [false, true] {
            let copy = tempfile::tempdir().unwrap();
            copy_folder(folder.path(), copy.path());
            let torn = journals(copy.path()).pop().unwrap();
            let mut bytes = whole.get(..cut).unwrap().to_vec();
            bytes.resize(if zeros { used } else { cut }, 0);
            std::fs::write(&torn, bytes).unwrap();
            let bus = EmbeddedBus::open(copy.path(), Options::default()).unwrap();
            let kept = everything(&bus, "reader").await;
            let expected: Vec<String> = (0..kept.len()).map(|n| n.to_string()).collect();
            assert_eq!(kept, expected, "a prefix is left");
            let next = bus.produce(TOPIC, vec![record("k", "after")]).await.unwrap();
            assert_eq!(next.first().unwrap().offset, kept.len() as u64);
            cuts.insert(kept.len());
            bus.close().await.unwrap();
        }
    }
    assert!(cuts.len() > 5, "the cuts fell into several batches: {cuts:?}");
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Not a test of its own: the process that `kill_loses_nothing` kills.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_is_killed() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let bus = EmbeddedBus::open(Path::new(&folder), Options::default()).unwrap();
    bus.create_topic(TOPIC, 1).await.unwrap();
    let mut next = everything(&bus, "counter").await.len() / 10;
    loop {
        let batch = (0..10).map(|n| record("k", next * 10 + n)).collect();
        bus.produce_once(TOPIC, &format!("batch {next}"), batch).await.unwrap();
        println!("\nacknowledged {next}");
        next += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = None;
    for round in 0..5_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_that_is_killed", "--exact", "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut seen = 0;
        for line in lines.by_ref() {
            let Some(number) = line.strip_prefix("acknowledged ") else { continue };
            acknowledged = Some(number.parse::<usize>().unwrap());
            seen += 1;
            if seen >= 20 + round * 13 {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            let number = line.strip_prefix("acknowledged ").and_then(|number| number.parse().ok());
            acknowledged = number.or(acknowledged);
        }
    }
    let acknowledged = acknowledged.unwrap();
    let bus = EmbeddedBus::open(folder.path(), Options::default()).unwrap();
    for number in 0..=acknowledged {
        let batch = (0..10).map(|n| record("k", format!("again {n}"))).collect();
        let positions = bus.produce_once(TOPIC, &format!("batch {number}"), batch).await.unwrap();
        assert_eq!(
            positions.first().unwrap().offset,
            number as u64 * 10,
            "the token is known after the kill"
        );
    }
    let kept = everything(&bus, "reader").await;
    let expected: Vec<String> = (0..kept.len()).map(|n| n.to_string()).collect();
    assert_eq!(kept, expected, "each once, in order");
    assert!(kept.len() >= (acknowledged + 1) * 10);
    println!("killed 5 times, {} records acknowledged, {} kept", (acknowledged + 1) * 10, kept.len());
}

/// A figure for people; the assertion is far below it, because test machines are busy.
#[tokio::test(flavor = "multi_thread")]
async fn many_small_batches_share_a_sync() {
    let folder = tempfile::tempdir().unwrap();
    let bus = Arc::new(EmbeddedBus::open(folder.path(), Options::default()).unwrap());
    bus.create_topic(TOPIC, 4).await.unwrap();
    let (producers, rounds, size) = (64, 20, 100);
    let start = Instant::now();
    let tasks: Vec<_> = (0..producers)
        .map(|producer| {
            let bus = Arc::clone(&bus);
            tokio::spawn(async move {
                for _ in 0..rounds {
                    let key = format!("agency-{producer}");
                    let batch = (0..size).map(|_| record(&key, "y".repeat(500))).collect();
                    bus.produce(TOPIC, batch).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let total = producers * rounds * size;
    let rate = f64::from(total) / start.elapsed().as_secs_f64();
    println!("{producers} producers, batches of {size} x 500 bytes: {rate:.0} records/s synced");
    let start = Instant::now();
    let mut consumer = bus.consumer("reader", &[TOPIC]).await.unwrap();
    drain(consumer.as_mut(), usize::try_from(total).unwrap()).await;
    println!("read back: {:.0} records/s", f64::from(total) / start.elapsed().as_secs_f64());
    assert!(rate > 5_000.0, "{rate:.0} records/s");
}
