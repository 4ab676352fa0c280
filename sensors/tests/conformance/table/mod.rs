//! THE table: what other programs call a thing, what we call it, and every difference in meaning, settled once.
//!
//! A line whose reason is empty only renames, or changes the way of writing. A line with a reason settles a difference;
//! the run prints how many facts it touched. What is not in the table fails its fact.

mod bittorrent;
mod devices;
mod dhcp;
mod files;
mod ftp;
mod http2;
mod industrial;
mod kerberos;
mod ldap;
mod mailbox;
mod management;
mod microsoft;
mod nfs;
mod ntp;
mod quic;
mod rdp;
mod rfb;
mod services;
mod smb;
mod smtp;
mod split;
mod ssh;
mod tunnel;
mod weird;
mod x509;

use dongson_event::Event;

use crate::fact::Fact;
use crate::values::Case;

/// How a field of a fact is compared.
#[derive(Clone, Copy)]
pub(crate) enum Rule {
    /// Equal, as text, to our field of this name.
    Is(&'static str),
    /// Not compared.
    Drop,
    /// As the function says, given the fact's value.
    By(fn(&Case<'_>, &str) -> bool),
}

/// One line: `*` stands for any source or kind.
pub(crate) struct Line {
    pub(crate) source: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) theirs: &'static str,
    pub(crate) rule: Rule,
    pub(crate) why: &'static str,
}

const fn line(
    source: &'static str,
    kind: &'static str,
    theirs: &'static str,
    rule: Rule,
    why: &'static str,
) -> Line {
    Line { source, kind, theirs, rule, why }
}

use Rule::{By, Drop, Is};

const README: &str = "on the drop list of the set's README";

const ZEEK_FLAGS: &str = "Zeek takes AA and RA only from an answer with records, RD only from a question that it saw; else they are F";

const SPLIT_TEXT: &str = "Suricata makes an answer of each string of a TXT record; ours are joined (RFC 7208, 3.3) and compared joined";

/// Sources whose endpoints are compared without direction first, as the set's README says.
pub(crate) const EITHER_DIRECTION: &[&str] =
    &["ndpi", "tshark", "suricata-verify", "ja4", "community-id-spec"];

/// What the sender's port is called, in any source.
pub(crate) const SOURCE_PORTS: &[&str] =
    &["id.orig_p", "id_orig_p", "src_port", "first_p", "tcp.srcport", "udp.srcport", "srcport", "sport"];

/// Which of our events a kind of facts is about; `None` where the kind is not compared yet.
pub(crate) fn dataset(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "conn" | "community_id" | "local" | "remote" | "netflow" => "sensor.conn",
        "dns" => "sensor.dns",
        "http" | "http-2" | "http-2-2" | "http-3" => "sensor.http",
        "tls" | "fingerprint" | "quic" => "sensor.tls",
        "fileinfo" | "files" | "pe" => "sensor.file",
        "smtp" => "sensor.smtp",
        "irc" => "sensor.irc",
        "pop3" => "sensor.pop3",
        "ftp" => "sensor.ftp",
        "ftp_data" => "sensor.ftp_data",
        "dce_rpc" | "dcerpc" => "sensor.dce_rpc",
        "kerberos" => "sensor.kerberos",
        "ldap" | "ldap_search" => "sensor.ldap",
        "ntlm" => "sensor.ntlm",
        "nfs" => "sensor.nfs",
        "rdp" => "sensor.rdp",
        "rfb" => "sensor.rfb",
        "smb" | "smb_files" | "smb_mapping" => "sensor.smb",
        "ssh" => "sensor.ssh",
        "x509" => "sensor.x509",
        "ntp" | "ntp_control" | "ntp_private" => "sensor.ntp",
        "dhcp" => "sensor.dhcp",
        "radius" => "sensor.radius",
        "arp" => "sensor.arp",
        "snmp" => "sensor.snmp",
        "syslog" => "sensor.syslog",
        "tftp" => "sensor.tftp",
        "redis" => "sensor.redis",
        "mysql" => "sensor.mysql",
        "pgsql" => "sensor.postgresql",
        "dnp3" => "sensor.dnp3",
        "enip" => "sensor.enip",
        "ike" => "sensor.ike",
        "modbus" => "sensor.modbus",
        "mqtt" => "sensor.mqtt",
        "sip" => "sensor.sip",
        "tunnel" => "sensor.tunnel",
        "socks" => "sensor.socks",
        "bittorrent_dht" => "sensor.bittorrent",
        "websocket" => "sensor.websocket",
        "weird" | "anomaly" => "sensor.weird",
        _ => return None,
    })
}

/// Events of a dataset of their own that a fact of this kind can mean.
pub(crate) fn also_means(fact: &Fact, event: &Event) -> bool {
    fact.kind == "http" && event.dataset() == "sensor.http2"
}

/// The tables: the first line that fits a name counts.
const TABLES: &[&[Line]] = &[
    bittorrent::LINES,
    files::LINES,
    http2::LINES,
    smtp::LINES,
    mailbox::LINES,
    management::LINES,
    ftp::LINES,
    x509::LINES,
    quic::LINES,
    nfs::LINES,
    ntp::LINES,
    dhcp::LINES,
    services::LINES,
    devices::LINES,
    industrial::LINES,
    tunnel::LINES,
    weird::LINES,
    LINES,
    kerberos::LINES,
    ldap::LINES,
    microsoft::LINES,
    smb::LINES,
    rdp::LINES,
    rfb::LINES,
    ssh::LINES,
    split::LINES,
];

