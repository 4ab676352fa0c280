//! What a packet was wrapped in: addresses of the link, VLANs, tunnels.
//!
//! A [`Path`] is copied from header to header while a frame is taken apart; it borrows nothing and is about a hundred bytes.

use std::net::IpAddr;

use compact_str::CompactString;
use dongson_event::Timestamp;

use super::{MAX_DEPTH, MAX_STEPS, MAX_VLANS, Tunnel};
use crate::capture::Frame;

/// What tells the same addresses in different networks apart; see [`Path::vlan_key`].
pub(crate) type VlanKey = [u16; MAX_VLANS];

/// Marks the halves of a virtual network's number in a [`VlanKey`]; VLAN identifiers have twelve bits.
const VIRTUAL: u16 = 0x8000;

/// Whether VLANs tell flows and fragments apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Vlans {
    /// The same addresses and ports in another VLAN, or in another virtual network (VNI), are another flow.
    #[default]
    Separate,
    /// Tags are told but separate nothing: for mirror ports that tag one direction only, or each one differently.
    Ignore,
}

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl std::fmt::Display for Mac {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.text())
    }
}

impl Mac {
    /// As ECS writes it: `00-00-5E-00-53-23`.
    pub(crate) fn text(self) -> CompactString {
        let mut text = *b"00-00-00-00-00-00";
        for (pair, byte) in text.chunks_mut(3).zip(self.0) {
            let digits =
                [byte >> 4, byte & 15].map(|digit| if digit < 10 { b'0' + digit } else { b'A' + digit - 10 });
            pair.iter_mut().zip(digits).for_each(|(to, from)| *to = from);
        }
        std::str::from_utf8(&text).unwrap_or_default().into()
    }
}

/// The outside of a tunnel: what its packets carry on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carrier {
    /// Who wrapped the packet.
    pub source: IpAddr,
    /// Who unwraps it.
    pub destination: IpAddr,
    /// Source and destination port, where the tunnel runs over a transport that has them.
    pub ports: Option<(u16, u16)>,
    /// What tells tunnels between the same ends apart: VNI, TEID, key, call or session.
    pub identifier: Option<u32>,
}

impl Carrier {
    /// The same for a packet that goes the other way.
    pub(crate) fn reversed(self) -> Self {
        let ports = self.ports.map(|(source, destination)| (destination, source));
        Self { source: self.destination, destination: self.source, ports, ..self }
    }
}

/// What a packet was wrapped in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Path {
    /// When the frame was captured.
    pub at: Timestamp,
    /// Length of the whole frame on the wire in bytes.
    pub wire_length: u32,
    /// Source and destination address of the innermost Ethernet or 802.11 header.
    pub macs: Option<(Mac, Mac)>,
    /// The outside of the innermost tunnel.
    pub carrier: Option<Carrier>,
    /// VLAN identifiers, outermost first; the first `vlan_count` hold.
    vlans: [u16; MAX_VLANS],
    /// What separates flows; the first `key_count` hold.
    key: VlanKey,
    /// Kinds of the tunnels, outermost first; the first `depth` hold.
    tunnels: [Option<Tunnel>; MAX_DEPTH],
    vlan_count: u8,
    key_count: u8,
    depth: u8,
    steps: u8,
    separate: Vlans,
}

impl Path {
    pub(super) fn of(frame: &Frame<'_>, separate: Vlans) -> Self {
        let mut path = Self { at: frame.at, wire_length: frame.wire_length, separate, ..Self::default() };
        if let Some(vlan) = frame.vlan {
            path.push_vlan(vlan);
        }
        path
    }

    /// The VLAN identifiers, outermost first.
    pub fn vlans(&self) -> &[u16] {
        self.vlans.get(..usize::from(self.vlan_count)).unwrap_or_default()
    }

    /// VLANs and virtual networks as part of a key, outermost first, then zeros; all zeros when they are to be ignored. A
    /// priority tag (identifier 0) is no VLAN (IEEE 802.1Q, 9.6) and left out; what does not fit is left out too.
    pub(crate) fn vlan_key(&self) -> VlanKey {
        self.key
    }

    /// The tunnels, outermost first.
    pub fn tunnels(&self) -> impl Iterator<Item = Tunnel> {
        self.tunnels.into_iter().flatten()
    }

    /// How many tunnels the packet was inside of.
    pub fn depth(&self) -> usize {
        usize::from(self.depth)
    }

    pub(super) fn push_vlan(&mut self, tag: u16) {
        let identifier = tag & 0x0fff;
        if let Some(slot) = self.vlans.get_mut(usize::from(self.vlan_count)) {
            *slot = identifier;
            self.vlan_count += 1;
            if identifier != 0 {
                self.push_key(identifier);
            }
        }
    }

    /// Notes the virtual network (24 bits) that the rest of the frame belongs to.
    pub(super) fn push_network(&mut self, network: u32) {
        for half in [network >> 12, network] {
            let [.., high, low] = half.to_be_bytes();
            self.push_key(VIRTUAL | (u16::from_be_bytes([high, low]) & 0x0fff));
        }
    }

