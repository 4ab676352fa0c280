//! ARP between IPv4 hosts on Ethernet (RFC 826, RFC 903): who says which address belongs to which card.

use std::net::Ipv4Addr;

use super::{Bytes, Mac, Path, Walk};

/// Messages of one frame that are kept.
const MAX_MESSAGES: usize = 4;

/// A message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arp {
    pub(crate) path: Path,
    /// 1 asks, 2 answers.
    pub(crate) operation: u16,
    pub(crate) sender: (Mac, Ipv4Addr),
    pub(crate) target: (Mac, Ipv4Addr),
}

impl Walk<'_> {
    /// A message of ARP; those about other hardware or protocols are passed over.
    pub(super) fn arp(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        let [0, 1, 0x08, 0x00, 6, 4, ..] = bytes else { return Some(()) };
        let card = |at: usize| Some(Mac(*bytes.after(at)?.first_chunk::<6>()?));
        let address = |at: usize| Some(Ipv4Addr::from(*bytes.after(at)?.first_chunk::<4>()?));
        let operation = bytes.be16(6)?;
        let (sender, target) = ((card(8)?, address(14)?), (card(18)?, address(24)?));
        if self.arp.len() < MAX_MESSAGES {
            self.arp.push(Arp { path, operation, sender, target });
        }
        Some(())
    }
}
