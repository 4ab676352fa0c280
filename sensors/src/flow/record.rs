//! What events say about a flow.
//!
//! [`describe`] adds addresses and surroundings to any event of a flow, the outside of its tunnel among them.

use dongson_event::{Event, Value};

use super::key::{Tuple, protocol};
use crate::layer::Path;

/// What is written on every event of a flow; made once, when its first event is due.
#[derive(Debug, Clone)]
pub(crate) struct Label {
    pub(crate) community_id: String,
    /// Tells flows with the same Community ID apart: hexadecimal, from the Community ID, the first packet's time and the
    /// VLANs that the flow is in.
    pub(crate) uid: String,
}

impl Label {
    pub(crate) fn of(tuple: &Tuple, path: &Path) -> Self {
        let community_id = tuple.community_id();
        let vlans = path.vlan_key();
        let vlans: Vec<u8> =
            vlans.iter().take_while(|vlan| **vlan != 0).flat_map(|vlan| vlan.to_be_bytes()).collect();
        let first = path.at.nanos().to_be_bytes();
        let parts: [&[u8]; 3] = [community_id.as_bytes(), &first, &vlans];
        let parts = if vlans.is_empty() { parts.get(..2).unwrap_or_default() } else { &parts };
        let mut uid = dongson_event::identity::hex_of(parts);
        uid.truncate(16);
        Self { community_id, uid }
    }
}

/// The name of a transport as ECS writes it.
pub(crate) fn transport(number: u8) -> Value {
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
        number => return Value::from(format!("ip-{number}")),
    };
    Value::from(name)
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

/// Adds what every event of a flow carries; names that a parser has set itself stay.
pub(crate) fn describe(event: &mut Event, tuple: &Tuple, path: &Path, label: &Label, parent: Option<&str>) {
    event.set("source.ip", tuple.source.address);
    event.set("destination.ip", tuple.destination.address);
    if has_ports(tuple.protocol) {
        event.set("source.port", tuple.source.port);
        event.set("destination.port", tuple.destination.port);
    }
    event.set("network.transport", transport(tuple.protocol));
    event.set("network.iana_number", i64::from(tuple.protocol));
    event.set("network.type", if tuple.source.address.is_ipv4() { "ipv4" } else { "ipv6" });
    event.set("network.community_id", label.community_id.as_str());
    event.set("dongson.conn.uid", label.uid.as_str());
    if let Some((source, destination)) = path.macs {
        event.set("source.mac", source.to_string());
        event.set("destination.mac", destination.to_string());
    }
    match path.vlans() {
        [] => {}
        [only] => {
            event.set("network.vlan.id", *only);
        }
        [outer, inner, ..] => {
            event.set("network.vlan.id", *outer);
            event.set("network.inner.vlan.id", *inner);
        }
    }
    if path.depth() > 0 {
        let mut kinds: Vec<String> = path.tunnels().map(|tunnel| tunnel.name().to_owned()).collect();
        // Tunnels that a parser has found lie inside those of the packets.
        let inner = event.get("dongson.tunnel.kind").map(dongson_event::Value::scalars).unwrap_or_default();
        kinds.extend(inner.iter().map(|kind| kind.to_text().into_owned()));
        event.set("dongson.tunnel.kind", kinds);
        if let Some(carrier) = path.carrier {
            event.set("dongson.tunnel.source.ip", carrier.source);
            event.set("dongson.tunnel.destination.ip", carrier.destination);
            event.set_some("dongson.tunnel.source.port", carrier.ports.map(|(source, _)| source));
            event.set_some(
                "dongson.tunnel.destination.port",
                carrier.ports.map(|(_, destination)| destination),
            );
            event.set_some("dongson.tunnel.id", carrier.identifier.map(i64::from));
        }
        event.set_some("dongson.tunnel.community_id", parent);
    }
}
