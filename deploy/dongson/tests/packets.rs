//! Packets on request, from the question of one person to the file: a real collector and registry, and a sensor's ring, link and
//! journal, over mutual TLS.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at its first surprise")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dongson_bus::{Bus, EmbeddedBus, Options};
use dongson_collector::Config;
use dongson_event::Timestamp;
use dongson_event::trust::{Envelope, Purpose, Root, SigningKey};
use dongson_registry::{
    Account, AccountEdit, Change, Class, LegalCategory, NewIncident, NewPacketOrder, OrganizationEdit,
    PacketOrder, PacketState, Registry, Role, Scope, Severity, now,
};
use dongson_sensor::answer::{Answerer, Deed, Rules, read_journal};
use dongson_sensor::capture::{CaptureFile, Frame, LinkType};
use dongson_sensor::desired::Desired;
use dongson_sensor::packets::{Flow, Limits, Ring};
use dongson_sensor::ship::{Identity, Meter, enrol};
use etherparse::PacketBuilder;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// A centre with one agency, two analysts and an incident.
struct Centre {
    registry: Registry,
    asks: Account,
    approves: Account,
    incident: String,
    url: String,
    token: String,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

fn service() -> Change {
    Change::service("test", now())
}

fn by(account: &Account) -> Change {
    Change::by(&account.id, None, now())
}

async fn analyst(registry: &Registry, login: &str) -> Account {
    let edit =
        AccountEdit { full_name: login.into(), role: Role::Analyst, organizations: None, disabled: false };
    registry.create_account(&service(), login, &edit).await.unwrap().account
}

async fn centre() -> Centre {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(&folder.path().join("registry.sqlite")).await.unwrap();
    let edit = OrganizationEdit { name: "A".into(), name_en: "A".into(), parent: None, level: 3 };
    registry.create_organization(&service(), "xa-a", &edit).await.unwrap();
    let (asks, approves) = (analyst(&registry, "lan").await, analyst(&registry, "minh").await);
    let incident = NewIncident {
        title: "Xâm nhập".into(),
        class: Class::Xn,
        severity: Severity::High,
        legal_category: LegalCategory::Thuong,
        organization: Some("xa-a".into()),
        detected_at: None,
        owner: None,
        alerts: Vec::new(),
        comment: None,
    };
    let incident = registry.create_incident(&Scope::All, &by(&asks), &incident).await.unwrap().id;
    let console = registry.signing_key(&service()).await.unwrap();
    let key = SigningKey::from_seed([1; 32]).unwrap();
    let root = Root::new(1, Timestamp::from_millis(now() + 3_600_000))
        .with(Purpose::Root, 1, &[key.public()])
        .with(Purpose::Request, 1, &[console]);
    let root = Envelope::sign_json(Purpose::Root, &root, &key).unwrap();
    registry.publish_root(&service(), &root).await.unwrap();
    let bus: Arc<dyn Bus> =
        Arc::new(EmbeddedBus::open(&folder.path().join("bus"), Options::default()).unwrap());
    let stop = CancellationToken::new();
    let config = Config::loopback(folder.path().join("collector"));
    let running = dongson_collector::start(config, bus, registry.clone(), stop.clone()).await.unwrap();
    let url = format!("https://127.0.0.1:{}", running.addresses.https.port());
    let made = registry.create_enrolment_token(&service(), "xa-a", "gw", 600_000).await.unwrap();
    let token = format!("dst1.{}.{}", made.secret, running.authority().fingerprint());
    tokio::spawn(running.wait());
    Centre { registry, asks, approves, incident, url, token, stop, _folder: folder }
}

impl Centre {
    /// Asks for a flow and has it approved.
    async fn order(&self, sensor: &str, flow: &Flow) -> PacketOrder {
        let new = NewPacketOrder {
            incident: self.incident.clone(),
            sensor: sensor.to_owned(),
            reason: "Dữ liệu nào đã ra ngoài?".into(),
            since: now() - 3_600_000,
            until: now(),
            community_id: Some(flow.community_id().to_owned()),
            filter: None,
            max_bytes: Some(8 << 20),
            life_hours: None,
        };
        let made = self.registry.ask_packets(&Scope::All, &by(&self.asks), &new).await.unwrap();
        self.registry.approve_packets(&Scope::All, &by(&self.approves), &made.id).await.unwrap()
    }

    /// Waits until the order is over.
    async fn over(&self, id: &str) -> PacketOrder {
        let begun = Instant::now();
        loop {
            let order = self.registry.packet_order(&Scope::All, id, now()).await.unwrap();
            if !matches!(order.state, PacketState::Approved | PacketState::Sent) {
                return order;
            }
            assert!(begun.elapsed() < PATIENCE, "{order:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn packets(&self, id: &str) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(part) =
            self.registry.packet_part_at(&Scope::All, id, i64::try_from(all.len()).unwrap()).await.unwrap()
        {
            all.extend(part);
        }
        all
    }
}

fn udp(port: u16, size: usize) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, 0, 1], [10, 0, 1, 1], 64)
        .udp(port, 53);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, &vec![7; size]).unwrap();
    bytes
}

