//! SMTP.

use super::Rule::{By, Is};
use super::{Line, line};
use crate::values::Case;

pub(super) const LINES: &[Line] = &[
    line("suricata-verify", "smtp", "event_type", By(|_, v| v == "smtp"), ""),
    line(
        "suricata-verify",
        "smtp",
        "not-has-key",
        By(|_, v| v.starts_with('[')),
        "a list of names that EVE must not have: which the lines beside it show",
    ),
    line("suricata-verify", "*", "smtp.helo", Is("dongson.smtp.helo"), ""),
    line(
        "suricata-verify",
        "*",
        "smtp.mail_from",
        By(|case, v| case.text("dongson.smtp.mail_from") == bare(v)),
        "",
    ),
    line(
        "suricata-verify",
        "*",
        "smtp.rcpt_to[*]",
        By(|case, v| case.item("dongson.smtp.rcpt_to").as_deref() == Some(bare(v))),
        "",
    ),
    line(
        "suricata-verify",
        "*",
        "email.from",
        By(|case, v| case.list("dongson.smtp.from").join(", ") == v),
        "",
    ),
    line(
        "suricata-verify",
        "*",
        "email.to[*]",
        By(|case, v| case.item("dongson.smtp.to").as_deref() == Some(v)),
        "",
    ),
    line(
        "suricata-verify",
        "*",
        "email.cc[*]",
        By(|case, v| case.item("dongson.smtp.cc").as_deref() == Some(v)),
        "",
    ),
    line(
        "suricata-verify",
        "*",
        "email.received[*]",
        By(|case, v| case.item("dongson.smtp.received").as_deref() == Some(v)),
        "",
    ),
    line(
        "suricata-verify",
        "smtp",
        "email.attachment[*]",
        By(|case, v| case.item("email.attachments.file.name").as_deref() == Some(v)),
        "",
    ),
    line("suricata-verify", "fileinfo", "email.attachment[*]", Is("file.name"), ""),
    line(
        "suricata-verify",
        "*",
        "email.status",
        By(|case, v| (case.text("dongson.smtp.complete") == "true") == (v == "PARSE_DONE")),
        "",
    ),
    line("zeek", "smtp", "trans_depth", Is("dongson.smtp.trans_depth"), ""),
    line("zeek", "smtp", "helo", Is("dongson.smtp.helo"), ""),
    line("zeek", "smtp", "mailfrom", Is("dongson.smtp.mail_from"), ""),
    line(
        "zeek",
        "smtp",
        "rcptto",
        By(|case, v| set(&case.list("dongson.smtp.rcpt_to")) == set(&v.split(',').collect::<Vec<_>>())),
        "",
    ),
    line("zeek", "smtp", "from", By(|case, v| case.list("dongson.smtp.from").join(", ") == v), ""),
    line(
        "zeek",
        "smtp",
        "to",
        By(|case, v| set(&case.list("dongson.smtp.to")) == set(&v.split(',').collect::<Vec<_>>())),
        "",
    ),
    line(
        "zeek",
        "smtp",
        "cc",
        By(|case, v| set(&case.list("dongson.smtp.cc")) == set(&v.split(',').collect::<Vec<_>>())),
        "",
    ),
    line("zeek", "smtp", "date", Is("dongson.smtp.date"), ""),
    line("zeek", "smtp", "subject", Is("email.subject"), ""),
    line("zeek", "smtp", "msg_id", Is("email.message_id"), ""),
    line("zeek", "smtp", "in_reply_to", Is("dongson.smtp.in_reply_to"), ""),
    line("zeek", "smtp", "user_agent", Is("email.x_mailer"), ""),
    line("zeek", "smtp", "last_reply", Is("dongson.smtp.last_reply"), ""),
    line(
        "zeek",
        "smtp",
        "first_received",
        By(|case, v| case.list("dongson.smtp.received").first().is_some_and(|first| first == v)),
        "",
    ),
    line(
        "zeek",
        "smtp",
        "second_received",
        By(|case, v| case.list("dongson.smtp.received").get(1).is_some_and(|second| second == v)),
        "",
    ),
    line("zeek", "smtp", "tls", By(|case, v| (case.text("dongson.smtp.tls") == "true") == (v == "T")), ""),
    line(
        "zeek",
        "smtp",
        "path",
        By(path),
        "Zeek writes server, client and the addresses in Received headers as one list",
    ),
];

fn bare(theirs: &str) -> &str {
    theirs.trim_start_matches('<').trim_end_matches('>')
}

/// The members of a list without order, which Zeek's sets do not keep.
fn set<T: AsRef<str>>(list: &[T]) -> std::collections::BTreeSet<String> {
    list.iter().map(|one| one.as_ref().trim().to_owned()).collect()
}

fn path(case: &Case<'_>, theirs: &str) -> bool {
    let mut ours = vec![case.text("destination.ip"), case.text("source.ip")];
    for received in case.list("dongson.smtp.received") {
        let words = received.split(|sign: char| !(sign.is_ascii_hexdigit() || ".:".contains(sign)));
        let address = words.filter_map(|word| word.parse::<std::net::IpAddr>().ok()).next();
        ours.extend(address.map(|address| address.to_string()));
    }
    theirs.split(',').all(|address| ours.iter().any(|one| one == address))
}
