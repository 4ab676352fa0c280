//! Packets made by hand; nothing is checked here that a sensor should check.

/// An Ethernet frame.
pub fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &kind.to_be_bytes(), payload].concat()
}

/// What tells IPv4 packets apart.
#[derive(Debug, Clone, Copy)]
pub struct Ip {
    /// Last byte of the sender, 10.0.0.x.
    pub from: u8,
    /// Last byte of the receiver.
    pub to: u8,
    /// The transport's number.
    pub protocol: u8,
    /// The datagram that a fragment is of.
    pub identifier: u16,
    /// Flags and offset in units of eight bytes.
    pub fragment: u16,
}

impl Ip {
    /// A whole packet from 10.0.0.1 to 10.0.0.2, or back.
    pub fn new(back: bool, protocol: u8) -> Self {
        let (from, to) = if back { (2, 1) } else { (1, 2) };
        Self { from, to, protocol, identifier: 7, fragment: 0 }
    }

    /// The packet, with a right checksum of its header.
    pub fn packet(self, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(20 + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
        let (identifier, fragment) = (self.identifier.to_be_bytes(), self.fragment.to_be_bytes());
        let mut head = [&[0x45, 0][..], &length, &identifier, &fragment, &[64, self.protocol, 0, 0]].concat();
        head.extend([10, 0, 0, self.from, 10, 0, 0, self.to]);
        let words =
            head.chunks(2).map(|pair| pair.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte)));
        let sum: u32 = words.sum();
        let sum = (sum & 0xffff) + (sum >> 16);
        let [.., high, low] = (!((sum & 0xffff) + (sum >> 16))).to_be_bytes();
        for (place, byte) in head.iter_mut().skip(10).zip([high, low]) {
            *place = byte;
        }
        [head, payload.to_vec()].concat()
    }
}

/// An IPv6 packet from `fd00::1` to `fd00::2`.
pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let address = |last: u8| [&[0xfd][..], &[0; 14], &[last]].concat();
    [&[0x60, 0, 0, 0][..], &length, &[next, 64], &address(1), &address(2), payload].concat()
}

/// A UDP datagram.
pub fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat()
}

/// Flags of a TCP segment.
pub mod flag {
    /// Ends a direction.
    pub const FIN: u8 = 1;
    /// Begins one.
    pub const SYN: u8 = 2;
    /// Ends both.
    pub const RST: u8 = 4;
    /// Acknowledges.
    pub const ACK: u8 = 16;
}

/// A TCP segment.
pub fn tcp(from: u16, to: u16, (sequence, acknowledged): (u32, u32), flags: u8, payload: &[u8]) -> Vec<u8> {
    let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
    let numbers = [sequence.to_be_bytes(), acknowledged.to_be_bytes()].concat();
    [&ports[..], &numbers, &[0x50, flags, 0xff, 0xff, 0, 0, 0, 0], payload].concat()
}

/// A question of DNS for `a.vn`.
pub const QUESTION: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02vn\x00\x00\x01\x00\x01";

/// Bytes that are read from the front; zeros behind the end.
#[derive(Debug, Clone, Copy)]
pub struct Take<'a>(pub &'a [u8]);

impl<'a> Take<'a> {
    /// The next `count` bytes, or what is left.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at_checked(count).unwrap_or((self.0, &[]));
        self.0 = rest;
        head
    }

    /// The next bytes as a number.
    pub fn number(&mut self, width: usize) -> usize {
        self.bytes(width).iter().fold(0, |number, byte| (number << 8) | usize::from(*byte))
    }
}
