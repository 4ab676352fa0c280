//! The packet ring on the loopback interface: needs `CAP_NET_RAW`, and says how to get it where it is missing.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dongson_event::Event;
use dongson_sensor::capture::filter::Filter;
use dongson_sensor::capture::ring::{Ring, RingError, RingOptions};
use dongson_sensor::engine::Change;
use dongson_sensor::flow::Checksums;
use dongson_sensor::live::{Capture, LiveOptions, Settings, Sources};
use dongson_sensor::packets::{Flow, Limits, Packets, Query, find};
use dongson_sensor::protocol::{Kind, Kinds};
use dongson_sensor::{Engine, Options};

/// Held by tests whose rings share frames: those of one process are one group.
static GROUP: Mutex<()> = Mutex::new(());

fn small() -> RingOptions {
    RingOptions {
        block_bytes: 1 << 18,
        blocks: 16,
        retire_ms: 10,
        promiscuous: false,
        ..RingOptions::default()
    }
}

/// A small ring on `lo`.
#[track_caller]
fn open() -> Ring {
    match Ring::open(&["lo".to_owned()], None, small()) {
        Ok(ring) => ring,
        Err(error) => panic!("{error}: {}", support::HOW_TO_CAPTURE),
    }
}

/// Says a datagram and has a conversation; gives the ports that were spoken to.
fn talk() -> (u16, u16) {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = receiver.local_addr().unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"hello", udp).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(b"pong!").unwrap();
    });
    let mut stream = TcpStream::connect(tcp).unwrap();
    stream.write_all(b"ping").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"pong!");
    drop(stream);
    server.join().unwrap();
    (udp.port(), tcp.port())
}

#[test]
fn the_ring_sees_each_packet_once_with_the_kernels_time() {
    let mut ring = open();
    let mut engine = Engine::new(Options::default());
    let mut events: Vec<Event> = Vec::new();
    let (udp, tcp) = talk();
    let finished = |engine: &Engine| engine.statistics().flows.flows >= 2;
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut quiet = 0;
    while (quiet < 5 || !finished(&engine)) && Instant::now() < deadline {
        let wait = Duration::from_millis(50);
        let count =
            ring.poll(wait, &mut |frame| engine.packet(frame, &mut |event| events.push(event))).unwrap();
        quiet = if count == 0 { quiet + 1 } else { 0 };
    }
    engine.finish(&mut |event| events.push(event));
    let conn = |port: u16| {
        let found: Vec<&Event> = events
            .iter()
            .filter(|event| {
                event.dataset() == "sensor.conn" && event.int("destination.port") == Some(i64::from(port))
            })
            .collect();
        assert_eq!(found.len(), 1, "one flow to port {port}: {found:?}");
        found.first().copied().unwrap().clone()
    };
    let datagram = conn(udp);
    assert_eq!(datagram.int("source.packets"), Some(1));
    assert_eq!(datagram.int("dongson.conn.source.payload_bytes"), Some(5));
    assert_eq!(datagram.int("dongson.conn.source.frame_bytes"), Some(14 + 20 + 8 + 5));
    let age = dongson_sensor::capture::portable::now().since(datagram.timestamp().unwrap());
    assert!(age < Duration::from_secs(30), "{age:?}");
    let talk = conn(tcp);
    assert_eq!(talk.text("dongson.conn.state"), Some("SF"));
    assert_eq!(talk.int("dongson.conn.source.payload_bytes"), Some(4));
    assert_eq!(talk.int("dongson.conn.destination.payload_bytes"), Some(5));
    let counters = ring.statistics().unwrap();
    assert!(counters.packets > 0);
    assert_eq!(counters.dropped, 0);
}

#[test]
fn the_kernel_filters_and_leaves_out_other_interfaces() {
    drop(open());
    let lo = || "lo".to_owned();
    let (udp, _tcp) = talk();
    let filter = Filter::parse(&format!("udp and port {udp}")).unwrap();
    // Named twice, the interface is found by its number among all.
    for interfaces in [vec![lo()], vec![lo(), lo()]] {
        let mut ring = Ring::open(&interfaces, Some(&filter), small()).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        talk();
        sender.send_to(b"wanted", ("127.0.0.1", udp)).unwrap();
        let mut seen = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(10);
        while seen.is_empty() && Instant::now() < deadline {
            ring.poll(Duration::from_millis(50), &mut |frame| seen.push(frame.bytes.to_vec())).unwrap();
        }
        assert!(seen.iter().any(|bytes| bytes.ends_with(b"wanted")));
        let only =
            |bytes: &Vec<u8>| bytes.ends_with(b"wanted") || bytes.windows(6).any(|part| part == b"wanted");
        assert!(seen.iter().all(only), "{seen:?}");
    }
}

#[test]
fn threads_share_the_flows() {
    let _alone = GROUP.lock().unwrap_or_else(PoisonError::into_inner);
    drop(open());
    let live = LiveOptions { interfaces: vec!["lo".to_owned()], threads: 2, ..LiveOptions::default() };
    let mut capture = Capture::open(&live, &Options::default()).unwrap();
    let ports: Vec<(u16, u16)> = (0..8).map(|_| talk()).collect();
    let mut events: Vec<Event> = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    // Eight conversations of eight segments or more, and eight datagrams.
    while capture.counts().unwrap().frames < 64 && Instant::now() < deadline {
        capture.poll(&mut |event| events.push(event)).unwrap();
    }
    let counts = capture.finish(&mut |event| events.push(event)).unwrap();
    assert_eq!(counts.dropped, Some(0));
    for (_, tcp) in ports {
        let whole: Vec<&Event> = events
            .iter()
            .filter(|event| event.dataset() == "sensor.conn")
            .filter(|event| event.int("destination.port") == Some(i64::from(tcp)))
            .collect();
        assert_eq!(whole.len(), 1, "both directions in one thread: {whole:?}");
        assert_eq!(whole.first().unwrap().text("dongson.conn.state"), Some("SF"));
    }
}

