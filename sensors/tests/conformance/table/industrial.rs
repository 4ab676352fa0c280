//! EtherNet/IP and CIP.

use super::Rule::{By, Is};
use super::{Line, line};
use crate::values::Case;

pub(super) const LINES: &[Line] = &[
    line("suricata-verify", "enip", "event_type", By(|_, v| v == "enip"), ""),
    line("suricata-verify", "enip", "enip.request.cip.service", By(is_service), ""),
    line("suricata-verify", "enip", "enip.request.cip.class_name", Is("dongson.cip.class"), ""),
    line("suricata-verify", "enip", "enip.request.cip.path[*].segment_type", By(has_segment), ""),
    line("suricata-verify", "enip", "enip.request.cip.path[*].value", By(is_segment), ""),
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
