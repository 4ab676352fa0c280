//! QUIC.

use super::Rule::{By, Is};
use super::{Line, line, ndpi_ja4};

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
    line("suricata-verify", "quic", "quic.ja4", Is("tls.client.ja4"), ""),
];
