//! Tunnels: what is told of the outside and of the inside, and what tells the insides apart.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use dongson_event::{Event, Timestamp};
use dongson_sensor::capture::{Frame, LinkType};
use dongson_sensor::layer::Vlans;
use dongson_sensor::{Engine, Options};
use etherparse::PacketBuilder;
use support::{of, udp};

fn run(frames: &[Vec<u8>], vlans: Vlans) -> Vec<Event> {
    let mut engine = Engine::new(Options { vlans, ..Options::default() });
    let mut events = Vec::new();
    for bytes in frames {
        let wire_length = u32::try_from(bytes.len()).unwrap();
        let frame = Frame {
            at: Timestamp::from_seconds(1),
            link: LinkType::ETHERNET,
            bytes,
            wire_length,
            vlan: None,
        };
        engine.packet(&frame, &mut |event| events.push(event));
    }
    engine.finish(&mut |event| events.push(event));
    events
}

/// A frame in VXLAN from 172.16.0.1 to 172.16.0.2.
fn vxlan(network: u8, frame: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 3], [2, 0, 0, 0, 0, 4])
        .ipv4([172, 16, 0, 1], [172, 16, 0, 2], 64)
        .udp(51_000, 4_789);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, &[&[8, 0, 0, 0, 0, 0, network, 0], frame].concat()).unwrap();
    bytes
}

#[test]
fn a_tunnel_is_told_once_when_it_is_found_and_once_when_it_ends() {
    let inner = udp(40_000, 9, b"x");
    let events = run(&[vxlan(7, &inner), vxlan(7, &inner)], Vlans::Separate);
    let told = of(&events, "sensor.tunnel");
    let actions: Vec<Option<&str>> = told.iter().map(|event| event.text("event.action")).collect();
    assert_eq!(actions, [Some("discover"), Some("close")]);
    for event in told {
        assert_eq!(event.text("dongson.tunnel.carries.kind"), Some("vxlan"));
        assert_eq!(event.int("dongson.tunnel.carries.id"), Some(7));
        assert_eq!(event.get("source.ip").unwrap().to_text(), "172.16.0.1");
        assert_eq!(event.int("destination.port"), Some(4_789));
        assert_eq!(event.get("dongson.tunnel.kind"), None);
    }
}

#[test]
fn the_inside_names_its_outside() {
    let events = run(&[vxlan(7, &udp(40_000, 9, b"x"))], Vlans::Separate);
    let flows = of(&events, "sensor.conn");
    let [outer, inner] = flows.as_slice() else { panic!("{flows:?}") };
    assert_eq!(outer.text("network.protocol"), Some("vxlan"));
    assert_eq!(inner.get("source.ip").unwrap().to_text(), "10.0.0.1");
    for (name, value) in [
        ("dongson.tunnel.kind", "vxlan"),
        ("dongson.tunnel.source.ip", "172.16.0.1"),
        ("dongson.tunnel.destination.ip", "172.16.0.2"),
        ("dongson.tunnel.source.port", "51000"),
        ("dongson.tunnel.destination.port", "4789"),
        ("dongson.tunnel.id", "7"),
    ] {
        assert_eq!(inner.get(name).unwrap().to_text(), value, "{name}");
    }
    assert_eq!(inner.get("dongson.tunnel.community_id"), outer.get("network.community_id"));
}

#[test]
fn the_same_addresses_in_two_networks_are_two_flows() {
    let inner = udp(40_000, 9, b"x");
    let frames = [vxlan(7, &inner), vxlan(8, &inner)];
    assert_eq!(of(&run(&frames, Vlans::Separate), "sensor.conn").len(), 3);
    assert_eq!(of(&run(&frames, Vlans::Ignore), "sensor.conn").len(), 2);
}
