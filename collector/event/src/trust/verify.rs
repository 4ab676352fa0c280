//! Verification: what a holder of a root document takes, and how it comes to the next root document.

use super::root::{Role, Root};
use super::{Envelope, KeyId, Purpose, TrustError};
use crate::Timestamp;

/// A root document that is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    root: Root,
}

/// What was verified: the payload, and who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<'e> {
    /// The bytes.
    pub payload: &'e [u8],
    /// The keys of the role that signed it.
    pub signers: Vec<KeyId>,
}

impl Trust {
    /// Trust in a first root document, which must be signed by its own keys. Where it came from, the caller answers for:
    /// at a sensor, the connection on which it enrolled.
    pub fn begin(envelope: &Envelope) -> Result<Self, TrustError> {
        let root = Root::read(envelope)?;
        signers(&root, Purpose::Root, envelope)?;
        Ok(Self { root })
    }

    /// The document in force.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Goes on to the next root document: one version up, signed as the present one and as itself demand. An end that is
    /// past does not matter here: the way out of an expired document is the next one (TUF, 5.3).
    pub fn rotate(&mut self, envelope: &Envelope) -> Result<(), TrustError> {
        let next = Root::read(envelope)?;
        if self.root.version.checked_add(1) != Some(next.version) {
            return Err(TrustError::NotNext { present: self.root.version, given: next.version });
        }
        signers(&self.root, Purpose::Root, envelope)?;
        signers(&next, Purpose::Root, envelope)?;
        self.root = next;
        Ok(())
    }

    /// The payload of an envelope that was signed for `purpose` by those who may, while the root document holds.
    pub fn verify<'e>(
        &self,
        purpose: Purpose,
        envelope: &'e Envelope,
        now: Timestamp,
    ) -> Result<Verified<'e>, TrustError> {
        if now >= self.root.expires_at {
            return Err(TrustError::RootExpired { version: self.root.version, at: self.root.expires_at });
        }
        let signers = signers(&self.root, purpose, envelope)?;
        Ok(Verified { payload: &envelope.payload, signers })
    }
}

