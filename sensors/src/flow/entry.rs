//! One flow: its counts, its connection, its parser, and the `sensor.conn` event that it becomes.

use std::time::Duration;

use dongson_event::{Event, Timestamp};
use etherparse::{TcpSlice, UdpSlice};

use super::Side;
use super::conn::{Conn, Count};
use super::expected::Announced;
use super::features::{Features, Memory};
use super::history::History;
use super::key::{CommunityId, Key, Tuple, protocol as number};
use super::odd::oddities;
use super::ports::{likely_tcp_server, likely_udp_server};
use super::record::{Label, Scene};
use super::stream::{Budget, Chunk};
use super::table::Place;
use super::tcp::{Connection, Peer, Segment, State};
use crate::layer::{Around, Bytes, Datagram, Tunnel, reaches_many};
use crate::odd;
use crate::protocol::{self, Kind};
use crate::told::Outbox;

/// How long a flow that is not TCP may be silent.
const IDLE: Duration = Duration::from_mins(1);

/// What runs over IP.
enum Transport {
    Tcp { connection: Box<Connection>, parser: Option<Box<protocol::Tcp>> },
    Udp { parser: Option<Box<protocol::Udp>> },
    Other,
}

/// A flow. What each packet needs stands first and together, so that it takes few lines of the cache.
#[repr(C)]
pub(crate) struct Flow {
    /// What finds it; the same when it is turned round.
    key: Key,
    /// The hash of its key.
    pub(super) hash: u64,
    /// Where it lies, and its number in the order of first packets.
    pub(super) place: Place,
    /// The earliest entry in the queue of deadlines.
    pub(crate) queued: Timestamp,
    pub(crate) last: Timestamp,
    transport: Transport,
    /// The originator is the higher end of the key.
    turned: bool,
    history: History,
    originator: Count,
    responder: Count,
    /// Payload that nobody looked into because nothing more was to be learnt from it.
    bypassed: u64,
    /// What a model wants to know, where that is asked for.
    features: Option<Box<Features>>,
    /// Surroundings of the first packet, as though the originator had sent it.
    around: Around,
    label: Option<Box<Label>>,
    /// Community ID of the flow that carries this one.
    carrier: Option<Box<CommunityId>>,
    /// The tunnel that it carries itself, and what tells it apart.
    carries: Option<(Tunnel, Option<u32>)>,
}

/// A packet with what finds its flow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) tuple: Tuple,
    pub(super) key: Key,
    pub(super) hash: u64,
    /// It goes from the higher end of the key to the lower one.
    pub(super) turned: bool,
}

/// What a packet is handled with.
pub(crate) struct Desk<'d> {
    pub(crate) budget: &'d mut Budget,
    pub(crate) out: &'d mut Outbox,
    pub(crate) options: &'d protocol::Options,
    pub(crate) announced: &'d mut Announced,
    /// For features of flows, where they are asked for.
    pub(crate) features: Option<&'d mut Memory>,
}

impl Flow {
    /// A flow that begins with `datagram`.
    pub(super) fn new(place: Place, found: &Found, datagram: &Datagram<'_>) -> Self {
        let Found { tuple, key, hash, turned } = *found;
        let transport = match tuple.protocol {
            number::TCP => Transport::Tcp { connection: Box::default(), parser: None },
            number::UDP => Transport::Udp { parser: None },
            _ => Transport::Other,
        };
        let mut flow = Self {
            key,
            hash,
            place,
            queued: Timestamp::from_nanos(i64::MAX),
            last: datagram.path.at,
            turned,
            around: Around::of(&datagram.path),
            originator: Count::default(),
            responder: Count::default(),
            history: History::default(),
            transport,
            label: None,
            carrier: None,
            carries: None,
            bypassed: 0,
            features: None,
        };
        if began_elsewhere(&tuple, datagram) {
            flow.turn_round();
            flow.history.flip();
        }
        flow
    }

    /// What finds it; the same when it is turned round.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// From the originator to the responder.
    fn tuple(&self) -> Tuple {
        let tuple = self.key.tuple();
        if self.turned { tuple.reversed() } else { tuple }
    }

    /// When its first packet came.
    fn first(&self) -> Timestamp {
        self.around.at()
    }

