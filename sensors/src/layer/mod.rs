//! From a frame to the IP packets inside it: link headers, VLAN tags, tunnels and fragments are taken off.
//!
//! In: a [`Frame`] of any link type. Out: one [`Datagram`] for each IP packet found, outermost first; a tunnel gives its
//! carrier and what it carries. What always holds: at most [`MAX_DEPTH`] tunnels and [`MAX_STEPS`] headers are followed,
//! fragments wait in bounded memory, cut frames give what they hold, and what cannot be read is counted by name in
//! [`Weird`].

mod arp;
mod bytes;
mod ether;
mod fragment;
mod ip;
mod link;
mod path;
mod plain;
mod serial;
mod tunnel;
mod weird;
mod wireless;

use std::net::IpAddr;

use crate::capture::Frame;
pub(crate) use arp::Arp;
pub(crate) use bytes::Bytes;
use fragment::Fragments;
pub use fragment::Limits as FragmentLimits;
pub(crate) use path::{Around, VlanKey};
pub use path::{Carrier, Mac, Path, Vlans};
pub use tunnel::Tunnel;
pub(crate) use tunnel::reaches_many;
pub use weird::Weird;

/// Most tunnels inside one another that are opened.
pub const MAX_DEPTH: usize = 8;
/// Most headers of one frame that are followed.
pub const MAX_STEPS: usize = 48;
/// Most VLAN tags kept of one frame; further ones are passed over.
pub const MAX_VLANS: usize = 4;

/// One IP packet, whole or reassembled, and where it was found.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// Sender.
    pub source: IpAddr,
    /// Receiver.
    pub destination: IpAddr,
    /// The transport's number in the IANA registry, after extension headers.
    pub protocol: u8,
    /// Captured bytes from the transport header on; without link padding.
    pub payload: &'a [u8],
    /// How long `payload` was on the wire, in bytes.
    pub payload_length: usize,
    /// Length of the IP packet with its header, in bytes; of the whole when it was reassembled.
    pub ip_length: usize,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// True when the IP header's own checksum is right or absent (IPv6).
    pub header_intact: bool,
    /// True when it was put together from fragments.
    pub reassembled: bool,
    /// What was around it.
    pub path: Path,
}

/// Takes frames apart; keeps fragments and counts between them.
pub struct Decoder {
    vlans: Vlans,
    fragments: Fragments,
    weird: Weird,
    pieces: bool,
    /// False where every frame is to go the long way: in tests, which compare both.
    plain: bool,
    /// Messages of ARP in the last frame.
    arp: Vec<Arp>,
}

/// One frame being taken apart: the decoder's state and where packets go.
struct Walk<'d> {
    fragments: &'d mut Fragments,
    weird: &'d mut Weird,
    sink: &'d mut dyn FnMut(&Datagram<'_>),
    /// Fragments are handed out as they are.
    pieces: bool,
    arp: &'d mut Vec<Arp>,
}

impl Decoder {
    /// A decoder that keeps fragments within `limits`.
    pub fn new(limits: FragmentLimits, vlans: Vlans) -> Self {
        Self {
            vlans,
            fragments: Fragments::new(limits),
            weird: Weird::default(),
            pieces: false,
            plain: true,
            arp: Vec::new(),
        }
    }

    /// A decoder that keeps nothing between frames: each fragment is handed out without its payload, and the first one
    /// of a packet once more with what it holds.
    pub(crate) fn of_pieces() -> Self {
        Self { pieces: true, ..Self::new(FragmentLimits::default(), Vlans::Separate) }
    }

    /// Gives every IP packet of `frame` to `sink`.
    pub fn frame(&mut self, frame: &Frame<'_>, sink: &mut dyn FnMut(&Datagram<'_>)) {
        self.fragments.expire(frame.at, &mut self.weird);
        self.arp.clear();
        let (vlans, plain) = (self.vlans, self.plain);
        let mut walk = self.walk(sink);
        if !(plain && walk.plain(frame, vlans)) {
            walk.link(Path::of(frame, vlans), frame.link, frame.bytes);
        }
    }

    fn walk<'d>(&'d mut self, sink: &'d mut dyn FnMut(&Datagram<'_>)) -> Walk<'d> {
        Walk {
            fragments: &mut self.fragments,
            weird: &mut self.weird,
            sink,
            pieces: self.pieces,
            arp: &mut self.arp,
        }
    }

    /// Messages of ARP in the last frame.
    pub(crate) fn arp(&self) -> &[Arp] {
        &self.arp
    }

    /// What could not be read, by name.
    pub fn weird(&self) -> &Weird {
        &self.weird
    }
}

#[cfg(test)]
mod tests;
