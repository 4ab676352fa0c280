//! Mail: how it is sent and fetched, and the parts of a message.

mod dotted;
pub(super) mod imap;
mod message;
pub(super) mod multipart;
pub(super) mod pop3;
mod sasl;
pub(super) mod smtp;
