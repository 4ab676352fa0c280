//! All live flows, and when each is over.
//!
//! A flow lies in a slot of its own; the index finds the slot by the hash of its key. Deadlines lie in two queues ordered
//! by (time, number of the flow), one for connections that nobody answered yet ([`Flow::is_attempt`]) and one for the
//! rest, so flows end in the same order in every run. A flow has one entry in them, and a second only when its
//! deadline came nearer; entries that came too early are put back. When the table is full, the oldest attempt ends first:
//! a flood of SYNs pushes out nothing but itself.

use ahash::RandomState;
use dongson_event::Timestamp;
use hashbrown::HashTable;

use super::checksum;
use super::deadline::Deadlines;
use super::entry::{Desk, Flow, Found};
use super::expected::Announced;
use super::features::Memory;
use super::key::{CommunityId, Key, Tuple};
use super::stream::{Budget, Limits as StreamLimits};
use crate::layer::{Datagram, MAX_DEPTH, Weird};
use crate::protocol::{self, Kinds};
use crate::told::Outbox;

/// What bounds the table.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most live flows; when there is one more, the oldest one that nobody answered ends now, or where there is none the
    /// one that would end next.
    pub flows: usize,
    /// What waits for TCP segments that are missing.
    pub streams: StreamLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self { flows: 400_000, streams: StreamLimits::default() }
    }
}

/// Most flows that are ended for a new one.
const EVICTIONS: usize = 4;

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
    /// Those of them that were connections nobody had answered.
    pub evicted_attempts: u64,
    /// Holes in TCP streams given up because too much waited behind them.
    pub skipped_holes: u64,
    /// TCP segments that came for a place that other bytes had.
    pub differing_segments: u64,
    /// Payload bytes of TCP that no parser looked into because nothing more was to be learnt from them.
    pub bypassed_bytes: u64,
    /// IP packets too short for the ports of their transport.
    pub without_ports: u64,
    /// Packets with a wrong checksum, when they are verified.
    pub bad_checksums: u64,
    /// Flows without features, because too many had some.
    pub without_features: u64,
}

/// A flow's place, and its number: another flow may have the place by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    number: u64,
    slot: u32,
}

/// The live flows.
pub struct FlowTable {
    /// Places in `slots`, found by the hash of the key.
    index: HashTable<u32>,
    hashes: RandomState,
    slots: Vec<Option<Box<Flow>>>,
    free: Vec<u32>,
    /// Of connections that nobody answered yet.
    attempts: Deadlines<Place>,
    /// Of all others.
    deadlines: Deadlines<Place>,
    /// No entry of both is earlier.
    earliest: Timestamp,
    limits: Limits,
    checksums: Checksums,
    options: protocol::Options,
    budget: Budget,
    announced: Announced,
    /// For features of flows, where they are asked for.
    features: Option<Box<Memory>>,
    counters: Counters,
    weird: Weird,
    now: Timestamp,
    /// The flow of each tunnel depth in the current frame.
    nested: [Option<Place>; MAX_DEPTH + 1],
}

impl FlowTable {
    /// An empty table.
    pub fn new(limits: Limits, checksums: Checksums, options: protocol::Options) -> Self {
        Self {
            index: HashTable::new(),
            hashes: RandomState::new(),
            slots: Vec::new(),
            free: Vec::new(),
            attempts: Deadlines::default(),
            deadlines: Deadlines::default(),
            earliest: Timestamp::from_nanos(i64::MAX),
            limits,
            checksums,
            options,
            budget: Budget { limits: limits.streams, ..Budget::default() },
            announced: Announced::default(),
            features: options.features.then(Box::default),
            counters: Counters::default(),
            weird: Weird::default(),
            now: Timestamp::from_nanos(i64::MIN),
            nested: [None; MAX_DEPTH + 1],
        }
    }

    /// Goes on with other bounds. Where there are more flows than may be, each new one ends a few.
    pub(crate) fn change(&mut self, flows: usize, checksums: Checksums, kinds: Kinds) {
        self.limits.flows = flows;
        self.checksums = checksums;
        self.options.kinds = kinds;
    }

    /// Time goes on to `now`, and a frame may follow. Time never goes back.
    pub fn advance(&mut self, now: Timestamp) {
        self.nested = [None; MAX_DEPTH + 1];
        self.now = self.now.max(now);
    }

