//! The head of an HTTP/1 message (RFC 9112, 2 to 5), read as servers read it rather than as the RFC writes it.
//!
//! In: the bytes up to the empty line. Out: what events and framing need; everything else is dropped here. Lines may end in a
//! bare LF, header lines may be folded, a target may contain spaces, names are compared without case.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::protocol::secret;
use crate::protocol::wire::{starts_with_no_case, text};

/// Longest request target kept, in bytes.
const MAX_TARGET: usize = 16 * 1024;
/// Longest header value kept, in bytes.
const MAX_VALUE: usize = 4096;
/// Header lines looked at.
const MAX_LINES: usize = 256;

/// Methods that are recognised without a version behind the target.
const METHODS: [&[u8]; 34] = [
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"TRACE",
    b"CONNECT",
    b"PATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"SEARCH",
    b"REPORT",
    b"MKACTIVITY",
    b"CHECKOUT",
    b"MERGE",
    b"M-SEARCH",
    b"NOTIFY",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"BCOPY",
    b"BMOVE",
    b"BDELETE",
    b"BPROPFIND",
    b"POLL",
    b"RPC_IN_DATA",
    b"RPC_OUT_DATA",
    b"BITS_POST",
    b"PURGE",
];

/// The fields that requests and responses share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shared {
    /// `1.1`; `0.9` for a request without one.
    pub(super) version: String,
    pub(super) content_type: Option<String>,
    pub(super) content_length: Option<u64>,
    pub(super) chunked: bool,
    /// Lower case.
    pub(super) content_encoding: Option<String>,
    pub(super) upgrade: Option<String>,
    pub(super) disposition: Option<String>,
    pub(super) range: Option<String>,
    pub(super) websocket_protocol: Option<String>,
    pub(super) websocket_extensions: Option<String>,
}

/// A request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) shared: Shared,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) host: Option<String>,
    pub(super) referrer: Option<String>,
    pub(super) user_agent: Option<String>,
    pub(super) origin: Option<String>,
    /// User name of Basic credentials.
    pub(super) username: Option<String>,
    /// Scheme of the credentials, a blank, and their sealed secret; of Basic credentials the password alone.
    pub(super) authorization: Option<String>,
    /// Sealed.
    pub(super) cookie: Option<String>,
    /// `Name: value` of headers that a proxy adds.
    pub(super) proxied: Vec<String>,
}

/// A response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) shared: Shared,
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) server: Option<String>,
    pub(super) location: Option<String>,
    /// Sealed.
    pub(super) set_cookie: Option<String>,
}

/// Whether a line can begin a request: a known method and a target, or any token and a version at the end.
pub(super) fn is_request_line(line: &[u8]) -> bool {
    let Some((method, rest)) = split_word(line) else { return false };
    let token =
        method.len() <= 32 && method.iter().all(|sign| sign.is_ascii_alphanumeric() || b"-_.".contains(sign));
    token
        && match split_version(rest) {
            (target, Some(_)) => !target.is_empty(),
            (target, None) => METHODS.contains(&method) && is_target(target),
        }
}

/// A target without a version behind it must look like one; SIP, RTSP and others share the methods.
fn is_target(target: &[u8]) -> bool {
    let other = [&b" SIP/2.0"[..], b" RTSP/1.0"].iter().any(|end| target.ends_with(end));
    !other && (target.starts_with(b"/") || starts_with_no_case(target, b"http"))
}

/// Whether a line can begin a response.
pub(super) fn is_status_line(line: &[u8]) -> bool {
    let Some((version, rest)) = split_word(line) else { return false };
    is_version(version) && rest.trim_ascii_start().first().is_some_and(u8::is_ascii_digit)
}

/// Whether a line is a request of HTTP/0.9, which has no headers.
pub(super) fn is_simple_request(line: &[u8]) -> bool {
    split_word(line).is_some_and(|(_, rest)| split_version(rest).1.is_none())
}

fn is_version(word: &[u8]) -> bool {
    starts_with_no_case(word, b"HTTP/") && word.get(5).is_some_and(u8::is_ascii_digit)
}

/// The first word, and what follows its first blank.
fn split_word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = line.iter().position(|&sign| sign == b' ' || sign == b'\t').filter(|&blank| blank > 0)?;
    Some((line.get(..blank)?, line.get(blank + 1..)?))
}

