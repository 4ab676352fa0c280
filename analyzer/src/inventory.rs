//! What we know of the agencies' systems: joins an event with the asset that it names.
//!
//! An asset belongs to an agency: `192.168.1.10` of one agency is not that of another. A lookup never crosses
//! agencies. Of several assets that an event names, the one with the highest level counts.

use std::collections::HashMap;
use std::net::IpAddr;

use dongson_event::Event;
use dongson_registry::Asset;
use ipnet::IpNet;

/// Fields in which an event names an address of a system.
const ADDRESSES: &[&str] = &["destination.ip", "source.ip", "server.ip", "client.ip"];
/// Fields in which an event names a host.
const HOSTS: &[&str] =
    &["host.name", "host.hostname", "winlog.computer_name", "destination.domain", "url.domain"];

/// The assets of all agencies, by what events call them.
#[derive(Debug, Default)]
pub struct Inventory {
    agencies: HashMap<String, Agency>,
}

#[derive(Debug, Default)]
struct Agency {
    assets: Vec<Asset>,
    /// Positions in `assets`.
    by_address: HashMap<IpAddr, usize>,
    by_host: HashMap<String, usize>,
    networks: Vec<(IpNet, usize)>,
}

impl Inventory {
    /// Builds the lookups; an address that is neither an address nor a network is only known by its host.
    pub fn new(assets: Vec<Asset>) -> Self {
        let mut inventory = Self::default();
        for asset in assets {
            inventory.agencies.entry(asset.organization.clone()).or_default().add(asset);
        }
        for agency in inventory.agencies.values_mut() {
            // The narrowest network first.
            agency.networks.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
        }
        inventory
    }

    /// Writes `dongson.asset.*` into `event` when it names an asset of its agency.
    pub fn enrich(&self, event: &mut Event) {
        let Some(agency) = self.agencies.get(event.organization()) else { return };
        let Some(asset) = agency.find(event) else { return };
        event.set("dongson.asset.level", asset.level);
        event.set("dongson.asset.name", asset.name.as_str());
        event.set_some("dongson.asset.owner", asset.owner.as_deref());
    }
}

impl Agency {
    fn add(&mut self, asset: Asset) {
        let position = self.assets.len();
        if let Some(address) = asset.address.as_deref() {
            if let Ok(address) = address.parse::<IpAddr>() {
                self.by_address.insert(address, position);
            } else if let Ok(network) = address.parse::<IpNet>() {
                self.networks.push((network, position));
            }
        }
        if let Some(host) = asset.host.as_deref() {
            self.by_host.insert(host.to_lowercase(), position);
        }
        self.assets.push(asset);
    }

    fn find(&self, event: &Event) -> Option<&Asset> {
        let by_address = ADDRESSES.iter().filter_map(|name| self.at_address(event.ip(name)?));
        let by_host = HOSTS.iter().filter_map(|name| self.at_host(event.text(name)?));
        by_address
            .chain(by_host)
            .filter_map(|position| self.assets.get(position))
            .max_by_key(|asset| asset.level)
    }

    fn at_address(&self, address: IpAddr) -> Option<usize> {
        self.by_address.get(&address).copied().or_else(|| {
            self.networks
                .iter()
                .find(|(network, _)| network.contains(&address))
                .map(|(_, position)| *position)
        })
    }

    fn at_host(&self, host: &str) -> Option<usize> {
        self.by_host.get(&host.to_lowercase()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dongson_event::Timestamp;

    fn asset(organization: &str, name: &str, address: &str, level: i64) -> Asset {
        Asset {
            id: name.into(),
            organization: organization.into(),
            name: name.into(),
            address: Some(address.into()),
            host: Some(format!("{name}.example")),
            level,
            owner: None,
            version: 1,
        }
    }

    fn enriched(organization: &str, fields: &[(&'static str, &str)]) -> Option<i64> {
        let inventory = Inventory::new(vec![
            asset("a", "server", "192.168.1.10", 3),
            asset("a", "office", "192.168.1.0/24", 1),
            asset("b", "printer", "192.168.1.10", 2),
        ]);
        let mut event = Event::of("sensor.conn", Timestamp::default());
        event.set("organization.id", organization);
        for (name, value) in fields {
            event.set(*name, *value);
        }
        inventory.enrich(&mut event);
        event.int("dongson.asset.level")
    }

    #[test]
    fn one_address_is_another_system_in_another_agency() {
        assert_eq!(enriched("a", &[("destination.ip", "192.168.1.10")]), Some(3));
        assert_eq!(enriched("b", &[("destination.ip", "192.168.1.10")]), Some(2));
        assert_eq!(enriched("c", &[("destination.ip", "192.168.1.10")]), None);
    }

    #[test]
    fn networks_hosts_and_the_highest_level() {
        assert_eq!(enriched("a", &[("source.ip", "192.168.1.77")]), Some(1));
        assert_eq!(enriched("a", &[("host.name", "SERVER.example")]), Some(3));
        assert_eq!(
            enriched("a", &[("source.ip", "192.168.1.77"), ("destination.ip", "192.168.1.10")]),
            Some(3)
        );
        assert_eq!(enriched("a", &[("source.ip", "10.0.0.1")]), None);
    }
}
