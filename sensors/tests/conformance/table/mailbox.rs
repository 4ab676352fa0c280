//! POP3.

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
];

fn argument(case: &Case<'_>, theirs: &str) -> bool {
    case.text("dongson.pop3.argument").split(' ').nth(case.index) == Some(theirs)
        || case.text("dongson.pop3.auth.password").starts_with("hmac-sha256:")
}
