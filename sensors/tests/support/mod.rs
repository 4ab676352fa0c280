//! Packets and capture files made by the tests themselves.

#![expect(dead_code, reason = "each test file uses its own part")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(unix)]
pub(crate) mod child;

use std::path::Path;

use dongson_event::Event;
use dongson_sensor::{Options, Summary, read_file};
use etherparse::PacketBuilder;

/// What a test says that may not capture.
pub(crate) const HOW_TO_CAPTURE: &str = "this test captures on the loopback interface and needs CAP_NET_RAW: run it as root, \
    or: unshare -Urn sh -c 'ip link set lo up && cargo test -p dongson-sensor'";

/// The moment of the first packet, in seconds.
pub(crate) const START: u32 = 1_700_000_000;

/// A UDP datagram in an Ethernet frame.
pub(crate) fn udp(source_port: u16, destination_port: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .udp(source_port, destination_port);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).unwrap();
    bytes
}

/// Flags of a TCP segment: any of `SAFR`.
pub(crate) fn tcp(
    from_client: bool,
    flags: &str,
    (sequence, acknowledgement): (u32, u32),
    payload: &[u8],
) -> Vec<u8> {
    let (client, server) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let (source, destination) = if from_client { (client, server) } else { (server, client) };
    let (from, to) = if from_client { (40_000, 8_080) } else { (8_080, 40_000) };
    let mut builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4(source, destination, 64)
        .tcp(from, to, sequence, 1_000);
    for flag in flags.chars() {
        builder = match flag {
            'S' => builder.syn(),
            'A' => builder.ack(acknowledgement),
            'F' => builder.fin(),
            'R' => builder.rst(),
            other => panic!("no flag {other}"),
        };
    }
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).unwrap();
    bytes
}

/// A whole HTTP exchange over TCP.
pub(crate) fn exchange() -> Vec<Vec<u8>> {
    let request = b"GET /a HTTP/1.1\r\nHost: x.example\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let (r, s) = (u32::try_from(request.len()).unwrap(), u32::try_from(response.len()).unwrap());
    vec![
        tcp(true, "S", (100, 0), b""),
        tcp(false, "SA", (500, 101), b""),
        tcp(true, "A", (101, 501), b""),
        tcp(true, "A", (101, 501), request),
        tcp(false, "A", (501, 101 + r), response),
        tcp(true, "FA", (101 + r, 501 + s), b""),
        tcp(false, "FA", (501 + s, 102 + r), b""),
        tcp(true, "A", (102 + r, 502 + s), b""),
    ]
}

/// A pcap file; packets a millisecond apart.
pub(crate) fn pcap(packets: &[Vec<u8>], big: bool, nanos: bool) -> Vec<u8> {
    let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut out = word(if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }).to_vec();
    out.extend([half(2), half(4)].concat());
    out.extend([word(0), word(0), word(65_535), word(1)].concat());
    for (number, packet) in (0_u32..).zip(packets) {
        let length = u32::try_from(packet.len()).unwrap();
        let fraction = number * if nanos { 1_000_000 } else { 1_000 };
        out.extend([word(START), word(fraction), word(length), word(length)].concat());
        out.extend(packet);
    }
    out
}

/// A pcapng file with two interfaces that take turns; the second counts time in nanoseconds.
pub(crate) fn pcapng(packets: &[Vec<u8>], big: bool) -> Vec<u8> {
    let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let block = |kind: u32, mut body: Vec<u8>| {
        body.resize(body.len().next_multiple_of(4), 0);
        let length = u32::try_from(body.len() + 12).unwrap();
        [word(kind).to_vec(), word(length).to_vec(), body, word(length).to_vec()].concat()
    };
    let section =
        [word(0x1a2b_3c4d), [half(1), half(0)].concat().try_into().unwrap(), [0xff; 4], [0xff; 4]].concat();
    let plain = [half(1).to_vec(), half(0).to_vec(), word(0).to_vec()].concat();
    let nanos = [
        plain.clone(),
        half(9).to_vec(),
        half(1).to_vec(),
        vec![9, 0, 0, 0],
        half(0).to_vec(),
        half(0).to_vec(),
    ]
    .concat();
    let mut out = [block(0x0a0d_0d0a, section), block(1, plain), block(1, nanos)].concat();
    out.extend(block(5, vec![0; 12]));
    for (number, packet) in (0_u32..).zip(packets) {
        let interface = number % 2;
        let per_second = if interface == 0 { 1_000_000_u64 } else { 1_000_000_000 };
        let units = u64::from(START) * per_second + u64::from(number) * per_second / 1_000;
        let length = u32::try_from(packet.len()).unwrap();
        let high = u32::try_from(units >> 32).unwrap();
        let low = u32::try_from(units & 0xffff_ffff).unwrap();
        let head = [word(interface), word(high), word(low), word(length), word(length)].concat();
        out.extend(block(6, [head, packet.clone()].concat()));
    }
    out
}

/// Reads `bytes` as a file.
pub(crate) fn read(bytes: &[u8]) -> (Vec<Event>, Summary) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture");
    std::fs::write(&path, bytes).unwrap();
    read_path(&path)
}

/// Reads a file.
pub(crate) fn read_path(path: &Path) -> (Vec<Event>, Summary) {
    let mut events = Vec::new();
    let summary = read_file(path, &Options::default(), &mut |event| events.push(event)).unwrap();
    (events, summary)
}

/// The events of one dataset.
pub(crate) fn of<'e>(events: &'e [Event], dataset: &str) -> Vec<&'e Event> {
    events.iter().filter(|event| event.dataset() == dataset).collect()
}
