//! TLS and its fingerprints.

use super::Rule::{By, Is};
use super::{Line, hexadecimal, line, moment};
use crate::values::Case;

pub(super) const LINES: &[Line] = &[
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

pub(super) fn handshake_type(case: &Case<'_>, theirs: &str) -> bool {
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
pub(super) fn handshake_version(case: &Case<'_>, theirs: &str) -> bool {
    let ours =
        case.text(if case.swapped { "dongson.tls.server.version" } else { "dongson.tls.client.version" });
    hexadecimal(&ours) == hexadecimal(theirs)
}

pub(super) fn zeek_version(case: &Case<'_>) -> String {
    let version = case.text("tls.version");
    let name = case.text("tls.version_protocol").to_uppercase();
    let (number, draft) =
        version.split_once('-').map_or((version.as_str(), ""), |(number, draft)| (number, draft));
    let draft = if draft.is_empty() { String::new() } else { format!("-{draft}") };
    format!("{name}v{}{draft}", number.replace('.', ""))
}

pub(super) fn truth(ours: &str) -> &'static str {
    if ours == "true" { "T" } else { "F" }
}

pub(super) fn suricata_version(case: &Case<'_>, theirs: &str) -> bool {
    let ours = case.text("tls.version");
    let theirs = match theirs {
        "TLSv1" => "1.0".to_owned(),
        "SSLv3" => "3.0".to_owned(),
        other => other.trim_start_matches("TLS ").replace(' ', "-").replace("draft-", "draft"),
    };
    ours == theirs
}

/// The fingerprint without the letter for the server name and the second sign of the ALPN.
pub(super) fn ndpi_ja4(case: &Case<'_>, theirs: &str) -> bool {
    let bare = |text: &str| -> String {
        text.char_indices().filter(|(at, _)| ![3, 9].contains(at)).map(|(_, sign)| sign).collect()
    };
    bare(&case.text("tls.client.ja4")) == bare(theirs)
}

pub(super) fn ndpi_version(case: &Case<'_>, theirs: &str) -> bool {
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
pub(super) fn reversed_name(name: &str) -> String {
    let mut parts: Vec<&str> = name.split(", ").collect();
    parts.reverse();
    parts.join(",")
}

pub(super) fn authorities(case: &Case<'_>, theirs: &str) -> bool {
    let ours: Vec<String> =
        case.list("dongson.tls.requested_authorities").iter().map(|name| reversed_name(name)).collect();
    ours.join(",") == theirs.replace("\\x2c", ",")
}

/// A field of the flow that an event belongs to.
pub(super) fn flow_text(case: &Case<'_>, name: &str) -> String {
    let uid = case.text("dongson.conn.uid");
    let flow = case.all.iter().find(|event| {
        event.dataset() == "sensor.conn" && event.text("dongson.conn.uid") == Some(uid.as_str())
    });
    flow.map(|event| Case { event, swapped: case.swapped, index: 0, all: &[], fact: None }.text(name))
        .unwrap_or_default()
}
