//! The settings of a notification channel, before they are kept: a wrong one is named, not found out by a lost message.

use serde_json::{Map, Value};

use crate::{ChannelKind, Error, Result};

/// Settings by name.
pub(crate) type Settings = Map<String, Value>;

/// What stands in the place of a secret setting when a channel is shown; given back, it keeps the stored secret.
pub(crate) const HIDDEN: &str = "***";

/// The settings whose values are never shown.
pub(crate) const SECRETS: &[&str] = &["password", "secret", "token"];

/// The form of a setting's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Port,
    Texts,
}

/// The settings of mail.
const SMTP: &[(&str, Form)] = &[
    ("host", Form::Text),
    ("port", Form::Port),
    ("tls", Form::Text),
    ("from", Form::Text),
    ("to", Form::Texts),
    ("username", Form::Text),
    ("password", Form::Text),
];

/// The settings of a webhook.
const WEBHOOK: &[(&str, Form)] = &[("url", Form::Text), ("secret", Form::Text)];

/// Checks the settings of a channel and gives them as they are kept: without white space around what is no secret,
/// without empty ones.
pub(crate) fn check(kind: ChannelKind, settings: &Settings) -> Result<Settings> {
    let known = if kind == ChannelKind::Smtp { SMTP } else { WEBHOOK };
    for (name, value) in settings {
        let Some((_, form)) = known.iter().find(|(known, _)| known == name) else {
            return wrong(name, "is no setting of this kind of channel");
        };
        form.check(name, value)?;
    }
    let kept = tidy(settings);
    match kind {
        ChannelKind::Smtp => smtp(&kept)?,
        ChannelKind::Webhook => webhook(&kept)?,
    }
    Ok(kept)
}

/// Puts the stored secrets in the place of `***`. A secret goes to the server that it was given for, and to no other.
pub(crate) fn keep_secrets(settings: &mut Settings, stored: Option<&Settings>) -> Result<()> {
    for name in SECRETS {
        if settings.get(*name).and_then(Value::as_str) != Some(HIDDEN) {
            continue;
        }
        let Some(stored) = stored.filter(|stored| !text(stored, name).is_empty()) else {
            return wrong(name, "give the secret itself: *** stands for one that is stored");
        };
        if reach(settings) != reach(stored) {
            return wrong(name, "give it again: it was given for another server");
        }
        settings.insert((*name).to_owned(), text(stored, name).into());
    }
    Ok(())
}

/// Where the secrets go: server, port and address, and whether in the clear.
fn reach(settings: &Settings) -> (String, Option<u64>, String, bool) {
    let port = settings.get("port").and_then(Value::as_u64);
    let plain = text(settings, "tls") == "none";
    (text(settings, "host").trim().to_lowercase(), port, text(settings, "url").trim().to_owned(), plain)
}

impl Form {
    fn check(self, name: &str, value: &Value) -> Result<()> {
        let fits = match self {
            _ if value.is_null() => true,
            Self::Text => value.is_string(),
            Self::Port => value.as_u64().is_some_and(|port| (1..=65_535).contains(&port)),
            Self::Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
        };
        match self {
            _ if fits => Ok(()),
            Self::Text => wrong(name, "must be text"),
            Self::Port => wrong(name, "must be 1 to 65535"),
            Self::Texts => wrong(name, "must be a list of texts"),
        }
    }
}

fn tidy(settings: &Settings) -> Settings {
    let trimmed = |value: &Value| match value {
        Value::String(text) => Value::from(text.trim()),
        other => other.clone(),
    };
    let tidy = |(name, value): (&String, &Value)| {
        let value = match value {
            _ if SECRETS.contains(&name.as_str()) => value.clone(),
            Value::Array(list) => list.iter().map(trimmed).collect(),
            other => trimmed(other),
        };
        let empty = value.is_null() || value.as_str().is_some_and(str::is_empty);
        (!empty).then(|| (name.clone(), value))
    };
    settings.iter().filter_map(tidy).collect()
}

fn wrong<T>(name: &str, reason: &'static str) -> Result<T> {
    Err(Error::Setting { name: name.to_owned(), reason })
}

fn text<'s>(settings: &'s Settings, name: &str) -> &'s str {
    settings.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Mail: a host, mailboxes, and a password with a user name.
