//! Connections and flows that others have announced, such as those for the data of FTP and TFTP.
//!
//! In: announcements with the addresses of the connection that made them, and the ends of each new connection. Out: what the
//! new one is for. An announcement counts once, between the two addresses that made it, for [`LIFE`]; whoever names a third
//! host hides nothing by it. Memory: [`MAX_WAITING`] announcements.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use dongson_event::Timestamp;

use super::key::Tuple;
use crate::protocol::{Expected, Side, Transfer};

/// Announcements that wait; the oldest is forgotten when there is one more.
const MAX_WAITING: usize = 4096;
/// How long an announced connection may take to begin.
const LIFE: Duration = Duration::from_mins(5);

/// Who calls whom on which port, over which transport.
type Call = (IpAddr, IpAddr, u16, u8);

/// What is announced.
#[derive(Debug, Default)]
pub(super) struct Announced {
    calls: HashMap<Call, (u64, Timestamp, Transfer)>,
    order: VecDeque<(u64, Call)>,
    number: u64,
}

impl Announced {
    /// The connection `by` announces another one.
    pub(super) fn add(&mut self, by: &Tuple, at: Timestamp, expected: Expected) {
        let (originator, responder) = (by.source.address, by.destination.address);
        let call = match expected.listener {
            Side::Originator => (responder, originator, expected.port, by.protocol),
            Side::Responder => (originator, responder, expected.port, by.protocol),
        };
        self.number += 1;
        self.calls.insert(call, (self.number, at, expected.transfer));
        self.order.push_back((self.number, call));
        while self.order.len() > MAX_WAITING {
            if let Some((number, call)) = self.order.pop_front() {
                self.forget(number, &call);
            }
        }
    }

    /// What a connection that begins now was announced for, whichever end was seen first.
    pub(super) fn take(&mut self, tuple: &Tuple, at: Timestamp) -> Option<Transfer> {
        if self.calls.is_empty() {
            return None;
        }
        let (source, destination) = (tuple.source, tuple.destination);
        let there = (source.address, destination.address, destination.port, tuple.protocol);
        let back = (destination.address, source.address, source.port, tuple.protocol);
        let (_, since, transfer) = self.calls.remove(&there).or_else(|| self.calls.remove(&back))?;
        (at <= since.plus(LIFE)).then_some(transfer)
    }

    /// Forgets an announcement, unless a newer one stands in its place.
    fn forget(&mut self, number: u64, call: &Call) {
        if self.calls.get(call).is_some_and(|(current, ..)| *current == number) {
            self.calls.remove(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::key::Endpoint;

    fn tuple(source: (&str, u16), destination: (&str, u16)) -> Tuple {
        let end = |(address, port): (&str, u16)| Endpoint { address: address.parse().unwrap(), port };
        Tuple { source: end(source), destination: end(destination), protocol: 6, one_way: false }
    }

    fn announce(announced: &mut Announced, listener: Side, port: u16) {
        let by = tuple(("192.0.2.1", 40_000), ("192.0.2.2", 21));
        let transfer = Transfer::any();
        announced.add(&by, Timestamp::default(), Expected { listener, port, transfer });
    }

    #[test]
    fn an_announcement_counts_once_and_between_its_ends() {
        let mut announced = Announced::default();
        let now = Timestamp::default();
        announce(&mut announced, Side::Responder, 5000);
        assert!(announced.take(&tuple(("192.0.2.3", 1), ("192.0.2.2", 5000)), now).is_none());
        assert!(announced.take(&tuple(("192.0.2.1", 1), ("192.0.2.2", 5000)), now).is_some());
        assert!(announced.take(&tuple(("192.0.2.1", 2), ("192.0.2.2", 5000)), now).is_none());
        announce(&mut announced, Side::Originator, 6000);
        assert!(announced.take(&tuple(("192.0.2.1", 6000), ("192.0.2.2", 20)), now).is_some());
        announce(&mut announced, Side::Originator, 6000);
        let late = now.plus(Duration::from_mins(6));
        assert!(announced.take(&tuple(("192.0.2.2", 20), ("192.0.2.1", 6000)), late).is_none());
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut announced = Announced::default();
        for port in 1..=5000 {
            announce(&mut announced, Side::Responder, port);
        }
        assert_eq!((announced.calls.len(), announced.order.len()), (MAX_WAITING, MAX_WAITING));
        announce(&mut announced, Side::Responder, 5000);
        for _ in 0..MAX_WAITING {
            announce(&mut announced, Side::Responder, 4999);
        }
        assert_eq!(announced.calls.len(), 1, "an older announcement of the same call does not end the newer");
    }
}