/// A ring with 3,000 packets of 1,000 bytes of one flow (of which the last 100 are cut off) between those of another.
fn fill(folder: &Path) -> Flow {
    let (wanted, other) = (udp(5_001, 1_000), udp(5_002, 1_000));
    let limits = Limits { flow_bytes: 2_900 * wanted.len() as u64, ..Limits::default() };
    let mut ring = Ring::open(folder, limits).unwrap();
    let begin = Timestamp::from_millis(now() - 60_000);
    for number in 0..3_000 {
        let at = begin.plus(Duration::from_millis(number));
        for bytes in [&wanted, &other] {
            let wire_length = u32::try_from(bytes.len()).unwrap();
            ring.frame(&Frame { at, link: LinkType::ETHERNET, bytes, wire_length, vlan: None }).unwrap();
        }
    }
    ring.finish().unwrap();
    Flow::of_tuple("udp 10.0.0.1 5001 10.0.1.1 53").unwrap()
}

/// A sensor that asks and answers as long as this lives.
fn serve(data: &Path, rules: Rules) -> (Desired, Answerer) {
    let identity = Identity::load(data).unwrap();
    let (desired, requests) = Desired::start(data, &identity, Meter::default()).unwrap();
    let answerer = Answerer::start(data, &identity, rules, Meter::default(), requests).unwrap();
    (desired, answerer)
}

fn deeds(data: &Path) -> Vec<Deed> {
    let mut deeds = Vec::new();
    read_journal(data, &mut |line| deeds.push(line.deed.clone())).unwrap();
    deeds
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_question_to_the_file_and_the_journal() {
    let centre = centre().await;
    let home = tempfile::tempdir().unwrap();
    let (data, ring) = (home.path().join("sensor"), home.path().join("packets"));
    let (url, token, folder) = (centre.url.clone(), centre.token.clone(), data.clone());
    let identity = tokio::task::spawn_blocking(move || enrol(&url, &token, &folder)).await.unwrap().unwrap();
    let flow = fill(&ring);

    // Whoever runs the machine may say no.
    let refusing = serve(&data, Rules { answers: false, packets: Some(ring.clone()), ..Rules::default() });
    let refused = centre.order(&identity.sensor, &flow).await;
    let refused = centre.over(&refused.id).await;
    assert_eq!(refused.state, PacketState::Refused);
    assert!(refused.words.as_ref().unwrap().contains("gives no packets"), "{refused:?}");
    drop(refusing);

    let order = centre.order(&identity.sensor, &flow).await;
    let serving = serve(&data, Rules { packets: Some(ring.clone()), ..Rules::default() });
    let answered = centre.over(&order.id).await;
    assert_eq!(answered.state, PacketState::Answered, "{answered:?}");
    let (account, bytes) = (answered.account.unwrap(), centre.packets(&order.id).await);
    assert!(bytes.len() > 2 << 20, "several parts");
    assert_eq!(account["sha256"], hex::encode(Sha256::digest(&bytes)));
    assert_eq!((&account["frames"], &account["cut_frames"]), (&2_900.into(), &100.into()));
    assert_eq!(account["truncated"], false);
    let mut capture = CaptureFile::from_reader(std::io::Cursor::new(bytes)).unwrap();
    let mut frames = 0;
    while let Some(frame) = capture.next_frame().unwrap() {
        assert_eq!(frame.bytes, udp(5_001, 1_000));
        frames += 1;
    }
    assert_eq!(frames, 2_900);

    // The agency reads what was asked, by whom and for what, and what left.
    let begun = Instant::now();
    while !matches!(deeds(&data).last(), Some(Deed::Answered { .. })) {
        assert!(begun.elapsed() < PATIENCE, "{:?}", deeds(&data));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let deeds = deeds(&data);
    let [
        Deed::Refused { .. },
        Deed::Accepted { request, .. },
        Deed::Sending { account: sent, .. },
        Deed::Answered { .. },
    ] = deeds.as_slice()
    else {
        panic!("{deeds:?}")
    };
    assert_eq!((request.asked_by.name.as_str(), request.approved_by.name.as_str()), ("lan", "minh"));
    assert_eq!(account["sha256"], sent.sha256);
    while data.join("answers").exists() {
        assert!(begun.elapsed() < PATIENCE, "the answer stays behind");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(serving);
    centre.stop.cancel();
}
