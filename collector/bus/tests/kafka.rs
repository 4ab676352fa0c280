//! The log in a real Kafka, which `deploy/kafka/run` obtains and starts: the contract, logins, and what dies in between.
//!
//! Needs Java 17 and, the first time, Maven and the network; without them every test here fails and says so.
#![cfg(feature = "kafka")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

#[macro_use]
mod contract;
mod brokers;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokers::Brokers;
use contract::{Fixture, drain, record};
use dongson_bus::{Bus, BusError, KafkaBus, KafkaLogin, KafkaMechanism, KafkaOptions, KafkaTls, Record};

const TOPIC: &str = "dongson.events";
/// Tells the child process of `kills_double_nothing` where its Kafka is, and its prefix.
const CHILD: &str = "DONGSON_BUS_TEST_KAFKA";

/// A place of its own in the Kafka that all tests share.
fn fresh() -> KafkaOptions {
    let node = format!("{:032x}", rand::random::<u128>());
    KafkaOptions { prefix: format!("t{node}."), ..KafkaOptions::new(&Brokers::shared().plain, node) }
}

async fn make() -> Fixture {
    let bus = KafkaBus::open(fresh()).await.unwrap();
    Fixture { bus: Arc::new(bus), keep: Box::new(()) }
}

contract!(make);

fn impatient(options: KafkaOptions) -> KafkaOptions {
    KafkaOptions { patience: Duration::from_secs(6), ..options }
}

