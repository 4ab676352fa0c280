//! Access logs of nginx and Apache: combined format, with or without a virtual host before it.
//!
//! `[vhost[:port] ]ADDRESS IDENT USER [time] "REQUEST" STATUS BYTES ["REFERRER" "AGENT"[ more]]`

use super::{Basis, Claimed, Context, Parsed, Refusal, Side};
use jiff::Timestamp;
use std::borrow::Cow;

/// Reads one line of an access log, with or without a syslog header.
pub fn parse(bytes: &[u8], context: &Context<'_>) -> Result<Parsed, Refusal> {
    let line = crate::parse::text_of(bytes);
    let Ok(header) = super::syslog::header(&line, context) else {
        return access(line.trim()).ok_or(Refusal::Other("weblog"));
    };
    let mut parsed = access(header.message).ok_or(Refusal::Other("weblog"))?;
    parsed.text("host.name", header.host);
    if let Some(dataset) = dataset(header.program) {
        parsed.set("event.dataset", dataset);
    }
    Ok(parsed)
}

/// The dataset of the access log of `program` (also a path, as in `log.file.path`).
pub(crate) fn dataset(program: &str) -> Option<&'static str> {
    if program.contains("nginx") {
        return Some("nginx.access");
    }
    (program.contains("apache") || program.contains("httpd")).then_some("apache.access")
}

/// Reads one line without syslog header; `None` when it is not of this format.
pub(crate) fn access(line: &str) -> Option<Parsed> {
    let (front, rest) = line.split_once(" [")?;
    let (time, rest) = rest.split_once("] \"")?;
    let (request, rest) = quoted(rest)?;
    let mut parsed = Parsed::new("web.access");
    client(front, &mut parsed)?;
    parsed.claim(Some(clf_time(time)?));
    request_line(&request, &mut parsed);
    let mut words = rest.trim_start().splitn(3, ' ');
    let status: u16 = words.next()?.parse().ok().filter(|status| (100..1_000).contains(status))?;
    parsed.set("http.response.status_code", status);
    parsed.number("http.response.body.bytes", words.next().unwrap_or_default());
    tail(words.next().unwrap_or_default(), &mut parsed);
    parsed.set("event.category", vec!["web"]);
    parsed.set("event.type", vec!["access"]);
    parsed.set("event.outcome", if status < 400 { "success" } else { "failure" });
    parsed.text("message", line);
    Some(parsed)
}

/// `[vhost:port ]address ident user`; the user may hold spaces.
fn client(front: &str, parsed: &mut Parsed) -> Option<()> {
    let mut words = front.splitn(3, ' ');
    let (first, second, third) = (words.next()?, words.next()?, words.next()?);
    let (vhost, address, user) = match third.split_once(' ') {
        Some((_ident, user)) if second.parse::<std::net::IpAddr>().is_ok() => (first, second, user),
        _ => ("", first, third),
    };
    let plain = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '.' | ':' | '-' | '_' | '%');
    if address.is_empty() || !address.chars().all(plain) {
        return None;
    }
    parsed.endpoint(Side::Source, address);
    if user != "-" {
        parsed.text("user.name", user);
    }
    match vhost.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() => {
            parsed.text("url.domain", host);
            parsed.number("destination.port", port);
        }
        _ => parsed.text("url.domain", vhost),
    }
    Some(())
}

/// `10/Oct/2000:13:55:36 -0700`, read by hand because it must be quick and total.
fn clf_time(text: &str) -> Option<Claimed> {
    let moment = jiff::fmt::strtime::parse("%d/%b/%Y:%H:%M:%S %z", text).ok()?;
    let at: Timestamp = moment.to_timestamp().ok()?;
    Some(Claimed { at, basis: Basis::Stated })
}

