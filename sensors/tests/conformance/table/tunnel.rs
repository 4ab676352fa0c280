//! Zeek's tunnel.log.

use super::Rule::{By, Drop};
use super::{Line, line};
use crate::values::Case;

const NO_PORTS: &str = "Zeek knows tunnels by their addresses: of some kinds the ports are 0 in its log";

pub(super) const LINES: &[Line] = &[
    line("zeek", "tunnel", "id.orig_p", By(|case, v| v == "0" || v == case.text("source.port")), NO_PORTS),
    line(
        "zeek",
        "tunnel",
        "id.resp_p",
        By(|case, v| v == "0" || v == case.text("destination.port")),
        NO_PORTS,
    ),
    line("zeek", "tunnel", "tunnel_type", By(kind), "Zeek says GRE of ERSPAN in GRE too"),
    line("zeek", "tunnel", "action", By(action), ""),
    line("zeek", "tunnel", "uid", Drop, "Zeek's own number"),
];

fn kind(case: &Case<'_>, theirs: &str) -> bool {
    let ours = case.text("dongson.tunnel.carries.kind");
    let theirs = theirs.trim_start_matches("Tunnel::").to_lowercase();
    match theirs.as_str() {
        "gre" => matches!(ours.as_str(), "gre" | "erspan"),
        "ip" => ours == "ipip",
        _ => ours == theirs,
    }
}

fn action(case: &Case<'_>, theirs: &str) -> bool {
    case.text("event.action") == theirs.trim_start_matches("Tunnel::").to_lowercase()
}
