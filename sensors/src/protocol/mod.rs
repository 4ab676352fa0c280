//! Application protocols: stream bytes and datagrams in, events out.
//!
//! [`Tcp`] and [`Udp`] hold what one connection or flow has said so far; the caller reassembles, adds addresses and decides how
//! many there may be. They recognise what is spoken from the bytes (`detect`), parse DNS, HTTP/1, TLS, QUIC and the services of
//! `dissect`, and name the rest for `network.protocol` of the connection.
//!
//! The rooms: `windows`, `mail`, `database`, `industrial`, `network` (what keeps one running), `remote` (terminals and
//! desktops), `tunnel`, `voice`, `peer` (without a server); a service with a room of its own name (`dns`, `ftp`, `http`, `tls`) is one of many files. The rest
//! is what they share.
//!
//! What always holds: any bytes in any pieces give events and never a panic; the same stream in other pieces gives the same
//! events; time comes from the caller; secrets (passwords, cookies, tokens) are sealed under [`Options::secret_key`].
//! Memory per connection is bounded: 2 KiB until the protocol is known, then as the parser's own page says, at most about
//! 2 MiB for an HTTP client that leaves 32 giant requests unanswered, and typically under 4 KiB.

mod database;
mod der;
mod detect;
mod dissect;
mod dns;
mod file;
mod frames;
mod ftp;
mod http;
mod industrial;
mod kinds;
mod le;
mod lines;
mod mail;
mod network;
mod pe;
mod peer;
mod quic;
mod remote;
mod secret;
mod sniff;
#[cfg(test)]
mod talk;
mod tcp;
mod tls;
mod tunnel;
mod udp;
mod upgrade;
mod voice;
mod windows;
mod wire;

pub(crate) use dissect::{Expected, Transfer};
pub use kinds::{Kind, Kinds};
pub use tcp::Tcp;
pub use udp::Udp;

/// Who sent the bytes, in the terms of the connection record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The end that is the connection's source.
    Originator,
    /// The end that is its destination.
    Responder,
}

impl Side {
    /// The other end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Originator => Self::Responder,
            Self::Responder => Self::Originator,
        }
    }

    /// This end's one of a pair (originator, responder).
    fn of<T>(self, pair: &[T; 2]) -> &T {
        let [originator, responder] = pair;
        match self {
            Self::Originator => originator,
            Self::Responder => responder,
        }
    }

    fn of_mut<T>(self, pair: &mut [T; 2]) -> &mut T {
        let [originator, responder] = pair;
        match self {
            Self::Originator => originator,
            Self::Responder => responder,
        }
    }
}

/// Settings that parsers share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Key under which secrets are hashed before they leave the parser; all zeros for files, random for live traffic.
    pub secret_key: [u8; 32],
    /// Which events are told.
    pub kinds: Kinds,
    /// Whether records of flows have features for models: sizes, first lengths, entropy, rhythm.
    pub features: bool,
}

#[cfg(test)]
mod tests;
