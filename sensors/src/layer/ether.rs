//! Ethernet and what its types announce: tags, labels and headers between the frame and the IP packet.
//!
//! Sources: IEEE 802.3, 802.1Q, 802.1ad, 802.1ah (PBB), 802.1BR (VN-Tag), 802.1AE (`MACsec`); IEC 62439-3 (HSR); RFC 1042 (SNAP),
//! 3032 (MPLS), 4385 and 4448 (pseudowires), 8300 (service headers).

use super::{Bytes, Mac, Path, Walk};

/// `EtherType`s.
mod kind {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const ARP: u16 = 0x0806;
    pub(super) const BRIDGED: u16 = 0x6558;
    pub(super) const VLAN: u16 = 0x8100;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const PPP: u16 = 0x880b;
    pub(super) const MPLS: [u16; 2] = [0x8847, 0x8848];
    pub(super) const PPPOE_DISCOVERY: u16 = 0x8863;
    pub(super) const PPPOE_SESSION: u16 = 0x8864;
    pub(super) const PROVIDER_VLAN: u16 = 0x88a8;
    pub(super) const MAC_SECURITY: u16 = 0x88e5;
    pub(super) const BACKBONE: u16 = 0x88e7;
    pub(super) const CISCO_METADATA: u16 = 0x8909;
    pub(super) const VN_TAG: u16 = 0x8926;
    pub(super) const RING: u16 = 0x892f;
    pub(super) const BRIDGE_PORT: u16 = 0x893f;
    pub(super) const SERVICE_HEADER: u16 = 0x894f;
    pub(super) const OLD_QINQ: [u16; 3] = [0x9100, 0x9200, 0x9300];
    /// Smaller values are the length field of 802.3.
    pub(super) const FIRST: u16 = 0x0600;
}

impl Walk<'_> {
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
            kind::IPV4 | kind::IPV6 => self.any_ip(path, bytes),
            kind::VLAN | kind::PROVIDER_VLAN => self.vlan(path, bytes),
            kind if kind::OLD_QINQ.contains(&kind) => self.vlan(path, bytes),
            kind if kind::MPLS.contains(&kind) => self.mpls(path, bytes),
            kind::PPPOE_SESSION => self.pppoe(path, bytes),
            kind::PPP => self.ppp(path, bytes),
            kind::BRIDGED => self.ethernet(path, bytes),
            // I-TAG: four bytes, then the customer's frame.
            kind::BACKBONE => self.ethernet(path, bytes.after(4)?),
            // VN-Tag and the ring's tag have four bytes in front of the next type, E-TAG has six.
            kind::VN_TAG | kind::RING => self.ether_type(path, bytes.be16(4)?, bytes.after(6)?),
            kind::BRIDGE_PORT => self.ether_type(path, bytes.be16(6)?, bytes.after(8)?),
            kind::MAC_SECURITY => self.mac_security(path, bytes),
            kind::CISCO_METADATA => {
                let length = usize::from(bytes.byte(1)?) * 4;
                self.ether_type(path, bytes.be16(length + 2)?, bytes.after(length + 4)?)
            }
            kind::SERVICE_HEADER => self.service_header(path, bytes),
            kind if kind < kind::FIRST => self.llc(path, bytes),
            kind::ARP => self.arp(path, bytes),
            kind::PPPOE_DISCOVERY => Some(()),
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
            // With a maker's number only bridged Ethernet is known: RFC 2684, 5.2, type 1 with and 7 without checksum.
            [0xaa, 0xaa, 0x03, 0x00, 0x80, 0xc2, 0x00, 0x01 | 0x07, rest @ ..] => {
                self.ethernet(path, rest.after(2)?)
            }
            [0xaa, 0xaa, 0x03, _, _, _, high, low, rest @ ..] => {
                self.ether_type(path, u16::from_be_bytes([*high, *low]), rest)
            }
            [0x06, 0x06, 0x03, rest @ ..] => self.any_ip(path, rest),
            _ => Some(()),
        }
    }

    /// Labels of four bytes down to the one marked as the last; then IP, or a frame with or without a control word.
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
            4 | 6 if is_likely_ip(rest) || !is_likely_frame(rest) => self.any_ip(path, rest),
            // A frame may begin with zeros as a control word does; the type that it would then have decides.
            0 if !is_likely_frame(rest) || rest.after(4).is_some_and(is_likely_frame) => {
                self.ethernet(path, rest.after(4)?)
            }
            // The associated channel (RFC 4385, 5): about the pseudowire, not of it.
            1 if !is_likely_frame(rest) => Some(()),
            _ => self.ethernet(path, rest),
        }
    }

    /// `MACsec` that protects but does not hide; what is encrypted is passed over.
    fn mac_security(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let control = bytes.byte(0)?;
        let hidden = control & 0x0c != 0;
        if hidden {
            return Some(());
        }
        let named = control & 0x20 != 0;
        let length = if named { 14 } else { 6 };
        self.ether_type(path, bytes.be16(length)?, bytes.after(length + 2)?)
    }

    /// Network service header (RFC 8300).
    pub(super) fn service_header(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let path = path.step()?;
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
}

/// True when the lengths in what would be an IP header can be right.
fn is_likely_ip(bytes: &[u8]) -> bool {
    match bytes.byte(0) {
        Some(0x45..=0x4f) => {
            bytes.be16(2).is_some_and(|length| length >= 20 && usize::from(length) <= bytes.len())
        }
        Some(0x60..=0x6f) => bytes.be16(4).is_some_and(|length| usize::from(length) + 40 <= bytes.len()),
        _ => false,
    }
}

/// True when the type in what would be an Ethernet header is a known one, or a length that can be right.
fn is_likely_frame(bytes: &[u8]) -> bool {
    let Some(kind) = bytes.be16(12) else { return false };
    let known = [kind::IPV4, kind::ARP, kind::VLAN, kind::IPV6, kind::PPPOE_SESSION, kind::PROVIDER_VLAN];
    let length = (3..kind::FIRST).contains(&kind) && usize::from(kind) + 14 <= bytes.len();
    known.contains(&kind) || kind::MPLS.contains(&kind) || length
}
