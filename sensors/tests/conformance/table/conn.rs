//! Endpoints and flows: what every fact has, and those of connections.

use super::Rule::{By, Drop, Is};
use super::{Line, README, has_ports, line, moment, seconds};
use crate::values::Case;

pub(super) const LINES: &[Line] = &[
    // Dropped by the README.
    line("*", "*", "ndpi_app", Drop, README),
    line("*", "*", "pcap_cnt", Drop, README),
    line("*", "*", "tx_id", Drop, README),
    line(
        "*",
        "*",
        "dns.tx_id",
        Drop,
        "the same number as tx_id, which is on the drop list of the set's README",
    ),
    line("*", "*", "flow_id", Drop, README),
    line("*", "*", "flow.alerted", Drop, README),
    line("*", "*", "flow.reason", Drop, README),
    line("*", "*", "local_orig", Drop, README),
    line("*", "*", "local_resp", Drop, README),
    line("*", "*", "stream", Drop, README),
    line("*", "*", "domain", Drop, README),
    // Endpoints.
    line("*", "*", "id.orig_h", By(|case, v| address(v, &case.text("source.ip"))), ""),
    line("ndpi", "conn", "id.orig_p", By(ndpi_port), "nDPI has no type and code of ICMP in place of ports"),
    line(
        "ndpi",
        "conn",
        "id.resp_p",
        By(|case, v| ndpi_port(&Case { swapped: !case.swapped, ..*case }, v)),
        "nDPI has no type and code of ICMP in place of ports",
    ),
    line("*", "*", "id.orig_p", Is("source.port"), ""),
    line("*", "*", "id.resp_h", By(|case, v| address(v, &case.text("destination.ip"))), ""),
    line("*", "*", "id.resp_p", Is("destination.port"), ""),
    line("zeek", "*", "id_orig_h", By(|case, v| address(v, &case.text("source.ip"))), ""),
    line("zeek", "*", "id_orig_p", Is("source.port"), ""),
    line("zeek", "*", "id_resp_h", By(|case, v| address(v, &case.text("destination.ip"))), ""),
    line("zeek", "*", "id_resp_p", Is("destination.port"), ""),
    line("zeek", "conn", "src", By(|case, v| address(v, &case.text("source.ip"))), ""),
    line("zeek", "conn", "dst", By(|case, v| address(v, &case.text("destination.ip"))), ""),
    line("zeek", "conn", "src_ip", By(|case, v| address(v, &case.text("source.ip"))), ""),
    line("zeek", "conn", "dst_ip", By(|case, v| address(v, &case.text("destination.ip"))), ""),
    line("zeek", "conn", "src_port", Is("source.port"), ""),
    line("zeek", "conn", "dst_port", Is("destination.port"), ""),
    line("suricata-verify", "*", "src_ip", By(|case, v| address(v, &case.text("source.ip"))), ""),
    line("suricata-verify", "*", "src_port", Is("source.port"), ""),
    line("suricata-verify", "*", "dest_ip", By(|case, v| address(v, &case.text("destination.ip"))), ""),
    line("suricata-verify", "*", "dest_port", Is("destination.port"), ""),
    line("tshark", "conn", "first_h", By(|case, v| address(v, &case.text("source.ip"))), ""),
    line("tshark", "conn", "first_p", Is("source.port"), ""),
    line("tshark", "conn", "other_h", By(|case, v| address(v, &case.text("destination.ip"))), ""),
    line("tshark", "conn", "other_p", Is("destination.port"), ""),
    line("tshark", "*", "ip.src", By(|case, v| address(v, &case.text("source.ip"))), ""),
    line("tshark", "*", "ip.dst", By(|case, v| address(v, &case.text("destination.ip"))), ""),
    line("tshark", "*", "tcp.srcport", Is("source.port"), ""),
    line("tshark", "*", "tcp.dstport", Is("destination.port"), ""),
    line("tshark", "*", "udp.srcport", Is("source.port"), ""),
    line("tshark", "*", "udp.dstport", Is("destination.port"), ""),
    line("ja4", "*", "src", By(|case, v| address(v, &case.text("source.ip"))), ""),
    line("ja4", "*", "dst", By(|case, v| address(v, &case.text("destination.ip"))), ""),
    line("ja4", "*", "srcport", Is("source.port"), ""),
    line("ja4", "*", "dstport", Is("destination.port"), ""),
    line("community-id-spec", "*", "saddr", By(|case, v| address(v, &case.text("source.ip"))), ""),
    line("community-id-spec", "*", "daddr", By(|case, v| address(v, &case.text("destination.ip"))), ""),
    line("community-id-spec", "*", "sport", Is("source.port"), ""),
    line("community-id-spec", "*", "dport", Is("destination.port"), ""),
    line("community-id-spec", "*", "proto", Is("network.iana_number"), ""),
    line("community-id-spec", "*", "communityid", Is("network.community_id"), ""),
    line("suricata-verify", "*", "community_id", Is("network.community_id"), ""),
    line("*", "*", "proto", By(protocol), ""),
    line("*", "*", "ip_proto", Is("network.iana_number"), ""),
    // Flows.
    line("zeek", "conn", "duration", By(duration), ""),
    line("zeek", "conn", "orig_bytes", Is("dongson.conn.source.payload_bytes"), ""),
    line("zeek", "conn", "resp_bytes", Is("dongson.conn.destination.payload_bytes"), ""),
    line("zeek", "conn", "orig_ip_bytes", Is("source.bytes"), ""),
    line("zeek", "conn", "resp_ip_bytes", Is("destination.bytes"), ""),
    line("*", "conn", "orig_pkts", Is("source.packets"), ""),
    line("*", "conn", "resp_pkts", Is("destination.packets"), ""),
    line("ndpi", "conn", "orig_l2_bytes", Is("dongson.conn.source.frame_bytes"), ""),
    line("ndpi", "conn", "resp_l2_bytes", Is("dongson.conn.destination.frame_bytes"), ""),
    line("tshark", "conn", "first_pkts", Is("source.packets"), ""),
    line("tshark", "conn", "other_pkts", Is("destination.packets"), ""),
    line("tshark", "conn", "first_l2_bytes", Is("dongson.conn.source.frame_bytes"), ""),
    line("tshark", "conn", "other_l2_bytes", Is("dongson.conn.destination.frame_bytes"), ""),
    line("zeek", "conn", "conn_state", Is("dongson.conn.state"), ""),
    line("zeek", "conn", "history", Is("dongson.conn.history"), ""),
    line("zeek", "conn", "missed_bytes", Is("dongson.conn.missed_bytes"), ""),
    line("zeek", "conn", "service", By(service), ""),
    line("zeek", "conn", "orig_l2_addr", By(|case, v| mac(v, &case.text("source.mac"))), ""),
    line("zeek", "conn", "resp_l2_addr", By(|case, v| mac(v, &case.text("destination.mac"))), ""),
    line(
        "suricata-verify",
        "*",
        "event_type",
        By(|_, v| ["flow", "dns", "http", "tls", "krb5", "ldap", "dcerpc", "smb", "nfs", "rdp"].contains(&v)),
        "",
    ),
    line(
        "suricata-verify",
        "*",
        "app_proto",
        By(app_proto),
        "Suricata does not read NetBIOS names (port 137); we call them dns as Zeek does",
    ),
    line("suricata-verify", "*", "vlan", By(|case, v| vlans(case) == v), ""),
    line("suricata-verify", "*", "vlan[*]", By(|case, v| vlan(case) == v), ""),
    line("suricata-verify", "*", "pkt_src", By(|_, v| v == "wire/pcap"), ""),
    line("suricata-verify", "conn", "flow.pkts_toserver", Is("source.packets"), ""),
    line("suricata-verify", "conn", "flow.pkts_toclient", Is("destination.packets"), ""),
    line("suricata-verify", "conn", "flow.bytes_toserver", Is("dongson.conn.source.frame_bytes"), ""),
    line("suricata-verify", "conn", "flow.bytes_toclient", Is("dongson.conn.destination.frame_bytes"), ""),
    line("suricata-verify", "conn", "flow.age", By(age), ""),
    line("suricata-verify", "conn", "flow.state", By(flow_state), ""),
    line("suricata-verify", "conn", "flow.start", By(|case, v| moment(v, &case.text("event.start"))), ""),
    line("suricata-verify", "conn", "flow.end", By(|case, v| moment(v, &case.text("event.end"))), ""),
    line("suricata-verify", "conn", "tcp.syn", By(|case, v| flag(case, 0x02, v)), ""),
    line("suricata-verify", "conn", "tcp.fin", By(|case, v| flag(case, 0x01, v)), ""),
    line("suricata-verify", "conn", "tcp.rst", By(|case, v| flag(case, 0x04, v)), ""),
    line("suricata-verify", "conn", "tcp.psh", By(|case, v| flag(case, 0x08, v)), ""),
    line("suricata-verify", "conn", "tcp.ack", By(|case, v| flag(case, 0x10, v)), ""),
    line("suricata-verify", "conn", "tcp.tcp_flags", By(|case, v| format!("{:02x}", flags(case)) == v), ""),
    line("suricata-verify", "conn", "tcp.tcp_flags_ts", Is("dongson.conn.source.tcp_flags"), ""),
    line("suricata-verify", "conn", "tcp.tcp_flags_tc", Is("dongson.conn.destination.tcp_flags"), ""),
    line("suricata-verify", "conn", "tcp.state", By(tcp_state), ""),
];

