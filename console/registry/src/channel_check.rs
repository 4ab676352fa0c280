//! The settings of a notification channel, before they are kept: a wrong one is named, not found out by a lost message.

use serde_json::{Map, Value};

use crate::{Error, Result};

type Settings = Map<String, Value>;

fn wrong<T>(field: &'static str, reason: &'static str) -> Result<T> {
    Err(Error::Invalid { field, reason })
}

fn text<'s>(settings: &'s Settings, name: &str) -> &'s str {
    settings.get(name).and_then(Value::as_str).unwrap_or_default().trim()
}

/// Mail: a host, a port, mailboxes, and a password with a user name.
pub(crate) fn smtp(settings: &Settings) -> Result<()> {
    let host = text(settings, "host");
    if host.is_empty() {
        return wrong("settings.host", "must not be empty");
    }
    if !is_host(host) {
        return wrong("settings.host", "is not the name or address of a server");
    }
    let port = settings.get("port").filter(|port| !port.is_null());
    if port.is_some_and(|port| !port.as_u64().is_some_and(|port| (1..=65_535).contains(&port))) {
        return wrong("settings.port", "must be 1 to 65535");
    }
    let tls = settings.get("tls").filter(|tls| !tls.is_null());
    if tls.is_some_and(|tls| !matches!(tls.as_str(), Some("" | "none" | "starttls" | "tls"))) {
        return wrong("settings.tls", "must be starttls, tls or none");
    }
    if !is_mailbox(text(settings, "from")) {
        return wrong("settings.from", "is not a mail address");
    }
    let to = settings.get("to").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if to.is_empty() {
        return wrong("settings.to", "must not be empty");
    }
    if to.iter().any(|to| !to.as_str().is_some_and(is_mailbox)) {
        return wrong("settings.to", "is not a mail address");
    }
    if !text(settings, "username").is_empty() && text(settings, "password").is_empty() {
        return wrong("settings.password", "must not be empty");
    }
    Ok(())
}

/// Webhook: an address of HTTP with a host.
pub(crate) fn webhook(settings: &Settings) -> Result<()> {
    let url = text(settings, "url");
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return wrong("settings.url", "url must begin with https:// or http://");
    };
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (place, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if !is_host(bare) || !port_fits || url.chars().any(|sign| sign.is_whitespace() || sign.is_control()) {
        return wrong("settings.url", "is not the address of a page");
    }
    Ok(())
}

/// A name of labels of letters, digits and dashes, or an address.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|sign| sign.is_alphanumeric() || sign == '-' || sign == '_')
    };
    text.parse::<std::net::IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(label))
}

/// `name@host`, or `Words <name@host>`.
fn is_mailbox(text: &str) -> bool {
    let text = text.trim();
    let address = match text.strip_suffix('>') {
        Some(rest) => match rest.split_once('<') {
            Some((_, address)) => address,
            None => return false,
        },
        None => text,
    };
    let Some((name, host)) = address.rsplit_once('@') else { return false };
    let fits = |sign: char| sign.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(sign);
    let dots = !name.starts_with('.') && !name.ends_with('.') && !name.contains("..");
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    !text.chars().any(char::is_control)
        && (1..=64).contains(&name.len())
        && name.chars().all(fits)
        && dots
        && is_host(host)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(settings: &Value, expected: Option<&str>) {
        let object = settings.as_object().unwrap();
        let found = if object.contains_key("url") { webhook(object) } else { smtp(object) };
        let field = match &found {
            Ok(()) => None,
            Err(Error::Invalid { field, .. }) => Some(*field),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(field, expected, "{settings}");
    }

    #[test]
    fn each_wrong_setting_is_named() {
        let good = json!({ "host": "mail.so-yte.vn", "port": 587, "from": "Đông Sơn <soc@so-yte.vn>", "to": ["an@so-yte.vn"] });
        check(&good, None);
        for (name, value, field) in [
            ("host", json!(""), "settings.host"),
            ("host", json!("a b"), "settings.host"),
            ("port", json!(0), "settings.port"),
            ("port", json!(70_000), "settings.port"),
            ("port", json!("587"), "settings.port"),
            ("tls", json!("maybe"), "settings.tls"),
            ("from", json!("nobody"), "settings.from"),
            ("from", json!("a@b <"), "settings.from"),
            ("to", json!([]), "settings.to"),
            ("to", json!(["an@so-yte.vn", "x"]), "settings.to"),
            ("to", json!("an@so-yte.vn"), "settings.to"),
            ("username", json!("soc"), "settings.password"),
        ] {
            let mut bad = good.clone();
            bad.as_object_mut().unwrap().insert(name.to_owned(), value);
            check(&bad, Some(field));
        }
        check(
            &json!({ "host": "10.0.0.5", "from": "a@localhost", "to": ["b@localhost"], "tls": "none" }),
            None,
        );
    }

    #[test]
    fn urls_have_a_host() {
        for good in
            ["https://hooks.vn/a?b#c", "http://10.0.0.1:8080/", "https://[2001:db8::1]:9/x", "https://máy.vn"]
        {
            check(&json!({ "url": good }), None);
        }
        for bad in
            ["ftp://a", "https://", "https:///x", "https://a b/", "https://a:0/", "https://a:99999/", "x"]
        {
            check(&json!({ "url": bad }), Some("settings.url"));
        }
    }
}
