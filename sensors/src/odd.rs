//! Anomalies of flows as `sensor.weird` events, and how many of them are told.
//!
//! Parsers and the state machine of TCP make an event with [`event`]; the engine lets the first [`FIRST`] of a name between
//! two hosts pass in each minute of packet time and counts the rest, which it tells as one event per name when the minute
//! is over. So a flood of one anomaly costs memory for [`MAX_PAIRS`] pairs and no more. Names are Zeek's (`weird.log`),
//! else those of Suricata's `anomaly` events in lower case.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ahash::{HashMap, HashMapExt as _};
use dongson_event::{Event, Timestamp};

/// Events of one name between two hosts that are told in a minute.
pub(crate) const FIRST: u32 = 10;
/// Pairs of hosts and names that are told apart in a minute; events of further ones are counted.
const MAX_PAIRS: usize = 16_384;
/// Longest detail in bytes.
const MAX_DETAIL: usize = 256;

/// An anomaly; `source` is who noticed it, as Zeek's `weird.log` says, in lower case.
pub(crate) fn event(at: Timestamp, source: &'static str, name: &'static str, detail: Option<&str>) -> Event {
    let mut event = Event::of("sensor.weird", at);
    event.set("event.kind", "event");
    event.set("event.category", vec!["network"]);
    event.set("event.type", vec!["info"]);
    event.set("dongson.weird.name", name);
    event.set("dongson.weird.source", source);
    if let Some(detail) = detail.filter(|detail| !detail.is_empty()) {
        let cut = detail.floor_char_boundary(MAX_DETAIL.min(detail.len()));
        event.set("dongson.weird.detail", detail.get(..cut).unwrap_or_default());
    }
    event
}

/// Counts anomalies by name and hosts.
#[derive(Debug)]
pub(crate) struct Gate {
    told: HashMap<(String, IpAddr, IpAddr), u32>,
    /// Names that were held back, and how often.
    held: BTreeMap<String, u64>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { told: HashMap::new(), held: BTreeMap::new() }
    }
}

impl Gate {
    /// Whether `event` of the flow between these hosts is told; one that is not an anomaly of two hosts always is.
    pub(crate) fn admits(&mut self, event: &Event, hosts: Option<(IpAddr, IpAddr)>) -> bool {
        let Some((source, destination)) = hosts.filter(|_| event.dataset() == "sensor.weird") else {
            return true;
        };
        let Some(name) = event.text("dongson.weird.name") else { return true };
        let key = (name.to_owned(), source, destination);
        let has_room = self.told.len() < MAX_PAIRS;
        let count = match self.told.get_mut(&key) {
            Some(count) => count,
            None if has_room => self.told.entry(key).or_default(),
            None => {
                *self.held.entry(name.to_owned()).or_default() += 1;
                return false;
            }
        };
        *count = count.saturating_add(1);
        let admitted = *count <= FIRST;
        if !admitted {
            *self.held.entry(name.to_owned()).or_default() += 1;
        }
        admitted
    }

    /// The minute is over: what was held back, by name. Everything is told anew from here.
    pub(crate) fn turn(&mut self) -> BTreeMap<String, u64> {
        self.told.clear();
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(gate: &mut Gate, name: &'static str, host: u32) -> bool {
        let event = event(Timestamp::default(), "tcp", name, None);
        gate.admits(&event, Some((host.to_be_bytes().into(), [10, 0, 0, 2].into())))
    }

    #[test]
    fn the_first_ones_of_a_pair_are_told_and_the_rest_counted() {
        let mut gate = Gate::default();
        let passed = (0..25).filter(|_| admits(&mut gate, "data_after_reset", 1)).count();
        assert_eq!(passed, 10);
        assert!(admits(&mut gate, "data_after_reset", 2) && admits(&mut gate, "baroque_SYN", 1));
        assert_eq!(gate.turn(), BTreeMap::from([("data_after_reset".to_owned(), 15)]));
        assert!(admits(&mut gate, "data_after_reset", 1) && gate.turn().is_empty());
    }

    #[test]
    fn pairs_are_bounded() {
        let mut gate = Gate::default();
        let hosts = u32::try_from(MAX_PAIRS).unwrap() + 100;
        let passed = (0..hosts).filter(|host| admits(&mut gate, "baroque_SYN", *host)).count();
        assert_eq!((passed, gate.told.len()), (MAX_PAIRS, MAX_PAIRS));
        assert_eq!(gate.turn().values().sum::<u64>(), 100);
    }

    #[test]
    fn details_are_cut_between_signs() {
        let long = "đ".repeat(300);
        let told = event(Timestamp::default(), "dns", "x", Some(&long));
        assert_eq!(told.text("dongson.weird.detail").unwrap().len(), MAX_DETAIL);
        assert!(event(Timestamp::default(), "dns", "x", Some("")).text("dongson.weird.detail").is_none());
    }
}
