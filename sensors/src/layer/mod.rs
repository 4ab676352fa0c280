//! From a frame to the IP packets inside it: link headers, VLAN tags, tunnels and fragments are taken off.
//!
//! In: a [`Frame`] of any link type. Out: one [`Datagram`] for each IP packet found, outermost first; a tunnel gives its
//! carrier and what it carries. What always holds: at most [`MAX_DEPTH`] tunnels and [`MAX_STEPS`] headers are followed,
//! fragments wait in bounded memory, cut frames give what they hold, and what cannot be read is counted by name in
//! [`Weird`].

mod bytes;
mod fragment;
mod ip;
mod link;
mod tunnel;
mod weird;
mod wireless;

use std::net::IpAddr;

use dongson_event::Timestamp;

use crate::capture::Frame;
pub(crate) use bytes::Bytes;
use fragment::Fragments;
pub use fragment::Limits as FragmentLimits;
pub(crate) use tunnel::reaches_many;
pub use weird::Weird;

/// Most tunnels inside one another that are opened.
pub const MAX_DEPTH: usize = 8;
/// Most headers of one frame that are followed.
pub const MAX_STEPS: usize = 48;
/// Most VLAN tags kept of one frame; further ones are passed over.
pub const MAX_VLANS: usize = 4;

/// What tells the same addresses in different VLANs apart; see [`Path::vlan_key`].
pub(crate) type VlanKey = [u16; MAX_VLANS];

/// Whether VLANs tell flows and fragments apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Vlans {
    /// The same addresses and ports in another VLAN are another flow.
    #[default]
    Separate,
    /// Tags are told but separate nothing: for mirror ports that tag one direction only, or each one differently.
    Ignore,
}

/// One IP packet, whole or reassembled, and where it was found.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// Sender.
    pub source: IpAddr,
    /// Receiver.
    pub destination: IpAddr,
    /// The transport's number in the IANA registry, after extension headers.
    pub protocol: u8,
    /// Captured bytes from the transport header on; without link padding.
    pub payload: &'a [u8],
    /// How long `payload` was on the wire, in bytes.
    pub payload_length: usize,
    /// Length of the IP packet with its header, in bytes; of the whole when it was reassembled.
    pub ip_length: usize,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// True when the IP header's own checksum is right or absent (IPv6).
    pub header_intact: bool,
    /// True when it was put together from fragments.
    pub reassembled: bool,
    /// What was around it.
    pub path: Path,
}

/// What a packet was wrapped in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Path {
    /// When the frame was captured.
    pub at: Timestamp,
    /// Length of the whole frame on the wire in bytes.
    pub wire_length: u32,
    /// Source and destination address of the innermost Ethernet or 802.11 header.
    pub macs: Option<(Mac, Mac)>,
    /// VLAN identifiers, outermost first; the first `vlan_count` hold.
    vlans: [u16; MAX_VLANS],
    vlan_count: usize,
    separate: Vlans,
    /// Kinds of the tunnels, outermost first; the first `depth` hold.
    tunnels: [Option<Tunnel>; MAX_DEPTH],
    depth: usize,
    /// Addresses of the carrier of the innermost tunnel.
    pub carrier: Option<(IpAddr, IpAddr)>,
    steps: usize,
}

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

/// What carries an IP packet inside another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tunnel {
    /// Generic routing encapsulation (RFC 2784, 2890), also over UDP (RFC 8086).
    Gre,
    /// IPv4 or IPv6 directly inside IP (RFC 2003, 4213).
    IpInIp,
    /// Encapsulated remote port mirror, types I to III.
    Erspan,
    /// Virtual extensible LAN (RFC 7348).
    Vxlan,
    /// Generic network virtualisation (RFC 8926).
    Geneve,
    /// GPRS tunnelling protocol, user plane (3GPP TS 29.281).
    Gtp,
    /// IPv6 over UDP through NATs (RFC 4380).
    Teredo,
    /// Anything in anything, a tunnel for IPv6.
    Ayiya,
    /// Point-to-point protocol over Ethernet (RFC 2516).
    Pppoe,
    /// Multiprotocol label switching.
    Mpls,
}

impl Tunnel {
    /// The name that events carry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gre => "gre",
            Self::IpInIp => "ipip",
            Self::Erspan => "erspan",
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::Gtp => "gtpv1",
            Self::Teredo => "teredo",
            Self::Ayiya => "ayiya",
            Self::Pppoe => "pppoe",
            Self::Mpls => "mpls",
        }
    }
}

