//! Captures made from conversations: packets of TCP and UDP with right checksums, written as a pcap file.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::time::Duration;

use dongson_event::Timestamp;
use etherparse::PacketBuilder;

/// Largest TCP payload of one packet that we make, in bytes.
const SEGMENT: usize = 1_400;

/// One end of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its address.
    pub(crate) address: Ipv4Addr,
    /// Its port.
    pub(crate) port: u16,
}

impl Peer {
    /// The peer at `address` and `port`.
    pub(crate) const fn new(address: Ipv4Addr, port: u16) -> Self {
        Self { address, port }
    }

    /// A locally administered MAC address that stands for this host.
    fn mac(self) -> [u8; 6] {
        let [a, b, c, d] = self.address.octets();
        [0x02, 0x00, a, b, c, d]
    }
}

/// How a TCP conversation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Both sides close.
    Closed,
    /// The server refuses the SYN with a reset.
    Refused,
    /// Nobody answers the SYN.
    Silent,
}

/// Packets with their times, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Capture {
    packets: Vec<(Timestamp, Vec<u8>)>,
}

impl Capture {
    /// A UDP question and its answer, `gap` apart.
    pub(crate) fn exchange(
        &mut self,
        at: Timestamp,
        gap: Duration,
        client: Peer,
        server: Peer,
        ask: &[u8],
        answer: &[u8],
    ) {
        self.udp(at, client, server, ask);
        if !answer.is_empty() {
            self.udp(at.plus(gap), server, client, answer);
        }
    }

    /// A TCP conversation: handshake, then `turns` (true = the client speaks), then its end.
    pub(crate) fn conversation(
        &mut self,
        start: Timestamp,
        client: Peer,
        server: Peer,
        turns: &[(bool, Vec<u8>)],
        ending: Ending,
    ) {
        let mut clock = Clock { now: start, step: Duration::from_micros(900) };
        let mut stream = Stream { client, server, sent: 1_000_000_007, received: 2_000_000_011 };
        self.segment(clock.tick(), &mut stream, true, Flags::SYN, &[]);
        match ending {
            Ending::Silent => return,
            Ending::Refused => {
                self.segment(clock.tick(), &mut stream, false, Flags::RST_ACK, &[]);
                return;
            }
            Ending::Closed => {}
        }
        self.segment(clock.tick(), &mut stream, false, Flags::SYN_ACK, &[]);
        self.segment(clock.tick(), &mut stream, true, Flags::ACK, &[]);
        for (from_client, bytes) in turns {
            for chunk in bytes.chunks(SEGMENT) {
                self.segment(clock.tick(), &mut stream, *from_client, Flags::PSH_ACK, chunk);
            }
            self.segment(clock.tick(), &mut stream, !from_client, Flags::ACK, &[]);
        }
        self.segment(clock.tick(), &mut stream, true, Flags::FIN_ACK, &[]);
        self.segment(clock.tick(), &mut stream, false, Flags::FIN_ACK, &[]);
        self.segment(clock.tick(), &mut stream, true, Flags::ACK, &[]);
    }

    /// Writes a pcap file (microseconds, Ethernet), packets in the order of their times.
    pub(crate) fn write(mut self, out: &mut impl Write) -> io::Result<()> {
        self.packets.sort_by_key(|(at, _)| *at);
        out.write_all(&0xa1b2_c3d4_u32.to_le_bytes())?;
        out.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
        out.write_all(&262_144_u32.to_le_bytes())?;
        out.write_all(&1_u32.to_le_bytes())?;
        for (at, bytes) in &self.packets {
            let micros = at.nanos().rem_euclid(1_000_000_000) / 1_000;
            let length = field(bytes.len())?;
            for word in [field(at.seconds())?, field(micros)?, length, length] {
                out.write_all(&word.to_le_bytes())?;
            }
            out.write_all(bytes)?;
        }
        Ok(())
    }

