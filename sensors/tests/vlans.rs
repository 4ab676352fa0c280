//! VLAN tags and fragments: what tells flows and datagrams apart, and what is said about it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;

use dongson_event::{Event, Timestamp};
use dongson_sensor::capture::{Frame, LinkType};
use dongson_sensor::layer::Vlans;
use dongson_sensor::{Engine, Options};
use support::{exchange, of, tcp, udp};

/// Runs frames, a second apart, through an engine.
fn run(frames: &[Vec<u8>], vlans: Vlans) -> Vec<Event> {
    let mut engine = Engine::new(Options { vlans, ..Options::default() });
    let mut events = Vec::new();
    for (second, bytes) in frames.iter().enumerate() {
        let frame = Frame {
            // The two of a pair come in the same moment, as a mirror port sends them.
            at: Timestamp::from_seconds(i64::try_from(second / 2).unwrap()),
            link: LinkType::ETHERNET,
            bytes,
            wire_length: u32::try_from(bytes.len()).unwrap(),
            vlan: None,
        };
        engine.packet(&frame, &mut |event| events.push(event));
    }
    engine.finish(&mut |event| events.push(event));
    events
}

/// Puts VLAN tags, outermost first, into a frame.
fn tagged(frame: &[u8], tags: &[u16]) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    let tags = tags.iter().flat_map(|tag| [[0x81, 0], tag.to_be_bytes()].concat());
    addresses.iter().copied().chain(tags).chain(rest.iter().copied()).collect()
}

/// The frame's IPv4 packet in pieces of at most `size` bytes.
fn fragments(frame: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (head, payload) = frame.split_at(34);
    let count = payload.len().div_ceil(size);
    let pieces = payload.chunks(size).enumerate();
    let fragment = |(number, piece): (usize, &[u8])| {
        let more = if number + 1 < count { 0x2000 } else { 0 };
        let offset = u16::try_from(number * size / 8).unwrap() | more;
        let mut bytes = [head, piece].concat();
        bytes[16..18].copy_from_slice(&u16::try_from(20 + piece.len()).unwrap().to_be_bytes());
        bytes[18..20].copy_from_slice(&77_u16.to_be_bytes());
        bytes[20..22].copy_from_slice(&offset.to_be_bytes());
        bytes
    };
    pieces.map(fragment).collect()
}

/// A DNS query for `label`.vn.
fn query(label: &str) -> Vec<u8> {
    let mut bytes = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, u8::try_from(label.len()).unwrap()];
    bytes.extend(label.as_bytes());
    bytes.extend([2, b'v', b'n', 0, 0, 1, 0, 1]);
    udp(4_000, 53, &bytes)
}

/// The values of a field in the events of one dataset.
fn texts<'e>(events: &'e [Event], dataset: &str, field: &str) -> BTreeSet<&'e str> {
    of(events, dataset).into_iter().filter_map(|event| event.text(field)).collect()
}

/// Two lists in turns: one, other, one, other.
fn in_turns(one: Vec<Vec<u8>>, other: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    one.into_iter().zip(other).flat_map(|(one, other)| [one, other]).collect()
}

#[test]
fn a_fragmented_datagram_is_no_anomaly() {
    let pieces = fragments(&query("mot-ten-mien-rat-dai-de-chia-ra"), 16);
    assert!(pieces.len() > 3);
    let events = run(&pieces, Vlans::Separate);
    assert_eq!(texts(&events, "sensor.dns", "dns.question.name").len(), 1);
    assert!(of(&events, "sensor.weird").is_empty(), "{events:?}");
}

#[test]
fn a_damaged_fragment_is_told_by_its_name() {
    let mut pieces = fragments(&query("a"), 16);
    pieces.truncate(1);
    pieces[0].truncate(40);
    let events = run(&pieces, Vlans::Separate);
    assert_eq!(texts(&events, "sensor.weird", "dongson.weird.name"), ["truncated_fragment"].into());
}

#[test]
fn fragments_of_two_vlans_do_not_mix() {
    let pieces = |label: &str, vlan: u16| -> Vec<Vec<u8>> {
        fragments(&query(label), 24).iter().map(|piece| tagged(piece, &[vlan])).collect()
    };
    let frames = in_turns(pieces("aaaa", 5), pieces("bbbb", 6));
    let events = run(&frames, Vlans::Separate);
    assert_eq!(texts(&events, "sensor.dns", "dns.question.name"), ["aaaa.vn", "bbbb.vn"].into());
    assert!(of(&events, "sensor.weird").is_empty());
    let mixed = run(&frames, Vlans::Ignore);
    assert_eq!(of(&mixed, "sensor.dns").len(), 1);
    let names = ["fragment_overlap", "fragment_overlap_differs"];
    assert_eq!(texts(&mixed, "sensor.weird", "dongson.weird.name"), names.into());
}

