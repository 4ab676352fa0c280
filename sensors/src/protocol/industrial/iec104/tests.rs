//! Talks with a substation, written byte by byte.

use proptest::prelude::*;

use super::*;
use crate::protocol::talk;

const C: Side = Side::Originator;
const S: Side = Side::Responder;

/// An ASDU in its message.
fn asdu(bytes: &[u8]) -> Vec<u8> {
    [&[0x68, u8::try_from(bytes.len() + 4).unwrap(), 2, 0, 4, 0][..], bytes].concat()
}

fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
    talk::hear(&mut Iec104::default(), turns, chunk)
}

fn numbers(event: &Event, name: &str) -> Vec<i64> {
    event.get(name).unwrap().scalars().iter().filter_map(dongson_event::Value::as_i64).collect()
}

#[test]
fn commands_and_their_confirmations() {
    let turns = [
        (C, vec![0x68, 4, 7, 0, 0, 0]),
        (S, vec![0x68, 4, 0x0b, 0, 0, 0]),
        (C, [asdu(&[45, 1, 6, 3, 10, 0, 0x39, 0x30, 0, 0x81]), vec![0x68, 4, 1, 0, 2, 0]].concat()),
        (S, asdu(&[45, 1, 0x47, 3, 10, 0, 0x39, 0x30, 0, 0x81])),
        (C, asdu(&[50, 1, 6, 0, 10, 0, 7, 0, 0, 0, 0, 0x20, 0x41, 0])),
        (S, asdu(&[50, 1, 46, 0, 10, 0, 7, 0, 0, 0, 0, 0x20, 0x41, 0])),
        (C, asdu(&[100, 1, 6, 0, 0xff, 0xff, 0, 0, 0, 20])),
    ];
    let events = run(&turns, usize::MAX);
    assert_eq!(events, run(&turns, 1));
    let [start, refused, unknown, interrogation] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(start.text("event.action"), Some("startdt"));
    assert_eq!(start.text("event.outcome"), Some("success"));
    assert_eq!(refused.text("dongson.iec104.type"), Some("C_SC_NA_1"));
    assert_eq!(refused.text("dongson.iec104.cause"), Some("activation"));
    assert_eq!(refused.text("dongson.iec104.command"), Some("on"));
    assert_eq!(refused.get("dongson.iec104.select"), Some(&true.into()));
    assert_eq!(refused.text("event.outcome"), Some("failure"));
    assert_eq!(numbers(refused, "dongson.iec104.objects"), [12_345]);
    assert_eq!(unknown.text("dongson.iec104.command"), Some("10"));
    assert_eq!(unknown.text("dongson.iec104.error"), Some("unknown_common_address"));
    assert_eq!(interrogation.int("dongson.iec104.common_address"), Some(65_535));
    assert_eq!(interrogation.text("event.outcome"), None);
}

#[test]
fn reports_and_gaps() {
    let sequence = asdu(&[1, 0x83, 20, 0, 1, 0, 100, 0, 0, 1, 0, 1]);
    let single = asdu(&[13, 2, 3, 0, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
    let (mut iec104, mut out) = (Iec104::default(), Vec::new());
    iec104.data(S, Timestamp::default(), &sequence, &mut out);
    iec104.gap(S, 40);
    iec104.data(S, Timestamp::default(), &[&[1, 2, 3][..], &single].concat(), &mut out);
    let [first, second] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!(numbers(first, "dongson.iec104.objects"), [100, 101, 102]);
    assert_eq!(first.text("dongson.iec104.cause"), Some("interrogated_by_station"));
    assert_eq!(numbers(second, "dongson.iec104.objects"), [5, 9]);
}

proptest! {
    #[test]
    fn pieces_do_not_matter(talk: Vec<(bool, u8, u8, u8, Vec<u8>)>, tail: Vec<u8>, chunk in 1..40_usize) {
        let mut turns: Vec<_> = Vec::new();
        for (client, kind, structure, cause, mut bytes) in talk {
            bytes.truncate(200);
            let side = if client { C } else { S };
            turns.push((side, asdu(&[&[kind, structure, cause % 12, 0, 1, 0][..], &bytes].concat())));
            turns.push((side, vec![0x68, 4, kind | 3, 0, 0, 0]));
        }
        turns.push((S, tail));
        prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
    }
}
