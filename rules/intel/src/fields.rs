//! Which fields of an event carry what, as data; and the indicators that an event meets.

use std::borrow::Cow;

use dongson_event::{Event, Timestamp, Value};

use crate::allow::AllowList;
use crate::indicator::Kind;
use crate::normal;
use crate::set::{Hit, Set};

/// Fields whose values are looked up, by what they carry.
pub const FIELDS: &[(&str, Kind)] = &[
    ("source.ip", Kind::Net),
    ("source.nat.ip", Kind::Net),
    ("destination.ip", Kind::Net),
    ("destination.nat.ip", Kind::Net),
    ("client.ip", Kind::Net),
    ("server.ip", Kind::Net),
    ("dns.resolved_ip", Kind::Net),
    ("dongson.tunnel.source.ip", Kind::Net),
    ("dongson.tunnel.destination.ip", Kind::Net),
    ("dongson.http.forwarded", Kind::Net),
    ("dns.question.name", Kind::Domain),
    ("dns.answers.data", Kind::Domain),
    ("tls.client.server_name", Kind::Domain),
    ("tls.server.x509.alternative_names", Kind::Domain),
    ("url.domain", Kind::Domain),
    ("destination.domain", Kind::Domain),
    ("source.domain", Kind::Domain),
    ("dongson.http.host", Kind::Domain),
    ("url.full", Kind::Url),
    ("url.original", Kind::Url),
    ("http.request.referrer", Kind::Url),
    ("file.hash.md5", Kind::Md5),
    ("process.hash.md5", Kind::Md5),
    ("file.hash.sha1", Kind::Sha1),
    ("process.hash.sha1", Kind::Sha1),
    ("tls.server.hash.sha1", Kind::Sha1),
    ("file.hash.sha256", Kind::Sha256),
    ("process.hash.sha256", Kind::Sha256),
    ("tls.server.hash.sha256", Kind::Sha256),
    ("tls.client.ja3", Kind::Ja3),
    ("tls.client.ja4", Kind::Ja4),
];

/// Most values of a list that are looked up.
const MAX_LIST: usize = 64;
/// Most indicators that one event is told to meet.
const MAX_FOUND: usize = 16;

/// An indicator that an event meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'s> {
    /// The field.
    pub field: &'static str,
    /// The value as the event has it.
    pub value: String,
    /// The indicator.
    pub hit: Hit<'s>,
}

impl Set {
    /// The indicators that `event` meets at its time, in the order of [`FIELDS`]; each indicator once, at most 16.
    pub fn matches(&self, event: &Event, allow: &AllowList) -> Vec<Found<'_>> {
        let mut found: Vec<Found<'_>> = Vec::new();
        if self.is_empty() {
            return found;
        }
        let (at, scheme) = (event.timestamp().unwrap_or_default(), event.text("url.scheme"));
        for &(field, kind) in FIELDS {
            let Some(value) = event.get(field) else { continue };
            for scalar in value.scalars().iter().take(MAX_LIST) {
                let Value::Text(text) = scalar else { continue };
                let asked = whole(field, text, scheme);
                let Some(hit) = self.look_up(kind, &asked, at, allow) else { continue };
                note(&mut found, Found { field, value: text.to_string(), hit });
            }
        }
        self.hosts(event, at, allow, &mut found);
        self.assembled(event, at, &mut found);
        found
    }

    fn look_up(&self, kind: Kind, text: &str, at: Timestamp, allow: &AllowList) -> Option<Hit<'_>> {
        match kind {
            Kind::Net => self.ip(text.parse().ok()?, at, allow),
            // Where a name is asked for, an address may stand.
            Kind::Domain => match text.parse() {
                Ok(ip) => self.ip(ip, at, allow),
                Err(_) => self.domain(text, at, allow),
            },
            Kind::Url => self.url(text, at),
            exact => self.exact(exact, text, at, allow),
        }
    }

    /// The hosts of URLs: domains, or addresses in their place.
    fn hosts<'s>(&'s self, event: &Event, at: Timestamp, allow: &AllowList, found: &mut Vec<Found<'s>>) {
        let scheme = event.text("url.scheme");
        for &(field, _) in FIELDS.iter().filter(|(_, kind)| *kind == Kind::Url) {
            let Some(value) = event.get(field) else { continue };
            for scalar in value.scalars().iter().take(MAX_LIST) {
                let Value::Text(text) = scalar else { continue };
                let asked = whole(field, text, scheme);
                let Some(host) = normal::host(&asked) else { continue };
                if let Some(hit) = self.look_up(Kind::Domain, host, at, allow) {
                    note(found, Found { field, value: text.to_string(), hit });
                }
            }
        }
    }

    /// A sensor tells a URL in parts: scheme, domain, and what the request line asked for.
    fn assembled<'s>(&'s self, event: &Event, at: Timestamp, found: &mut Vec<Found<'s>>) {
        if self.count(Kind::Url) == 0 || event.get("url.full").is_some() {
            return;
        }
        let (Some(host), Some(rest)) = (event.text("url.domain"), event.text("url.original")) else { return };
        if !rest.starts_with('/') {
            return;
        }
        let scheme = event.text("url.scheme").unwrap_or("http");
        let port = event.int("url.port").or_else(|| event.int("destination.port"));
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let text = format!("{scheme}://{host}{port}{rest}");
        if let Some(hit) = self.url(&text, at) {
            note(found, Found { field: "url.original", value: text, hit });
        }
    }
}