/// `GET /path?query HTTP/1.1`; anything else is kept whole as `url.original`.
fn request_line(request: &str, parsed: &mut Parsed) {
    if request == "-" || request.is_empty() {
        return;
    }
    let (method, rest) = request.split_once(' ').unwrap_or(("", request));
    let known = !method.is_empty()
        && method.len() <= 32
        && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    if !known {
        parsed.text("url.original", request);
        return;
    }
    parsed.text("http.request.method", method);
    let (target, version) = match rest.rsplit_once(" HTTP/") {
        Some((target, version)) => (target, version),
        None => (rest, ""),
    };
    parsed.text("http.version", version);
    parsed.text("url.original", target);
    let path = match target.split_once("://") {
        Some((scheme, tail)) if !scheme.contains('/') => {
            let (host, path) = tail.find('/').and_then(|at| tail.split_at_checked(at)).unwrap_or((tail, ""));
            parsed.text("url.domain", host);
            path
        }
        _ => target,
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    parsed.text("url.path", path);
    parsed.text("url.query", query);
    let extension = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, ext)| ext);
    if extension.len() <= 16 {
        parsed.text("url.extension", extension);
    }
}

/// `"REFERRER" "AGENT"` and what a custom format adds; a first extra quoted word is `X-Forwarded-For`.
fn tail(text: &str, parsed: &mut Parsed) {
    let mut rest = text;
    for name in ["http.request.referrer", "user_agent.original", "dongson.http.forwarded"] {
        let Some(inside) = rest.trim_start().strip_prefix('"') else { return };
        let Some((value, after)) = quoted(inside) else { return };
        if value != "-" {
            parsed.text(name, &value);
        }
        rest = after;
    }
}

/// Reads up to an unescaped quote; turns `\"`, `\\` and `\xhh` back.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let closing = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closing
    })?;
    let (value, rest) = text.split_at_checked(end)?;
    let value = if value.contains('\\') { unescape(value).into() } else { Cow::Borrowed(value) };
    Some((value, rest.strip_prefix('"')?))
}

fn unescape(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    loop {
        rest = match rest {
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.extend(hex::decode([*high, *low]).unwrap_or_default());
                tail
            }
            [b'\\', sign @ (b'"' | b'\\'), tail @ ..] => {
                out.push(*sign);
                tail
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
            [] => return String::from_utf8_lossy(&out).into_owned(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &[(&str, &str)]) {
        let parsed = access(line).expect(line);
        for (name, value) in expected {
            let found = parsed.event.get(name).map(|found| found.to_text().into_owned());
            assert_eq!(found.as_deref(), Some(*value), "{name} of {line}");
        }
    }

    #[test]
    fn lines() {
        check(
            r#"203.0.113.5 - - [23/Nov/2026:09:00:00 +0700] "GET /dvc/tra-cuu.aspx?id=1%27 HTTP/1.1" 200 512 "https://a.example/" "Mozilla/5.0""#,
            &[
                ("source.ip", "203.0.113.5"),
                ("http.request.method", "GET"),
                ("url.path", "/dvc/tra-cuu.aspx"),
                ("url.query", "id=1%27"),
                ("url.extension", "aspx"),
                ("http.response.status_code", "200"),
                ("@timestamp", "2026-11-23T02:00:00Z"),
                ("user_agent.original", "Mozilla/5.0"),
            ],
        );
        check(
            r#"portal.example:443 2001:db8::1 - an [23/Nov/2026:09:00:00 +0700] "POST / HTTP/2.0" 403 - "-" "a \"b\"" "198.51.100.1" rt=0.1"#,
            &[
                ("url.domain", "portal.example"),
                ("destination.port", "443"),
                ("source.ip", "2001:db8::1"),
                ("user.name", "an"),
                ("user_agent.original", "a \"b\""),
                ("event.outcome", "failure"),
                ("dongson.http.forwarded", "198.51.100.1"),
            ],
        );
        check(
            r#"10.0.0.1 - - [23/Nov/2026:09:00:00 +0000] "\x16\x03\x01" 400 150"#,
            &[("url.original", "\u{16}\u{3}\u{1}")],
        );
        check(
            r#"10.0.0.1 - - [23/Nov/2026:09:00:00 +0000] "-" 408 0 "-" "-""#,
            &[("http.response.status_code", "408")],
        );
    }

    #[test]
    fn refuses() {
        for line in ["", "x [y] \"", r#"a - - [1/1/1:0] "GET / HTTP/1.0" 200 1"#, r#"{"a": " [x] "y" 200"}"#]
        {
            assert_eq!(access(line), None, "{line}");
        }
    }
}
