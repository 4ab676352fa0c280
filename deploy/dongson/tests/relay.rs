//! Logs of a site on their way through a sensor: a real collector and registry, and a sensor's inputs, spool and link, over
//! mutual TLS. What comes out is what the collector makes of a log that is sent to it straight.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at its first surprise")]

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dongson_bus::{Bus, EmbeddedBus, Options};
use dongson_collector::Config;
use dongson_event::{Event, TOPIC_EVENTS, TOPIC_UNPARSED};
use dongson_registry::{Change, OrganizationEdit, Registry, Scope, now};
use dongson_sensor::relay::{Config as Inputs, Opened, Relay};
use dongson_sensor::ship::{Identity, ShipOptions, Shipper, enrol};
use tokio_util::sync::CancellationToken;

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_mins(1);
const FAILED: &str =
    "<38>Nov 23 09:00:00 fw01 sshd[7]: Failed password for root from 203.0.113.9 port 4022 ssh2";
const ALERT: &str = r#"{"timestamp":"2026-11-23T09:00:01.000000+0700","event_type":"alert","src_ip":"203.0.113.9","src_port":4022,"dest_ip":"10.0.0.1","dest_port":22,"proto":"TCP","alert":{"action":"allowed","gid":1,"signature_id":9000001,"rev":1,"signature":"OWN test rule","category":"Misc","severity":2}}"#;

