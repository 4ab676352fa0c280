//! The Internet checksum over a transport and its pseudo header (RFC 1071, 793, 768, 8200).

use std::net::IpAddr;

use super::key::protocol;
use crate::layer::{Bytes, Datagram};

/// True when the checksum is right, was not made, or cannot be checked because bytes are missing.
pub(crate) fn is_right(datagram: &Datagram<'_>) -> bool {
    if datagram.payload.len() < datagram.payload_length {
        return true;
    }
    let pseudo = match datagram.protocol {
        protocol::UDP if datagram.payload.be16(6) == Some(0) && datagram.source.is_ipv4() => return true,
        protocol::ICMP => 0,
        protocol::TCP | protocol::UDP | protocol::ICMPV6 => pseudo_header(datagram),
        _ => return true,
    };
    fold(pseudo + sum(datagram.payload)) == 0xffff
}

fn pseudo_header(datagram: &Datagram<'_>) -> u64 {
    sum_address(datagram.source)
        + sum_address(datagram.destination)
        + u64::from(datagram.protocol)
        + datagram.payload.len() as u64
}

fn sum_address(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    }
}

fn sum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(2);
    let whole: u64 = words.by_ref().filter_map(|pair| pair.be16(0)).map(u64::from).sum();
    whole + words.remainder().first().map_or(0, |last| u64::from(*last) << 8)
}

fn fold(mut sum: u64) -> u64 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}