#[test]
fn what_the_threads_capture_is_kept_and_found_again() {
    let _alone = GROUP.lock().unwrap_or_else(PoisonError::into_inner);
    drop(open());
    let folder = tempfile::tempdir().unwrap();
    let packets = Packets::start(folder.path(), Limits { bytes: 64 << 20, ..Limits::default() }).unwrap();
    let live = LiveOptions { interfaces: vec!["lo".to_owned()], threads: 2, ..LiveOptions::default() };
    let mut sources = Sources::open(&live).unwrap();
    sources.keep(&packets);
    let mut capture = sources.start(&Options::default()).unwrap();
    let (_, port) = talk();
    let mut events: Vec<Event> = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    let of_talk = |event: &Event| {
        event.dataset() == "sensor.conn" && event.int("destination.port") == Some(i64::from(port))
    };
    while capture.counts().unwrap().frames < 9 && Instant::now() < deadline {
        capture.poll(&mut |event| events.push(event)).unwrap();
    }
    capture.finish(&mut |event| events.push(event)).unwrap();
    packets.flush();
    let conn = events.iter().find(|event| of_talk(event)).unwrap();
    let flow = Flow::of_community_id(conn.text("network.community_id").unwrap()).unwrap();
    let query = Query { flow: Some(flow), ..Query::default() };
    let found = find(folder.path(), &query, &mut std::io::sink()).unwrap();
    assert_eq!(Some(i64::try_from(found.frames).unwrap()), conn.int("network.packets"));
    assert_eq!((found.cut_frames, found.lost_frames), (0, 0));
}

#[test]
fn a_filter_changes_without_losing_a_frame() {
    let mut ring = open();
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = receiver.local_addr().unwrap().port();
    let filter = |text: &str| Filter::parse(&text.replace("PORT", &port.to_string())).unwrap();
    let both = [filter("udp dst port PORT"), filter("udp dst port PORT and not tcp")];
    ring.change_filter(Some(&both[0])).unwrap();
    let sender = std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for number in 0..5_000_u32 {
            socket.send_to(&number.to_be_bytes(), ("127.0.0.1", port)).unwrap();
        }
        socket.send_to(b"last", ("127.0.0.1", port)).unwrap();
    });
    let mut seen = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut turn = 0;
    while seen.last().is_none_or(|bytes| bytes != b"last") {
        assert!(Instant::now() < deadline, "{} frames came", seen.len());
        turn += 1;
        ring.change_filter(both.get(turn % 2)).unwrap();
        ring.poll(Duration::from_millis(1), &mut |frame| {
            seen.push(frame.bytes.get(frame.bytes.len() - 4..).unwrap().to_vec());
        })
        .unwrap();
    }
    sender.join().unwrap();
    let wanted = (0..5_000_u32).map(|number| number.to_be_bytes().to_vec()).chain([b"last".to_vec()]);
    assert!(seen.into_iter().eq(wanted), "each frame once, over {turn} changes");
    assert!(turn > 5, "the filter changed while frames came");
    assert_eq!(ring.statistics().unwrap().dropped, 0);

    // A filter for something else, and none at all.
    let count = |ring: &mut Ring| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"more", ("127.0.0.1", port)).unwrap();
        let (mut found, mut quiet) = (0, 0);
        while quiet < 3 {
            let came = ring
                .poll(Duration::from_millis(50), &mut |frame| {
                    found += usize::from(frame.bytes.ends_with(b"more"));
                })
                .unwrap();
            quiet = if came == 0 { quiet + 1 } else { 0 };
        }
        found
    };
    ring.change_filter(Some(&filter("tcp port PORT"))).unwrap();
    assert_eq!(count(&mut ring), 0);
    ring.change_filter(None).unwrap();
    assert_eq!(count(&mut ring), 1);
}

#[test]
fn settings_change_in_every_thread() {
    let _alone = GROUP.lock().unwrap_or_else(PoisonError::into_inner);
    drop(open());
    for threads in [1, 2] {
        let live = LiveOptions { interfaces: vec!["lo".to_owned()], threads, ..LiveOptions::default() };
        let mut capture = Capture::open(&live, &Options::default()).unwrap();
        let engine = Change {
            observer: Some("gw".to_owned()),
            flows: 1_000,
            checksums: Checksums::Ignore,
            kinds: Kinds::of(&[Kind::Conn]),
        };
        let filter = Some(Filter::parse("udp").unwrap());
        capture.change(&Settings { filter, engine }).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !capture.is_changed() {
            capture.poll(&mut |_| {}).unwrap();
            assert!(Instant::now() < deadline, "the threads did not take the settings up");
        }
        let (udp, tcp) = talk();
        let mut events = Vec::new();
        for _ in 0..5 {
            capture.poll(&mut |event| events.push(event)).unwrap();
        }
        assert_eq!(capture.change_failed(), None);
        capture.finish(&mut |event| events.push(event)).unwrap();
        let to = |port: u16| {
            let port = Some(i64::from(port));
            events.iter().filter(move |event| event.int("destination.port") == port)
        };
        assert_eq!(to(tcp).count(), 0, "{threads} threads: the filter leaves TCP out");
        let conn: Vec<&Event> = to(udp).collect();
        assert_eq!(conn.len(), 1, "{threads} threads");
        assert_eq!(conn.first().unwrap().text("observer.name"), Some("gw"));
    }
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    match Ring::open(&["no-such-link".to_owned()], None, RingOptions::default()) {
        Err(RingError::NoInterface { interface }) => assert_eq!(interface, "no-such-link"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("opened"),
    }
}
