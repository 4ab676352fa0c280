//! What tells flows apart, and the Community ID.
//!
//! Source: the Community ID Flow Hashing specification, version 1; RFC 792, 4443 for pairs of ICMP messages.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::layer::{Bytes, VlanKey};

/// IANA numbers of the transports we look into.
pub(crate) mod protocol {
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const IGMP: u8 = 2;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const DCCP: u8 = 33;
    pub(crate) const ICMPV6: u8 = 58;
    pub(crate) const SCTP: u8 = 132;
    pub(crate) const UDP_LITE: u8 = 136;
}

/// An address and a port; for ICMP the port is a type or code, for transports without ports 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
}

/// Sender and receiver of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tuple {
    pub(crate) source: Endpoint,
    pub(crate) destination: Endpoint,
    pub(crate) protocol: u8,
    /// True for ICMP messages that nothing answers: both directions are then flows of their own.
    pub(crate) one_way: bool,
}

/// A flow, the same for both directions: addresses (two words each, the lower end first), ports with transport and kind, and
/// VLANs, packed so that keys are compared and hashed in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u64; 6]);

/// Bits of the kind in a [`Key`].
const ONE_WAY: u8 = 1;
const VERSION_6: u8 = 2;

impl Key {
    /// The packet that goes from the lower end to the higher one.
    pub(crate) fn tuple(&self) -> Tuple {
        let Self([low_first, low_second, high_first, high_second, rest, _]) = *self;
        let [_, _, _, _, protocol, kind, _, _] = rest.to_be_bytes();
        let address = |first: u64, second: u64| {
            if kind & VERSION_6 == 0 {
                let [_, _, _, _, octets @ ..] = second.to_be_bytes();
                IpAddr::from(octets)
            } else {
                IpAddr::from(((u128::from(first) << 64) | u128::from(second)).to_be_bytes())
            }
        };
        Tuple {
            source: Endpoint { address: address(low_first, low_second), port: half(rest >> 48) },
            destination: Endpoint { address: address(high_first, high_second), port: half(rest >> 32) },
            protocol,
            one_way: kind & ONE_WAY != 0,
        }
    }

    /// True when both ends are the same address and port.
    pub(crate) fn is_of_one_end(&self) -> bool {
        let Self([low_first, low_second, high_first, high_second, rest, _]) = *self;
        low_second == high_second && low_first == high_first && rest >> 48 == (rest >> 32) & 0xffff
    }

    /// Number of the transport.
    pub(crate) fn protocol(&self) -> u8 {
        let [_, _, _, _, protocol, ..] = self.0[4].to_be_bytes();
        protocol
    }
}

/// The lower 16 bits.
fn half(word: u64) -> u16 {
    let [.., high, low] = word.to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// An address as two words.
fn words(address: IpAddr) -> [u64; 2] {
    match address {
        IpAddr::V4(address) => [0, u64::from(address.to_bits())],
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            [u64::try_from(bits >> 64).unwrap_or(0), u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0)]
        }
    }
}

/// A Community ID: `1:` and 28 signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CommunityId([u8; 30]);

