//! Laws of the whole: no panic, chunking changes nothing, services are handed over.

use super::*;
use dongson_event::{Event, Timestamp};
use proptest::prelude::*;

const C: Side = Side::Originator;
const S: Side = Side::Responder;

type Turns = Vec<(Side, Vec<u8>)>;

fn run(ports: [u16; 2], turns: &Turns, chunk: usize) -> (Vec<Event>, Option<&'static str>) {
    let mut tcp = Tcp::new(ports[0], ports[1]);
    let mut out = Vec::new();
    for (side, bytes) in turns {
        for part in bytes.chunks(chunk.max(1)) {
            tcp.data(*side, Timestamp::default(), part, &mut out);
        }
    }
    tcp.finish(Timestamp::default(), &mut out);
    (out, tcp.service())
}

fn tls_turns() -> Turns {
    let (hello, answer, last) = tls::tests::exchange();
    vec![(C, hello), (S, answer), (C, last)]
}

fn http_turns() -> Turns {
    vec![
        (C, b"GET /a HTTP/1.1\r\nHost: x.vn\r\nCookie: s=secret\r\n\r\n".to_vec()),
        (S, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody".to_vec()),
    ]
}

#[track_caller]
fn check(turns: &Turns, service: &str, datasets: &[&str]) -> Vec<Event> {
    let (events, found) = run([40_000, 9], turns, usize::MAX);
    assert_eq!(found, Some(service));
    assert_eq!(events.iter().map(Event::dataset).collect::<Vec<_>>(), datasets);
    for chunk in [1, 5, 100] {
        assert_eq!(run([40_000, 9], turns, chunk).0, events, "pieces of {chunk}");
    }
    events
}

#[test]
fn protocols_are_found_on_any_port() {
    check(&tls_turns(), "ssl", &["sensor.tls"]);
    let events = check(&http_turns(), "http", &["sensor.http", "sensor.file"]);
    assert!(!format!("{events:?}").contains("secret"));
    check(&vec![(S, b"SSH-2.0-OpenSSH\r\n".to_vec())], "ssh", &["sensor.ssh"]);
}

#[test]
fn a_stream_seen_from_the_wrong_end() {
    let swapped = http_turns().into_iter().map(|(side, bytes)| (side.other(), bytes)).collect();
    let events = check(&swapped, "http", &["sensor.http", "sensor.file"]);
    assert_eq!(events[0].int("http.response.status_code"), Some(200));
}

#[test]
fn tls_inside_a_tunnel_and_behind_starttls() {
    let mut turns =
        vec![(C, b"CONNECT x.vn:443 HTTP/1.1\r\n\r\n".to_vec()), (S, b"HTTP/1.1 200 OK\r\n\r\n".to_vec())];
    turns.extend(tls_turns());
    check(&turns, "http", &["sensor.http", "sensor.tunnel", "sensor.tls"]);
    let mut turns = vec![
        (C, b"\x05\x01\x00".to_vec()),
        (S, b"\x05\x00".to_vec()),
        (C, b"\x05\x01\x00\x01\x01\x02\x03\x04\x01\xbb".to_vec()),
        (S, b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec()),
    ];
    turns.extend(tls_turns());
    let events = check(&turns, "socks", &["sensor.socks", "sensor.tunnel", "sensor.tls"]);
    assert_eq!(events[2].text("dongson.tunnel.target"), Some("1.2.3.4:443"));
    let mut turns = vec![
        (S, b"220 mx ESMTP\r\n".to_vec()),
        (C, b"EHLO a\r\nSTARTTLS\r\n".to_vec()),
        (S, b"250 STARTTLS\r\n220 go\r\n".to_vec()),
    ];
    turns.extend(tls_turns());
    check(&turns, "smtp,ssl", &["sensor.smtp", "sensor.tls"]);
}

#[test]
fn an_unknown_stream_is_given_up() {
    let mut tcp = Tcp::new(1, 2);
    let mut out = Vec::new();
    for _ in 0..40 {
        tcp.data(C, Timestamp::default(), &[0xee; 1000], &mut out);
    }
    assert!(!tcp.wants_more(C) && !tcp.wants_more(S) && tcp.service().is_none());
}

#[test]
fn datagrams_find_their_parser() {
    let mut udp = Udp::new(40_000, 1900);
    let mut out = Vec::new();
    udp.datagram(C, Timestamp::default(), b"M-SEARCH * HTTP/1.1\r\nHOST: a\r\n\r\n", &mut out);
    assert_eq!((udp.service(), out.len()), (Some("ssdp"), 1));
}

/// Starts of streams that lead into each parser.
fn start() -> impl Strategy<Value = Turns> {
    prop_oneof![
        Just(Vec::new()),
        Just(tls_turns()),
        Just(http_turns()),
        Just(vec![(S, b"220 ftp\r\n".to_vec()), (C, b"AUTH TLS\r\n".to_vec()), (S, b"234 ok\r\n".to_vec())]),
        Just(vec![(C, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec())]),
        Just(vec![(C, b"\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a".to_vec())]),
    ]
}

fn tail() -> impl Strategy<Value = Turns> {
    let side = prop::bool::ANY.prop_map(|client| if client { C } else { S });
    let text = "[ -~\r\n]{0,60}".prop_map(String::into_bytes);
    let bytes = prop_oneof![prop::collection::vec(any::<u8>(), 0..80), text];
    prop::collection::vec((side, bytes), 0..5)
}

proptest! {
    #[test]
    fn chunking_changes_nothing(start in start(), tail in tail(), cut in 0..200_usize, chunk in 1..40_usize, port in prop::sample::select(vec![53_u16, 80, 9])) {
        let mut turns = start;
        if let Some((_, last)) = turns.last_mut() {
            last.truncate(cut.max(1));
        }
        turns.extend(tail);
        let whole = run([40_000, port], &turns, usize::MAX);
        prop_assert_eq!(run([40_000, port], &turns, chunk), whole.clone());
        prop_assert_eq!(run([40_000, port], &turns, 1), whole);
    }

    #[test]
    fn holes_and_any_bytes_are_survived(start in start(), tail in tail(), length in 0..100_000_u64) {
        let mut tcp = Tcp::new(1, 53);
        let mut udp = Udp::new(1, 53);
        let mut out = Vec::new();
        for (side, bytes) in start.iter().chain(&tail) {
            tcp.data(*side, Timestamp::default(), bytes, &mut out);
            tcp.gap(*side, length);
            tcp.data(*side, Timestamp::default(), bytes, &mut out);
            udp.datagram(*side, Timestamp::default(), bytes, &mut out);
        }
        tcp.finish(Timestamp::default(), &mut out);
        udp.finish(Timestamp::default(), &mut out);
        prop_assert!(!tcp.wants_more(C));
    }
}
