//! The `sensor.http` event of one transaction.

use std::ops::Range;

use dongson_event::{Event, Timestamp};

use super::Transaction;
use super::body::Body;
use super::head::{self, Request, Response, Shared};
use crate::odd;
use crate::protocol::mail::multipart;
use crate::protocol::sniff;
use crate::protocol::wire::text;

/// What the event of a file takes over from that of its transaction.
const SHARED_WITH_FILES: [&str; 6] = [
    "url.original",
    "url.domain",
    "url.path",
    "user_agent.original",
    "http.request.method",
    "http.response.status_code",
];

/// Turns a transaction into its event, at the time of its first byte, and the files in it into theirs.
pub(super) fn describe(mut transaction: Transaction, out: &mut Vec<Event>) {
    transaction.request_body.close();
    transaction.response_body.close();
    let (oddities, started) = (oddities(&transaction), transaction.started);
    let mut event = Event::of("sensor.http", transaction.started);
    event.set("network.protocol", "http");
    event.set("dongson.http.trans_depth", transaction.depth);
    if let Some((code, reason)) = transaction.interim {
        event.set("dongson.http.info_code", code);
        event.set("dongson.http.info_message", reason);
    }
    let body = &transaction.request_body;
    event.set("http.request.body.bytes", body.wire_bytes());
    event.set_some("dongson.http.request.unpacked_bytes", body.unpacked_bytes());
    event.set_some("http.request.mime_type", mime_type(body));
    let body = &transaction.response_body;
    event.set("http.response.body.bytes", body.wire_bytes());
    event.set_some("dongson.http.response.unpacked_bytes", body.unpacked_bytes());
    event.set_some("http.response.mime_type", mime_type(body));
    let asked = transaction.request.as_ref().and_then(|request| given_name(&request.shared));
    let answer = transaction.response.as_ref().and_then(|response| given_name(&response.shared));
    if let Some(request) = transaction.request {
        describe_request(&mut event, request);
    }
    let range = transaction.response.as_ref().and_then(|response| response.shared.range.clone());
    if let Some(response) = transaction.response {
        describe_response(&mut event, response);
    }
    let at = out.len();
    transaction.request_body.files(out);
    let answered = out.len();
    transaction.response_body.files(out);
    event.set_some("dongson.http.request.filenames", filenames(out, at..answered, &event, "request", asked));
    let sent = filenames(out, answered..out.len(), &event, "response", answer);
    event.set_some("dongson.http.response.filenames", sent);
    if let Some((range, file)) = range.zip(out.get_mut(answered)) {
        describe_range(file, &range);
    }
    for file in out.iter_mut().skip(at) {
        for name in SHARED_WITH_FILES {
            file.set_some(name, event.get(name).cloned());
        }
    }
    out.insert(at, event);
    out.extend(
        oddities.into_iter().map(|(name, detail)| odd::event(started, "http", name, detail.as_deref())),
    );
}

/// The name that a head gives its body (RFC 6266).
fn given_name(head: &Shared) -> Option<String> {
    multipart::parameter(head.disposition.as_deref()?, "filename")
}

/// Names of the files in a body: those of a form's parts, else the one in the head.
fn filenames(
    files: &[Event],
    range: Range<usize>,
    event: &Event,
    side: &str,
    given: Option<String>,
) -> Option<Vec<String>> {
    let kind = event.text(&format!("dongson.http.{side}.content_type")).unwrap_or_default();
    let names: Vec<String> = if multipart::is_form(kind) {
        let files = files.get(range).unwrap_or_default();
        files.iter().filter_map(|file| file.text("file.name")).map(str::to_owned).collect()
    } else {
        given.into_iter().collect()
    };
    Some(names).filter(|names| !names.is_empty())
}

/// What is odd about a transaction as a whole, in the words of Zeek's `weird.log`.
fn oddities(transaction: &Transaction) -> Vec<(&'static str, Option<String>)> {
    let mut names = Vec::new();
    let Some(response) = &transaction.response else { return names };
    if transaction.request.is_none() {
        names.push(("unmatched_HTTP_reply", None));
    }
    let Some(range) = &response.shared.range else { return names };
    let value = range.split_once(' ').map_or(range.as_str(), |(_, value)| value.trim());
    match span(value) {
        None => names.push(("HTTP_content_range_cannot_parse", Some(value.to_owned()))),
        Some(length) if response.shared.content_length.is_some_and(|told| told != length) => {
            names.push(("HTTP_range_not_matching_len", None));
        }
        Some(_) => {}
    }
    names
}