/// An HTTP exchange in each of two VLAN stacks, in turns: `/a` in the first, `/b` in the second.
fn twice(first: &[u16], second: &[u16]) -> Vec<Vec<u8>> {
    let one = exchange().iter().map(|frame| tagged(frame, first)).collect();
    let other = exchange()
        .iter()
        .map(|frame| {
            let mut frame = frame.clone();
            if let Some(at) = frame.windows(6).position(|window| window == b"GET /a") {
                frame[at + 5] = b'b';
            }
            tagged(&frame, second)
        })
        .collect();
    in_turns(one, other)
}

#[test]
fn the_same_addresses_in_two_vlans_are_two_flows() {
    for (first, second) in [(&[5][..], &[6][..]), (&[5], &[]), (&[9, 5], &[9, 6]), (&[9, 8, 5], &[9, 8, 6])] {
        let events = run(&twice(first, second), Vlans::Separate);
        assert_eq!(texts(&events, "sensor.http", "url.original"), ["/a", "/b"].into());
        assert_eq!(of(&events, "sensor.conn").len(), 2);
        assert_eq!(texts(&events, "sensor.conn", "dongson.conn.state"), ["SF"].into());
        assert_eq!(texts(&events, "sensor.conn", "network.community_id").len(), 1);
        assert_eq!(texts(&events, "sensor.conn", "dongson.conn.uid").len(), 2);
    }
}

#[test]
fn directions_tagged_differently_are_one_flow_when_tags_are_ignored() {
    let frames: Vec<Vec<u8>> = exchange()
        .iter()
        .map(|frame| if frame[29] == 1 { tagged(frame, &[5]) } else { tagged(frame, &[6]) })
        .collect();
    let events = run(&frames, Vlans::Ignore);
    let [conn] = of(&events, "sensor.conn").try_into().unwrap();
    assert_eq!((conn.text("dongson.conn.state"), conn.int("network.vlan.id")), (Some("SF"), Some(5)));
    assert_eq!(of(&events, "sensor.http")[0].int("http.response.status_code"), Some(200));
    assert_eq!(of(&run(&frames, Vlans::Separate), "sensor.conn").len(), 2);
}

#[test]
fn a_priority_tag_is_no_vlan() {
    let priority = 0xe000;
    let frames: Vec<Vec<u8>> = exchange()
        .iter()
        .map(|frame| if frame[29] == 1 { tagged(frame, &[priority]) } else { frame.clone() })
        .collect();
    assert_eq!(of(&run(&frames, Vlans::Separate), "sensor.conn").len(), 1);
}

#[test]
fn a_third_tag_is_counted() {
    let frames = [tagged(&query("a"), &[200, 100, 7]), tagged(&query("a"), &[200, 100])];
    let events = run(&frames, Vlans::Separate);
    for dns in of(&events, "sensor.dns") {
        let vlans = (dns.int("network.vlan.id"), dns.int("network.inner.vlan.id"));
        assert_eq!(vlans, (Some(200), Some(100)));
    }
    let [weird] = of(&events, "sensor.weird").try_into().unwrap();
    assert_eq!(weird.text("dongson.weird.name"), Some("more_than_two_vlan_tags"));
    assert_eq!(weird.int("dongson.weird.count"), Some(1));
}

#[test]
fn a_request_whose_end_comes_after_the_answer_keeps_its_first_line() {
    let mut frames = exchange();
    let request = b"GET /a HTTP/1.1\r\nHost: x.example\r\n\r\n";
    let (early, late) = request.split_at(request.len() - 9);
    frames[3] = tcp(true, "A", (101, 501), early);
    frames.insert(5, tcp(true, "A", (101 + u32::try_from(early.len()).unwrap(), 501), late));
    let events = run(&frames, Vlans::Separate);
    let [http] = of(&events, "sensor.http").try_into().unwrap();
    assert_eq!((http.text("http.request.method"), http.text("url.original")), (Some("GET"), Some("/a")));
    assert_eq!(http.int("http.response.status_code"), Some(200));
    // The last header is cut in two; half of it is not told as the whole.
    assert_eq!(http.text("destination.domain"), None);
}
