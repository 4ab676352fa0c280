//! What is never an indicator: own networks, the domains that everybody uses, hashes of the system's files.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::indicator::{Indicator, Kind, Unreadable, net};

/// Asked before indicators are.
#[derive(Debug, Clone, Default)]
pub struct AllowList {
    nets: Vec<IpNet>,
    /// In their one form; each with all below it.
    domains: HashSet<String>,
    others: HashSet<Indicator>,
}

impl AllowList {
    /// Reads one value a line; `#` begins a comment. What cannot be read is given back with its line, from 1.
    pub fn parse(text: &str) -> (Self, Vec<(usize, Unreadable)>) {
        let (mut list, mut refused) = (Self::default(), Vec::new());
        for (number, line) in (1..).zip(text.lines()) {
            let value = line.split_once('#').map_or(line, |(value, _)| value).trim();
            if value.is_empty() {
                continue;
            }
            if let Err(error) = list.add(value) {
                refused.push((number, error));
            }
        }
        (list, refused)
    }

    /// Adds an address, a network of any size, a domain, or a hash.
    pub fn add(&mut self, value: &str) -> Result<(), Unreadable> {
        if let Some(net) = net(value) {
            self.nets.push(net);
            return Ok(());
        }
        let found = Indicator::guess(value)?;
        if found.kind == Kind::Domain {
            self.domains.insert(String::from_utf8_lossy(&found.bytes).into_owned());
        } else {
            self.others.insert(found);
        }
        Ok(())
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Self) {
        self.nets.extend(other.nets);
        self.domains.extend(other.domains);
        self.others.extend(other.others);
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.nets.len() + self.domains.len() + self.others.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True for an address of an allowed network. The list of networks is short: it is walked.
    pub(crate) fn has_ip(&self, ip: IpAddr) -> bool {
        self.nets.iter().any(|net| net.contains(&ip))
    }

    /// True when this very domain is allowed; who walks upwards asks again for each one above.
    pub(crate) fn has_domain(&self, name: &str) -> bool {
        self.domains.contains(name)
    }

    pub(crate) fn has(&self, indicator: &Indicator) -> bool {
        self.others.contains(indicator)
    }
}
