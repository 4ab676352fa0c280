//! The hash chain of append-only records: each record's hash covers its content and the hash before it.

use sha2::{Digest as _, Sha256};

/// The hash of a record: SHA-256 over the previous hash (as text) and every part, each preceded by a byte 1 and its length
/// (8 bytes, the highest first), so that no two lists of parts give the same bytes. `None` is a byte 0: it differs from an
/// empty text.
pub fn link(previous: &str, parts: &[Option<&str>]) -> String {
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
        assert_ne!(link("o", &[Some("ab"), Some("c")]), link("o", &[Some("a"), Some("bc")]));
        assert_ne!(link("o", &[None]), link("o", &[Some("")]));
        assert_ne!(link("o", &[Some("a")]), link("x", &[Some("a")]));
    }
}
