//! All live flows, and when each is over.
//!
//! Deadlines lie in one queue ordered by (time, number of the flow), so flows end in the same order in every run. A
//! flow has one entry in it, and a second only when its deadline came nearer; entries that came too early are put back.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::hash_map::Entry;

use ahash::{HashMap, HashMapExt as _};
use dongson_event::{Event, Timestamp};

use super::checksum;
use super::entry::{Desk, Flow};
use super::expected::Announced;
use super::key::{Key, Tuple};
use super::stream::{Budget, Limits as StreamLimits};
use crate::layer::{Datagram, MAX_DEPTH, Weird};
use crate::protocol;

/// What bounds the table.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most live flows; when there is one more, the one that would end next ends now.
    pub flows: usize,
    /// What waits for TCP segments that are missing.
    pub streams: StreamLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self { flows: 400_000, streams: StreamLimits::default() }
    }
}

/// What to do about transport checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checksums {
    /// They are not looked at: where a machine captures its own packets, its card has not written them yet.
    #[default]
    Ignore,
    /// A packet with a wrong one is noted in the flow's history (`c`) and not counted.
    Verify,
}

/// What the table has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Flows begun.
    pub flows: u64,
    /// Flows ended early because the table was full.
    pub evicted: u64,
    /// Holes in TCP streams given up because too much waited behind them.
    pub skipped_holes: u64,
    /// TCP segments that came for a place that other bytes had.
    pub differing_segments: u64,
    /// IP packets too short for the ports of their transport.
    pub without_ports: u64,
    /// Packets with a wrong checksum, when they are verified.
    pub bad_checksums: u64,
}

/// The live flows.
pub struct FlowTable {
    flows: HashMap<Key, Box<Flow>>,
    deadlines: BinaryHeap<Reverse<(Timestamp, u64, Key)>>,
    limits: Limits,
    checksums: Checksums,
    options: protocol::Options,
    budget: Budget,
    announced: Announced,
    counters: Counters,
    weird: Weird,
    now: Timestamp,
    /// The flow of each tunnel depth in the current frame.
    nested: [Option<Key>; MAX_DEPTH + 1],
}

impl FlowTable {
    /// An empty table.
    pub fn new(limits: Limits, checksums: Checksums, options: protocol::Options) -> Self {
        Self {
            flows: HashMap::new(),
            deadlines: BinaryHeap::new(),
            limits,
            checksums,
            options,
            budget: Budget { limits: limits.streams, ..Budget::default() },
            announced: Announced::default(),
            counters: Counters::default(),
            weird: Weird::default(),
            now: Timestamp::from_nanos(i64::MIN),
            nested: [None; MAX_DEPTH + 1],
        }
    }

    /// Time goes on to `now`: flows that are over become events. Time never goes back.
    pub fn advance(&mut self, now: Timestamp, events: &mut Vec<Event>) {
        self.nested = [None; MAX_DEPTH + 1];
        self.now = self.now.max(now);
        while let Some(Reverse((deadline, number, key))) = self.deadlines.peek().copied() {
            if deadline > self.now {
                break;
            }
            self.deadlines.pop();
            if self.is_due(deadline, number, key) {
                self.end(&key, events);
            }
        }
    }

