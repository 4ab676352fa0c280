//! DHCP.

use dongson_event::{Event, Timestamp};

use super::Rule::{By, Is};
use super::{Line, line};
use crate::values::{Case, plain};

const EXCHANGE: &str = "Zeek makes one row of up to some messages of an exchange; ours is one event per message, and as many of the same exchange are looked at";

pub(super) const LINES: &[Line] = &[
    line("zeek", "dhcp", "client_addr", By(client), ""),
    line("zeek", "dhcp", "server_addr", By(|case, v| any(case, "dongson.dhcp.server_ip", v)), EXCHANGE),
    line("zeek", "dhcp", "mac", By(mac), ""),
    line("zeek", "dhcp", "assigned_addr", By(|case, v| any(case, "dongson.dhcp.assigned_ip", v)), EXCHANGE),
    line("zeek", "dhcp", "requested_addr", By(|case, v| any(case, "dongson.dhcp.requested_ip", v)), EXCHANGE),
    line("zeek", "dhcp", "host_name", By(|case, v| any(case, "dongson.dhcp.host_name", v)), EXCHANGE),
    line("zeek", "dhcp", "client_fqdn", By(|case, v| any(case, "dongson.dhcp.client_fqdn", v)), EXCHANGE),
    line("zeek", "dhcp", "domain", By(|case, v| any(case, "dongson.dhcp.domain", v)), EXCHANGE),
    line("zeek", "dhcp", "client_message", By(|case, v| any(case, "dongson.dhcp.message", v)), EXCHANGE),
    line("zeek", "dhcp", "server_message", By(|case, v| any(case, "dongson.dhcp.message", v)), EXCHANGE),
    line("zeek", "dhcp", "lease_time", By(lease), EXCHANGE),
    line("zeek", "dhcp", "msg_types", By(kinds), EXCHANGE),
    line("zeek", "dhcp", "duration", By(duration), EXCHANGE),
    line("zeek", "dhcp", "circuit_id", By(|case, v| any(case, "dongson.dhcp.circuit_id", v)), EXCHANGE),
    line("zeek", "dhcp", "agent_remote_id", By(|case, v| any(case, "dongson.dhcp.remote_id", v)), EXCHANGE),
    line("zeek", "dhcp", "subscriber_id", By(|case, v| any(case, "dongson.dhcp.subscriber_id", v)), EXCHANGE),
    line("suricata-verify", "dhcp", "event_type", By(|_, v| v == "dhcp"), ""),
    line("suricata-verify", "dhcp", "dhcp.id", Is("dongson.dhcp.id"), ""),
    line("suricata-verify", "dhcp", "dhcp.type", Is("dongson.dhcp.operation"), ""),
    line(
        "suricata-verify",
        "dhcp",
        "dhcp.dhcp_type",
        By(|case, v| case.text("dongson.dhcp.message_type").to_lowercase() == v),
        "",
    ),
    line("suricata-verify", "dhcp", "dhcp.client_mac", By(mac), ""),
    line("suricata-verify", "dhcp", "dhcp.client_ip", Is("dongson.dhcp.client_ip"), ""),
    line("suricata-verify", "dhcp", "dhcp.assigned_ip", Is("dongson.dhcp.assigned_ip"), ""),
    line("suricata-verify", "dhcp", "dhcp.requested_ip", Is("dongson.dhcp.requested_ip"), ""),
    line("suricata-verify", "dhcp", "dhcp.relay_ip", Is("dongson.dhcp.relay_ip"), ""),
    line("suricata-verify", "dhcp", "dhcp.next_server_ip", Is("dongson.dhcp.next_server_ip"), ""),
    line("suricata-verify", "dhcp", "dhcp.subnet_mask", Is("dongson.dhcp.subnet_mask"), ""),
    line("suricata-verify", "dhcp", "dhcp.hostname", Is("dongson.dhcp.host_name"), ""),
    line("suricata-verify", "dhcp", "dhcp.lease_time", Is("dongson.dhcp.lease_time"), ""),
    line("suricata-verify", "dhcp", "dhcp.renewal_time", Is("dongson.dhcp.renewal_time"), ""),
    line("suricata-verify", "dhcp", "dhcp.rebinding_time", Is("dongson.dhcp.rebinding_time"), ""),
    line("suricata-verify", "dhcp", "dhcp.vendor_class_identifier", Is("dongson.dhcp.vendor_class"), ""),
    line("suricata-verify", "dhcp", "dhcp.params[*]", By(parameter), ""),
    line(
        "suricata-verify",
        "dhcp",
        "dhcp.dns_servers[*]",
        By(|case, v| item(case, "dongson.dhcp.dns_servers", v)),
        "",
    ),
    line(
        "suricata-verify",
        "dhcp",
        "dhcp.routers[*]",
        By(|case, v| item(case, "dongson.dhcp.routers", v)),
        "",
    ),
];

