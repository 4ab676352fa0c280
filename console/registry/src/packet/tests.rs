use dongson_event::Timestamp;
use dongson_event::trust::{
    Envelope, PacketAccount, PacketAnswer, PacketRequest, PublicKey, Purpose, Root, SigningKey, Trust,
};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::support::{on_both, registry_for_test};
use crate::{
    Account, AccountEdit, Change, Class, Closing, Entry, Error, Incident, LegalCategory, NewIncident,
    OrganizationEdit, Registry, Role, Scope, SensorCertificate, Severity, Verdict, hash_secret,
};

const NOW: i64 = 1_795_392_000_000;
const HOUR: i64 = 3_600_000;

fn root(console: &PublicKey) -> Envelope {
    let key = SigningKey::from_seed([1; 32]).unwrap();
    let root = Root::new(1, Timestamp::from_millis(NOW * 2)).with(Purpose::Root, 1, &[key.public()]).with(
        Purpose::Request,
        1,
        std::slice::from_ref(console),
    );
    Envelope::sign_json(Purpose::Root, &root, &key).unwrap()
}

struct World {
    registry: Registry,
    trust: Trust,
    asks: Account,
    approves: Account,
    incident: Incident,
}

fn by(account: &Account, at: i64) -> Change {
    Change::by(&account.id, None, at)
}

/// Agencies `a` and `b`, sensors `s-a` and `s-b`, two analysts, and an incident of `a`.
async fn world() -> World {
    let registry = registry_for_test().await;
    let change = Change::service("test", NOW);
    for id in ["a", "b"] {
        let edit = OrganizationEdit { name: id.into(), name_en: id.into(), parent: None, level: 1 };
        registry.create_organization(&change, id, &edit).await.unwrap();
        let token = registry.create_enrolment_token(&change, id, "gw", 60_000).await.unwrap();
        let certificate = SensorCertificate {
            sensor: format!("s-{id}"),
            serial: format!("0{id}"),
            fingerprint: hash_secret(id),
            not_after: NOW * 2,
        };
        registry.redeem(&token.secret, &certificate, NOW).await.unwrap();
    }
    let analyst = async |login: &str| {
        let edit = AccountEdit {
            full_name: login.to_uppercase(),
            role: Role::Analyst,
            organizations: None,
            disabled: false,
        };
        registry.create_account(&change, login, &edit).await.unwrap().account
    };
    let (asks, approves) = (analyst("lan").await, analyst("minh").await);
    let incident =
        registry.create_incident(&Scope::All, &by(&asks, NOW), &new_incident(Some("a"))).await.unwrap();
    let root = root(&registry.signing_key(&change).await.unwrap());
    registry.publish_root(&change, &root).await.unwrap();
    World { registry, trust: Trust::begin(&root).unwrap(), asks, approves, incident }
}

fn new_incident(organization: Option<&str>) -> NewIncident {
    NewIncident {
        title: "Xâm nhập".into(),
        class: Class::Xn,
        severity: Severity::High,
        legal_category: LegalCategory::Thuong,
        organization: organization.map(str::to_owned),
        detected_at: None,
        owner: None,
        alerts: Vec::new(),
        comment: None,
    }
}

fn order(world: &World) -> NewPacketOrder {
    NewPacketOrder {
        incident: world.incident.id.clone(),
        sensor: "s-a".into(),
        reason: "Dữ liệu nào đã ra ngoài?".into(),
        since: NOW - HOUR,
        until: NOW,
        community_id: Some("1:LQU9qZlK+B5F3KDmev6m5PMibrg=".into()),
        filter: None,
        max_bytes: Some(10_000),
        life_hours: Some(2),
    }
}

impl World {
    async fn ask(&self) -> PacketOrder {
        self.registry.ask_packets(&Scope::All, &by(&self.asks, NOW), &order(self)).await.unwrap()
    }