/// The line of a name (with `[*]` for any index).
pub(crate) fn find(source: &str, kind: &str, theirs: &str) -> Option<&'static Line> {
    TABLES.iter().copied().flatten().find(|line| {
        (line.source == "*" || line.source == source)
            && (line.kind == "*" || line.kind == kind)
            && line.theirs == theirs
    })
}

const LINES: &[Line] = &[
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
    // DNS.
    line("tshark", "dns", "dns.id", By(|case, v| hexadecimal(v) == case.number("dns.id")), ""),
    line(
        "tshark",
        "dns",
        "dns.flags.response",
        By(|case, v| (case.text("dns.type") == "answer") == (v == "1")),
        "",
    ),
    line("tshark", "dns", "dns.qry.name", By(question), ""),
    line("tshark", "dns", "dns.qry.type", By(|case, v| type_name(v) == case.text("dns.question.type")), ""),
    line(
        "tshark",
        "dns",
        "dns.flags.rcode",
        By(|case, v| rcode_name(v) == case.text("dns.response_code")),
        "",
    ),
    line("tshark", "dns", "dns.a", By(|case, v| records_of(case, "A") == v), ""),
    line("tshark", "dns", "dns.aaaa", By(|case, v| records_of(case, "AAAA") == v), ""),
    line("tshark", "dns", "dns.cname", By(|case, v| records_of(case, "CNAME") == v), ""),
    line("zeek", "dns", "trans_id", Is("dns.id"), ""),
    line("zeek", "dns", "query", Is("dns.question.name"), ""),
    line("zeek", "dns", "original_query", By(question), ""),
    line("zeek", "dns", "qclass", By(|case, v| v == "1" && case.text("dns.question.class") == "IN"), ""),
    line(
        "zeek",
        "dns",
        "qclass_name",
        By(|case, v| v == "C_INTERNET" && case.text("dns.question.class") == "IN"),
        "",
    ),
    line("zeek", "dns", "qtype", By(|case, v| type_name(v) == case.text("dns.question.type")), ""),
    line(
        "zeek",
        "dns",
        "qtype_name",
        By(|case, v| v.replace('*', "ANY") == case.text("dns.question.type")),
        "",
    ),
    line("zeek", "dns", "rcode", By(|case, v| rcode_name(v) == case.text("dns.response_code")), ""),
    line("zeek", "dns", "rcode_name", Is("dns.response_code"), ""),
    line("zeek", "dns", "AA", By(|case, v| answered_flag(case, "AA", v)), ZEEK_FLAGS),
    line("zeek", "dns", "TC", By(|case, v| header_flag(case, "TC", v)), ""),
    line("zeek", "dns", "RD", By(|case, v| asked_flag(case, "RD", v)), ZEEK_FLAGS),
    line("zeek", "dns", "RA", By(|case, v| answered_flag(case, "RA", v)), ZEEK_FLAGS),
    line("zeek", "dns", "Z", By(|case, v| reserved(case) == v), ""),
    line("zeek", "dns", "answers", By(|case, v| zeek_answers(case) == v), ""),
    line("zeek", "dns", "TTLs", By(|case, v| zeek_ttls(case) == v), ""),
    line(
        "zeek",
        "dns",
        "rejected",
        By(|case, v| (case.text("dns.response_code") == "REFUSED") == (v == "T")),
        "",
    ),
    line("zeek", "dns", "opcode", By(|case, v| v == "0" && case.text("dns.op_code") == "QUERY"), ""),
    line("zeek", "dns", "opcode_name", By(|case, v| v.to_uppercase() == case.text("dns.op_code")), ""),
    line("zeek", "dns", "rtt", By(|case, v| seconds(v, case.number("dongson.dns.rtt"))), ""),
    line("suricata-verify", "dns", "dns.type", By(|case, v| dns_type(v) == case.text("dns.type")), ""),
    line("suricata-verify", "dns", "dns.version", Drop, "the number of EVE's own DNS layout"),
    line("suricata-verify", "dns", "dns.id", Is("dns.id"), ""),
    line(
        "suricata-verify",
        "dns",
        "dns.opcode",
        By(|case, v| opcode_name(v) == case.text("dns.op_code")),
        "",
    ),
    line("suricata-verify", "dns", "dns.rcode", Is("dns.response_code"), ""),
    line(
        "suricata-verify",
        "dns",
        "dns.qr",
        By(|case, v| (case.text("dns.type") == "answer") == (v == "true")),
        "",
    ),
    line("suricata-verify", "dns", "dns.aa", By(|case, v| header_flag(case, "AA", v)), ""),
    line("suricata-verify", "dns", "dns.tc", By(|case, v| header_flag(case, "TC", v)), ""),
    line("suricata-verify", "dns", "dns.rd", By(|case, v| header_flag(case, "RD", v)), ""),
    line("suricata-verify", "dns", "dns.ra", By(|case, v| header_flag(case, "RA", v)), ""),
    line("suricata-verify", "dns", "dns.flags", By(|case, v| dns_flags(case) == v), ""),
    line("suricata-verify", "dns", "dns.queries[*].rrname", By(question_at), ""),
    line("suricata-verify", "dns", "dns.queries[*].rrtype", By(question_type_at), ""),
    line("suricata-verify", "dns", "dns.rrname", By(question), ""),
    line("suricata-verify", "dns", "dns.rrtype", Is("dns.question.type"), ""),
    line(
        "suricata-verify",
        "dns",
        "dns.answers[*].rrname",
        By(|case, v| {
            same_name(case.item("dns.answers.name"), v)
                || (text_is_split(case) && same_name(case.list("dns.answers.name").into_iter().next(), v))
        }),
        SPLIT_TEXT,
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.answers[*].rrtype",
        By(|case, v| {
            case.item("dns.answers.type").as_deref() == Some(v)
                || (text_is_split(case)
                    && case.list("dns.answers.type").first().is_some_and(|ours| ours == v))
        }),
        SPLIT_TEXT,
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.answers[*].rdata",
        By(|case, v| case.item("dns.answers.data").as_deref() == Some(v) || text_is_split(case)),
        SPLIT_TEXT,
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.answers[*].ttl",
        By(|case, v| {
            case.item("dns.answers.ttl").as_deref() == Some(v)
                || (text_is_split(case) && case.list("dns.answers.ttl").first().is_some_and(|ours| ours == v))
        }),
        SPLIT_TEXT,
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.answers[*].sshfp.algo",
        By(|case, v| case.item("dns.answers.data").is_some_and(|data| data.split(' ').next() == Some(v))),
        "",
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.answers[*].sshfp.fingerprint",
        By(|case, v| case.item("dns.answers.data").is_some_and(|data| data.ends_with(&v.replace(':', "")))),
        "",
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.authorities[*].rrname",
        By(|case, v| same_name(case.item("dongson.dns.authorities.name"), v)),
        "",
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.authorities[*].rrtype",
        By(|case, v| case.item("dongson.dns.authorities.type").as_deref() == Some(v)),
        "",
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.authorities[*].rdata",
        By(|case, v| case.item("dongson.dns.authorities.data").as_deref() == Some(v)),
        "",
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.authorities[*].ttl",
        By(|case, v| case.item("dongson.dns.authorities.ttl").as_deref() == Some(v)),
        "",
    ),
    line("suricata-verify", "dns", "dns.grouped.A[*]", By(|case, v| answer_at(case, "A") == v), ""),
    line(
        "suricata-verify",
        "dns",
        "dns.grouped.TXT[*]",
        By(|case, v| answer_at(case, "TXT") == v || text_is_split(case)),
        SPLIT_TEXT,
    ),
    line("suricata-verify", "dns", "dns.grouped.CNAME[*]", By(|case, v| answer_at(case, "CNAME") == v), ""),
    // HTTP.
    line("tshark", "http", "http.request.method", Is("http.request.method"), ""),
    line("tshark", "http", "http.request.uri", Is("url.original"), ""),
    line("tshark", "http", "http.host", Is("dongson.http.host"), ""),
    line("tshark", "http", "http.user_agent", Is("user_agent.original"), ""),
    line("tshark", "http", "http.response.code", Is("http.response.status_code"), ""),
    line("tshark", "http", "http.server", Is("dongson.http.response.server"), ""),
    line("tshark", "http", "http.content_type", By(content_type), ""),
    line("zeek", "http", "trans_depth", Is("dongson.http.trans_depth"), ""),
    line("zeek", "http", "method", Is("http.request.method"), ""),
    line(
        "zeek",
        "http",
        "uri",
        By(|case, v| {
            let unescaped = case.text("dongson.http.uri_unescaped");
            v == if unescaped.is_empty() { case.text("url.original") } else { unescaped }
        }),
        "",
    ),
    line("zeek", "http", "host", Is("dongson.http.host"), ""),
    line("zeek", "http", "version", Is("http.version"), ""),
    line("zeek", "http", "user_agent", Is("user_agent.original"), ""),
    line("zeek", "http", "referrer", Is("http.request.referrer"), ""),
    line("zeek", "http", "origin", Is("dongson.http.origin"), ""),
    line("zeek", "http", "request_body_len", By(|case, v| body(case, "request", v)), ""),
    line(
        "zeek",
        "http",
        "response_body_len",
        By(|case, v| body(case, "response", v)),
        "Zeek counts a body unpacked from gzip, we count both ways",
    ),
    line(
        "zeek",
        "http",
        "status_code",
        By(|case, v| is_old(case) && v == "0" || case.text("http.response.status_code") == v),
        OLD,
    ),
    line(
        "zeek",
        "http",
        "status_msg",
        By(|case, v| is_old(case) && v == "<empty>" || case.text("dongson.http.status_message") == v),
        OLD,
    ),
    line(
        "zeek",
        "http",
        "orig_filenames",
        By(|case, v| case.list("dongson.http.request.filenames").join(",") == v),
        "",
    ),
    line(
        "zeek",
        "http",
        "resp_filenames",
        By(|case, v| case.list("dongson.http.response.filenames").join(",") == v),
        "",
    ),
    line("zeek", "http", "resp_mime_types", Is("http.response.mime_type"), ""),
    line("zeek", "http", "orig_mime_types", Is("http.request.mime_type"), ""),
    line("suricata-verify", "http", "http.url", Is("url.original"), ""),
    line("suricata-verify", "http", "http.hostname", Is("url.domain"), ""),
    line("suricata-verify", "http", "http.status", Is("http.response.status_code"), ""),
    line("suricata-verify", "http", "http.http_method", Is("http.request.method"), ""),
    line("suricata-verify", "http", "http.http_user_agent", Is("user_agent.original"), ""),
    line("suricata-verify", "http", "http.http_content_type", By(content_type), ""),
    line("suricata-verify", "http", "http.redirect", Is("dongson.http.response.location"), ""),
    line(
        "suricata-verify",
        "http",
        "http.protocol",
        By(|case, v| v == format!("HTTP/{}", case.text("http.version"))),
        "",
    ),
    line("suricata-verify", "http", "http.length", By(|case, v| body(case, "response", v)), ""),
    line("ndpi", "http", "url", By(ndpi_url), ""),
    line(
        "ndpi",
        "http",
        "host",
        By(|case, v| case.text("dongson.http.host") == v || case.text("url.domain") == v),
        "",
    ),
    line("ndpi", "http", "user_agent", Is("user_agent.original"), ""),
    line("ndpi", "http", "status_code", Is("http.response.status_code"), ""),
    line(
        "ndpi",
        "http",
        "content_type",
        By(ndpi_content_type),
        "nDPI keeps a Content-Type up to its first parameter",
    ),
    // TLS.
    line(
        "tshark",
        "tls",
        "tls.handshake.type",
        By(handshake_type),
        "tshark lists what one frame completes, we list all messages of the server",
    ),
    line("tshark", "tls", "tls.handshake.version", By(handshake_version), ""),
    line("tshark", "tls", "tls.handshake.extensions_server_name", Is("tls.client.server_name"), ""),
    line("tshark", "tls", "tls.handshake.ja3", Is("tls.client.ja3"), ""),
    line("tshark", "tls", "tls.handshake.ja3s", Is("tls.server.ja3s"), ""),
    line(
        "tshark",
        "tls",
        "tls.handshake.ciphersuite",
        By(|case, v| hexadecimal(v) == hexadecimal(&case.text("dongson.tls.cipher_code"))),
        "",
    ),
    line("zeek", "tls", "version", By(|case, v| zeek_version(case) == v), ""),
    line("zeek", "tls", "cipher", Is("tls.cipher"), ""),
    line("zeek", "tls", "curve", Is("tls.curve"), ""),
    line("zeek", "tls", "server_name", Is("tls.client.server_name"), ""),
    line("zeek", "tls", "resumed", By(|case, v| truth(&case.text("tls.resumed")) == v), ""),
    line("zeek", "tls", "established", By(|case, v| truth(&case.text("tls.established")) == v), ""),
    line("zeek", "tls", "ssl_history", Is("dongson.tls.history"), ""),
    line("zeek", "tls", "last_alert", Is("dongson.tls.alert"), ""),
    line(
        "zeek",
        "tls",
        "cert_chain_fps",
        By(|case, v| case.list("dongson.tls.server.chain_sha256").join(",") == v),
        "",
    ),
    line(
        "zeek",
        "tls",
        "subject",
        By(|case, v| reversed_name(&case.text("tls.server.subject")) == v),
        "Zeek writes the most specific part of a name first, we keep the certificate's order",
    ),
    line(
        "zeek",
        "tls",
        "issuer",
        By(|case, v| reversed_name(&case.text("tls.server.issuer")) == v),
        "Zeek writes the most specific part of a name first, we keep the certificate's order",
    ),
    line(
        "zeek",
        "tls",
        "requested_client_certificate_authorities",
        By(authorities),
        "Zeek writes the most specific part of a name first, we keep the certificate's order",
    ),
    line("suricata-verify", "tls", "tls.sni", Is("tls.client.server_name"), ""),
    line("suricata-verify", "tls", "tls.version", By(suricata_version), ""),
    line("suricata-verify", "tls", "tls.subject", Is("tls.server.subject"), ""),
    line("suricata-verify", "tls", "tls.issuerdn", Is("tls.server.issuer"), ""),
    line(
        "suricata-verify",
        "tls",
        "tls.serial",
        By(|case, v| v.replace(':', "").eq_ignore_ascii_case(&case.text("tls.server.x509.serial_number"))),
        "",
    ),
    line(
        "suricata-verify",
        "tls",
        "tls.fingerprint",
        By(|case, v| v.replace(':', "").eq_ignore_ascii_case(&case.text("tls.server.hash.sha1"))),
        "",
    ),
    line(
        "suricata-verify",
        "tls",
        "tls.notbefore",
        By(|case, v| moment(v, &case.text("tls.server.not_before"))),
        "",
    ),
    line(
        "suricata-verify",
        "tls",
        "tls.notafter",
        By(|case, v| moment(v, &case.text("tls.server.not_after"))),
        "",
    ),
    line("suricata-verify", "tls", "tls.ja3.hash", Is("tls.client.ja3"), ""),
    line("suricata-verify", "tls", "tls.ja3.string", Is("dongson.tls.client.ja3_string"), ""),
    line("suricata-verify", "tls", "tls.ja4", Is("tls.client.ja4"), ""),
    line(
        "suricata-verify",
        "tls",
        "tls.client_alpns[*]",
        By(|case, v| case.item("dongson.tls.client.alpn").as_deref() == Some(v)),
        "",
    ),
    line(
        "suricata-verify",
        "tls",
        "tls.subjectaltname[*]",
        By(|case, v| case.item("tls.server.x509.alternative_names").as_deref() == Some(v)),
        "",
    ),
    line(
        "ndpi",
        "tls",
        "server_name",
        By(|case, v| case.text("tls.client.server_name").eq_ignore_ascii_case(v)),
        "nDPI writes names in lower case",
    ),
    line("ndpi", "tls", "ja3", Is("tls.client.ja3"), ""),
    line(
        "ndpi",
        "tls",
        "ja3s",
        By(|case, v| v.split(' ').next() == Some(&case.text("tls.server.ja3s"))),
        "the word in brackets is on the drop list of the set's README",
    ),
    line(
        "ndpi",
        "tls",
        "ja4",
        By(ndpi_ja4),
        "nDPI's letter for the server name says whether it knows one from anywhere, and it takes the first and second sign of the ALPN; the specification takes the SNI, and first and last sign",
    ),
    line("ndpi", "tls", "cipher", Is("tls.cipher"), ""),
    line(
        "ndpi",
        "tls",
        "version",
        By(ndpi_version),
        "where no server answered nDPI names the version of the client's hello",
    ),
    line("ndpi", "tls", "subject", Is("tls.server.subject"), ""),
    line("ndpi", "tls", "issuer", Is("tls.server.issuer"), ""),
    line(
        "ndpi",
        "tls",
        "cert_sha1",
        By(|case, v| v.replace(':', "").eq_ignore_ascii_case(&case.text("tls.server.hash.sha1"))),
        "",
    ),
    line("ndpi", "tls", "alpn", Is("tls.next_protocol"), ""),
    // JA4.
    line("ja4", "fingerprint", "JA4.1", Is("tls.client.ja4"), ""),
    line("ja4", "fingerprint", "JA4_r.1", Is("dongson.tls.client.ja4_r"), ""),
    line("ja4", "fingerprint", "JA4_o.1", Is("dongson.tls.client.ja4_o"), ""),
    line("ja4", "fingerprint", "JA4_ro.1", Is("dongson.tls.client.ja4_ro"), ""),
    line(
        "ja4",
        "fingerprint",
        "JA4.2",
        By(|case, v| case.list("dongson.tls.client.retry_ja4").first().is_some_and(|ours| ours == v)),
        "",
    ),
    line(
        "ja4",
        "fingerprint",
        "JA4_r.2",
        By(|case, v| case.list("dongson.tls.client.retry_ja4_r").first().is_some_and(|ours| ours == v)),
        "",
    ),
    line(
        "ja4",
        "fingerprint",
        "JA4_o.2",
        By(|case, v| case.list("dongson.tls.client.retry_ja4_o").first().is_some_and(|ours| ours == v)),
        "",
    ),
    line(
        "ja4",
        "fingerprint",
        "JA4_ro.2",
        By(|case, v| case.list("dongson.tls.client.retry_ja4_ro").first().is_some_and(|ours| ours == v)),
        "",
    ),
    line(
        "ja4",
        "fingerprint",
        "client_ttl",
        By(|case, v| flow_text(case, "dongson.conn.source.ttl") == v),
        "",
    ),
    line(
        "ja4",
        "fingerprint",
        "server_ttl",
        By(|case, v| flow_text(case, "dongson.conn.destination.ttl") == v),
        "",
    ),
];