/// Target and version of what stands behind a method.
fn split_version(rest: &[u8]) -> (&[u8], Option<&[u8]>) {
    let rest = rest.trim_ascii();
    let blank = rest.iter().rposition(|&sign| sign == b' ' || sign == b'\t');
    let (target, word) = blank.map_or((&[][..], rest), |blank| rest.split_at(blank));
    let word = word.trim_ascii();
    if is_version(word) { (target.trim_ascii(), word.get(5..)) } else { (rest, None) }
}

impl Request {
    /// Seals what its target and its referrer tell of passwords, tokens and sessions.
    pub(super) fn seal_uris(&mut self, key: &[u8; 32]) {
        self.target = secret::seal_uri(key, &self.target);
        self.referrer = self.referrer.take().map(|uri| secret::seal_uri(key, &uri));
    }

    /// Reads a request whose first line passed [`is_request_line`].
    pub(super) fn parse(head: &[u8], key: &[u8; 32]) -> Self {
        let (line, headers) = split_line(head);
        let (method, rest) = split_word(line).unwrap_or((line, &[]));
        let (target, version) = split_version(rest);
        let mut request =
            Self { method: text(method, 64), target: text(target, MAX_TARGET), ..Self::default() };
        request.shared.version = version.map_or_else(|| "0.9".to_owned(), |version| text(version, 16));
        each_header(headers, |name, value| request.header(name, value, key));
        request
    }

    /// Takes a header; its name may have capital letters.
    pub(super) fn header(&mut self, name: &[u8], value: &[u8], key: &[u8; 32]) {
        let name = name.to_ascii_lowercase();
        let known = match name.as_slice() {
            b"host" => &mut self.host,
            b"referer" => &mut self.referrer,
            b"user-agent" => &mut self.user_agent,
            b"origin" => &mut self.origin,
            b"authorization" => return self.authorize(value, key),
            b"cookie" => {
                self.cookie.get_or_insert_with(|| secret::seal(key, value));
                return;
            }
            b"forwarded" | b"x-forwarded-for" | b"x-forwarded-from" | b"client-ip" | b"via"
            | b"xroxy-connection" | b"proxy-connection" | b"x-real-ip" => {
                if self.proxied.len() < 16 {
                    let name = String::from_utf8_lossy(&name).to_ascii_uppercase();
                    self.proxied.push(format!("{name} -> {}", text(value, MAX_VALUE)));
                }
                return;
            }
            _ => return self.shared.header(&name, value),
        };
        known.get_or_insert_with(|| text(value, MAX_VALUE));
    }

    fn authorize(&mut self, value: &[u8], key: &[u8; 32]) {
        let (scheme, credentials) = split_word(value).unwrap_or((value, &[]));
        if !scheme.eq_ignore_ascii_case(b"basic") {
            self.authorization = Some(format!("{} {}", text(scheme, 64), secret::seal(key, credentials)));
            return;
        }
        let decoded = STANDARD.decode(credentials.trim_ascii()).unwrap_or_default();
        let mut parts = decoded.splitn(2, |&sign| sign == b':');
        self.username = parts.next().filter(|name| !name.is_empty()).map(|name| text(name, 256));
        self.authorization = parts.next().map(|password| format!("Basic {}", secret::seal(key, password)));
    }
}

impl Response {
    /// Reads a response whose first line passed [`is_status_line`].
    pub(super) fn parse(head: &[u8], key: &[u8; 32]) -> Self {
        let (line, headers) = split_line(head);
        let (version, rest) = split_word(line).unwrap_or((line, &[]));
        let rest = rest.trim_ascii_start();
        let digits = rest.iter().take_while(|sign| sign.is_ascii_digit()).count().min(5);
        let (code, reason) = rest.split_at_checked(digits).unwrap_or((rest, &[]));
        let status = std::str::from_utf8(code).ok().and_then(|code| code.parse().ok()).unwrap_or(0);
        let mut response = Self { status, reason: text(reason.trim_ascii(), 256), ..Self::default() };
        response.shared.version = text(version.get(5..).unwrap_or_default(), 16);
        each_header(headers, |name, value| response.header(name, value, key));
        response
    }

    /// Takes a header; its name may have capital letters.
    pub(super) fn header(&mut self, name: &[u8], value: &[u8], key: &[u8; 32]) {
        let name = name.to_ascii_lowercase();
        match name.as_slice() {
            b"server" => drop(self.server.get_or_insert_with(|| text(value, MAX_VALUE))),
            b"location" => drop(self.location.get_or_insert_with(|| text(value, MAX_VALUE))),
            b"set-cookie" => drop(self.set_cookie.get_or_insert_with(|| secret::seal(key, value))),
            _ => self.shared.header(&name, value),
        }
    }
}

