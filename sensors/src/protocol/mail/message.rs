//! What the headers of a mail say, whatever protocol it travels in (RFC 5322, 3.6).
//!
//! In: a [`Reader`] that has seen a mail. Out: fields of the event of that mail. The headers without a name in ECS stand under
//! `dongson.smtp.` also where the mail was fetched, so that one question finds a mail on all its ways.

use dongson_event::Event;

use super::multipart::{Reader, words};

/// `Received` headers kept.
const MAX_RECEIVED: usize = 32;
/// Mailboxes kept of one header.
const MAX_MAILBOXES: usize = 256;
/// What the event of a file takes over from that of its mail.
const SHARED_WITH_FILES: [&str; 8] = [
    "dongson.smtp.helo",
    "dongson.smtp.mail_from",
    "dongson.smtp.rcpt_to",
    "dongson.smtp.from",
    "dongson.smtp.to",
    "dongson.smtp.complete",
    "email.subject",
    "email.message_id",
];

/// Headers (RFC 5322, 3.6) and attachments.
pub(super) fn describe_mail(event: &mut Event, reader: &Reader, complete: bool) {
    event.set("dongson.smtp.complete", complete);
    let all = |name: &str| -> Vec<String> {
        let found = reader.headers.iter().filter(|header| header.name == name);
        found.map(|header| words(&header.value)).take(MAX_RECEIVED).collect()
    };
    let first = |name: &str| all(name).into_iter().next();
    for (header, raw, addresses) in [
        ("from", "dongson.smtp.from", "email.from.address"),
        ("to", "dongson.smtp.to", "email.to.address"),
        ("cc", "dongson.smtp.cc", "email.cc.address"),
        ("reply-to", "dongson.smtp.reply_to", "email.reply_to.address"),
    ] {
        let Some(value) = first(header) else { continue };
        event.set(addresses, mailboxes(&value).iter().map(|one| bare(one)).collect::<Vec<_>>());
        event.set(raw, mailboxes(&value));
    }
    event.set_some("email.subject", first("subject"));
    event.set_some("email.message_id", first("message-id"));
    event.set_some("email.x_mailer", first("x-mailer").or_else(|| first("user-agent")));
    event.set_some("dongson.smtp.date", first("date"));
    event.set_some("dongson.smtp.in_reply_to", first("in-reply-to"));
    event.set_some("dongson.smtp.x_originating_ip", first("x-originating-ip"));
    let received = all("received");
    if !received.is_empty() {
        event.set("dongson.smtp.received", received);
    }
    let names: Vec<String> = reader.files.iter().filter_map(|file| file.about.name.clone()).collect();
    if !names.is_empty() {
        event.set("email.attachments.file.name", names);
    }
}

/// The mailboxes of a header: cut at commas outside quotes and angle brackets.
fn mailboxes(value: &str) -> Vec<String> {
    let (mut found, mut one, mut quoted, mut angled) = (Vec::new(), String::new(), false, false);
    for sign in value.chars() {
        quoted ^= sign == '"';
        angled = if quoted { angled } else { sign == '<' || (angled && sign != '>') };
        if sign == ',' && !quoted && !angled {
            found.push(std::mem::take(&mut one));
        } else {
            one.push(sign);
        }
    }
    found.push(one);
    let trimmed = found.iter().map(|one| one.trim().to_owned()).filter(|one| !one.is_empty());
    trimmed.take(MAX_MAILBOXES).collect()
}

/// The address of a mailbox, without the name.
fn bare(mailbox: &str) -> String {
    let inner = mailbox.rsplit_once('<').and_then(|(_, rest)| rest.split('>').next());
    inner.unwrap_or(mailbox).trim().to_owned()
}

/// Says in the events of a mail's files which mail they came with.
pub(super) fn share_with_files(mail: &Event, files: &mut [Event]) {
    for file in files {
        for name in SHARED_WITH_FILES {
            file.set_some(name, mail.get(name).cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_are_cut_at_commas() {
        let boxes = mailboxes("\"Nguyen, An\" <an@xa.vn>, b@vn,, <c@vn>");
        assert_eq!(boxes, ["\"Nguyen, An\" <an@xa.vn>", "b@vn", "<c@vn>"]);
        assert_eq!(boxes.iter().map(|one| bare(one)).collect::<Vec<_>>(), ["an@xa.vn", "b@vn", "c@vn"]);
    }
}
