//! Filters over hand-made frames, and any words over any frames.

use proptest::prelude::*;

use super::*;
use dongson_event::Timestamp;

fn frame(bytes: &[u8], vlan: Option<u16>, link: LinkType) -> Frame<'_> {
    Frame { at: Timestamp::default(), link, bytes, wire_length: 0, vlan }
}

/// Ethernet with the VLAN tags that are in the frame.
fn ethernet(tags: &[u16], kind: u16, packet: &[u8]) -> Vec<u8> {
    let tags = tags.iter().flat_map(|tag| [0x8100_u16.to_be_bytes(), tag.to_be_bytes()].concat());
    let kind = kind.to_be_bytes();
    [2; 12].into_iter().chain(tags).chain(kind).chain(packet.iter().copied()).collect()
}

/// IPv4 from 10.1.2.3 to 192.168.0.9 with ports 40000 and 53; `options` words of options.
fn ipv4(protocol: u8, offset: u16, options: u8) -> Vec<u8> {
    let mut bytes = vec![0x45 + options, 0, 0, 40, 0, 1];
    bytes.extend(offset.to_be_bytes());
    bytes.extend([64, protocol, 0, 0, 10, 1, 2, 3, 192, 168, 0, 9]);
    bytes.resize(20 + 4 * usize::from(options), 0);
    bytes.extend([40_000_u16, 53, 8, 0].map(u16::to_be_bytes).concat());
    bytes
}

/// IPv6 from `2001:db8::1` to `2001:db8:1::2` with the same ports.
fn ipv6(next: u8) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0, 0, 8, next, 64, 0x20, 1, 0x0d, 0xb8];
    bytes.extend([0; 11]);
    bytes.extend([1, 0x20, 1, 0x0d, 0xb8, 0, 1]);
    bytes.extend([0; 9]);
    bytes.push(2);
    bytes.extend([40_000_u16, 53, 8, 0].map(u16::to_be_bytes).concat());
    bytes
}

fn takes(filter: &str, bytes: &[u8], vlan: Option<u16>, link: LinkType) -> bool {
    Filter::parse(filter).unwrap().compile(link).unwrap().takes(&frame(bytes, vlan, link))
}

#[track_caller]
fn check(bytes: &[u8], taken: &[&str], refused: &[&str]) {
    for filter in taken {
        assert!(takes(filter, bytes, None, LinkType::ETHERNET), "{filter}");
        assert!(!takes(&format!("not ({filter})"), bytes, None, LinkType::ETHERNET), "not {filter}");
    }
    for filter in refused {
        assert!(!takes(filter, bytes, None, LinkType::ETHERNET), "{filter}");
        assert!(takes(&format!("!({filter})"), bytes, None, LinkType::ETHERNET), "not {filter}");
    }
}

#[test]
fn addresses_and_ports_of_ipv4() {
    let taken = [
        "ip",
        "udp",
        "host 10.1.2.3",
        "host 192.168.0.9",
        "src 10.1.2.3",
        "src host 10.1.2.3 and dst 192.168.0.9",
        "net 10.0.0.0/8",
        "dst net 192.168.0.0/24",
        "net 0.0.0.0/0",
        "port 53",
        "src port 40000",
        "udp port 53",
        "udp dst port 53",
        "portrange 50-60",
        "src portrange 40000-40000",
        "udp and (port 1 or port 53) and not vlan",
    ];
    let refused = [
        "ip6",
        "arp",
        "tcp",
        "icmp",
        "dst 10.1.2.3",
        "net 10.1.3.0/24",
        "host 2001:db8::1",
        "port 54",
        "dst port 40000",
        "tcp port 53",
        "udp src port 53",
        "portrange 54-39999",
        "vlan",
        "port 1 or port 2",
    ];
    for tags in [&[][..], &[5], &[5, 6]] {
        let refused = if tags.is_empty() { &refused[..] } else { &refused[..12] };
        let taken = if tags.is_empty() { &taken[..] } else { &taken[..15] };
        check(&ethernet(tags, 0x0800, &ipv4(17, 0, 0)), taken, refused);
        check(&ethernet(tags, 0x0800, &ipv4(17, 0, 3)), taken, refused);
    }
}

#[test]
fn the_other_protocols() {
    let v6 = ethernet(&[], 0x86dd, &ipv6(6));
    let taken = ["ip6", "tcp", "tcp port 53", "host 2001:db8::1", "dst net 2001:db8:1::/48", "net ::/0"];
    check(&v6, &taken, &["ip", "udp", "src net 2001:db8:1::/48", "host 10.1.2.3", "net 0.0.0.0/0"]);
    check(&ethernet(&[], 0x86dd, &ipv6(58)), &["icmp6"], &["icmp", "port 53"]);
    check(&ethernet(&[], 0x0800, &ipv4(1, 0, 0)), &["icmp"], &["icmp6", "port 53", "src port 40000"]);
    check(&ethernet(&[], 0x0800, &ipv4(132, 0, 0)), &["sctp port 53", "port 53"], &["udp port 53"]);
    // A later fragment has no ports.
    check(&ethernet(&[], 0x0800, &ipv4(17, 7, 0)), &["udp", "src 10.1.2.3"], &["port 53"]);
    let arp = [&[0, 1, 8, 0, 6, 4, 0, 1, 2, 2, 2, 2, 2, 2, 10, 0, 0, 1], [0; 6].as_slice(), &[10, 0, 0, 2]]
        .concat();
    let arp = ethernet(&[], 0x0806, &arp);
    check(
        &arp,
        &["arp", "host 10.0.0.1", "dst host 10.0.0.2", "not tcp"],
        &["ip", "src 10.0.0.2", "port 53"],
    );
}

