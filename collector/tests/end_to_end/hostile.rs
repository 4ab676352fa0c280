//! Random bytes to every listener, and a bus that refuses: no crash, no loss without a word.

use crate::world::{World, start};
use async_trait::async_trait;
use dongson_bus::{Bus, BusError, Consumer, Lag, Position, Record};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn random_bytes_to_every_listener() {
    let world = World::new().await;
    let mut runner = TestRunner::deterministic();
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..2_000),
        "([0-9]{1,5} )?<[0-9]{0,4}>[ -~]{0,80}\n?".prop_map(String::into_bytes),
        "[0-9]{1,3} (open|syslog|close) [0-9]{1,3} [ -~]{0,60}\n".prop_map(String::into_bytes),
        "(GET|POST) /[a-z_/]{0,10} HTTP/1.1\r\n[a-z-]{0,9}: [ -~]{0,20}\r\n\r\n".prop_map(String::into_bytes),
    ];
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let tcp = [world.at.syslog_tcp, world.at.syslog_tls, world.at.relp, Some(world.at.https)];
    let client = world.client(None);
    for _ in 0..60 {
        let input = bytes.new_tree(&mut runner).unwrap().current();
        udp.send_to(&input, world.at.syslog_udp.unwrap()).await.unwrap();
        for address in tcp.into_iter().flatten() {
            let mut stream = TcpStream::connect(address).await.unwrap();
            drop(stream.write_all(&input).await);
        }
        for path in ["/v1/enrol", "/v1/batch", "/v1/events", "/_bulk"] {
            let (status, _) =
                world.post(&client, path, &[("authorization", "Bearer x")], input.clone()).await;
            assert!((400..500).contains(&status), "{path} {status}");
        }
    }
    // Everybody still works.
    assert_eq!(world.get("/healthz", "x").await.0, 200);
    udp.send_to(b"<13>alive udp", world.at.syslog_udp.unwrap()).await.unwrap();
    TcpStream::connect(world.at.syslog_tcp.unwrap())
        .await
        .unwrap()
        .write_all(b"<13>alive tcp\n")
        .await
        .unwrap();
    loop {
        let events = world.read(dongson_event::TOPIC_EVENTS).await;
        let said = |text| events.iter().any(|event| event.text("message") == Some(text));
        if said("alive udp") && said("alive tcp") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A bus that is full for the first calls.
struct Full {
    inner: Arc<dyn Bus>,
    left: AtomicUsize,
}

impl Full {
    fn check(&self) -> Result<(), BusError> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map_or(Ok(()), |_| Err(BusError::Full { retained: 1, quota: 1 }))
    }
}

#[async_trait]
impl Bus for Full {
    async fn create_topic(&self, topic: &str, partitions: u32) -> dongson_bus::Result<()> {
        self.inner.create_topic(topic, partitions).await
    }
    async fn topics(&self) -> dongson_bus::Result<Vec<(String, u32)>> {
        self.inner.topics().await
    }
    async fn produce(&self, topic: &str, records: Vec<Record>) -> dongson_bus::Result<Vec<Position>> {
        self.check()?;
        self.inner.produce(topic, records).await
    }
    async fn produce_once(
        &self,
        topic: &str,
        token: &str,
        records: Vec<Record>,
    ) -> dongson_bus::Result<Vec<Position>> {
        self.check()?;
        self.inner.produce_once(topic, token, records).await
    }
    async fn consumer(&self, group: &str, topics: &[&str]) -> dongson_bus::Result<Box<dyn Consumer>> {
        self.inner.consumer(group, topics).await
    }
    async fn lag(&self, group: &str) -> dongson_bus::Result<Vec<Lag>> {
        self.inner.lag(group).await
    }
    async fn forget_group(&self, group: &str) -> dongson_bus::Result<()> {
        self.inner.forget_group(group).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_bus_is_told_to_clients_and_waited_for_by_syslog() {
    let mut world = World::new().await;
    let bearer = format!("Bearer {}", world.key("xa-a", false).await);
    let full = Arc::new(Full { inner: Arc::clone(&world.bus), left: AtomicUsize::new(1) });
    let folder = tempfile::tempdir().unwrap();
    let shutdown = CancellationToken::new();
    let running = start(&folder, Arc::<Full>::clone(&full), world.registry.clone(), shutdown.clone()).await;
    world.at = running.addresses;
    world.authority_pem = running.authority().pem().to_owned();
    let running = tokio::spawn(running.wait());
    let headers = [("authorization", bearer.as_str())];
    let (status, answer) = world.post(&world.client(None), "/v1/events", &headers, "{\"a\":1}").await;
    assert_eq!((status, answer["code"].as_str()), (503, Some("unavailable")));
    assert_eq!(world.post(&world.client(None), "/v1/events", &headers, "{\"a\":1}").await.0, 200);
    full.left.store(2, Ordering::SeqCst);
    let mut stream = TcpStream::connect(world.at.syslog_tcp.unwrap()).await.unwrap();
    stream.write_all(b"<13>patience\n").await.unwrap();
    world.wait(dongson_event::TOPIC_EVENTS, 2).await;
    full.left.store(1, Ordering::SeqCst);
    let mut stream = TcpStream::connect(world.at.relp.unwrap()).await.unwrap();
    stream.write_all(b"1 syslog 7 <13>abc\n").await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "0 serverclose 0\n");
    shutdown.cancel();
    running.await.unwrap();
}
