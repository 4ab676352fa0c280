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

/// A flow, the same for both directions: addresses, ports, transport, kind and VLANs, packed so that keys are compared and
/// hashed in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 48]);

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
        let (low, high) = self.ordered();
        let kind = u8::from(self.one_way) | (u8::from(low.address.is_ipv6()) << 1);
        let mut key = [0_u8; 48];
        let (addresses, rest) = key.split_at_mut(32);
        let (first, second) = addresses.split_at_mut(16);
        put(low.address, first);
        put(high.address, second);
        let [low_high, low_low] = low.port.to_be_bytes();
        let [high_high, high_low] = high.port.to_be_bytes();
        let [a, b, c, d] = vlans.map(u16::to_be_bytes);
        let tail = [
            low_high,
            low_low,
            high_high,
            high_low,
            self.protocol,
            kind,
            a[0],
            a[1],
            b[0],
            b[1],
            c[0],
            c[1],
            d[0],
            d[1],
        ];
        for (to, from) in rest.iter_mut().zip(tail) {
            *to = from;
        }
        Key(key)
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

/// Writes an address to the beginning of `room`.
fn put(address: IpAddr, room: &mut [u8]) {
    match address {
        IpAddr::V4(address) => room.iter_mut().zip(address.octets()).for_each(|(to, from)| *to = from),
        IpAddr::V6(address) => room.iter_mut().zip(address.octets()).for_each(|(to, from)| *to = from),
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
    }
}
