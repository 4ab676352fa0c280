//! Hand-made frames of each kind, and any bytes.

use super::*;
use crate::capture::LinkType;
use dongson_event::Timestamp;
use proptest::prelude::*;

fn count(link: u32, bytes: &[u8]) -> usize {
    let mut decoder = Decoder::new(FragmentLimits::default(), Vlans::default());
    let frame = Frame { at: Timestamp::default(), link: LinkType(link), bytes, wire_length: 0, vlan: None };
    let mut found = 0;
    decoder.frame(&frame, &mut |_| found += 1);
    found
}

fn ethernet(kind: [u8; 2], rest: &[u8]) -> Vec<u8> {
    [&[2_u8; 12], kind.as_slice(), rest].concat()
}

/// IPv4 with `protocol` around `payload`.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, protocol, 0, 0];
    bytes.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    bytes.extend(payload);
    bytes
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let words = [40_000, port, length, 0].map(u16::to_be_bytes).concat();
    [words.as_slice(), payload].concat()
}

#[test]
fn link_types_lead_to_ip() {
    let ip = ipv4(17, &udp(9, b"x"));
    assert_eq!(count(1, &ethernet([8, 0], &ip)), 1);
    assert_eq!(count(101, &ip), 1);
    assert_eq!(count(0, &[&[2, 0, 0, 0], ip.as_slice()].concat()), 1);
    assert_eq!(count(9, &[&[0xff, 3, 0, 0x21], ip.as_slice()].concat()), 1);
    assert_eq!(count(113, &[&[0_u8; 14], [8, 0].as_slice(), &ip].concat()), 1);
    assert_eq!(count(276, &[&[8, 0], [0_u8; 18].as_slice(), &ip].concat()), 1);
    let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    let data = [&[8, 0], [0_u8; 22].as_slice(), &snap, &ip].concat();
    assert_eq!(count(105, &data), 1);
    assert_eq!(count(127, &[&[0, 0, 8, 0, 0, 0, 0, 0], data.as_slice()].concat()), 1);
    let length = u16::try_from(ip.len() + 4).unwrap().to_le_bytes();
    assert_eq!(count(239, &[&[2, 0, 0, 0, length[0], length[1], 9, 0], ip.as_slice()].concat()), 1);
}

#[test]
fn tags_and_labels_are_passed() {
    let ip = ipv4(17, &udp(9, b"x"));
    let qinq = [&[0, 7, 0x81, 0, 0, 9, 8, 0], ip.as_slice()].concat();
    assert_eq!(count(1, &ethernet([0x88, 0xa8], &qinq)), 1);
    assert_eq!(count(1, &ethernet([0x88, 0x47], &[&[0, 0, 1, 64], ip.as_slice()].concat())), 1);
    let pppoe = [&[0x11, 0, 0, 1, 0, 31, 0, 0x21], ip.as_slice()].concat();
    assert_eq!(count(1, &ethernet([0x88, 0x64], &pppoe)), 1);
}

#[test]
fn tunnels_give_carrier_and_cargo() {
    let ip = ipv4(17, &udp(9, b"x"));
    let frame = ethernet([8, 0], &ip);
    let gre = ipv4(47, &[&[0, 0, 8, 0], ip.as_slice()].concat());
    assert_eq!(count(101, &gre), 2);
    assert_eq!(count(101, &ipv4(4, &ip)), 2);
    let vxlan = [&[8, 0, 0, 0, 0, 0, 1, 0], frame.as_slice()].concat();
    assert_eq!(count(101, &ipv4(17, &udp(4_789, &vxlan))), 2);
    let geneve = [&[0, 0, 0x65, 0x58, 0, 0, 1, 0], frame.as_slice()].concat();
    assert_eq!(count(101, &ipv4(17, &udp(6_081, &geneve))), 2);
    let length = u16::try_from(ip.len()).unwrap().to_be_bytes();
    let gtp = [&[0x30, 0xff, length[0], length[1], 0, 0, 0, 1], ip.as_slice()].concat();
    assert_eq!(count(101, &ipv4(17, &udp(2_152, &gtp))), 2);
}

