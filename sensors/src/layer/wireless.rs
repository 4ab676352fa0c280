//! 802.11 data frames, bare or behind a radiotap, Prism or AVS header.
//!
//! Source: IEEE 802.11-2020, 9.2 and 9.3.2; radiotap.org; the pcap link-type registry.

use super::{Bytes, Mac, Path, Walk};

impl Walk<'_> {
    /// Radiotap: a version, a length in little-endian, and fields of which one says that the frame's header is padded.
    pub(super) fn radiotap(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let length = u16::from_le_bytes([bytes.byte(2)?, bytes.byte(3)?]);
        let frame = bytes.after(usize::from(length))?;
        let padded = radiotap_flags(bytes).is_some_and(|flags| flags & 0x20 != 0);
        if padded { self.padded(path, frame) } else { self.wireless(path, frame, false) }
    }

    /// Prism: a code and the length of the header in some machine's byte order. Some drivers write AVS in its place.
    pub(super) fn prism(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        if bytes.be32(0)? & 0xffff_f000 == 0x8021_1000 {
            return self.avs(path, bytes);
        }
        let lengths = [bytes.le32(4)?, bytes.be32(4)?];
        let rest = lengths.into_iter().find_map(|length| bytes.after(usize::try_from(length).ok()?))?;
        self.wireless(path, rest, false)
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
        let fixed = if to_distribution && from_distribution { 30 } else { 24 };
        let aggregated = quality && bytes.byte(fixed)? & 0x80 != 0;
        let address = |at: usize| bytes.after(at).and_then(|rest| rest.first_chunk().copied()).map(Mac);
        path.macs = match (to_distribution, from_distribution) {
            (false, false) => Some((address(10)?, address(4)?)),
            (true, false) => Some((address(10)?, address(16)?)),
            (false, true) => Some((address(16)?, address(4)?)),
            (true, true) => Some((address(24)?, address(16)?)),
        };
        let body = bytes.after(header_length(bytes, decrypted)?)?;
        if aggregated { self.aggregate(path, body) } else { self.llc(path, body) }
    }

    /// A frame whose header was padded to four bytes by the driver: the padding is taken out.
    fn padded(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let length = header_length(bytes, false)?;
        let (header, rest) = bytes.split_at_checked(length)?;
        let rest = rest.after(length.next_multiple_of(4) - length)?;
        self.wireless(path, &[header, rest].concat(), false)
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

/// Length of the header of a data frame: a fourth address, quality of service and its control field make it longer. A
/// controller that takes the encryption off takes that field out too, and leaves the bit that announces it.
fn header_length(bytes: &[u8], decrypted: bool) -> Option<usize> {
    let (control, flags) = (bytes.byte(0)?, bytes.byte(1)?);
    let fixed = if flags & 3 == 3 { 30 } else { 24 };
    Some(match (control & 0x80 != 0, flags & 0x80 != 0 && !decrypted) {
        (false, _) => fixed,
        (true, false) => fixed + 2,
        (true, true) => fixed + 6,
    })
}

/// The field "flags" of a radiotap header: behind the words that say which fields there are, and a time aligned to eight
/// bytes where there is one.
fn radiotap_flags(bytes: &[u8]) -> Option<u8> {
    let present = bytes.le32(4)?;
    let mut at = 4;
    while bytes.le32(at)? & 0x8000_0000 != 0 {
        at += 4;
    }
    at += 4;
    if present & 1 != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    if present & 2 != 0 { bytes.byte(at) } else { None }
}
