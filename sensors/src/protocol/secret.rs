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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_secrets_look_equal_under_one_key_only() {
        assert_eq!(seal(&[0; 32], b"mat khau"), seal(&[0; 32], b"mat khau"));
        assert_ne!(seal(&[0; 32], b"mat khau"), seal(&[1; 32], b"mat khau"));
        assert_eq!(seal(&[0; 32], b"x").len(), PREFIX.len() + 32);
    }
}