impl CommunityId {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Tuple {
    /// Reads the ports (or what stands for them) from the first bytes of a transport; `None` when they are not there.
    pub(crate) fn of(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Option<Self> {
        let (source_port, destination_port, one_way) = match protocol {
            protocol::TCP | protocol::UDP | protocol::SCTP | protocol::DCCP | protocol::UDP_LITE => {
                (payload.be16(0)?, payload.be16(2)?, false)
            }
            protocol::ICMP | protocol::ICMPV6 => {
                let (kind, code) = (payload.byte(0)?, payload.byte(1)?);
                match counterpart(protocol, kind) {
                    Some(other) => (u16::from(kind), u16::from(other), false),
                    None => (u16::from(kind), u16::from(code), true),
                }
            }
            _ => (0, 0, false),
        };
        Some(Self {
            source: Endpoint { address: source, port: source_port },
            destination: Endpoint { address: destination, port: destination_port },
            protocol,
            one_way,
        })
    }

    /// All between two hosts over one transport, as though its ports were 0: for fragments, which have none.
    pub(crate) fn of_hosts(source: IpAddr, destination: IpAddr, protocol: u8) -> Self {
        let end = |address| Endpoint { address, port: 0 };
        Self { source: end(source), destination: end(destination), protocol, one_way: false }
    }

    /// The flow of this packet, seen in these VLANs.
    pub(crate) fn key(&self, vlans: VlanKey) -> Key {
        self.directed(vlans).0
    }

    /// The same, and whether the packet goes from the higher end to the lower one.
    pub(crate) fn directed(&self, vlans: VlanKey) -> (Key, bool) {
        let (source, destination) = (words(self.source.address), words(self.destination.address));
        let turned = !self.one_way && (source, self.source.port) > (destination, self.destination.port);
        let (low, high, ports) = if turned {
            (destination, source, [self.destination.port, self.source.port])
        } else {
            (source, destination, [self.source.port, self.destination.port])
        };
        let version = if self.source.address.is_ipv6() { VERSION_6 } else { 0 };
        let kind = version | if self.one_way { ONE_WAY } else { 0 };
        let [[a, b], [c, d]] = ports.map(u16::to_be_bytes);
        let rest = u64::from_be_bytes([a, b, c, d, self.protocol, kind, 0, 0]);
        let vlans = vlans.into_iter().fold(0, |all, vlan| (all << 16) | u64::from(vlan));
        (Key([low[0], low[1], high[0], high[1], rest, vlans]), turned)
    }

    /// Both ends in an order that is the same for both directions.
    fn ordered(&self) -> (Endpoint, Endpoint) {
        if self.one_way || self.source <= self.destination {
            (self.source, self.destination)
        } else {
            (self.destination, self.source)
        }
    }

    /// The Community ID, version 1, seed 0. Its specification leaves VLANs out.
    pub(crate) fn community(&self) -> CommunityId {
        let (low, high) = self.ordered();
        let mut hash = Sha1::new();
        hash.update([0_u8, 0]);
        for address in [low.address, high.address] {
            match address {
                IpAddr::V4(address) => hash.update(address.octets()),
                IpAddr::V6(address) => hash.update(address.octets()),
            }
        }
        hash.update([self.protocol, 0]);
        let with_ports = [protocol::ICMP, protocol::TCP, protocol::UDP, protocol::ICMPV6, protocol::SCTP];
        if with_ports.contains(&self.protocol) {
            hash.update(low.port.to_be_bytes());
            hash.update(high.port.to_be_bytes());
        }
        let mut text = [0; 30];
        if let Some((version, digits)) = text.split_first_chunk_mut() {
            *version = *b"1:";
            // Twenty bytes are twenty-eight signs.
            let _length = STANDARD.encode_slice(hash.finalize(), digits);
        }
        CommunityId(text)
    }

    /// The same as text.
    pub(crate) fn community_id(&self) -> String {
        self.community().as_str().to_owned()
    }

    pub(crate) fn reversed(&self) -> Self {
        Self { source: self.destination, destination: self.source, ..*self }
    }
}

/// The ICMP message that answers `kind`, or that it answers.
fn counterpart(protocol: u8, kind: u8) -> Option<u8> {
    const V4: &[(u8, u8)] = &[(8, 0), (13, 14), (15, 16), (10, 9), (17, 18)];
    const V6: &[(u8, u8)] = &[(128, 129), (133, 134), (135, 136), (130, 131), (139, 140), (144, 145)];
    let pairs = if protocol == protocol::ICMP { V4 } else { V6 };
    pairs.iter().find_map(|&(request, reply)| match kind {
        kind if kind == request => Some(reply),
        kind if kind == reply => Some(request),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(source: &str, destination: &str, protocol: u8, payload: &[u8], expected: &str) {
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        let tuple = Tuple::of(source, destination, protocol, payload).unwrap();
        assert_eq!(tuple.community_id(), expected);
    }

    #[test]
    fn community_ids_of_the_specification() {
        check("128.232.110.120", "66.35.250.204", 6, &[0x88, 0x27, 0, 80], "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        check("66.35.250.204", "128.232.110.120", 6, &[0, 80, 0x88, 0x27], "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    }

    proptest! {
        #[test]
        fn both_directions_are_one_flow(a: [u8; 4], b: [u8; 4], ports: [u8; 4]) {
            let forth = Tuple::of(a.into(), b.into(), 17, &ports).unwrap();
            prop_assert_eq!(forth.key([5, 0, 0, 0]), forth.reversed().key([5, 0, 0, 0]));
            prop_assert_ne!(forth.key([5, 0, 0, 0]), forth.key([6, 0, 0, 0]));
            prop_assert_eq!(forth.community_id(), forth.reversed().community_id());
            let mapped = Tuple::of(IpAddr::V6([0; 16].into()), IpAddr::V6([0; 16].into()), 17, &ports).unwrap();
            let zeros = Tuple::of([0; 4].into(), [0; 4].into(), 17, &ports).unwrap();
            prop_assert_ne!(mapped.key([0; 4]), zeros.key([0; 4]));
        }

        #[test]
        fn keys_hold_their_packets(a: [u8; 16], b: [u8; 16], old: bool, protocol: u8, payload: [u8; 4]) {
            let address = |bytes: [u8; 16]| {
                if old { IpAddr::from(*bytes.first_chunk::<4>().unwrap()) } else { IpAddr::from(bytes) }
            };
            let tuple = Tuple::of(address(a), address(b), protocol, &payload).unwrap();
            let (key, turned) = tuple.directed([1, 2, 0, 0]);
            let held = if turned { key.tuple().reversed() } else { key.tuple() };
            prop_assert_eq!(held, tuple);
            prop_assert_eq!(key.protocol(), protocol);
            prop_assert_eq!(turned, !tuple.one_way && tuple.source > tuple.destination);
        }
    }
}
