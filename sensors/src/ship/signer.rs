//! Signs batches with the key of the sensor's certificate.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dongson_event::batch::{Hash, Place};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::{Identity, IdentityError};

/// The key of one certificate.
#[derive(Debug)]
pub struct Signer {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    /// The key that `identity` in `folder` names.
    pub fn load(identity: &Identity, folder: &Path) -> Result<Self, IdentityError> {
        let path = folder.join(&identity.key);
        let pem = fs::read(&path).map_err(|error| IdentityError::Disk { path: path.clone(), error })?;
        let random = SystemRandom::new();
        let pair = PrivatePkcs8KeyDer::from_pem_slice(&pem).ok().and_then(|key| {
            let key = key.secret_pkcs8_der();
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key, &random).ok()
        });
        let problem = || "is not a private key on P-256".to_owned();
        pair.map(|pair| Self { pair, random })
            .ok_or_else(|| IdentityError::Spoilt { path, problem: problem() })
    }

    /// The signature over what the batch at `place` with this root is said to be: ASN.1 in base64url. `None` when the
    /// system gives no random numbers.
    pub fn sign(&self, place: &Place<'_>, root: &Hash) -> Option<String> {
        let signature = self.pair.sign(&self.random, place.statement(root).as_bytes()).ok()?;
        Some(URL_SAFE_NO_PAD.encode(signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dongson_event::batch::Class;
    use ring::signature::{ECDSA_P256_SHA256_ASN1, KeyPair as _, UnparsedPublicKey};

    fn identity() -> Identity {
        let text = || "x".to_owned();
        Identity {
            url: text(),
            sensor: text(),
            organization: text(),
            node: text(),
            certificate: text(),
            authority: text(),
            key: "key.pem".to_owned(),
        }
    }

    #[test]
    fn what_is_signed_can_be_checked() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key.pem"), rcgen::KeyPair::generate().unwrap().serialize_pem())
            .unwrap();
        let signer = Signer::load(&identity(), folder.path()).unwrap();
        let place = Place { sensor: "s", epoch: 1, sequence: 2, class: Class::Conn, events: 3 };
        let signature = URL_SAFE_NO_PAD.decode(signer.sign(&place, &[7; 32]).unwrap()).unwrap();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, signer.pair.public_key().as_ref());
        assert!(key.verify(place.statement(&[7; 32]).as_bytes(), &signature).is_ok());
        assert!(key.verify(place.statement(&[8; 32]).as_bytes(), &signature).is_err());
    }

    #[test]
    fn another_kind_of_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        for text in [pair.serialize_pem(), "nonsense".to_owned()] {
            fs::write(folder.path().join("key.pem"), text).unwrap();
            let error = Signer::load(&identity(), folder.path()).unwrap_err();
            assert!(error.to_string().contains("P-256"), "{error}");
        }
    }
}
