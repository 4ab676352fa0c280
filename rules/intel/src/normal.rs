//! The one form of a domain and of a URL, so that what means the same is the same bytes.

/// Longest domain and longest URL that are compared, in bytes.
const MAX_DOMAIN: usize = 253;
const MAX_URL: usize = 2_048;

/// A domain in lower case without the last dot; nothing for what is no name of hosts.
pub fn domain(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(sign)
    };
    (text.len() <= MAX_DOMAIN && text.split('.').all(label)).then(|| text.to_ascii_lowercase())
}

/// A URL in its one form (RFC 3986, 6.2.2 and 6.2.3): scheme and host in lower case, no user, no fragment, no port that
/// the scheme implies, `/` for an empty path, escapes in capitals and only where they are needed.
pub fn url(text: &str) -> Option<String> {
    if text.len() > MAX_URL || text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return None;
    }
    let (scheme, rest) = text.split_once("://")?;
    let letters = !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !letters || !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = (rest.get(..end)?, rest.get(end..)?);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host_of(host, &scheme)?;
    let slash = if tail.starts_with('/') { "" } else { "/" };
    Some(format!("{scheme}://{host}{slash}{}", escapes(tail)))
}

/// The host of a URL as it stands there: no user, no port, no brackets. Nothing where there is none.
pub(crate) fn host(text: &str) -> Option<&str> {
    let (scheme, rest) = text.get(..text.len().min(MAX_URL)).unwrap_or(text).split_once("://")?;
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if scheme.is_empty() || !scheme.bytes().all(letters) {
        return None;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let host = match place.strip_prefix('[') {
        Some(inner) => inner.split(']').next()?,
        None => place.split(':').next()?,
    };
    Some(host).filter(|host| !host.is_empty())
}

/// The host in lower case, with its port unless the scheme implies it.
fn host_of(text: &str, scheme: &str) -> Option<String> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !name.ends_with(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (name, port)
        }
        _ => (text, ""),
    };
    let name = match name.strip_prefix('[') {
        Some(inner) => {
            let ip: std::net::Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
            format!("[{ip}]")
        }
        None => domain(name)?,
    };
    let implied = matches!((scheme, port), (_, "") | ("http", "80") | ("https", "443") | ("ftp", "21"));
    Some(if implied { name } else { format!("{name}:{}", port.parse::<u16>().ok()?) })
}

/// Escapes in capitals; signs that need none stand for themselves.
fn escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let code = tail.get(1..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(code) = code else {
            // One that escapes nothing stands for itself.
            out.push_str("%25");
            rest = tail.get(1..).unwrap_or_default();
            continue;
        };
        match u8::from_str_radix(code, 16) {
            Ok(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(char::from(byte)),
            _ => {
                out.push('%');
                out.push_str(&code.to_ascii_uppercase());
            }
        }
        rest = tail.get(3..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_means_the_same_is_the_same() {
        for (one, other) in [
            ("HTTP://Bad.Example", "http://bad.example/"),
            ("http://bad.example:80/a", "http://bad.example/a"),
            ("https://bad.example:443/a#x", "https://bad.example/a"),
            ("http://user:pw@bad.example/%7ea%2f", "http://bad.example/~a%2F"),
            ("http://bad.example?q=1", "http://bad.example/?q=1"),
            ("http://[2001:DB8:0::1]:8080/", "http://[2001:db8::1]:8080/"),
            ("http://203.0.113.7/x", "http://203.0.113.7/x"),
        ] {
            assert_eq!(url(one).as_deref(), Some(other), "{one}");
        }
        for text in
            ["", "bad.example/x", "://x", "http://", "http:///x", "1a://x", "http://a b/", "http://x:99999/"]
        {
            assert_eq!(url(text), None, "{text}");
        }
        assert_ne!(url("http://bad.example/A"), url("http://bad.example/a"));
    }

    #[test]
    fn hosts_of_urls() {
        for (text, expected) in [
            ("https://Bad.Example:1/x", Some("Bad.Example")),
            ("http://u:p@h?q", Some("h")),
            ("http://[2001:db8::1]:80/", Some("2001:db8::1")),
            ("h/x", None),
            ("http:///x", None),
            ("://h", None),
            ("a b://h", None),
        ] {
            assert_eq!(host(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_never_panics_and_is_done_once(text in "(https?://)?[a-zA-Z0-9.%:@/?#\\[\\]é -]{0,40}") {
            if let Some(once) = url(&text) {
                prop_assert_eq!(url(&once), Some(once.clone()), "{}", once);
            }
            drop(host(&text).map(str::to_owned));
            if let Some(once) = domain(&text) {
                prop_assert_eq!(domain(&once), Some(once.clone()));
            }
        }
    }
}
