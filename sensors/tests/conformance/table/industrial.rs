//! EtherNet/IP and CIP; IKE.

use super::Rule::{By, Is};
use super::{Line, line};
use crate::values::Case;

const LAST_FIRST: &str = "Suricata lists the payloads from the last to the first and then the mark of the end, we list them as they stand";

pub(super) const LINES: &[Line] = &[
    line("suricata-verify", "enip", "event_type", By(|_, v| v == "enip"), ""),
    line("suricata-verify", "enip", "enip.request.cip.service", By(is_service), ""),
    line("suricata-verify", "enip", "enip.request.cip.class_name", Is("dongson.cip.class"), ""),
    line("suricata-verify", "enip", "enip.request.cip.path[*].segment_type", By(has_segment), ""),
    line("suricata-verify", "enip", "enip.request.cip.path[*].value", By(is_segment), ""),
    line("suricata-verify", "ike", "event_type", By(|_, v| v == "ike"), ""),
    line("suricata-verify", "ike", "ike.version_major", By(is_major), ""),
    line("suricata-verify", "ike", "ike.exchange_type", Is("dongson.ike.exchange_type"), ""),
    line("suricata-verify", "ike", "ike.message_id", Is("dongson.ike.message_id"), ""),
    line("suricata-verify", "ike", "ike.init_spi", Is("dongson.ike.initiator_spi"), ""),
    line("suricata-verify", "ike", "ike.resp_spi", Is("dongson.ike.responder_spi"), ""),
    line("suricata-verify", "ike", "ike.role", Is("dongson.ike.role"), ""),
    line("suricata-verify", "ike", "ike.ikev2.errors", Is("dongson.ike.errors"), ""),
    line("suricata-verify", "ike", "ike.payload[*]", By(has_payload), LAST_FIRST),
];

/// The same words with other signs between them.
fn is_service(case: &Case<'_>, theirs: &str) -> bool {
    case.text("dongson.cip.service").replace('_', " ") == theirs
}

const SEGMENTS: [(&str, &str); 3] = [
    ("class", "dongson.cip.class_id"),
    ("instance", "dongson.cip.instance_id"),
    ("attribute", "dongson.cip.attribute_id"),
];

/// A path is class, instance, attribute.
fn has_segment(case: &Case<'_>, theirs: &str) -> bool {
    SEGMENTS.get(case.index).is_some_and(|(name, ours)| *name == theirs && !case.text(ours).is_empty())
}

fn is_segment(case: &Case<'_>, theirs: &str) -> bool {
    SEGMENTS.get(case.index).is_some_and(|(_, ours)| case.text(ours) == theirs)
}

fn is_major(case: &Case<'_>, theirs: &str) -> bool {
    case.text("dongson.ike.version").split('.').next() == Some(theirs)
}

/// The payload at the fact's place, counted from the end.
fn has_payload(case: &Case<'_>, theirs: &str) -> bool {
    let payloads = case.list("dongson.ike.payloads");
    let ours = payloads.iter().rev().nth(case.index).map_or("", String::as_str);
    let name = match ours {
        "" => "NoNextPayload",
        "SA" => "SecurityAssociation",
        "KE" => "KeyExchange",
        "N" => "Notify",
        "V" => "VendorID",
        other => other,
    };
    name == theirs
}
