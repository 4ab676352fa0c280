//! Tunnels: what an IP packet carries that is itself a packet.
//!
//! Sources: RFC 2003, 4213 (IP in IP), 3378 (Ethernet in IP), 4023 (MPLS in IP); [`gre`] and [`udp`] name their own. A
//! tunnel that makes no sense is left to the flows and the protocols as what carries it.

mod gre;
mod udp;

use std::net::IpAddr;

use super::{Bytes, Carrier, Datagram, Path, Walk};

/// What carries an IP packet inside another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tunnel {
    /// Generic routing encapsulation (RFC 2784, 2890), also over UDP (RFC 8086).
    Gre,
    /// IPv4 or IPv6 directly inside IP (RFC 2003, 4213).
    IpInIp,
    /// Encapsulated remote port mirror, types I to III.
    Erspan,
    /// Virtual extensible LAN (RFC 7348).
    Vxlan,
    /// Generic network virtualisation (RFC 8926).
    Geneve,
    /// GPRS tunnelling protocol, user plane (3GPP TS 29.281).
    Gtp,
    /// IPv6 over UDP through NATs (RFC 4380).
    Teredo,
    /// Anything in anything, a tunnel for IPv6.
    Ayiya,
    /// Multiprotocol label switching (RFC 4023, 7510).
    Mpls,
    /// Layer 2 tunnelling protocol, version 2 (RFC 2661).
    L2tp,
    /// Ethernet within IP (RFC 3378).
    EtherIp,
    /// What wireless access points send to their controller (RFC 5415).
    Capwap,
}

impl Tunnel {
    /// The name that events carry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gre => "gre",
            Self::IpInIp => "ipip",
            Self::Erspan => "erspan",
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::Gtp => "gtpv1",
            Self::Teredo => "teredo",
            Self::Ayiya => "ayiya",
            Self::Mpls => "mpls",
            Self::L2tp => "l2tp",
            Self::EtherIp => "etherip",
            Self::Capwap => "capwap",
        }
    }
}

impl Walk<'_> {
    /// Looks inside `datagram`.
    pub(super) fn cargo(&mut self, datagram: &Datagram<'_>) {
        if !matches!(datagram.protocol, 4 | 17 | 41 | 47 | 97 | 137)
            || datagram.protocol == 17 && !udp::may_carry(datagram)
        {
            return;
        }
        let mut path = datagram.path;
        path.carrier = Some(Carrier {
            source: datagram.source,
            destination: datagram.destination,
            ports: None,
            identifier: None,
        });
        let bytes = datagram.payload;
        // A header that makes no sense means that it is no tunnel.
        let _is_tunnel: Option<()> = match datagram.protocol {
            4 | 41 => self.enter(path, Tunnel::IpInIp, None).and_then(|path| self.any_ip(path, bytes)),
            17 => self.over_udp(path, datagram),
            47 => self.gre(path, bytes),
            97 => self.ether_ip(path, bytes),
            _ => self.enter(path, Tunnel::Mpls, None).and_then(|path| self.mpls(path, bytes)),
        };
    }

    /// Version 3 in the first four bits, twelve zeros, a frame.
    fn ether_ip(&mut self, path: Path, bytes: &[u8]) -> Option<()> {
        (bytes.be16(0)? == 0x3000).then_some(())?;
        let path = self.enter(path, Tunnel::EtherIp, None)?;
        self.ethernet(path, bytes.after(2)?)
    }

    /// Opens a tunnel, unless it is one too many.
    fn enter(&mut self, path: Path, tunnel: Tunnel, identifier: Option<u32>) -> Option<Path> {
        let inside = path.inside(tunnel, identifier);
        if inside.is_none() {
            self.weird.add("exceeded_tunnel_max_depth");
        }
        inside
    }
}

/// True for addresses that reach more than one machine; such a packet is never turned round.
pub(crate) fn reaches_many(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_broadcast() || address.is_multicast(),
        IpAddr::V6(address) => address.is_multicast(),
    }
}