/// Kinds of the tunnels, outer ports, identifier, key of the networks.
type Inside = (Vec<&'static str>, Option<(u16, u16)>, Option<u32>, VlanKey);

/// The innermost packet of a frame: its tunnels, the outer ports, the identifier and the key of its networks.
fn innermost(link: u32, bytes: &[u8]) -> Inside {
    let mut decoder = Decoder::new(FragmentLimits::default(), Vlans::default());
    let frame = Frame { at: Timestamp::default(), link: LinkType(link), bytes, wire_length: 0, vlan: None };
    let (mut found, mut payload) = (None, Vec::new());
    decoder.frame(&frame, &mut |datagram| {
        let path = datagram.path;
        let (ports, identifier) =
            path.carrier.map_or((None, None), |carrier| (carrier.ports, carrier.identifier));
        found = Some((path.tunnels().map(Tunnel::name).collect(), ports, identifier, path.vlan_key()));
        payload = datagram.payload.to_vec();
    });
    assert_eq!(payload.get(8..), Some(b"x".as_slice()));
    found.expect("a packet inside")
}

/// An IPv4 packet with a UDP datagram, the cargo of the tests.
fn cargo() -> Vec<u8> {
    ipv4(17, &udp(9, b"x"))
}

#[track_caller]
fn check_gre(header: &[u8], inner: &[u8], kinds: &[&str], identifier: Option<u32>) {
    let found = innermost(101, &ipv4(47, &[header, inner].concat()));
    assert_eq!((found.0.as_slice(), found.2), (kinds, identifier));
}

#[test]
fn gre_of_all_kinds() {
    let (ip, frame) = (cargo(), ethernet([8, 0], &cargo()));
    check_gre(&[0, 0, 8, 0], &ip, &["gre"], None);
    check_gre(&[0x80, 0, 8, 0, 0xab, 0xcd, 0, 0], &ip, &["gre"], None);
    check_gre(&[0x20, 0, 8, 0, 0, 0, 1, 2], &ip, &["gre"], Some(0x0102));
    check_gre(&[0xb0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1], &ip, &["gre"], Some(7));
    check_gre(&[0x20, 0, 0x65, 0x58, 0, 0x12, 0x34, 0], &frame, &["gre"], Some(0x0012_3400));
    // A source route of one entry, and the empty one that ends it.
    let route = [0x40, 0, 8, 0, 0, 0, 0, 0, 8, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0];
    check_gre(&route, &ip, &["gre"], None);
    // Version 1 with key, sequence and acknowledgement; PPP inside.
    let pptp = [0x30, 0x81, 0x88, 0x0b, 0, 40, 0, 5, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0x21];
    check_gre(&pptp, &ip, &["gre"], Some(5));
    check_gre(&[0, 0, 0x88, 0x3e], &ip, &["gre"], None);
    check_gre(&[0, 0, 0x88, 0x3e, 0, 1, 2, 3], &ip, &["gre"], None);
    // Only an acknowledgement; and a version that nobody has written down.
    assert_eq!(count(101, &ipv4(47, &[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 5, 0, 0, 0, 1])), 1);
    assert_eq!(count(101, &ipv4(47, &[&[0, 2, 8, 0], ip.as_slice()].concat())), 1);
}

#[test]
fn mirrors_of_all_types() {
    let (ip, frame) = (cargo(), ethernet([8, 0], &cargo()));
    let kinds = ["gre", "erspan"];
    check_gre(&[0, 0, 0x88, 0xbe], &frame, &kinds, None);
    let second = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 7, 0x08, 0x65, 0, 0, 0, 0];
    check_gre(&second, &frame, &kinds, Some(0x65));
    let third = |last: u16| {
        let header = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 7, 0x0b, 0xff, 0, 0, 0, 0, 0, 0];
        [header.as_slice(), &last.to_be_bytes()].concat()
    };
    check_gre(&third(0), &frame, &kinds, Some(0x03ff));
    check_gre(&[third(1), vec![0; 8]].concat(), &frame, &kinds, Some(0x03ff));
    check_gre(&third(2 << 10), &ip, &kinds, Some(0x03ff));
}

