//! Identities that are hashes of what caused them, so that the same cause always has the same id.
//!
//! Event ids are UUIDs of version 8 (RFC 9562, 5.8) made from SHA-256 over length-prefixed parts, so that no two
//! lists of parts run together.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The UUIDv8 of a list of parts: the first 16 bytes of SHA-256 over `length (8 bytes, big endian) || part` of each.
pub fn uuid_of(parts: &[&[u8]]) -> Uuid {
    let digest = digest_of(parts);
    let mut bytes = [0_u8; 16];
    for (to, from) in bytes.iter_mut().zip(digest) {
        *to = from;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The first 32 hexadecimal digits of the same digest: ids of alerts and signals.
pub fn hex_of(parts: &[&[u8]]) -> String {
    let digest = digest_of(parts);
    let half = digest.get(..16).unwrap_or_default();
    let mut text = [0_u8; 32];
    // Sixteen bytes fit their digits, and digits are text.
    let _written = hex::encode_to_slice(half, &mut text);
    std::str::from_utf8(&text).unwrap_or_default().to_owned()
}

fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// `event.id` of record `index` of batch `sequence` in `epoch` from an authenticated principal (a sensor, a syslog
/// source).
pub fn of_sequence(principal: &str, epoch: u64, sequence: u64, index: u64) -> Uuid {
    uuid_of(&[
        b"sequence",
        principal.as_bytes(),
        &epoch.to_be_bytes(),
        &sequence.to_be_bytes(),
        &index.to_be_bytes(),
    ])
}

/// `event.id` of a record that the client named itself (`_id`, or an Idempotency-Key and the record's index).
pub fn of_client(principal: &str, client_id: &str, index: u64) -> Uuid {
    uuid_of(&[b"client", principal.as_bytes(), client_id.as_bytes(), &index.to_be_bytes()])
}

/// `event.id` of record `number` (from 1) of a file with this hash.
pub fn of_file(hash: &[u8; 32], number: u64) -> Uuid {
    uuid_of(&[b"file", hash, &number.to_be_bytes()])
}

/// Id of the signal that `rule` gave on one event.
pub fn of_signal(organization: &str, rule_id: &str, event_id: &str) -> String {
    hex_of(&[b"signal", organization.as_bytes(), rule_id.as_bytes(), event_id.as_bytes()])
}

/// Id of an alert: (organization, rule, canonical cause); the cause of a group is its entity and window start.
pub fn of_alert(organization: &str, rule_id: &str, cause: &[&str]) -> String {
    let mut parts: Vec<&[u8]> = vec![b"alert", organization.as_bytes(), rule_id.as_bytes()];
    parts.extend(cause.iter().map(|part| part.as_bytes()));
    hex_of(&parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_8_and_stable() {
        let id = of_sequence("sensor-1", 7, 1, 0);
        assert_eq!(id.get_version_num(), 8);
        assert_eq!(id, of_sequence("sensor-1", 7, 1, 0));
        assert_ne!(id, of_sequence("sensor-1", 7, 1, 1));
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(hex_of(&[b"ab", b"c"]), hex_of(&[b"a", b"bc"]));
        assert_eq!(of_alert("a", "b", &["c"]).len(), 32);
    }
}
