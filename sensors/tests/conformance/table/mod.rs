//! THE table: what other programs call a thing, what we call it, and every difference in meaning, settled once.
//!
//! A line whose reason is empty only renames, or changes the way of writing. A line with a reason settles a difference;
//! the run prints how many facts it touched. What is not in the table fails its fact.

mod bittorrent;
mod conn;
mod devices;
mod dhcp;
mod dns;
mod files;
mod ftp;
mod http;
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
mod tls;
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

const README: &str = "on the drop list of the set's README";

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
    conn::LINES,
    dns::LINES,
    http::LINES,
    tls::LINES,
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

/// Seconds with a fraction beside nanoseconds; both rounded to microseconds.
fn seconds(theirs: &str, ours: Option<i64>) -> bool {
    let (Ok(theirs), Some(ours)) = (theirs.parse::<f64>(), ours) else { return false };
    #[expect(clippy::cast_precision_loss, reason = "microseconds are compared")]
    let ours = ours as f64 / 1e9;
    (theirs - ours).abs() < 0.000_001_5
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

/// True for transports whose ports are ports.
pub(crate) fn has_ports(event: &Event) -> bool {
    ["tcp", "udp", "sctp"].contains(&event.text("network.transport").unwrap_or_default())
}
