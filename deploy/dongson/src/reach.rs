//! Under which addresses sensors reach the collector: as configured, else as this machine knows itself.
//!
//! The hosts of these addresses also stand in the collector's certificate, because a sensor checks the name.

use std::net::{IpAddr, UdpSocket};

use crate::config::CollectorConfig;

/// Where the kernel tells this machine's name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// What is wrong with an address of `collector.public_urls`, if anything is.
pub(crate) fn problem(url: &str) -> Option<String> {
    let plain = |host: &str| {
        !host.is_empty() && !host.contains(|sign: char| sign.is_whitespace() || "@/?#".contains(sign))
    };
    let fits = parts(url).is_some_and(|(host, port)| {
        plain(host) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
    });
    (!fits).then(|| format!("collector.public_urls: {url:?} is not an address like https://soc.example:9443"))
}

impl CollectorConfig {
    /// Every address under which sensors can come, best first; `port` is the one that the listener took.
    pub(crate) fn urls(&self, port: u16) -> Vec<String> {
        if !self.public_urls.is_empty() {
            return self.public_urls.iter().map(|url| url.trim_end_matches('/').to_owned()).collect();
        }
        self.hosts().iter().map(|host| url(host, port)).collect()
    }

    /// The names of the collector's certificate.
    pub(crate) fn certificate_names(&self) -> Vec<String> {
        let mut names = self.server_names.clone();
        for host in self.hosts() {
            if !names.contains(&host) {
                names.push(host);
            }
        }
        names
    }

    /// The hosts of [`CollectorConfig::urls`].
    fn hosts(&self) -> Vec<String> {
        if !self.public_urls.is_empty() {
            let host = |url: &String| parts(url).map(|(host, _)| host.to_owned());
            return self.public_urls.iter().filter_map(host).collect();
        }
        if !self.https.ip().is_unspecified() {
            return vec![self.https.ip().to_string()];
        }
        let named: Vec<String> = self.server_names.iter().filter(|name| !is_local(name)).cloned().collect();
        if named.is_empty() {
            vec![own_address().or_else(own_name).unwrap_or_else(|| "127.0.0.1".to_owned())]
        } else {
            named
        }
    }
}

/// Host (without brackets) and port of `https://host[:port][/]`.
fn parts(url: &str) -> Option<(&str, Option<&str>)> {
    let place = url.strip_prefix("https://")?;
    let place = place.strip_suffix('/').unwrap_or(place);
    if let Some(rest) = place.strip_prefix('[') {
        let (host, tail) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        return if tail.is_empty() {
            Some((host, None))
        } else {
            Some((host, Some(tail.strip_prefix(':')?)))
        };
    }
    match place.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((place, None)),
    }
}

fn url(host: &str, port: u16) -> String {
    match host.parse() {
        Ok(IpAddr::V6(address)) => format!("https://[{address}]:{port}"),
        _ => format!("https://{host}:{port}"),
    }
}

/// Whether a name leads back to the machine that uses it.
fn is_local(name: &str) -> bool {
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The address that this machine would use towards other networks. Nothing is sent: 192.0.2.1 is for documentation.
fn own_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}

fn own_name() -> Option<String> {
    let name = std::fs::read_to_string(HOST_NAME).ok()?;
    let name = name.trim();
    (!name.is_empty() && !is_local(name)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        for good in [
            "https://soc.example:9443",
            "https://soc.example",
            "https://[2001:db8::1]:9443/",
            "https://192.0.2.7:1",
        ] {
            assert_eq!(problem(good), None, "{good}");
        }
        for bad in [
            "",
            "soc.example:9443",
            "http://soc.example",
            "https://",
            "https://:9443",
            "https://a b",
            "https://a:0",
            "https://a:x",
            "https://a/path",
            "https://u@a",
            "https://[::1",
        ] {
            assert!(problem(bad).is_some_and(|words| words.contains("public_urls")), "{bad}");
        }
    }

    #[test]
    fn what_is_configured_comes_first() {
        let given = CollectorConfig {
            public_urls: vec!["https://soc.example:443/".into(), "https://[2001:db8::1]:9443".into()],
            ..CollectorConfig::default()
        };
        assert_eq!(given.urls(1), ["https://soc.example:443", "https://[2001:db8::1]:9443"]);
        assert_eq!(given.certificate_names(), ["127.0.0.1", "soc.example", "2001:db8::1"]);
        let named = CollectorConfig {
            server_names: vec!["127.0.0.1".into(), "soc.example".into()],
            ..CollectorConfig::default()
        };
        assert_eq!(named.urls(9443), ["https://soc.example:9443"]);
        let bound = CollectorConfig { https: "[::1]:0".parse().unwrap(), ..CollectorConfig::default() };
        assert_eq!(bound.urls(7), ["https://[::1]:7"]);
        assert_eq!(bound.certificate_names(), ["127.0.0.1", "::1"]);
    }

    #[test]
    fn a_machine_that_was_told_nothing_knows_itself() {
        let urls = CollectorConfig::default().urls(9443);
        assert_eq!(urls.len(), 1);
        assert!(urls.iter().all(|url| problem(url).is_none()), "{urls:?}");
    }
}
