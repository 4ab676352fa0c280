//! Generic routing encapsulation, and the mirror ports that run over it.
//!
//! Sources: RFC 1701 (source routes), 2784, 2890 (keys, sequence numbers), 2637 (version 1: PPTP), 7637 (NVGRE);
//! draft-foschiano-erspan-03; draft-wilson-wrec-wccp-v2-01, 4.12 (redirected packets).

use super::super::{Bytes, Path, Walk};
use super::Tunnel;

/// Flags of the first 16 bits.
mod flag {
    pub(super) const CHECKSUM: u16 = 0x8000;
    pub(super) const ROUTING: u16 = 0x4000;
    pub(super) const KEY: u16 = 0x2000;
    pub(super) const SEQUENCE: u16 = 0x1000;
    pub(super) const ACKNOWLEDGEMENT: u16 = 0x0080;
}

/// Most entries of a source route.
const MAX_ROUTES: usize = 16;

impl Walk<'_> {
    /// GRE versions 0 and 1 (PPTP).
    pub(super) fn gre(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let flags = bytes.be16(0)?;
        let kind = bytes.be16(2)?;
        let version = flags & 7;
        if version > 1 {
            self.weird.add("unknown_gre");
            return None;
        }
        let has = |flag: u16| flags & flag != 0;
        let mut at = 4;
        // Checksum and offset stand together, whichever is there.
        if has(flag::CHECKSUM | flag::ROUTING) {
            at += 4;
        }
        let key = if has(flag::KEY) { Some(bytes.be32(at)?) } else { None };
        let optional = [flag::KEY, flag::SEQUENCE].into_iter().filter(|flag| has(*flag)).count();
        at += 4 * (optional + usize::from(version == 1 && has(flag::ACKNOWLEDGEMENT)));
        if has(flag::ROUTING) {
            at = after_routes(bytes, at)?;
        }
        // In version 1 the upper half of the key is a length, the lower the call.
        let identifier = if version == 1 { key.map(|key| key & 0xffff) } else { key };
        let rest = bytes.after(at)?;
        match kind {
            0x88be => self.erspan_1_or_2(path, has(flag::SEQUENCE), identifier, rest),
            0x22eb => self.erspan_3(path, rest),
            // Probes, and acknowledgements without a packet.
            0 => None,
            _ if rest.is_empty() => None,
            // Access points of one maker send whole 802.11 frames.
            0x8200..=0x82ff | 0x9000 => {
                let path = self.enter(path, Tunnel::Gre, identifier)?;
                self.wireless(path, rest, true)
            }
            // Redirected web traffic: version 2 puts four bytes in front of the packet.
            0x883e => {
                let path = self.enter(path, Tunnel::Gre, identifier)?;
                let bare = rest.byte(0)? >> 4 == 4;
                self.any_ip(path, if bare { rest } else { rest.after(4)? })
            }
            kind => {
                let path = self.enter(path, Tunnel::Gre, identifier)?;
                self.ether_type(path, kind, rest)
            }
        }
    }

    /// Type I has no header of its own and GRE no sequence number; type II has eight bytes.
    fn erspan_1_or_2(&mut self, path: Path, second: bool, key: Option<u32>, bytes: &[u8]) -> Option<()> {
        let session = if second { Some(session(bytes)?) } else { key };
        let rest = if second { bytes.after(8)? } else { bytes };
        let path = self.enter(path, Tunnel::Gre, None)?;
        let path = self.enter(path, Tunnel::Erspan, session)?;
        self.ethernet(path, rest)
    }

    /// Type III: twelve bytes, eight more when the last bit of the first twelve says so; a frame or an IP packet.
    fn erspan_3(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let (session, last) = (session(bytes)?, bytes.be16(10)?);
        let more = if last & 1 == 1 { 8 } else { 0 };
        let rest = bytes.after(12 + more)?;
        let path = self.enter(path, Tunnel::Gre, None)?;
        let path = self.enter(path, Tunnel::Erspan, Some(session))?;
        match (last >> 10) & 0x1f {
            2 => self.any_ip(path, rest),
            _ => self.ethernet(path, rest),
        }
    }
}

/// The session of a mirror: the lower ten bits of the second 16.
fn session(bytes: &[u8]) -> Option<u32> {
    Some(u32::from(bytes.be16(2)? & 0x03ff))
}

/// Passes source route entries (family, offset, length, data), which an empty one ends.
fn after_routes(bytes: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..MAX_ROUTES {
        let length = usize::from(bytes.byte(at + 3)?);
        at += 4 + length;
        if length == 0 {
            return Some(at);
        }
    }
    None
}
