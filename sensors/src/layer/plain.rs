//! The short way for the frames that are nearly all of them: Ethernet with at most one VLAN tag, an IP packet in one piece,
//! TCP, UDP or ICMP.
//!
//! [`Walk::plain`] reads all headers at once. What it hands out is what the other files of this room hand out for the same
//! frame (a test compares them over frames of all kinds); a frame with anything else in it is left to them untouched.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ip::Header;
use super::{Bytes, Mac, Path, Vlans, Walk};
use crate::capture::{Frame, LinkType};

/// `EtherType`s.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;

/// What was found behind the link header.
struct Found<'a> {
    header: Header,
    protocol: u8,
    payload: &'a [u8],
}

impl Walk<'_> {
    /// Hands out the packet of a plain frame; false when it is not one, and nothing was done.
    pub(super) fn plain(&mut self, frame: &Frame<'_>, vlans: Vlans) -> bool {
        if frame.link != LinkType::ETHERNET {
            return false;
        }
        let Some((&[d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, high, low], rest)) =
            frame.bytes.split_first_chunk()
        else {
            return false;
        };
        let (tag, kind, packet) = match (u16::from_be_bytes([high, low]), rest) {
            (VLAN, [first, second, high, low, packet @ ..]) => {
                let tag = u16::from_be_bytes([*first, *second]);
                (Some(tag), u16::from_be_bytes([*high, *low]), packet)
            }
            (kind, packet) => (None, kind, packet),
        };
        let found = match kind {
            IPV4 => version_4(packet),
            IPV6 => version_6(packet),
            _ => None,
        };
        let Some(Found { header, protocol, payload }) = found else { return false };
        let mut path = Path::of(frame, vlans);
        path.macs = Some((Mac([s0, s1, s2, s3, s4, s5]), Mac([d0, d1, d2, d3, d4, d5])));
        // Ethernet, its type and IP are a step each.
        path.pass(3);
        if let Some(tag) = tag {
            path.push_vlan(tag);
            path.pass(1);
        }
        self.deliver(path, header, protocol, payload, payload.len(), false);
        true
    }
}

/// An IPv4 packet without options that is neither cut nor in pieces.
fn version_4(packet: &[u8]) -> Option<Found<'_>> {
    let fixed: &[u8; 20] = packet.first_chunk()?;
    let [first, _, high, low, _, _, flags, offset, ttl, protocol, ..] = *fixed;
    let total = usize::from(u16::from_be_bytes([high, low]));
    // Neither "more fragments" nor an offset.
    let whole = u16::from_be_bytes([flags, offset]).trailing_zeros() >= 14;
    if first != 0x45 || !whole || !matches!(protocol, 1 | 6 | 17) {
        return None;
    }
    let payload = packet.get(20..total)?;
    let header = Header {
        source: IpAddr::V4(Ipv4Addr::from_bits(fixed.be32(12)?)),
        destination: IpAddr::V4(Ipv4Addr::from_bits(fixed.be32(16)?)),
        length: 20,
        ttl,
        intact: is_intact(fixed),
    };
    Some(Found { header, protocol, payload })
}

/// An IPv6 packet without extension headers that is not cut.
fn version_6(packet: &[u8]) -> Option<Found<'_>> {
    let (fixed, rest) = packet.split_first_chunk::<40>()?;
    let (length, protocol) = (usize::from(fixed.be16(4)?), fixed.byte(6)?);
    if fixed.byte(0)? >> 4 != 6 || length == 0 || !matches!(protocol, 6 | 17 | 58) {
        return None;
    }
    let payload = rest.get(..length)?;
    let address = |at: usize| -> Option<Ipv6Addr> { Some(Ipv6Addr::from(*fixed.after(at)?.first_chunk()?)) };
    let header = Header {
        source: IpAddr::V6(address(8)?),
        destination: IpAddr::V6(address(24)?),
        length: 40,
        ttl: fixed.byte(7)?,
        intact: true,
    };
    Some(Found { header, protocol, payload })
}

/// True when the sum over the header is right; it does not depend on the order of bytes in a word (RFC 1071, 2).
fn is_intact(header: &[u8; 20]) -> bool {
    let (words, _) = header.as_chunks::<4>();
    let sum: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum & 0xffff) + (sum >> 16) == 0xffff
}

#[cfg(test)]
mod tests {
    use super::super::{Decoder, FragmentLimits};
    use super::*;
    use dongson_event::Timestamp;
    use proptest::prelude::*;

