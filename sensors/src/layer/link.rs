//! Link headers: from the first byte of a frame to an `EtherType` and what follows.
//!
//! Sources: the pcap link-type registry, IEEE 802.1Q/ad/ah/BR, RFC 1661, 2516, 3032, 4385.

use super::{Bytes, Mac, Path, Tunnel, Walk};
use crate::capture::LinkType;

/// `EtherType`s.
mod ether {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const ARP: u16 = 0x0806;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const VLAN: u16 = 0x8100;
    pub(super) const PROVIDER_VLAN: u16 = 0x88a8;
    pub(super) const OLD_QINQ: [u16; 3] = [0x9100, 0x9200, 0x9300];
    pub(super) const MPLS: [u16; 2] = [0x8847, 0x8848];
    pub(super) const PPPOE_SESSION: u16 = 0x8864;
    pub(super) const PPPOE_DISCOVERY: u16 = 0x8863;
    pub(super) const BACKBONE: u16 = 0x88e7;
    pub(super) const VN_TAG: u16 = 0x8926;
    pub(super) const BRIDGED: u16 = 0x6558;
    pub(super) const PPP: u16 = 0x880b;
    pub(super) const CISCO_METADATA: u16 = 0x8909;
    pub(super) const SERVICE_HEADER: u16 = 0x894f;
    /// Smaller values are the length field of 802.3.
    pub(super) const FIRST: u16 = 0x0600;
}