pub(super) fn address(theirs: &str, ours: &str) -> bool {
    match (theirs.parse::<std::net::IpAddr>(), ours.parse::<std::net::IpAddr>()) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        _ => false,
    }
}

pub(super) fn mac(theirs: &str, ours: &str) -> bool {
    theirs.replace(':', "-").eq_ignore_ascii_case(ours)
}

pub(super) fn protocol(case: &Case<'_>, theirs: &str) -> bool {
    let ours = case.text("network.transport");
    let theirs = theirs.to_lowercase();
    let ours = match ours.as_str() {
        "ipv6-icmp" => "icmp",
        other => other,
    };
    ours == theirs || (theirs == "icmpv6" && ours == "icmp") || (theirs == "ipv6-icmp" && ours == "icmp")
}

pub(super) fn duration(case: &Case<'_>, theirs: &str) -> bool {
    seconds(theirs, case.number("event.duration"))
}

pub(super) fn service(case: &Case<'_>, theirs: &str) -> bool {
    let mut theirs: Vec<&str> = theirs.split(',').map(|name| name.trim_end_matches("_tcp")).collect();
    let mut ours = case.list("dongson.conn.services");
    theirs.sort_unstable();
    ours.sort_unstable();
    theirs == ours
}

pub(super) fn app_proto(case: &Case<'_>, theirs: &str) -> bool {
    let ours = case.list("dongson.conn.services");
    let theirs = match theirs {
        "failed" => return ours.is_empty() || case.text("destination.port") == "137",
        "tls" => "ssl",
        "bittorrent-dht" => "bittorrent",
        "http1" => "http",
        "krb5" => "krb",
        "dcerpc" => "dce_rpc",
        other => other,
    };
    ours.iter().any(|name| name == theirs)
}