/// The name and reason under which a second reading of a capture is counted.
pub(crate) const VERIFIED: (&str, &str) = (
    "history",
    "a history with C or c was made by a Zeek that verifies checksums: the capture is read so too",
);

/// A source whose flows are the sums of ours.
pub(crate) struct Joined {
    pub(crate) source: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) why: &'static str,
}

/// Whether the flows of a fact's source are sums of ours.
pub(crate) fn joined(fact: &Fact) -> Option<Joined> {
    match (fact.source.as_str(), fact.kind.as_str()) {
        ("ndpi", "conn") => Some(Joined {
            source: "ndpi",
            kind: "conn",
            why: "nDPI splits and joins flows with its own timeouts: all our flows of the endpoints are added",
        }),
        ("tshark", "conn") => Some(Joined {
            source: "tshark",
            kind: "conn",
            why: "a conversation of tshark lasts as long as the file: all our flows of the endpoints are added",
        }),
        ("suricata-verify", "conn") if fact.count == Some(1) => Some(Joined {
            source: "suricata-verify",
            kind: "conn",
            why: "Suricata keeps a closed flow longer than 5 seconds: stragglers, a flow of their own with us, are added",
        }),
        _ => None,
    }
}

/// Adds the counts of `event` to `sum`.
pub(crate) fn add(sum: &mut Event, event: &Event, turned: bool) {
    for ours in ["packets", "dongson.frame_bytes"] {
        for side in ["source", "destination"] {
            let name = |side: &str| match ours {
                "packets" => format!("{side}.packets"),
                _ => format!("dongson.conn.{side}.frame_bytes"),
            };
            let from = if turned { if side == "source" { "destination" } else { "source" } } else { side };
            let total = sum.int(&name(side)).unwrap_or(0) + event.int(&name(from)).unwrap_or(0);
            sum.set(name(side), total);
        }
    }
    let ends = [sum.time("event.end"), event.time("event.end")];
    sum.set_some("event.end", ends.into_iter().flatten().max());
}

