//! Talks with a controller, written byte by byte.

use proptest::prelude::*;

use super::*;
use crate::protocol::Options;

const C: Side = Side::Originator;
const S: Side = Side::Responder;

fn packet(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 7).unwrap().to_be_bytes();
    [&[3, 0, length[0], length[1], 2, 0xf0, 0x80][..], payload].concat()
}

/// A PDU of this kind under a reference.
fn pdu(kind: u8, reference: u8, parameters: &[u8], data: &[u8]) -> Vec<u8> {
    let lengths = [0, u8::try_from(parameters.len()).unwrap(), 0, u8::try_from(data.len()).unwrap()];
    let error: &[u8] = if matches!(kind, 2 | 3) { &[0, 0] } else { &[] };
    packet(&[&[0x32, kind, 0, 0, 0, reference][..], &lengths, error, parameters, data].concat())
}

fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> (Vec<Event>, Option<&'static str>) {
    let options = Options::default();
    let mut s7 = S7comm::new(&Start { client: C, options: &options });
    let mut out = Vec::new();
    for (side, bytes) in turns {
        for part in bytes.chunks(chunk) {
            s7.data(*side, Timestamp::default(), part, &mut out);
        }
    }
    s7.finish(Timestamp::default(), &mut out);
    (out, s7.service())
}

fn list(event: &Event, name: &str) -> Vec<String> {
    event.get(name).unwrap().scalars().iter().map(|value| value.to_text().into_owned()).collect()
}

#[test]
fn variables_and_their_results() {
    let call = [3, 0, 0, 22, 17, 0xe0, 0, 0, 0, 1, 0, 0xc1, 2, 1, 0, 0xc2, 2, 1, 0x22, 0xc0, 1, 10];
    let read = [
        4, 2, 0x12, 10, 0x10, 2, 0, 4, 0, 10, 0x84, 0, 0, 160, 0x12, 10, 0x10, 1, 0, 1, 0, 0, 0x83, 0, 0, 25,
    ];
    let values = [0xff, 4, 0, 32, 1, 2, 3, 4, 0x0a, 0, 0, 0];
    let turns = [
        (C, [&call[..], &pdu(1, 7, &read, b"")].concat()),
        (S, pdu(3, 7, &[4, 2], &values)),
        (C, pdu(1, 8, &[0xf0, 0, 0, 1, 0, 1, 1, 0xe0], b"")),
        (S, pdu(3, 8, &[0xf0, 0, 0, 1, 0, 1, 0, 0xf0], b"")),
    ];
    let (events, service) = run(&turns, usize::MAX);
    assert_eq!((events.clone(), service), run(&turns, 1));
    assert_eq!(service, Some("s7comm"));
    let [read, setup] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(list(read, "dongson.s7comm.items"), ["DB10.DBX20.0 BYTE 4", "M3.1 BIT 1"]);
    assert_eq!(list(read, "dongson.s7comm.results"), ["255", "10"]);
    assert_eq!(read.text("event.outcome"), Some("failure"));
    assert_eq!((read.int("dongson.s7comm.rack"), read.int("dongson.s7comm.slot")), (Some(1), Some(2)));
    assert_eq!(setup.int("dongson.s7comm.pdu_length"), Some(240), "what was agreed on, not what was asked");
}

