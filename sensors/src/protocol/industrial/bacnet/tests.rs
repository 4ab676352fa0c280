//! Talks between controllers, written byte by byte.

use proptest::prelude::*;

use super::*;
use crate::protocol::Options;

const C: Side = Side::Originator;
const S: Side = Side::Responder;

/// An application message in its datagram.
fn datagram(function: u8, apdu: &[u8]) -> Vec<u8> {
    let length = u8::try_from(apdu.len() + 6).unwrap();
    [&[0x81, function, 0, length, 1, 4][..], apdu].concat()
}

fn run(turns: &[(Side, Vec<u8>)]) -> Vec<Event> {
    let options = Options::default();
    let mut bacnet = Bacnet::new(&Start { client: C, options: &options });
    let mut out = Vec::new();
    for (side, bytes) in turns {
        bacnet.datagram(*side, Timestamp::default(), bytes, &mut out);
    }
    bacnet.finish(Timestamp::default(), &mut out);
    out
}

fn list(event: &Event, name: &str) -> Vec<String> {
    event.get(name).unwrap().scalars().iter().map(|value| value.to_text().into_owned()).collect()
}

#[test]
fn devices_that_are_looked_for_and_found() {
    let events = run(&[
        (C, datagram(11, &[0x10, 8, 0x09, 5, 0x1a, 1, 0])),
        (S, datagram(11, &[0x10, 0, 0xc4, 2, 0, 0, 9, 0x22, 5, 0xc4, 0x91, 0, 0x21, 42])),
        (C, vec![0x81, 5, 0, 6, 0, 60]),
        (S, vec![0x81, 0, 0, 6, 0, 0x30]),
        (C, vec![0x81, 10, 0, 9, 1, 0x80, 0, 0, 7]),
    ]);
    let [who, i_am, register, refused, router] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(who.text("event.action"), Some("who_is"));
    assert_eq!(
        (who.int("dongson.bacnet.low_limit"), who.int("dongson.bacnet.high_limit")),
        (Some(5), Some(256))
    );
    assert_eq!(
        (i_am.int("dongson.bacnet.device"), i_am.int("dongson.bacnet.vendor_id")),
        (Some(9), Some(42))
    );
    assert_eq!(i_am.int("dongson.bacnet.max_apdu"), Some(1476));
    assert_eq!(register.int("dongson.bacnet.ttl"), Some(60));
    assert_eq!(refused.text("event.outcome"), Some("failure"));
    assert_eq!(router.text("event.action"), Some("who_is_router_to_network"));
}

#[test]
fn properties_are_read_and_written() {
    let read = [0, 5, 1, 12, 0x0c, 0, 0, 0, 3, 0x19, 85];
    let value = [0x30, 1, 12, 0x0c, 0, 0, 0, 3, 0x19, 85, 0x3e, 0x44, 0x41, 0xa4, 0, 0, 0x3f];
    let write = [0, 5, 2, 15, 0x0c, 0, 0x40, 0, 7, 0x19, 85, 0x3e, 0x91, 1, 0x3f, 0x49, 8];
    let events = run(&[
        (C, datagram(10, &read)),
        (C, datagram(10, &read)),
        (S, datagram(10, &value)),
        (C, datagram(10, &write)),
        (S, datagram(10, &[0x50, 2, 15, 0x91, 2, 0x91, 40])),
        (C, datagram(10, &[0, 5, 3, 14, 0x0c, 2, 0, 0, 1, 0x1e, 0x09, 77, 0x09, 28, 0x1f])),
        (S, datagram(10, &[0x20, 9, 6])),
    ]);
    let [read, write, stray, multiple] = events.as_slice() else { panic!("{events:#?}") };
    assert_eq!(list(read, "dongson.bacnet.objects"), ["analog-input:3"]);
    assert_eq!(list(read, "dongson.bacnet.properties"), ["present-value"]);
    assert_eq!(list(read, "dongson.bacnet.values"), ["20.5"]);
    assert_eq!(read.text("event.outcome"), Some("success"));
    assert_eq!(list(write, "dongson.bacnet.objects"), ["analog-output:7"]);
    assert_eq!(
        (list(write, "dongson.bacnet.values"), write.int("dongson.bacnet.priority")),
        (vec!["1".into()], Some(8))
    );
    assert_eq!(write.text("dongson.bacnet.error"), Some("write-access-denied"));
    assert_eq!(stray.text("event.action"), Some("atomic_read_file"));
    assert_eq!(list(multiple, "dongson.bacnet.properties"), ["object-name", "description"]);
}

#[test]
fn restarts_and_their_passwords() {
    let events = run(&[
        (C, datagram(10, &[0, 5, 1, 20, 0x09, 1, 0x1d, 5, 0, b'm', b'a', b't', b'1'])),
        (S, datagram(10, &[0x60, 1, 9])),
        (C, datagram(10, &[0, 5, 2, 17, 0x09, 60, 0x19, 1])),
    ]);
    let [restart, silence] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(restart.text("event.action"), Some("reinitialize_device"));
    assert_eq!(restart.text("dongson.bacnet.device_state"), Some("warmstart"));
    assert!(restart.text("dongson.bacnet.password").unwrap().starts_with("hmac-sha256:"));
    assert_eq!(restart.text("dongson.bacnet.error"), Some("unrecognized-service"));
    assert_eq!(silence.text("dongson.bacnet.device_state"), Some("disable"));
    assert_eq!(silence.int("dongson.bacnet.duration"), Some(60));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(talk: Vec<(bool, u8, u8, u8, Vec<u8>)>) {
        let turns: Vec<_> = talk
            .into_iter()
            .map(|(client, kind, invoke, service, mut bytes)| {
                bytes.truncate(200);
                let apdu = [&[kind, 5, invoke % 3, service % 32][..], &bytes].concat();
                (if client { C } else { S }, datagram(9 + kind % 3, &apdu))
            })
            .collect();
        prop_assert!(run(&turns).len() <= turns.len());
    }

    #[test]
    fn nor_do_bare_bytes_harm(mut bytes: Vec<u8>, function in 0..13_u8) {
        bytes.truncate(200);
        run(&[(C, [&[0x81, function, 0, u8::try_from(bytes.len() + 4).unwrap()][..], &bytes].concat())]);
    }
}
