//! Sessions written byte by byte.

use proptest::prelude::*;

use super::*;
use crate::protocol::Options;

const C: Side = Side::Originator;
const S: Side = Side::Responder;

/// Opcode, session, what protects it, acknowledgements, number, content.
fn packet(opcode: u8, session: u8, protection: &[u8], acks: &[u8], number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes =
        [&[opcode << 3][..], &[session; 8], protection, &[u8::try_from(acks.len()).unwrap()]].concat();
    for ack in acks {
        bytes.extend_from_slice(&[0, 0, 0, *ack]);
    }
    if !acks.is_empty() {
        bytes.extend_from_slice(&[1; 8]);
    }
    bytes.extend_from_slice(&[0, 0, 0, number]);
    bytes.extend_from_slice(content);
    bytes
}

/// An authenticator, the number 1 and a time.
fn auth(length: usize) -> Vec<u8> {
    [vec![0xaa; length], vec![0, 0, 0, 1, 0x66, 0, 0, 0]].concat()
}

/// A `ClientHello` in its record, cut in two.
fn hello() -> [Vec<u8>; 2] {
    let name = b"vpn.example.vn";
    let length = u8::try_from(name.len()).unwrap();
    let extension = [&[0, 0, 0, length + 5, 0, length + 3, 0, 0, length][..], name].concat();
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 2, 0x13, 0x01, 1, 0, 0, u8::try_from(extension.len()).unwrap()]);
    body.extend_from_slice(&extension);
    let handshake = [&[1, 0, 0, u8::try_from(body.len()).unwrap()][..], &body].concat();
    let record = [&[22, 3, 1, 0, u8::try_from(handshake.len()).unwrap()][..], &handshake].concat();
    let (front, back) = record.split_at(20);
    [front.to_vec(), back.to_vec()]
}

fn start<T>(run: impl FnOnce(Openvpn) -> T) -> T {
    let options = Options::default();
    run(Openvpn::new(&Start { client: C, options: &options }))
}

fn datagrams(turns: &[(Side, Vec<u8>)]) -> Vec<Event> {
    start(|mut openvpn| {
        let mut out = Vec::new();
        for (side, bytes) in turns {
            openvpn.datagram(*side, Timestamp::default(), bytes, &mut out);
        }
        Datagrams::finish(&mut openvpn, Timestamp::default(), &mut out);
        out
    })
}

fn stream(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
    start(|mut openvpn| {
        let mut out = Vec::new();
        for (side, bytes) in turns {
            let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
            for part in [&length[..], bytes].concat().chunks(chunk) {
                openvpn.data(*side, Timestamp::default(), part, &mut out);
            }
        }
        Stream::finish(&mut openvpn, Timestamp::default(), &mut out);
        out
    })
}

#[test]
fn a_session_and_its_handshake() {
    for protection in [Vec::new(), auth(20), auth(32), auth(64)] {
        let [front, back] = hello();
        let turns = [
            (C, packet(7, 1, &protection, &[], 0, b"")),
            (C, packet(7, 1, &protection, &[], 0, b"")),
            (S, packet(8, 2, &protection, &[0], 0, b"")),
            (C, packet(4, 1, &protection, &[], 2, &back)),
            (C, packet(4, 1, &protection, &[0], 1, &front)),
            (C, packet(4, 1, &protection, &[0], 1, &front)),
        ];
        let events = datagrams(&turns);
        let [session, tls] = events.as_slice() else { panic!("{events:?}") };
        let name = if protection.is_empty() { "none" } else { "tls-auth" };
        assert_eq!(session.text("dongson.openvpn.protection"), Some(name));
        assert_eq!(session.text("dongson.openvpn.client_session"), Some("0101010101010101"));
        assert_eq!(session.text("dongson.openvpn.server_session"), Some("0202020202020202"));
        assert_eq!(session.text("event.outcome"), Some("success"));
        assert_eq!(tls.text("tls.client.server_name"), Some("vpn.example.vn"));
        assert_eq!(events, stream(&turns, usize::MAX));
        assert_eq!(events, stream(&turns, 1));
    }
}

#[test]
fn what_is_encrypted_and_what_is_not_answered() {
    let crypt = [&[7 << 3][..], &[3; 8], &[0, 0, 0, 1, 0x66, 0, 0, 0], &[0x55; 37]].concat();
    let events = datagrams(&[(C, crypt.clone()), (C, [&[0x20][..], &[9; 90]].concat())]);
    let [session] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(session.text("dongson.openvpn.protection"), Some("tls-crypt"));
    assert_eq!(session.text("event.outcome"), Some("unknown"));
    let wrapped = [&[0x50][..], &crypt[1..], &[0x44; 60], &[0, 62]].concat();
    let events = datagrams(&[(C, wrapped)]);
    assert_eq!(events[0].text("dongson.openvpn.protection"), Some("tls-crypt-v2"));
}

#[test]
fn what_opens_a_session() {
    let plain = packet(7, 1, &[], &[], 0, b"");
    assert!(is_opening(&plain) && !is_opening(&[&plain[..], b"x"].concat()));
    assert!(!is_opening(&packet(7, 0, &[], &[], 0, b"")) && !is_opening(&packet(7, 1, &[], &[], 1, b"")));
    assert!(!is_opening(&packet(6, 1, &[], &[], 0, b"")));
    let framed = [&[0, 14][..], &plain].concat();
    assert_eq!(begins(&framed), Verdict::Yes);
    assert_eq!((begins(&framed[..9]), begins(b"\x00\x0eA")), (Verdict::Maybe, Verdict::No));
}

proptest! {
    #[test]
    fn pieces_do_not_matter(talk: Vec<(bool, u8, u8, Vec<u8>)>, chunk in 1..40_usize) {
        let mut turns = vec![(C, packet(7, 1, &[], &[], 0, b""))];
        for (client, opcode, number, mut content) in talk {
            content.truncate(100);
            let opcode = [4, 5, 6, 7, 8, 9, 10, 4][usize::from(opcode % 8)];
            turns.push((if client { C } else { S }, packet(opcode, 1, &[], &[], number % 8, &content)));
        }
        prop_assert_eq!(stream(&turns, usize::MAX), stream(&turns, chunk));
    }

    #[test]
    fn any_bytes_are_survived(talk: Vec<(bool, Vec<u8>)>) {
        let mut turns: Vec<_> = talk.into_iter().map(|(client, bytes)| (if client { C } else { S }, bytes)).collect();
        turns.push((C, auth(40)));
        prop_assert!(datagrams(&turns).len() <= turns.len());
    }
}
