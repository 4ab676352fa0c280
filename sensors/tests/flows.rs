//! Flows through the public interface: streams out of order, timeouts, limits, order of packets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use dongson_event::{Event, Timestamp};
use dongson_sensor::capture::{Frame, LinkType};
use dongson_sensor::protocol::{Kind, Kinds};
use dongson_sensor::{Engine, Options};
use proptest::prelude::*;
use support::{exchange, of, tcp, udp};

/// Runs packets, each at its second, through an engine.
fn run(packets: &[(i64, Vec<u8>)], options: Options) -> (Vec<Event>, Engine) {
    let mut engine = Engine::new(options);
    let mut events = Vec::new();
    for (second, bytes) in packets {
        engine.packet(&frame(*second, bytes), &mut |event| events.push(event));
    }
    engine.finish(&mut |event| events.push(event));
    (events, engine)
}

fn frame(second: i64, bytes: &[u8]) -> Frame<'_> {
    Frame {
        at: Timestamp::from_seconds(second),
        link: LinkType::ETHERNET,
        bytes,
        wire_length: u32::try_from(bytes.len()).unwrap(),
        vlan: None,
    }
}

#[track_caller]
fn check(segments: &[(i64, Vec<u8>)], state: &str, history: &str) {
    let (events, _) = run(segments, Options::default());
    let conn = of(&events, "sensor.conn");
    let first = conn.first().unwrap();
    assert_eq!(
        (first.text("dongson.conn.state"), first.text("dongson.conn.history")),
        (Some(state), Some(history))
    );
}

#[test]
fn states_and_histories() {
    let syn = tcp(true, "S", (100, 0), b"");
    let answer = tcp(false, "SA", (500, 101), b"");
    let ack = tcp(true, "A", (101, 501), b"");
    check(&[(0, syn.clone())], "S0", "S");
    check(&[(0, syn.clone()), (0, tcp(false, "RA", (0, 101), b""))], "REJ", "Sr");
    check(&[(0, syn.clone()), (0, answer.clone()), (0, ack.clone())], "S1", "ShA");
    check(&[(0, syn.clone()), (0, tcp(true, "F", (101, 0), b""))], "SH", "SF");
    check(&[(0, syn.clone()), (0, tcp(true, "R", (101, 0), b""))], "RSTOS0", "SR");
    check(
        &[(0, syn.clone()), (0, answer.clone()), (0, ack.clone()), (1, tcp(true, "RA", (101, 501), b""))],
        "RSTO",
        "ShAR",
    );
    check(&[(0, syn), (0, answer), (0, ack), (1, tcp(false, "RA", (501, 101), b""))], "RSTR", "ShAr");
    check(&[(0, tcp(true, "A", (101, 501), b"x"))], "OTH", "D");
    check(&[(0, tcp(false, "A", (501, 101), b"x"))], "OTH", "^d");
}

#[test]
fn a_silent_flow_ends_and_the_next_packet_begins_another() {
    let packets = [(0, udp(1_000, 9, b"a")), (59, udp(1_000, 9, b"b")), (200, udp(1_000, 9, b"c"))];
    let (events, _) = run(&packets, Options::default());
    let packets: Vec<Option<i64>> =
        of(&events, "sensor.conn").iter().map(|conn| conn.int("source.packets")).collect();
    assert_eq!(packets, [Some(2), Some(1)]);
}

#[test]
fn a_full_table_ends_the_flow_that_would_end_first() {
    let mut options = Options::default();
    options.limits.flows = 10;
    let packets: Vec<(i64, Vec<u8>)> =
        (0..50).map(|port| (i64::from(port), udp(1_000 + port, 9, b"x"))).collect();
    let (events, engine) = run(&packets, options);
    assert_eq!(of(&events, "sensor.conn").len(), 50);
    assert_eq!(engine.statistics().flows.evicted, 40);
    let told = of(&events, "sensor.weird");
    assert!(told.iter().any(|event| event.text("dongson.weird.name") == Some("flow_evicted")));
}