fn smtp(settings: &Settings) -> Result<()> {
    let host = text(settings, "host");
    if host.is_empty() {
        return wrong("host", "must not be empty");
    }
    if !is_host(host) {
        return wrong("host", "is not the name or address of a server");
    }
    if !matches!(text(settings, "tls"), "" | "none" | "starttls" | "tls") {
        return wrong("tls", "must be starttls, tls or none");
    }
    if text(settings, "from").contains([',', ';']) {
        return wrong("from", "must be one mail address, without a comma");
    }
    mailbox("from", text(settings, "from"))?;
    let to = settings.get("to").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if to.is_empty() {
        return wrong("to", "must not be empty");
    }
    for one in to {
        mailbox("to", one.as_str().unwrap_or_default())?;
    }
    if !text(settings, "username").is_empty() && text(settings, "password").is_empty() {
        return wrong("password", "must not be empty");
    }
    Ok(())
}

/// Webhook: an address of HTTP with a host.
fn webhook(settings: &Settings) -> Result<()> {
    let url = text(settings, "url");
    let rest = url
        .split_once("://")
        .filter(|(given, _)| ["https", "http"].iter().any(|known| known.eq_ignore_ascii_case(given)));
    let Some((_, rest)) = rest else {
        return wrong("url", "url must begin with https:// or http://");
    };
    let place = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    if place.contains('@') {
        return wrong("url", "must not hold a user name or password: give a secret instead");
    }
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (place, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let plain = !url.chars().any(|sign| sign.is_whitespace() || sign.is_control());
    if !is_host(bare) || !port_fits || !plain || url::Url::parse(url).is_err() {
        return wrong("url", "is not the address of a page");
    }
    Ok(())
}

/// A name of labels of letters, digits and dashes, or an address. A name with other letters than ASCII's must have an
/// ASCII form (RFC 5891), which the sender uses.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|sign| sign.is_alphanumeric() || sign == '-' || sign == '_')
    };
    let named = || text.len() <= 253 && text.split('.').all(label);
    text.parse::<std::net::IpAddr>().is_ok()
        || (named() && (text.is_ascii() || url::Host::parse(text).is_ok()))
}

