//! Messages written byte by byte.

use proptest::prelude::*;

use super::*;

/// A message of this version and exchange with its payloads behind it.
fn message(version: u8, exchange: u8, flags: u8, payloads: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (number, (_, content)) in payloads.iter().enumerate() {
        let next = payloads.get(number + 1).map_or(0, |(kind, _)| *kind);
        let length = u16::try_from(content.len() + 4).unwrap().to_be_bytes();
        body.extend_from_slice(&[next, 0, length[0], length[1]]);
        body.extend_from_slice(content);
    }
    let first = payloads.first().map_or(0, |(kind, _)| *kind);
    let length = u16::try_from(body.len() + HEADER).unwrap().to_be_bytes();
    let head = [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, first, version, exchange, flags];
    [&head[..], &[0, 0, 0, 9, 0, 0, length[0], length[1]], &body].concat()
}

fn run(bytes: &[u8]) -> Vec<Event> {
    let mut out = Vec::new();
    Ike.datagram(Side::Originator, Timestamp::default(), bytes, &mut out);
    out
}

fn list(event: &Event, name: &str) -> Vec<String> {
    event.get(name).unwrap().scalars().iter().map(|value| value.to_text().into_owned()).collect()
}

#[test]
fn the_second_version() {
    let offer = vec![
        0, 0, 0, 36, 1, 1, 0, 3, 3, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 1, 0, 3, 0, 0, 8, 2, 0, 0, 5, 0, 0, 0,
        8, 4, 0, 0, 2,
    ];
    let payloads = [
        (33, offer),
        (34, vec![0, 2, 0, 0, 1, 2]),
        (40, vec![7; 16]),
        (41, vec![0, 0, 0x40, 4, 9, 9]),
        (41, vec![0, 0, 0, 14]),
        (43, b"tram thu nghiem".to_vec()),
    ];
    let bytes = message(0x20, 34, 8, &payloads);
    assert!(is_message(&bytes) && is_message(&[&MARK[..], &bytes].concat()) && !is_message(&bytes[1..]));
    let events = run(&bytes);
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(event.text("dongson.ike.exchange"), Some("ike_sa_init"));
    assert_eq!(event.text("dongson.ike.initiator_spi"), Some("0102030405060708"));
    assert_eq!(event.text("dongson.ike.role"), Some("initiator"));
    assert_eq!(event.int("dongson.ike.message_id"), Some(9));
    assert_eq!(list(event, "dongson.ike.payloads"), ["SA", "KE", "Nonce", "N", "N", "V"]);
    assert_eq!(list(event, "dongson.ike.transforms"), ["ENCR_AES_CBC_256", "PRF_HMAC_SHA2_256", "MODP_1024"]);
    assert_eq!(event.text("dongson.ike.dh_group"), Some("MODP_1024"));
    assert_eq!(list(event, "dongson.ike.notifications"), ["NAT_DETECTION_SOURCE_IP", "NO_PROPOSAL_CHOSEN"]);
    assert_eq!(event.int("dongson.ike.errors"), Some(1));
    assert_eq!(list(event, "dongson.ike.vendor_ids"), ["tram thu nghiem"]);
}

#[test]
fn the_first_version_in_aggressive_mode() {
    let offer = vec![
        0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 40, 1, 1, 0, 1, 0, 0, 0, 32, 1, 1, 0, 0, 0x80, 1, 0, 7, 0x80, 14, 0,
        128, 0x80, 2, 0, 2, 0x80, 3, 0, 1, 0x80, 4, 0, 2, 0, 12, 0, 4,
    ];
    let mut offer = offer;
    offer.extend_from_slice(&[0, 0, 0x0e, 0x10]);
    offer[11] = u8::try_from(offer.len() - 8).unwrap();
    offer[19] = u8::try_from(offer.len() - 16).unwrap();
    let payloads = [(1, offer), (4, vec![1; 128]), (5, b"\x02\x11\x01\xf4vpn.example.vn".to_vec())];
    let events = run(&message(0x10, 4, 0, &payloads));
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(event.text("dongson.ike.exchange"), Some("aggressive"));
    assert_eq!(list(event, "dongson.ike.transforms"), ["AES_CBC_128/SHA1/PSK/MODP_1024"]);
    assert_eq!(event.int("dongson.ike.lifetime"), Some(3600));
    assert_eq!(event.text("dongson.ike.identity"), Some("vpn.example.vn"));
}

#[test]
fn what_is_encrypted_stays_closed() {
    let events = run(&message(0x20, 35, 8, &[(46, vec![33; 40])]));
    assert_eq!(list(&events[0], "dongson.ike.payloads"), ["SK"]);
    assert_eq!(events[0].get("dongson.ike.encrypted"), Some(&true.into()));
    let events = run(&message(0x10, 32, 1, &[(8, vec![1; 40])]));
    assert_eq!(events[0].get("dongson.ike.payloads"), None);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(version in 1..3_u8, exchange: u8, flags: u8, payloads: Vec<(u8, Vec<u8>)>) {
        let payloads: Vec<_> = payloads
            .into_iter()
            .map(|(kind, mut bytes)| {
                bytes.truncate(100);
                ([1, 5, 11, 33, 34, 41, 43, 13][usize::from(kind % 8)], bytes)
            })
            .take(20)
            .collect();
        let exchange = if version == 1 { 1 + exchange % 6 } else { 34 + exchange % 8 };
        let flags = if version == 1 { flags & 7 } else { flags & 0x38 };
        prop_assert!(run(&message(version << 4, exchange, flags, &payloads)).len() <= 1);
    }
}
