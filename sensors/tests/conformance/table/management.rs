//! SNMP, TFTP and ARP.

use dongson_event::Event;

use super::Rule::{By, Is};
use super::{Line, line};
use crate::values::Case;

const SEALED: &str = "community names are sealed";

const SESSION: &str = "Zeek has one row for all messages of a flow, ours are one event per exchange";

pub(super) const LINES: &[Line] = &[
    line("suricata-verify", "snmp", "event_type", By(|_, v| v == "snmp"), ""),
    line(
        "suricata-verify",
        "snmp",
        "snmp.version",
        By(|case, v| case.text("dongson.snmp.version").trim_end_matches('c') == v),
        "",
    ),
    line("suricata-verify", "snmp", "snmp.community", By(|case, _| sealed(case)), SEALED),
    line("suricata-verify", "snmp", "snmp.pdu_type", By(message), ""),
    line("suricata-verify", "snmp", "snmp.usm", Is("user.name"), ""),
    line(
        "suricata-verify",
        "snmp",
        "snmp.encrypted",
        By(|case, v| {
            v == "true" && case.list("dongson.snmp.messages").iter().any(|kind| kind == "encrypted")
        }),
        "",
    ),
    line("suricata-verify", "snmp", "snmp.vars[*]", By(variable), ""),
    line("suricata-verify", "snmp", "snmp.trap_oid", Is("dongson.snmp.trap.oid"), ""),
    line("suricata-verify", "snmp", "snmp.trap_address", Is("dongson.snmp.trap.address"), ""),
    line("zeek", "snmp", "version", Is("dongson.snmp.version"), ""),
    line("zeek", "snmp", "community", By(|case, _| sealed(case)), SEALED),
    line(
        "zeek",
        "snmp",
        "get_requests",
        By(|case, v| variables(case, &["get_request", "get_next_request"], "dongson.snmp.oids") == v),
        SESSION,
    ),
    line(
        "zeek",
        "snmp",
        "get_bulk_requests",
        By(|case, v| variables(case, &["get_bulk_request"], "dongson.snmp.oids") == v),
        SESSION,
    ),
    line(
        "zeek",
        "snmp",
        "get_responses",
        By(|case, v| variables(case, &["response"], "dongson.snmp.response_oids") == v),
        SESSION,
    ),
    line(
        "zeek",
        "snmp",
        "set_requests",
        By(|case, v| variables(case, &["set_request"], "dongson.snmp.oids") == v),
        SESSION,
    ),
    line("zeek", "snmp", "duration", By(duration), SESSION),
    line(
        "zeek",
        "snmp",
        "display_string",
        By(|case, v| session(case).any(|event| event.text("dongson.snmp.display_string") == Some(v))),
        SESSION,
    ),
    line("zeek", "snmp", "up_since", By(up_since), SESSION),
    line("suricata-verify", "arp", "event_type", By(|_, v| v == "arp"), ""),
    line("suricata-verify", "arp", "arp.hw_type", By(|_, v| v == "ethernet"), ""),
    line("suricata-verify", "arp", "arp.proto_type", By(|_, v| v == "ipv4"), ""),
    line("suricata-verify", "arp", "arp.opcode", Is("dongson.arp.opcode"), ""),
    line("suricata-verify", "arp", "arp.src_mac", By(|case, v| card(&case.text("source.mac")) == v), ""),
    line("suricata-verify", "arp", "arp.src_ip", Is("source.ip"), ""),
    line(
        "suricata-verify",
        "arp",
        "arp.dest_mac",
        By(|case, v| card(&case.text("destination.mac")) == v),
        "",
    ),
    line("suricata-verify", "arp", "arp.dest_ip", Is("destination.ip"), ""),
    line("suricata-verify", "tftp", "event_type", By(|_, v| v == "tftp"), ""),
    line("suricata-verify", "tftp", "tftp.packet", Is("dongson.tftp.packet"), ""),
    line("suricata-verify", "tftp", "tftp.mode", Is("dongson.tftp.mode"), ""),
    line("suricata-verify", "tftp", "tftp.file", By(file), ""),
];

fn sealed(case: &Case<'_>) -> bool {
    case.text("dongson.snmp.community").starts_with("hmac-sha256:")
}

fn message(case: &Case<'_>, theirs: &str) -> bool {
    case.list("dongson.snmp.messages").iter().any(|ours| ours == theirs)
}

fn variable(case: &Case<'_>, theirs: &str) -> bool {
    ["dongson.snmp.oids", "dongson.snmp.response_oids"]
        .iter()
        .any(|name| case.item(name).as_deref() == Some(theirs))
}

/// All exchanges of the flow.
fn session<'a>(case: &'a Case<'_>) -> impl Iterator<Item = &'a Event> {
    let id = case.event.text("network.community_id");
    case.all
        .iter()
        .filter(move |event| event.dataset() == "sensor.snmp" && event.text("network.community_id") == id)
}

/// How many variables all messages of these kinds have.
fn variables(case: &Case<'_>, kinds: &[&str], name: &str) -> String {
    let list = |event: &Event, name: &str| {
        let values = event.get(name).map(dongson_event::Value::scalars).unwrap_or_default();
        values.iter().map(|value| value.to_text().into_owned()).collect::<Vec<_>>()
    };
    let fits = |event: &&Event| {
        list(event, "dongson.snmp.messages").iter().any(|kind| kinds.contains(&kind.as_str()))
    };
    session(case).filter(fits).map(|event| list(event, name).len()).sum::<usize>().to_string()
}

/// Seconds from the first message to the last.
#[expect(clippy::cast_precision_loss, reason = "compared to the microsecond")]
fn duration(case: &Case<'_>, theirs: &str) -> bool {
    let began = |event: &Event| event.timestamp().map_or(0, dongson_event::Timestamp::nanos);
    let first = session(case).map(began).min().unwrap_or_default();
    let last = session(case).map(|event| began(event) + event.int("event.duration").unwrap_or(0)).max();
    let ours = last.unwrap_or_default() - first;
    theirs.parse::<f64>().is_ok_and(|theirs| (ours as f64 / 1e9 - theirs).abs() < 2e-6)
}

/// The moment at which the agent began: that of an answer less how long it says it runs.
#[expect(clippy::cast_precision_loss, reason = "compared to a hundredth of a second")]
fn up_since(case: &Case<'_>, theirs: &str) -> bool {
    let Ok(theirs) = theirs.parse::<f64>() else { return false };
    session(case).any(|event| {
        let Some(uptime) = event.int("dongson.snmp.uptime") else { return false };
        let began = event.timestamp().map_or(0, dongson_event::Timestamp::nanos);
        let answered = began + event.int("event.duration").unwrap_or(0);
        (answered as f64 / 1e9 - uptime as f64 / 1e3 - theirs).abs() < 0.02
    })
}

fn card(ours: &str) -> String {
    ours.to_lowercase().replace('-', ":")
}

fn file(case: &Case<'_>, theirs: &str) -> bool {
    case.text("file.path") == theirs || case.text("file.name") == theirs
}
