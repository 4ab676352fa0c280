//! Link headers: what the first byte of a frame belongs to, by the number of its link type.
//!
//! Sources: the pcap link-type registry (tcpdump.org/linktypes.html); RFC 1483 (ATM), 2625 (Fibre Channel); the kernel's
//! `nfnetlink_log`.

use super::{Bytes, Path, Walk};
use crate::capture::LinkType;

impl Walk<'_> {
    /// A frame of the given link type.
    pub(super) fn link(&mut self, path: Path, link: LinkType, bytes: &[u8]) {
        if self.typed(path, link.0, bytes).is_none() {
            self.weird.add("truncated_link_header");
        }
    }

    pub(super) fn typed(&mut self, path: Path, link: u32, bytes: &[u8]) -> Option<()> {
        match link {
            1 => self.ethernet(path, bytes),
            // BSD loopback: an address family in the byte order of some machine; the packet says it better itself.
            0 | 108 => self.any_ip(path, bytes.after(4)?),
            8 | 12 | 14 | 101 | 228 | 229 => self.any_ip(path, bytes),
            9 | 50 => self.ppp_or_cisco(path, bytes),
            166 | 204 => self.ppp_or_cisco(path, bytes.after(1)?),
            51 => self.pppoe(path, bytes),
            104 => self.cisco_hdlc(path, bytes),
            107 => self.frame_relay(path, bytes),
            // FDDI, ATM and Fibre Channel: their header, then LLC.
            10 => self.llc(path, bytes.after(13)?),
            11 | 100 => self.llc(path, bytes),
            122 => self.llc(path, bytes.after(16)?),
            105 => self.wireless(path, bytes, false),
            119 => self.prism(path, bytes),
            127 => self.radiotap(path, bytes),
            163 => self.avs(path, bytes),
            192 => self.per_packet_information(path, bytes),
            113 => self.cooked(path, bytes, 14, 16),
            276 => self.cooked(path, bytes, 0, 20),
            219 => self.mpls(path, bytes),
            239 => self.nflog(path, bytes),
            // OpenBSD: enc has 12 bytes in front, pflog says its own length.
            109 => self.any_ip(path, bytes.after(12)?),
            117 => {
                let length = usize::from(bytes.byte(0)?).next_multiple_of(4);
                self.any_ip(path, bytes.after(length)?)
            }
            149 | 258 => self.apple(path, bytes),
            _ => {
                self.weird.add("unknown_link_type");
                Some(())
            }
        }
    }

    /// Linux "cooked" captures: the protocol at `kind_at`, the packet after `length` bytes.
    fn cooked(&mut self, path: Path, bytes: &[u8], kind_at: usize, length: usize) -> Option<()> {
        self.ether_type(path, bytes.be16(kind_at)?, bytes.after(length)?)
    }

    /// Per-packet information: a length and the link type of what follows, both little-endian.
    fn per_packet_information(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let path = path.step()?;
        let (length, link) = (bytes.le32(0)? >> 16, bytes.le32(4)?);
        self.typed(path, link, bytes.after(usize::try_from(length).ok()?)?)
    }

    /// Captures on all interfaces of a Mac: a length and a link type, in the byte order of the machine (little-endian).
    fn apple(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let path = path.step()?;
        let (length, link) = (bytes.le32(0)?, bytes.le32(8)?);
        self.typed(path, link, bytes.after(usize::try_from(length).ok()?)?)
    }

    /// Netfilter log: attributes, of which number 9 is the packet, in the byte order of the machine that wrote them.
    fn nflog(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let attributes = bytes.after(4)?;
        let packet = [u16::from_le_bytes, u16::from_be_bytes]
            .into_iter()
            .find_map(|number| attribute(attributes, 9, number))?;
        self.any_ip(path, packet)
    }
}

/// The value of the attribute `wanted`.
fn attribute(bytes: &[u8], wanted: u16, number: fn([u8; 2]) -> u16) -> Option<&[u8]> {
    let mut rest = bytes;
    while let [a, b, c, d, ..] = rest {
        let (length, kind) = (usize::from(number([*a, *b])), number([*c, *d]) & 0x7fff);
        if length < 4 {
            return None;
        }
        if kind == wanted {
            return rest.get(4..length.min(rest.len()));
        }
        rest = rest.after(length.next_multiple_of(4))?;
    }
    None
}