#[track_caller]
fn check_udp(port: u16, header: &[u8], inner: &[u8], kind: &str, identifier: Option<u32>) {
    let found = innermost(101, &ipv4(17, &udp(port, &[header, inner].concat())));
    assert_eq!((found.0, found.1, found.2), (vec![kind], Some((40_000, port)), identifier));
}

#[test]
fn tunnels_over_udp() {
    let (ip, frame) = (cargo(), ethernet([8, 0], &cargo()));
    let inner_6 = ipv6(17, &udp(9, b"x"));
    check_udp(4_789, &[8, 0, 0, 0, 0, 1, 2, 0], &frame, "vxlan", Some(0x0102));
    check_udp(4_790, &[0x0c, 0, 0, 1, 0, 1, 2, 0], &ip, "vxlan", Some(0x0102));
    check_udp(4_790, &[0x0c, 0, 0, 3, 0, 1, 2, 0], &frame, "vxlan", Some(0x0102));
    let option = [0x01, 0, 0x65, 0x58, 0, 0, 9, 0, 0xff, 0xff, 1, 0];
    check_udp(6_081, &option, &frame, "geneve", Some(9));
    check_udp(6_081, &[0, 0, 8, 0, 0, 0, 9, 0], &ip, "geneve", Some(9));
    check_udp(4_754, &[0x20, 0, 8, 0, 0, 0, 0, 7], &ip, "gre", Some(7));
    check_udp(6_635, &[0, 1, 0x01, 64], &ip, "mpls", None);
    check_udp(2_152, &[0x30, 255, 0, 30, 0, 0, 0, 5], &ip, "gtpv1", Some(5));
    check_udp(2_152, &[0x32, 255, 0, 34, 0, 0, 0, 5, 0, 1, 0, 0], &ip, "gtpv1", Some(5));
    let extended = [0x34, 255, 0, 42, 0, 0, 0, 5, 0, 1, 0, 0x85, 1, 0x10, 9, 0x85, 1, 0x10, 9, 0];
    check_udp(2_152, &extended, &ip, "gtpv1", Some(5));
    check_udp(3_544, &[], &inner_6, "teredo", None);
    let signs = [&[0, 1, 0, 0][..], &[7; 9], &[0, 0, 1, 2, 3, 4, 5, 6]].concat();
    check_udp(3_544, &signs, &inner_6, "teredo", None);
    check_udp(32_900, &[], &inner_6, "teredo", None);
    check_udp(5_072, &[[0x45, 0x52, 0x11, 41].as_slice(), &[0; 40]].concat(), &inner_6, "ayiya", None);
    check_udp(1_701, &[0x40, 2, 0, 41, 0, 1, 0, 2, 0xff, 3, 0, 0x21], &ip, "l2tp", Some(0x0001_0002));
    let long = [0x0a, 2, 0, 1, 0, 2, 0, 0, 0, 0, 0, 2, 9, 9, 0x21];
    check_udp(1_701, &long, &ip, "l2tp", Some(0x0001_0002));
    check_udp(5_247, &[0, 0x10, 0x02, 0, 0, 0, 0, 0], &frame, "capwap", None);
    let wireless = [&[8, 1], [0_u8; 22].as_slice(), &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &ip].concat();
    check_udp(5_247, &[0, 0x10, 0x03, 0, 0, 0, 0, 0], &wireless, "capwap", None);
}

/// IPv6 between two Teredo addresses.
fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let address = |last: u8| [0x20, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, last];
    [&[0x60, 0, 0, 0, length[0], length[1], next, 64], address(1).as_slice(), &address(2), payload].concat()
}