    /// What a decoder hands out, and what it counts.
    fn told(frame: &Frame<'_>, vlans: Vlans, plain: bool) -> (Vec<String>, Vec<(&'static str, u64)>) {
        let mut decoder = Decoder::new(FragmentLimits::default(), vlans);
        decoder.plain = plain;
        let mut out = Vec::new();
        decoder.frame(frame, &mut |datagram| out.push(format!("{datagram:?}")));
        (out, decoder.weird().iter().collect())
    }

    #[track_caller]
    fn check(bytes: &[u8], vlan: Option<u16>, vlans: Vlans) {
        let frame = Frame { at: Timestamp::from_nanos(7), link: LinkType(1), bytes, wire_length: 99, vlan };
        assert_eq!(told(&frame, vlans, true), told(&frame, vlans, false), "{bytes:02x?}");
    }

    /// An Ethernet frame around an IP header with its length right but for `off`, and its checksum where `summed`.
    fn frame(kind: u16, tags: &[u16], protocol: u8, body: &[u8], off: i32, summed: bool) -> Vec<u8> {
        let mut frame = vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        for tag in tags {
            frame.extend([0x81, 0]);
            frame.extend(tag.to_be_bytes());
        }
        frame.extend(kind.to_be_bytes());
        let length = |fixed: usize| {
            let length = i32::try_from(fixed + body.len()).unwrap() + off;
            u16::try_from(length.clamp(0, 65_535)).unwrap().to_be_bytes()
        };
        if kind == IPV6 {
            let [high, low] = length(0);
            frame.extend([0x60, 1, 2, 3, high, low, protocol, 64]);
            frame.extend([0x20; 32]);
        } else {
            let [high, low] = length(20);
            let mut header =
                [0x45, 0, high, low, 0, 9, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 192, 0, 2, 77];
            if summed {
                let sum: u32 = header.chunks(2).map(|pair| u32::from(pair.be16(0).unwrap())).sum();
                let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
                header[10..12].copy_from_slice(&(!folded).to_be_bytes());
            }
            frame.extend(header);
        }
        frame.extend(body);
        frame
    }

    #[test]
    fn plain_frames_take_the_short_way() {
        let body = [0, 53, 0, 80, 0, 12, 0, 0, 1, 2, 3, 4];
        for kind in [IPV4, IPV6] {
            for tags in [&[][..], &[5]] {
                let bytes = frame(kind, tags, 17, &body, 0, true);
                let taken = Frame {
                    at: Timestamp::default(),
                    link: LinkType(1),
                    bytes: &bytes,
                    wire_length: 0,
                    vlan: None,
                };
                let mut decoder = Decoder::new(FragmentLimits::default(), Vlans::default());
                let mut found = 0;
                let mut sink = |datagram: &super::super::Datagram<'_>| {
                    found += 1;
                    assert!(datagram.header_intact && datagram.path.vlans() == tags);
                };
                assert!(decoder.walk(&mut sink).plain(&taken, Vlans::default()));
                assert_eq!(found, 1);
            }
        }
    }

    proptest! {
        #[test]
        fn both_ways_say_the_same(
            kind in prop::sample::select(vec![IPV4, IPV6, 0x0806, 0x88a8, 0x8847, 40]),
            tags in prop::collection::vec(any::<u16>(), 0..3),
            protocol in prop::sample::select(vec![6_u8, 17, 1, 58, 4, 41, 47, 51, 0, 132]),
            body in prop::collection::vec(any::<u8>(), 0..80),
            port in prop::sample::select(vec![53_u16, 4_789, 2_152, 3_544, 6_081, 5_247, 1_701, 5_072]),
            off in prop::sample::select(vec![0_i32, 0, 0, -3, 3, -100, 9_000]),
            summed: bool,
            vlan in prop::option::of(any::<u16>()),
            ignore: bool,
            changes in prop::collection::vec((0_usize..70, any::<u8>()), 0..3),
            cut in 0_usize..140,
        ) {
            let mut body = body;
            if let Some(ports) = body.get_mut(..4) {
                ports[2..].copy_from_slice(&port.to_be_bytes());
            }
            let mut bytes = frame(kind, &tags, protocol, &body, off, summed);
            let vlans = if ignore { Vlans::Ignore } else { Vlans::Separate };
            check(&bytes, vlan, vlans);
            for (at, byte) in changes {
                if let Some(old) = bytes.get_mut(at) {
                    *old = byte;
                }
            }
            check(&bytes, vlan, vlans);
            check(bytes.get(..cut).unwrap_or(&bytes), vlan, vlans);
        }
    }
}
