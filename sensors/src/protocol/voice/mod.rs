//! Calls and talk.

pub(super) mod irc;
pub(super) mod sip;
