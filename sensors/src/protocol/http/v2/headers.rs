//! Fields of a header list: pseudo-headers into the parts of a message (RFC 9113, 8.3), secrets out of what is told.

use super::super::head::{Request, Response};
use super::hpack::List;
use crate::protocol::secret;
use crate::protocol::wire::{contains_no_case, text};

/// Fields told of one list.
const MAX_FIELDS: usize = 64;
/// Bytes told of one value.
const MAX_VALUE: usize = 512;
/// Longest target, in bytes, as in HTTP/1.
const MAX_TARGET: usize = 16 * 1024;

/// Words in the names of fields whose values are not told.
const SECRETS: [&[u8]; 6] = [b"authoriz", b"cookie", b"token", b"secret", b"password", b"api-key"];

/// One header list.
#[derive(Debug)]
pub(super) struct Fields {
    list: List,
}

impl Fields {
    pub(super) fn new(list: List) -> Self {
        Self { list }
    }

    /// The first value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        let fields = self.list.fields.iter();
        fields.filter(|(known, _)| known == name.as_bytes()).map(|(_, value)| value.as_slice()).next()
    }

    /// Whether it begins a request, or a response, rather than standing behind a body.
    pub(super) fn is_request(&self) -> bool {
        self.get(":method").is_some() || self.get(":path").is_some()
    }

    pub(super) fn status(&self) -> Option<u16> {
        std::str::from_utf8(self.get(":status")?).ok()?.parse().ok()
    }

    /// A name and perhaps a password before the host, which do not belong there (RFC 9113, 8.3.1).
    pub(super) fn userinfo(&self) -> bool {
        self.get(":authority").is_some_and(|authority| authority.contains(&b'@'))
    }

    /// The host is said twice, and not the same.
    pub(super) fn differs_from_host(&self) -> bool {
        let (authority, host) = (self.get(":authority"), self.get("host"));
        authority.zip(host).is_some_and(|(authority, host)| !authority.eq_ignore_ascii_case(host))
    }

    pub(super) fn request(&self, key: &[u8; 32]) -> Request {
        let value = |name, limit| self.get(name).map(|value| text(value, limit));
        let mut request = Request {
            method: value(":method", 64).unwrap_or_default(),
            target: value(":path", MAX_TARGET).unwrap_or_default(),
            host: value(":authority", MAX_VALUE),
            ..Request::default()
        };
        "2".clone_into(&mut request.shared.version);
        request.shared.upgrade = value(":protocol", 64);
        if request.method == "CONNECT" && request.target.is_empty() {
            request.target = request.host.clone().unwrap_or_default();
        }
        for (name, value) in self.plain() {
            request.header(name, value, key);
        }
        // What one header says in HTTP/1 may stand in several here (8.2.3).
        let cookies: Vec<&[u8]> =
            self.plain().filter(|(name, _)| *name == b"cookie").map(|(_, value)| value).collect();
        if cookies.len() > 1 {
            request.cookie = Some(secret::seal(key, &cookies.join(&b"; "[..])));
        }
        request
    }

    pub(super) fn response(&self, status: u16, key: &[u8; 32]) -> Response {
        let mut response = Response { status, ..Response::default() };
        "2".clone_into(&mut response.shared.version);
        for (name, value) in self.plain() {
            response.header(name, value, key);
        }
        response
    }

    fn plain(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let fields = self.list.fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        fields.filter(|(name, _)| !name.starts_with(b":"))
    }

    /// `name: value` of each field; secrets are sealed.
    pub(super) fn told(&self, key: &[u8; 32]) -> Vec<String> {
        let line = |(name, value): &(Vec<u8>, Vec<u8>)| {
            let secret = SECRETS.iter().any(|word| contains_no_case(name, word));
            let value = if secret {
                secret::seal(key, value)
            } else {
                secret::seal_uri(key, &text(value, MAX_VALUE))
            };
            format!("{}: {value}", text(name, 128))
        };
        self.list.fields.iter().take(MAX_FIELDS).map(line).collect()
    }
}
