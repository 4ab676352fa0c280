//! 802.11 data frames, bare or behind a radiotap or AVS header.
//!
//! Source: IEEE 802.11-2020, 9.2 and 9.3.2; radiotap.org.

use super::{Bytes, Mac, Path, Walk};

impl Walk<'_> {
    /// Radiotap: a version, a length in little-endian, fields that we need not read.
    pub(super) fn radiotap(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let length = u16::from_le_bytes([bytes.byte(2)?, bytes.byte(3)?]);
        self.wireless(path, bytes.after(usize::from(length))?, false)
    }

    /// AVS: a cookie and the length of the header.
    pub(super) fn avs(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let length = usize::try_from(bytes.be32(4)?).ok()?;
        self.wireless(path, bytes.after(length)?, false)
    }

    /// A data frame that is not encrypted; all others are passed over. `decrypted`: a controller has already taken the
    /// encryption off, whatever the frame still says.
    pub(super) fn wireless(&mut self, path: Path, bytes: &[u8], decrypted: bool) -> Option<()> {
        let mut path = path.step()?;
        let (control, flags) = (bytes.byte(0)?, bytes.byte(1)?);
        let data = control & 0x0c == 0x08;
        let empty = control & 0x40 != 0;
        let protected = flags & 0x40 != 0 && !decrypted;
        if !data || empty || protected {
            return Some(());
        }
        let (to_distribution, from_distribution) = (flags & 1 != 0, flags & 2 != 0);
        let quality = control & 0x80 != 0;
        let mut length = if to_distribution && from_distribution { 30 } else { 24 };
        let mut aggregated = false;
        if quality {
            aggregated = bytes.byte(length)? & 0x80 != 0;
            length += if flags & 0x80 == 0 { 2 } else { 6 };
        }
        let address = |at: usize| bytes.after(at).and_then(|rest| rest.first_chunk().copied()).map(Mac);
        path.macs = match (to_distribution, from_distribution) {
            (false, false) => Some((address(10)?, address(4)?)),
            (true, false) => Some((address(10)?, address(16)?)),
            (false, true) => Some((address(16)?, address(4)?)),
            (true, true) => Some((address(24)?, address(16)?)),
        };
        let body = bytes.after(length)?;
        if aggregated { self.aggregate(path, body) } else { self.llc(path, body) }
    }

    /// Several packets in one frame (A-MSDU), each padded to four bytes.
    fn aggregate(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let mut rest = bytes;
        let mut path = path;
        while rest.len() >= 14 {
            path = path.step()?;
            let length = usize::from(rest.be16(12)?);
            let destination = Mac(*rest.first_chunk()?);
            let source = Mac(*rest.after(6)?.first_chunk()?);
            path.macs = Some((source, destination));
            let body = rest.after(14)?;
            self.llc(path, body.get(..length.min(body.len()))?)?;
            match rest.after((14 + length).next_multiple_of(4)) {
                Some(next) => rest = next,
                None => break,
            }
        }
        Some(())
    }
}
