//! IPv4 and IPv6: headers, extension headers, fragments; then the transport.
//!
//! Sources: RFC 791, 8200, 4302, 815.

use std::net::IpAddr;

use etherparse::{Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, LaxIpv4Slice};

use super::fragment::{Fragment, Key};
use super::{Bytes, Datagram, Path, Walk};

/// Numbers of the IANA registry of protocols.
mod number {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const DESTINATION: u8 = 60;
    pub(super) const MOBILITY: u8 = 135;
}

/// Most extension headers of one packet.
const MAX_EXTENSIONS: usize = 16;

/// What of an IP header is needed later.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Length of header and extensions in front of the payload.
    pub(super) length: usize,
    pub(super) ttl: u8,
    pub(super) intact: bool,
}

impl Walk<'_> {
    /// An IPv4 packet.
    pub(super) fn ipv4(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let path = path.step()?;
        let Ok((packet, stop)) = LaxIpv4Slice::from_slice(bytes) else {
            self.weird.add("bad_ipv4_header");
            return Some(());
        };
        if stop.is_some() {
            self.weird.add("bad_authentication_header");
        }
        let ip = packet.header();
        let payload = packet.payload();
        let header_length = ip.slice().len();
        let authentication = usize::from(packet.payload_ip_number() != ip.protocol())
            * packet.extensions().auth.map_or(0, |auth| auth.slice().len());
        let total = usize::from(ip.total_len());
        // Length zero: the sender left segmentation to the card; the frame knows better.
        let total = if total < header_length {
            header_length + authentication + payload.payload.len()
        } else {
            total
        };
        let header = Header {
            source: IpAddr::V4(ip.source_addr()),
            destination: IpAddr::V4(ip.destination_addr()),
            length: header_length + authentication,
            ttl: ip.ttl(),
            intact: intact(ip),
        };
        let protocol = payload.ip_number.0;
        let wire_length = total.saturating_sub(header.length);
        if !payload.fragmented {
            self.transport(path, header, protocol, payload.payload, wire_length);
            return Some(());
        }
        let fragment = Fragment {
            offset: usize::from(ip.fragments_offset().value()) * 8,
            more: ip.more_fragments(),
            header_length: header.length,
            protocol,
        };
        let identifier = u32::from(ip.identification());
        self.fragment(path, header, identifier, fragment, payload.payload, wire_length)
    }

    /// An IPv6 packet.
    pub(super) fn ipv6(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let path = path.step()?;
        let Ok(ip) = Ipv6HeaderSlice::from_slice(bytes) else {
            self.weird.add("bad_ipv6_header");
            return Some(());
        };
        let rest = bytes.after(40)?;
        let length = match usize::from(ip.payload_length()) {
            0 => rest.len(),
            length => length,
        };
        let header = Header {
            source: IpAddr::V6(ip.source_addr()),
            destination: IpAddr::V6(ip.destination_addr()),
            length: 40,
            ttl: ip.hop_limit(),
            intact: true,
        };
        let rest = rest.get(..length.min(rest.len()))?;
        self.extensions(path, header, ip.next_header().0, rest, length)
    }

    /// Passes extension headers until the transport or a fragment.
    fn extensions(
        &mut self,
        path: Path,
        mut header: Header,
        mut next: u8,
        bytes: &[u8],
        mut wire_length: usize,
    ) -> Option<()> {
        let mut rest = bytes;
        for _ in 0..MAX_EXTENSIONS {
            let length = match next {
                number::HOP_BY_HOP | number::ROUTING | number::DESTINATION | number::MOBILITY => {
                    rest.byte(1).map(|units| (usize::from(units) + 1) * 8)
                }
                number::AUTHENTICATION => rest.byte(1).map(|units| (usize::from(units) + 2) * 4),
                number::FRAGMENT => Some(8),
                _ => {
                    self.transport(path, header, next, rest, wire_length);
                    return Some(());
                }
            };
            let Some((length, after)) = length.and_then(|length| Some((length, rest.after(length)?))) else {
                self.weird.add("truncated_extension_header");
                return Some(());
            };
            // Mobility without a next header: it is the transport.
            if next == number::MOBILITY && rest.byte(0) == Some(59) {
                self.transport(path, header, next, rest, wire_length);
                return Some(());
            }
            let left = wire_length.saturating_sub(length);
            if next == number::FRAGMENT {
                let fragment = Ipv6FragmentHeaderSlice::from_slice(rest).ok()?;
                if fragment.is_fragmenting_payload() {
                    let part = Fragment {
                        offset: usize::from(fragment.fragment_offset().value()) * 8,
                        more: fragment.more_fragments(),
                        header_length: header.length,
                        protocol: fragment.next_header().0,
                    };
                    return self.fragment(path, header, fragment.identification(), part, after, left);
                }
            }
            next = rest.byte(0)?;
            header.length += length;
            wire_length = left;
            rest = after;
        }
        self.weird.add("too_many_extension_headers");
        Some(())
    }

    /// One fragment; the whole goes on when this was the last that was missing.
    fn fragment(
        &mut self,
        path: Path,
        header: Header,
        identifier: u32,
        fragment: Fragment,
        bytes: &[u8],
        wire_length: usize,
    ) -> Option<()> {
        if self.pieces {
            self.deliver(path, header, fragment.protocol, &[], wire_length, false);
            if fragment.offset == 0 {
                self.deliver(path, header, fragment.protocol, bytes, wire_length, false);
            }
            return Some(());
        }
        if bytes.len() < wire_length {
            self.weird.add("truncated_fragment");
            return Some(());
        }
        let key = Key {
            source: header.source,
            destination: header.destination,
            identifier,
            vlans: path.vlan_key(),
            // IPv6 tells fragments apart by addresses and identifier alone (RFC 8200, 4.5).
            protocol: if header.source.is_ipv4() { fragment.protocol } else { 0 },
        };
        let added = self.fragments.add(key, fragment, bytes, path.at, path.wire_length, self.weird);
        // Waiting for the rest is no damage; what is damaged was counted under its own name.
        let Some(whole) = added else { return Some(()) };
        let header = Header { length: whole.header_length, ..header };
        let length = whole.bytes.len();
        let mut path = path;
        path.wire_length = whole.wire_length;
        self.reassembled(path, header, whole.protocol, &whole.bytes, length)
    }

    fn reassembled(
        &mut self,
        path: Path,
        header: Header,
        next: u8,
        bytes: &[u8],
        length: usize,
    ) -> Option<()> {
        let is_extension = matches!(
            next,
            number::HOP_BY_HOP
                | number::ROUTING
                | number::DESTINATION
                | number::AUTHENTICATION
                | number::FRAGMENT
        );
        if (header.source.is_ipv6() && is_extension) || next == number::AUTHENTICATION {
            return self.extensions(path, header, next, bytes, length);
        }
        self.deliver(path, header, next, bytes, length, true);
        Some(())
    }

    fn transport(&mut self, path: Path, header: Header, protocol: u8, bytes: &[u8], wire_length: usize) {
        self.deliver(path, header, protocol, bytes, wire_length, false);
    }

    /// Hands out the packet, then looks for one inside it.
    pub(super) fn deliver(
        &mut self,
        path: Path,
        header: Header,
        protocol: u8,
        bytes: &[u8],
        wire_length: usize,
        reassembled: bool,
    ) {
        let datagram = Datagram {
            source: header.source,
            destination: header.destination,
            protocol,
            payload: bytes,
            payload_length: wire_length,
            ip_length: header.length + wire_length,
            ttl: header.ttl,
            header_intact: header.intact,
            reassembled,
            path,
        };
        (self.sink)(&datagram);
        self.cargo(&datagram);
    }
}

/// True when the sum over the IPv4 header is right.
fn intact(header: Ipv4HeaderSlice<'_>) -> bool {
    let sum = header
        .slice()
        .chunks_exact(2)
        .filter_map(|pair| pair.be16(0))
        .fold(0_u32, |sum, word| sum + u32::from(word));
    let folded = (sum & 0xffff) + (sum >> 16);
    (folded & 0xffff) + (folded >> 16) == 0xffff
}
