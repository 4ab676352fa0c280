//! POP3 and IRC.

use super::Rule::{By, Is};
use super::{Line, line};
use crate::values::Case;

pub(super) const LINES: &[Line] = &[
    line("suricata-verify", "pop3", "event_type", By(|_, v| v == "pop3"), ""),
    line("suricata-verify", "pop3", "pop3.request.command", Is("dongson.pop3.command"), ""),
    line("suricata-verify", "pop3", "pop3.request.args[*]", By(argument), "passwords are sealed"),
    line(
        "suricata-verify",
        "pop3",
        "pop3.response.success",
        By(|case, v| (case.text("dongson.pop3.status") == "OK") == (v == "true")),
        "",
    ),
    line("suricata-verify", "pop3", "pop3.response.status", Is("dongson.pop3.status"), ""),
    line("suricata-verify", "pop3", "pop3.response.header", Is("dongson.pop3.response"), ""),
    line(
        "suricata-verify",
        "pop3",
        "pop3.response.data[*]",
        By(|case, v| case.item("dongson.pop3.lines").as_deref() == Some(v)),
        "",
    ),
    line("zeek", "irc", "nick", Is("dongson.irc.nick"), ""),
    line("zeek", "irc", "user", Is("user.name"), ""),
    line("zeek", "irc", "command", By(irc_command), ""),
    line("zeek", "irc", "value", By(irc_value), ""),
    line("zeek", "irc", "addl", Is("dongson.irc.addl"), ""),
    line("zeek", "irc", "dcc_file_name", Is("file.name"), ""),
    line("zeek", "irc", "dcc_file_size", Is("file.size"), ""),
];

/// Zeek makes a command of its own of what is offered past the server.
fn irc_command(case: &Case<'_>, theirs: &str) -> bool {
    let ours = if case.text("dongson.irc.dcc.type").is_empty() {
        "dongson.irc.command"
    } else {
        "dongson.irc.dcc.type"
    };
    case.text(ours) == theirs || (theirs == "DCC" && ours != "dongson.irc.command")
}

fn irc_value(case: &Case<'_>, theirs: &str) -> bool {
    ["dongson.irc.value", "dongson.irc.dcc.type"].iter().any(|name| case.text(name) == theirs)
}

fn argument(case: &Case<'_>, theirs: &str) -> bool {
    case.text("dongson.pop3.argument").split(' ').nth(case.index) == Some(theirs)
        || case.text("dongson.pop3.auth.password").starts_with("hmac-sha256:")
}