    async fn approved(&self) -> PacketOrder {
        let made = self.ask().await;
        self.registry.approve_packets(&Scope::All, &by(&self.approves, NOW), &made.id).await.unwrap()
    }

    /// What the sensor is shown.
    async fn shown(&self, sensor: &str, now: i64) -> Vec<PacketRequest> {
        let agency = sensor.trim_start_matches("s-");
        let offer = self.registry.offer(agency, sensor, 0, now).await.unwrap();
        let verify = |envelope| {
            PacketRequest::verify(&self.trust, envelope, (agency, sensor), Timestamp::from_millis(now))
                .unwrap()
        };
        offer.requests.iter().map(verify).collect()
    }
}

fn reason(error: &Error) -> &str {
    match error {
        Error::Refused { reason, .. } | Error::Invalid { reason, .. } => reason,
        Error::NotFound(what) => what,
        other => panic!("{other}"),
    }
}

async fn two_people_then_the_sensor_then_the_packets() {
    let world = world().await;
    let registry = &world.registry;
    let made = world.ask().await;
    assert_eq!((made.state, world.shown("s-a", NOW).await.len()), (PacketState::Asked, 0));
    let alone = registry.approve_packets(&Scope::All, &by(&world.asks, NOW), &made.id).await.unwrap_err();
    assert!(reason(&alone).contains("somebody else"), "{alone}");
    let approved =
        registry.approve_packets(&Scope::All, &by(&world.approves, NOW + 5), &made.id).await.unwrap();
    assert_eq!((approved.state, approved.expires_at), (PacketState::Approved, Some(NOW + 5 + 2 * HOUR)));
    let shown = world.shown("s-a", NOW + 10).await;
    let [request] = shown.as_slice() else { panic!("{shown:?}") };
    assert_eq!((request.asked_by.name.as_str(), request.approved_by.name.as_str()), ("LAN", "MINH"));
    assert_eq!(Some(&request.incident), world.incident.agency_number.as_ref());
    assert_eq!((request.id.as_str(), request.max_bytes), (made.id.as_str(), 10_000));
    assert!(world.shown("s-b", NOW + 10).await.is_empty());

    assert_eq!(registry.packets_received("s-a", &made.id, NOW + 20).await.unwrap(), 0);
    let seen = registry.packet_order(&Scope::All, &made.id, NOW + 20).await.unwrap();
    assert_eq!(seen.state, PacketState::Sent);
    let receive = async |start: i64, bytes: &[u8]| {
        registry.receive_packets("s-a", &made.id, start, bytes, NOW + 30).await
    };
    assert_eq!(receive(0, b"wrong try").await.unwrap(), 9);
    assert_eq!(receive(0, b"hello ").await.unwrap(), 6, "from the beginning");
    assert_eq!(receive(9, b"x").await.unwrap(), 6, "a part that leaves a hole is left out");
    assert_eq!(receive(6, b"world").await.unwrap(), 11);
    let many = receive(11, &[0; 10_000]).await.unwrap_err();
    assert!(reason(&many).contains("more bytes"), "{many}");
    let other = registry.receive_packets("s-b", &made.id, 11, b"x", NOW + 30).await.unwrap_err();
    assert!(matches!(other, Error::NotFound(_)), "another sensor's order does not exist");

    let account = |bytes: &[u8]| PacketAccount {
        sha256: hex::encode(Sha256::digest(bytes)),
        bytes: bytes.len() as u64,
        frames: 2,
        ..PacketAccount::default()
    };
    let wrong = PacketAnswer::Packets(account(b"hello there"));
    let error = registry.end_packets("s-a", &made.id, &wrong, NOW + 40).await.unwrap_err();
    assert!(reason(&error).contains("SHA-256"), "{error}");
    assert_eq!(registry.packets_received("s-a", &made.id, NOW + 40).await.unwrap(), 0, "it begins anew");
    receive(0, b"hello ").await.unwrap();
    receive(6, b"world").await.unwrap();
    let right = PacketAnswer::Packets(account(b"hello world"));
    for _ in 0..2 {
        registry.end_packets("s-a", &made.id, &right, NOW + 50).await.unwrap();
    }
    assert!(world.shown("s-a", NOW + 60).await.is_empty(), "it is not asked again");
    let taken = registry.take_packets(&Scope::All, &by(&world.asks, NOW + 70), &made.id).await.unwrap();
    assert_eq!((taken.state, taken.received_bytes), (PacketState::Answered, 11));
    assert_eq!(taken.account.unwrap()["frames"], 2);
    let part = async |start| registry.packet_part_at(&Scope::All, &made.id, start).await.unwrap();
    assert_eq!((part(0).await.unwrap(), part(6).await.unwrap()), (b"hello ".to_vec(), b"world".to_vec()));
    assert_eq!(part(11).await, None);

    // All of it stands in the time line and in the audit chain.
    let entries = registry.timeline(&Scope::All, &world.incident.id).await.unwrap();
    assert!(Entry::unbroken(&world.incident.id, &entries));
    let actions: Vec<&str> =
        entries.iter().filter_map(|entry| entry.data.as_ref()?.get("action")?.as_str()).collect();
    assert_eq!(actions, ["create", "approve", "send", "answer", "download"]);
    let audit = registry.audit_entries(None, 500).await.unwrap();
    assert_eq!(audit.iter().filter(|entry| entry.kind == "packet_order").count(), 5);
    registry.discard_packets(&Scope::All, &by(&world.asks, NOW + 80), &made.id).await.unwrap();
    assert_eq!(part(0).await, None);
    let gone = registry.take_packets(&Scope::All, &by(&world.asks, NOW + 90), &made.id).await.unwrap_err();
    assert!(reason(&gone).contains("no packets"), "{gone}");
}

