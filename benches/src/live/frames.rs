//! The frames that are sent: conversations of HTTP and questions of DNS, always of new ends.

use std::collections::VecDeque;

use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep};

/// Frames of a batch: one call of the system.
const BATCH: usize = 64;
/// Conversations that go on at a time.
const AT_A_TIME: usize = 64;

/// Makes batches without an end.
pub(super) struct Frames {
    /// Packets of one conversation, with the client's port 1024 and address 10.0.0.1.
    templates: Vec<Vec<u8>>,
    /// Conversations that go on: which one, and the step it is at.
    going: VecDeque<(u32, usize)>,
    next: u32,
    batch: Vec<Vec<u8>>,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { templates: templates(), going: VecDeque::new(), next: 0, batch: Vec::new() }
    }

    /// The next frames: one of each conversation in turn.
    pub(super) fn next_batch(&mut self) -> &[Vec<u8>] {
        self.batch.resize(BATCH, Vec::new());
        for place in &mut self.batch {
            if self.going.len() < AT_A_TIME {
                self.going.push_back((self.next, 0));
                self.next = self.next.wrapping_add(1);
            }
            let Some((number, step)) = self.going.pop_front() else { continue };
            let Some(template) = self.templates.get(step) else { continue };
            place.clear();
            place.extend_from_slice(template);
            address(place, number);
            if step + 1 < self.templates.len() {
                self.going.push_back((number, step + 1));
            }
        }
        &self.batch
    }
}

/// Gives the client of a packet an address and a port of its own. Checksums stay as they were: nobody looks at them.
fn address(packet: &mut [u8], number: u32) {
    let from_client = packet.get(29) == Some(&1);
    let [_, high, low, port] = number.to_be_bytes();
    let (address, ports) = if from_client { (27, 34) } else { (31, 36) };
    for (place, byte) in packet.iter_mut().skip(address).zip([high, low]) {
        *place = byte;
    }
    for (place, byte) in packet.iter_mut().skip(ports).zip([0x10, port]) {
        *place = byte;
    }
}

const ENDS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];

/// Sender, receiver and their addresses.
fn link(from_client: bool) -> PacketBuilderStep<IpHeaders> {
    let [client, server] = ENDS;
    if from_client {
        PacketBuilder::ethernet2(client, server).ipv4([10, 0, 0, 1], [10, 9, 0, 2], 64)
    } else {
        PacketBuilder::ethernet2(server, client).ipv4([10, 9, 0, 2], [10, 0, 0, 1], 64)
    }
}

fn udp(from_client: bool, payload: &[u8]) -> Vec<u8> {
    let (from, to) = if from_client { (1_024, 53) } else { (53, 1_024) };
    let mut out = Vec::new();
    let written = link(from_client).udp(from, to).write(&mut out, payload);
    assert!(written.is_ok(), "writing to memory does not fail");
    out
}

/// A segment; numbers are counted from the beginnings of both directions.
fn tcp(from_client: bool, flags: &str, (sequence, acknowledged): (u32, u32), payload: &[u8]) -> Vec<u8> {
    let (from, to, own, other) =
        if from_client { (1_024, 80, 1_000, 9_000) } else { (80, 1_024, 9_000, 1_000) };
    let mut builder = link(from_client).tcp(from, to, own + sequence, 65_000);
    for flag in flags.chars() {
        builder = match flag {
            'S' => builder.syn(),
            'F' => builder.fin(),
            _ => builder.ack(other + acknowledged),
        };
    }
    let mut out = Vec::new();
    let written = builder.write(&mut out, payload);
    assert!(written.is_ok(), "writing to memory does not fail");
    out
}

fn templates() -> Vec<Vec<u8>> {
    let request = b"GET /tin-tuc HTTP/1.1\r\nHost: www.example.vn\r\nUser-Agent: bench\r\n\r\n";
    let body =
        [&b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n"[..], &[b'x'; 1_000]]
            .concat();
    let question =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x02vn\x00\x00\x01\x00\x01";
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or_default();
    let (asked, answered) = (1 + length(request), 1 + length(&body));
    vec![
        udp(true, question),
        udp(false, &[&question[..2], b"\x81\x80", &question[4..]].concat()),
        tcp(true, "S", (0, 0), b""),
        tcp(false, "SA", (0, 1), b""),
        tcp(true, "A", (1, 1), b""),
        tcp(true, "A", (1, 1), request),
        tcp(false, "A", (1, asked), &body),
        tcp(true, "A", (asked, answered), b""),
        tcp(true, "FA", (asked, answered), b""),
        tcp(false, "FA", (answered, asked + 1), b""),
        tcp(true, "A", (asked + 1, answered + 1), b""),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use dongson_event::{Event, Timestamp};
    use dongson_sensor::capture::{Frame, LinkType};
    use dongson_sensor::{Engine, Options};

    #[test]
    fn conversations_are_whole() {
        let mut frames = Frames::new();
        let mut engine = Engine::new(Options::default());
        let mut events: Vec<Event> = Vec::new();
        for batch in 0..40 {
            for bytes in frames.next_batch() {
                let wire_length = u32::try_from(bytes.len()).unwrap();
                let at = Timestamp::from_nanos(1_700_000_000_000_000_000 + batch * 1_000_000);
                let frame = Frame { at, link: LinkType::ETHERNET, bytes, wire_length, vlan: None };
                engine.packet(&frame, &mut |event| events.push(event));
            }
        }
        engine.finish(&mut |event| events.push(event));
        let count = |dataset: &str| events.iter().filter(|event| event.dataset() == dataset).count();
        let whole = |event: &&Event| event.text("dongson.conn.state") == Some("SF");
        assert!(count("sensor.http") > 200, "{} of HTTP", count("sensor.http"));
        assert!(count("sensor.dns") > 400);
        assert!(events.iter().filter(whole).count() > 350);
        assert_eq!(count("sensor.weird"), 0, "{:?}", engine.statistics().weird);
    }
}
