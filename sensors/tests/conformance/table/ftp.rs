//! FTP and its data connections.

use super::Rule::{By, Drop, Is};
use super::{Line, line};
use crate::values::Case;

const SEALED: &str = "Zeek writes passwords, ours are sealed";

pub(super) const LINES: &[Line] = &[
    line("suricata-verify", "ftp", "event_type", By(|_, v| v == "ftp"), ""),
    line("suricata-verify", "ftp", "ftp.command", Is("dongson.ftp.command"), ""),
    line("suricata-verify", "ftp", "ftp.command_data", Is("dongson.ftp.argument"), ""),
    line(
        "suricata-verify",
        "ftp",
        "ftp.command_data.__len",
        By(|case, v| case.text("dongson.ftp.argument").len().to_string() == v),
        "",
    ),
    line("suricata-verify", "ftp", "ftp.command_truncated", Is("dongson.ftp.command_truncated"), ""),
    line("suricata-verify", "ftp", "ftp.reply_truncated", Is("dongson.ftp.reply_truncated"), ""),
    line("suricata-verify", "ftp", "ftp.dynamic_port", Is("dongson.ftp.data_channel.port"), ""),
    line(
        "suricata-verify",
        "ftp",
        "ftp.reply[*]",
        By(|case, v| case.item("dongson.ftp.replies").as_deref() == Some(v)),
        "",
    ),
    line(
        "suricata-verify",
        "ftp",
        "ftp.completion_code[*]",
        By(|case, v| case.item("dongson.ftp.reply_codes").as_deref() == Some(v)),
        "",
    ),
    line("suricata-verify", "ftp_data", "event_type", By(|_, v| v == "ftp_data"), ""),
    line("suricata-verify", "ftp_data", "ftp_data.filename", Is("file.name"), ""),
    line("suricata-verify", "ftp_data", "ftp_data.command", Is("dongson.ftp.command"), ""),
    line("zeek", "ftp", "user", By(|case, v| case.text("user.name") == v.replace("<unknown>", "")), ""),
    line("zeek", "ftp", "password", Drop, SEALED),
    line(
        "zeek",
        "ftp",
        "command",
        By(|case, v| case.text("dongson.ftp.command") == v.replace("<init>", "")),
        "",
    ),
    line("zeek", "ftp", "arg", By(argument), ""),
    line("zeek", "ftp", "cwd", Is("dongson.ftp.cwd"), ""),
    line("zeek", "ftp", "mime_type", Is("file.mime_type"), ""),
    line("zeek", "ftp", "file_size", Is("file.size"), ""),
    line("zeek", "ftp", "reply_code", Is("dongson.ftp.reply_code"), ""),
    line("zeek", "ftp", "reply_msg", Is("dongson.ftp.reply_message"), ""),
    line(
        "zeek",
        "ftp",
        "data_channel.passive",
        By(|case, v| (case.text("dongson.ftp.data_channel.passive") == "true") == (v == "T")),
        "",
    ),
    line("zeek", "ftp", "data_channel.orig_h", By(caller), ""),
    line("zeek", "ftp", "data_channel.resp_h", By(listener), ""),
    line("zeek", "ftp", "data_channel.resp_p", Is("dongson.ftp.data_channel.port"), ""),
];

/// Zeek writes files as URLs; a password is sealed.
fn argument(case: &Case<'_>, theirs: &str) -> bool {
    if case.text("dongson.ftp.command") == "PASS" {
        return case.text("dongson.ftp.argument").starts_with("hmac-sha256:");
    }
    let Some(url) = theirs.strip_prefix("ftp://") else {
        return case.text("dongson.ftp.argument") == theirs;
    };
    let server = case.text("destination.ip");
    let path = case.text("file.path");
    let path = path.trim_start_matches('/');
    url == format!("{server}/{path}") || url == format!("[{server}]/{path}")
}

/// Who calls for the data: the client when the server waits.
fn caller(case: &Case<'_>, theirs: &str) -> bool {
    let passive = case.text("dongson.ftp.data_channel.passive") == "true";
    case.text(if passive { "source.ip" } else { "destination.ip" }) == theirs
}

/// Who waits, where no address was said the server.
fn listener(case: &Case<'_>, theirs: &str) -> bool {
    let said = case.text("dongson.ftp.data_channel.ip");
    if said.is_empty() { case.text("destination.ip") == theirs } else { said == theirs }
}