    /// Says which flow carries this one.
    pub(crate) fn set_carrier(&mut self, community_id: CommunityId) {
        self.carrier = Some(Box::new(community_id));
    }

    /// Says that another connection has announced this one.
    pub(crate) fn set_transfer(&mut self, transfer: protocol::Transfer, options: protocol::Options) {
        let Tuple { source, destination, .. } = self.tuple();
        let ports = [source.port, destination.port];
        match &mut self.transport {
            Transport::Tcp { parser, .. } => {
                *parser = Some(Box::new(protocol::Tcp::transfer(transfer, options)));
            }
            Transport::Udp { parser } => {
                *parser = Some(Box::new(protocol::Udp::transfer(ports, transfer, options)));
            }
            Transport::Other => {}
        }
    }

    /// Notes that it carries a tunnel, and tells so the first time.
    pub(crate) fn carry(&mut self, tunnel: Tunnel, identifier: Option<u32>, out: &mut Outbox) {
        let is_new = self.carries.is_none();
        if is_new {
            self.carries = Some((tunnel, identifier));
            out.events.push(self.tunnel("discover"));
            out.close(self.scene(), None);
        }
    }

    /// Community ID and identifier, made when first asked for.
    pub(crate) fn label(&mut self) -> &Label {
        let (tuple, around) = (self.tuple(), &self.around);
        self.label.get_or_insert_with(|| Box::new(Label::of(&tuple, &around.path())))
    }

    /// Whether `datagram`, which has the addresses and ports of this flow, begins another one.
    pub(crate) fn is_over_for(&self, datagram: &Datagram<'_>) -> bool {
        match &self.transport {
            Transport::Tcp { connection, .. } if has_syn(datagram.payload) => {
                TcpSlice::from_slice(datagram.payload)
                    .is_ok_and(|tcp| connection.is_reused_by(&Segment::of(&tcp, 0)))
            }
            _ => false,
        }
    }

    /// When it is over if nothing more comes.
    pub(crate) fn deadline(&self) -> Timestamp {
        match &self.transport {
            Transport::Tcp { connection, .. } => connection.deadline(self.last),
            _ => self.last.plus(IDLE),
        }
    }

    /// True for a TCP connection that nobody has answered.
    pub(crate) fn is_attempt(&self) -> bool {
        matches!(&self.transport, Transport::Tcp { connection, .. } if connection.is_attempt())
    }

    /// A packet whose checksum is wrong: noted, and not believed.
    pub(crate) fn damaged(&mut self, turned: bool, at: Timestamp, desk: &mut Desk<'_>) {
        let side = self.side_of(turned);
        self.history.once(side, b'c');
        let name = match self.key.protocol() {
            number::TCP => "bad_TCP_checksum",
            number::UDP => "bad_UDP_checksum",
            number::ICMP | number::ICMPV6 => "bad_ICMP_checksum",
            _ => "bad_checksum",
        };
        let from = desk.out.events.len();
        desk.out.events.push(odd::event(at, "ip", name, None));
        self.describe_since(from, desk);
    }

    /// A packet of this flow.
    pub(crate) fn packet(&mut self, turned: bool, datagram: &Datagram<'_>, desk: &mut Desk<'_>) {
        let side = self.side_of(turned);
        let over = matches!(&self.transport, Transport::Tcp { connection, .. } if connection.both_closed());
        if !over {
            self.last = self.last.max(datagram.path.at);
        }
        let payload = match &self.transport {
            Transport::Tcp { .. } => 0,
            Transport::Udp { .. } => udp_length(datagram),
            Transport::Other => datagram.payload_length.saturating_sub(header_length(datagram.protocol)),
        };
        let count = match side {
            Side::Originator => &mut self.originator,
            Side::Responder => &mut self.responder,
        };
        if count.packets == 0 {
            count.ttl = datagram.ttl;
        }
        if datagram.protocol == number::TCP {
            count.tcp_flags |= datagram.payload.byte(13).unwrap_or(0);
        }
        count.packets += 1;
        count.ip_bytes += datagram.ip_length as u64;
        count.frame_bytes += u64::from(datagram.path.wire_length);
        count.payload_bytes += payload as u64;
        if let Some(memory) = desk.features.as_deref_mut() {
            self.note_features(side, datagram, memory);
        }
        let from = desk.out.events.len();
        match datagram.protocol {
            number::TCP => self.tcp(side, datagram, desk),
            number::UDP => self.udp(side, datagram, desk),
            _ => {}
        }
        self.describe_since(from, desk);
    }

