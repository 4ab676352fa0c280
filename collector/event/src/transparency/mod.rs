//! The transparency log, as far as it needs no database: its tree, its signed heads, its entries, evidence.
//!
//! | child | holds |
//! |---|---|
//! | `tree` | RFC 9162: hashes, roots, proofs of inclusion and consistency, and their verification |
//! | `head` | the signed head: a checkpoint (C2SP tlog-checkpoint) in a signed note (C2SP signed-note, Ed25519) |
//! | `entry` | what the log is about: segments of stored events, sensor batches, alerts, approvals, audit entries |
//! | `chain` | the hash chain of the audit |
//! | `segment` | segments: their names and the hashes of their rows |
//! | `evidence` | one event, alert or audit entry with everything that proves when it was logged |
//!
//! Hashes are SHA-256: RFC 9162 names it, and a verifier needs nothing but a standard library. BLAKE3 would take less
//! processor time on a machine without SHA instructions, and leave the standard. Pure: the time is an argument.

mod chain;
mod entry;
mod evidence;
mod head;
mod segment;
mod tree;

pub use chain::link;
pub use entry::{Class, Entry, Link};
pub use evidence::{Evidence, EvidenceError, Place, Proven, Subject};
pub use head::{Head, HeadError, LogKey};
pub use segment::{MAX_CLASSES, Row, SegmentId, SegmentRoots};
pub use tree::{
    Frontier, Parts, Span, consistency, inclusion, leaf_hash, node_hash, verify_consistency, verify_inclusion,
};

pub use crate::batch::Hash;

/// Reads a hash of 64 lower-case hexadecimal digits.
pub fn parse_hash(text: &str) -> Option<Hash> {
    let small = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    hex::decode(text).ok().filter(|_| small)?.try_into().ok()
}
