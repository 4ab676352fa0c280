//! Ed25519 keys (RFC 8032), and the ids by which signatures name them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use super::TrustError;

/// SHA-256 of a public key's 32 bytes, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId(String);

impl KeyId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    /// The first 16 digits of a whole id; what else stands there, quoted: it comes from outside.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.len() == 64 && self.0.bytes().all(|byte| byte.is_ascii_hexdigit());
        let short: String = self.0.chars().take(16).collect();
        if whole { out.write_str(&short) } else { write!(out, "{short:?}") }
    }
}

/// The public half of a key: 32 bytes, base64 in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads base64.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        bytes_of(text).map(Self).ok_or(TrustError::NotAKey("the public key"))
    }

    /// The key of 32 bytes; `None` of more or fewer.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its 32 bytes.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its id.
    pub fn id(&self) -> KeyId {
        KeyId(hex::encode(Sha256::digest(self.0)))
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PublicKey({self})")
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

/// A key that signs. Never printed.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    seed: [u8; 32],
}

impl SigningKey {
    /// The key of a seed of 32 random bytes.
    pub fn from_seed(seed: [u8; 32]) -> Result<Self, TrustError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
            .map_err(|_| TrustError::NotAKey("the seed of a signing key"))?;
        Ok(Self { pair, seed })
    }

    /// Reads a seed in base64, as [`Self::secret`] gives it.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        Self::from_seed(bytes_of(text).ok_or(TrustError::NotAKey("the seed of a signing key"))?)
    }

    /// The seed in base64: whoever has it signs as this key.
    pub fn secret(&self) -> String {
        STANDARD.encode(self.seed)
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(self.pair.public_key().as_ref()) {
            *to = *from;
        }
        PublicKey(bytes)
    }

    /// The signature over `message`: 64 bytes.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SigningKey(***, {})", self.public().id())
    }
}

fn bytes_of(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text.trim()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, 7.1, test 2.
    #[test]
    fn a_signature_is_that_of_the_standard() {
        let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        let key = SigningKey::from_seed(hex::decode(seed).unwrap().try_into().unwrap()).unwrap();
        let expected = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        assert_eq!(hex::encode(key.sign(&[0x72])), expected);
        assert!(key.public().verifies(&[0x72], &hex::decode(expected).unwrap()));
        assert!(!key.public().verifies(&[0x73], &hex::decode(expected).unwrap()));
    }

    #[test]
    fn keys_are_written_and_read_and_the_secret_is_not_printed() {
        let key = SigningKey::from_seed([7; 32]).unwrap();
        assert_eq!(SigningKey::parse(&key.secret()).unwrap().public(), key.public());
        assert_eq!(PublicKey::parse(&key.public().to_string()).unwrap(), key.public());
        assert!(!format!("{key:?}").contains(&key.secret()));
        assert_eq!(PublicKey::parse("AAAA"), Err(TrustError::NotAKey("the public key")));
    }
}