    /// The flow is over: what still waits is parsed, and the `sensor.conn` event made.
    pub(crate) fn finish(mut self, desk: &mut Desk<'_>) {
        let from = desk.out.events.len();
        let at = self.last;
        match &mut self.transport {
            Transport::Tcp { connection, parser } => {
                let events = &mut desk.out.events;
                connection.finish(desk.budget, &mut |side, chunk| {
                    if let Some(parser) = parser {
                        feed(parser, side, at, &chunk, events);
                    }
                });
                if let Some(parser) = parser {
                    parser.finish(at, &mut desk.out.events);
                }
            }
            Transport::Udp { parser: Some(parser) } => parser.finish(at, &mut desk.out.events),
            Transport::Udp { parser: None } | Transport::Other => {}
        }
        if self.carries.is_some() {
            desk.out.events.push(self.tunnel("close"));
        }
        let is_wanted = desk.options.kinds.has(Kind::Conn);
        leave_out(from, desk);
        let (tuple, first) = (self.tuple(), self.first());
        let features = desk.features.as_deref_mut().filter(|_| is_wanted).map(|memory| {
            let mut told = Event::new();
            memory.rhythms.note(&tuple, first, &mut told);
            if let Some(features) = self.features.take() {
                features.finish(memory, &mut told);
            }
            told
        });
        if is_wanted || desk.out.events.len() > from {
            let scene = self.scene();
            desk.out.close(scene, is_wanted.then(|| self.conn(features)));
        }
    }

    /// Notes what a packet says for the features of the flow; one without payload says nothing.
    fn note_features(&mut self, side: Side, datagram: &Datagram<'_>, memory: &mut Memory) {
        let header = match datagram.protocol {
            number::TCP => usize::from(datagram.payload.byte(12).unwrap_or(0) >> 4) * 4,
            number::UDP => 8,
            _ => return,
        };
        let length = datagram.payload_length.saturating_sub(header);
        if length == 0 {
            return;
        }
        let at = datagram.path.at;
        if self.features.is_none() {
            self.features = Features::begin(memory, at);
        }
        if let Some(features) = &mut self.features {
            features.packet(side, at, length, datagram.payload.after(header).unwrap_or_default());
        }
    }

    /// Who sent a packet that goes from the higher end of the key to the lower one, or not. Between one port and itself all is
    /// the originator's.
    fn side_of(&self, turned: bool) -> Side {
        if turned == self.turned || self.key.is_of_one_end() { Side::Originator } else { Side::Responder }
    }

    fn turn_round(&mut self) {
        self.turned = !self.turned;
        self.around.turn_round();
        std::mem::swap(&mut self.originator, &mut self.responder);
        if let Some(features) = &mut self.features {
            features.turn_round();
        }
    }

    fn tcp(&mut self, side: Side, datagram: &Datagram<'_>, desk: &mut Desk<'_>) {
        let (key, turned) = (self.key, self.turned);
        let Transport::Tcp { connection, parser } = &mut self.transport else { return };
        if !desk.options.kinds.reads() {
            connection.originator.stream.wanted = false;
            connection.responder.stream.wanted = false;
        }
        let Ok(tcp) = TcpSlice::from_slice(datagram.payload) else { return };
        let length = datagram.payload_length.saturating_sub(tcp.header_len());
        let segment = Segment::of(&tcp, length);
        let sender = if side == Side::Originator { &connection.originator } else { &connection.responder };
        if parser.is_some() && !sender.stream.wanted {
            self.bypassed += length as u64;
            desk.budget.bypassed += length as u64;
        }
        let at = datagram.path.at;
        let (options, events) = (desk.options, &mut desk.out.events);
        let differing = desk.budget.differing;
        events.extend(
            oddities(connection, side, &segment).into_iter().map(|name| odd::event(at, "tcp", name, None)),
        );
        let tuple = || if turned { key.tuple().reversed() } else { key.tuple() };
        let effect = connection.segment(
            side,
            at,
            &segment,
            tcp.payload(),
            &mut self.history,
            desk.budget,
            &mut |side, chunk| {
                let parser = parser.get_or_insert_with(|| {
                    let Tuple { source, destination, .. } = tuple();
                    Box::new(protocol::Tcp::with_options(source.port, destination.port, *options))
                });
                feed(parser, side, at, &chunk, events);
            },
        );
        if let Some(parser) = parser {
            while let Some(expected) = parser.expected() {
                desk.announced.add(&tuple(), at, expected);
            }
            connection.originator.stream.wanted = parser.wants_more(Side::Originator);
            connection.responder.stream.wanted = parser.wants_more(Side::Responder);
        }
        if desk.budget.differing > differing {
            desk.out.events.push(odd::event(at, "tcp", "Retransmission_inconsistency", None));
        }
        if effect.flipped {
            self.turn_round();
        }
    }