/// Events that a fact of this source cannot mean.
pub(crate) fn left_out(
    fact: &Fact,
    event: &Event,
    touched: &mut Vec<(&'static str, &'static str, &'static str, &'static str)>,
) -> bool {
    let tunnel = ["gre", "ipip", "mpls"].contains(&event.text("network.protocol").unwrap_or_default());
    let out = fact.source == "suricata-verify" && fact.kind == "conn" && fact.count.is_some() && tunnel;
    if out {
        let why = "Suricata makes no flow for a tunnel over IP itself: ours is not counted";
        touched.push(("suricata-verify", "conn", "(count)", why));
    }
    let mail = event.text("network.protocol") == Some("smtp") && event.text("file.name").is_none();
    let unnamed = fact.source == "suricata-verify" && fact.kind == "fileinfo" && mail;
    if unnamed {
        let why = "Suricata tells parts of a mail only where they have a name";
        touched.push(("suricata-verify", "fileinfo", "(count)", why));
    }
    out || unnamed
}

fn address(theirs: &str, ours: &str) -> bool {
    match (theirs.parse::<std::net::IpAddr>(), ours.parse::<std::net::IpAddr>()) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        _ => false,
    }
}

fn mac(theirs: &str, ours: &str) -> bool {
    theirs.replace(':', "-").eq_ignore_ascii_case(ours)
}