/// The messages from this one on that one row of Zeek is about, when their kinds agree.
fn exchange<'a>(case: &Case<'a>) -> Vec<&'a Event> {
    let fields = case.fact.map(|fact| fact.fields.as_slice()).unwrap_or_default();
    let kinds = fields
        .iter()
        .find(|(name, _)| name == "msg_types")
        .map(|(_, value)| plain(value))
        .unwrap_or_default();
    let kinds: Vec<&str> = kinds.split(',').collect();
    let own = case.event.text("dongson.dhcp.message_type");
    if own != kinds.first().copied() {
        return Vec::new();
    }
    let id = case.event.int("dongson.dhcp.id");
    let after = case.all.iter().skip_while(|event| !std::ptr::eq(*event, case.event));
    let run: Vec<&Event> = after
        .filter(|event| event.dataset() == "sensor.dhcp" && event.int("dongson.dhcp.id") == id)
        .take(kinds.len())
        .collect();
    let same = run
        .iter()
        .map(|event| event.text("dongson.dhcp.message_type"))
        .eq(kinds.iter().map(|kind| Some(*kind)));
    if same { run } else { Vec::new() }
}

fn kinds(case: &Case<'_>, _theirs: &str) -> bool {
    !exchange(case).is_empty()
}

fn any(case: &Case<'_>, name: &str, theirs: &str) -> bool {
    exchange(case).iter().any(|event| event.text(name) == Some(theirs))
}

/// The client's address is the one it has, sends from or is given.
fn client(case: &Case<'_>, theirs: &str) -> bool {
    ["dongson.dhcp.client_ip", "dongson.dhcp.assigned_ip"].iter().any(|name| any(case, name, theirs))
        || exchange(case).iter().any(|event| {
            event.text("dongson.dhcp.operation") == Some("request") && event.text("source.ip") == Some(theirs)
        })
}

fn lease(case: &Case<'_>, theirs: &str) -> bool {
    let seconds = theirs.split('.').next().and_then(|whole| whole.parse().ok());
    exchange(case).iter().any(|event| event.int("dongson.dhcp.lease_time") == seconds)
}

fn duration(case: &Case<'_>, theirs: &str) -> bool {
    let run = exchange(case);
    let moments: Vec<Timestamp> = run.iter().filter_map(|event| event.timestamp()).collect();
    let (Some(first), Some(last)) = (moments.first(), moments.last()) else { return false };
    theirs.parse::<f64>().is_ok_and(|theirs| (last.since(*first).as_secs_f64() - theirs).abs() < 2e-6)
}

fn mac(case: &Case<'_>, theirs: &str) -> bool {
    case.text("dongson.dhcp.client_mac").to_lowercase().replace('-', ":") == theirs
}

fn item(case: &Case<'_>, name: &str, theirs: &str) -> bool {
    case.item(name).as_deref() == Some(theirs)
}

fn parameter(case: &Case<'_>, theirs: &str) -> bool {
    let number = match theirs {
        "subnet_mask" => "1",
        "time_offset" => "2",
        "router" => "3",
        "dns_server" => "6",
        "hostname" => "12",
        "domain" => "15",
        "ntp_server" => "42",
        other => other,
    };
    item(case, "dongson.dhcp.parameters", number)
}
