//! SMB. One event of ours is a command with its answer; tshark lists both frames.

use super::Rule::{By, Drop, Is};
use super::{Line, line};
use crate::values::Case;

const COMMAND: &str = "tshark lists one frame, we one command with its answer";

const DOUBLES: &str = "Zeek makes these times with doubles that are some microseconds coarse";

pub(super) const LINES: &[Line] = &[
    line("zeek", "smb_files", "action", Is("dongson.smb.action"), ""),
    line("zeek", "smb_files", "name", By(|case, v| unescaped(v) == case.text("file.path")), ""),
    line("zeek", "smb_files", "path", By(|case, v| unescaped(v) == case.text("dongson.smb.share")), ""),
    line("zeek", "smb_files", "size", Is("file.size"), ""),
    line("zeek", "smb_files", "times.modified", By(|case, v| near(v, &case.text("file.mtime"))), DOUBLES),
    line(
        "zeek",
        "smb_files",
        "times.accessed",
        By(|case, v| super::epoch(v, &case.text("file.accessed"))),
        "",
    ),
    line("zeek", "smb_files", "times.created", By(|case, v| near(v, &case.text("file.created"))), DOUBLES),
    line("zeek", "smb_files", "times.changed", By(|case, v| near(v, &case.text("file.ctime"))), DOUBLES),
    line("zeek", "smb_mapping", "path", By(|case, v| unescaped(v) == case.text("dongson.smb.share")), ""),
    line("zeek", "smb_mapping", "share_type", Is("dongson.smb.share_type"), ""),
    line("tshark", "smb", "smb2.cmd", By(|case, v| any(case, "dongson.smb.command_code", v)), COMMAND),
    line("tshark", "smb", "smb2.tree", By(|case, v| any(case, "dongson.smb.share", v)), ""),
    line("tshark", "smb", "smb2.filename", By(|case, v| any(case, "file.path", v)), ""),
    line("tshark", "smb", "smb2.flags.response", By(answered), COMMAND),
    line("tshark", "smb", "smb.cmd", By(|case, v| number(case, "dongson.smb.command_code", v)), COMMAND),
    line("tshark", "smb", "smb.path", By(|case, v| any(case, "dongson.smb.share", v)), ""),
    line("tshark", "smb", "smb.file", By(|case, v| any(case, "file.path", v)), ""),
    line("suricata-verify", "smb", "event_type", By(|_, v| v == "smb"), ""),
    line(
        "suricata-verify",
        "smb",
        "smb.id",
        Drop,
        "Suricata's number of the transaction, as tx_id on the README's list",
    ),
    line("suricata-verify", "smb", "smb.command", Is("dongson.smb.command"), ""),
    line("suricata-verify", "smb", "smb.status", Is("dongson.smb.status"), ""),
    line("suricata-verify", "smb", "smb.status_code", Is("dongson.smb.status_code"), ""),
    line(
        "suricata-verify",
        "smb",
        "smb.dialect",
        By(|case, v| case.text("dongson.smb.dialect") == if v == "unknown" { "" } else { v }),
        "",
    ),
    line("suricata-verify", "smb", "smb.session_id", Is("dongson.smb.session_id"), ""),
    line("suricata-verify", "smb", "smb.tree_id", Is("dongson.smb.tree_id"), ""),
    line("suricata-verify", "smb", "smb.filename", Is("file.path"), ""),
    line("suricata-verify", "smb", "smb.disposition", Is("dongson.smb.disposition"), ""),
    line("suricata-verify", "smb", "smb.access", Is("dongson.smb.access"), ""),
    line("suricata-verify", "smb", "smb.size", Is("file.size"), ""),
    line("suricata-verify", "smb", "smb.fuid", Is("dongson.smb.fuid"), ""),
    line("suricata-verify", "smb", "smb.share", Is("dongson.smb.share"), ""),
    line("suricata-verify", "smb", "smb.named_pipe", Is("dongson.smb.share"), ""),
    line("suricata-verify", "smb", "smb.server_guid", Is("dongson.smb.server_guid"), ""),
    line("suricata-verify", "smb", "smb.client_guid", Is("dongson.smb.client_guid"), ""),
    line("suricata-verify", "smb", "smb.request.native_os", Is("dongson.smb.client.native_os"), ""),
    line("suricata-verify", "smb", "smb.request.native_lm", Is("dongson.smb.client.native_lm"), ""),
    line("suricata-verify", "smb", "smb.response.native_os", Is("dongson.smb.server.native_os"), ""),
    line("suricata-verify", "smb", "smb.response.native_lm", Is("dongson.smb.server.native_lm"), ""),
    line("suricata-verify", "smb", "smb.function", Is("dongson.smb.function"), ""),
    line("suricata-verify", "smb", "smb.created", By(|case, v| seconds(case, "file.created", v)), ""),
    line("suricata-verify", "smb", "smb.accessed", By(|case, v| seconds(case, "file.accessed", v)), ""),
    line("suricata-verify", "smb", "smb.modified", By(|case, v| seconds(case, "file.mtime", v)), ""),
    line("suricata-verify", "smb", "smb.changed", By(|case, v| seconds(case, "file.ctime", v)), ""),
    line(
        "suricata-verify",
        "smb",
        "smb.client_dialects[*]",
        By(|case, v| case.item("dongson.smb.client_dialects").as_deref() == Some(v)),
        "",
    ),
    line("suricata-verify", "smb", "smb.dcerpc.request", Is("dongson.dce_rpc.message"), ""),
    line("suricata-verify", "smb", "smb.dcerpc.opnum", Is("dongson.dce_rpc.opnum"), ""),
    line("suricata-verify", "smb", "smb.dcerpc.call_id", Is("dongson.dce_rpc.call_id"), ""),
    line("suricata-verify", "smb", "smb.dcerpc.interfaces[*].uuid", Is("dongson.dce_rpc.interface"), ""),
    line("suricata-verify", "smb", "smb.dcerpc.interfaces[*].service", Is("dongson.dce_rpc.endpoint"), ""),
    line("suricata-verify", "smb", "smb.dcerpc.interfaces[*].procedure", Is("dongson.dce_rpc.operation"), ""),
];