/// How many bytes `0-499/1234` spans (RFC 9110, 14.4); the whole may be `*`.
fn span(range: &str) -> Option<u64> {
    let (span, whole) = range.split_once('/')?;
    if whole != "*" {
        whole.parse::<u64>().ok()?;
    }
    let (first, last) = span.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    last.checked_sub(first)?.checked_add(1)
}

/// `bytes 0-499/1234` (RFC 9110, 14.4).
fn describe_range(file: &mut Event, range: &str) {
    file.set("dongson.file.range", range);
    let Some((span, whole)) = range.trim_start_matches(|sign: char| !sign.is_ascii_digit()).split_once('/')
    else {
        return;
    };
    file.set_some("dongson.file.range_total", whole.trim().parse::<u64>().ok());
    let Some((start, end)) = span.split_once('-') else { return };
    file.set_some("dongson.file.range_start", start.trim().parse::<u64>().ok());
    file.set_some("dongson.file.range_end", end.trim().parse::<u64>().ok());
}

/// The event of one message in a datagram (SSDP); `None` when it is neither request nor response.
pub(in crate::protocol) fn describe_datagram(at: Timestamp, bytes: &[u8], key: &[u8; 32]) -> Option<Event> {
    let line = bytes.split(|&sign| sign == b'\n').next()?.trim_ascii_end();
    let mut event = Event::of("sensor.http", at);
    event.set("network.protocol", "ssdp");
    if head::is_request_line(line) && !head::is_simple_request(line) {
        describe_request(&mut event, Request::parse(bytes, key));
    } else if head::is_status_line(line) {
        describe_response(&mut event, Response::parse(bytes, key));
    } else {
        return None;
    }
    Some(event)
}

fn mime_type(body: &Body) -> Option<&'static str> {
    sniff::sniff(body.start())
}

fn describe_request(event: &mut Event, request: Request) {
    describe_url(event, &request);
    event.set("http.request.method", request.method);
    event.set_some("http.request.referrer", request.referrer);
    event.set_some("user_agent.original", request.user_agent);
    event.set_some("dongson.http.host", request.host);
    event.set_some("dongson.http.origin", request.origin);
    event.set_some("url.username", request.username);
    event.set_some("dongson.http.cookie_hash", request.cookie);
    event.set_some("dongson.http.authorization", request.authorization);
    if !request.proxied.is_empty() {
        event.set("dongson.http.forwarded", request.proxied);
    }
    let Shared { version, content_type, content_encoding, upgrade, .. } = request.shared;
    event.set("http.version", version);
    event.set_some("dongson.http.request.content_type", content_type);
    event.set_some("dongson.http.request.content_encoding", content_encoding);
    event.set_some("dongson.http.upgrade", upgrade);
}

fn describe_response(event: &mut Event, response: Response) {
    event.set("http.response.status_code", response.status);
    if !response.reason.is_empty() {
        event.set("dongson.http.status_message", response.reason);
    }
    event.set_some("dongson.http.response.server", response.server);
    event.set_some("dongson.http.response.location", response.location);
    event.set_some("dongson.http.response.cookie_hash", response.set_cookie);
    let Shared { version, content_type, content_encoding, .. } = response.shared;
    // Zeek's `version` is the response's where there is one; the request's is kept where there is none.
    event.set("http.version", version);
    event.set_some("dongson.http.response.content_type", content_type);
    event.set_some("dongson.http.response.content_encoding", content_encoding);
}

