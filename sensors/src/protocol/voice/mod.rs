//! Calls and talk.

pub(super) mod sip;
