//! The one form of a domain and of a URL, so that what means the same is the same bytes.

use std::borrow::Cow;

/// Longest domain and longest URL that are compared, in bytes.
const MAX_DOMAIN: usize = 253;
const MAX_URL: usize = 2_048;

/// A domain in lower case and ASCII (`xn--`, UTS 46) without the last dot; nothing for what is no name of hosts.
pub fn domain(text: &str) -> Option<String> {
    let text = if text.is_ascii() {
        Cow::Borrowed(text)
    } else if text.len() > MAX_DOMAIN * 4 {
        return None;
    } else {
        Cow::Owned(idna::domain_to_ascii(text).ok()?)
    };
    let text = text.strip_suffix('.').unwrap_or(&text);
    let label = |label: &str| {
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(sign)
    };
    (text.len() <= MAX_DOMAIN && text.split('.').all(label)).then(|| text.to_ascii_lowercase())
}

/// A URL in its one form (RFC 3986, 6.2.2 and 6.2.3): scheme and host in lower case, no user, no fragment, no port that
/// the scheme implies, `/` for an empty path, escapes in capitals and only where they are needed. As browsers do, blanks
/// around it are left out and `\` is `/` where the scheme is one of theirs.
pub fn url(text: &str) -> Option<String> {
    let text = text.trim_matches(blank);
    if text.len() > MAX_URL || text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return None;
    }
    let (scheme, rest) = scheme_of(text)?;
    let scheme = scheme.to_ascii_lowercase();
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let rest = slashed(rest, &scheme);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = (rest.get(..end)?, rest.get(end..)?);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host_of(host, &scheme)?;
    let slash = if tail.starts_with('/') { "" } else { "/" };
    Some(format!("{scheme}://{host}{slash}{}", escapes(tail)))
}

/// The host of a URL as it stands there: no user, no port, no brackets. Nothing where there is none.
pub(crate) fn host(text: &str) -> Option<&str> {
    let text = text.trim_start_matches(blank);
    let (_, rest) = scheme_of(text.get(..text.len().min(MAX_URL)).unwrap_or(text))?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let host = match place.strip_prefix('[') {
        Some(inner) => inner.split(']').next()?,
        None => place.split(':').next()?,
    };
    Some(host).filter(|host| !host.is_empty())
}

/// What stands around a URL and is no part of it (WHATWG URL, 4.4).
const fn blank(sign: char) -> bool {
    sign <= ' '
}

/// Schemes in which `\` is `/` (WHATWG URL, 4.2).
fn is_special(scheme: &str) -> bool {
    ["http", "https", "ws", "wss", "ftp"].iter().any(|known| known.eq_ignore_ascii_case(scheme))
}

/// The scheme of a URL, and what stands behind its two slashes.
fn scheme_of(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(letters) {
        return None;
    }
    let slashes: &[char] = if is_special(scheme) { &['/', '\\'] } else { &['/'] };
    Some((scheme, rest.strip_prefix(slashes)?.strip_prefix(slashes)?))
}

/// `\` as `/` up to the query, in the schemes in which it is one.
fn slashed<'t>(rest: &'t str, scheme: &str) -> Cow<'t, str> {
    let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    if is_special(scheme) && path.contains('\\') {
        Cow::Owned(path.replace('\\', "/") + query)
    } else {
        Cow::Borrowed(rest)
    }
}

/// A URL without a scheme (`//host/path`) in the scheme that is known besides (RFC 3986, 4.2); others as they are.
pub(crate) fn in_scheme<'t>(text: &'t str, scheme: Option<&str>) -> Cow<'t, str> {
    let bare = text.trim_matches(blank);
    match scheme {
        Some(scheme) if bare.starts_with("//") || (is_special(scheme) && bare.starts_with("\\\\")) => {
            Cow::Owned(format!("{scheme}:{bare}"))
        }
        _ => Cow::Borrowed(text),
    }
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
            (" \thttp://bad.example/a\r\n", "http://bad.example/a"),
            ("http:\\\\bad.example\\a\\b?c\\d", "http://bad.example/a/b?c\\d"),
            ("HTTPS:/\\u\\@bad.example", "https://u/@bad.example"),
            ("http://MÁY.vn/a", "http://xn--my-mia.vn/a"),
        ] {
            assert_eq!(url(one).as_deref(), Some(other), "{one}");
        }
        for text in [
            "",
            "bad.example/x",
            "://x",
            "http://",
            "http:///x",
            "1a://x",
            "http://a b/",
            "http://x:99999/",
            "x:\\\\h",
            "//bad.example/x",
        ] {
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
            (" http:\\\\h\\x", Some("h")),
            ("h/x", None),
            ("http:///x", None),
            ("://h", None),
            ("a b://h", None),
        ] {
            assert_eq!(host(text), expected, "{text}");
        }
    }

    #[test]
    fn domains_in_other_letters_are_in_ascii() {
        for (text, expected) in [
            ("MÁY.vn", Some("xn--my-mia.vn")),
            ("ma\u{301}y.vn", Some("xn--my-mia.vn")),
            ("bücher。example。", Some("xn--bcher-kva.example")),
            ("XN--BCHER-KVA.example", Some("xn--bcher-kva.example")),
            ("_dmarc.bücher.example", Some("_dmarc.xn--bcher-kva.example")),
            ("xin chào.vn", None),
            ("a/ü.vn", None),
        ] {
            assert_eq!(domain(text).as_deref(), expected, "{text}");
        }
        assert_eq!(domain(&"ü".repeat(5_000)), None);
    }

    #[test]
    fn a_url_without_a_scheme_takes_the_one_that_is_known() {
        for (text, scheme, expected) in [
            ("//h/x", Some("https"), "https://h/x"),
            (" \\\\h/x", Some("http"), "http:\\\\h/x"),
            ("//h/x", None, "//h/x"),
            ("/h/x", Some("https"), "/h/x"),
            ("http://h/x", Some("https"), "http://h/x"),
        ] {
            assert_eq!(in_scheme(text, scheme), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_never_panics_and_is_done_once(text in "(https?://)?[a-zA-Z0-9.%:@/?#\\[\\]\\\\éÁ。 -]{0,40}") {
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
