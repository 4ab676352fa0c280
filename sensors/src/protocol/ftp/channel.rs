//! Where a data connection will be: PORT and PASV (RFC 959, 4.1.2), EPRT and EPSV (RFC 2428, 2 and 3).
//!
//! In: the argument of a command or the text of a reply. Out: the address as it was said, and the port, from 1.

use std::net::{IpAddr, Ipv4Addr};

/// The end of a data connection that waits to be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// `None` where the address is that of the command connection (EPSV).
    pub(super) host: Option<IpAddr>,
    pub(super) port: u16,
}

/// Six numbers as PORT and the reply to PASV write them: `192,0,2,1,4,210`.
pub(super) fn numbers(said: &str) -> Option<Place> {
    let mut bytes = [0_u8; 6];
    let mut parts = said.split(',');
    for byte in &mut bytes {
        *byte = parts.next()?.trim().parse().ok()?;
    }
    let [a, b, c, d, high, low] = bytes;
    let port = u16::from_be_bytes([high, low]);
    let host = Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)));
    (parts.next().is_none() && port > 0).then_some(Place { host, port })
}

/// The numbers of a reply to PASV, which begin at its first digit: RFC 1123, 4.1.2.6 forbids to trust the parentheses.
pub(super) fn passive(reply: &str) -> Option<Place> {
    let start = reply.find(|sign: char| sign.is_ascii_digit())?;
    let rest = reply.get(start..)?;
    let end = rest.find(|sign: char| !sign.is_ascii_digit() && sign != ',').unwrap_or(rest.len());
    numbers(rest.get(..end)?)
}

/// `|2|2001:db8::1|5282|` of EPRT, and `|||6446|` of a reply to EPSV; any printable sign may stand for the bar.
pub(super) fn extended(said: &str) -> Option<Place> {
    let bar = said.chars().next().filter(|sign| !sign.is_ascii_alphanumeric())?;
    let mut parts = said.split(bar).skip(1);
    let (_family, host, port) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
    let host = if host.is_empty() { None } else { Some(host.parse().ok()?) };
    (port > 0).then_some(Place { host, port })
}

/// The place in the parentheses of a reply to EPSV.
pub(super) fn extended_passive(reply: &str) -> Option<Place> {
    let (_, inside) = reply.split_once('(')?;
    extended(inside.split(')').next()?)
}

/// `argument` seen from the folder `cwd`, without the steps back; `.` is the folder that nobody has named.
pub(super) fn join(cwd: &str, argument: &str) -> String {
    let whole = if argument.starts_with('/') { argument.to_owned() } else { format!("{cwd}/{argument}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/').filter(|part| !part.is_empty()) {
        let back = part == ".." && parts.last().is_some_and(|last| !matches!(*last, "." | ".."));
        if back {
            parts.pop();
        } else if part != "." || parts.is_empty() {
            parts.push(part);
        }
    }
    let joined = parts.join("/");
    if whole.starts_with('/') { format!("/{joined}") } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(host: &str, port: u16) -> Place {
        Place { host: host.parse().ok(), port }
    }

    #[test]
    fn places_are_read() {
        assert_eq!(numbers("141,142,220,235,131,46"), Some(place("141.142.220.235", 33582)));
        assert_eq!(numbers("1,2,3,4,5"), None);
        assert_eq!(numbers("1,2,3,4,0,0"), None);
        assert_eq!(numbers("1,2,3,256,5,6"), None);
        assert_eq!(passive("Entering Passive Mode (192,0,2,1,4,210)."), Some(place("192.0.2.1", 1234)));
        assert_eq!(passive("=192,0,2,1,4,210"), Some(place("192.0.2.1", 1234)));
        assert_eq!(extended("|1|132.235.1.2|6275|"), Some(place("132.235.1.2", 6275)));
        assert_eq!(extended("|2|1080::8:800:200C:417A|5282|"), Some(place("1080::8:800:200c:417a", 5282)));
        assert_eq!(extended_passive("Entering Extended (|||6446|)"), Some(Place { host: None, port: 6446 }));
        assert_eq!(extended_passive("Entering Extended |||6446|"), None);
    }

    #[test]
    fn folders_are_joined() {
        assert_eq!(join(".", "a.txt"), "./a.txt");
        assert_eq!(join("/pub", "../etc//passwd"), "/etc/passwd");
        assert_eq!(join("/pub", "/x/./y"), "/x/y");
        assert_eq!(join("/", ".."), "/..");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text: String) {
            let _ = (numbers(&text), passive(&text), extended(&text), extended_passive(&text), join(&text, &text));
        }
    }
}
