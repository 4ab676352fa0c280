//! Terminals and desktops used from afar.

pub(super) mod rdp;
pub(super) mod rfb;
pub(super) mod ssh;
pub(super) mod telnet;
