//! A source that falls silent is reported once, its return once.

use crate::world::{World, edit};
use dongson_event::TOPIC_EVENTS;
use dongson_registry::SourceKind;
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
