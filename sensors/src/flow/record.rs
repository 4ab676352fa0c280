//! What events say about a flow.
//!
//! [`Scene::describe`] adds addresses and surroundings to any event of a flow, the outside of its tunnel among them.

use compact_str::{CompactString, format_compact};
use dongson_event::{Known, Line, Plain};

use super::key::{CommunityId, Tuple, protocol};
use crate::layer::{Path, Tunnel};

/// What is written on every event of a flow; made once, when its first event is due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Label {
    pub(crate) community_id: CommunityId,
    /// Tells flows with the same Community ID apart: 16 hexadecimal digits, from the Community ID, the first packet's time
    /// and the VLANs that the flow is in.
    uid: [u8; 16],
}

impl Label {
    pub(crate) fn of(tuple: &Tuple, path: &Path) -> Self {
        let community_id = tuple.community();
        let vlans = path.vlan_key();
        let vlans: Vec<u8> =
            vlans.iter().take_while(|vlan| **vlan != 0).flat_map(|vlan| vlan.to_be_bytes()).collect();
        let first = path.at.nanos().to_be_bytes();
        let parts: [&[u8]; 3] = [community_id.as_str().as_bytes(), &first, &vlans];
        let parts = if vlans.is_empty() { parts.get(..2).unwrap_or_default() } else { &parts };
        let hash = dongson_event::identity::hex_of(parts);
        Self { community_id, uid: hash.as_bytes().first_chunk().copied().unwrap_or_default() }
    }
}

/// A flow as all its events tell it: addresses and surroundings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) tuple: Tuple,
    pub(crate) path: Path,
    pub(crate) label: Label,
    /// Community ID of the flow that carries this one.
    pub(crate) parent: Option<CommunityId>,
}

/// The texts of a scene that are made for printing.
pub(crate) struct Words {
    macs: Option<(CompactString, CompactString)>,
    transport: CompactString,
    tunnels: Vec<&'static str>,
}

/// The name of a transport as ECS writes it.
fn transport(number: u8) -> CompactString {
    let name = match number {
        protocol::ICMP => "icmp",
        protocol::IGMP => "igmp",
        4 | 41 => "ip-in-ip",
        protocol::TCP => "tcp",
        protocol::UDP => "udp",
        protocol::DCCP => "dccp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        protocol::ICMPV6 => "ipv6-icmp",
        88 => "eigrp",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        113 => "pgm",
        115 => "l2tp",
        protocol::SCTP => "sctp",
        protocol::UDP_LITE => "udplite",
        number => return format_compact!("ip-{number}"),
    };
    CompactString::const_new(name)
}

/// True for transports with ports, and for ICMP, whose type and code stand in their place.
fn has_ports(number: u8) -> bool {
    matches!(
        number,
        protocol::ICMP
            | protocol::TCP
            | protocol::UDP
            | protocol::DCCP
            | protocol::ICMPV6
            | protocol::SCTP
            | protocol::UDP_LITE
    )
}

impl Scene {
    pub(crate) fn words(&self) -> Words {
        Words {
            macs: self.path.macs.map(|(source, destination)| (source.text(), destination.text())),
            transport: transport(self.tuple.protocol),
            tunnels: if self.path.depth() > 0 {
                self.path.tunnels().map(Tunnel::name).collect()
            } else {
                Vec::new()
            },
        }
    }

    /// Adds what every event of a flow carries.
    pub(crate) fn describe<'a>(&'a self, words: &'a Words, line: &mut Line<'a>) {
        const DESTINATION_IP: Known = Known::of("destination.ip");
        const DESTINATION_MAC: Known = Known::of("destination.mac");
        const DESTINATION_PORT: Known = Known::of("destination.port");
        const UID: Known = Known::of("dongson.conn.uid");
        const COMMUNITY_ID: Known = Known::of("network.community_id");
        const IANA_NUMBER: Known = Known::of("network.iana_number");
        const TRANSPORT: Known = Known::of("network.transport");
        const TYPE: Known = Known::of("network.type");
        const SOURCE_IP: Known = Known::of("source.ip");
        const SOURCE_MAC: Known = Known::of("source.mac");
        const SOURCE_PORT: Known = Known::of("source.port");
        let Self { tuple, label, .. } = self;
        let ported = has_ports(tuple.protocol);
        let port = |port: u16| ported.then_some(Plain::Int(i64::from(port)));
        let macs = words.macs.as_ref();
        line.set(DESTINATION_IP, Plain::Address(tuple.destination.address));
        line.set_some(DESTINATION_MAC, macs.map(|(_, destination)| Plain::Text(destination)));
        line.set_some(DESTINATION_PORT, port(tuple.destination.port));
        line.set(UID, Plain::Text(std::str::from_utf8(&label.uid).unwrap_or_default()));
        self.describe_tunnels(words, line);
        line.set(COMMUNITY_ID, Plain::Text(label.community_id.as_str()));
        line.set(IANA_NUMBER, Plain::Int(i64::from(tuple.protocol)));
        line.set(TRANSPORT, Plain::Text(&words.transport));
        line.set(TYPE, Plain::Text(if tuple.source.address.is_ipv4() { "ipv4" } else { "ipv6" }));
        self.describe_vlans(line);
        line.set(SOURCE_IP, Plain::Address(tuple.source.address));
        line.set_some(SOURCE_MAC, macs.map(|(source, _)| Plain::Text(source)));
        line.set_some(SOURCE_PORT, port(tuple.source.port));
    }

    fn describe_vlans(&self, line: &mut Line<'_>) {
        const VLAN: Known = Known::of("network.vlan.id");
        const INNER_VLAN: Known = Known::of("network.inner.vlan.id");
        let mut vlans = self.path.vlans().iter().map(|vlan| Plain::Int(i64::from(*vlan)));
        line.set_some(VLAN, vlans.next());
        line.set_some(INNER_VLAN, vlans.next());
    }

    fn describe_tunnels<'a>(&'a self, words: &'a Words, line: &mut Line<'a>) {
        const COMMUNITY_ID: Known = Known::of("dongson.tunnel.community_id");
        const DESTINATION_IP: Known = Known::of("dongson.tunnel.destination.ip");
        const DESTINATION_PORT: Known = Known::of("dongson.tunnel.destination.port");
        const IDENTIFIER: Known = Known::of("dongson.tunnel.id");
        const KIND: Known = Known::of("dongson.tunnel.kind");
        const SOURCE_IP: Known = Known::of("dongson.tunnel.source.ip");
        const SOURCE_PORT: Known = Known::of("dongson.tunnel.source.port");
        if words.tunnels.is_empty() {
            return;
        }
        line.set(KIND, Plain::Texts(&words.tunnels));
        line.set_some(COMMUNITY_ID, self.parent.as_ref().map(|parent| Plain::Text(parent.as_str())));
        if let Some(carrier) = self.path.carrier {
            let port = |port: u16| Plain::Int(i64::from(port));
            line.set(SOURCE_IP, Plain::Address(carrier.source));
            line.set(DESTINATION_IP, Plain::Address(carrier.destination));
            line.set_some(SOURCE_PORT, carrier.ports.map(|(source, _)| port(source)));
            line.set_some(DESTINATION_PORT, carrier.ports.map(|(_, destination)| port(destination)));
            line.set_some(IDENTIFIER, carrier.identifier.map(|identifier| Plain::Int(i64::from(identifier))));
        }
    }
}