    fn udp(&mut self, side: Side, datagram: &Datagram<'_>, desk: &mut Desk<'_>) {
        self.history.once(side, b'd');
        let tuple = self.tuple();
        let Transport::Udp { parser } = &mut self.transport else { return };
        let Ok(udp) = UdpSlice::from_slice_lax(datagram.payload) else { return };
        if udp.payload().is_empty() || !desk.options.kinds.reads() {
            return;
        }
        let ports = (tuple.source.port, tuple.destination.port);
        let options = desk.options;
        let parser =
            parser.get_or_insert_with(|| Box::new(protocol::Udp::with_options(ports.0, ports.1, *options)));
        parser.datagram(side, datagram.path.at, udp.payload(), &mut desk.out.events);
        while let Some(expected) = parser.expected() {
            desk.announced.add(&tuple, datagram.path.at, expected);
        }
    }

    /// Leaves out of the events from `from` on what nobody wants, and says that the others are of this flow.
    fn describe_since(&mut self, from: usize, desk: &mut Desk<'_>) {
        if desk.out.events.len() == from {
            return;
        }
        leave_out(from, desk);
        if desk.out.events.len() > from {
            desk.out.close(self.scene(), None);
        }
    }

    fn scene(&mut self) -> Scene {
        let (tuple, path, parent) = (self.tuple(), self.around.path(), self.carrier.as_deref().copied());
        Scene { tuple, path, label: *self.label(), parent }
    }

    /// That it carries a tunnel begins or ends.
    fn tunnel(&self, action: &'static str) -> Event {
        let mut event = Event::of("sensor.tunnel", self.last);
        event.set("event.kind", "event");
        event.set("event.category", vec!["network"]);
        event.set("event.type", vec![if action == "close" { "end" } else { "start" }]);
        event.set("event.action", action);
        if let Some((tunnel, identifier)) = self.carries {
            event.set("dongson.tunnel.carries.kind", tunnel.name());
            event.set_some("dongson.tunnel.carries.id", identifier.map(i64::from));
        }
        event
    }

    fn conn(self, features: Option<Event>) -> Conn {
        let (service, state, missed_bytes) = (self.service(), self.state(), self.missed());
        let services = service.map(|service| self.services(service)).unwrap_or_default();
        let (mut originator, mut responder) = (self.originator, self.responder);
        if let Transport::Tcp { connection, .. } = &self.transport {
            originator.payload_bytes = connection.originator.payload_bytes(&connection.responder);
            responder.payload_bytes = connection.responder.payload_bytes(&connection.originator);
        }
        Conn {
            first: self.first(),
            last: self.last,
            originator,
            responder,
            history: self.history.into_letters(),
            missed_bytes,
            bypassed_bytes: self.bypassed,
            state,
            service,
            services,
            features,
        }
    }