async fn the_sensors_refusal_and_the_end_of_time() {
    let world = world().await;
    let registry = &world.registry;
    let made = world.approved().await;
    let refused = PacketAnswer::Refused { reason: "this sensor keeps\n no packets".into() };
    registry.end_packets("s-a", &made.id, &refused, NOW + 1).await.unwrap();
    registry.end_packets("s-a", &made.id, &refused, NOW + 2).await.unwrap();
    let seen = registry.packet_order(&Scope::All, &made.id, NOW + 3).await.unwrap();
    assert_eq!(
        (seen.state, seen.words.as_deref()),
        (PacketState::Refused, Some("this sensor keeps no packets"))
    );

    let late = world.approved().await;
    let end = late.expires_at.unwrap();
    assert!(world.shown("s-a", end).await.is_empty());
    let seen = registry.packet_order(&Scope::All, &late.id, end).await.unwrap();
    assert_eq!(seen.state, PacketState::Expired);
    let filter = PacketFilter { states: vec![PacketState::Expired], ..PacketFilter::default() };
    let expired = registry.packet_orders(&Scope::All, &filter, 10, end).await.unwrap();
    assert_eq!(expired.iter().map(|order| &order.id).collect::<Vec<_>>(), [&late.id]);
    assert!(registry.packet_orders(&Scope::All, &filter, 10, NOW).await.unwrap().is_empty());
    let error = registry.receive_packets("s-a", &late.id, 0, b"x", end).await.unwrap_err();
    assert!(reason(&error).contains("over already"), "{error}");

    let taken_back = world.approved().await;
    let before = world.shown("s-a", NOW + 1).await.len();
    registry.decline_packets(&Scope::All, &by(&world.asks, NOW), &taken_back.id, "nhầm").await.unwrap();
    assert_eq!(world.shown("s-a", NOW + 1).await.len(), before - 1);
    let again = registry.approve_packets(&Scope::All, &by(&world.approves, NOW), &taken_back.id).await;
    assert!(reason(&again.unwrap_err()).contains("decided already"));
}