impl std::fmt::Display for Mac {
    /// As ECS writes it: `00-00-5E-00-53-23`.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let dash = if place == 0 { "" } else { "-" };
            write!(out, "{dash}{byte:02X}")?;
        }
        Ok(())
    }
}

impl Path {
    fn of(frame: &Frame<'_>, separate: Vlans) -> Self {
        let mut path = Self { at: frame.at, wire_length: frame.wire_length, separate, ..Self::default() };
        if let Some(vlan) = frame.vlan {
            path.push_vlan(vlan);
        }
        path
    }

    /// The VLAN identifiers, outermost first.
    pub fn vlans(&self) -> &[u16] {
        self.vlans.get(..self.vlan_count).unwrap_or_default()
    }

    /// The VLANs as part of a key, outermost first, then zeros; all zeros when they are to be ignored. A priority tag
    /// (identifier 0) is no VLAN (IEEE 802.1Q, 9.6) and left out.
    pub(crate) fn vlan_key(&self) -> VlanKey {
        let mut key = VlanKey::default();
        if self.separate == Vlans::Separate {
            let real = self.vlans().iter().filter(|vlan| **vlan != 0);
            for (slot, vlan) in key.iter_mut().zip(real) {
                *slot = *vlan;
            }
        }
        key
    }

    /// The tunnels, outermost first.
    pub fn tunnels(&self) -> impl Iterator<Item = Tunnel> {
        self.tunnels.into_iter().flatten()
    }

    /// How many IP tunnels the packet was inside of.
    pub fn depth(&self) -> usize {
        self.depth
    }

    fn push_vlan(&mut self, tag: u16) {
        if let Some(slot) = self.vlans.get_mut(self.vlan_count) {
            *slot = tag & 0x0fff;
            self.vlan_count += 1;
        }
    }

    /// This path inside a tunnel; `None` when that is one too many.
    fn inside(mut self, tunnel: Tunnel) -> Option<Self> {
        *self.tunnels.get_mut(self.depth)? = Some(tunnel);
        self.depth += 1;
        Some(self)
    }

    /// One header further; `None` when it is one too many.
    fn step(mut self) -> Option<Self> {
        self.steps += 1;
        (self.steps <= MAX_STEPS).then_some(self)
    }
}

/// Takes frames apart; keeps fragments and counts between them.
pub struct Decoder {
    vlans: Vlans,
    fragments: Fragments,
    weird: Weird,
}

/// One frame being taken apart: the decoder's state and where packets go.
struct Walk<'d> {
    fragments: &'d mut Fragments,
    weird: &'d mut Weird,
    sink: &'d mut dyn FnMut(&Datagram<'_>),
}

impl Decoder {
    /// A decoder that keeps fragments within `limits`.
    pub fn new(limits: FragmentLimits, vlans: Vlans) -> Self {
        Self { vlans, fragments: Fragments::new(limits), weird: Weird::default() }
    }

