//! Which address belongs to which card, as ARP tells: `sensor.arp` events, and what changes.
//!
//! In: messages. Out: one event for each message that differs in kind, sender or the address asked for from all others of the same
//! minute of packet time; the rest is counted. Where an address was another card's before, the event names that card. Memory:
//! [`MAX_TOLD`] messages of a minute and [`MAX_OWNERS`] addresses; when these are full the one is told no more until the minute is
//! over, and the other is learnt anew.

use std::net::Ipv4Addr;

use ahash::{HashMap, HashSet};
use dongson_event::Event;

use crate::layer::{Arp, Mac};

/// Messages that are told apart in a minute.
const MAX_TOLD: usize = 16_384;
/// Addresses whose cards are known.
const MAX_OWNERS: usize = 65_536;

/// What was said.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    told: HashSet<(u16, [u8; 6], Ipv4Addr, Ipv4Addr)>,
    owners: HashMap<Ipv4Addr, [u8; 6]>,
    /// Messages that were not told.
    pub(crate) repeated: u64,
}

impl Neighbours {
    /// The event of a message, if it is told.
    pub(crate) fn take(&mut self, message: &Arp) -> Option<Event> {
        let ((Mac(card), address), (_, wanted)) = (message.sender, message.target);
        let earlier = self.learn(card, address);
        let key = (message.operation, card, address, wanted);
        if self.told.contains(&key) || self.told.len() >= MAX_TOLD {
            self.repeated += 1;
            return None;
        }
        self.told.insert(key);
        Some(describe(message, earlier))
    }

    /// The minute is over.
    pub(crate) fn turn(&mut self) {
        self.told.clear();
    }

    /// Notes whose an address is; whose it was, if it was another's.
    fn learn(&mut self, card: [u8; 6], address: Ipv4Addr) -> Option<Mac> {
        // Who asks whether an address is free has none yet (RFC 5227, 1.1).
        if address.is_unspecified() {
            return None;
        }
        if self.owners.len() >= MAX_OWNERS && !self.owners.contains_key(&address) {
            self.owners.clear();
        }
        self.owners.insert(address, card).filter(|earlier| *earlier != card).map(Mac)
    }
}

fn describe(message: &Arp, earlier: Option<Mac>) -> Event {
    let ((card, address), (target, wanted)) = (message.sender, message.target);
    let mut event = Event::of("sensor.arp", message.path.at);
    event.set("event.kind", "event");
    event.set("event.category", vec!["network"]);
    event.set("event.type", vec!["protocol"]);
    event.set("network.protocol", "arp");
    event.set("source.ip", std::net::IpAddr::from(address));
    event.set("source.mac", card.to_string());
    event.set("destination.ip", std::net::IpAddr::from(wanted));
    event.set("destination.mac", target.to_string());
    let operation = match message.operation {
        1 => "request".to_owned(),
        2 => "reply".to_owned(),
        3 => "request_reverse".to_owned(),
        4 => "reply_reverse".to_owned(),
        other => other.to_string(),
    };
    event.set("dongson.arp.opcode", operation);
    event.set("dongson.arp.gratuitous", address == wanted);
    event.set_some("dongson.arp.earlier_mac", earlier.map(|card| card.to_string()));
    let frame = message.path.macs.map(|(source, _)| source);
    event
        .set_some("dongson.arp.frame_mac", frame.filter(|source| *source != card).map(|mac| mac.to_string()));
    if let [only] | [only, ..] = message.path.vlans() {
        event.set("network.vlan.id", *only);
    }
    event
}