#[test]
fn starts_stops_and_blocks() {
    let stop = [&[0x29, 0, 0, 0, 0, 0, 9][..], b"P_PROGRAM"].concat();
    let start = [&[0x28, 0, 0, 0, 0, 0, 0, 0xfd, 0, 0, 9][..], b"P_PROGRAM"].concat();
    let download = [&[0x1a, 0, 1, 0, 0, 0, 0, 0, 9][..], b"_0A00012P", &[13], b"1000420000320"].concat();
    let insert = [&[0x28, 0, 0, 0, 0, 0, 0, 0xfd, 0, 10, 1, 0][..], b"0800001P", &[5], b"_INSE"].concat();
    let turns = [
        (C, pdu(1, 1, &stop, b"")),
        (S, pdu(3, 1, &[0x29], b"")),
        (C, pdu(1, 2, &start, b"")),
        (C, pdu(1, 3, &download, b"")),
        (S, packet(&[0x32, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0x87, 4])),
        (C, pdu(1, 4, &insert, b"")),
    ];
    let (events, _) = run(&turns, 3);
    let [stop, download, start, insert] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(stop.text("event.action"), Some("plc_stop"));
    assert_eq!(stop.text("event.outcome"), Some("success"));
    assert_eq!(start.text("event.action"), Some("plc_start"));
    assert_eq!(start.text("event.outcome"), None, "nobody answered");
    assert_eq!(download.text("dongson.s7comm.block.type"), Some("DB"));
    assert_eq!(download.int("dongson.s7comm.block.number"), Some(12));
    assert_eq!(download.int("dongson.s7comm.block.length"), Some(420));
    assert_eq!(download.text("dongson.s7comm.error"), Some("access"));
    assert_eq!(insert.text("event.action"), Some("activate_block"));
    assert_eq!(insert.text("dongson.s7comm.block.type"), Some("OB"));
}

#[test]
fn identification_and_passwords() {
    let ask = |group: u8, code: u8| [0, 1, 0x12, 4, 0x11, 0x40 | group, code, 0];
    let told = |group: u8, code: u8| [0, 1, 0x12, 8, 0x12, 0x80 | group, code, 1, 0, 0, 0, 0];
    let mut records = vec![0xff, 9, 0, 36, 0, 0x11, 0, 0, 0, 28, 0, 1, 0, 1];
    records.extend_from_slice(b"6ES7 000-TEST-01    ");
    records.extend_from_slice(&[0; 6]);
    let turns = [
        (C, pdu(7, 1, &ask(4, 1), &[0xff, 9, 0, 4, 0, 0x11, 0, 0])),
        (S, pdu(7, 1, &told(4, 1), &records)),
        (C, pdu(7, 2, &ask(5, 1), &[0xff, 9, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8])),
    ];
    let (events, _) = run(&turns, usize::MAX);
    let [szl, password] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(szl.text("dongson.s7comm.subfunction"), Some("read_szl"));
    assert_eq!(szl.int("dongson.s7comm.szl_id"), Some(0x11));
    assert_eq!(list(szl, "dongson.s7comm.identification"), ["6ES7 000-TEST-01"]);
    assert!(password.text("dongson.s7comm.password").unwrap().starts_with("hmac-sha256:"));
}

#[test]
fn the_newer_protocol_and_gaps() {
    let message =
        |opcode, sequence| packet(&[0x72, 1, 0, 20, opcode, 0, 0, 4, 0xca, 0, 0, 0, sequence, 0, 0, 0, 0]);
    let options = Options::default();
    let mut s7 = S7comm::new(&Start { client: C, options: &options });
    let mut out = Vec::new();
    s7.data(C, Timestamp::default(), &message(0x31, 1), &mut out);
    s7.gap(S, 100);
    s7.data(S, Timestamp::default(), &[b"junk".to_vec(), message(0x32, 1)].concat(), &mut out);
    assert_eq!(s7.service(), Some("s7comm-plus"));
    let [event] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!(event.text("dongson.s7comm.function"), Some("create_object"));
    assert_eq!(event.int("event.duration"), Some(0));
}

proptest! {
    #[test]
    fn pieces_do_not_matter(talk: Vec<(bool, u8, u8, Vec<u8>, Vec<u8>)>, tail: Vec<u8>, chunk in 1..40_usize) {
        let kinds = [1, 3, 7, 2];
        let functions = [4, 5, 0x1a, 0x1d, 0x28, 0x29, 0xf0, 0];
        let mut turns: Vec<_> = Vec::new();
        for (client, reference, kind, mut parameters, mut data) in talk {
            parameters.truncate(100);
            data.truncate(100);
            parameters.insert(0, functions[usize::from(kind >> 2) % functions.len()]);
            let side = if client { C } else { S };
            turns.push((side, pdu(kinds[usize::from(kind) % 4], reference % 3, &parameters, &data)));
            turns.push((side, packet(&[&[0x72, kind % 4][..], &data].concat())));
        }
        turns.push((S, tail));
        prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
    }
}
