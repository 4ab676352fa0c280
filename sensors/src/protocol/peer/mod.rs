//! Between peers, without a server.

pub(super) mod bittorrent;