async fn what_does_not_fit_is_refused() {
    let world = world().await;
    let registry = &world.registry;
    let change = by(&world.asks, NOW);
    let refuse = async |scope: &Scope, new: NewPacketOrder, word: &str| {
        let error = registry.ask_packets(scope, &change, &new).await.unwrap_err();
        assert!(reason(&error).contains(word), "{word}: {error}");
    };
    let all = Scope::All;
    refuse(&all, NewPacketOrder { sensor: "s-b".into(), ..order(&world) }, "another agency").await;
    refuse(&all, NewPacketOrder { sensor: "s-c".into(), ..order(&world) }, "sensor").await;
    refuse(&all, NewPacketOrder { incident: "x".into(), ..order(&world) }, "incident").await;
    refuse(&all, NewPacketOrder { community_id: None, ..order(&world) }, "not everything").await;
    refuse(&all, NewPacketOrder { community_id: Some("1:x".into()), ..order(&world) }, "Community ID").await;
    refuse(&all, NewPacketOrder { since: NOW + 1, ..order(&world) }, "after since").await;
    refuse(&all, NewPacketOrder { since: NOW - 170 * HOUR, ..order(&world) }, "seven days").await;
    refuse(&all, NewPacketOrder { until: NOW + HOUR, ..order(&world) }, "and now").await;
    refuse(&all, NewPacketOrder { max_bytes: Some(1), ..order(&world) }, "1024").await;
    refuse(&all, NewPacketOrder { life_hours: Some(169), ..order(&world) }, "168").await;
    refuse(&all, NewPacketOrder { reason: " ".into(), ..order(&world) }, "empty").await;

    // Of the province: whoever sees one agency sees the order of its sensor, but not the incident.
    let scope = Scope::Organizations(vec!["a".into()]);
    let province = registry.create_incident(&all, &change, &new_incident(None)).await.unwrap();
    let wide = NewPacketOrder { incident: province.id.clone(), ..order(&world) };
    let edit = AccountEdit {
        full_name: "An".into(),
        role: Role::Analyst,
        organizations: Some(vec!["a".into()]),
        disabled: false,
    };
    let local = registry.create_account(&change, "an", &edit).await.unwrap().account;
    let hidden = registry.ask_packets(&scope, &by(&local, NOW), &wide).await.unwrap_err();
    assert_eq!(reason(&hidden), "incident");
    let made = registry.ask_packets(&all, &change, &wide).await.unwrap();
    assert_eq!(made.incident.as_ref(), Some(&province.id));
    let seen = registry.packet_order(&scope, &made.id, NOW).await.unwrap();
    assert_eq!(seen.incident, None);
    let of_incident = PacketFilter { incident: Some(province.id.clone()), ..PacketFilter::default() };
    assert!(registry.packet_orders(&scope, &of_incident, 10, NOW).await.unwrap().is_empty());
    let blind = registry.approve_packets(&scope, &by(&local, NOW), &made.id).await.unwrap_err();
    assert_eq!(reason(&blind), "incident");
    let other = Scope::Organizations(vec!["b".into()]);
    assert!(registry.packet_order(&other, &made.id, NOW).await.is_err());
    assert!(registry.packet_orders(&other, &PacketFilter::default(), 10, NOW).await.unwrap().is_empty());
    let approved = registry.approve_packets(&all, &by(&world.approves, NOW), &made.id).await.unwrap();
    let shown = world.shown("s-a", NOW).await;
    assert_eq!(
        shown.first().map(|request| &request.incident),
        Some(&province.id),
        "no number of the province"
    );
    assert_eq!(approved.state, PacketState::Approved);

    let closing = Closing { verdict: Verdict::Benign, cause: "x".into(), lesson: "y".into() };
    registry.close_incident(&all, &change, &province.id, province.version, &closing).await.unwrap();
    refuse(&all, wide, "closed").await;
}

on_both!(
    two_people_then_the_sensor_then_the_packets,
    the_sensors_refusal_and_the_end_of_time,
    what_does_not_fit_is_refused,
);
