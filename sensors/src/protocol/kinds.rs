//! Which events are told.
//!
//! A parser whose events nobody wants is not started, and a connection that nothing is read of is not looked into: what
//! is left out costs nothing.

use clap::ValueEnum;

/// A kind of events. Anomalies (`sensor.weird`) and tunnels (`sensor.tunnel`) are always told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Connections and flows (`sensor.conn`).
    Conn,
    /// `sensor.dns`.
    Dns,
    /// `sensor.http`, SSDP among them, and `sensor.http2` of connections.
    Http,
    /// `sensor.tls`, DTLS and QUIC among them, with the fingerprints.
    Tls,
    /// Certificates (`sensor.x509`).
    X509,
    /// Files in HTTP, FTP, SMTP and SMB with their hashes (`sensor.file`).
    File,
    /// All other protocols.
    Services,
}

impl Kind {
    /// The kind of the events of `dataset`; `None` for those that are always told.
    pub(crate) fn of(dataset: &str) -> Option<Self> {
        Some(match dataset {
            "sensor.conn" => Self::Conn,
            "sensor.dns" => Self::Dns,
            "sensor.http" | "sensor.http2" => Self::Http,
            "sensor.tls" => Self::Tls,
            "sensor.x509" => Self::X509,
            "sensor.file" => Self::File,
            "sensor.tunnel" | "sensor.weird" => return None,
            _ => Self::Services,
        })
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u8);

impl Default for Kinds {
    /// All of them.
    fn default() -> Self {
        Self::of(Kind::value_variants())
    }
}

impl Kinds {
    /// These kinds.
    pub fn of(kinds: &[Kind]) -> Self {
        Self(kinds.iter().fold(0, |bits, kind| bits | kind.bit()))
    }

    /// These without `kinds`.
    #[must_use]
    pub fn without(self, kinds: &[Kind]) -> Self {
        Self(self.0 & !Self::of(kinds).0)
    }

    /// Whether `kind` is among them.
    pub fn has(self, kind: Kind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Whether one of `kinds` is among them.
    pub(crate) fn any(self, kinds: &[Kind]) -> bool {
        kinds.iter().any(|kind| self.has(*kind))
    }

    /// Whether anything is to be read out of what connections carry.
    pub(crate) fn reads(self) -> bool {
        self.0 & !Kind::Conn.bit() != 0
    }

    /// Whether nothing is left out.
    pub(crate) fn is_all(self) -> bool {
        self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        let all = Kinds::default();
        let few = Kinds::of(&[Kind::Conn, Kind::Dns]);
        assert!(all.is_all() && all.has(Kind::Services) && !few.is_all());
        assert!(few.reads() && !few.without(&[Kind::Dns]).reads());
        assert!(few.any(&[Kind::Tls, Kind::Dns]) && !few.any(&[Kind::Tls]));
        assert_eq!(Kind::of("sensor.smtp"), Some(Kind::Services));
    }
}
