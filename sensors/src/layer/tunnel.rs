//! Tunnels: what an IP packet carries that is itself a packet.
//!
//! Sources: RFC 2003, 2784, 2890, 2637, 8086, 7348, 8926, 4380, 4213; 3GPP TS 29.281; draft-foschiano-erspan.
//! Tunnels over UDP are recognised by port and by a header that makes sense; what does not is left to the protocols.

use std::net::IpAddr;

use super::{Bytes, Datagram, Path, Tunnel, Walk};

impl Walk<'_> {
    /// Looks inside `datagram`.
    pub(super) fn cargo(&mut self, datagram: &Datagram<'_>) {
        let mut path = datagram.path;
        path.carrier = Some((datagram.source, datagram.destination));
        // A header that makes no sense means that it is no tunnel.
        let _is_tunnel: Option<()> = match datagram.protocol {
            4 | 41 => self.enter(path, Tunnel::IpInIp).and_then(|path| self.any_ip(path, datagram.payload)),
            47 => self.gre(path, datagram.payload),
            137 => self.enter(path, Tunnel::Mpls).and_then(|path| self.mpls(path, datagram.payload)),
            17 => self.over_udp(path, datagram),
            _ => None,
        };
    }

    fn over_udp(&mut self, path: Path, datagram: &Datagram<'_>) -> Option<()> {
        let (source, destination) = (datagram.payload.be16(0)?, datagram.payload.be16(2)?);
        let bytes = datagram.payload.after(8)?;
        match destination {
            4_789 | 8_472 => return self.vxlan(path, bytes),
            4_754 => return self.gre(path, bytes),
            6_081 => return self.geneve(path, bytes),
            _ => {}
        }
        if [source, destination].contains(&2_152) {
            self.gtp(path, bytes)
        } else if [source, destination].contains(&3_544) {
            self.teredo(path, bytes)
        } else if [source, destination].contains(&5_072) {
            self.ayiya(path, bytes)
        } else {
            None
        }
    }

    /// GRE versions 0 and 1 (PPTP).
    fn gre(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let flags = bytes.be16(0)?;
        let kind = bytes.be16(2)?;
        let version = flags & 7;
        let (checksum, key, sequence) = (flags & 0x8000 != 0, flags & 0x2000 != 0, flags & 0x1000 != 0);
        let routing = flags & 0x4000 != 0;
        if version > 1 || routing {
            self.weird.add("unknown_gre");
            return None;
        }
        let acknowledged = version == 1 && flags & 0x0080 != 0;
        let length = 4 + 4 * [checksum, key, sequence, acknowledged].into_iter().filter(|set| *set).count();
        let rest = bytes.after(length)?;
        let path = self.enter(path, Tunnel::Gre)?;
        match kind {
            // Type I has no header of its own and GRE no sequence number; type II has eight bytes.
            0x88be => {
                let path = self.enter(path, Tunnel::Erspan)?;
                self.ethernet(path, if sequence { rest.after(8)? } else { rest })
            }
            0x22eb => {
                let path = self.enter(path, Tunnel::Erspan)?;
                let more = if rest.byte(11)? & 1 == 1 { 8 } else { 0 };
                self.ethernet(path, rest.after(12 + more)?)
            }
            // Access points of one maker send whole 802.11 frames.
            0x8200..=0x82ff | 0x9000 => self.wireless(path, rest, true),
            0 => None,
            kind => self.ether_type(path, kind, rest),
        }
    }

    fn vxlan(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let identifier_is_valid = bytes.byte(0)? & 0x08 != 0;
        if !identifier_is_valid {
            return None;
        }
        let path = self.enter(path, Tunnel::Vxlan)?;
        self.ethernet(path, bytes.after(8)?)
    }

    fn geneve(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let first = bytes.byte(0)?;
        if first >> 6 != 0 {
            return None;
        }
        let options = usize::from(first & 0x3f) * 4;
        let path = self.enter(path, Tunnel::Geneve)?;
        self.ether_type(path, bytes.be16(2)?, bytes.after(8 + options)?)
    }

    /// Version 1, message 255 (a user's packet), with extension headers.
    fn gtp(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let flags = bytes.byte(0)?;
        let version_1 = flags >> 5 == 1 && flags & 0x10 != 0;
        if !version_1 || bytes.byte(1)? != 255 {
            return None;
        }
        let mut at = 8;
        if flags & 0x07 != 0 {
            let mut next = bytes.byte(11)?;
            at = 12;
            if flags & 0x04 == 0 {
                next = 0;
            }
            while next != 0 {
                let length = usize::from(bytes.byte(at)?) * 4;
                if length == 0 {
                    return None;
                }
                next = bytes.byte(at + length - 1)?;
                at += length;
            }
        }
        let rest = bytes.after(at)?;
        matches!(rest.byte(0)? >> 4, 4 | 6).then_some(())?;
        let path = self.enter(path, Tunnel::Gtp)?;
        self.any_ip(path, rest)
    }

    /// IPv6 behind an optional authentication and origin indication.
    fn teredo(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let mut rest = bytes;
        if rest.be16(0)? == 1 {
            let length = 13 + usize::from(rest.byte(2)?) + usize::from(rest.byte(3)?);
            rest = rest.after(length)?;
        }
        if rest.be16(0)? == 0 {
            rest = rest.after(8)?;
        }
        let length = usize::from(rest.be16(4)?) + 40;
        (rest.byte(0)? >> 4 == 6 && length <= rest.len()).then_some(())?;
        let path = self.enter(path, Tunnel::Teredo)?;
        self.any_ip(path, rest)
    }

    /// A header that says the lengths of identity and signature in four-byte words.
    fn ayiya(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let identity = 1_usize << (bytes.byte(0)? >> 4);
        let signature = usize::from(bytes.byte(1)? >> 4) * 4;
        let forward = bytes.byte(2)? & 0x0f == 1;
        let rest = bytes.after(8 + identity + signature)?;
        let next = bytes.byte(3)?;
        (forward && matches!(next, 4 | 41)).then_some(())?;
        let path = self.enter(path, Tunnel::Ayiya)?;
        self.any_ip(path, rest)
    }
}

/// True for addresses that reach more than one machine; such a packet is never turned round.
pub(crate) fn reaches_many(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_broadcast() || address.is_multicast(),
        IpAddr::V6(address) => address.is_multicast(),
    }
}