#[test]
fn what_looks_like_a_tunnel_but_is_none() {
    let ip = cargo();
    for (port, bytes) in [
        (4_789, [&[0_u8; 8], ip.as_slice()].concat()),
        (6_081, [&[0x40, 0, 8, 0, 0, 0, 0, 0], ip.as_slice()].concat()),
        (2_152, [&[0x30, 1, 0, 0, 0, 0, 0, 5], ip.as_slice()].concat()),
        (2_152, [&[0x48, 255, 0, 0, 0, 0, 0, 5], ip.as_slice()].concat()),
        (3_544, b"not IPv6".to_vec()),
        (1_701, vec![0xc8, 2, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0]),
        // Encrypted, and a piece.
        (5_247, [&[1, 0, 0, 0], ip.as_slice()].concat()),
        (5_247, [&[0, 0x10, 0x02, 0x80, 0, 0, 0, 0], ip.as_slice()].concat()),
        (32_900, [ipv6(17, b"longer than it says"), vec![0]].concat()),
    ] {
        assert_eq!(count(101, &ipv4(17, &udp(port, &bytes))), 1, "port {port}");
    }
}

#[test]
fn ip_in_ip_and_ethernet_in_ip() {
    let ip = cargo();
    let inner_6 = ipv6(17, &udp(9, b"x"));
    assert_eq!(innermost(101, &ipv4(41, &inner_6)).0, ["ipip"]);
    assert_eq!(innermost(101, &ipv6(4, &ip)).0, ["ipip"]);
    assert_eq!(
        innermost(101, &ipv4(97, &[&[0x30, 0], ethernet([8, 0], &ip).as_slice()].concat())).0,
        ["etherip"]
    );
    assert_eq!(innermost(101, &ipv4(137, &[&[0, 1, 1, 64], ip.as_slice()].concat())).0, ["mpls"]);
    // Authentication headers before and behind.
    let mut signed = [&[4, 4, 0, 0], [0_u8; 20].as_slice(), &ip].concat();
    assert_eq!(innermost(101, &ipv4(51, &signed)).0, ["ipip"]);
    assert_eq!(innermost(101, &ipv6(51, &signed)).0, ["ipip"]);
    signed[0] = 59;
    assert_eq!(count(101, &ipv4(51, &signed)), 1);
}

#[test]
fn networks_of_their_own_tell_flows_apart() {
    let frame = ethernet([0x81, 0], &[&[0, 3, 8, 0], cargo().as_slice()].concat());
    let vxlan = ipv4(17, &udp(4_789, &[&[8, 0, 0, 0, 0xab, 0xcd, 0xef, 0], frame.as_slice()].concat()));
    let outer = ethernet([0x81, 0], &[&[0, 7, 8, 0], vxlan.as_slice()].concat());
    assert_eq!(innermost(1, &outer).3, [7, 0x8abc, 0x8def, 3]);
}

#[test]
fn pseudowires_with_and_without_a_control_word() {
    let ip = cargo();
    let labelled = |rest: &[u8]| ethernet([0x88, 0x47], &[&[0, 1, 0, 64, 0, 2, 1, 64], rest].concat());
    // Frames whose first bytes look like IPv4, IPv6, a control word and the associated channel.
    for first in [0x45, 0x60, 0x00, 0x10, 0x22] {
        let mut frame = ethernet([8, 0], &ip);
        frame[0] = first;
        assert_eq!(count(1, &labelled(&frame)), 1, "{first:02x} without");
        assert_eq!(count(1, &labelled(&[&[0, 0, 0, 9], frame.as_slice()].concat())), 1, "{first:02x} with");
    }
    assert_eq!(count(1, &labelled(&ip)), 1);
    assert_eq!(count(1, &labelled(&ipv6(17, &udp(9, b"x")))), 1);
    assert_eq!(count(1, &labelled(&[0x10, 0, 0, 0x21, 1, 2, 3])), 0);
}

