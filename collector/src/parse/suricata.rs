//! Suricata's EVE JSON: what ECS and the sensor's own names know is renamed, the rest stays as `suricata.eve.*`.

use super::json::{claim_from, instant, read, rename};
use super::{Context, Parsed, Refusal};
use dongson_event::{Event, Value};

/// Reads one line of `eve.json`.
pub fn parse(bytes: &[u8], context: &Context<'_>) -> Result<Parsed, Refusal> {
    from_event(read(bytes)?, context)
}

/// Tells EVE from other JSON.
pub(crate) fn is_one(event: &Event) -> bool {
    kind_of(event).is_some() && event.get("timestamp").is_some()
}

fn kind_of(event: &Event) -> Option<String> {
    let kind = event.text("event_type")?;
    let plain = !kind.is_empty()
        && kind.len() <= 40
        && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    plain.then(|| kind.to_owned())
}

/// Reads an event that is flat already.
pub(crate) fn from_event(mut parsed: Parsed, context: &Context<'_>) -> Result<Parsed, Refusal> {
    if !is_one(&parsed.event) {
        return Err(Refusal::Other("suricata"));
    }
    let kind = kind_of(&parsed.event).ok_or(Refusal::Other("suricata"))?;
    claim_from(&["timestamp", "@timestamp"], &mut parsed, context);
    parsed.event.remove("timestamp");
    parsed.event.remove("event_type");
    if kind == "dns" {
        dns(&mut parsed.event);
    }
    for (from, to) in NAMES {
        rename(&mut parsed.event, from, to);
    }
    prefix_rest(&mut parsed.event);
    for name in ["event.start", "event.end", "tls.server.not_before", "tls.server.not_after"] {
        let moment = parsed.event.get(name).and_then(|value| instant(value, context));
        if let Some(moment) = moment {
            parsed.set(name, moment.at.to_string());
        }
    }
    derive(&kind, &mut parsed.event);
    parsed.set("event.dataset", format!("suricata.{kind}"));
    parsed.set("event.module", "suricata");
    Ok(parsed)
}

const NAMES: &[(&str, &str)] = &[
    ("src_ip", "source.ip"),
    ("src_port", "source.port"),
    ("dest_ip", "destination.ip"),
    ("dest_port", "destination.port"),
    ("proto", "network.transport"),
    ("app_proto", "network.protocol"),
    ("community_id", "network.community_id"),
    ("vlan", "network.vlan.id"),
    ("ether.src_mac", "source.mac"),
    ("ether.dest_mac", "destination.mac"),
    ("flow_id", "dongson.conn.uid"),
    ("flow.pkts_toserver", "source.packets"),
    ("flow.pkts_toclient", "destination.packets"),
    ("flow.bytes_toserver", "dongson.conn.source.frame_bytes"),
    ("flow.bytes_toclient", "dongson.conn.destination.frame_bytes"),
    ("flow.start", "event.start"),
    ("flow.end", "event.end"),
    ("alert.signature_id", "rule.id"),
    ("alert.signature", "rule.name"),
    ("alert.category", "rule.category"),
    ("alert.severity", "event.severity"),
    ("alert.action", "event.action"),
    ("http.hostname", "url.domain"),
    ("http.url", "url.original"),
    ("http.http_method", "http.request.method"),
    ("http.http_user_agent", "user_agent.original"),
    ("http.http_refer", "http.request.referrer"),
    ("http.status", "http.response.status_code"),
    ("http.length", "http.response.body.bytes"),
    ("http.http_content_type", "dongson.http.response.content_type"),
    ("http.protocol", "http.version"),
    ("tls.sni", "tls.client.server_name"),
    ("tls.subject", "tls.server.subject"),
    ("tls.issuerdn", "tls.server.issuer"),
    ("tls.serial", "tls.server.x509.serial_number"),
    ("tls.fingerprint", "tls.server.hash.sha1"),
    ("tls.notbefore", "tls.server.not_before"),
    ("tls.notafter", "tls.server.not_after"),
    ("tls.ja3.hash", "tls.client.ja3"),
    ("tls.ja3.string", "dongson.tls.client.ja3_string"),
    ("tls.ja3s.hash", "tls.server.ja3s"),
    ("tls.ja3s.string", "dongson.tls.server.ja3s_string"),
    ("tls.ja4", "tls.client.ja4"),
    ("tls.session_resumed", "tls.resumed"),
    ("fileinfo.filename", "file.path"),
    ("fileinfo.size", "file.size"),
    ("fileinfo.magic", "file.mime_type"),
    ("fileinfo.md5", "file.hash.md5"),
    ("fileinfo.sha1", "file.hash.sha1"),
    ("fileinfo.sha256", "file.hash.sha256"),
    ("anomaly.event", "dongson.weird.name"),
];

