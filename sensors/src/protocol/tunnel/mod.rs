//! Roads that hide where traffic goes.

pub(super) mod socks;
