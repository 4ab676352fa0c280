//! Zeek's logs as JSON: what ECS and the sensor's own names know is renamed, the rest stays as `zeek.<log>.<name>`.
//!
//! The log is told by `_path` (Zeek's streaming logs), by `event.dataset` (`zeek.dns`, set by a shipper), or by
//! fields that only one log has.

use super::json::{claim_from, read};
use super::{Context, Parsed, Refusal};
use dongson_event::{Event, Value};

/// Reads one JSON line of a Zeek log.
pub fn parse(bytes: &[u8], context: &Context<'_>) -> Result<Parsed, Refusal> {
    from_event(read(bytes)?, context)
}

/// Fields by which a log is known when nothing names it; the first line that holds wins.
const MARKS: &[(&str, &[&str])] = &[
    ("notice", &["note", "actions"]),
    ("conn", &["conn_state"]),
    ("dns", &["qclass_name"]),
    ("dns", &["query", "trans_id"]),
    ("http", &["trans_depth", "request_body_len"]),
    ("ssl", &["established", "resumed"]),
    ("ssh", &["auth_attempts"]),
    ("ssh", &["kex_alg"]),
    ("files", &["fuid", "analyzers"]),
    ("x509", &["certificate.subject"]),
    ("weird", &["name", "peer", "notice"]),
    ("smb_files", &["action", "path", "size", "times.modified"]),
    ("rdp", &["cookie", "security_protocol"]),
    ("kerberos", &["request_type", "forwardable"]),
    ("ftp", &["command", "reply_code"]),
    ("smtp", &["helo", "mailfrom"]),
];

/// Which log this is; `None` when it is not Zeek's.
pub(crate) fn log_of(event: &Event) -> Option<String> {
    let word = |text: &str| {
        let plain = !text.is_empty()
            && text.len() <= 40
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        plain.then(|| text.to_owned())
    };
    if let Some(log) = event.text("event.dataset").and_then(|dataset| dataset.strip_prefix("zeek.")) {
        return word(log);
    }
    if let (Some(path), Some(_)) = (event.text("_path"), event.get("ts")) {
        return word(path);
    }
    let zeek = event.get("ts").is_some()
        && (event.get("uid").is_some()
            || event.get("fuid").is_some()
            || event.get("note").is_some()
            || event.get("certificate.subject").is_some());
    let (log, _) = MARKS.iter().find(|(_, names)| names.iter().all(|name| event.get(name).is_some()))?;
    zeek.then(|| (*log).to_owned())
}

/// Reads an event that is flat already.
pub(crate) fn from_event(mut parsed: Parsed, context: &Context<'_>) -> Result<Parsed, Refusal> {
    let log = log_of(&parsed.event).ok_or(Refusal::Other("zeek"))?;
    // `ts` is when it happened; a shipper's `@timestamp` is when it read the line.
    claim_from(&["ts", "@timestamp"], &mut parsed, context);
    parsed.event.remove("ts");
    parsed.event.remove("_path");
    parsed.event.remove("_write_ts");
    for (from, to) in ALL.iter().chain(table(&log)) {
        super::json::rename(&mut parsed.event, from, to);
    }
    prefix_rest(&log, &mut parsed.event);
    derive(&log, &mut parsed.event);
    parsed.set("event.dataset", format!("zeek.{log}"));
    parsed.set("event.module", "zeek");
    Ok(parsed)
}

type Names = &'static [(&'static str, &'static str)];

const ALL: Names = &[
    ("uid", "dongson.conn.uid"),
    ("id.orig_h", "source.ip"),
    ("id.orig_p", "source.port"),
    ("id.resp_h", "destination.ip"),
    ("id.resp_p", "destination.port"),
    ("proto", "network.transport"),
    ("community_id", "network.community_id"),
];

const CONN: Names = &[
    ("service", "network.protocol"),
    ("orig_ip_bytes", "source.bytes"),
    ("resp_ip_bytes", "destination.bytes"),
    ("orig_pkts", "source.packets"),
    ("resp_pkts", "destination.packets"),
    ("orig_bytes", "dongson.conn.source.payload_bytes"),
    ("resp_bytes", "dongson.conn.destination.payload_bytes"),
    ("conn_state", "dongson.conn.state"),
    ("history", "dongson.conn.history"),
    ("missed_bytes", "dongson.conn.missed_bytes"),
    ("vlan", "network.vlan.id"),
    ("inner_vlan", "network.inner.vlan.id"),
    ("orig_l2_addr", "source.mac"),
    ("resp_l2_addr", "destination.mac"),
];

const DNS: Names = &[
    ("query", "dns.question.name"),
    ("qtype_name", "dns.question.type"),
    ("qclass_name", "dns.question.class"),
    ("rcode_name", "dns.response_code"),
    ("answers", "dns.answers.data"),
    ("TTLs", "dns.answers.ttl"),
];

const HTTP: Names = &[
    ("method", "http.request.method"),
    ("host", "url.domain"),
    ("uri", "url.original"),
    ("referrer", "http.request.referrer"),
    ("user_agent", "user_agent.original"),
    ("version", "http.version"),
    ("request_body_len", "http.request.body.bytes"),
    ("response_body_len", "http.response.body.bytes"),
    ("status_code", "http.response.status_code"),
    ("status_msg", "dongson.http.status_message"),
    ("trans_depth", "dongson.http.trans_depth"),
    ("proxied", "dongson.http.forwarded"),
    ("username", "url.username"),
];

