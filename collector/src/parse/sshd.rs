//! OpenSSH's server log, dataset `sshd`.
//!
//! User names come from the attacker and may hold ` from 192.0.2.1 port 1`: addresses are therefore read from
//! the end of a message, never from its start.

use super::{Context, Parsed, Refusal, Side, pam, syslog};

/// Reads a syslog line of sshd.
pub fn parse(bytes: &[u8], context: &Context<'_>) -> Result<Parsed, Refusal> {
    let line = crate::parse::text_of(bytes);
    let header = syslog::header(&line, context)?;
    if !is_program(header.program) {
        return Err(Refusal::Other("sshd"));
    }
    let mut parsed = syslog::event(&header);
    content(header.message, &mut parsed);
    Ok(parsed)
}

/// sshd, also by path, and the processes it was split into in OpenSSH 9.8 and 10.
pub(crate) fn is_program(program: &str) -> bool {
    matches!(program.rsplit('/').next(), Some("sshd" | "sshd-session" | "sshd-auth"))
}

/// Reads what sshd says; every message is of dataset `sshd`, known ones get more fields.
pub(crate) fn content(message: &str, parsed: &mut Parsed) {
    parsed.set("event.dataset", "sshd");
    parsed.set("service.type", "ssh");
    if pam::content(message, parsed) {
        return;
    }
    let message =
        message.strip_prefix("error: ").or_else(|| message.strip_prefix("fatal: ")).unwrap_or(message);
    let message = message.strip_suffix(" [preauth]").unwrap_or(message);
    let known = login(message, parsed) || invalid_user(message, parsed) || connection(message, parsed);
    if !known {
        parsed.default_to("event.category", vec!["process"]);
    }
}

/// `Accepted publickey for root from 192.0.2.1 port 5 ssh2: ED25519 SHA256:...`, `Failed password for ...`.
fn login(message: &str, parsed: &mut Parsed) -> bool {
    let Some((verb, tail)) = message.split_once(' ') else { return false };
    let outcome = match verb {
        "Accepted" => "success",
        "Failed" | "Postponed" => "failure",
        "maximum" => return exhausted(tail, parsed),
        _ => return false,
    };
    let Some((method, tail)) = tail.split_once(" for ") else { return false };
    let Some((who, place)) = tail.rsplit_once(" from ") else { return false };
    who_and_where(who, place, parsed);
    if let Some((_, signature)) = place.split_once(" ssh2: ") {
        parsed.text("sshd.signature", signature);
    }
    parsed.text("sshd.method", method);
    parsed.text("sshd.event", verb);
    authentication(outcome, parsed);
    true
}

/// `maximum authentication attempts exceeded for root from 192.0.2.1 port 5 ssh2`.
fn exhausted(tail: &str, parsed: &mut Parsed) -> bool {
    let Some((who, place)) = tail
        .strip_prefix("authentication attempts exceeded for ")
        .and_then(|tail| tail.rsplit_once(" from "))
    else {
        return false;
    };
    who_and_where(who, place, parsed);
    parsed.set("sshd.event", "Exceeded");
    authentication("failure", parsed);
    true
}

/// `Invalid user admin from 192.0.2.1 port 5`, `User x from 192.0.2.1 not allowed because ...`.
fn invalid_user(message: &str, parsed: &mut Parsed) -> bool {
    let (event, said) = match (message.strip_prefix("Invalid user "), message.strip_prefix("User ")) {
        (Some(tail), _) => ("Invalid", tail),
        (_, Some(tail)) => match tail.rsplit_once(" not allowed because ") {
            Some((said, reason)) => {
                parsed.text("event.reason", reason);
                ("NotAllowed", said)
            }
            None => return false,
        },
        _ => return false,
    };
    let Some((user, place)) = said.rsplit_once(" from ") else { return false };
    who_and_where(user, place, parsed);
    parsed.set("sshd.event", event);
    authentication("failure", parsed);
    true
}

/// Connections that begin, end, or break before anybody signed in.
fn connection(message: &str, parsed: &mut Parsed) -> bool {
    const KNOWN: &[(&str, &str, &str)] = &[
        ("Connection from ", "connection-accepted", "start"),
        ("Connection closed by ", "connection-closed", "end"),
        ("Connection reset by ", "connection-reset", "end"),
        ("Disconnected from ", "disconnected", "end"),
        ("Received disconnect from ", "disconnected", "end"),
        ("Disconnecting ", "disconnected", "end"),
        ("Did not receive identification string from ", "no-identification", "denied"),
        ("Unable to negotiate with ", "negotiation-failed", "denied"),
    ];
    let mut found = KNOWN
        .iter()
        .find_map(|(prefix, action, kind)| message.strip_prefix(prefix).map(|tail| (*action, *kind, tail)));
    if found.is_none() && message.starts_with("Bad protocol version identification ") {
        found = message.rsplit_once(" from ").map(|(_, tail)| ("bad-protocol-version", "denied", tail));
    }
    let Some((action, kind, said)) = found else { return false };
    let (who, place) = peer(said);
    who_and_where(who, place, parsed);
    parsed.set("event.action", action);
    parsed.set("event.category", vec!["network"]);
    parsed.set("event.type", vec!["connection", kind]);
    true
}

