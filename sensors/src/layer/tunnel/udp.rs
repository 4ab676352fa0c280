//! Tunnels over UDP: recognised by port and by a header that makes sense, Teredo also by its addresses alone.
//!
//! Sources: RFC 7348 and draft-ietf-nvo3-vxlan-gpe-13 (VXLAN), 8926 (GENEVE), 4380 (Teredo), 8086 (GRE in UDP), 7510 (MPLS in
//! UDP), 2661 (L2TP), 5415 (CAPWAP); 3GPP TS 29.281 (GTP-U); draft-massar-v6ops-ayiya-02.

use super::super::{Bytes, Datagram, Path, Walk};
use super::Tunnel;

/// Most extension headers of one GTP packet.
const MAX_EXTENSIONS: usize = 8;

impl Walk<'_> {
    pub(super) fn over_udp(&mut self, mut path: Path, datagram: &Datagram<'_>) -> Option<()> {
        let (source, destination) = (datagram.payload.be16(0)?, datagram.payload.be16(2)?);
        let bytes = datagram.payload.after(8)?;
        if let Some(carrier) = &mut path.carrier {
            carrier.ports = Some((source, destination));
        }
        let either = |port: u16| source == port || destination == port;
        match destination {
            4_789 | 8_472 => self.vxlan(path, bytes),
            4_790 => self.vxlan_of_any(path, bytes),
            4_754 => self.gre(path, bytes),
            6_081 => self.geneve(path, bytes),
            6_635 => self.mpls_in_udp(path, bytes),
            _ if either(2_152) => self.gtp(path, bytes),
            _ if either(3_544) => self.teredo(path, bytes),
            _ if either(5_072) => self.ayiya(path, bytes),
            _ if either(1_701) => self.l2tp(path, bytes),
            _ if either(5_247) => self.capwap(path, bytes),
            _ => self.teredo_anywhere(path, bytes),
        }
    }

    /// A frame behind a flag that the network's number holds.
    fn vxlan(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        (bytes.byte(0)? & 0x08 != 0).then_some(())?;
        let path = self.enter_network(path, Tunnel::Vxlan, bytes.be32(4)? >> 8)?;
        self.ethernet(path, bytes.after(8)?)
    }

    /// VXLAN that says what it carries.
    fn vxlan_of_any(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        (bytes.byte(0)? & 0x0c == 0x0c).then_some(())?;
        let path = self.enter_network(path, Tunnel::Vxlan, bytes.be32(4)? >> 8)?;
        let rest = bytes.after(8)?;
        match bytes.byte(3)? {
            1 | 2 => self.any_ip(path, rest),
            3 => self.ethernet(path, rest),
            4 => self.service_header(path, rest),
            5 => self.mpls(path, rest),
            _ => Some(()),
        }
    }

    fn geneve(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let first = bytes.byte(0)?;
        (first >> 6 == 0).then_some(())?;
        let options = usize::from(first & 0x3f) * 4;
        let path = self.enter_network(path, Tunnel::Geneve, bytes.be32(4)? >> 8)?;
        self.ether_type(path, bytes.be16(2)?, bytes.after(8 + options)?)
    }

    fn mpls_in_udp(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let path = self.enter(path, Tunnel::Mpls, None)?;
        self.mpls(path, bytes)
    }

    /// Version 1, message 255 (a user's packet), with extension headers.
    fn gtp(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let flags = bytes.byte(0)?;
        let version_1 = flags >> 5 == 1 && flags & 0x10 != 0;
        if !version_1 || bytes.byte(1)? != 255 {
            return None;
        }
        let identifier = bytes.be32(4)?;
        let mut at = 8;
        if flags & 0x07 != 0 {
            let extended = flags & 0x04 != 0;
            at = if extended { after_extensions(bytes)? } else { 12 };
        }
        let rest = bytes.after(at)?;
        matches!(rest.byte(0)? >> 4, 4 | 6).then_some(())?;
        let path = self.enter(path, Tunnel::Gtp, Some(identifier))?;
        self.any_ip(path, rest)
    }

    /// IPv6 behind an optional authentication and origin indication.
    fn teredo(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let rest = after_indications(bytes)?;
        let length = usize::from(rest.be16(4)?) + 40;
        (rest.byte(0)? >> 4 == 6 && length <= rest.len()).then_some(())?;
        let path = self.enter(path, Tunnel::Teredo, None)?;
        self.any_ip(path, rest)
    }

    /// Clients also speak to relays and to one another, on any ports: their addresses start with `2001:0::/32`.
    fn teredo_anywhere(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        (bytes.byte(0)? >> 4 == 6).then_some(())?;
        let exact = usize::from(bytes.be16(4)?) + 40 == bytes.len();
        let ours = [8, 24].into_iter().any(|at| bytes.be32(at) == Some(0x2001_0000));
        if exact && ours { self.teredo(path, bytes) } else { None }
    }

    /// A header that says the lengths of identity and signature in four-byte words.
    fn ayiya(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let identity = 1_usize << (bytes.byte(0)? >> 4);
        let signature = usize::from(bytes.byte(1)? >> 4) * 4;
        let forward = bytes.byte(2)? & 0x0f == 1;
        let rest = bytes.after(8 + identity + signature)?;
        let next = bytes.byte(3)?;
        (forward && matches!(next, 4 | 41)).then_some(())?;
        let path = self.enter(path, Tunnel::Ayiya, None)?;
        self.any_ip(path, rest)
    }

    /// Version 2, a data message: PPP behind tunnel, session and what the flags announce.
    fn l2tp(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let flags = bytes.be16(0)?;
        let control = flags & 0x8000 != 0;
        if control || flags & 0x000f != 2 {
            return None;
        }
        let mut at = if flags & 0x4000 != 0 { 4 } else { 2 };
        let identifier = bytes.be32(at)?;
        at += 4;
        if flags & 0x0800 != 0 {
            at += 4;
        }
        if flags & 0x0200 != 0 {
            at += 2 + usize::from(bytes.be16(at)?);
        }
        let path = self.enter(path, Tunnel::L2tp, Some(identifier))?;
        self.ppp(path, bytes.after(at)?)
    }

    /// A data message that is neither encrypted nor in pieces: a wireless frame, or an Ethernet frame.
    fn capwap(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let head = bytes.be32(0)?;
        let (preamble, length) = (head >> 24, (head >> 19) & 0x1f);
        let (binding, native) = ((head >> 9) & 0x1f, head & 0x0100 != 0);
        let (piece, alive) = (head & 0x0080 != 0, head & 0x0008 != 0);
        if preamble != 0 || length < 2 || alive {
            return None;
        }
        if piece {
            self.weird.add("capwap_fragment");
            return None;
        }
        let rest = bytes.after(usize::try_from(length).ok()? * 4)?;
        let path = self.enter(path, Tunnel::Capwap, None)?;
        match (native, binding) {
            (true, 1) => self.wireless(path, rest, false),
            (true, _) => Some(()),
            (false, _) => self.ethernet(path, rest),
        }
    }

    /// Enters a tunnel whose identifier names a network of its own: the same addresses elsewhere are other machines.
    fn enter_network(&mut self, path: Path, tunnel: Tunnel, network: u32) -> Option<Path> {
        let mut path = self.enter(path, tunnel, Some(network))?;
        path.push_network(network);
        Some(path)
    }
}