    fn service(&self) -> Option<&'static str> {
        let parsed = match &self.transport {
            Transport::Tcp { parser, .. } => parser.as_ref().and_then(|parser| parser.service()),
            Transport::Udp { parser } => parser.as_ref().and_then(|parser| parser.service()),
            Transport::Other => None,
        };
        self.carries.map(|(tunnel, _)| tunnel.name()).or(parsed)
    }

    /// All of them, with those inside a tunnel.
    fn services(&self, service: &'static str) -> Vec<&'static str> {
        match &self.transport {
            Transport::Tcp { parser: Some(parser), .. } if self.carries.is_none() => parser.services(),
            _ => service.split(',').collect(),
        }
    }

    fn missed(&self) -> u64 {
        match &self.transport {
            Transport::Tcp { connection, .. } => connection.missed,
            _ => 0,
        }
    }

    /// The state in the words of Zeek's `conn.log`.
    fn state(&self) -> &'static str {
        match &self.transport {
            Transport::Tcp { connection, .. } => tcp_state(&connection.originator, &connection.responder),
            Transport::Udp { .. } => match (self.originator.packets, self.responder.packets) {
                (0, 0) => "OTH",
                (0, _) => "SHR",
                (_, 0) => "S0",
                _ => "SF",
            },
            Transport::Other => "OTH",
        }
    }
}

/// Whether the flags of a TCP header have SYN; only that opens another connection.
fn has_syn(payload: &[u8]) -> bool {
    payload.byte(13).is_some_and(|flags| flags & 2 != 0)
}

/// Leaves out of the events from `from` on what nobody wants.
fn leave_out(from: usize, desk: &mut Desk<'_>) {
    let kinds = desk.options.kinds;
    if kinds.is_all() {
        return;
    }
    let mut at = 0;
    desk.out.events.retain(|event| {
        at += 1;
        at <= from || Kind::of(event.dataset()).is_none_or(|kind| kinds.has(kind))
    });
}

fn tcp_state(originator: &Peer, responder: &Peer) -> &'static str {
    let silent = |peer: &Peer| matches!(peer.state, State::Inactive | State::Partial);
    let empty = originator.payload_bytes(responder) == 0 && responder.payload_bytes(originator) == 0;
    match (originator.state, responder.state) {
        (State::SynSent | State::SynAckSent, State::Reset) => "REJ",
        (State::Reset, State::Reset) if empty => "REJ",
        (_, State::Reset) if silent(originator) => "RSTRH",
        (_, State::Reset) => "RSTR",
        (State::Reset, _) if silent(responder) => "RSTOS0",
        (State::Reset, _) => "RSTO",
        (State::Closed, State::Closed) => "SF",
        (State::Closed, _) if silent(responder) => "SH",
        (State::Closed, _) => "S2",
        (_, State::Closed) if silent(originator) => "SHR",
        (_, State::Closed) => "S3",
        (State::SynSent, State::Inactive) => "S0",
        (State::Established, State::Established) => "S1",
        _ => "OTH",
    }
}

/// True when the first packet that was seen came from the responder.
fn began_elsewhere(tuple: &Tuple, datagram: &Datagram<'_>) -> bool {
    let (source, destination) = (tuple.source.port, tuple.destination.port);
    if reaches_many(tuple.destination.address) {
        return false;
    }
    match tuple.protocol {
        number::TCP => {
            let Ok(tcp) = TcpSlice::from_slice(datagram.payload) else { return false };
            let opens = tcp.syn() && !tcp.ack();
            let both = likely_tcp_server(destination);
            !opens && likely_tcp_server(source) && (!both || (!tcp.syn() && source < destination))
        }
        number::UDP => {
            let answers_dns = source == 53
                && destination == 53
                && datagram.payload.byte(10).is_some_and(|flags| flags & 0x80 != 0);
            (likely_udp_server(source) && !likely_udp_server(destination)) || answers_dns
        }
        _ => false,
    }
}

/// Payload of a UDP datagram as its own header says, within what IP says.
fn udp_length(datagram: &Datagram<'_>) -> usize {
    let room = datagram.payload_length.saturating_sub(8);
    match datagram.payload.be16(4) {
        Some(length) if length >= 8 => usize::from(length - 8).min(room),
        _ => room,
    }
}

/// Length of the fixed header of a transport without sequence numbers of ours.
fn header_length(transport: u8) -> usize {
    match transport {
        number::ICMP | number::ICMPV6 => 8,
        number::SCTP => 12,
        _ => 0,
    }
}

fn feed(parser: &mut protocol::Tcp, side: Side, at: Timestamp, chunk: &Chunk<'_>, events: &mut Vec<Event>) {
    match chunk {
        Chunk::Data(bytes) => parser.data(side, at, bytes, events),
        Chunk::Gap(length) => parser.gap(side, *length),
    }
}
