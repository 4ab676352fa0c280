//! Packs: content (indicators, rules) that sensors fetch, named by a signed manifest.

use serde::{Deserialize, Serialize};

use super::envelope::read_json;
use super::{Envelope, Purpose, Target, Trust, TrustError};
use crate::Timestamp;

/// Longest pack in bytes: 256 MiB, a million indicators several times over.
pub const MAX_PACK_BYTES: u64 = 256 << 20;

/// What a pack holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackKind {
    /// Indicators.
    Intel,
    /// Rules.
    Rules,
}

/// What a pack is, payload of an envelope of [`Purpose::Content`]. The pack itself is fetched by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackManifest {
    /// Its name, 1 to 64 of a-z, 0-9, -, _ and .; a newer version of the same name takes its place.
    pub name: String,
    /// What it holds.
    pub kind: PackKind,
    /// Goes up with each version of the name.
    pub version: u64,
    /// Whom it is for.
    pub target: Target,
    /// SHA-256 of the pack in hexadecimal, lower case.
    pub sha256: String,
    /// Length of the pack in bytes.
    pub bytes: u64,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// When its content is too old to be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl PackManifest {
    /// The manifest of an envelope that `trust` takes.
    pub fn verify(trust: &Trust, envelope: &Envelope, now: Timestamp) -> Result<Self, TrustError> {
        let verified = trust.verify(Purpose::Content, envelope, now)?;
        let manifest: Self = read_json("the manifest of a pack", verified.payload)?;
        manifest.check()?;
        match manifest.expires_at {
            Some(at) if now >= at => Err(TrustError::Expired { what: "the pack", at }),
            _ => Ok(manifest),
        }
    }

    /// Refuses names, hashes and lengths that are none.
    pub fn check(&self) -> Result<(), TrustError> {
        let bad = |reason: &str| {
            Err(TrustError::Malformed { what: "the manifest of a pack", reason: reason.to_owned() })
        };
        let sign = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        let name = self.name.as_bytes();
        if !(1..=64).contains(&name.len()) || !name.iter().copied().all(sign) || name.first() == Some(&b'.') {
            return bad("its name must be 1 to 64 of a-z, 0-9, -, _ and ., not beginning with .");
        }
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if self.sha256.len() != 64 || !self.sha256.bytes().all(digit) {
            return bad("its SHA-256 must be 64 hexadecimal digits");
        }
        if !(1..=MAX_PACK_BYTES).contains(&self.bytes) {
            return bad("its length must be 1 byte to 256 MiB");
        }
        if self.version == 0 {
            return bad("its version must be 1 or more");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::{Root, SigningKey};

    #[test]
    fn manifests_are_checked_and_end() {
        let key = |seed| SigningKey::from_seed([seed; 32]).unwrap();
        let root = Root::new(1, Timestamp::from_seconds(1_000)).with(Purpose::Root, 1, &[key(1).public()]);
        let root = root.with(Purpose::Content, 1, &[key(2).public()]);
        let trust = Trust::begin(&Envelope::sign_json(Purpose::Root, &root, &key(1)).unwrap()).unwrap();
        let good = PackManifest {
            name: "provincial".to_owned(),
            kind: PackKind::Intel,
            version: 3,
            target: Target::All,
            sha256: "0f".repeat(32),
            bytes: 5,
            issued_at: Timestamp::from_seconds(1),
            expires_at: Some(Timestamp::from_seconds(50)),
        };
        let verify = |manifest: &PackManifest, now| {
            let envelope = Envelope::sign_json(Purpose::Content, manifest, &key(2)).unwrap();
            PackManifest::verify(&trust, &envelope, Timestamp::from_seconds(now))
        };
        assert_eq!(verify(&good, 49).unwrap(), good);
        assert!(matches!(verify(&good, 50), Err(TrustError::Expired { .. })));
        for bad in [
            PackManifest { name: "../x".to_owned(), ..good.clone() },
            PackManifest { name: "..".to_owned(), ..good.clone() },
            PackManifest { sha256: "0F".repeat(32), ..good.clone() },
            PackManifest { bytes: MAX_PACK_BYTES + 1, ..good.clone() },
            PackManifest { version: 0, ..good.clone() },
        ] {
            assert!(matches!(verify(&bad, 2), Err(TrustError::Malformed { .. })), "{bad:?}");
        }
    }
}
