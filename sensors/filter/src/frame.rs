//! A frame as a capture hands it out: what filters look at.

use dongson_event::Timestamp;

/// Which header a frame starts with: the numbers of the pcap format's link-type registry (`LINKTYPE_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkType(pub u32);

impl LinkType {
    /// Ethernet II or 802.3.
    pub const ETHERNET: Self = Self(1);
    /// IPv4 or IPv6 without a link header.
    pub const RAW: Self = Self(101);
}

/// One frame as it was captured.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// When the capture saw it.
    pub at: Timestamp,
    /// What the first byte belongs to.
    pub link: LinkType,
    /// The captured bytes; fewer than `wire_length` where the capture cut them.
    pub bytes: &'a [u8],
    /// Length on the wire in bytes.
    pub wire_length: u32,
    /// The outer VLAN tag (12 bits), where the kernel took it out of the frame.
    pub vlan: Option<u16>,
}