impl Shared {
    /// `name` in lower case.
    fn header(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"content-type" => drop(self.content_type.get_or_insert_with(|| text(value, MAX_VALUE))),
            b"content-length" => self.content_length = self.content_length.or_else(|| number(value)),
            b"transfer-encoding" => {
                self.chunked |= crate::protocol::wire::contains_no_case(value, b"chunked");
            }
            b"content-encoding" => self.content_encoding = Some(text(value, 64).to_ascii_lowercase()),
            b"upgrade" => self.upgrade = Some(text(value, 64)),
            b"content-disposition" => {
                self.disposition.get_or_insert_with(|| text(value, MAX_VALUE));
            }
            b"sec-websocket-protocol" => {
                self.websocket_protocol.get_or_insert_with(|| text(value, 256));
            }
            b"sec-websocket-extensions" => {
                self.websocket_extensions.get_or_insert_with(|| text(value, 256));
            }
            b"content-range" => {
                self.range.get_or_insert_with(|| text(value, 256));
            }
            _ => {}
        }
    }
}

/// The digits at the start of a value, as lenient servers take them.
fn number(value: &[u8]) -> Option<u64> {
    let digits = value.iter().position(|sign| !sign.is_ascii_digit()).unwrap_or(value.len());
    std::str::from_utf8(value.get(..digits)?).ok()?.parse().ok()
}

/// The first line without its end, and what follows.
fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = line_end(bytes).unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    (line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..).unwrap_or_default())
}

fn line_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&sign| sign == b'\n')
}

/// Calls `visit` with name and value of each header line; folded lines are joined by a blank.
fn each_header(mut rest: &[u8], mut visit: impl FnMut(&[u8], &[u8])) {
    for _ in 0..MAX_LINES {
        let (line, mut after) = split_line(rest);
        if line.is_empty() {
            return;
        }
        let mut joined = line.to_vec();
        while after.first().is_some_and(|&sign| sign == b' ' || sign == b'\t') {
            let (fold, next) = split_line(after);
            joined.push(b' ');
            joined.extend_from_slice(fold.trim_ascii());
            after = next;
        }
        rest = after;
        let mut parts = joined.splitn(2, |&sign| sign == b':');
        if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            visit(name.trim_ascii(), value.trim_ascii());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_a_request() {
        let head = b"GET /a b?c=1 HTTP/1.1\r\nHost: cong.vn\r\nX-Folded: a\r\n\tb\r\nuser-agent:curl/8\n\
            Authorization: Basic dXNlcjpwYXNz\r\nCookie: s=1\r\n\r\n";
        let request = Request::parse(head, &[0; 32]);
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/a b?c=1"));
        assert_eq!(request.shared.version, "1.1");
        assert_eq!(request.host.as_deref(), Some("cong.vn"));
        assert_eq!(request.user_agent.as_deref(), Some("curl/8"));
        assert_eq!(request.username.as_deref(), Some("user"));
        let printed = format!("{request:?}");
        assert!(!printed.contains("pass\"") && !printed.contains("s=1"), "{printed}");
    }

    #[test]
    fn reads_a_response() {
        let response = Response::parse(
            b"HTTP/1.0 404  Not Found\r\nContent-Length: 12abc\r\nServer: x\r\n\r\n",
            &[0; 32],
        );
        assert_eq!((response.status, response.reason.as_str()), (404, "Not Found"));
        assert_eq!(response.shared.content_length, Some(12));
    }

    #[test]
    fn lines_are_told_apart() {
        for line in [&b"GET / HTTP/1.1"[..], b"GET /", b"FOO x HTTP/1.0", b"CONNECT a:25 / HTTP/1.0"] {
            assert!(is_request_line(line), "{}", text(line, 99));
        }
        for line in [&b"HELO example"[..], b"GET", b"\x16\x03\x01 a", b"220 mail HTTP ready"] {
            assert!(!is_request_line(line), "{}", text(line, 99));
        }
        assert!(is_simple_request(b"GET /") && !is_simple_request(b"GET / HTTP/1.0"));
        assert!(is_status_line(b"HTTP/1.1 200 OK") && !is_status_line(b"HTTP/1.1 OK"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            drop((Request::parse(&bytes, &[0; 32]), Response::parse(&bytes, &[0; 32])));
            let _ = is_request_line(&bytes) && is_status_line(&bytes);
        }
    }
}
