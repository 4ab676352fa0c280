//! Talks with a device, written byte by byte.

use proptest::prelude::*;

use super::*;
use crate::protocol::talk;

const C: Side = Side::Originator;
const S: Side = Side::Responder;

fn message(command: u8, session: u8, context: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_le_bytes();
    let mut bytes = vec![command, 0, length[0], length[1], session, 0, 0, 0, 0, 0, 0, 0, context];
    bytes.resize(HEADER, 0);
    bytes.extend_from_slice(data);
    bytes
}

/// A CIP message outside of connections.
fn unconnected(cip: &[u8]) -> Vec<u8> {
    let length = u8::try_from(cip.len()).unwrap();
    [&[0, 0, 0, 0, 5, 0, 2, 0, 0, 0, 0, 0, 0xb2, 0, length, 0][..], cip].concat()
}

/// A CIP message in a connection.
fn connected(sequence: u8, cip: &[u8]) -> Vec<u8> {
    let length = u8::try_from(cip.len() + 2).unwrap();
    [&[0, 0, 0, 0, 0, 0, 2, 0, 0xa1, 0, 4, 0, 9, 8, 7, 6, 0xb1, 0, length, 0, sequence, 0][..], cip].concat()
}

fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
    talk::hear(&mut Enip::default(), turns, chunk)
}

fn identity() -> Vec<u8> {
    let mut bytes = vec![1, 0, 0, 2, 0xaf, 0x12, 10, 0, 0, 7];
    bytes.resize(18, 0);
    bytes.extend_from_slice(&[77, 0, 14, 0, 3, 0, 20, 11, 0x30, 0, 4, 3, 2, 1, 5]);
    bytes.extend_from_slice(b"Bom 1\x03");
    bytes
}

fn list(event: &Event, name: &str) -> Vec<String> {
    event.get(name).unwrap().scalars().iter().map(|value| value.to_text().into_owned()).collect()
}

#[test]
fn sessions_services_and_results() {
    let inner = [&[0x4c, 4, 0x91, 5][..], b"Pump1\0", &[1, 0]].concat();
    let multiple =
        [&[0x0a, 2, 0x20, 2, 0x24, 1, 2, 0, 6, 0, 18, 0][..], &inner, &[0x0e, 3, 0x20, 1, 0x24, 1, 0x30, 7]]
            .concat();
    let turns = [
        (C, message(0x65, 0, 1, &[1, 0, 0, 0])),
        (S, message(0x65, 5, 1, &[1, 0, 0, 0])),
        (C, message(0x6f, 5, 2, &unconnected(&[1, 3, 0x20, 1, 0x25, 0, 1, 0]))),
        (S, message(0x6f, 5, 2, &unconnected(&[&[0x81, 0, 0, 0][..], &identity()[18..]].concat()))),
        (
            C,
            [
                message(0x70, 5, 0, &connected(1, &multiple)),
                message(0x70, 5, 0, &connected(2, &[5, 2, 0x20, 1, 0x24, 1])),
            ]
            .concat(),
        ),
        (S, message(0x70, 5, 0, &connected(2, &[0x85, 0, 0x0f, 1, 0x34, 0x12]))),
        (C, message(0x66, 5, 0, &[])),
    ];
    let events = run(&turns, usize::MAX);
    assert_eq!(events, run(&turns, 1));
    let [register, identity, reset, unregister, multiple] = events.as_slice() else { panic!("{events:#?}") };
    assert_eq!(register.int("dongson.enip.session"), Some(5), "the one that was given");
    assert_eq!(identity.text("dongson.cip.service"), Some("Get_Attributes_All"));
    assert_eq!(identity.text("dongson.cip.class"), Some("Identity"));
    assert_eq!(identity.text("dongson.enip.identity.name"), Some("Bom 1"));
    assert_eq!(reset.text("event.action"), Some("Reset"));
    assert_eq!(reset.text("dongson.cip.status"), Some("privilege violation"));
    assert_eq!(reset.int("dongson.cip.extended_status"), Some(0x1234));
    assert_eq!(reset.text("event.outcome"), Some("failure"));
    assert_eq!(unregister.text("event.action"), Some("unregister_session"));
    assert_eq!(list(multiple, "dongson.cip.services"), ["Read_Tag", "Get_Attribute_Single"]);
    assert_eq!(list(multiple, "dongson.cip.symbols"), ["Pump1"]);
    assert_eq!(multiple.text("event.outcome"), None, "nobody answered");
}

#[test]
fn devices_that_are_looked_for() {
    let (mut enip, mut out) = (Enip::default(), Vec::new());
    let identity = identity();
    let item = [&[1, 0, 0x0c, 0, u8::try_from(identity.len()).unwrap(), 0][..], &identity].concat();
    enip.datagram(C, Timestamp::default(), &message(0x63, 0, 3, &[]), &mut out);
    enip.datagram(S, Timestamp::default(), &message(0x63, 0, 3, &item), &mut out);
    let [event] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!(event.text("event.action"), Some("list_identity"));
    assert_eq!(event.ip("dongson.enip.identity.ip").unwrap().to_string(), "10.0.0.7");
    assert_eq!(event.text("dongson.enip.identity.revision"), Some("20.11"));
    assert_eq!(event.text("dongson.enip.identity.serial"), Some("01020304"));
    assert_eq!(event.int("dongson.enip.identity.state"), Some(3));
}

proptest! {
    #[test]
    fn pieces_do_not_matter(talk: Vec<(bool, u8, u8, Vec<u8>)>, tail: Vec<u8>, chunk in 1..60_usize) {
        let mut turns: Vec<_> = Vec::new();
        for (client, service, path, mut bytes) in talk {
            bytes.truncate(100);
            let cip = [&[service, path % 8][..], &bytes].concat();
            let side = if client { C } else { S };
            turns.push((side, message(0x6f, 1, path % 3, &unconnected(&cip))));
            turns.push((side, message(0x70, 1, 0, &connected(path % 3, &cip))));
            turns.push((side, message(0x63, 0, 0, &bytes)));
        }
        turns.push((S, tail));
        prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
    }
}
