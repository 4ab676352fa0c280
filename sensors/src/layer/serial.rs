//! Serial lines: PPP, PPP over Ethernet, Cisco's HDLC and Frame Relay.
//!
//! Sources: RFC 1661, 1662, 2516, 3518 (bridging), 3032 (MPLS over PPP), 2427 (Frame Relay).

use super::{Bytes, Path, Walk};

impl Walk<'_> {
    /// A session packet: six bytes, then PPP.
    pub(super) fn pppoe(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
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
            0x0031 => self.bridged(path, rest),
            0x0281 | 0x0283 => self.mpls(path, rest),
            0x002d | 0x002f | 0x003d | 0x0053 | 0x00fd => {
                self.weird.add("ppp_compressed_or_in_pieces");
                Some(())
            }
            _ => Some(()),
        }
    }

    /// Bridging over PPP: flags, a kind of frame (1 is Ethernet), perhaps a LAN's number, the frame.
    fn bridged(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let numbered = bytes.byte(0)? & 0x40 != 0;
        match bytes.byte(1)? {
            1 => self.ethernet(path, bytes.after(if numbered { 6 } else { 2 })?),
            _ => Some(()),
        }
    }

    /// Link type PPP with HDLC framing, which is also used for Cisco's own framing.
    pub(super) fn ppp_or_cisco(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        match bytes {
            [0x0f | 0x8f, 0x00, ..] => self.cisco_hdlc(path, bytes),
            // The direction stands in the place of the address.
            [0x03, rest @ ..] => self.ppp(path, rest),
            _ => self.ppp(path, bytes),
        }
    }

    pub(super) fn cisco_hdlc(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        // 0x8035 is the keep-alive of that framing (SLARP).
        match bytes.be16(2)? {
            0x8035 => Some(()),
            kind => self.ether_type(path, kind, bytes.after(4)?),
        }
    }

    /// Two or more bytes of address, then a network protocol's number, or Cisco's `EtherType`.
    pub(super) fn frame_relay(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let address = bytes.iter().take(4).position(|byte| byte & 1 == 1)? + 1;
        match bytes.after(address)? {
            [0x03, 0xcc | 0x8e, rest @ ..] => self.any_ip(path, rest),
            [0x03, 0x00, 0x80, rest @ ..] | [0x03, 0x80, rest @ ..] => match rest {
                [0x00, 0x80, 0xc2, 0x00, 0x01 | 0x07, frame @ ..] => self.ethernet(path, frame),
                [_, _, _, high, low, rest @ ..] => {
                    self.ether_type(path, u16::from_be_bytes([*high, *low]), rest)
                }
                _ => None,
            },
            [0x03, ..] => Some(()),
            rest => self.ether_type(path, rest.be16(0)?, rest.after(2)?),
        }
    }
}