#[test]
fn what_is_not_looked_into_is_counted() {
    let packets: Vec<(i64, Vec<u8>)> = exchange().into_iter().map(|packet| (0, packet)).collect();
    let bypassed = |kinds: &[Kind]| {
        let mut options = Options::default();
        options.protocol.kinds = Kinds::of(kinds);
        let (events, engine) = run(&packets, options);
        let told = of(&events, "sensor.conn")[0].int("dongson.conn.bypassed_bytes").unwrap_or(0);
        assert_eq!(u64::try_from(told), Ok(engine.statistics().flows.bypassed_bytes));
        told
    };
    // The request names the protocol, the forty bytes of the answer are passed over.
    assert_eq!(bypassed(&[Kind::Conn, Kind::Dns]), 40);
    assert_eq!(bypassed(&[Kind::Conn, Kind::Http]), 0);
    assert_eq!(bypassed(&[Kind::Conn]), 0);
}

#[test]
fn what_is_left_out_changes_nothing_else() {
    let mut packets: Vec<(i64, Vec<u8>)> = exchange().into_iter().map(|packet| (0, packet)).collect();
    let question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01";
    packets.push((1, udp(40_000, 53, question)));
    packets.push((2, udp(40_001, 514, b"<34>Oct 11 22:14:15 gate su: failed")));
    let (all, _) = run(&packets, Options::default());
    let kinds = [Kind::Conn, Kind::Dns, Kind::Http, Kind::Services];
    let datasets = ["sensor.conn", "sensor.dns", "sensor.http", "sensor.syslog"];
    for chosen in 1_usize..16 {
        let is_chosen = |place: &usize| chosen & (1 << place) != 0;
        let only: Vec<Kind> = (0..4).filter(is_chosen).map(|place| kinds[place]).collect();
        let told: Vec<&str> = (0..4).filter(is_chosen).map(|place| datasets[place]).collect();
        let mut options = Options::default();
        options.protocol.kinds = Kinds::of(&only);
        let (mut events, _) = run(&packets, options);
        let mut expected = all.clone();
        expected.retain(|event| told.contains(&event.dataset()));
        for event in events.iter_mut().chain(&mut expected) {
            // What was passed over is about the sensor, not about the connection.
            event.remove("dongson.conn.bypassed_bytes");
        }
        if only == [Kind::Conn] {
            for event in events.iter_mut().chain(&mut expected) {
                event.remove("network.protocol");
                event.remove("dongson.conn.services");
            }
        }
        assert_eq!(events, expected, "{only:?}");
        assert!(told.iter().all(|dataset| !of(&events, dataset).is_empty()));
    }
}

#[test]
fn a_flood_of_syns_pushes_out_itself_alone() {
    let mut options = Options::default();
    options.limits.flows = 10;
    let mut packets: Vec<(i64, Vec<u8>)> = Vec::new();
    let flood = (0..500_u16).map(|port| {
        let mut syn = tcp(true, "S", (7, 0), b"");
        // The source port, behind the headers of Ethernet and IPv4.
        syn[34..36].copy_from_slice(&(2_000 + port).to_be_bytes());
        (0, syn)
    });
    let whole = exchange();
    let (opening, rest) = whole.split_at(3);
    packets.extend(opening.iter().cloned().map(|packet| (0, packet)));
    packets.extend(flood);
    packets.extend(rest.iter().cloned().map(|packet| (1, packet)));
    let (events, engine) = run(&packets, options);
    let counters = engine.statistics().flows;
    assert_eq!((counters.flows, counters.evicted, counters.evicted_attempts), (501, 491, 491));
    let [http] = of(&events, "sensor.http").try_into().unwrap();
    let open = of(&events, "sensor.conn")
        .into_iter()
        .filter(|conn| conn.int("source.port") == http.int("source.port"));
    assert_eq!(open.count(), 1);
}

