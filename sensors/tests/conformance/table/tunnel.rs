//! Zeek's tunnel.log, socks.log and websocket.log.

use super::Rule::{By, Drop, Is};
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
    // Zeek's socks.log.
    line("zeek", "socks", "version", Is("dongson.socks.version"), ""),
    line("zeek", "socks", "user", Is("user.name"), ""),
    line(
        "zeek",
        "socks",
        "password",
        By(|case, v| v == "-" || !case.text("dongson.socks.password_hash").is_empty()),
        SEALED,
    ),
    line("zeek", "socks", "status", Is("dongson.socks.status"), ""),
    line("zeek", "socks", "request.host", Is("dongson.socks.request.host"), ""),
    line("zeek", "socks", "request.name", Is("dongson.socks.request.host"), ""),
    line("zeek", "socks", "request_p", Is("dongson.socks.request.port"), ""),
    line("zeek", "socks", "bound.host", Is("dongson.socks.bound.host"), ""),
    line("zeek", "socks", "bound.name", Is("dongson.socks.bound.host"), ""),
    line("zeek", "socks", "bound_p", Is("dongson.socks.bound.port"), ""),
    // Zeek's websocket.log, and Suricata's frames.
    line("zeek", "websocket", "host", Is("dongson.http.host"), ""),
    line("zeek", "websocket", "uri", Is("url.original"), ""),
    line("zeek", "websocket", "user_agent", Is("user_agent.original"), ""),
    line("zeek", "websocket", "subprotocol", Is("dongson.websocket.subprotocol"), ""),
    line("zeek", "websocket", "client_protocols", By(|case, v| joined(case, "client_protocols") == v), ""),
    line("zeek", "websocket", "client_extensions", By(|case, v| joined(case, "client_extensions") == v), ""),
    line("zeek", "websocket", "server_extensions", By(|case, v| joined(case, "server_extensions") == v), ""),
    line("suricata-verify", "websocket", "event_type", By(|_, v| v == "websocket"), ""),
    line("suricata-verify", "websocket", "websocket.fin", Is("dongson.websocket.fin"), ""),
    line("suricata-verify", "websocket", "websocket.mask", Is("dongson.websocket.mask"), ""),
    line("suricata-verify", "websocket", "websocket.opcode", Is("dongson.websocket.opcode"), ""),
];

const SEALED: &str = "passwords are sealed: whether there is one is compared";

fn joined(case: &Case<'_>, name: &str) -> String {
    case.list(&format!("dongson.websocket.{name}")).join(",")
}

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
