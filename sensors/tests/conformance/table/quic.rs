//! QUIC.

use super::Rule::{By, Is};
use super::tls::ndpi_ja4;
use super::{Line, line};
use crate::values::Case;

pub(super) const LINES: &[Line] = &[
    line("ndpi", "quic", "ja3", Is("tls.client.ja3"), ""),
    line(
        "ndpi",
        "quic",
        "ja4",
        By(ndpi_ja4),
        "nDPI's letter for the server name says whether it knows one from anywhere, and it takes the first and second sign of the ALPN; the specification takes the SNI, and first and last",
    ),
    line(
        "ndpi",
        "quic",
        "server_name",
        By(|case, v| case.text("tls.client.server_name").to_lowercase() == v),
        "nDPI writes names in lower case",
    ),
    line(
        "ndpi",
        "quic",
        "version",
        By(|_, v| v == "TLSv1.3"),
        "QUIC has no other version of TLS; where no server answered nDPI names it too",
    ),
    line("zeek", "quic", "version", By(|case, v| case.text("dongson.quic.version") == v), ""),
    line("zeek", "quic", "client_initial_dcid", Is("dongson.quic.client_initial_dcid"), ""),
    line("zeek", "quic", "server_scid", Is("dongson.quic.server_scid"), ""),
    line("zeek", "quic", "server_name", Is("tls.client.server_name"), ""),
    line(
        "zeek",
        "quic",
        "client_protocol",
        By(|case, v| case.list("dongson.tls.client.alpn").first().is_some_and(|first| first == v)),
        "",
    ),
    line("suricata-verify", "quic", "event_type", By(|_, v| v == "quic"), ""),
    line("zeek", "quic", "client_scid", Is("dongson.quic.client_scid"), ""),
    line(
        "zeek",
        "quic",
        "history",
        By(history),
        "Zeek tells some of the packets with a short header and not others, ours end when both sides have sent one: compared without them",
    ),
    line("suricata-verify", "quic", "quic.ja4", Is("tls.client.ja4"), ""),
    line(
        "suricata-verify",
        "quic",
        "quic.extensions[*].name",
        By(extension),
        "Suricata has an event per hello, ours has both: the extension stands in one of them",
    ),
    line(
        "suricata-verify",
        "quic",
        "quic.extensions[*].values[*]",
        By(|case, v| case.list("dongson.tls.client.alpn").iter().any(|ours| ours == v)),
        "the values are those of ALPN in all facts",
    ),
];

fn history(case: &Case<'_>, theirs: &str) -> bool {
    let long = |letters: &str| letters.replace(['O', 'o'], "");
    long(&case.text("dongson.quic.history")) == long(theirs)
}

/// Names of the IANA registry of TLS extensions, as Suricata writes them.
fn name(number: u32) -> &'static str {
    match number {
        0 => "server_name",
        5 => "status_request",
        10 => "supported_groups",
        13 => "signature_algorithms",
        16 => "alpn",
        18 => "signed_certificate_timestamp",
        23 => "extended_master_secret",
        27 => "compress_certificate",
        35 => "session_ticket",
        41 => "pre_shared_key",
        42 => "early_data",
        43 => "supported_versions",
        44 => "cookie",
        45 => "psk_key_exchange_modes",
        51 => "key_share",
        57 => "quic_transport_parameters",
        0xff01 => "renegotiation_info",
        _ => "",
    }
}

/// The extension at the fact's first index in one of the hellos, whose orders JA4 and JA3S keep.
fn extension(case: &Case<'_>, theirs: &str) -> bool {
    let client = case.text("dongson.tls.client.ja4_ro");
    let client = client.split('_').nth(2).unwrap_or_default().split(',').nth(case.index);
    let client = client.and_then(|number| u32::from_str_radix(number, 16).ok());
    let server = case.text("dongson.tls.server.ja3s_string");
    let server = server.split(',').nth(2).unwrap_or_default().split('-').nth(case.index);
    let server = server.and_then(|number| number.parse().ok());
    [client, server].into_iter().flatten().any(|number| name(number) == theirs)
}
