//! The `sensor.conn` record: what a flow was, told at its end.

use compact_str::CompactString;
use dongson_event::{Event, Known, Line, Plain, Timestamp};

/// What one side sent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) packets: u64,
    /// Bytes of IP packets.
    pub(crate) ip_bytes: u64,
    /// Bytes of whole frames.
    pub(crate) frame_bytes: u64,
    /// Transport payload: by sequence numbers where there are some.
    pub(crate) payload_bytes: u64,
    /// Time to live of the first packet.
    pub(crate) ttl: u8,
    /// All TCP flags seen, as bits.
    pub(crate) tcp_flags: u8,
}

/// What the counts of one side are called.
struct Names {
    packets: Known,
    bytes: Known,
    payload_bytes: Known,
    frame_bytes: Known,
    ttl: Known,
    tcp_flags: Known,
}

const SOURCE: Names = Names {
    packets: Known::of("source.packets"),
    bytes: Known::of("source.bytes"),
    payload_bytes: Known::of("dongson.conn.source.payload_bytes"),
    frame_bytes: Known::of("dongson.conn.source.frame_bytes"),
    ttl: Known::of("dongson.conn.source.ttl"),
    tcp_flags: Known::of("dongson.conn.source.tcp_flags"),
};

const DESTINATION: Names = Names {
    packets: Known::of("destination.packets"),
    bytes: Known::of("destination.bytes"),
    payload_bytes: Known::of("dongson.conn.destination.payload_bytes"),
    frame_bytes: Known::of("dongson.conn.destination.frame_bytes"),
    ttl: Known::of("dongson.conn.destination.ttl"),
    tcp_flags: Known::of("dongson.conn.destination.tcp_flags"),
};

impl Count {
    fn describe<'a>(&self, line: &mut Line<'a>, names: &Names, flags: &'a str) {
        line.set(names.packets, Plain::Count(self.packets));
        line.set(names.bytes, Plain::Count(self.ip_bytes));
        line.set(names.payload_bytes, Plain::Count(self.payload_bytes));
        line.set(names.frame_bytes, Plain::Count(self.frame_bytes));
        if self.packets > 0 {
            line.set(names.ttl, Plain::Int(i64::from(self.ttl)));
        }
        if self.tcp_flags > 0 {
            line.set(names.tcp_flags, Plain::Text(flags));
        }
    }
}

/// A flow that is over.
#[derive(Debug, Clone)]
pub(crate) struct Conn {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) originator: Count,
    pub(crate) responder: Count,
    pub(crate) history: CompactString,
    pub(crate) missed_bytes: u64,
    /// Payload that no parser looked into because nothing more was to be learnt from it.
    pub(crate) bypassed_bytes: u64,
    pub(crate) state: &'static str,
    pub(crate) service: Option<&'static str>,
    /// All of them, with those inside a tunnel.
    pub(crate) services: Vec<&'static str>,
    /// What a model wants to know, where that is asked for.
    pub(crate) features: Option<Event>,
}

impl Conn {
    /// The TCP flags of originator and responder in two hexadecimal digits each.
    pub(crate) fn flags(&self) -> [CompactString; 2] {
        [self.originator.tcp_flags, self.responder.tcp_flags].map(|flags| {
            let digits = [flags >> 4, flags & 15];
            digits
                .map(|digit| char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }))
                .into_iter()
                .collect()
        })
    }

    /// Adds what it tells beside its [`Scene`](super::record::Scene); `flags` are [`Self::flags`].
    pub(crate) fn describe<'a>(&'a self, flags: &'a [CompactString; 2], line: &mut Line<'a>) {
        const TIMESTAMP: Known = Known::of("@timestamp");
        const BYPASSED: Known = Known::of("dongson.conn.bypassed_bytes");
        const HISTORY: Known = Known::of("dongson.conn.history");
        const MISSED: Known = Known::of("dongson.conn.missed_bytes");
        const SERVICES: Known = Known::of("dongson.conn.services");
        const STATE: Known = Known::of("dongson.conn.state");
        const CATEGORY: Known = Known::of("event.category");
        const DATASET: Known = Known::of("event.dataset");
        const DURATION: Known = Known::of("event.duration");
        const END: Known = Known::of("event.end");
        const KIND: Known = Known::of("event.kind");
        const START: Known = Known::of("event.start");
        const TYPE: Known = Known::of("event.type");
        const BYTES: Known = Known::of("network.bytes");
        const PACKETS: Known = Known::of("network.packets");
        const PROTOCOL: Known = Known::of("network.protocol");
        let [source, destination] = flags;
        let (originator, responder) = (&self.originator, &self.responder);
        line.set(TIMESTAMP, Plain::Moment(self.last));
        responder.describe(line, &DESTINATION, destination);
        if self.bypassed_bytes > 0 {
            line.set(BYPASSED, Plain::Count(self.bypassed_bytes));
        }
        line.set(HISTORY, Plain::Text(&self.history));
        line.set(MISSED, Plain::Count(self.missed_bytes));
        if let Some(service) = self.service {
            line.set(SERVICES, Plain::Texts(&self.services));
            line.set(PROTOCOL, Plain::Text(if service == "ssl" { "tls" } else { service }));
        }
        line.set(STATE, Plain::Text(self.state));
        line.set(CATEGORY, Plain::Texts(&["network"]));
        line.set(DATASET, Plain::Text("sensor.conn"));
        line.set(DURATION, Plain::Int(self.last.nanos().saturating_sub(self.first.nanos())));
        line.set(END, Plain::Moment(self.last));
        line.set(KIND, Plain::Text("event"));
        line.set(START, Plain::Moment(self.first));
        line.set(TYPE, Plain::Texts(&["connection", "end"]));
        line.set(BYTES, Plain::Count(originator.ip_bytes + responder.ip_bytes));
        line.set(PACKETS, Plain::Count(originator.packets + responder.packets));
        originator.describe(line, &SOURCE, source);
    }
}