const SSL: Names = &[
    ("version", "tls.version"),
    ("cipher", "tls.cipher"),
    ("curve", "tls.curve"),
    ("server_name", "tls.client.server_name"),
    ("resumed", "tls.resumed"),
    ("established", "tls.established"),
    ("next_protocol", "tls.next_protocol"),
    ("subject", "tls.server.subject"),
    ("issuer", "tls.server.issuer"),
    ("client_subject", "tls.client.subject"),
    ("client_issuer", "tls.client.issuer"),
    ("ja3", "tls.client.ja3"),
    ("ja3s", "tls.server.ja3s"),
    ("ja4", "tls.client.ja4"),
    ("last_alert", "dongson.tls.alert"),
];

const FILES: Names = &[
    ("tx_hosts", "source.address"),
    ("mime_type", "file.mime_type"),
    ("filename", "file.name"),
    ("seen_bytes", "file.size"),
    ("md5", "file.hash.md5"),
    ("sha1", "file.hash.sha1"),
    ("sha256", "file.hash.sha256"),
];

const NOTICE: Names = &[
    ("note", "rule.name"),
    ("msg", "message"),
    ("src", "source.ip"),
    ("dst", "destination.ip"),
    ("p", "destination.port"),
];

const WEIRD: Names = &[("name", "dongson.weird.name"), ("addl", "dongson.weird.detail")];
const USERS: Names = &[("username", "user.name"), ("user", "user.name"), ("client", "zeek.client")];

fn table(log: &str) -> Names {
    match log {
        "conn" => CONN,
        "dns" => DNS,
        "http" => HTTP,
        "ssl" => SSL,
        "files" => FILES,
        "notice" => NOTICE,
        "weird" => WEIRD,
        "ntlm" | "ftp" | "socks" => USERS,
        _ => &[],
    }
}

/// Names that Zeek gave and no table knows go under `zeek.<log>.`; ECS names and what a shipper added stay.
fn prefix_rest(log: &str, event: &mut Event) {
    let strange: Vec<String> =
        event.iter().map(|(name, _)| name).filter(|name| !placed(name)).map(str::to_owned).collect();
    for name in strange {
        if let Some(value) = event.remove(&name) {
            event.set(format!("zeek.{log}.{name}"), value);
        }
    }
}

fn placed(name: &str) -> bool {
    const ROOTS: &[&str] = &[
        "@",
        "agent.",
        "dongson.",
        "ecs.",
        "event.",
        "fileset.",
        "host.",
        "input.",
        "labels.",
        "log.",
        "observer.",
        "organization.",
        "service.",
        "zeek.",
    ];
    name == "message"
        || name == "tags"
        || dongson_event::fields::find(name).is_some()
        || ROOTS.iter().any(|root| name.starts_with(root))
}

/// What follows from the renamed fields.
fn derive(log: &str, event: &mut Event) {
    let protocol = match log {
        "dns" => Some("dns"),
        "http" => Some("http"),
        "ssl" => Some("tls"),
        "ssh" => Some("ssh"),
        _ => None,
    };
    if let (Some(protocol), None) = (protocol, event.get("network.protocol")) {
        event.set("network.protocol", protocol);
    }
    if let Some(seconds) = event.get("zeek.conn.duration").and_then(Value::as_f64) {
        event.set("event.duration", nanoseconds(seconds));
        event.remove("zeek.conn.duration");
    }
    if let Some(version) = event.text("tls.version").and_then(tls_version) {
        event.set("tls.version", version);
    }
    if event.text("network.protocol") == Some("ssl") {
        event.set("network.protocol", "tls");
    }
    if log == "dns" {
        if event.text("dns.question.class") == Some("C_INTERNET") {
            event.set("dns.question.class", "IN");
        }
        resolved(event);
    }
    if log == "http" {
        url(event);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float beyond i64 saturates, which is what is wanted")]
fn nanoseconds(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64 * 1_000
}

/// Zeek writes `TLSv12`; ECS wants `1.2`.
fn tls_version(text: &str) -> Option<&'static str> {
    match text {
        "TLSv10" => Some("1.0"),
        "TLSv11" => Some("1.1"),
        "TLSv12" => Some("1.2"),
        "TLSv13" => Some("1.3"),
        _ => None,
    }
}

fn resolved(event: &mut Event) {
    let addresses: Vec<Value> = event
        .get("dns.answers.data")
        .map(Value::scalars)
        .unwrap_or_default()
        .iter()
        .filter_map(|answer| answer.as_str()?.parse::<std::net::IpAddr>().ok())
        .map(Value::from)
        .collect();
    if !addresses.is_empty() {
        event.set("dns.resolved_ip", Value::List(addresses));
    }
}

/// Path and query of `url.original`.
pub(crate) fn url(event: &mut Event) {
    let Some(original) = event.text("url.original").map(str::to_owned) else { return };
    let target = match original.split_once("://") {
        Some((scheme, tail)) if !scheme.contains('/') => {
            tail.find('/').and_then(|at| tail.get(at..)).unwrap_or("/")
        }
        _ => &original,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    for (name, value) in [("url.path", path), ("url.query", query)] {
        if !value.is_empty() && event.get(name).is_none() {
            event.set(name, value);
        }
    }
}