/// `name@host`, or `Words <name@host>`. The host may have other letters than ASCII's, the name may not: few servers
/// take such mail (RFC 6531).
fn mailbox(setting: &str, text: &str) -> Result<()> {
    let address = match text.strip_suffix('>') {
        Some(rest) => rest.split_once('<').map(|(_, address)| address),
        None => Some(text),
    };
    let Some((name, host)) = address.and_then(|address| address.rsplit_once('@')) else {
        return wrong(setting, "is not a mail address");
    };
    if name.chars().all(|sign| sign.is_alphanumeric() || ".-_+".contains(sign)) && !name.is_ascii() {
        return wrong(setting, "must have only letters without diacritics before the @");
    }
    let fits = |sign: char| sign.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(sign);
    let dots = !name.starts_with('.') && !name.ends_with('.') && !name.contains("..");
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let whole = !text.contains([',', ';']) && !text.chars().any(char::is_control);
    if whole && (1..=64).contains(&name.len()) && name.chars().all(fits) && dots && is_host(host) {
        Ok(())
    } else {
        wrong(setting, "is not a mail address")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(settings: &Value, expected: Option<&str>) {
        let object = settings.as_object().unwrap();
        let kind = if object.contains_key("url") { ChannelKind::Webhook } else { ChannelKind::Smtp };
        let name = match super::check(kind, object) {
            Ok(_) => None,
            Err(Error::Setting { name, .. }) => Some(name),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(name.as_deref(), expected, "{settings}");
    }

    #[test]
    fn each_wrong_setting_is_named() {
        let good = json!({ "host": "mail.so-yte.vn", "port": 587, "from": "Đông Sơn <soc@so-yte.vn>", "to": ["an@so-yte.vn"] });
        check(&good, None);
        for (name, value, field) in [
            ("host", json!(""), "host"),
            ("host", json!("a b"), "host"),
            ("port", json!(0), "port"),
            ("port", json!(70_000), "port"),
            ("port", json!("587"), "port"),
            ("tls", json!("maybe"), "tls"),
            ("from", json!("nobody"), "from"),
            ("from", json!("a@b <"), "from"),
            ("to", json!([]), "to"),
            ("to", json!(["an@so-yte.vn", "x"]), "to"),
            ("to", json!("an@so-yte.vn"), "to"),
            ("username", json!("soc"), "password"),
            ("hots", json!("mail.so-yte.vn"), "hots"),
            ("token", json!("x"), "token"),
            ("host", json!(5), "host"),
            ("password", json!(5), "password"),
            ("tls", json!(true), "tls"),
            ("from", json!("a@so-yte.vn, b@so-yte.vn"), "from"),
            ("from", json!("Sở Y tế, phòng <a@so-yte.vn>"), "from"),
            ("from", json!("trực@so-yte.vn"), "from"),
            ("to", json!(["an@so-yte.vn", 5]), "to"),
            ("to", json!(["trực@so-yte.vn"]), "to"),
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
        for good in [
            "https://hooks.vn/a?b#c@d",
            "http://10.0.0.1:8080/",
            "HTTPS://[2001:db8::1]:9/x",
            "https://máy.vn",
        ] {
            check(&json!({ "url": good }), None);
        }
        for bad in
            ["ftp://a", "https://", "https:///x", "https://a b/", "https://a:0/", "https://a:99999/", "x"]
        {
            check(&json!({ "url": bad }), Some("url"));
        }
        for bad in ["https://soc:pass@hooks.vn/", "HTTP://soc@hooks.vn", "https://@hooks.vn/"] {
            let given = json!({ "url": bad });
            let refused = super::check(ChannelKind::Webhook, given.as_object().unwrap()).unwrap_err();
            assert!(
                matches!(refused, Error::Setting { reason, .. } if reason.contains("secret")),
                "{bad}: {refused}"
            );
        }
    }

    #[test]
    fn what_is_kept_is_tidy() {
        let given = json!({ "host": " mail.so-yte.vn\t", "from": " a@máy.vn ", "to": [" b@máy.vn"], "tls": "", "port": null,
            "username": "soc", "password": " with spaces " });
        let kept = super::check(ChannelKind::Smtp, given.as_object().unwrap()).unwrap();
        let expected = json!({ "host": "mail.so-yte.vn", "from": "a@máy.vn", "to": ["b@máy.vn"], "username": "soc",
            "password": " with spaces " });
        assert_eq!(Value::from(kept), expected);
        check(&json!({ "url": "https://a.vn", "secret": 5 }), Some("secret"));
        check(&json!({ "url": "https://a.vn", "secrte": "x" }), Some("secrte"));
        check(&json!({ "url": "https://a.vn", "secret": null }), None);
    }

    #[test]
    fn a_secret_stays_with_its_server() {
        #[track_caller]
        fn kept(settings: &Value, stored: Option<Value>) -> Option<String> {
            let mut settings = settings.as_object().unwrap().clone();
            let stored = stored.map(|stored| stored.as_object().unwrap().clone());
            keep_secrets(&mut settings, stored.as_ref()).ok()?;
            Some(text(&settings, "secret").to_owned() + text(&settings, "password"))
        }
        let hook = |url: &str, secret: &str| json!({ "url": url, "secret": secret });
        let stored = || Some(hook("https://a.vn/x", "s"));
        assert_eq!(kept(&hook("https://a.vn/x", "***"), stored()).as_deref(), Some("s"));
        assert_eq!(kept(&hook("https://b.vn/x", "***"), stored()), None);
        assert_eq!(kept(&hook("https://b.vn/x", "new"), stored()).as_deref(), Some("new"));
        assert_eq!(kept(&hook("https://a.vn/x", "***"), None), None);
        assert_eq!(kept(&hook("https://a.vn/x", "***"), Some(json!({ "url": "https://a.vn/x" }))), None);
        let mail = |host: &str, tls: &str| json!({ "host": host, "tls": tls, "password": "***" });
        let stored = || Some(json!({ "host": "mail.vn", "tls": "tls", "password": "p" }));
        assert_eq!(kept(&mail("MAIL.vn", "starttls"), stored()).as_deref(), Some("p"));
        assert_eq!(kept(&mail("mail.example", "tls"), stored()), None);
        assert_eq!(kept(&mail("mail.vn", "none"), stored()), None);
    }
}
