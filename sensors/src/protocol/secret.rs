//! What must not be stored in the clear: a keyed hash takes its place.

use ring::hmac;

/// Marks a sealed value.
const PREFIX: &str = "hmac-sha256:";

/// HMAC-SHA256 of `value` under `key`, its first 16 bytes in hex behind `hmac-sha256:`.
///
/// Equal secrets give equal texts under one key, so that reuse can be seen and the secret cannot.
pub(super) fn seal(key: &[u8; 32], value: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), value);
    format!("{PREFIX}{}", hex::encode(tag.as_ref().get(..16).unwrap_or_default()))
}

/// Ends of the names of parameters that hold secrets, in lower case.
const SECRET_NAMES: [&str; 12] = [
    "token",
    "password",
    "passwd",
    "pwd",
    "secret",
    "apikey",
    "api_key",
    "api-key",
    "sessionid",
    "session_id",
    "sessid",
    "jwt",
];

/// A URI with what its parameters say about passwords, tokens and sessions sealed, by their names; and the password before its host.
pub(super) fn seal_uri(key: &[u8; 32], uri: &str) -> String {
    let mut out = String::with_capacity(uri.len());
    for piece in uri.split_inclusive(['?', '&', '#', ';']) {
        let body = piece.trim_end_matches(['?', '&', '#', ';']);
        let end = piece.strip_prefix(body).unwrap_or_default();
        match body.split_once('=').filter(|(name, value)| !value.is_empty() && is_secret(name)) {
            Some((name, value)) => {
                out.extend([name, "=", &seal(key, value.as_bytes()), end]);
            }
            None => out.push_str(piece),
        }
    }
    let Some((scheme, rest)) = out.split_once("//") else { return out };
    let host = rest.split_once('/').map_or(rest, |(host, _)| host);
    let password = host.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
    match password.filter(|(_, password)| !password.is_empty() && scheme.ends_with(':')) {
        Some((user, password)) => {
            let after = rest.get(user.len() + 1 + password.len()..).unwrap_or_default();
            format!("{scheme}//{user}:{}{after}", seal(key, password.as_bytes()))
        }
        None => out,
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_secrets_look_equal_under_one_key_only() {
        assert_eq!(seal(&[0; 32], b"mat khau"), seal(&[0; 32], b"mat khau"));
        assert_ne!(seal(&[0; 32], b"mat khau"), seal(&[1; 32], b"mat khau"));
        assert_eq!(seal(&[0; 32], b"x").len(), PREFIX.len() + 32);
    }

    #[test]
    fn uris_keep_all_but_their_secrets() {
        let sealed = seal(&[0; 32], b"mat");
        let check =
            |uri: &str| assert_eq!(seal_uri(&[0; 32], &uri.replace("{}", "mat")), uri.replace("{}", &sealed));
        check("/a?x=1&Access_Token={}&y=2#z");
        check("/a;jsessionid={}?q=a=b&pwd={}");
        check("http://lan:{}@x.example/a?token=&b");
        check("/a//b:c@d?e");
        check("https://x.example/ph\u{1b0}\u{1edd}ng?");
    }
}
