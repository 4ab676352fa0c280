//! Messages written by hand from the specifications.

use super::*;
use crate::protocol::Options;
use crate::protocol::talk;
use dongson_event::Value;
use proptest::prelude::*;

const C: Side = Side::Originator;
const S: Side = Side::Responder;

fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
    let options = Options::default();
    talk::hear(&mut Mqtt::new(&Start { client: C, options: &options }), turns, chunk)
}

fn message(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first, u8::try_from(body.len()).unwrap()][..], body].concat()
}

fn list(event: &Event, name: &str) -> Vec<String> {
    event.get(name).map(Value::scalars).unwrap_or_default().iter().map(|v| v.to_text().into_owned()).collect()
}

#[test]
fn version_311_connects_and_subscribes() {
    let connect = message(0x10, b"\x00\x04MQTT\x04\xc2\x00\x3c\x00\x02d1\x00\x02an\x00\x03mat");
    let subscribe = message(0x82, b"\x00\x07\x00\x03a/b\x01\x00\x01#\x02");
    let publish = message(0x30, b"\x00\x03a/bxin");
    let turns = [
        (C, connect),
        (S, message(0x20, b"\x00\x05")),
        (C, [subscribe, message(0xc0, b"")].concat()),
        (S, [message(0x90, b"\x00\x07\x01\x80"), message(0xd0, b"")].concat()),
        (C, [publish, message(0xe0, b"")].concat()),
    ];
    let events = run(&turns, usize::MAX);
    assert_eq!(events, run(&turns, 1));
    let [connect, subscribe, ping, publish, bye] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(connect.text("user.name"), Some("an"));
    assert!(connect.text("dongson.mqtt.password").unwrap().starts_with("hmac-sha256:"));
    assert_eq!(connect.text("dongson.mqtt.client_id"), Some("d1"));
    assert_eq!(connect.text("event.outcome"), Some("failure"), "5 is: not authorised");
    assert_eq!(list(subscribe, "dongson.mqtt.topics"), ["a/b", "#"]);
    assert_eq!(list(subscribe, "dongson.mqtt.requested_qos"), ["1", "2"]);
    assert_eq!(list(subscribe, "dongson.mqtt.granted_qos"), ["1", "128"]);
    assert_eq!(subscribe.text("event.outcome"), Some("failure"));
    assert_eq!(list(ping, "dongson.mqtt.messages"), ["pingreq", "pingresp"]);
    assert_eq!(publish.text("dongson.mqtt.payload"), Some("xin"));
    assert_eq!(publish.int("dongson.mqtt.payload_bytes"), Some(3));
    assert_eq!(list(bye, "dongson.mqtt.messages"), ["disconnect"]);
}

#[test]
fn version_5_publishes_with_properties() {
    let connect =
        message(0x10, b"\x00\x04MQTT\x05\x06\x00\x3c\x03\x21\x00\x14\x00\x01d\x02\x01\x01\x00\x01w\x00\x01m");
    let publish = message(0x34, b"\x00\x01t\x00\x09\x07\x26\x00\x01k\x00\x01vok");
    let turns = [
        (C, connect),
        (S, message(0x20, b"\x00\x00\x03\x22\x00\x0a")),
        (C, publish),
        (S, message(0x50, b"\x00\x09\x10")),
        (C, message(0x62, b"\x00\x09")),
        (S, message(0x70, b"\x00\x09")),
        (S, [message(0xe0, b"\x8e"), message(0x00, b""), message(0x36, b"\x00\x01t\x00\x01\x00")].concat()),
    ];
    let events = run(&turns, usize::MAX);
    assert_eq!(events, run(&turns, 3));
    let [connect, publish, bye, unassigned, invalid] = events.as_slice() else { panic!("{events:?}") };
    let told =
        ["connect.receive_maximum=20", "will.payload_format_indicator=1", "connack.topic_alias_maximum=10"];
    assert_eq!(list(connect, "dongson.mqtt.properties"), told);
    assert_eq!(connect.text("dongson.mqtt.will.topic"), Some("w"));
    assert_eq!(list(publish, "dongson.mqtt.messages"), ["publish", "pubrec", "pubrel", "pubcomp"]);
    assert_eq!(list(publish, "dongson.mqtt.reason_codes"), ["16", "0", "0"]);
    assert_eq!(list(publish, "dongson.mqtt.properties"), ["publish.k=v"]);
    assert_eq!(publish.text("dongson.mqtt.payload"), Some("ok"));
    assert_eq!(list(bye, "dongson.mqtt.reason_codes"), ["142"]);
    assert_eq!(unassigned.text("error.message"), Some("unassigned message type"));
    assert_eq!(invalid.text("error.message"), Some("invalid QoS level"));
}

#[test]
fn long_payloads_are_counted_and_cut() {
    let body = [&b"\x00\x01t"[..], &vec![b'x'; 40_000]].concat();
    let long = [&[0x30, 0xc3, 0xb8, 0x02][..], &body, &message(0xe0, b"")].concat();
    let turns = [(C, long)];
    let events = run(&turns, usize::MAX);
    assert_eq!(events, run(&turns, 1000));
    let [publish, _] = events.as_slice() else { panic!("{}", events.len()) };
    assert_eq!(publish.int("dongson.mqtt.payload_bytes"), Some(40_000));
    assert_eq!(publish.text("dongson.mqtt.payload").unwrap().len(), 1024);
}

proptest! {
    #[test]
    fn pieces_do_not_matter(talk: Vec<(bool, u8, Vec<u8>)>, five: bool, tail: Vec<u8>, chunk in 1..30_usize) {
        let version = if five { 5 } else { 4 };
        let mut turns = vec![(C, message(0x10, &[0, 4, b'M', b'Q', b'T', b'T', version, 2, 0, 60, 0, 0, 0]))];
        for (client, first, mut body) in talk {
            body.truncate(120);
            turns.push((if client { C } else { S }, message(first, &body)));
        }
        turns.push((S, tail));
        prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
    }
}