/// Splits `authenticating user root 192.0.2.1 port 5: reason` into the user's part and the address's.
fn peer(said: &str) -> (&str, &str) {
    match said.rsplit_once(" port ") {
        Some((front, _)) => {
            let at = front.rfind(' ').map_or(0, |space| space + 1);
            said.split_at_checked(at).map_or(("", said), |(who, place)| (who.trim_end(), place))
        }
        None => ("", said),
    }
}

/// `who` may begin with `invalid user ` and the like; `place` is `ADDRESS[ port N...]`.
fn who_and_where(who: &str, place: &str, parsed: &mut Parsed) {
    let who = who.strip_prefix("authenticating ").unwrap_or(who);
    let (user, invalid) =
        match who.strip_prefix("invalid user ").or_else(|| who.strip_prefix("illegal user ")) {
            Some(user) => (user, true),
            None => (who.strip_prefix("user ").unwrap_or(who), false),
        };
    parsed.text("user.name", user);
    if invalid {
        parsed.set("sshd.invalid_user", true);
    }
    let mut words = place.split(' ');
    let address = words.next().unwrap_or_default();
    if !address.is_empty() {
        parsed.endpoint(Side::Source, address.trim_end_matches(':'));
    }
    if words.next() == Some("port") {
        let digits = words.next().unwrap_or_default();
        parsed.number("source.port", digits.split(':').next().unwrap_or(digits));
    }
}

fn authentication(outcome: &'static str, parsed: &mut Parsed) {
    parsed.set("event.action", "ssh_login");
    parsed.set("event.category", vec!["authentication", "session"]);
    parsed.set("event.type", vec![if outcome == "success" { "start" } else { "info" }]);
    parsed.set("event.outcome", outcome);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, expected: &[(&str, &str)]) {
        let mut parsed = Parsed::default();
        content(message, &mut parsed);
        for (name, value) in expected {
            let found = parsed.event.get(name).map(|found| found.to_text().into_owned());
            assert_eq!(found.as_deref(), Some(*value), "{name} of {message}");
        }
    }

    #[test]
    fn messages() {
        check(
            "Accepted publickey for an from 203.0.113.5 port 50022 ssh2: ED25519 SHA256:abc",
            &[
                ("user.name", "an"),
                ("source.ip", "203.0.113.5"),
                ("source.port", "50022"),
                ("event.outcome", "success"),
                ("sshd.signature", "ED25519 SHA256:abc"),
            ],
        );
        check(
            "Failed password for invalid user oracle from 2001:db8::7 port 4 ssh2",
            &[("user.name", "oracle"), ("source.ip", "2001:db8::7"), ("sshd.invalid_user", "true")],
        );
        check(
            "Failed password for invalid user root from 10.0.0.1 port 1 ssh2 from 203.0.113.9 port 2 ssh2",
            &[("source.ip", "203.0.113.9"), ("user.name", "root from 10.0.0.1 port 1 ssh2")],
        );
        check("Invalid user admin from 203.0.113.5", &[("user.name", "admin"), ("event.outcome", "failure")]);
        check(
            "Connection closed by authenticating user root 203.0.113.5 port 39084 [preauth]",
            &[("user.name", "root"), ("source.port", "39084"), ("event.action", "connection-closed")],
        );
        check(
            "Received disconnect from 203.0.113.5 port 39084:11: Bye Bye [preauth]",
            &[("source.ip", "203.0.113.5"), ("source.port", "39084")],
        );
        check(
            "error: maximum authentication attempts exceeded for root from 203.0.113.5 port 6 ssh2 [preauth]",
            &[("user.name", "root"), ("event.outcome", "failure"), ("sshd.event", "Exceeded")],
        );
        check(
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 tty=ssh ruser= rhost=203.0.113.5  user=root",
            &[("user.name", "root"), ("source.ip", "203.0.113.5"), ("event.outcome", "failure")],
        );
        check(
            "pam_unix(sshd:session): session opened for user an(uid=1000) by (uid=0)",
            &[("user.name", "an"), ("event.action", "session-opened")],
        );
        check("Server listening on 0.0.0.0 port 22.", &[("event.dataset", "sshd")]);
    }
}
