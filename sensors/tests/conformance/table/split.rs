//! Logs that scripts in Zeek's tests split off another one, and Suricata's flows of one direction.

use super::Rule::{By, Is};
use super::{Line, line};

pub(super) const LINES: &[Line] = &[
    line("zeek", "http-2", "host", Is("dongson.http.host"), ""),
    line("zeek", "http-2-2", "status_code", Is("http.response.status_code"), ""),
    line("zeek", "http-3", "uri", Is("url.original"), ""),
    line("suricata-verify", "netflow", "event_type", By(|_, v| v == "netflow"), ONE_WAY),
    line("suricata-verify", "netflow", "netflow.pkts", Is("source.packets"), ONE_WAY),
];

const ONE_WAY: &str =
    "a netflow event of Suricata is one direction of a flow; ours has both, and is read from that end";