    /// A packet.
    pub fn datagram(&mut self, datagram: &Datagram<'_>, events: &mut Vec<Event>) {
        let found = Tuple::of(datagram.source, datagram.destination, datagram.protocol, datagram.payload);
        let Some(tuple) = found else {
            self.counters.without_ports += 1;
            self.weird.add("truncated_transport_header");
            return;
        };
        let key = tuple.key(datagram.path.vlan_key());
        if self.flows.get(&key).is_some_and(|flow| flow.is_over_for(datagram)) {
            self.end(&key, events);
        }
        let is_new = !self.flows.contains_key(&key);
        let carrier = self.carrier(datagram, is_new, events);
        if let Some(slot) = self.nested.get_mut(datagram.path.depth()) {
            *slot = Some(key);
        }
        if is_new && self.flows.len() >= self.limits.flows {
            self.evict(events);
        }
        let counters = &mut self.counters;
        let flow = match self.flows.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                counters.flows += 1;
                let mut flow = Flow::new(counters.flows, tuple, datagram);
                if let Some(transfer) = self.announced.take(&tuple, datagram.path.at) {
                    flow.set_transfer(transfer, self.options);
                }
                if let Some(community_id) = carrier {
                    flow.set_carrier(community_id);
                }
                entry.insert(Box::new(flow))
            }
        };
        if self.checksums == Checksums::Verify && !checksum::is_right(datagram) {
            counters.bad_checksums += 1;
            self.weird.add("bad_checksum");
            flow.damaged(&tuple);
        } else {
            let mut desk = Desk {
                budget: &mut self.budget,
                events,
                options: &self.options,
                announced: &mut self.announced,
            };
            flow.packet(&tuple, datagram, &mut desk);
        }
        let deadline = flow.deadline();
        if deadline < flow.queued {
            flow.queued = deadline;
            self.deadlines.push(Reverse((deadline, flow.number, key)));
        }
    }

    /// Every flow is over; they become events in the order in which they began.
    pub fn finish(&mut self, events: &mut Vec<Event>) {
        let mut rest: Vec<(u64, Key)> = self.flows.iter().map(|(key, flow)| (flow.number, *key)).collect();
        rest.sort_unstable();
        for (_, key) in rest {
            self.end(&key, events);
        }
        self.deadlines.clear();
    }

    /// How many flows are live.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// True when no flow is live.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// What was seen so far.
    pub fn counters(&self) -> Counters {
        let Budget { skipped, differing, .. } = self.budget;
        Counters { skipped_holes: skipped, differing_segments: differing, ..self.counters }
    }

    /// Anomalies of transports, by name.
    pub fn weird(&self) -> &Weird {
        &self.weird
    }

    /// True when the flow of a queue entry is over; one that is not is queued again.
    fn is_due(&mut self, deadline: Timestamp, number: u64, key: Key) -> bool {
        let Some(flow) = self.flows.get_mut(&key).filter(|flow| flow.number == number) else { return false };
        if deadline != flow.queued {
            return false;
        }
        let real = flow.deadline();
        if real <= self.now {
            return true;
        }
        flow.queued = real;
        self.deadlines.push(Reverse((real, number, key)));
        false
    }

    fn end(&mut self, key: &Key, events: &mut Vec<Event>) {
        if let Some(flow) = self.flows.remove(key) {
            let mut desk = Desk {
                budget: &mut self.budget,
                events,
                options: &self.options,
                announced: &mut self.announced,
            };
            flow.finish(&mut desk);
        }
    }

    /// Ends the flow with the nearest deadline.
    fn evict(&mut self, events: &mut Vec<Event>) {
        while let Some(Reverse((deadline, number, key))) = self.deadlines.pop() {
            let current =
                self.flows.get_mut(&key).filter(|flow| flow.number == number && flow.queued == deadline);
            let Some(flow) = current else { continue };
            let real = flow.deadline();
            if real > deadline {
                flow.queued = real;
                self.deadlines.push(Reverse((real, number, key)));
                continue;
            }
            self.counters.evicted += 1;
            self.end(&key, events);
            return;
        }
    }

    /// Notes which flow carries `datagram`, when it came through a tunnel; gives its Community ID when it is wanted.
    fn carrier(&mut self, datagram: &Datagram<'_>, wanted: bool, events: &mut Vec<Event>) -> Option<String> {
        let path = &datagram.path;
        let depth = path.depth();
        let key = self.nested.get(..depth)?.iter().rev().flatten().next()?;
        let outer = self.flows.get_mut(key)?;
        if let Some(tunnel) = path.tunnels().nth(depth - 1) {
            outer.carry(tunnel, path.carrier.and_then(|carrier| carrier.identifier), events);
        }
        wanted.then(|| outer.label().community_id.clone())
    }
}