    /// Ends the next flow that is over, if any: it becomes events. To be called until it says false; many flows may be over
    /// at once, and the events of all together would not fit the memory.
    pub(crate) fn end_due(&mut self, out: &mut Outbox) -> bool {
        if self.earliest > self.now {
            return false;
        }
        loop {
            let (attempt, other) = (self.attempts.peek(), self.deadlines.peek());
            let attempt_first = attempt.is_some_and(|first| other.is_none_or(|other| first < other));
            let (next, queue) =
                if attempt_first { (attempt, &mut self.attempts) } else { (other, &mut self.deadlines) };
            self.earliest = next.map_or(Timestamp::from_nanos(i64::MAX), |(deadline, _)| deadline);
            let Some((deadline, place)) = next.filter(|(deadline, _)| *deadline <= self.now) else {
                return false;
            };
            queue.pop();
            if self.is_due(deadline, place) {
                self.end(place.slot, out);
                return true;
            }
        }
    }

    /// A packet.
    pub(crate) fn datagram(&mut self, datagram: &Datagram<'_>, out: &mut Outbox) {
        let found = Tuple::of(datagram.source, datagram.destination, datagram.protocol, datagram.payload);
        let Some(tuple) = found else {
            self.counters.without_ports += 1;
            self.weird.add("truncated_transport_header");
            return;
        };
        let (key, turned) = tuple.directed(datagram.path.vlan_key());
        let hash = self.hashes.hash_one(key);
        let found = Found { tuple, key, hash, turned };
        let mut slot = self.find(hash, &key);
        if let Some(held) = slot
            && self.flow(held).is_some_and(|flow| flow.is_over_for(datagram))
        {
            self.end(held, out);
            slot = None;
        }
        let carrier = self.carrier(datagram, slot.is_none(), out);
        let slot = slot.unwrap_or_else(|| self.begin(&found, datagram, carrier, out));
        self.feed(slot, turned, datagram, out);
    }

    /// Every flow is over: ends all in the order in which they began, and calls `give` after each.
    pub(crate) fn finish(&mut self, out: &mut Outbox, give: &mut dyn FnMut(&mut Outbox)) {
        let mut rest: Vec<Place> = self.slots.iter().flatten().map(|flow| flow.place).collect();
        rest.sort_unstable();
        for place in rest {
            self.end(place.slot, out);
            give(out);
        }
        self.attempts.clear();
        self.deadlines.clear();
    }

    /// How many flows are live.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True when no flow is live.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// What was seen so far.
    pub fn counters(&self) -> Counters {
        let Budget { skipped, differing, bypassed, .. } = self.budget;
        Counters {
            skipped_holes: skipped,
            differing_segments: differing,
            bypassed_bytes: bypassed,
            without_features: self.features.as_ref().map_or(0, |memory| memory.left_out),
            ..self.counters
        }
    }

    /// Anomalies of transports, by name.
    pub fn weird(&self) -> &Weird {
        &self.weird
    }
}

impl FlowTable {
    fn find(&self, hash: u64, key: &Key) -> Option<u32> {
        self.index
            .find(hash, |slot| self.flow(*slot).is_some_and(|flow| flow.hash == hash && flow.key() == key))
            .copied()
    }

    fn flow(&self, slot: u32) -> Option<&Flow> {
        self.slots.get(slot as usize)?.as_deref()
    }