/// DNS of EVE version 1 (`rrname` in `dns`), 2 (`answers`, `grouped`) and 3 (`queries`).
fn dns(event: &mut Event) {
    const DNS: &[(&str, &str)] = &[
        ("dns.rrname", "dns.question.name"),
        ("dns.queries.rrname", "dns.question.name"),
        ("dns.rrtype", "dns.question.type"),
        ("dns.queries.rrtype", "dns.question.type"),
        ("dns.rcode", "dns.response_code"),
        ("dns.answers.rrname", "dns.answers.name"),
        ("dns.answers.rrtype", "dns.answers.type"),
        ("dns.answers.rdata", "dns.answers.data"),
    ];
    for (from, to) in DNS {
        rename(event, from, to);
    }
    for name in ["dns.question.name", "dns.question.type"] {
        // Version 3 lists queries; a message with one has one.
        if let Some(Value::List(items)) = event.get(name)
            && let [only] = items.as_slice()
        {
            let only = only.clone();
            event.set(name, only);
        }
    }
    let kind = match event.text("dns.type") {
        Some("answer" | "response") => "answer",
        _ => "query",
    };
    event.set("dns.type", kind);
}

/// Names of EVE that no table knows go under `suricata.eve.`; what a shipper added stays.
fn prefix_rest(event: &mut Event) {
    const ROOTS: &[&str] = &[
        "@",
        "agent.",
        "dongson.",
        "ecs.",
        "event.",
        "fileset.",
        "input.",
        "labels.",
        "log.",
        "observer.",
        "organization.",
        "suricata.",
    ];
    let placed = |name: &str| {
        name == "message"
            || name == "tags"
            || dongson_event::fields::find(name).is_some()
            || ROOTS.iter().any(|root| name.starts_with(root))
    };
    let strange: Vec<String> =
        event.iter().map(|(name, _)| name).filter(|name| !placed(name)).map(str::to_owned).collect();
    for name in strange {
        if let Some(value) = event.remove(&name) {
            event.set(format!("suricata.eve.{name}"), value);
        }
    }
}

fn derive(kind: &str, event: &mut Event) {
    for name in ["network.transport", "network.protocol"] {
        if let Some(word) = event.text(name).map(str::to_ascii_lowercase) {
            event.set(name, word);
        }
    }
    let protocol = match kind {
        "dns" | "http" | "tls" | "ssh" | "smtp" | "ftp" | "smb" | "rdp" | "krb5" => Some(kind),
        _ => None,
    };
    if let (Some(protocol), None) = (protocol, event.get("network.protocol")) {
        event.set("network.protocol", protocol.to_owned());
    }
    if let Some(number) = event.int("rule.id") {
        event.set("rule.id", number.to_string());
    }
    if let Some(number) = event.int("dongson.conn.uid") {
        event.set("dongson.conn.uid", number.to_string());
    }
    if let Some(version) =
        event.text("http.version").and_then(|text| text.strip_prefix("HTTP/")).map(str::to_owned)
    {
        event.set("http.version", version);
    }
    if let Some(version) =
        event.text("tls.version").and_then(|text| text.strip_prefix("TLS ")).map(str::to_owned)
    {
        event.set("tls.version", version);
    }
    if kind == "alert" {
        event.set("event.kind", "alert");
    }
    super::zeek::url(event);
}
