//! Frames in, events out: what files and the live capture share.
//!
//! [`Engine`] takes frames apart ([`crate::layer`]), follows flows ([`crate::flow`]) and hands out events. It has no clock
//! and reads nothing: the same frames give the same events. Every minute of packet time it says in `sensor.weird` events
//! what it could not read, one for each name, with the count since the last one; of anomalies of flows it tells the first
//! ones of each pair of hosts, and how many it left out ([`crate::odd`]).

use std::collections::BTreeMap;
use std::time::Duration;

use dongson_event::{Event, Timestamp};

use crate::arp::Neighbours;
use crate::capture::Frame;
use crate::flow::{Checksums, Counters, FlowTable, Limits};
use crate::layer::{Decoder, FragmentLimits, Vlans};
use crate::odd::Gate;
use crate::protocol::{self, Kinds};
use crate::told::{Outbox, Told};

/// How often anomalies are told, in packet time.
const WEIRD_EVERY: Duration = Duration::from_mins(1);

/// How an engine works.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Name of the monitored point, for `observer.name`.
    pub observer: Option<String>,
    /// What bounds flows and streams.
    pub limits: Limits,
    /// What bounds fragments.
    pub fragments: FragmentLimits,
    /// Whether VLANs tell flows and fragments apart.
    pub vlans: Vlans,
    /// What to do about transport checksums.
    pub checksums: Checksums,
    /// What the protocol parsers are told.
    pub protocol: protocol::Options,
}

/// What can be changed of an engine that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Name of the monitored point, for `observer.name`.
    pub observer: Option<String>,
    /// Most flows that are live at once.
    pub flows: usize,
    /// What to do about transport checksums.
    pub checksums: Checksums,
    /// Which events are told.
    pub kinds: Kinds,
}

/// What an engine has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Frames taken.
    pub frames: u64,
    /// Their length on the wire in bytes.
    pub bytes: u64,
    /// Events handed out.
    pub events: u64,
    /// What the flow table counted.
    pub flows: Counters,
    /// Messages of ARP that said again what was told in the same minute.
    pub arp_repeated: u64,
    /// Anomalies by name.
    pub weird: BTreeMap<&'static str, u64>,
}

/// Turns frames into events.
pub struct Engine {
    decoder: Decoder,
    table: FlowTable,
    observer: Option<String>,
    /// What the current frame has brought.
    out: Outbox,
    statistics: Statistics,
    now: Timestamp,
    /// When anomalies are told next, and what was told.
    weird_due: Option<Timestamp>,
    weird_told: BTreeMap<&'static str, u64>,
    gate: Gate,
    neighbours: Neighbours,
    /// Whether ARP is told.
    reads_services: bool,
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(options: Options) -> Self {
        Self {
            decoder: Decoder::new(options.fragments, options.vlans),
            table: FlowTable::new(options.limits, options.checksums, options.protocol),
            observer: options.observer,
            out: Outbox::default(),
            statistics: Statistics::default(),
            now: Timestamp::from_nanos(i64::MIN),
            weird_due: None,
            weird_told: BTreeMap::new(),
            gate: Gate::default(),
            neighbours: Neighbours::default(),
            reads_services: options.protocol.kinds.has(protocol::Kind::Services),
        }
    }

    /// Goes on with other settings; flows that are live stay, and what they were read by.
    pub fn change(&mut self, change: &Change) {
        self.observer.clone_from(&change.observer);
        self.table.change(change.flows, change.checksums, change.kinds);
    }

    /// Takes one frame; events that it completes go to `emit`.
    pub fn packet(&mut self, frame: &Frame<'_>, emit: &mut dyn FnMut(Event)) {
        self.packet_told(frame, &mut |told| emit(told.event()));
    }