fn protocol(case: &Case<'_>, theirs: &str) -> bool {
    let ours = case.text("network.transport");
    let theirs = theirs.to_lowercase();
    let ours = match ours.as_str() {
        "ipv6-icmp" => "icmp",
        other => other,
    };
    ours == theirs || (theirs == "icmpv6" && ours == "icmp") || (theirs == "ipv6-icmp" && ours == "icmp")
}

fn duration(case: &Case<'_>, theirs: &str) -> bool {
    seconds(theirs, case.number("event.duration"))
}

/// Seconds with a fraction beside nanoseconds; both rounded to microseconds.
fn seconds(theirs: &str, ours: Option<i64>) -> bool {
    let (Ok(theirs), Some(ours)) = (theirs.parse::<f64>(), ours) else { return false };
    #[expect(clippy::cast_precision_loss, reason = "microseconds are compared")]
    let ours = ours as f64 / 1e9;
    (theirs - ours).abs() < 0.000_001_5
}

fn service(case: &Case<'_>, theirs: &str) -> bool {
    let mut theirs: Vec<&str> = theirs.split(',').map(|name| name.trim_end_matches("_tcp")).collect();
    let mut ours = case.list("dongson.conn.services");
    theirs.sort_unstable();
    ours.sort_unstable();
    theirs == ours
}

