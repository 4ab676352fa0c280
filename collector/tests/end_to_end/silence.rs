//! A source or sensor that falls silent is reported once, with its owner, and its return once.

use crate::world::{World, change, edit};
use dongson_event::TOPIC_EVENTS;
use dongson_registry::{AccountEdit, Change, Role, SensorCertificate, SourceKind};
use tokio::io::AsyncWriteExt as _;

#[tokio::test(flavor = "multi_thread")]
async fn one_event_for_the_silence_and_one_for_the_return() {
    let mut wanted = edit(SourceKind::Syslog);
    wanted.silence_after_seconds = Some(1);
    let (world, source) = World::new().await.source(wanted).await;
    let events = world.wait(TOPIC_EVENTS, 1).await;
    let silent = &events[0];
    assert_eq!((silent.dataset(), silent.text("event.action")), ("dongson.health", Some("source-silent")));
    assert_eq!((silent.organization(), silent.text("observer.name")), ("xa-a", Some("gw-01")));
    assert_eq!(silent.text("dongson.health.source"), Some(format!("source:{}", source.id).as_str()));
    assert_eq!(silent.text("dongson.health.owner"), Some("Nguyễn Văn A"));
    let mut stream = tokio::net::TcpStream::connect(world.at.syslog_tcp.unwrap()).await.unwrap();
    stream.write_all(b"<13>Nov 23 09:00:00 h p: back\n").await.unwrap();
    let events = world.wait(TOPIC_EVENTS, 3).await;
    let actions: Vec<_> = events.iter().filter_map(|event| event.text("event.action")).collect();
    assert_eq!(actions[..2], ["source-silent", "source-returned"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_sensor_has_an_owner_too() {
    let mut world = World::new().await;
    let person = AccountEdit {
        full_name: "Trần Thị Bình".into(),
        role: Role::Administrator,
        organizations: None,
        disabled: false,
    };
    let account = world.registry.create_account(&change(), "binh", &person).await.unwrap().account;
    let by = Change::by(&account.id, None, dongson_registry::now() - 3_600_000);
    let token = world.registry.create_enrolment_token(&by, "xa-a", "gw-02", 60_000).await.unwrap();
    let id = dongson_registry::new_id();
    let certificate = SensorCertificate {
        sensor: id.clone(),
        serial: "1".into(),
        fingerprint: "1".into(),
        not_after: by.at + 7_200_000,
    };
    world.registry.redeem(&token.secret, &certificate, by.at).await.unwrap();
    assert!(world.read(TOPIC_EVENTS).await.is_empty());
    // Marked by a collector that was killed before it could tell anybody: the next one tells it.
    let marked = world.registry.mark_silent_sensors(by.at, dongson_registry::now()).await.unwrap();
    assert_eq!(marked.len(), 1);
    world = world.restart().await;
    let events = world.wait(TOPIC_EVENTS, 1).await;
    let silent = &events[0];
    assert_eq!(silent.text("event.action"), Some("sensor-silent"));
    assert_eq!(silent.text("dongson.health.source"), Some(format!("sensor:{id}").as_str()));
    assert_eq!(silent.text("dongson.health.owner"), Some("Trần Thị Bình"));
    world = world.restart().await;
    assert_eq!(world.read(TOPIC_EVENTS).await.len(), 1, "told once, however often the collector starts");
}