    /// The same with records that are not made events yet.
    pub fn packet_told(&mut self, frame: &Frame<'_>, emit: &mut dyn FnMut(Told<'_>)) {
        self.statistics.frames += 1;
        self.statistics.bytes += u64::from(frame.wire_length);
        self.turn(frame.at, emit);
        let (table, out) = (&mut self.table, &mut self.out);
        self.decoder.frame(frame, &mut |datagram| table.datagram(datagram, out));
        if self.reads_services {
            let neighbours = &mut self.neighbours;
            out.events.extend(self.decoder.arp().iter().filter_map(|message| neighbours.take(message)));
        }
        self.hand_out(emit);
    }

    /// Time goes on without a frame: flows that are over become events.
    pub fn advance(&mut self, now: Timestamp, emit: &mut dyn FnMut(Event)) {
        let mut emit = |told: Told<'_>| emit(told.event());
        self.turn(now, &mut emit);
        self.hand_out(&mut emit);
    }

    /// The capture is over: everything that is still open becomes events.
    pub fn finish(&mut self, emit: &mut dyn FnMut(Event)) {
        self.finish_told(&mut |told| emit(told.event()));
    }

    /// The same with records that are not made events yet.
    pub fn finish_told(&mut self, emit: &mut dyn FnMut(Told<'_>)) {
        let Self { table, out, statistics, observer, gate, .. } = self;
        table.finish(out, &mut |ended| give(ended, gate, observer.as_deref(), statistics, emit));
        self.hand_out(emit);
        self.tell_weird();
        self.hand_out(emit);
    }

    /// What was seen so far.
    pub fn statistics(&self) -> Statistics {
        let mut statistics = self.statistics.clone();
        statistics.flows = self.table.counters();
        statistics.arp_repeated = self.neighbours.repeated;
        statistics.weird = self.weird();
        statistics
    }

    /// How many frames were taken and events handed out.
    pub fn seen(&self) -> (u64, u64) {
        (self.statistics.frames, self.statistics.events)
    }

    /// How many flows are live.
    pub fn live_flows(&self) -> usize {
        self.table.len()
    }

    fn turn(&mut self, now: Timestamp, emit: &mut dyn FnMut(Told<'_>)) {
        self.now = self.now.max(now);
        self.table.advance(now);
        while self.table.end_due(&mut self.out) {
            self.hand_out(emit);
        }
        let due = *self.weird_due.get_or_insert(self.now.plus(WEIRD_EVERY));
        if self.now >= due {
            // What is in line already counts in the minute that ends.
            self.hand_out(emit);
            self.tell_weird();
            self.neighbours.turn();
            self.weird_due = Some(self.now.plus(WEIRD_EVERY));
        }
    }

    fn hand_out(&mut self, emit: &mut dyn FnMut(Told<'_>)) {
        give(&mut self.out, &mut self.gate, self.observer.as_deref(), &mut self.statistics, emit);
    }

    /// All counts of anomalies, those of the bounds among them.
    fn weird(&self) -> BTreeMap<&'static str, u64> {
        let counters = self.table.counters();
        let bounds = [
            ("flow_evicted", counters.evicted),
            ("flow_attempt_evicted", counters.evicted_attempts),
            ("stream_hole_skipped", counters.skipped_holes),
            ("flow_without_features", counters.without_features),
            ("tcp_overlap_differs", counters.differing_segments),
        ];
        let mut all: BTreeMap<&'static str, u64> =
            bounds.into_iter().filter(|(_, count)| *count > 0).collect();
        for (name, count) in self.decoder.weird().iter().chain(self.table.weird().iter()) {
            *all.entry(name).or_default() += count;
        }
        all
    }

    /// What was counted since the last time: in frames, and of flows what was held back.
    fn tell_weird(&mut self) {
        let all = self.weird();
        for (name, count) in &all {
            let told = self.weird_told.get(name).copied().unwrap_or_default();
            self.tell(name, count - told);
        }
        self.weird_told = all;
        for (name, count) in self.gate.turn() {
            self.tell(&name, count);
        }
    }

    fn tell(&mut self, name: &str, count: u64) {
        if count == 0 {
            return;
        }
        let mut event = Event::of("sensor.weird", self.now);
        event.set("event.kind", "event");
        event.set("event.category", vec!["network"]);
        event.set("event.type", vec!["info"]);
        event.set("dongson.weird.name", name);
        event.set("dongson.weird.count", count);
        self.out.events.push(event);
    }
}

/// Hands out what passes the gate, counted and with the name of the point where it was seen.
fn give(
    out: &mut Outbox,
    gate: &mut Gate,
    observer: Option<&str>,
    statistics: &mut Statistics,
    emit: &mut dyn FnMut(Told<'_>),
) {
    if out.is_empty() {
        return;
    }
    out.drain(&mut |told| {
        if told.parsed().is_some_and(|event| !gate.admits(event, told.hosts())) {
            return;
        }
        statistics.events += 1;
        emit(told.seen_by(observer));
    });
}
