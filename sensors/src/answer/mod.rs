//! Requests for packets: looked at, written down, answered.
//!
//! | child | holds |
//! |---|---|
//! | `journal` | what was asked and what became of it: a chain of lines that the agency can read and check |
//! | `rules` | what this sensor answers at all |
//! | `serve` | the thread: from a signed request to its end |
//! | `send` | the way of an answer to the collector, in parts |
//!
//! In: requests as the collector handed them on ([`crate::desired`]). Out: packets of the ring ([`crate::packets`]), or a refusal
//! with its reason. What always holds: nothing leaves before the signature, the two people, the time and this sensor's own
//! rules were looked at and the journal has it on the disk; a request is answered once. One request at a time; its answer lies
//! in `answers/` until the collector has it.

mod journal;
mod rules;
mod send;
mod serve;
#[cfg(test)]
mod tests;

pub use journal::{Deed, Journal, JournalError, JournalLine, read_journal};
pub use rules::Rules;
pub use serve::Answerer;