    fn flow_mut(&mut self, slot: u32) -> Option<&mut Flow> {
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    /// The flow that is there, unless another one took its place.
    fn at(&mut self, place: Place) -> Option<&mut Flow> {
        self.flow_mut(place.slot).filter(|flow| flow.place == place)
    }

    /// A place for the flow that `datagram` begins.
    fn begin(
        &mut self,
        found: &Found,
        datagram: &Datagram<'_>,
        carrier: Option<CommunityId>,
        out: &mut Outbox,
    ) -> u32 {
        // More than one only after the bound was lowered.
        for _ in 0..EVICTIONS {
            if self.index.len() < self.limits.flows {
                break;
            }
            self.evict(out);
        }
        self.counters.flows += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let mut flow = Flow::new(Place { number: self.counters.flows, slot }, found, datagram);
        if let Some(transfer) = self.announced.take(&found.tuple, datagram.path.at) {
            flow.set_transfer(transfer, self.options);
        }
        if let Some(community_id) = carrier {
            flow.set_carrier(community_id);
        }
        if let Some(held) = self.slots.get_mut(slot as usize) {
            *held = Some(Box::new(flow));
        }
        let slots = &self.slots;
        let hash_of =
            |slot: &u32| slots.get(*slot as usize).and_then(Option::as_ref).map_or(0, |flow| flow.hash);
        self.index.insert_unique(found.hash, slot, hash_of);
        slot
    }

    /// Gives a packet to its flow, and queues the flow when its end came nearer.
    fn feed(&mut self, slot: u32, turned: bool, datagram: &Datagram<'_>, out: &mut Outbox) {
        let Some(flow) = self.slots.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
        let place = flow.place;
        if let Some(nested) = self.nested.get_mut(datagram.path.depth()) {
            *nested = Some(place);
        }
        let mut desk = Desk {
            budget: &mut self.budget,
            out,
            options: &self.options,
            announced: &mut self.announced,
            features: self.features.as_deref_mut(),
        };
        if self.checksums == Checksums::Verify && !checksum::is_right(datagram) {
            self.counters.bad_checksums += 1;
            flow.damaged(turned, datagram.path.at, &mut desk);
        } else {
            flow.packet(turned, datagram, &mut desk);
        }
        let deadline = flow.deadline();
        if deadline < flow.queued {
            flow.queued = deadline;
            self.earliest = self.earliest.min(deadline);
            let queue = if flow.is_attempt() { &mut self.attempts } else { &mut self.deadlines };
            queue.push(deadline, place);
        }
    }

    /// True when the flow of a queue entry is over; one that is not is queued again.
    fn is_due(&mut self, deadline: Timestamp, place: Place) -> bool {
        let now = self.now;
        let Some(flow) = self.at(place).filter(|flow| flow.queued == deadline) else { return false };
        let real = flow.deadline();
        if real <= now {
            return true;
        }
        self.put_back(real, place);
        false
    }

    fn put_back(&mut self, deadline: Timestamp, place: Place) {
        self.earliest = self.earliest.min(deadline);
        if let Some(flow) = self.at(place) {
            flow.queued = deadline;
            let queue = if flow.is_attempt() { &mut self.attempts } else { &mut self.deadlines };
            queue.push(deadline, place);
        }
    }

    fn end(&mut self, slot: u32, out: &mut Outbox) {
        let Some(flow) = self.slots.get_mut(slot as usize).and_then(Option::take) else { return };
        if let Ok(entry) = self.index.find_entry(flow.hash, |held| *held == slot) {
            entry.remove();
        }
        self.free.push(slot);
        let mut desk = Desk {
            budget: &mut self.budget,
            out,
            options: &self.options,
            announced: &mut self.announced,
            features: self.features.as_deref_mut(),
        };
        flow.finish(&mut desk);
    }

    /// Ends the oldest attempt, or where there is none the flow with the nearest deadline.
    fn evict(&mut self, out: &mut Outbox) {
        while let Some((deadline, place)) = self.attempts.pop().or_else(|| self.deadlines.pop()) {
            let Some(flow) = self.at(place).filter(|flow| flow.queued == deadline) else { continue };
            let (real, is_attempt) = (flow.deadline(), flow.is_attempt());
            if real > deadline {
                self.put_back(real, place);
                continue;
            }
            self.counters.evicted += 1;
            self.counters.evicted_attempts += u64::from(is_attempt);
            self.end(place.slot, out);
            return;
        }
    }

    /// Notes which flow carries `datagram`, when it came through a tunnel; gives its Community ID when it is wanted.
    fn carrier(&mut self, datagram: &Datagram<'_>, wanted: bool, out: &mut Outbox) -> Option<CommunityId> {
        let path = &datagram.path;
        let depth = path.depth();
        let place = *self.nested.get(..depth)?.iter().rev().flatten().next()?;
        let outer = self.at(place)?;
        if let Some(tunnel) = path.tunnels().nth(depth - 1) {
            outer.carry(tunnel, path.carrier.and_then(|carrier| carrier.identifier), out);
        }
        wanted.then(|| outer.label().community_id)
    }
}