struct Centre {
    registry: Registry,
    bus: Arc<dyn Bus>,
    url: String,
    token: String,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

async fn centre() -> Centre {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(&folder.path().join("registry.sqlite")).await.unwrap();
    let service = Change::service("test", now());
    let edit = OrganizationEdit { name: "A".into(), name_en: "A".into(), parent: None, level: 3 };
    registry.create_organization(&service, "xa-a", &edit).await.unwrap();
    let bus: Arc<dyn Bus> =
        Arc::new(EmbeddedBus::open(&folder.path().join("bus"), Options::default()).unwrap());
    let stop = CancellationToken::new();
    let config = Config::loopback(folder.path().join("collector"));
    let running =
        dongson_collector::start(config, Arc::clone(&bus), registry.clone(), stop.clone()).await.unwrap();
    let url = format!("https://127.0.0.1:{}", running.addresses.https.port());
    let made = registry.create_enrolment_token(&service, "xa-a", "gw", 600_000).await.unwrap();
    let token = format!("dst1.{}.{}", made.secret, running.authority().fingerprint());
    tokio::spawn(running.wait());
    Centre { registry, bus, url, token, stop, _folder: folder }
}

impl Centre {
    /// All events of a topic, once there are `count`.
    async fn events(&self, topic: &str, count: usize) -> Vec<Event> {
        let mut consumer = self.bus.consumer("test", &[topic]).await.unwrap();
        let (mut events, begun) = (Vec::new(), Instant::now());
        while events.len() < count {
            for batch in consumer.poll(1_000, 64 << 20, Duration::from_millis(50)).await.unwrap() {
                events.extend(batch.records.iter().map(|record| Event::parse(&record.value).unwrap().0));
            }
            assert!(begun.elapsed() < PATIENCE, "{} of {count} events: {events:?}", events.len());
        }
        events
    }
}

/// A port where nobody listens now.
fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Gives what the inputs take to the spool until all of them took so many records.
fn pump(relay: &Relay, shipper: &mut Shipper, records: u64) {
    let begun = Instant::now();
    while relay.counts().values().map(|counts| counts.records).sum::<u64>() < records {
        relay.drain(shipper).unwrap();
        assert!(begun.elapsed() < PATIENCE, "{:?}", relay.counts());
        std::thread::yield_now();
    }
}

fn start(data: &Path, text: &str) -> (Shipper, Relay) {
    let identity = Identity::load(data).unwrap();
    let shipper = Shipper::start(data, &identity, ShipOptions::default()).unwrap();
    let file = data.join("relay.toml");
    fs::write(&file, text).unwrap();
    let relay = Opened::open(Inputs::read(&file).unwrap()).unwrap().start(&shipper.places()).unwrap();
    (shipper, relay)
}

/// A sensor's life with three inputs, and a second one, in which only the file has something to say.
fn send(url: &str, token: &str, home: &Path) -> Identity {
    let (data, eve) = (home.join("sensor"), home.join("eve.json"));
    let identity = enrol(url, token, &data).unwrap();
    let (udp, tcp) = (free(), free());
    let text = format!(
        "[relay.firewall]\nudp = \"127.0.0.1:{udp}\"\ntime_zone = \"Asia/Ho_Chi_Minh\"\n\
         [relay.switches]\ntcp = \"127.0.0.1:{tcp}\"\n\
         [relay.suricata]\nfile = \"{}\"\nparser = \"suricata\"\n",
        eve.display()
    );
    fs::write(&eve, format!("{ALERT}\n")).unwrap();
    let (mut shipper, relay) = start(&data, &text);
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(FAILED.as_bytes(), ("127.0.0.1", udp)).unwrap();
    let forged = r#"{"event.dataset":"sensor.conn","observer.name":"x","organization.id":"xa-b"}"#;
    TcpStream::connect(("127.0.0.1", tcp))
        .unwrap()
        .write_all(format!("{forged}\nnobody's\n").as_bytes())
        .unwrap();
    pump(&relay, &mut shipper, 4);
    relay.finish(&mut shipper).unwrap();
    shipper.finish(PATIENCE).unwrap();

    fs::rename(&eve, home.join("eve.json.1")).unwrap();
    fs::write(&eve, format!("{}\n", ALERT.replace("9000001", "9000002"))).unwrap();
    let (mut shipper, relay) = start(&data, &text);
    pump(&relay, &mut shipper, 1);
    relay.finish(&mut shipper).unwrap();
    shipper.finish(PATIENCE).unwrap();
    identity
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_a_site_come_as_if_they_were_sent_straight() {
    let centre = centre().await;
    let home = tempfile::tempdir().unwrap();
    let (url, token, folder) = (centre.url.clone(), centre.token.clone(), home.path().to_owned());
    let identity = tokio::task::spawn_blocking(move || send(&url, &token, &folder)).await.unwrap();

    let events = centre.events(TOPIC_EVENTS, 4).await;
    assert_eq!(events.len(), 4, "{events:?}");
    let by = |dataset: &str| events.iter().filter(|event| event.dataset() == dataset).collect::<Vec<_>>();
    for event in &events {
        assert_eq!(event.organization(), "xa-a");
        assert_eq!(event.text("dongson.principal"), Some(format!("sensor:{}", identity.sensor).as_str()));
    }
    let sshd = by("sshd")[0];
    assert_eq!(sshd.text("event.original"), Some(FAILED));
    assert_eq!(sshd.text("observer.name"), Some("gw/firewall"));
    assert_eq!(sshd.text("source.ip"), Some("203.0.113.9"));
    assert_eq!(sshd.text("dongson.relay.peer"), Some("127.0.0.1"));
    let forged = by("json")[0];
    assert_eq!(forged.text("observer.name"), Some("gw/switches"));
    assert_eq!(forged.text("dongson.claimed.organization.id"), Some("xa-b"));
    let alerts: Vec<_> =
        events.iter().filter(|event| event.text("observer.name") == Some("gw/suricata")).collect();
    assert_eq!(alerts.len(), 2, "each line of the file once, over the rotation and the new start");
    assert_eq!(alerts[0].text("event.original"), Some(ALERT));
    assert!(alerts[0].text("log.file.path").unwrap().ends_with("eve.json"));
    assert_eq!(alerts[0].text("source.ip"), Some("203.0.113.9"));
    let unparsed = centre.events(TOPIC_UNPARSED, 1).await;
    assert_eq!(unparsed[0].text("event.original"), Some("nobody's"));
    assert_eq!(unparsed[0].text("dongson.relay.input"), Some("switches"));

    let accounts = centre.registry.sensor_accounts(&Scope::All, &identity.sensor).await.unwrap();
    let [account] = accounts.as_slice() else { panic!("{accounts:?}") };
    assert!(account.unaccounted.is_empty() && account.unsigned_batches == 0, "{account:?}");
    let classes: u64 = account.received_events.values().copied().sum();
    assert_eq!((classes, account.received_events.get("alert")), (5, Some(&2)), "alerts of Suricata go first");
    centre.stop.cancel();
}