    fn push_key(&mut self, part: u16) {
        if self.separate == Vlans::Ignore {
            return;
        }
        if let Some(slot) = self.key.get_mut(usize::from(self.key_count)) {
            *slot = part;
            self.key_count += 1;
        }
    }

    /// This path inside a tunnel; `None` when that is one too many.
    pub(super) fn inside(mut self, tunnel: Tunnel, identifier: Option<u32>) -> Option<Self> {
        *self.tunnels.get_mut(usize::from(self.depth))? = Some(tunnel);
        self.depth += 1;
        if let Some(carrier) = &mut self.carrier
            && identifier.is_some()
        {
            carrier.identifier = identifier;
        }
        Some(self)
    }

    /// So many headers further, which are known to be few enough.
    pub(super) fn pass(&mut self, count: u8) {
        self.steps += count;
    }

    /// One header further; `None` when it is one too many.
    pub(super) fn step(mut self) -> Option<Self> {
        self.steps += 1;
        (usize::from(self.steps) <= MAX_STEPS).then_some(self)
    }
}

/// A path as a flow keeps it: in few bytes where there is no tunnel.
#[derive(Debug, Clone)]
pub(crate) struct Around {
    at: Timestamp,
    /// Source and destination address of the Ethernet or 802.11 header.
    macs: Option<(Mac, Mac)>,
    separate: Vlans,
    vlan_count: u8,
    vlans: [u16; MAX_VLANS],
    /// The whole path of what came through a tunnel.
    tunnelled: Option<Box<Path>>,
}

impl Around {
    pub(crate) fn of(path: &Path) -> Self {
        let Path { at, macs, separate, vlan_count, vlans, .. } = *path;
        let tunnelled = (path.depth > 0 || path.carrier.is_some()).then(|| Box::new(*path));
        Self { at, macs, separate, vlan_count, vlans, tunnelled }
    }

    /// When the frame was captured.
    pub(crate) fn at(&self) -> Timestamp {
        self.at
    }

    /// The path, without the length of its frame and what was counted on the way.
    pub(crate) fn path(&self) -> Path {
        if let Some(path) = &self.tunnelled {
            return **path;
        }
        let mut path = Path { at: self.at, macs: self.macs, separate: self.separate, ..Path::default() };
        for vlan in self.vlans.iter().take(usize::from(self.vlan_count)) {
            path.push_vlan(*vlan);
        }
        path
    }

    /// As though the other end had sent it.
    pub(crate) fn turn_round(&mut self) {
        self.macs = self.macs.map(|(source, destination)| (destination, source));
        if let Some(path) = &mut self.tunnelled {
            path.macs = self.macs;
            path.carrier = path.carrier.map(Carrier::reversed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_keep_their_paths() {
        let mac = |last| Mac([2, 0, 0, 0, 0, last]);
        let mut path = Path {
            at: Timestamp::from_nanos(5),
            macs: Some((mac(1), mac(2))),
            separate: Vlans::Separate,
            ..Path::default()
        };
        for vlan in [7, 0, 9] {
            path.push_vlan(vlan);
        }
        let kept = |path: &Path| format!("{:?}", Around::of(path).path());
        assert_eq!(kept(&path), format!("{path:?}"));
        assert!(kept(&Path { separate: Vlans::Ignore, ..Path::default() }).contains("Ignore"));
        let ends = [10, 0, 0, 1].map(|last| IpAddr::from([10, 0, 0, last]));
        let [source, destination, ..] = ends;
        path.carrier = Some(Carrier { source, destination, ports: Some((1, 2)), identifier: Some(3) });
        let mut inside = path.inside(Tunnel::Gre, Some(9)).unwrap();
        inside.push_network(77);
        assert_eq!(kept(&inside), format!("{inside:?}"));
        let mut around = Around::of(&inside);
        around.turn_round();
        let turned = around.path();
        assert_eq!(turned.macs, Some((mac(2), mac(1))));
        assert_eq!(turned.carrier, inside.carrier.map(Carrier::reversed));
    }

    #[test]
    fn addresses_are_written_as_ecs_does() {
        assert_eq!(Mac([0, 0x09, 0x9a, 0xaf, 0xf0, 0xff]).text(), "00-09-9A-AF-F0-FF");
    }

    #[test]
    fn keys_hold_vlans_and_networks() {
        let mut path = Path::default();
        path.push_vlan(0x2007);
        path.push_vlan(0);
        path.push_network(0x00ab_cdef);
        path.push_vlan(9);
        path.push_vlan(10);
        assert_eq!(path.vlans(), [7, 0, 9, 10]);
        assert_eq!(path.vlan_key(), [7, 0x8abc, 0x8def, 9]);
        let mut ignoring = Path { separate: Vlans::Ignore, ..Path::default() };
        ignoring.push_vlan(7);
        assert_eq!((ignoring.vlans(), ignoring.vlan_key()), ([7].as_slice(), [0; 4]));
    }
}