#[test]
fn lost_bytes_are_counted_and_the_parser_goes_on() {
    let mut packets = exchange();
    packets.remove(4);
    let packets: Vec<(i64, Vec<u8>)> = packets.into_iter().map(|packet| (0, packet)).collect();
    let (events, _) = run(&packets, Options::default());
    let [conn] = of(&events, "sensor.conn").try_into().unwrap();
    assert_eq!(conn.int("dongson.conn.missed_bytes"), Some(40));
    assert!(conn.text("dongson.conn.history").is_some_and(|letters| letters.contains('g')));
}

#[test]
fn segments_out_of_order_and_twice_say_the_same() {
    let packets = exchange();
    let in_order: Vec<(i64, Vec<u8>)> = packets.iter().cloned().map(|packet| (0, packet)).collect();
    let http = |events: &[Event]| {
        let mut http = of(events, "sensor.http").first().map(|event| (*event).clone()).unwrap();
        http.remove("@timestamp");
        http
    };
    let (expected, _) = run(&in_order, Options::default());
    // The request in two pieces, the second first, and once more.
    let request = b"GET /a HTTP/1.1\r\nHost: x.example\r\n\r\n";
    let mut shuffled = in_order;
    let pieces = [
        tcp(true, "A", (111, 501), &request[10..]),
        tcp(true, "A", (101, 501), &request[..10]),
        tcp(true, "A", (101, 501), &request[..10]),
    ];
    shuffled.splice(3..4, pieces.into_iter().map(|piece| (0, piece)));
    let (events, _) = run(&shuffled, Options::default());
    assert_eq!(http(&events), http(&expected));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn cut_packets_never_panic(cuts in prop::collection::vec(0_usize..120, 8)) {
        let packets: Vec<(i64, Vec<u8>)> = exchange()
            .into_iter()
            .zip(cuts)
            .map(|(packet, cut)| (0, packet.get(..cut).unwrap_or(&packet).to_vec()))
            .collect();
        run(&packets, Options::default());
    }

    #[test]
    fn any_segments_never_panic_and_stay_in_bounds(
        segments in prop::collection::vec((any::<bool>(), 0_u8..16, any::<u32>(), any::<u32>(), 0_usize..40, 0_i64..400), 0..60)
    ) {
        let mut options = Options::default();
        options.limits.streams.stream_bytes = 100;
        options.limits.streams.total_bytes = 100;
        let mut packets: Vec<(i64, Vec<u8>)> = segments
            .into_iter()
            .map(|(client, bits, sequence, acknowledgement, length, second)| {
                let flags: String = "SAFR".chars().zip([1, 2, 4, 8]).filter(|(_, bit)| bits & bit != 0).map(|(flag, _)| flag).collect();
                (second, tcp(client, &flags, (sequence % 300, acknowledgement % 300), &vec![b'x'; length]))
            })
            .collect();
        packets.sort_by_key(|(second, _)| *second);
        let count = packets.len();
        let (events, _) = run(&packets, Options::default());
        let total: i64 = of(&events, "sensor.conn").iter().filter_map(|conn| conn.int("network.packets")).sum();
        prop_assert_eq!(usize::try_from(total).unwrap(), count);
        let (again, _) = run(&packets, Options::default());
        prop_assert_eq!(events, again);
        run(&packets, options);
    }
}

/// The anomalies of segments, in their order.
fn oddities(segments: &[Vec<u8>]) -> Vec<String> {
    let packets: Vec<(i64, Vec<u8>)> = segments.iter().map(|segment| (0, segment.clone())).collect();
    let (events, _) = run(&packets, Options::default());
    let name = |event: &&Event| event.text("dongson.weird.name").unwrap().to_owned();
    of(&events, "sensor.weird").iter().map(name).collect()
}