fn app_proto(case: &Case<'_>, theirs: &str) -> bool {
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

fn vlans(case: &Case<'_>) -> String {
    let tags: Vec<String> = ["network.vlan.id", "network.inner.vlan.id"]
        .into_iter()
        .map(|name| case.text(name))
        .filter(|tag| !tag.is_empty())
        .collect();
    format!("[{}]", tags.join(","))
}

fn vlan(case: &Case<'_>) -> String {
    case.text(if case.index == 0 { "network.vlan.id" } else { "network.inner.vlan.id" })
}

/// Suricata's age is the difference of whole seconds.
fn age(case: &Case<'_>, theirs: &str) -> bool {
    let seconds = |name| case.event.time(name).map(dongson_event::Timestamp::seconds);
    match (seconds("event.start"), seconds("event.end")) {
        (Some(start), Some(end)) => (end - start).to_string() == theirs,
        _ => false,
    }
}

fn flow_state(case: &Case<'_>, theirs: &str) -> bool {
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

fn tcp_state(case: &Case<'_>, theirs: &str) -> bool {
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

fn flags(case: &Case<'_>) -> u8 {
    let side = |name| u8::from_str_radix(&case.text(name), 16).unwrap_or(0);
    side("dongson.conn.source.tcp_flags") | side("dongson.conn.destination.tcp_flags")
}

fn flag(case: &Case<'_>, bit: u8, theirs: &str) -> bool {
    (flags(case) & bit != 0) == (theirs == "true")
}

fn moment(theirs: &str, ours: &str) -> bool {
    let theirs = theirs.trim_end_matches("+0000").trim_end_matches('Z');
    let parse = |text: &str| dongson_event::Timestamp::parse(text).ok();
    let theirs = parse(&format!("{theirs}Z"));
    theirs.is_some() && theirs == parse(ours)
}

/// Seconds since 1970 beside a time.
fn epoch(theirs: &str, ours: &str) -> bool {
    let Ok(ours) = dongson_event::Timestamp::parse(ours) else { return false };
    seconds(theirs, Some(ours.nanos()))
}

fn hexadecimal(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn same_name(ours: Option<String>, theirs: &str) -> bool {
    ours.is_some_and(|ours| ours.eq_ignore_ascii_case(theirs))
}

/// The name asked for, as it was written.
fn question(case: &Case<'_>, theirs: &str) -> bool {
    let original = case.text("dongson.dns.question_original");
    let ours = if original.is_empty() { case.text("dns.question.name") } else { original };
    let root = ours.is_empty() && theirs == "<Root>";
    ours == theirs || root
}

fn question_at(case: &Case<'_>, theirs: &str) -> bool {
    let all = case.list("dongson.dns.questions.name");
    if all.is_empty() {
        question(case, theirs)
    } else {
        all.get(case.index).is_some_and(|ours| ours == theirs)
    }
}

fn question_type_at(case: &Case<'_>, theirs: &str) -> bool {
    let all = case.list("dongson.dns.questions.type");
    if all.is_empty() {
        case.text("dns.question.type") == theirs
    } else {
        all.get(case.index).is_some_and(|ours| ours == theirs)
    }
}

fn type_name(number: &str) -> String {
    const NAMES: &[(&str, &str)] = &[
        ("1", "A"),
        ("2", "NS"),
        ("5", "CNAME"),
        ("6", "SOA"),
        ("12", "PTR"),
        ("15", "MX"),
        ("16", "TXT"),
        ("28", "AAAA"),
        ("32", "NB"),
        ("33", "SRV"),
        ("35", "NAPTR"),
        ("43", "DS"),
        ("46", "RRSIG"),
        ("48", "DNSKEY"),
        ("64", "SVCB"),
        ("65", "HTTPS"),
        ("252", "AXFR"),
        ("255", "ANY"),
    ];
    let name = NAMES.iter().find(|(code, _)| *code == number).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("TYPE{number}"))
}

fn rcode_name(number: &str) -> &str {
    match number {
        "0" => "NOERROR",
        "1" => "FORMERR",
        "2" => "SERVFAIL",
        "3" => "NXDOMAIN",
        "4" => "NOTIMP",
        "5" => "REFUSED",
        other => other,
    }
}

fn opcode_name(number: &str) -> String {
    match number {
        "0" => "QUERY".to_owned(),
        "4" => "NOTIFY".to_owned(),
        "5" => "UPDATE".to_owned(),
        other => format!("OPCODE{other}"),
    }
}

fn dns_type(theirs: &str) -> &str {
    match theirs {
        "request" => "query",
        "response" => "answer",
        other => other,
    }
}

fn header_flag(case: &Case<'_>, name: &str, theirs: &str) -> bool {
    let set = case.list("dns.header_flags").iter().any(|flag| flag == name);
    set == matches!(theirs, "T" | "true")
}

fn fact_has(case: &Case<'_>, name: &str) -> bool {
    case.fact.is_some_and(|fact| fact.fields.iter().any(|(theirs, _)| theirs == name))
}

fn answered_flag(case: &Case<'_>, name: &str, theirs: &str) -> bool {
    if fact_has(case, "TTLs") { header_flag(case, name, theirs) } else { theirs == "F" }
}

fn asked_flag(case: &Case<'_>, name: &str, theirs: &str) -> bool {
    if fact_has(case, "qtype") { header_flag(case, name, theirs) } else { theirs == "F" }
}

fn bit(case: &Case<'_>, name: &str, value: u16) -> u16 {
    if case.list("dns.header_flags").iter().any(|flag| flag == name) { value } else { 0 }
}

/// The three bits between RA and the response code.
fn reserved(case: &Case<'_>) -> String {
    (bit(case, "Z", 4) | bit(case, "AD", 2) | bit(case, "CD", 1)).to_string()
}

/// The second word of the message, put together again.
fn dns_flags(case: &Case<'_>) -> String {
    let answer = if case.text("dns.type") == "answer" { 0x8000 } else { 0 };
    let code = (0..=5_u16).find(|code| rcode_name(&code.to_string()) == case.text("dns.response_code"));
    let named =
        [("AA", 0x400), ("TC", 0x200), ("RD", 0x100), ("RA", 0x80), ("Z", 0x40), ("AD", 0x20), ("CD", 0x10)];
    let flags = named.iter().fold(0, |all, (name, value)| all | bit(case, name, *value));
    format!("{:x}", answer | flags | code.unwrap_or(0))
}

/// True when all answers are texts, and the fact's joined are ours joined.
fn text_is_split(case: &Case<'_>) -> bool {
    let theirs: String = case
        .fact
        .iter()
        .flat_map(|fact| &fact.fields)
        .filter(|(name, _)| name.starts_with("dns.answers[") && name.ends_with("].rdata"))
        .map(|(_, value)| crate::values::plain(value))
        .collect();
    let only_texts = case.list("dns.answers.type").iter().all(|kind| kind == "TXT");
    only_texts && !theirs.is_empty() && case.list("dns.answers.data").concat() == theirs
}

/// The data of all answers of one type.
fn data_of(case: &Case<'_>, kind: &str) -> Vec<String> {
    let (kinds, data) = (case.list("dns.answers.type"), case.list("dns.answers.data"));
    kinds.iter().zip(data).filter(|(name, _)| *name == kind).map(|(_, data)| data).collect()
}

/// The data of all records of one type, in the order of the message, as tshark writes a list.
fn records_of(case: &Case<'_>, kind: &str) -> String {
    let sections = ["dns.answers", "dongson.dns.authorities", "dongson.dns.additionals"];
    let all = sections.into_iter().flat_map(|section| {
        let (kinds, data) = (case.list(&format!("{section}.type")), case.list(&format!("{section}.data")));
        kinds.into_iter().zip(data).filter(|(name, _)| name == kind).map(|(_, data)| data)
    });
    all.collect::<Vec<_>>().join("|")
}

fn answer_at(case: &Case<'_>, kind: &str) -> String {
    data_of(case, kind).into_iter().nth(case.index).unwrap_or_else(|| "(none)".to_owned())
}

/// Zeek writes texts with type and length in front.
fn zeek_answers(case: &Case<'_>) -> String {
    let (kinds, data) = (case.list("dns.answers.type"), case.list("dns.answers.data"));
    let written = kinds.iter().zip(data).map(|(kind, data)| match kind.as_str() {
        "TXT" | "SPF" => format!("{kind} {} {data}", data.len()),
        _ => data,
    });
    written.collect::<Vec<_>>().join(",")
}

fn zeek_ttls(case: &Case<'_>) -> String {
    case.list("dns.answers.ttl").iter().map(|ttl| format!("{ttl}.000000")).collect::<Vec<_>>().join(",")
}

/// Content-Type of the message that a fact is about.
fn content_type(case: &Case<'_>, theirs: &str) -> bool {
    let ours = ["dongson.http.response.content_type", "dongson.http.request.content_type"]
        .map(|name| case.text(name));
    ours.iter().any(|ours| ours == theirs)
}

fn ndpi_content_type(case: &Case<'_>, theirs: &str) -> bool {
    let ours = ["dongson.http.response.content_type", "dongson.http.request.content_type"]
        .map(|name| case.text(name));
    let short = |text: &str| text.split(';').next().unwrap_or_default().trim().to_owned();
    ours.iter().any(|ours| short(ours) == short(theirs))
}

const OLD: &str = "Zeek gives an answer of HTTP/0.9, which has no status, the number 0";

fn is_old(case: &Case<'_>) -> bool {
    case.text("http.version") == "0.9"
}

fn body(case: &Case<'_>, side: &str, theirs: &str) -> bool {
    let wire = case.text(&format!("http.{side}.body.bytes"));
    let unpacked = case.text(&format!("dongson.http.{side}.unpacked_bytes"));
    if unpacked.is_empty() { wire == theirs } else { unpacked == theirs }
}

/// nDPI writes host and target as one.
fn ndpi_url(case: &Case<'_>, theirs: &str) -> bool {
    let (host, target) = (case.text("dongson.http.host"), case.text("url.original"));
    let absolute = target.strip_prefix("http://").unwrap_or(&target);
    theirs == format!("{host}{target}") || theirs == target || theirs == absolute
}

fn handshake_type(case: &Case<'_>, theirs: &str) -> bool {
    let theirs: Vec<&str> = theirs.split('|').collect();
    match theirs.first() {
        Some(&"1") => !case.text("tls.client.ja3").is_empty() && !case.swapped,
        Some(&"2") => {
            let ours = case.list("dongson.tls.server.handshakes");
            case.swapped && ours.iter().map(String::as_str).collect::<Vec<_>>().starts_with(&theirs)
        }
        _ => false,
    }
}

/// The version that a hello itself names: the client's when the client sent it.
fn handshake_version(case: &Case<'_>, theirs: &str) -> bool {
    let ours =
        case.text(if case.swapped { "dongson.tls.server.version" } else { "dongson.tls.client.version" });
    hexadecimal(&ours) == hexadecimal(theirs)
}

fn zeek_version(case: &Case<'_>) -> String {
    let version = case.text("tls.version");
    let name = case.text("tls.version_protocol").to_uppercase();
    let (number, draft) =
        version.split_once('-').map_or((version.as_str(), ""), |(number, draft)| (number, draft));
    let draft = if draft.is_empty() { String::new() } else { format!("-{draft}") };
    format!("{name}v{}{draft}", number.replace('.', ""))
}

fn truth(ours: &str) -> &'static str {
    if ours == "true" { "T" } else { "F" }
}

fn suricata_version(case: &Case<'_>, theirs: &str) -> bool {
    let ours = case.text("tls.version");
    let theirs = match theirs {
        "TLSv1" => "1.0".to_owned(),
        "SSLv3" => "3.0".to_owned(),
        other => other.trim_start_matches("TLS ").replace(' ', "-").replace("draft-", "draft"),
    };
    ours == theirs
}

fn ndpi_port(case: &Case<'_>, theirs: &str) -> bool {
    let ours = case.text("source.port");
    ours == theirs || (theirs == "0" && !has_ports(case.event))
}

/// True for transports whose ports are ports.
pub(crate) fn has_ports(event: &Event) -> bool {
    ["tcp", "udp", "sctp"].contains(&event.text("network.transport").unwrap_or_default())
}

/// The fingerprint without the letter for the server name and the second sign of the ALPN.
fn ndpi_ja4(case: &Case<'_>, theirs: &str) -> bool {
    let bare = |text: &str| -> String {
        text.char_indices().filter(|(at, _)| ![3, 9].contains(at)).map(|(_, sign)| sign).collect()
    };
    bare(&case.text("tls.client.ja4")) == bare(theirs)
}

fn ndpi_version(case: &Case<'_>, theirs: &str) -> bool {
    let chosen = case.text("tls.version");
    let offered = match hexadecimal(&case.text("dongson.tls.client.version")) {
        Some(0x0301) => "1.0",
        Some(0x0302) => "1.1",
        Some(0x0303) => "1.2",
        _ => "",
    };
    let ours = if case.text("tls.server.ja3s").is_empty() { offered } else { chosen.as_str() };
    format!("TLSv{ours}") == if theirs == "TLSv1" { "TLSv1.0" } else { theirs }
}

/// A distinguished name with its parts in the other order, as RFC 2253 writes it.
fn reversed_name(name: &str) -> String {
    let mut parts: Vec<&str> = name.split(", ").collect();
    parts.reverse();
    parts.join(",")
}

fn authorities(case: &Case<'_>, theirs: &str) -> bool {
    let ours: Vec<String> =
        case.list("dongson.tls.requested_authorities").iter().map(|name| reversed_name(name)).collect();
    ours.join(",") == theirs.replace("\\x2c", ",")
}

/// A field of the flow that an event belongs to.
fn flow_text(case: &Case<'_>, name: &str) -> String {
    let uid = case.text("dongson.conn.uid");
    let flow = case.all.iter().find(|event| {
        event.dataset() == "sensor.conn" && event.text("dongson.conn.uid") == Some(uid.as_str())
    });
    flow.map(|event| Case { event, swapped: case.swapped, index: 0, all: &[], fact: None }.text(name))
        .unwrap_or_default()
}