/// The target as sent, and its parts (RFC 9112, 3.2).
fn describe_url(event: &mut Event, request: &Request) {
    let target = request.target.as_str();
    let absolute = target.split_once("://").filter(|(scheme, _)| scheme.chars().all(char::is_alphanumeric));
    let (authority, path) = match absolute {
        Some((scheme, rest)) => {
            event.set("url.scheme", scheme);
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
            (Some(authority), path)
        }
        None if request.method == "CONNECT" => (Some(target), ""),
        None => (request.host.as_deref(), target),
    };
    event.set("url.original", target);
    event.set_some("dongson.http.uri_unescaped", unescaped(target));
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    if !path.is_empty() {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
        event.set_some("url.extension", extension.filter(|extension| (1..=16).contains(&extension.len())));
        event.set("url.path", path);
    }
    event.set_some("url.query", query);
    if path.ends_with("/announce") || path.ends_with("/scrape") {
        event.set_some("dongson.bittorrent.info_hash", query.and_then(info_hash));
    }
    let Some(authority) = authority else { return };
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (domain, port) = split_port(authority);
    if !domain.is_empty() {
        event.set("url.domain", domain.to_lowercase());
    }
    event.set_some("url.port", port);
}

/// What a peer asks a tracker of `BitTorrent` for (BEP 3): 20 bytes, in hexadecimal.
fn info_hash(query: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("info_hash="))?;
    let hash = percent_decoded(value);
    (hash.len() == 20).then(|| hex::encode(hash))
}

/// A target with its `%NN` undone, where there are any.
fn unescaped(target: &str) -> Option<String> {
    let out = percent_decoded(target);
    (out.len() != target.len()).then(|| text(&out, out.len()))
}

/// The bytes that a text with `%NN` stands for (RFC 3986, 2.1).
fn percent_decoded(target: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(target.len());
    let mut rest = target.as_bytes();
    while let Some((sign, next)) = rest.split_first() {
        rest = next;
        let digits = next.get(..2).filter(|digits| *sign == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        out.push(byte.unwrap_or(*sign));
        if byte.is_some() {
            rest = next.get(2..).unwrap_or_default();
        }
    }
    out
}

/// Host and port of `host:port`, `[address]:port` or either alone.
fn split_port(authority: &str) -> (&str, Option<u16>) {
    if let Some((address, rest)) = authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        return (address, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, port.trim().parse().ok()),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, target: &str, host: &str, expected: [Option<&str>; 4]) {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let mut event = Event::new();
        describe_url(&mut event, &Request::parse(head.as_bytes(), &[0; 32]));
        let found = ["url.domain", "url.path", "url.query", "url.scheme"].map(|name| event.text(name));
        assert_eq!(found, expected);
    }

    #[test]
    fn ranges_say_how_long_they_are() {
        assert_eq!(span("0-499/1234"), Some(500));
        assert_eq!(span("5-5/*"), Some(1));
        for broken in ["foo-bar/baz", "1-2", "9-1/20", "-/", "", "0-18446744073709551615/*"] {
            assert_eq!(span(broken), None, "{broken}");
        }
    }

    #[test]
    fn targets_are_unescaped() {
        assert_eq!(unescaped("/a%20b%c3%A1%FC%0a").as_deref(), Some("/a bá\\xfc\\x0a"));
        assert_eq!(unescaped("/100%25%2").as_deref(), Some("/100%%2"));
        assert_eq!(unescaped("/plain?a=%zz%"), None);
    }

    #[test]
    fn what_a_tracker_is_asked_for() {
        let hash = "%124Vx%9a%bc%de%f1%23Eg%89%ab%cd%ef%124Vx%9a";
        let expected = Some("123456789abcdef123456789abcdef123456789a");
        assert_eq!(info_hash(&format!("port=1&info_hash={hash}&left=0")).as_deref(), expected);
        assert_eq!(info_hash("info_hash=short"), None);
    }

    #[test]
    fn targets_are_taken_apart() {
        check("GET", "/a/b?c=1", "Cong.vn:8080", [Some("cong.vn"), Some("/a/b"), Some("c=1"), None]);
        check("GET", "http://x.vn/p?q", "y.vn", [Some("x.vn"), Some("/p"), Some("q"), Some("http")]);
        check("CONNECT", "mail.vn:25", "z", [Some("mail.vn"), None, None, None]);
        check("GET", "/", "[2001:db8::1]:80", [Some("2001:db8::1"), Some("/"), None, None]);
    }

    #[test]
    fn a_search_in_a_datagram() {
        let bytes = b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\r\n";
        let event = describe_datagram(Timestamp::default(), bytes, &[0; 32]).unwrap();
        assert_eq!(event.text("http.request.method"), Some("M-SEARCH"));
        assert!(describe_datagram(Timestamp::default(), b"\x00\x01", &[0; 32]).is_none());
    }
}