/// What is asked for a value: a whole URL may leave out its scheme where the event has it in a field of its own.
fn whole<'t>(field: &str, text: &'t str, scheme: Option<&str>) -> Cow<'t, str> {
    if field == "url.full" { normal::in_scheme(text, scheme) } else { Cow::Borrowed(text) }
}

/// Keeps what is met, each indicator once, up to the limit.
fn note<'s>(found: &mut Vec<Found<'s>>, one: Found<'s>) {
    let same = |known: &Found<'_>| known.hit.kind == one.hit.kind && known.hit.indicator == one.hit.indicator;
    if found.len() < MAX_FOUND && !found.iter().any(same) {
        found.push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicator::{Detail, Indicator, Tlp};
    use crate::set::Builder;

    fn set(values: &[&str]) -> Set {
        let mut builder = Builder::default();
        let expires = Some(Timestamp::parse("2027-01-01T00:00:00Z").unwrap());
        let detail = Detail { source: "s".to_owned(), confidence: 80, tlp: Tlp::Red, expires };
        for value in values {
            builder.add(&Indicator::guess(value).unwrap(), &detail);
        }
        builder.finish()
    }

    fn found(set: &Set, allow: &str, event: &str) -> Vec<(&'static str, String)> {
        let event = Event::parse(event.as_bytes()).unwrap().0;
        let (allow, refused) = AllowList::parse(allow);
        assert_eq!(refused, []);
        set.matches(&event, &allow).into_iter().map(|one| (one.field, one.hit.indicator)).collect()
    }

    #[test]
    fn fields_that_are_looked_up_are_known() {
        for (field, _) in FIELDS {
            assert!(dongson_event::fields::find(field).is_some(), "{field}");
        }
    }

    #[test]
    fn an_event_meets_indicators_of_all_kinds() {
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        let set = set(&["203.0.113.0/24", "203.0.113.7", "bad.example", "http://cdn.example:8080/a", md5]);
        let event = format!(
            r#"{{"@timestamp":"2026-11-23T02:00:00Z","source.ip":"203.0.113.7","destination.ip":"203.0.113.9","dns.question.name":"X.Bad.Example.","url.domain":"cdn.example","url.original":"/a","destination.port":8080,"file.hash.md5":"{}","dns.answers.data":["1.1.1.1","bad.example"]}}"#,
            md5.to_uppercase()
        );
        let expected = [
            ("source.ip", "203.0.113.7"),
            ("destination.ip", "203.0.113.0/24"),
            ("dns.question.name", "bad.example"),
            ("file.hash.md5", md5),
            ("url.original", "http://cdn.example:8080/a"),
        ];
        assert_eq!(found(&set, "", &event), expected.map(|(field, value)| (field, value.to_owned())));
        assert_eq!(found(&set, "203.0.0.0/8 # own", &event).len(), 3);
    }

    #[test]
    fn the_host_of_a_url_is_looked_up() {
        let set = set(&["bad.example", "203.0.113.7"]);
        for (field, url, met) in [
            ("url.full", "https://x.BAD.example:8443/a?b#c", Some("bad.example")),
            ("url.full", "http://user:pw@bad.example", Some("bad.example")),
            ("url.full", "http://203.0.113.7/a", Some("203.0.113.7")),
            ("url.original", "http://bad.example/proxy", Some("bad.example")),
            ("http.request.referrer", "https://bad.example./", Some("bad.example")),
            ("url.full", "https://good.example/?u=http://bad.example/", None),
            ("url.full", "https://bad.example.good.example/", None),
            ("url.original", "/bad.example", None),
            ("url.full", "bad.example", None),
        ] {
            let event = format!(r#"{{"@timestamp":"2026-11-23T02:00:00Z","{field}":"{url}"}}"#);
            let expected: Vec<_> = met.map(|met| (field, met.to_owned())).into_iter().collect();
            assert_eq!(found(&set, "", &event), expected, "{url}");
        }
        for field in ["url.domain", "dns.question.name", "tls.client.server_name"] {
            let event = format!(r#"{{"@timestamp":"2026-11-23T02:00:00Z","{field}":"a.bad.example"}}"#);
            assert_eq!(found(&set, "", &event), [(field, "bad.example".to_owned())]);
        }
        let allowed = r#"{"@timestamp":"2026-11-23T02:00:00Z","url.full":"https://bad.example/"}"#;
        assert_eq!(found(&set, "bad.example", allowed), []);
    }

    #[test]
    fn names_in_their_own_letters_are_met() {
        let set = set(&["http://Máy.vn/tải", "XN--MY-MIA.vn", "Bücher.example", "203.0.113.7"]);
        for (fields, met) in [
            (r#""dns.question.name":"www.MÁY.vn.""#, "xn--my-mia.vn"),
            (r#""destination.domain":"BÜCHER.example""#, "xn--bcher-kva.example"),
            (r#""tls.client.server_name":"xn--bcher-kva.example""#, "xn--bcher-kva.example"),
            (r#""url.full":" https://bücher.EXAMPLE/x ""#, "xn--bcher-kva.example"),
            (r#""url.full":"http:\\\\a.bücher.example\\x""#, "xn--bcher-kva.example"),
            (r#""url.full":"//bücher.example/x","url.scheme":"https""#, "xn--bcher-kva.example"),
        ] {
            let event = format!(r#"{{"@timestamp":"2026-11-23T02:00:00Z",{fields}}}"#);
            let names: Vec<String> = found(&set, "", &event).into_iter().map(|(_, name)| name).collect();
            assert_eq!(names, [met], "{fields}");
            assert!(found(&set, "bücher.example\nMáy.vn", &event).is_empty(), "{fields}");
        }
        let whole = r#"{"@timestamp":"2026-11-23T02:00:00Z","url.full":" HTTP:\\\\máy.VN\\tải "}"#;
        let kinds: Vec<String> = found(&set, "", whole).into_iter().map(|(_, name)| name).collect();
        assert_eq!(kinds, ["http://xn--my-mia.vn/tải", "xn--my-mia.vn"]);
        let bare = r#"{"@timestamp":"2026-11-23T02:00:00Z","url.full":"//bücher.example/x"}"#;
        assert_eq!(found(&set, "", bare), []);
    }

    #[test]
    fn what_is_allowed_and_what_expired_is_nothing() {
        let set = set(&["203.0.113.7", "evil.github.io", "github.io"]);
        let event = |time: &str, name: &str| {
            format!(r#"{{"@timestamp":"{time}","source.ip":"203.0.113.7","dns.question.name":"{name}"}}"#)
        };
        let now = "2026-11-23T02:00:00Z";
        assert_eq!(found(&set, "", &event(now, "a.github.io")).len(), 2);
        assert_eq!(found(&set, "203.0.113.0/24\ngithub.io", &event(now, "a.github.io")), []);
        let found_below = found(&set, "203.0.113.0/24\ngithub.io", &event(now, "x.evil.github.io"));
        assert_eq!(found_below, [("dns.question.name", "evil.github.io".to_owned())]);
        assert_eq!(found(&set, "", &event("2027-01-01T00:01:00Z", "a.github.io")), []);
    }
}