#[test]
fn tags_in_the_frame_and_taken_out() {
    let bytes = ethernet(&[], 0x0800, &ipv4(6, 0, 0));
    let tagged = ethernet(&[7], 0x0800, &ipv4(6, 0, 0));
    for (filter, plain, out, inside) in [
        ("vlan", false, true, true),
        ("vlan 7", false, true, true),
        ("vlan 8", false, false, false),
        ("not vlan", true, false, false),
        ("vlan 7 and tcp port 53", false, true, true),
        ("vlan and udp", false, false, false),
    ] {
        assert_eq!(takes(filter, &bytes, None, LinkType::ETHERNET), plain, "{filter}");
        assert_eq!(takes(filter, &bytes, Some(7), LinkType::ETHERNET), out, "{filter}, taken out");
        assert_eq!(takes(filter, &tagged, None, LinkType::ETHERNET), inside, "{filter}, in the frame");
    }
}

#[test]
fn other_link_types() {
    for (link, header) in [
        (101, vec![]),
        (0, vec![2, 0, 0, 0]),
        (113, [&[0; 14][..], &[8, 0]].concat()),
        (276, [&[8, 0], [0; 18].as_slice()].concat()),
    ] {
        let bytes = [header, ipv4(6, 0, 0)].concat();
        assert!(takes("tcp port 53 and src 10.1.2.3 and not vlan", &bytes, None, LinkType(link)), "{link}");
        assert!(!takes("ip6 or udp or arp", &bytes, None, LinkType(link)), "{link}");
    }
    let filter = Filter::parse("ip").unwrap();
    assert_eq!(filter.compile(LinkType(105)), Err(FilterError::LinkType(105)));
}

#[test]
fn and_binds_closer_than_or() {
    let bytes = ethernet(&[], 0x0800, &ipv4(17, 0, 0));
    check(&bytes, &["udp or tcp and port 1", "(udp or tcp) and port 53"], &["(udp or tcp) and port 1"]);
}

#[test]
fn what_is_no_filter_is_named() {
    let value = |value: &str, wanted| FilterError::Value { value: value.to_owned(), wanted };
    for (text, expected) in [
        ("greater 100", FilterError::UnknownWord("greater".to_owned())),
        ("tcp or or", FilterError::UnknownWord("or".to_owned())),
        ("port 80 443", FilterError::UnknownWord("443".to_owned())),
        ("", FilterError::Ends("a test")),
        ("not", FilterError::Ends("a test")),
        ("host", FilterError::Ends("an address")),
        ("port http", value("http", "a port number")),
        ("host example.com", value("example.com", "an IP address")),
        ("net 10.0.0.0", value("10.0.0.0", "a network: ADDRESS/BITS")),
        ("net 10.0.0.0/33", value("10.0.0.0/33", "a network: ADDRESS/BITS")),
        ("vlan 5000", value("5000", "a VLAN number from 0 to 4095")),
        ("portrange 1", value("1", "FIRST-LAST")),
        ("(tcp", FilterError::Parenthesis),
        ("tcp)", FilterError::Parenthesis),
        (&"not ".repeat(100), FilterError::TooLong),
        (&vec!["tcp"; 600].join(" or "), FilterError::TooLong),
    ] {
        assert_eq!(Filter::parse(text).unwrap_err(), expected, "{text:.40}");
    }
}

#[test]
fn long_filters_jump_far() {
    let hosts: Vec<String> = (0..90).map(|last| format!("host 10.9.0.{last}")).collect();
    let bytes = ethernet(&[], 0x0800, &ipv4(17, 0, 0));
    check(&bytes, &[&format!("{} or udp port 53", hosts.join(" or "))], &[&hosts.join(" or ")]);
}

proptest! {
    #[test]
    fn any_words(words in prop::collection::vec(prop::sample::select(vec![
        "host", "net", "port", "portrange", "src", "dst", "tcp", "udp", "ip", "ip6", "arp", "vlan", "and", "or", "not", "(", ")",
        "10.0.0.1", "10.0.0.0/8", "::1", "::/0", "80", "1-2", "x",
    ]), 0..12), bytes: Vec<u8>, vlan: Option<u16>) {
        if let Ok(filter) = Filter::parse(&words.join(" ")) {
            for link in [1, 101, 0, 113, 276] {
                let link = LinkType(link);
                filter.compile(link).unwrap().takes(&frame(&bytes, vlan, link));
            }
        }
    }

    #[test]
    fn any_text(text: String) {
        drop(Filter::parse(&text));
    }
}
