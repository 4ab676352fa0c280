//! The signed envelope: DSSE 1.0.2 with Ed25519.
//!
//! JSON: `{"payloadType": text, "payload": base64, "signatures": [{"keyid": text, "sig": base64}]}`. What is signed is the
//! pre-authentication encoding `DSSEv1 LENGTH TYPE LENGTH PAYLOAD` (lengths in bytes, decimal, one space between), over the
//! payload's bytes as they are transported: nobody has to print JSON the same way twice.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{KeyId, Purpose, SigningKey, TrustError};

/// Longest payload in bytes: 256 KiB.
pub const MAX_PAYLOAD_BYTES: usize = 256 << 10;
/// Most signatures of one envelope.
pub const MAX_SIGNATURES: usize = 16;

/// Signed bytes. Nothing about it is true before [`super::Trust::verify`] said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// What the payload is for ([`Purpose::payload_type`]).
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// The bytes.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub payload: Vec<u8>,
    /// The signatures.
    pub signatures: Vec<Signature>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Whose.
    pub keyid: KeyId,
    /// Its 64 bytes.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub sig: Vec<u8>,
}

impl Envelope {
    /// An envelope without signatures.
    pub fn new(purpose: Purpose, payload: Vec<u8>) -> Self {
        Self { payload_type: purpose.payload_type().to_owned(), payload, signatures: Vec::new() }
    }

    /// An envelope over `value` as JSON, signed by `key`.
    pub fn sign_json<T: Serialize>(
        purpose: Purpose,
        value: &T,
        key: &SigningKey,
    ) -> Result<Self, TrustError> {
        let payload = serde_json::to_vec(value).map_err(|error| malformed("what is to be signed", &error))?;
        let mut envelope = Self::new(purpose, payload);
        envelope.sign(key);
        Ok(envelope)
    }

    /// Adds the signature of `key`; one that it gave before is replaced.
    pub fn sign(&mut self, key: &SigningKey) {
        let keyid = key.public().id();
        self.signatures.retain(|signature| signature.keyid != keyid);
        self.signatures.push(Signature { keyid, sig: key.sign(&self.signed_bytes()) });
    }

    /// Reads an envelope in bounds.
    pub fn parse(json: &[u8]) -> Result<Self, TrustError> {
        let envelope: Self =
            serde_json::from_slice(json).map_err(|error| malformed("a signed envelope", &error))?;
        envelope.check_size().map(|()| envelope)
    }

    /// The envelope as JSON.
    pub fn to_json(&self) -> String {
        // Text, base64 and lists of them always print.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Refuses one that is too large to look at.
    pub(super) fn check_size(&self) -> Result<(), TrustError> {
        let reason = if self.payload.len() > MAX_PAYLOAD_BYTES {
            format!("its payload of {} bytes is longer than {MAX_PAYLOAD_BYTES}", self.payload.len())
        } else if self.signatures.len() > MAX_SIGNATURES {
            format!("it has {} signatures, more than {MAX_SIGNATURES}", self.signatures.len())
        } else {
            return Ok(());
        };
        Err(TrustError::Malformed { what: "a signed envelope", reason })
    }

    /// What a signature covers (DSSE, "Signature Definition").
    pub(super) fn signed_bytes(&self) -> Vec<u8> {
        let Self { payload_type, payload, .. } = self;
        let mut bytes =
            format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
        bytes.extend_from_slice(payload);
        bytes
    }
}

/// The payload as a value; `what` names it in errors.
pub(super) fn read_json<'p, T: Deserialize<'p>>(
    what: &'static str,
    payload: &'p [u8],
) -> Result<T, TrustError> {
    serde_json::from_slice(payload).map_err(|error| malformed(what, &error))
}

fn malformed(what: &'static str, error: &serde_json::Error) -> TrustError {
    TrustError::Malformed { what, reason: error.to_string() }
}

fn to_base64<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(from)?).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_the_encoding_of_the_standard() {
        // DSSE, protocol.md, "Test vectors".
        let envelope = Envelope {
            payload_type: "http://example.com/HelloWorld".to_owned(),
            payload: b"hello world".to_vec(),
            signatures: Vec::new(),
        };
        assert_eq!(envelope.signed_bytes(), b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn written_and_read() {
        let key = SigningKey::from_seed([1; 32]).unwrap();
        let mut envelope = Envelope::sign_json(Purpose::Content, &[1, 2], &key).unwrap();
        envelope.sign(&key);
        assert_eq!(envelope.signatures.len(), 1, "signed twice by one key is signed once");
        assert_eq!(Envelope::parse(envelope.to_json().as_bytes()).unwrap(), envelope);
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let large = Envelope::new(Purpose::Content, vec![b' '; MAX_PAYLOAD_BYTES + 1]);
        assert!(Envelope::parse(large.to_json().as_bytes()).is_err());
        let mut many = Envelope::new(Purpose::Content, Vec::new());
        for seed in 0..=u8::try_from(MAX_SIGNATURES).unwrap() {
            many.sign(&SigningKey::from_seed([seed; 32]).unwrap());
        }
        assert!(Envelope::parse(many.to_json().as_bytes()).is_err());
        assert!(Envelope::parse(b"{}").is_err());
    }
}