/// False when [`Walk::over_udp`] would find nothing in `datagram`, from its ports and the first byte; most have no more to show.
pub(super) fn may_carry(datagram: &Datagram<'_>) -> bool {
    let known = |port: u16| {
        matches!(port, 1_701 | 2_152 | 3_544 | 4_754 | 4_789 | 4_790 | 5_072 | 5_247 | 6_081 | 6_635 | 8_472)
    };
    let [first, second, third, fourth, _, _, _, _, byte, ..] = *datagram.payload else { return false };
    byte >> 4 == 6 || known(u16::from_be_bytes([first, second])) || known(u16::from_be_bytes([third, fourth]))
}

/// Where the packet starts behind GTP's extension headers, each of which says its length and what follows it.
fn after_extensions(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut next) = (12, bytes.byte(11)?);
    for _ in 0..MAX_EXTENSIONS {
        if next == 0 {
            return Some(at);
        }
        let length = usize::from(bytes.byte(at)?) * 4;
        next = bytes.byte((at + length).checked_sub(1)?)?;
        at += length;
        if length == 0 {
            return None;
        }
    }
    None
}

/// What follows Teredo's authentication and origin indications.
fn after_indications(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    if rest.be16(0)? == 1 {
        let length = 13 + usize::from(rest.byte(2)?) + usize::from(rest.byte(3)?);
        rest = rest.after(length)?;
    }
    if rest.be16(0)? == 0 {
        rest = rest.after(8)?;
    }
    Some(rest)
}
