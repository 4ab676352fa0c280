//! SMTP.

use super::Rule::{By, Is};
use super::{Line, line};
use crate::values::Case;

pub(super) const LINES: &[Line] = &[
    line("suricata-verify", "smtp", "event_type", By(|_, v| v == "smtp"), ""),
    line("suricata-verify", "smtp", "not-has-key", By(lacks), ""),
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
        By(|case, v| attachment(case.item("email.attachments.file.name"), v)),
        "Suricata cuts names of attachments at 255 bytes, we at 1024",
    ),
    line(
        "suricata-verify",
        "fileinfo",
        "email.attachment[*]",
        By(|case, v| attachment(Some(case.text("file.name")), v)),
        "Suricata cuts names of attachments at 255 bytes, we at 1024",
    ),
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

/// None of the named items is there.
fn lacks(case: &Case<'_>, theirs: &str) -> bool {
    let listed: Vec<String> = serde_json::from_str(theirs).unwrap_or_else(|_| vec![theirs.to_owned()]);
    listed.iter().all(|name| {
        let (base, index) = name.split_once('[').map_or((name.as_str(), 0), |(base, rest)| {
            (base, rest.trim_end_matches(']').parse().unwrap_or(0))
        });
        let ours = match base {
            "smtp.rcpt_to" => "dongson.smtp.rcpt_to",
            "smtp.mail_from" => "dongson.smtp.mail_from",
            "email.to" => "dongson.smtp.to",
            "email.from" => "dongson.smtp.from",
            "email.cc" => "dongson.smtp.cc",
            "email.attachment" => "email.attachments.file.name",
            _ => return false,
        };
        case.list(ours).len() <= index
    })
}

/// Suricata cuts names of attachments at 255 bytes.
fn attachment(ours: Option<String>, theirs: &str) -> bool {
    ours.is_some_and(|ours| ours == theirs || (theirs.len() == 255 && ours.starts_with(theirs)))
}

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
        let mut words = received.split(|sign: char| !(sign.is_ascii_hexdigit() || ".:".contains(sign)));
        let address = words.find_map(|word| word.parse::<std::net::IpAddr>().ok());
        ours.extend(address.map(|address| address.to_string()));
    }
    set(&ours) == set(&theirs.split(',').collect::<Vec<_>>())
}