    fn udp(&mut self, at: Timestamp, from: Peer, to: Peer, payload: &[u8]) {
        let builder = PacketBuilder::ethernet2(from.mac(), to.mac())
            .ipv4(from.address.octets(), to.address.octets(), 64)
            .udp(from.port, to.port);
        let mut bytes = Vec::with_capacity(builder.size(payload.len()));
        if builder.write(&mut bytes, payload).is_ok() {
            self.packets.push((at, bytes));
        }
    }

    fn segment(
        &mut self,
        at: Timestamp,
        stream: &mut Stream,
        from_client: bool,
        flags: Flags,
        payload: &[u8],
    ) {
        let (from, to) =
            if from_client { (stream.client, stream.server) } else { (stream.server, stream.client) };
        let (sequence, acknowledged) =
            if from_client { (stream.sent, stream.received) } else { (stream.received, stream.sent) };
        let mut builder = PacketBuilder::ethernet2(from.mac(), to.mac())
            .ipv4(from.address.octets(), to.address.octets(), 64)
            .tcp(from.port, to.port, sequence, 64_240);
        if flags.syn {
            builder = builder.syn();
        }
        if flags.ack {
            builder = builder.ack(acknowledged);
        }
        if flags.psh {
            builder = builder.psh();
        }
        if flags.fin {
            builder = builder.fin();
        }
        if flags.rst {
            builder = builder.rst();
        }
        let mut bytes = Vec::with_capacity(builder.size(payload.len()));
        if builder.write(&mut bytes, payload).is_ok() {
            self.packets.push((at, bytes));
        }
        // Payloads are cut to SEGMENT, so the length fits.
        let used =
            u32::try_from(payload.len()).unwrap_or_default() + u32::from(flags.syn) + u32::from(flags.fin);
        let moved = if from_client { &mut stream.sent } else { &mut stream.received };
        *moved = moved.wrapping_add(used);
    }
}

fn field(number: impl TryInto<u32>) -> io::Result<u32> {
    number.try_into().map_err(|_| io::Error::other("the packet's time or length does not fit a pcap file"))
}

struct Clock {
    now: Timestamp,
    step: Duration,
}

impl Clock {
    fn tick(&mut self) -> Timestamp {
        let now = self.now;
        self.now = now.plus(self.step);
        now
    }
}

struct Stream {
    client: Peer,
    server: Peer,
    sent: u32,
    received: u32,
}

#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "these are the flag bits of a TCP header")]
struct Flags {
    syn: bool,
    ack: bool,
    psh: bool,
    fin: bool,
    rst: bool,
}

impl Flags {
    const NONE: Self = Self { syn: false, ack: false, psh: false, fin: false, rst: false };
    const SYN: Self = Self { syn: true, ..Self::NONE };
    const ACK: Self = Self { ack: true, ..Self::NONE };
    const SYN_ACK: Self = Self { ack: true, ..Self::SYN };
    const PSH_ACK: Self = Self { psh: true, ..Self::ACK };
    const FIN_ACK: Self = Self { fin: true, ..Self::ACK };
    const RST_ACK: Self = Self { rst: true, ..Self::ACK };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_has_its_packets_and_a_file_its_head() {
        let mut capture = Capture::default();
        let client = Peer::new(Ipv4Addr::new(192, 0, 2, 1), 40_000);
        let server = Peer::new(Ipv4Addr::new(198, 51, 100, 2), 80);
        let request = b"GET /a HTTP/1.1\r\nHost: x.example\r\n\r\n".to_vec();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
        let turns = [(true, request), (false, answer)];
        capture.conversation(Timestamp::from_seconds(1_800_000_000), client, server, &turns, Ending::Closed);
        assert_eq!(capture.packets.len(), 10);
        let mut file = Vec::new();
        capture.write(&mut file).unwrap();
        assert_eq!(&file[..4], &[0xd4, 0xc3, 0xb2, 0xa1]);
    }
}
