//! How regularly a client comes back to the same port of a server: what beacons do and people do not.
//!
//! For each (client, server, port, transport): how many flows there were, and mean and standard deviation of the intervals between
//! their beginnings (Welford's method). Memory: at most [`PAIRS`] of them, about 10 MiB; the half that was not met for longest is forgotten
//! when it is full.

use std::collections::HashMap;
use std::net::IpAddr;

use ahash::RandomState;
use dongson_event::{Event, Timestamp};

use super::key::Tuple;

/// Most clients of servers that are remembered.
const PAIRS: usize = 65_536;

type Pair = (IpAddr, IpAddr, u16, u8);

#[derive(Debug, Clone, Copy)]
struct Rhythm {
    flows: u64,
    last: Timestamp,
    intervals: u64,
    /// Of the intervals, in seconds.
    mean: f64,
    /// Sum of the squares of their differences from the mean.
    squares: f64,
}

/// What is remembered, in two halves: those met since the last change, and those before.
#[derive(Default)]
pub(crate) struct Rhythms {
    young: HashMap<Pair, Rhythm, RandomState>,
    old: HashMap<Pair, Rhythm, RandomState>,
}

impl Rhythms {
    /// Notes a flow that began at `first`, and writes on its record what is known with it, from the third one on.
    pub(super) fn note(&mut self, tuple: &Tuple, first: Timestamp, event: &mut Event) {
        let pair = (tuple.source.address, tuple.destination.address, tuple.destination.port, tuple.protocol);
        let rhythm = self.update(pair, first);
        if rhythm.intervals < 2 {
            return;
        }
        event.set("dongson.conn.rhythm.flows", rhythm.flows);
        event.set("dongson.conn.rhythm.mean", round(rhythm.mean));
        event.set(
            "dongson.conn.rhythm.deviation",
            round((rhythm.squares / precise(rhythm.intervals - 1)).sqrt()),
        );
    }

    fn update(&mut self, pair: Pair, first: Timestamp) -> Rhythm {
        if self.young.len() >= PAIRS / 2 && !self.young.contains_key(&pair) {
            self.old = std::mem::take(&mut self.young);
        }
        let known = self.young.get(&pair).copied().or_else(|| self.old.remove(&pair));
        let rhythm = match known {
            None => Rhythm { flows: 1, last: first, intervals: 0, mean: 0.0, squares: 0.0 },
            Some(before) => before.with(first),
        };
        self.young.insert(pair, rhythm);
        rhythm
    }
}

impl Rhythm {
    /// With one more flow. Flows end in another order than they begin: one that began before the last one has no interval.
    fn with(mut self, first: Timestamp) -> Self {
        self.flows += 1;
        if first > self.last {
            let interval = first.since(self.last).as_secs_f64();
            self.last = first;
            self.intervals += 1;
            let difference = interval - self.mean;
            self.mean += difference / precise(self.intervals);
            self.squares += difference * (interval - self.mean);
        }
        self
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of flows are far below 2^52")]
fn precise(count: u64) -> f64 {
    count as f64
}

/// To the millisecond.
fn round(seconds: f64) -> f64 {
    (seconds * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::key::Endpoint;

    fn tuple(client: u32) -> Tuple {
        let end = |address: IpAddr, port| Endpoint { address, port };
        let source = end(IpAddr::from(client.to_be_bytes()), 40_000);
        Tuple { source, destination: end(IpAddr::from([10, 0, 1, 1]), 443), protocol: 6, one_way: false }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// A value as JSON.
    fn json(event: &Event, name: &str) -> String {
        serde_json::to_string(event.get(name).unwrap()).unwrap()
    }

    #[test]
    fn a_beacon_has_a_small_deviation() {
        let mut rhythms = Rhythms::default();
        let mut last = Event::of("sensor.conn", at(0));
        for (number, shift) in [0, 50, -50, 50, -50].into_iter().enumerate() {
            last = Event::of("sensor.conn", at(0));
            let first = at(i64::try_from(number).unwrap() * 60_000 + shift);
            rhythms.note(&tuple(1), first, &mut last);
            assert_eq!(last.get("dongson.conn.rhythm.mean").is_some(), number >= 2);
        }
        assert_eq!(last.int("dongson.conn.rhythm.flows"), Some(5));
        // Intervals of 60.05, 59.9, 60.1, 59.9 seconds.
        assert_eq!(json(&last, "dongson.conn.rhythm.mean"), "59.988");
        assert_eq!(json(&last, "dongson.conn.rhythm.deviation"), "0.103");
        // One that began earlier counts, and has no interval.
        let mut late = Event::of("sensor.conn", at(0));
        rhythms.note(&tuple(1), at(1), &mut late);
        assert_eq!(late.int("dongson.conn.rhythm.flows"), Some(6));
        assert_eq!(late.get("dongson.conn.rhythm.mean"), last.get("dongson.conn.rhythm.mean"));
    }

    #[test]
    fn those_met_lately_are_remembered_and_no_more_than_so_many() {
        let mut rhythms = Rhythms::default();
        let mut event = Event::of("sensor.conn", at(0));
        for client in 0..200_000 {
            rhythms.note(&tuple(client), at(0), &mut event);
            rhythms.note(&tuple(7), at(i64::from(client) + 1), &mut event);
        }
        assert!(rhythms.young.len() + rhythms.old.len() <= PAIRS);
        assert_eq!(event.int("dongson.conn.rhythm.flows"), Some(200_001));
    }
}