#[test]
fn bridges_rings_and_metadata_are_passed() {
    let ip = cargo();
    let frame = ethernet([8, 0], &ip);
    let behind = |kind: u16, header: &[u8], inner: &[u8]| {
        count(1, &ethernet(kind.to_be_bytes(), &[header, inner].concat()))
    };
    assert_eq!(behind(0x88e7, &[0, 0, 1, 2], &frame), 1, "802.1ah");
    assert_eq!(behind(0x8926, &[0, 1, 0, 2, 8, 0], &ip), 1, "VN-Tag");
    assert_eq!(behind(0x893f, &[0, 0, 0, 1, 0, 0, 8, 0], &ip), 1, "E-TAG");
    assert_eq!(behind(0x892f, &[0, 40, 0, 1, 8, 0], &ip), 1, "HSR");
    assert_eq!(behind(0x88e5, &[0, 0, 0, 0, 0, 1, 8, 0], &ip), 1, "MACsec, only signed");
    assert_eq!(behind(0x88e5, &[[0x20; 1].as_slice(), &[0; 13], &[8, 0]].concat(), &ip), 1, "MACsec, named");
    assert_eq!(behind(0x88e5, &[0x0c, 0, 0, 0, 0, 1, 8, 0], &ip), 0, "MACsec, encrypted");
    assert_eq!(behind(0x8909, &[1, 1, 0, 1, 0, 0, 8, 0], &ip), 1, "Cisco metadata");
    assert_eq!(behind(0x894f, &[0, 2, 1, 1, 0, 0, 1, 255], &ip), 1, "NSH");
    assert_eq!(behind(0x880b, &[0xff, 3, 0, 0x31, 0, 1], &frame), 1, "bridged over PPP");
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], ip.as_slice()].concat();
    let length = u16::try_from(snap.len()).unwrap();
    assert_eq!(behind(length, &[], &snap), 1, "SNAP");
}

#[test]
fn lines_and_odd_link_types_lead_to_ip() {
    let ip = cargo();
    let frame = ethernet([8, 0], &ip);
    let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    let behind = |link: u32, header: &[u8]| count(link, &[header, ip.as_slice()].concat());
    assert_eq!(behind(50, &[0xff, 3, 0, 0x21]), 1, "PPP with framing");
    assert_eq!(behind(50, &[0x0f, 0, 8, 0]), 1, "Cisco's framing");
    assert_eq!(behind(104, &[0x8f, 0, 8, 0]), 1, "Cisco HDLC");
    assert_eq!(behind(204, &[1, 0xff, 3, 0x21]), 1, "PPP with direction");
    assert_eq!(behind(166, &[1, 3, 0, 0x21]), 1, "pppd");
    assert_eq!(behind(51, &[0x11, 0, 0, 1, 0, 31, 0, 0x21]), 1, "PPPoE");
    assert_eq!(behind(107, &[0x18, 0x41, 3, 0xcc]), 1, "Frame Relay");
    assert_eq!(behind(107, &[0x18, 0x41, 8, 0]), 1, "Frame Relay, Cisco");
    assert_eq!(behind(107, &[0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0]), 1, "Frame Relay, SNAP");
    assert_eq!(behind(108, &[0, 0, 0, 2]), 1, "LOOP");
    assert_eq!(behind(10, &[[0x50; 13].as_slice(), &snap].concat()), 1, "FDDI");
    assert_eq!(behind(100, &snap), 1, "ATM");
    assert_eq!(behind(122, &[[0; 16].as_slice(), &snap].concat()), 1, "Fibre Channel");
    assert_eq!(behind(219, &[0, 1, 1, 64]), 1, "MPLS");
    let frames = |link: u32, header: &[u8]| count(link, &[header, frame.as_slice()].concat());
    assert_eq!(frames(192, &[0, 0, 8, 0, 1, 0, 0, 0]), 1, "PPI");
    let apple = [[12_u32, 0, 1].map(u32::to_le_bytes).concat()].concat();
    assert_eq!(frames(258, &apple), 1, "PKTAP");
    let length = u16::try_from(ip.len() + 4).unwrap().to_be_bytes();
    assert_eq!(behind(239, &[2, 0, 0, 0, length[0], length[1], 0, 9]), 1, "NFLOG, big-endian");
}