fn login(user: &str, password: &str) -> KafkaLogin {
    let (user, password) = (user.to_owned(), password.to_owned());
    KafkaLogin { user, password, mechanism: KafkaMechanism::ScramSha256 }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_named() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let options = KafkaOptions { patience: Duration::from_secs(2), ..KafkaOptions::new(&address, "n") };
    let error = KafkaBus::open(options).await.unwrap_err();
    assert!(matches!(&error, BusError::Unreachable { bootstrap, .. } if *bootstrap == address), "{error}");
    assert!(error.passes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_opens_and_a_wrong_password_is_named() {
    let brokers = Brokers::shared();
    let good = KafkaOptions {
        bootstrap: brokers.sasl.clone(),
        login: Some(login(brokers::USER, brokers::PASSWORD)),
        ..fresh()
    };
    let bus = KafkaBus::open(good.clone()).await.unwrap();
    bus.create_topic(TOPIC, 1).await.unwrap();
    bus.produce(TOPIC, vec![record("k", "in")]).await.unwrap();
    bus.check().await.unwrap();
    let wrong = impatient(KafkaOptions { login: Some(login(brokers::USER, "wrong")), ..good });
    let error = KafkaBus::open(wrong).await.unwrap_err();
    assert!(matches!(error, BusError::Unauthorised { .. }), "{error}");
    assert!(!error.passes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_rights_is_told() {
    let brokers = Brokers::shared();
    let options = impatient(KafkaOptions {
        bootstrap: brokers.sasl.clone(),
        login: Some(login(brokers::STRANGER, brokers::PASSWORD)),
        ..fresh()
    });
    let bus = KafkaBus::open(options).await.unwrap();
    let error = bus.create_topic(TOPIC, 1).await.unwrap_err();
    assert!(matches!(error, BusError::Unauthorised { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_believes_only_its_authority() {
    let brokers = Brokers::shared();
    let tls = |ca: &std::path::Path| Some(KafkaTls { ca: Some(ca.to_owned()), certificate: None });
    let good = KafkaOptions { bootstrap: brokers.tls.clone(), tls: tls(&brokers.ca), ..fresh() };
    let bus = KafkaBus::open(good.clone()).await.unwrap();
    bus.create_topic(TOPIC, 1).await.unwrap();
    bus.produce(TOPIC, vec![record("k", "in")]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.pem");
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=another",
            "-keyout",
        ])
        .arg(folder.path().join("other.key"))
        .arg("-out")
        .arg(&other)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let wrong = impatient(KafkaOptions { tls: tls(&other), ..good.clone() });
    let error = KafkaBus::open(wrong).await.unwrap_err();
    assert!(matches!(error, BusError::BrokerCertificate { .. }), "{error}");
    let missing = KafkaOptions { tls: tls(&folder.path().join("nowhere.pem")), ..good };
    let error = KafkaBus::open(missing).await.unwrap_err();
    assert!(matches!(error, BusError::BrokerCertificate { .. }), "{error}");
}

/// How often each value is there.
async fn everything(bus: &dyn Bus, group: &str, count: usize) -> BTreeMap<String, usize> {
    let mut consumer = bus.consumer(group, &[TOPIC]).await.unwrap();
    let mut seen = BTreeMap::new();
    for batch in drain(consumer.as_mut(), count).await {
        for record in batch.records {
            *seen.entry(String::from_utf8(record.value.to_vec()).unwrap()).or_default() += 1;
        }
    }
    let more = consumer.poll(10, 1 << 20, Duration::from_millis(500)).await.unwrap();
    assert!(more.is_empty(), "more than {count} records");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn two_collectors_with_one_token_append_once() {
    let one = fresh();
    let two = KafkaOptions { node: "another".to_owned(), ..one.clone() };
    let (one, two) = (KafkaBus::open(one).await.unwrap(), KafkaBus::open(two).await.unwrap());
    one.create_topic(TOPIC, 3).await.unwrap();
    let rounds = 25;
    for round in 0..rounds {
        let batch: Vec<Record> = (0..10).map(|n| record(&format!("k{n}"), format!("{round}/{n}"))).collect();
        let token = format!("batch {round}");
        let (first, second) = tokio::join!(
            one.produce_once(TOPIC, &token, batch.clone()),
            two.produce_once(TOPIC, &token, batch)
        );
        assert_eq!(first.unwrap(), second.unwrap());
    }
    let seen = everything(&one, "reader", rounds * 10).await;
    assert_eq!(seen.len(), rounds * 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_start_knows_the_tokens() {
    let options = fresh();
    let first = KafkaBus::open(options.clone()).await.unwrap();
    first.create_topic(TOPIC, 2).await.unwrap();
    let batch: Vec<Record> = (0..5).map(|n| record(&format!("k{n}"), n)).collect();
    let positions = first.produce_once(TOPIC, "token", batch.clone()).await.unwrap();
    drop(first);
    let second = KafkaBus::open(options).await.unwrap();
    assert_eq!(second.produce_once(TOPIC, "token", batch).await.unwrap(), positions);
    assert_eq!(everything(&second, "reader", 5).await.len(), 5);
}

/// Not a test of its own: the process that `kills_double_nothing` kills.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_is_killed() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (bootstrap, prefix) = told.split_once(' ').unwrap();
    let options = KafkaOptions { prefix: prefix.to_owned(), ..KafkaOptions::new(bootstrap, "the child") };
    let bus = KafkaBus::open(options).await.unwrap();
    for next in 0.. {
        // Large enough that a kill falls between the records of a batch.
        let filler = "x".repeat(2_000);
        let batch = (0..300).map(|n| record(&format!("k{n}"), format!("{next}/{n} {filler}"))).collect();
        bus.produce_once(TOPIC, &format!("batch {next}"), batch).await.unwrap();
        println!("\nacknowledged {next}");
    }
}

/// Every start sends every batch again, as sensors do; each record is there once.
#[tokio::test(flavor = "multi_thread")]
async fn kills_double_nothing() {
    let options = fresh();
    let bus = KafkaBus::open(options.clone()).await.unwrap();
    bus.create_topic(TOPIC, 3).await.unwrap();
    let mut acknowledged = 0;
    for round in 0..3_usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_that_is_killed", "--exact", "--nocapture"])
            .env(CHILD, format!("{} {}", options.bootstrap, options.prefix))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        for line in lines {
            let Some(number) = line.strip_prefix("acknowledged ") else { continue };
            let number: usize = number.parse().unwrap();
            acknowledged = acknowledged.max(number + 1);
            if number >= 5 * (round + 1) {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // The last one too, which may have been cut off: by another process, which has to wait until it is sure.
    let all = acknowledged + 1;
    let last = KafkaBus::open(KafkaOptions { node: "the child".to_owned(), ..options }).await.unwrap();
    for next in 0..all {
        let filler = "x".repeat(2_000);
        let batch = (0..300).map(|n| record(&format!("k{n}"), format!("{next}/{n} {filler}"))).collect();
        let positions = last.produce_once(TOPIC, &format!("batch {next}"), batch).await.unwrap();
        assert_eq!(positions.len(), 300);
    }
    let seen = everything(&last, "reader", all * 300).await;
    assert_eq!(seen.len(), all * 300, "a record is there twice, or is lost");
    println!("killed 3 times, {acknowledged} batches acknowledged, {} records, each once", seen.len());
}

/// A figure for people; the assertion is far below it, because test machines are busy.
#[tokio::test(flavor = "multi_thread")]
async fn many_batches_go_at_once() {
    let bus = Arc::new(KafkaBus::open(fresh()).await.unwrap());
    bus.create_topic(TOPIC, 4).await.unwrap();
    let (producers, rounds, size) = (8, 10, 1_000);
    let start = Instant::now();
    let tasks: Vec<_> = (0..producers)
        .map(|producer| {
            let bus = Arc::clone(&bus);
            tokio::spawn(async move {
                for round in 0..rounds {
                    let key = format!("agency-{producer}");
                    let batch = (0..size).map(|_| record(&key, "y".repeat(500))).collect();
                    bus.produce_once(TOPIC, &format!("{producer}/{round}"), batch).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let total = producers * rounds * size;
    let rate = f64::from(total) / start.elapsed().as_secs_f64();
    println!("{producers} producers, batches of {size} x 500 bytes, with tokens: {rate:.0} records/s");
    let start = Instant::now();
    let mut consumer = bus.consumer("reader", &[TOPIC]).await.unwrap();
    drain(consumer.as_mut(), usize::try_from(total).unwrap()).await;
    println!("read back: {:.0} records/s", f64::from(total) / start.elapsed().as_secs_f64());
    assert!(rate > 500.0, "{rate:.0} records/s");
}

/// Three copies, two in step: what was acknowledged outlives the leader of every third partition.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_loses_nothing() {
    let brokers = Brokers::start(&["--brokers", "3", "--memory", "256"]);
    let options = KafkaOptions { replication: 3, ..KafkaOptions::new(&brokers.plain, "n") };
    let bus = KafkaBus::open(options).await.unwrap();
    bus.create_topic(TOPIC, 3).await.unwrap();
    let rounds = 30;
    for round in 0..rounds {
        if round == 10 {
            brokers.kill(2);
        }
        let batch = (0..20).map(|n| record(&format!("k{n}"), format!("{round}/{n}"))).collect();
        bus.produce_once(TOPIC, &format!("batch {round}"), batch).await.unwrap();
    }
    let seen = everything(&bus, "reader", rounds * 20).await;
    assert_eq!(seen.len(), rounds * 20);
    bus.check().await.unwrap();
}
