//! One indicator: what it names, how sure and how secret it is, and until when it counts.

use std::net::IpAddr;

use dongson_event::Timestamp;
use ipnet::IpNet;
use serde::Serialize;

use crate::normal::{domain, url};

/// What an indicator names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An address or a network, of either version.
    Net,
    /// A domain and all below it.
    Domain,
    /// A URL.
    Url,
    /// A file's hash.
    Md5,
    /// A file's hash.
    Sha1,
    /// A file's hash.
    Sha256,
    /// Fingerprint of a TLS client.
    Ja3,
    /// Fingerprint of a TLS client.
    Ja4,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Net, Self::Domain, Self::Url, Self::Md5, Self::Sha1, Self::Sha256, Self::Ja3, Self::Ja4];

    /// ECS's word for it (`threat.indicator.type`).
    pub const fn ecs(self) -> &'static str {
        match self {
            Self::Net => "ipv4-addr",
            Self::Domain => "domain-name",
            Self::Url => "url",
            Self::Md5 | Self::Sha1 | Self::Sha256 => "file",
            Self::Ja3 | Self::Ja4 => "x509-certificate",
        }
    }

    /// From the words that lists use: `ip`, `cidr`, `domain`, `hostname`, `url`, `md5`, `ja3`...
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word.trim().to_ascii_lowercase().as_str() {
            "ip" | "ipv4" | "ipv6" | "ip-src" | "ip-dst" | "ipv4-addr" | "ipv6-addr" | "cidr" | "net" => {
                Self::Net
            }
            "domain" | "hostname" | "host" | "fqdn" | "domain-name" => Self::Domain,
            "url" | "uri" | "link" => Self::Url,
            "md5" => Self::Md5,
            "sha1" | "sha-1" => Self::Sha1,
            "sha256" | "sha-256" => Self::Sha256,
            "ja3" | "ja3-fingerprint-md5" => Self::Ja3,
            "ja4" | "ja4-fingerprint" | "ja4-plus" => Self::Ja4,
            _ => return None,
        })
    }
}

/// The Traffic Light Protocol 2.0: who may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tlp {
    /// Anybody.
    Clear,
    /// The community.
    Green,
    /// The organization and its clients; also where nothing is said.
    #[default]
    Amber,
    /// Who received it.
    Red,
}

impl Tlp {
    /// From `tlp:amber`, `AMBER`, `white`...
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase();
        Some(match word.strip_prefix("tlp:").unwrap_or(&word).trim() {
            "clear" | "white" => Self::Clear,
            "green" => Self::Green,
            "amber" | "amber+strict" => Self::Amber,
            "red" => Self::Red,
            _ => return None,
        })
    }

    /// Its word in capitals, as ECS has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "CLEAR",
            Self::Green => "GREEN",
            Self::Amber => "AMBER",
            Self::Red => "RED",
        }
    }
}

/// What is known of an indicator besides its value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Detail {
    /// Who says so.
    pub source: String,
    /// 0 to 100.
    pub confidence: u8,
    /// Who may be told.
    pub tlp: Tlp,
    /// Until when it counts, in event time, to the minute; `None`: always.
    pub expires: Option<Timestamp>,
}

/// A value that is no indicator, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not an address or network.
    #[error("{0:?} is not an address or network such as 203.0.113.0/24")]
    Net(String),
    /// So large that it can only be a mistake.
    #[error("{0:?} is larger than /8 (version 4) or /19 (version 6); name smaller networks")]
    TooWide(String),
    /// Not a domain.
    #[error("{0:?} is not a domain of two labels at least")]
    Domain(String),
    /// Not a URL.
    #[error("{0:?} is not a URL with a scheme and a host")]
    Url(String),
    /// Not a hash of this kind.
    #[error("{0:?} is not {1} hexadecimal digits")]
    Hash(String, usize),
    /// Not a JA4.
    #[error("{0:?} is not a JA4 fingerprint such as t13d1516h2_8daaf6152771_e5627efa2ab1")]
    Ja4(String),
    /// Of no kind that is known.
    #[error("{0:?} is an indicator of no kind that is matched")]
    Kind(String),
}

/// A value in its one form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Indicator {
    /// What it names.
    pub kind: Kind,
    /// The bytes that are compared: of a network its length and its address, of hashes their bytes, else text.
    pub(crate) bytes: Vec<u8>,
}