    /// Gives every IP packet of `frame` to `sink`.
    pub fn frame(&mut self, frame: &Frame<'_>, sink: &mut dyn FnMut(&Datagram<'_>)) {
        self.fragments.expire(frame.at, &mut self.weird);
        let mut walk = Walk { fragments: &mut self.fragments, weird: &mut self.weird, sink };
        walk.link(Path::of(frame, self.vlans), frame.link, frame.bytes);
    }

    /// What could not be read, by name.
    pub fn weird(&self) -> &Weird {
        &self.weird
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::LinkType;
    use proptest::prelude::*;

    fn count(link: u32, bytes: &[u8]) -> usize {
        let mut decoder = Decoder::new(FragmentLimits::default(), Vlans::default());
        let frame =
            Frame { at: Timestamp::default(), link: LinkType(link), bytes, wire_length: 0, vlan: None };
        let mut found = 0;
        decoder.frame(&frame, &mut |_| found += 1);
        found
    }

    fn ethernet(kind: [u8; 2], rest: &[u8]) -> Vec<u8> {
        [&[2_u8; 12], kind.as_slice(), rest].concat()
    }

    /// IPv4 with `protocol` around `payload`.
    fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
        let mut bytes = vec![0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, protocol, 0, 0];
        bytes.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        bytes.extend(payload);
        bytes
    }

    fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(8 + payload.len()).unwrap();
        let words = [40_000, port, length, 0].map(u16::to_be_bytes).concat();
        [words.as_slice(), payload].concat()
    }

    #[test]
    fn link_types_lead_to_ip() {
        let ip = ipv4(17, &udp(9, b"x"));
        assert_eq!(count(1, &ethernet([8, 0], &ip)), 1);
        assert_eq!(count(101, &ip), 1);
        assert_eq!(count(0, &[&[2, 0, 0, 0], ip.as_slice()].concat()), 1);
        assert_eq!(count(9, &[&[0xff, 3, 0, 0x21], ip.as_slice()].concat()), 1);
        assert_eq!(count(113, &[&[0_u8; 14], [8, 0].as_slice(), &ip].concat()), 1);
        assert_eq!(count(276, &[&[8, 0], [0_u8; 18].as_slice(), &ip].concat()), 1);
        let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
        let data = [&[8, 0], [0_u8; 22].as_slice(), &snap, &ip].concat();
        assert_eq!(count(105, &data), 1);
        assert_eq!(count(127, &[&[0, 0, 8, 0, 0, 0, 0, 0], data.as_slice()].concat()), 1);
        let length = u16::try_from(ip.len() + 4).unwrap().to_le_bytes();
        assert_eq!(count(239, &[&[2, 0, 0, 0, length[0], length[1], 9, 0], ip.as_slice()].concat()), 1);
    }

    #[test]
    fn tags_and_labels_are_passed() {
        let ip = ipv4(17, &udp(9, b"x"));
        let qinq = [&[0, 7, 0x81, 0, 0, 9, 8, 0], ip.as_slice()].concat();
        assert_eq!(count(1, &ethernet([0x88, 0xa8], &qinq)), 1);
        assert_eq!(count(1, &ethernet([0x88, 0x47], &[&[0, 0, 1, 64], ip.as_slice()].concat())), 1);
        let pppoe = [&[0x11, 0, 0, 1, 0, 31, 0, 0x21], ip.as_slice()].concat();
        assert_eq!(count(1, &ethernet([0x88, 0x64], &pppoe)), 1);
    }

    #[test]
    fn tunnels_give_carrier_and_cargo() {
        let ip = ipv4(17, &udp(9, b"x"));
        let frame = ethernet([8, 0], &ip);
        let gre = ipv4(47, &[&[0, 0, 8, 0], ip.as_slice()].concat());
        assert_eq!(count(101, &gre), 2);
        assert_eq!(count(101, &ipv4(4, &ip)), 2);
        let vxlan = [&[8, 0, 0, 0, 0, 0, 1, 0], frame.as_slice()].concat();
        assert_eq!(count(101, &ipv4(17, &udp(4_789, &vxlan))), 2);
        let geneve = [&[0, 0, 0x65, 0x58, 0, 0, 1, 0], frame.as_slice()].concat();
        assert_eq!(count(101, &ipv4(17, &udp(6_081, &geneve))), 2);
        let length = u16::try_from(ip.len()).unwrap().to_be_bytes();
        let gtp = [&[0x30, 0xff, length[0], length[1], 0, 0, 0, 1], ip.as_slice()].concat();
        assert_eq!(count(101, &ipv4(17, &udp(2_152, &gtp))), 2);
    }

    #[test]
    fn nesting_ends() {
        let mut packet = ipv4(17, &udp(9, b"x"));
        for _ in 0..40 {
            packet = ipv4(4, &packet);
        }
        assert_eq!(count(101, &packet), MAX_DEPTH + 1);
    }

    proptest! {
        #[test]
        fn any_bytes_of_any_link(link in 0_u32..300, bytes: Vec<u8>) {
            count(link, &bytes);
        }

        #[test]
        fn any_ether_type(kind: [u8; 2], bytes: Vec<u8>) {
            count(1, &ethernet(kind, &bytes));
        }

        #[test]
        fn any_ip_protocol(protocol: u8, port in prop::sample::select(vec![4_789_u16, 6_081, 2_152, 3_544, 4_754, 5_072, 8_472]), bytes: Vec<u8>) {
            count(101, &ipv4(protocol, &bytes));
            count(101, &ipv4(17, &udp(port, &bytes)));
        }

        #[test]
        fn cut_anywhere(cut in 0_usize..80) {
            let ip = ipv4(17, &udp(9, b"x"));
            let whole = ipv4(47, &[&[0, 0, 8, 0], ip.as_slice()].concat());
            count(101, whole.get(..cut).unwrap_or(&whole));
        }
    }
}
