//! The transparency log ([`dongson_event::transparency`]): append-only, with a tree over its entries whose root is signed.
//!
//! | child | holds |
//! |---|---|
//! | `append` | entries and tiles, in the transaction of what they are about |
//! | `tile` | the tree in tiles of 256 hashes, and the hashes of proofs read from them |
//! | `head` | the log's key and its signed heads |
//! | `proof` | entries with their proofs, consistency |
//! | `seal` | segments of stored events and batches of sensors |
//! | `check` | a walk over the whole log and the audit that names what was changed |
//!
//! What always holds: an audit entry, an alert and a sealed segment is in the log or not there at all. Whoever appends holds
//! the one row of `transparency_state`, so that several processes append one after the other. Heads are signed at most a
//! minute after what they cover, and kept.

mod append;
mod check;
mod head;
mod proof;
mod seal;
mod tile;

pub(crate) use append::append;
pub use check::{Finding, LogCheck, Problem};
pub use head::SignedHead;
pub use proof::{Logged, LoggedEntry};
pub use seal::Sealed;
pub(crate) use seal::seal_batches;

use crate::Error;

/// What the tables hold is not a log: somebody changed them.
const DAMAGED: Error =
    Error::Refused { what: "transparency log", reason: "is damaged: run `dongson verify` to see where" };

/// A number as the database keeps it.
fn stored(number: u64) -> crate::Result<i64> {
    i64::try_from(number).map_err(|_| Error::Range("the size of the transparency log"))
}

#[cfg(test)]
mod tests;