impl Indicator {
    /// Reads a value of `kind`; `hxxp` and `[.]` of reports are understood.
    pub fn new(kind: Kind, value: &str) -> Result<Self, Unreadable> {
        let value = value.trim();
        let told = || value.chars().take(80).collect::<String>();
        let bytes = match kind {
            Kind::Net => net_bytes(net(&refanged(value)).ok_or_else(|| Unreadable::Net(told()))?, told)?,
            Kind::Domain => {
                let text = refanged(value);
                let name = text.strip_prefix("*.").unwrap_or(&text);
                domain(name)
                    .filter(|name| name.contains('.') && name.parse::<IpAddr>().is_err())
                    .ok_or_else(|| Unreadable::Domain(told()))?
                    .into_bytes()
            }
            Kind::Url => url(&refanged(value)).ok_or_else(|| Unreadable::Url(told()))?.into_bytes(),
            Kind::Md5 | Kind::Ja3 => digest(value, 16).ok_or_else(|| Unreadable::Hash(told(), 32))?,
            Kind::Sha1 => digest(value, 20).ok_or_else(|| Unreadable::Hash(told(), 40))?,
            Kind::Sha256 => digest(value, 32).ok_or_else(|| Unreadable::Hash(told(), 64))?,
            Kind::Ja4 => ja4(value).ok_or_else(|| Unreadable::Ja4(told()))?.into_bytes(),
        };
        Ok(Self { kind, bytes })
    }

    /// Reads a value whose kind is not said: address or network, hash by its length, URL, JA4, domain.
    pub fn guess(value: &str) -> Result<Self, Unreadable> {
        let value = value.trim();
        let kinds = [Kind::Net, Kind::Sha256, Kind::Sha1, Kind::Md5, Kind::Ja4, Kind::Url, Kind::Domain];
        for kind in kinds {
            match Self::new(kind, value) {
                Ok(found) => return Ok(found),
                Err(error @ Unreadable::TooWide(_)) => return Err(error),
                Err(_) => {}
            }
        }
        Err(Unreadable::Kind(value.chars().take(80).collect()))
    }
}

/// An address or a network.
pub(crate) fn net(text: &str) -> Option<IpNet> {
    let net = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    Some(net.trunc())
}

fn net_bytes(net: IpNet, told: impl Fn() -> String) -> Result<Vec<u8>, Unreadable> {
    let narrow = match net {
        IpNet::V4(net) => net.prefix_len() >= 8,
        IpNet::V6(net) => net.prefix_len() >= 19,
    };
    if narrow { Ok(bytes_of(net)) } else { Err(Unreadable::TooWide(told())) }
}

/// The length, and the bytes of the address.
pub(crate) fn bytes_of(net: IpNet) -> Vec<u8> {
    let mut bytes = vec![net.prefix_len()];
    match net.addr() {
        IpAddr::V4(ip) => bytes.extend(ip.octets()),
        IpAddr::V6(ip) => bytes.extend(ip.octets()),
    }
    bytes
}

fn digest(text: &str, length: usize) -> Option<Vec<u8>> {
    hex::decode(text).ok().filter(|bytes| bytes.len() == length)
}

/// A JA4: ten signs, and two parts of twelve hexadecimal digits.
fn ja4(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let mut parts = text.split('_');
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    let hexadecimal = |part: &str| part.len() == 12 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let begins = first.starts_with(['t', 'q', 'd']) && first.len() == 10;
    let signs = first.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (begins && signs && hexadecimal(second) && hexadecimal(third) && parts.next().is_none()).then_some(text)
}

/// What reports break so that nobody clicks on it.
fn refanged(text: &str) -> String {
    let text = text.replace("[.]", ".").replace("(.)", ".").replace("[:]", ":");
    match text.get(..4) {
        Some(start) if start.eq_ignore_ascii_case("hxxp") => {
            format!("http{}", text.get(4..).unwrap_or_default())
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kinds_are_told_apart() {
        for (value, kind) in [
            ("203.0.113.7", Kind::Net),
            ("2001:db8::/32", Kind::Net),
            ("203[.]0[.]113[.]7", Kind::Net),
            ("bad.example", Kind::Domain),
            ("BAD[.]example.", Kind::Domain),
            ("*.bad.example", Kind::Domain),
            ("Đông.vn", Kind::Domain),
            ("hxxps://bad[.]example/x", Kind::Url),
            ("d41d8cd98f00b204e9800998ecf8427e", Kind::Md5),
            ("DA39A3EE5E6B4B0D3255BFEF95601890AFD80709", Kind::Sha1),
            ("t13d1516h2_8daaf6152771_e5627efa2ab1", Kind::Ja4),
        ] {
            assert_eq!(Indicator::guess(value).map(|found| found.kind), Ok(kind), "{value}");
        }
        for value in ["", "com", "0.0.0.0/0", "::/0", "bad example", "d41d8cd9", "http://", "đông vui.vn"] {
            assert!(Indicator::guess(value).is_err(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(value in "\\PC{0,60}") {
            drop(Indicator::guess(&value));
            for kind in Kind::ALL {
                drop(Indicator::new(kind, &value));
            }
        }

        #[test]
        fn addresses_come_back(octets in any::<[u8; 4]>(), length in 8..=32_u8) {
            let net = IpNet::new(octets.into(), length).unwrap().trunc();
            let found = Indicator::new(Kind::Net, &net.to_string()).unwrap();
            prop_assert_eq!(found.bytes, bytes_of(net));
        }
    }
}
