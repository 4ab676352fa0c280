//! Signed heads: how many entries the log has and their root, as a checkpoint (C2SP tlog-checkpoint: origin, size, root in
//! base64, a line each) in a signed note (C2SP signed-note, signature type 1: Ed25519 over the text).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::batch::Hash;
use crate::trust::{PublicKey, SigningKey};

/// Longest note that is read, in bytes.
const MAX_NOTE_BYTES: usize = 4_096;
/// The type of Ed25519 signatures in notes.
const ED25519: u8 = 1;

/// Why a head or a key is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Not a checkpoint in a signed note.
    #[error("not a signed head: {0}")]
    Malformed(&'static str),
    /// Another log's.
    #[error("a head of the log {0:?}, which is another")]
    OtherLog(String),
    /// Not signed with the log's key.
    #[error("no signature of the log's key {0}")]
    Unsigned(String),
    /// The signature does not fit.
    #[error("the signature does not fit: the head was changed after it was signed")]
    Tampered,
    /// Not a verifier key.
    #[error("not a key of a log (NAME+ID+KEY, as C2SP signed-note writes it)")]
    NotAKey,
}

/// The public key of a log and the log's name: `NAME+ID+KEY` (C2SP signed-note), ID the first four bytes of SHA-256 over
/// name, line feed, type and key, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    origin: String,
    key: PublicKey,
}

impl LogKey {
    /// The key of a log whose name is made from the key itself.
    pub fn of(key: &SigningKey) -> Self {
        let public = key.public();
        let id: String = public.id().as_str().chars().take(16).collect();
        Self { origin: format!("dongson-log-{id}"), key: public }
    }

    /// Reads the text of a key.
    ///
    /// # Errors
    /// `NotAKey`.
    pub fn parse(text: &str) -> Result<Self, HeadError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(origin), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(HeadError::NotAKey);
        };
        let bytes = STANDARD.decode(key).map_err(|_| HeadError::NotAKey)?;
        let [ED25519, key @ ..] = bytes.as_slice() else { return Err(HeadError::NotAKey) };
        let key = PublicKey::from_bytes(key).ok_or(HeadError::NotAKey)?;
        let fine =
            !origin.is_empty() && !origin.chars().any(|sign| sign.is_whitespace() || sign.is_control());
        let read = Self { origin: origin.to_owned(), key };
        if fine && hex::encode(read.id()) == id { Ok(read) } else { Err(HeadError::NotAKey) }
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    fn id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(&self.origin)
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize();
        let [one, two, three, four, ..]: [u8; 32] = hash.into();
        [one, two, three, four]
    }
}

impl fmt::Display for LogKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519], self.key.as_bytes().as_slice()].concat();
        write!(out, "{}+{}+{}", self.origin, hex::encode(self.id()), STANDARD.encode(key))
    }
}

/// How many entries a log has, and their root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Entries.
    pub size: u64,
    /// The tree's root.
    pub root: Hash,
}

impl Head {
    /// The signed note of this head.
    pub fn sign(&self, key: &SigningKey) -> String {
        let log = LogKey::of(key);
        let text = format!("{}\n{}\n{}\n", log.origin, self.size, STANDARD.encode(self.root));
        let signature = [log.id().as_slice(), &key.sign(text.as_bytes())].concat();
        format!("{text}\n\u{2014} {} {}\n", log.origin, STANDARD.encode(signature))
    }

    /// Reads a signed note that the log of `key` has signed.
    ///
    /// # Errors
    /// Any [`HeadError`] but `NotAKey`.
    pub fn verify(note: &str, key: &LogKey) -> Result<Self, HeadError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(HeadError::Malformed("it is longer than 4096 bytes"));
        }
        let end = note.rfind("\n\n").ok_or(HeadError::Malformed("it has no empty line before signatures"))?;
        let (text, signatures) =
            note.split_at_checked(end + 1).ok_or(HeadError::Malformed("it is not text"))?;
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(HeadError::Malformed("it has fewer than three lines"));
        };
        if origin != key.origin {
            return Err(HeadError::OtherLog(origin.chars().take(80).collect()));
        }
        let plain = size == "0" || !size.starts_with('0') && size.bytes().all(|byte| byte.is_ascii_digit());
        let size =
            size.parse().ok().filter(|_| plain).ok_or(HeadError::Malformed("its size is no number"))?;
        let root = STANDARD.decode(root).ok().and_then(|bytes| bytes.try_into().ok());
        let root = root.ok_or(HeadError::Malformed("its root is not 32 bytes in base64"))?;
        let signed = signatures.lines().filter_map(|line| {
            let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
            let signature = STANDARD.decode(signature).ok().filter(|_| name == key.origin)?;
            let (id, signature) = signature.split_first_chunk::<4>()?;
            (*id == key.id()).then(|| signature.to_vec())
        });
        let mut signed = signed.peekable();
        if signed.peek().is_none() {
            return Err(HeadError::Unsigned(key.origin.clone()));
        }
        // A note may carry others' signatures; of ours each must fit.
        if signed.all(|signature| key.key.verifies(text.as_bytes(), &signature)) {
            Ok(Self { size, root })
        } else {
            Err(HeadError::Tampered)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn signed() -> (LogKey, Head, String) {
        let key = SigningKey::from_seed([7; 32]).unwrap();
        let head = Head { size: 1_234, root: [0xab; 32] };
        (LogKey::of(&key), head, head.sign(&key))
    }

    #[test]
    fn a_head_is_written_and_read() {
        let (key, head, note) = signed();
        assert_eq!(Head::verify(&note, &key), Ok(head));
        assert_eq!(LogKey::parse(&key.to_string()), Ok(key.clone()));
        // Other signatures do not matter.
        let more = format!("{note}\u{2014} witness AAAAAAAA\n");
        assert_eq!(Head::verify(&more, &key), Ok(head));
        let other = LogKey::of(&SigningKey::from_seed([8; 32]).unwrap());
        assert!(matches!(Head::verify(&note, &other), Err(HeadError::OtherLog(_))));
        let named = LogKey { origin: key.origin.clone(), ..other };
        assert!(matches!(Head::verify(&note, &named), Err(HeadError::Unsigned(_))));
        assert!(note.starts_with(&format!("{}\n1234\nq6ur", key.origin)), "{note}");
    }

    proptest! {
        #[test]
        fn a_changed_head_is_not_taken(at: prop::sample::Index, byte: u8) {
            let (key, _, note) = signed();
            let mut bytes = note.clone().into_bytes();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != byte);
            bytes[at] = byte;
            if let Ok(text) = String::from_utf8(bytes) {
                // The very last line feed is the only byte that says nothing.
                prop_assert!(Head::verify(&text, &key).is_err() || at == note.len() - 1, "{text:?}");
            }
        }

        #[test]
        fn any_text_is_judged(text: String, key in "[a-z+/=0-9]{0,60}") {
            let (known, ..) = signed();
            prop_assert!(Head::verify(&text, &known).is_err());
            drop(LogKey::parse(&key));
        }
    }
}