#[test]
fn wireless_headers_of_all_lengths() {
    let body = [[0xaa, 0xaa, 3, 0, 0, 0, 8, 0].as_slice(), &cargo()].concat();
    let frame = |control: u8, flags: u8, length: usize| {
        let mut frame = vec![0; length];
        (frame[0], frame[1]) = (control, flags);
        [frame, body.clone()].concat()
    };
    assert_eq!(count(105, &frame(0x08, 0, 24)), 1, "data");
    assert_eq!(count(105, &frame(0x88, 1, 26)), 1, "with quality of service");
    assert_eq!(count(105, &frame(0x88, 0x81, 30)), 1, "and control");
    assert_eq!(count(105, &frame(0x88, 3, 32)), 1, "between access points");
    assert_eq!(count(105, &frame(0x08, 0x40, 24)), 0, "encrypted");
    assert_eq!(count(105, &frame(0x48, 0, 24)), 0, "empty");
    assert_eq!(count(105, &frame(0x80, 0, 24)), 0, "a beacon");
    let behind = |link: u32, header: &[u8], frame: &[u8]| count(link, &[header, frame].concat());
    let prism = [&[0, 0, 0, 0x44, 144, 0, 0, 0], [0_u8; 136].as_slice()].concat();
    assert_eq!(behind(119, &prism, &frame(0x08, 0, 24)), 1, "Prism");
    let avs = [&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64], [0_u8; 56].as_slice()].concat();
    assert_eq!(behind(119, &avs, &frame(0x08, 0, 24)), 1, "AVS in its place");
    assert_eq!(behind(163, &avs, &frame(0x08, 0, 24)), 1, "AVS");
    // A time and flags; the flags say that the header is padded to four bytes.
    let radiotap = [&[0, 0, 17, 0, 3, 0, 0, 0], [0_u8; 8].as_slice(), &[0x20]].concat();
    let mut padded = frame(0x88, 1, 26);
    padded.splice(26..26, [0, 0]);
    assert_eq!(behind(127, &radiotap, &padded), 1, "radiotap with padding");
}

#[test]
fn sctp_has_ports() {
    let sctp = [&[0x0b, 0x59, 0x0b, 0x5a], [0_u8; 12].as_slice()].concat();
    let mut decoder = Decoder::new(FragmentLimits::default(), Vlans::default());
    let bytes = ipv4(132, &sctp);
    let frame =
        Frame { at: Timestamp::default(), link: LinkType::RAW, bytes: &bytes, wire_length: 0, vlan: None };
    decoder.frame(&frame, &mut |datagram| {
        assert_eq!(
            (datagram.protocol, datagram.payload.be16(0), datagram.payload.be16(2)),
            (132, Some(2_905), Some(2_906))
        );
    });
}

#[test]
fn nesting_ends() {
    let mut packet = ipv4(17, &udp(9, b"x"));
    for _ in 0..40 {
        packet = ipv4(4, &packet);
    }
    assert_eq!(count(101, &packet), MAX_DEPTH + 1);
}

proptest! {
    #[test]
    fn any_bytes_of_any_link(link in 0_u32..300, bytes: Vec<u8>) {
        count(link, &bytes);
    }

    #[test]
    fn any_ether_type(kind: [u8; 2], bytes: Vec<u8>) {
        count(1, &ethernet(kind, &bytes));
    }

    #[test]
    fn any_ip_protocol(protocol: u8, port in prop::sample::select(vec![4_789_u16, 6_081, 2_152, 3_544, 4_754, 5_072, 8_472, 4_790, 6_635, 1_701, 5_247, 32_900]), bytes: Vec<u8>) {
        count(101, &ipv4(protocol, &bytes));
        count(101, &ipv4(17, &udp(port, &bytes)));
    }

    #[test]
    fn cut_anywhere(cut in 0_usize..80) {
        let ip = ipv4(17, &udp(9, b"x"));
        let whole = ipv4(47, &[&[0, 0, 8, 0], ip.as_slice()].concat());
        count(101, whole.get(..cut).unwrap_or(&whole));
    }
}
