//! Mail: how it is sent and fetched, and the parts of a message.

pub(super) mod multipart;
pub(super) mod smtp;
