//! The hash chain of append-only records: each record's hash covers its content and the hash before it.

use sha2::{Digest, Sha256};

/// The hash before the first record.
pub(crate) const ORIGIN: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The hash of a record: SHA-256 over the previous hash and every part, each preceded by its length,
/// so that no two lists of parts give the same bytes. `None` differs from an empty text.
pub(crate) fn link(previous: &str, parts: &[Option<&str>]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(previous.as_bytes());
    for part in parts {
        match part {
            Some(text) => {
                hasher.update([1]);
                hasher.update((text.len() as u64).to_be_bytes());
                hasher.update(text.as_bytes());
            }
            None => hasher.update([0]),
        }
    }
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_be_shifted() {
        assert_ne!(link(ORIGIN, &[Some("ab"), Some("c")]), link(ORIGIN, &[Some("a"), Some("bc")]));
        assert_ne!(link(ORIGIN, &[None]), link(ORIGIN, &[Some("")]));
        assert_ne!(link(ORIGIN, &[Some("a")]), link("x", &[Some("a")]));
    }
}
