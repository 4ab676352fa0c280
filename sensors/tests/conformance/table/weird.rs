//! Zeek's weird.log and Suricata's anomaly events.

use super::Rule::{By, Drop, Is};
use super::{Line, line};
use crate::values::Case;

pub(super) const LINES: &[Line] = &[
    line("zeek", "weird", "name", Is("dongson.weird.name"), ""),
    line("zeek", "weird", "addl", Is("dongson.weird.detail"), ""),
    line("zeek", "weird", "source", By(|case, v| v.to_lowercase() == case.text("dongson.weird.source")), ""),
    line("zeek", "weird", "notice", Drop, "whether Zeek made a notice of it, by its own settings"),
    line("zeek", "weird", "peer", Drop, "the name of the Zeek process"),
    line("suricata-verify", "anomaly", "event_type", By(|_, v| v == "anomaly"), ""),
    line("suricata-verify", "anomaly", "anomaly.type", By(kind), ""),
    line("suricata-verify", "anomaly", "anomaly.layer", By(|_, v| v == "proto_parser"), ""),
    line("suricata-verify", "anomaly", "anomaly.app_proto", Is("dongson.weird.source"), ""),
    line(
        "suricata-verify",
        "anomaly",
        "anomaly.event",
        By(name),
        "where Zeek has a name for it, ours is that one",
    ),
];

fn name(case: &Case<'_>, theirs: &str) -> bool {
    let ours = case.text("dongson.weird.name");
    match theirs {
        "INVALID_BDAT" => ours == "smtp_invalid_bdat_command",
        _ => ours.eq_ignore_ascii_case(theirs),
    }
}

fn kind(case: &Case<'_>, theirs: &str) -> bool {
    match case.text("dongson.weird.source").as_str() {
        "tcp" => theirs == "stream",
        "ip" | "" => theirs == "decode",
        _ => theirs == "applayer",
    }
}