#[test]
fn odd_segments_have_zeeks_names() {
    let syn = || tcp(true, "S", (100, 0), b"");
    let open = || vec![syn(), tcp(false, "SA", (500, 101), b""), tcp(true, "A", (101, 501), b"")];
    let after = |more: Vec<Vec<u8>>| oddities(&[open(), more].concat());
    assert_eq!(oddities(&exchange()), Vec::<String>::new());
    assert_eq!(oddities(&[tcp(true, "S", (100, 0), b"x")]), ["SYN_with_data"]);
    assert_eq!(oddities(&[tcp(true, "SR", (100, 0), b"")]), ["TCP_christmas", "spontaneous_RST"]);
    assert_eq!(oddities(&[tcp(true, "SA", (100, 1), b"")]), ["connection_originator_SYN_ack"]);
    assert_eq!(oddities(&[syn(), tcp(true, "", (101, 0), b"x")]), ["data_before_established"]);
    assert_eq!(oddities(&[syn(), tcp(true, "F", (101, 0), b"")]), ["inappropriate_FIN"]);
    assert_eq!(oddities(&[syn(), tcp(true, "A", (101, 501), b"")]), ["possible_split_routing"]);
    assert_eq!(
        oddities(&[syn(), tcp(false, "SA", (500, 90), b"")]),
        ["TCP_ack_underflow_or_misorder", "bad_SYN_ack"]
    );
    assert_eq!(oddities(&[syn(), tcp(false, "SA", (500, 900), b"")]), ["bad_SYN_ack"]);
    assert_eq!(oddities(&[tcp(true, "R", (100, 0), b"")]), ["spontaneous_RST"]);
    assert_eq!(oddities(&[tcp(true, "F", (100, 0), b"")]), ["spontaneous_FIN"]);
    assert_eq!(after(vec![tcp(true, "A", (50, 501), b"old")]), ["TCP_seq_underflow_or_misorder"]);
    let reset = tcp(true, "R", (101, 0), b"");
    assert_eq!(after(vec![reset.clone(), tcp(true, "A", (101, 501), b"x")]), ["data_after_reset"]);
    assert_eq!(after(vec![reset, tcp(true, "F", (101, 501), b"")]), ["FIN_after_reset"]);
    let (fin, late) = (tcp(true, "FA", (101, 501), b""), tcp(true, "FA", (103, 501), b"x"));
    assert_eq!(after(vec![fin, late]), ["FIN_advanced_last_seq"]);
    let (one, other) = (tcp(true, "A", (101, 501), b"GET /a"), tcp(true, "A", (101, 501), b"GET /b"));
    assert!(after(vec![one, other]).contains(&"Retransmission_inconsistency".to_owned()));
}

#[test]
fn of_many_anomalies_the_first_are_told() {
    let mut segments = vec![tcp(true, "S", (100, 0), b""), tcp(true, "R", (101, 0), b"")];
    segments.extend(vec![tcp(true, "A", (101, 501), b"x"); 50]);
    let packets: Vec<(i64, Vec<u8>)> = segments.into_iter().map(|segment| (0, segment)).collect();
    let (events, _) = run(&packets, Options::default());
    let told: Vec<&Event> = of(&events, "sensor.weird")
        .into_iter()
        .filter(|event| event.text("dongson.weird.name") == Some("data_after_reset"))
        .collect();
    assert_eq!(told.len(), 11);
    assert!(told.first().unwrap().get("source.ip").is_some());
    assert_eq!(told.last().unwrap().int("dongson.weird.count"), Some(40));
}

/// A UDP datagram to or from the client.
fn datagram(from_client: bool, source_port: u16, destination_port: u16, payload: &[u8]) -> Vec<u8> {
    let (client, server) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let (source, destination) = if from_client { (client, server) } else { (server, client) };
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4(source, destination, 64)
        .udp(source_port, destination_port);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).unwrap();
    bytes
}