/// The keys of `purpose`'s role in `root` that signed; an error when they are too few, or when one does not fit.
fn signers(root: &Root, purpose: Purpose, envelope: &Envelope) -> Result<Vec<KeyId>, TrustError> {
    envelope.check_size()?;
    if envelope.payload_type != purpose.payload_type() {
        return Err(TrustError::WrongPurpose {
            wanted: purpose.payload_type(),
            found: envelope.payload_type.clone(),
        });
    }
    let Role { threshold, keys } = root.role(purpose)?;
    let message = envelope.signed_bytes();
    let (mut found, mut others) = (Vec::new(), 0);
    for signature in &envelope.signatures {
        let known = root.keys.get(&signature.keyid).filter(|_| keys.contains(&signature.keyid));
        let Some(key) = known else {
            others += 1;
            continue;
        };
        if !key.verifies(&message, &signature.sig) {
            return Err(TrustError::Tampered { key: signature.keyid.clone() });
        }
        if !found.contains(&signature.keyid) {
            found.push(signature.keyid.clone());
        }
    }
    if found.len() < usize::from(*threshold) {
        let (role, found) = (purpose.role(), found.len());
        return Err(TrustError::TooFewSignatures { role, found, needed: *threshold, others });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::SigningKey;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed([seed; 32]).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    /// Root keys `first`..`first + 2`, two of which must sign; key 20 signs configuration, 21 content.
    fn root(version: u64, first: u8) -> Root {
        let roots: Vec<_> = (first..first + 3).map(|seed| key(seed).public()).collect();
        Root::new(version, at(1_000))
            .with(Purpose::Root, 2, &roots)
            .with(Purpose::Configuration, 1, &[key(20).public()])
            .with(Purpose::Content, 1, &[key(21).public()])
    }

    fn signed(root: &Root, seeds: &[u8]) -> Envelope {
        let mut envelope = Envelope::new(Purpose::Root, serde_json::to_vec(root).unwrap());
        for seed in seeds {
            envelope.sign(&key(*seed));
        }
        envelope
    }

    fn trust() -> Trust {
        Trust::begin(&signed(&root(1, 1), &[1, 3])).unwrap()
    }

    #[test]
    fn a_first_root_is_signed_by_two_of_its_own_three() {
        assert_eq!(trust().root().version, 1);
        for seeds in [&[1][..], &[1, 20], &[]] {
            let error = Trust::begin(&signed(&root(1, 1), seeds)).unwrap_err();
            assert!(matches!(error, TrustError::TooFewSignatures { needed: 2, .. }), "{error}");
        }
        let mut twice = signed(&root(1, 1), &[1]);
        twice.signatures.push(twice.signatures[0].clone());
        assert!(matches!(Trust::begin(&twice), Err(TrustError::TooFewSignatures { found: 1, .. })));
    }

    #[test]
    fn each_purpose_has_its_keys() {
        let trust = trust();
        let good = Envelope::sign_json(Purpose::Configuration, &"x", &key(20)).unwrap();
        let verified = trust.verify(Purpose::Configuration, &good, at(1)).unwrap();
        assert_eq!((verified.payload, verified.signers.len()), (&b"\"x\""[..], 1));

        let wrong = trust.verify(Purpose::Content, &good, at(1)).unwrap_err();
        assert!(matches!(wrong, TrustError::WrongPurpose { .. }), "{wrong}");
        // The bytes of one purpose shown as another: the signature covers the purpose.
        let mut relabelled = Envelope::sign_json(Purpose::Configuration, &"x", &key(21)).unwrap();
        relabelled.payload_type = Purpose::Content.payload_type().to_owned();
        let error = trust.verify(Purpose::Content, &relabelled, at(1)).unwrap_err();
        assert!(matches!(error, TrustError::Tampered { .. }), "{error}");

        let unknown = Envelope::sign_json(Purpose::Configuration, &"x", &key(21)).unwrap();
        let error = trust.verify(Purpose::Configuration, &unknown, at(1)).unwrap_err();
        assert!(matches!(error, TrustError::TooFewSignatures { found: 0, others: 1, .. }), "{error}");
        assert_eq!(
            trust.verify(Purpose::Request, &Envelope::new(Purpose::Request, Vec::new()), at(1)),
            Err(TrustError::NoRole("request"))
        );
    }

    #[test]
    fn every_changed_byte_is_seen() {
        let trust = trust();
        let good = Envelope::sign_json(Purpose::Configuration, &"hello", &key(20)).unwrap();
        for at_byte in 0..good.payload.len() {
            let mut bad = good.clone();
            bad.payload[at_byte] ^= 1;
            let error = trust.verify(Purpose::Configuration, &bad, at(1)).unwrap_err();
            assert!(matches!(error, TrustError::Tampered { .. }), "{error}");
        }
        for at_byte in 0..64 {
            let mut bad = good.clone();
            bad.signatures[0].sig[at_byte] ^= 1;
            assert!(trust.verify(Purpose::Configuration, &bad, at(1)).is_err());
        }
        let mut short = good;
        short.signatures[0].sig.pop();
        assert!(trust.verify(Purpose::Configuration, &short, at(1)).is_err());
    }

    #[test]
    fn an_expired_root_takes_nothing_but_its_successor() {
        let mut trust = trust();
        let good = Envelope::sign_json(Purpose::Configuration, &"x", &key(20)).unwrap();
        let error = trust.verify(Purpose::Configuration, &good, at(1_000)).unwrap_err();
        assert!(matches!(error, TrustError::RootExpired { version: 1, .. }), "{error}");
        let mut next = root(2, 1);
        next.expires_at = at(2_000);
        trust.rotate(&signed(&next, &[1, 2])).unwrap();
        trust.verify(Purpose::Configuration, &good, at(1_000)).unwrap();
    }

    /// The rehearsal: all three root keys and the configuration key change, in the way that a centre would do it.
    #[test]
    fn rotation_rehearsed() {
        let mut trust = trust();
        let next = root(2, 4).with(Purpose::Configuration, 1, &[key(30).public()]);
        for (seeds, reason) in [
            (&[4, 5][..], "only the new keys"),
            (&[1, 2], "only the old keys"),
            (&[1, 4, 5], "one old key"),
            (&[1, 2, 4], "one new key"),
        ] {
            let before = trust.clone();
            let error = trust.rotate(&signed(&next, seeds)).unwrap_err();
            assert!(matches!(error, TrustError::TooFewSignatures { .. }), "{reason}: {error}");
            assert_eq!(trust, before);
        }
        let mut skipped = next.clone();
        skipped.version = 3;
        let error = trust.rotate(&signed(&skipped, &[1, 2, 4, 5])).unwrap_err();
        assert_eq!(error, TrustError::NotNext { present: 1, given: 3 });

        trust.rotate(&signed(&next, &[2, 3, 4, 6])).unwrap();
        assert_eq!(trust.root().version, 2);
        let old = Envelope::sign_json(Purpose::Configuration, &"x", &key(20)).unwrap();
        assert!(trust.verify(Purpose::Configuration, &old, at(1)).is_err(), "the old key signs no more");
        let new = Envelope::sign_json(Purpose::Configuration, &"x", &key(30)).unwrap();
        trust.verify(Purpose::Configuration, &new, at(1)).unwrap();
        // The old document is not taken back.
        let error = trust.rotate(&signed(&root(1, 1), &[1, 2, 3])).unwrap_err();
        assert_eq!(error, TrustError::NotNext { present: 2, given: 1 });
        // Nor does a holder of the old root keys go on from the new one.
        assert!(trust.rotate(&signed(&root(3, 1), &[1, 2, 3])).is_err());
    }

    #[test]
    fn documents_that_contradict_themselves() {
        let good = root(1, 1);
        let mut cases = vec![Root { version: 0, ..good.clone() }];
        let mut renamed = good.clone();
        let (other, taken) = (key(1).public().id(), key(2).public());
        renamed.keys.insert(other, taken);
        cases.push(renamed);
        let mut too_high = good.clone();
        too_high.roles.get_mut("root").unwrap().threshold = 4;
        cases.push(too_high);
        let mut none = good.clone();
        none.roles.get_mut("content").unwrap().threshold = 0;
        cases.push(none);
        let mut missing = good.clone();
        missing.keys.remove(&key(21).public().id());
        cases.push(missing);
        cases.push(good.clone().with(Purpose::Configuration, 1, &[key(1).public()]));
        let mut rootless = good;
        rootless.roles.remove("root");
        cases.push(rootless);
        for case in cases {
            assert!(Trust::begin(&signed(&case, &[1, 2, 3])).is_err(), "{case:?}");
        }
    }
}