pub(super) fn vlans(case: &Case<'_>) -> String {
    let tags: Vec<String> = ["network.vlan.id", "network.inner.vlan.id"]
        .into_iter()
        .map(|name| case.text(name))
        .filter(|tag| !tag.is_empty())
        .collect();
    format!("[{}]", tags.join(","))
}

pub(super) fn vlan(case: &Case<'_>) -> String {
    case.text(if case.index == 0 { "network.vlan.id" } else { "network.inner.vlan.id" })
}

/// Suricata's age is the difference of whole seconds.
pub(super) fn age(case: &Case<'_>, theirs: &str) -> bool {
    let seconds = |name| case.event.time(name).map(dongson_event::Timestamp::seconds);
    match (seconds("event.start"), seconds("event.end")) {
        (Some(start), Some(end)) => (end - start).to_string() == theirs,
        _ => false,
    }
}

pub(super) fn flow_state(case: &Case<'_>, theirs: &str) -> bool {
    let state = case.text("dongson.conn.state");
    let tcp = case.text("network.transport") == "tcp";
    let answered = case.number("source.packets") > Some(0) && case.number("destination.packets") > Some(0);
    let ours = match state.as_str() {
        "SF" | "RSTO" | "RSTR" | "REJ" if tcp => "closed",
        "S0" if tcp => "new",
        _ if tcp || answered => "established",
        _ => "new",
    };
    ours == theirs
}

pub(super) fn tcp_state(case: &Case<'_>, theirs: &str) -> bool {
    let ours: &[&str] = match case.text("dongson.conn.state").as_str() {
        "SF" => &["closed", "last_ack", "time_wait"],
        "RSTO" | "RSTR" | "REJ" | "RSTOS0" | "RSTRH" => &["closed"],
        "S0" => &["syn_sent"],
        "S1" => &["established"],
        "S2" | "S3" => &["close_wait", "fin_wait1", "fin_wait2"],
        _ => &[],
    };
    ours.contains(&theirs)
}

pub(super) fn flags(case: &Case<'_>) -> u8 {
    let side = |name| u8::from_str_radix(&case.text(name), 16).unwrap_or(0);
    side("dongson.conn.source.tcp_flags") | side("dongson.conn.destination.tcp_flags")
}

pub(super) fn flag(case: &Case<'_>, bit: u8, theirs: &str) -> bool {
    (flags(case) & bit != 0) == (theirs == "true")
}

pub(super) fn ndpi_port(case: &Case<'_>, theirs: &str) -> bool {
    let ours = case.text("source.port");
    ours == theirs || (theirs == "0" && !has_ports(case.event))
}
