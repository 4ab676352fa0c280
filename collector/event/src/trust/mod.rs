//! Who may tell a sensor what to do: signed envelopes, and the root document that says which key may sign what.
//!
//! | child | holds |
//! |---|---|
//! | `key` | Ed25519 keys, their ids, signatures |
//! | `envelope` | the signed envelope: bytes, what they are for, signatures |
//! | `root` | the root document: keys, roles, thresholds, expiry |
//! | `verify` | [`Trust`]: verification and rotation |
//! | `configuration` | what a sensor is to do, for all, one agency or one sensor |
//! | `pack` | what content is offered to sensors |
//! | `request` | which packets a sensor is asked for, and what it answers |
//!
//! The centre's offline root keys sign the root document, two of three as a rule; the root document names the keys that
//! sign configuration, content and requests, which are others. A signature covers what the bytes are for ([`Purpose`]), so
//! that what was signed as one thing is never taken for another. Versions only go up. Pure: the time is an argument, and
//! seeds of keys come from the caller.
//!
//! Sources: DSSE 1.0.2 (envelope and pre-authentication encoding), The Update Framework 1.0.33 (roles, thresholds, rotation),
//! RFC 8032 (Ed25519).

mod configuration;
mod envelope;
mod key;
mod pack;
mod request;
mod root;
mod verify;

pub use configuration::{Checksum, Configuration, Directive, KINDS, MAX_FILTER_BYTES, Target};
pub use envelope::{Envelope, MAX_PAYLOAD_BYTES, MAX_SIGNATURES, Signature};
pub use key::{KeyId, PublicKey, SigningKey};
pub use pack::{MAX_PACK_BYTES, PackKind, PackManifest};
pub use request::{
    MAX_ANSWER_BYTES, MAX_REQUEST_LIFE, MAX_REQUEST_SPAN, PacketAccount, PacketAnswer, PacketRequest, Person,
};
pub use root::{Role, Root};
pub use verify::{Trust, Verified};

use crate::Timestamp;

/// What signed bytes are for; it is part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// The root document ([`Root`]).
    Root,
    /// Desired state of sensors ([`Directive`]).
    Configuration,
    /// Packs of indicators and rules ([`PackManifest`]).
    Content,
    /// Requests for packets ([`PacketRequest`]).
    Request,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Root, Self::Configuration, Self::Content, Self::Request];

    /// The role of the root document whose keys sign it.
    pub fn role(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Configuration => "configuration",
            Self::Content => "content",
            Self::Request => "request",
        }
    }

    /// The payload type of its envelopes.
    pub fn payload_type(self) -> &'static str {
        match self {
            Self::Root => "application/vnd.dongson.root+json",
            Self::Configuration => "application/vnd.dongson.configuration+json",
            Self::Content => "application/vnd.dongson.content+json",
            Self::Request => "application/vnd.dongson.request+json",
        }
    }
}

/// Why something signed is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The bytes are not what they should be.
    #[error("{what} cannot be read: {reason}")]
    Malformed {
        /// What kind of thing.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A key is not 32 bytes.
    #[error("{0} is not 32 bytes in base64")]
    NotAKey(&'static str),
    /// Signed for something else.
    #[error("signed as {found:?}, which is not {wanted:?}")]
    WrongPurpose {
        /// The payload type that was wanted.
        wanted: &'static str,
        /// The one it has.
        found: String,
    },
    /// A signature under a key that may sign this does not fit the bytes.
    #[error("the signature of key {key} does not fit: the bytes were changed after they were signed")]
    Tampered {
        /// The key.
        key: KeyId,
    },
    /// Too few of the keys that may sign this did.
    #[error(
        "signed by {found} of the {needed} keys that {role} needs (signatures of other keys: {others}): sign it with a key that the root document names for {role}"
    )]
    TooFewSignatures {
        /// The role.
        role: &'static str,
        /// How many signed.
        found: usize,
        /// How many must.
        needed: u8,
        /// How many signatures are under keys that the role does not have.
        others: usize,
    },
    /// The root document names nobody for this role.
    #[error("the root document names no key for {0}")]
    NoRole(&'static str),
    /// The root document contradicts itself.
    #[error("the root document is not usable: {0}")]
    BadRoot(String),
    /// Not the root document that follows the present one.
    #[error("root document {given} does not follow {present}: each one is taken in its turn")]
    NotNext {
        /// The version in force.
        present: u64,
        /// The one that was offered.
        given: u64,
    },
    /// The root document has ended.
    #[error(
        "the root document {version} ended at {at}: nothing new is taken until the centre signs the next one"
    )]
    RootExpired {
        /// Its version.
        version: u64,
        /// When it ended.
        at: Timestamp,
    },
    /// What was signed has ended.
    #[error("{what} ended at {at}")]
    Expired {
        /// What kind of thing.
        what: &'static str,
        /// When it ended.
        at: Timestamp,
    },
    /// An older version than one that was taken already.
    #[error("{what} has version {given}, and {present} was taken before: versions only go up")]
    Older {
        /// What kind of thing.
        what: String,
        /// The newest version that was taken.
        present: u64,
        /// The one that was offered.
        given: u64,
    },
    /// Meant for somebody else.
    #[error("meant for {0}, not for this sensor")]
    NotForUs(String),
}