impl Walk<'_> {
    /// A frame of the given link type.
    pub(super) fn link(&mut self, path: Path, link: LinkType, bytes: &[u8]) {
        let taken = match link.0 {
            1 => self.ethernet(path, bytes),
            // BSD loopback: an address family in the byte order of some machine; the packet says it better itself.
            0 | 108 => bytes.after(4).and_then(|rest| self.any_ip(path, rest)),
            12 | 14 | 101 | 228 | 229 => self.any_ip(path, bytes),
            9 | 50 => self.ppp_or_cisco(path, bytes),
            104 => self.cisco_hdlc(path, bytes),
            204 => bytes.after(1).and_then(|rest| self.ppp_or_cisco(path, rest)),
            51 => self.pppoe(path, bytes),
            105 => self.wireless(path, bytes, false),
            127 => self.radiotap(path, bytes),
            163 => self.avs(path, bytes),
            113 => self.cooked(path, bytes, 14, 16),
            276 => self.cooked(path, bytes, 0, 20),
            219 => self.mpls(path, bytes),
            239 => self.nflog(path, bytes),
            // OpenBSD: enc has 12 bytes in front, pflog says its own length.
            109 => bytes.after(12).and_then(|rest| self.any_ip(path, rest)),
            117 => bytes
                .byte(0)
                .and_then(|length| bytes.after(usize::from(length).next_multiple_of(4)))
                .and_then(|rest| self.any_ip(path, rest)),
            _ => {
                self.weird.add("unknown_link_type");
                return;
            }
        };
        if taken.is_none() {
            self.weird.add("truncated_link_header");
        }
    }

    /// Ethernet: two addresses and a type.
    pub(super) fn ethernet(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let mut path = path.step()?;
        let destination = Mac(*bytes.first_chunk()?);
        let source = Mac(*bytes.after(6)?.first_chunk()?);
        path.macs = Some((source, destination));
        self.ether_type(path, bytes.be16(12)?, bytes.after(14)?)
    }

    /// What an `EtherType` announces.
    pub(super) fn ether_type(&mut self, path: Path, kind: u16, bytes: &[u8]) -> Option<()> {
        let path = path.step()?;
        match kind {
            ether::IPV4 | ether::IPV6 => self.any_ip(path, bytes),
            ether::VLAN | ether::PROVIDER_VLAN => self.vlan(path, bytes),
            kind if ether::OLD_QINQ.contains(&kind) => self.vlan(path, bytes),
            kind if ether::MPLS.contains(&kind) => self.mpls(path, bytes),
            ether::PPPOE_SESSION => self.pppoe(path, bytes),
            ether::PPP => self.ppp(path, bytes),
            ether::BRIDGED => self.ethernet(path, bytes),
            // I-TAG: four bytes, then the customer's frame.
            ether::BACKBONE => self.ethernet(path, bytes.after(4)?),
            ether::VN_TAG => self.ether_type(path, bytes.be16(4)?, bytes.after(6)?),
            ether::CISCO_METADATA => {
                let length = usize::from(bytes.byte(1)?) * 4;
                self.ether_type(path, bytes.be16(length + 2)?, bytes.after(length + 4)?)
            }
            ether::SERVICE_HEADER => self.service_header(path, bytes),
            kind if kind < ether::FIRST => self.llc(path, bytes),
            ether::ARP | ether::PPPOE_DISCOVERY => Some(()),
            _ => {
                self.weird.add("unknown_ether_type");
                Some(())
            }
        }
    }

    /// A VLAN tag and what follows it. Events name two tags; a frame with more is counted.
    fn vlan(&mut self, mut path: Path, bytes: &[u8]) -> Option<()> {
        path.push_vlan(bytes.be16(0)?);
        if path.vlans().len() == 3 {
            self.weird.add("more_than_two_vlan_tags");
        }
        self.ether_type(path, bytes.be16(2)?, bytes.after(4)?)
    }

    /// IPv4 or IPv6, as the first four bits say.
    pub(super) fn any_ip(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        match bytes.byte(0)? >> 4 {
            4 => self.ipv4(path, bytes),
            6 => self.ipv6(path, bytes),
            _ => {
                self.weird.add("unknown_ip_version");
                Some(())
            }
        }
    }

    /// Logical link control: SNAP holds an `EtherType`; the rest is not IP.
    pub(super) fn llc(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        match bytes {
            [0xaa, 0xaa, 0x03, _, _, _, high, low, rest @ ..] => {
                self.ether_type(path, u16::from_be_bytes([*high, *low]), rest)
            }
            [0x06, 0x06, 0x03, rest @ ..] => self.any_ip(path, rest),
            _ => Some(()),
        }
    }

    /// Labels of four bytes down to the one marked as the last; then IP, or a frame behind a control word.
    pub(super) fn mpls(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let path = path.step()?;
        let mut rest = bytes;
        loop {
            let last = rest.byte(2)? & 1 == 1;
            rest = rest.after(4)?;
            if last {
                break;
            }
        }
        match rest.byte(0)? >> 4 {
            4 | 6 => self.any_ip(path, rest),
            0 => self.ethernet(path, rest.after(4)?),
            _ => self.ethernet(path, rest),
        }
    }

    /// A session packet: six bytes, then PPP.
    fn pppoe(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let path = path.step()?;
        if bytes.byte(1)? != 0 {
            return Some(());
        }
        let rest = bytes.after(6)?;
        let length = usize::from(bytes.be16(4)?).min(rest.len());
        self.ppp(path, rest.get(..length)?)
    }

    /// PPP with or without the HDLC address, with a protocol of one or two bytes.
    pub(super) fn ppp(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let path = path.step()?;
        let bytes = match bytes {
            [0xff, 0x03, rest @ ..] => rest,
            _ => bytes,
        };
        let first = bytes.byte(0)?;
        let (protocol, rest) = if first & 1 == 1 {
            (u16::from(first), bytes.after(1)?)
        } else {
            (bytes.be16(0)?, bytes.after(2)?)
        };
        match protocol {
            0x0021 | 0x0057 => self.any_ip(path, rest),
            0x0281 | 0x0283 => self.mpls(path, rest),
            _ => Some(()),
        }
    }

    /// Link type PPP with HDLC framing, which is also used for Cisco's own framing.
    fn ppp_or_cisco(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        match bytes {
            [0x0f | 0x8f, 0x00, ..] => self.cisco_hdlc(path, bytes),
            _ => self.ppp(path, bytes),
        }
    }

    fn cisco_hdlc(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        // 0x8035 is the keep-alive of that framing (SLARP).
        match bytes.be16(2)? {
            0x8035 => Some(()),
            kind => self.ether_type(path, kind, bytes.after(4)?),
        }
    }

    /// Linux "cooked" captures: the protocol at `kind_at`, the packet after `length` bytes.
    fn cooked(&mut self, path: Path, bytes: &[u8], kind_at: usize, length: usize) -> Option<()> {
        self.ether_type(path, bytes.be16(kind_at)?, bytes.after(length)?)
    }

    /// Netfilter log: attributes in the byte order of the machine; number 9 is the packet.
    fn nflog(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let mut rest = bytes.after(4)?;
        loop {
            let (length, kind) = match rest {
                [a, b, c, d, ..] => (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]) & 0x7fff),
                _ => return None,
            };
            let length = usize::from(length);
            if length < 4 {
                return None;
            }
            if kind == 9 {
                return self.any_ip(path, rest.get(4..length.min(rest.len()))?);
            }
            rest = rest.after(length.next_multiple_of(4))?;
        }
    }

    /// Network service header (RFC 8300).
    fn service_header(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let length = usize::from(bytes.be16(0)? & 0x3f) * 4;
        let next = bytes.byte(3)?;
        let rest = bytes.after(length.max(8))?;
        match next {
            1 | 2 => self.any_ip(path, rest),
            3 => self.ethernet(path, rest),
            5 => self.mpls(path, rest),
            _ => Some(()),
        }
    }

    /// Opens a tunnel, unless it is one too many.
    pub(super) fn enter(&mut self, path: Path, tunnel: Tunnel) -> Option<Path> {
        let inside = path.inside(tunnel);
        if inside.is_none() {
            self.weird.add("exceeded_tunnel_max_depth");
        }
        inside
    }
}