#[test]
fn a_file_of_tftp_comes_on_a_flow_of_its_own() {
    let packets = [
        (0, datagram(true, 50_000, 69, b"\0\x01startup.cfg\0octet\0")),
        (1, datagram(false, 40_123, 50_000, b"\0\x03\0\x01hostname r1\n")),
        (1, datagram(true, 50_000, 40_123, b"\0\x04\0\x01")),
        // Datagrams to another port are none of it.
        (2, datagram(false, 40_124, 50_001, b"\0\x03\0\x01no")),
    ];
    let (events, _) = run(&packets, Options::default());
    let &[request] = of(&events, "sensor.tftp").as_slice() else { panic!("{events:?}") };
    let &[data] = of(&events, "sensor.tftp_data").as_slice() else { panic!("{events:?}") };
    let &[file] = of(&events, "sensor.file").as_slice() else { panic!("{events:?}") };
    assert_eq!((request.int("source.port"), request.int("destination.port")), (Some(50_000), Some(69)));
    assert_eq!((data.int("source.port"), data.int("destination.port")), (Some(40_123), Some(50_000)));
    assert_eq!((data.text("event.outcome"), file.text("file.name")), (Some("success"), Some("startup.cfg")));
    assert_eq!(file.int("file.size"), Some(12));
    let conn: Vec<_> = of(&events, "sensor.conn").iter().map(|conn| conn.text("network.protocol")).collect();
    assert_eq!(conn, [Some("tftp"), Some("tftp"), None]);
}

#[test]
fn features_are_told_where_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture");
    std::fs::write(&path, support::pcap(&support::exchange(), false, true)).unwrap();
    let conn = |features: bool| {
        let mut options = dongson_sensor::Options::default();
        options.protocol.features = features;
        let mut events = Vec::new();
        dongson_sensor::read_file(&path, &options, &mut |event| events.push(event)).unwrap();
        events.into_iter().find(|event| event.dataset() == "sensor.conn").unwrap()
    };
    let plain = conn(false);
    assert!(plain.get("dongson.conn.lengths").is_none());
    let told = conn(true);
    // A request of 36 bytes and an answer of 40, a millisecond later; the handshake has no payload.
    assert_eq!(json(&told, "dongson.conn.lengths"), "[36,-40]");
    assert_eq!(json(&told, "dongson.conn.intervals"), "[0,1000]");
    assert_eq!(json(&told, "dongson.conn.source.size_packets"), "[1,0,0,0,0,0]");
    assert_eq!(json(&told, "dongson.conn.destination.size_bytes"), "[40,0,0,0,0,0]");
    assert!(told.get("dongson.conn.source.entropy").is_some());
    assert!(told.get("dongson.conn.rhythm.mean").is_none(), "one flow has no rhythm");
}

/// A value as JSON.
fn json(event: &Event, name: &str) -> String {
    serde_json::to_string(event.get(name).unwrap()).unwrap()
}

#[test]
fn an_address_that_changes_its_card_is_told() {
    let reply = |card: u8| {
        let sender = [2, 0, 0, 0, 0, card];
        let head = [&[0xff; 6][..], &sender, &[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2]].concat();
        [&head[..], &sender, &[10, 0, 0, 1], &[2, 0, 0, 0, 0, 9], &[10, 0, 0, 2]].concat()
    };
    let packets =
        [(0, reply(1)), (1, reply(1)), (2, reply(7)), (90, reply(7)), (91, reply(7)[..30].to_vec())];
    let (events, engine) = run(&packets, Options::default());
    let told: Vec<_> = of(&events, "sensor.arp");
    let earlier: Vec<_> = told.iter().map(|event| event.text("dongson.arp.earlier_mac")).collect();
    assert_eq!(earlier, [None, Some("02-00-00-00-00-01"), None]);
    assert_eq!(told[0].text("dongson.arp.opcode"), Some("reply"));
    assert_eq!(told[0].text("source.mac"), Some("02-00-00-00-00-01"));
    assert_eq!(engine.statistics().arp_repeated, 1);
    assert_eq!(engine.statistics().weird.get("truncated_link_header"), Some(&1));
}