/// Zeek's logs write a backslash twice.
fn unescaped(theirs: &str) -> String {
    theirs.replace("\\\\", "\\")
}

/// Seconds since 1970 that differ by less than 3 µs.
fn near(theirs: &str, ours: &str) -> bool {
    let (Ok(theirs), Ok(ours)) = (theirs.parse::<f64>(), dongson_event::Timestamp::parse(ours)) else {
        return false;
    };
    #[expect(clippy::cast_precision_loss, reason = "microseconds are compared")]
    let ours = ours.nanos() as f64 / 1e9;
    (theirs - ours).abs() < 3e-6
}

/// One of the values that tshark joins for a compound.
fn any(case: &Case<'_>, ours: &str, theirs: &str) -> bool {
    theirs.split('|').any(|value| value == case.text(ours))
}

fn number(case: &Case<'_>, ours: &str, theirs: &str) -> bool {
    let decimal = |value: &str| match value.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => value.parse().ok(),
    };
    theirs.split('|').any(|value| decimal(value).is_some_and(|value| case.number(ours) == Some(value)))
}

fn answered(case: &Case<'_>, theirs: &str) -> bool {
    let status = !case.text("dongson.smb.status_code").is_empty();
    theirs.split('|').all(|flag| flag == "0" || status)
}

/// Whole seconds since 1970; 0 for none.
fn seconds(case: &Case<'_>, ours: &str, theirs: &str) -> bool {
    let ours = case.text(ours);
    let parsed = dongson_event::Timestamp::parse(&ours).map(dongson_event::Timestamp::seconds);
    match theirs {
        "0" => ours.is_empty(),
        _ => parsed.ok().map(|seconds| seconds.to_string()).as_deref() == Some(theirs),
    }
}
