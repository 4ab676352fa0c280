//! What PAM modules write into the log of any program: sessions and failed authentications.

use super::{Parsed, Side};

/// Reads `pam_unix(sshd:session): session opened for user x ...`; false when the message is not PAM's.
pub(crate) fn content(message: &str, parsed: &mut Parsed) -> bool {
    let Some((service, said)) = message
        .strip_prefix("pam_")
        .and_then(|tail| tail.split_once('('))
        .and_then(|(_module, tail)| tail.split_once("): "))
    else {
        return false;
    };
    let service = service.split(':').next().unwrap_or(service);
    if let Some(tail) = said.strip_prefix("session ") {
        return session(service, tail, parsed);
    }
    if let Some(pairs) = said.strip_prefix("authentication failure;") {
        failure(service, pairs, parsed);
        return true;
    }
    false
}

fn session(service: &str, said: &str, parsed: &mut Parsed) -> bool {
    let Some((verb, user)) = said.split_once(" for user ") else { return false };
    let (action, kind) = match verb {
        "opened" => ("session-opened", "start"),
        "closed" => ("session-closed", "end"),
        _ => return false,
    };
    let name = user.split_once(" by ").map_or(user, |(name, _by)| name).trim_end();
    let name = name.split_once("(uid=").map_or(name, |(name, _uid)| name);
    parsed.set("event.action", action);
    parsed.set("event.category", vec!["session"]);
    parsed.set("event.type", vec![kind]);
    parsed.text("user.name", name);
    parsed.text("service.name", service);
    true
}

fn failure(service: &str, pairs: &str, parsed: &mut Parsed) {
    parsed.set("event.action", "authentication-failure");
    parsed.set("event.category", vec!["authentication"]);
    parsed.set("event.type", vec!["start"]);
    parsed.set("event.outcome", "failure");
    parsed.text("service.name", service);
    for (name, value) in pairs.split_whitespace().filter_map(|pair| pair.split_once('=')) {
        match name {
            "user" => parsed.text("user.name", value),
            "ruser" => parsed.text("source.user.name", value),
            "rhost" if !value.is_empty() => parsed.endpoint(Side::Source, value),
            _ => {}
        }
    }
}
