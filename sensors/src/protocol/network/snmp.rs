//! SNMP: what is asked of a device and what it answers, and its traps (v1: RFC 1157; v2c: RFC 1901, 3416; v3: RFC 3412, 3414).
//!
//! In: datagrams. Out: one `sensor.snmp` event per request with its answer, by the request's number (v3: the message's), and
//! one for each trap; requests that stay unanswered go out at the end. Of values only the description of the system and how long
//! it runs are told; community names are sealed, and whether one is a maker's default is said. What is encrypted stays so.
//! Memory: at most [`MAX_PENDING`] requests; the oldest goes out unanswered when there are more.

use std::net::{IpAddr, Ipv4Addr};

use dongson_event::{Event, Timestamp};

use crate::protocol::der::{Der, number};
use crate::protocol::dissect::{Datagrams, Start};
use crate::protocol::wire::text;
use crate::protocol::{Side, secret};

/// Requests of one flow that may be unanswered.
const MAX_PENDING: usize = 32;
/// Variables told of one message.
const MAX_VARIABLES: usize = 64;
/// Parts of an object identifier (RFC 2578, 3.5).
const MAX_PARTS: usize = 128;
const MAX_TEXT: usize = 255;

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const ADDRESS: u8 = 0x40;
const TICKS: u8 = 0x43;

const DESCRIPTION: &str = "1.3.6.1.2.1.1.1.0";
const UPTIME: &str = "1.3.6.1.2.1.1.3.0";
const TRAP_OID: &str = "1.3.6.1.6.3.1.1.4.1.0";

/// Errors (RFC 3416, 3), from 0.
const ERRORS: [&str; 19] = [
    "noError",
    "tooBig",
    "noSuchName",
    "badValue",
    "readOnly",
    "genErr",
    "noAccess",
    "wrongType",
    "wrongLength",
    "wrongEncoding",
    "wrongValue",
    "noCreation",
    "inconsistentValue",
    "resourceUnavailable",
    "commitFailed",
    "undoFailed",
    "authorizationError",
    "notWritable",
    "inconsistentName",
];
/// Generic traps (RFC 1157, 4.1.6), from 0.
const TRAPS: [&str; 7] = [
    "coldStart",
    "warmStart",
    "linkDown",
    "linkUp",
    "authenticationFailure",
    "egpNeighborLoss",
    "enterpriseSpecific",
];

/// A message without its variables' values.
#[derive(Debug, Default)]
struct Message<'a> {
    version: i64,
    community: Option<&'a [u8]>,
    /// Of version 3.
    number: Option<i64>,
    flags: u8,
    user: &'a [u8],
    engine: &'a [u8],
    context: &'a [u8],
    /// `None` where it is encrypted.
    pdu: Option<Pdu<'a>>,
}

#[derive(Debug, Default)]
struct Pdu<'a> {
    /// The number in its tag.
    kind: u8,
    request_id: Option<i64>,
    /// Error status, or how many variables do not repeat.
    first: i64,
    /// Error index, or how often the others repeat.
    second: i64,
    variables: Vec<(String, u8, &'a [u8])>,
    /// Of a trap of version 1: what sent it, from where, generic and specific kind.
    trap: Option<(String, Option<IpAddr>, i64)>,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Pending {
    side: Side,
    id: i64,
    at: Timestamp,
    messages: Vec<&'static str>,
    event: Event,
}

/// A flow that speaks SNMP.
#[derive(Debug)]
pub(in crate::protocol) struct Snmp {
    secret_key: [u8; 32],
    pending: Vec<Pending>,
}

/// Whether a datagram is a whole message of SNMP.
pub(in crate::protocol) fn is_message(bytes: &[u8]) -> bool {
    read(bytes).is_some()
}

fn read(bytes: &[u8]) -> Option<Message<'_>> {
    let mut whole = Der::new(Der::new(bytes).take(SEQUENCE)?);
    let version = number(whole.take(INTEGER)?)?;
    let mut message = Message { version, ..Message::default() };
    match version {
        0 | 1 => {
            message.community = Some(whole.take(OCTETS)?);
            message.pdu = Some(pdu(&mut whole)?);
        }
        3 => {
            let mut header = Der::new(whole.take(SEQUENCE)?);
            message.number = Some(number(header.take(INTEGER)?)?);
            header.take(INTEGER)?;
            message.flags = *header.take(OCTETS)?.first()?;
            let is_usm = number(header.take(INTEGER)?)? == 3;
            let security = whole.take(OCTETS)?;
            if is_usm {
                let mut security = Der::new(Der::new(security).take(SEQUENCE)?);
                message.engine = security.take(OCTETS)?;
                security.take(INTEGER)?;
                security.take(INTEGER)?;
                message.user = security.take(OCTETS)?;
            }
            if whole.peek()? == OCTETS {
                whole.take(OCTETS)?;
            } else {
                let mut scoped = Der::new(whole.take(SEQUENCE)?);
                scoped.take(OCTETS)?;
                message.context = scoped.take(OCTETS)?;
                message.pdu = Some(pdu(&mut scoped)?);
            }
        }
        _ => return None,
    }
    Some(message)
}

fn pdu<'a>(from: &mut Der<'a>) -> Option<Pdu<'a>> {
    let (tag, value) = from.next()?;
    if !(0xa0..=0xa8).contains(&tag) {
        return None;
    }
    let mut inside = Der::new(value);
    let mut pdu = Pdu { kind: tag & 0x1f, ..Pdu::default() };
    if pdu.kind == 4 {
        let enterprise = identifier(inside.take(OID)?)?;
        let address =
            inside.take(ADDRESS)?.first_chunk::<4>().map(|four| IpAddr::from(Ipv4Addr::from(*four)));
        pdu.trap = Some((enterprise, address, number(inside.take(INTEGER)?)?));
        inside.take(INTEGER)?;
        inside.take(TICKS)?;
    } else {
        pdu.request_id = Some(number(inside.take(INTEGER)?)?);
        pdu.first = number(inside.take(INTEGER)?)?;
        pdu.second = number(inside.take(INTEGER)?)?;
    }
    let mut list = Der::new(inside.take(SEQUENCE)?);
    while let Some(binding) = list.take(SEQUENCE) {
        let mut binding = Der::new(binding);
        let (name, (tag, value)) = (identifier(binding.take(OID)?)?, binding.next()?);
        if pdu.variables.len() < MAX_VARIABLES {
            pdu.variables.push((name, tag, value));
        }
    }
    Some(pdu)
}

/// An object identifier as numbers with dots (X.690, 8.19).
fn identifier(bytes: &[u8]) -> Option<String> {
    let (mut parts, mut part) = (Vec::new(), 0_u64);
    for byte in bytes.iter().take(4 * MAX_PARTS) {
        part = part.checked_mul(128)? | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if parts.is_empty() {
                let first = (part / 40).min(2);
                parts.extend([first.to_string(), (part - first * 40).to_string()]);
            } else {
                parts.push(part.to_string());
            }
            part = 0;
        }
    }
    (!parts.is_empty() && parts.len() <= MAX_PARTS).then(|| parts.join("."))
}

/// Suricata's names of the kinds (RFC 3416, 3).
fn kind_name(kind: u8) -> &'static str {
    match kind {
        0 => "get_request",
        1 => "get_next_request",
        2 => "response",
        3 => "set_request",
        4 => "trap_v1",
        5 => "get_bulk_request",
        6 => "inform_request",
        7 => "trap_v2",
        _ => "report",
    }
}

impl Snmp {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self { secret_key: start.options.secret_key, pending: Vec::new() }
    }

    fn describe(&self, message: &Message<'_>, at: Timestamp) -> Event {
        let mut event = Event::of("sensor.snmp", at);
        event.set("network.protocol", "snmp");
        event.set("event.outcome", "unknown");
        event.set(
            "dongson.snmp.version",
            match message.version {
                0 => "1",
                1 => "2c",
                _ => "3",
            },
        );
        if let Some(community) = message.community {
            event.set("dongson.snmp.community", secret::seal(&self.secret_key, community));
            event.set("dongson.snmp.community_is_default", matches!(community, b"public" | b"private"));
        }
        if message.version == 3 {
            event.set_some("dongson.snmp.message_id", message.number);
            let level = match message.flags & 3 {
                0 => "noAuthNoPriv",
                1 => "authNoPriv",
                _ => "authPriv",
            };
            event.set("dongson.snmp.security_level", level);
            event.set("dongson.snmp.encrypted", message.pdu.is_none());
        }
        event
    }

    /// Names that version 3 may tell in a request or in its answer only.
    fn describe_names(event: &mut Event, message: &Message<'_>) {
        let told = |bytes: &[u8]| Some(text(bytes, MAX_TEXT)).filter(|text| !text.is_empty());
        event.set_some("user.name", told(message.user));
        event.set_some("dongson.snmp.context", told(message.context));
        let engine = message.engine.get(..32).unwrap_or(message.engine);
        event.set_some("dongson.snmp.engine_id", Some(hex::encode(engine)).filter(|id| !id.is_empty()));
    }

    fn take(&mut self, side: Side, at: Timestamp, message: &Message<'_>, out: &mut Vec<Event>) {
        let kind = message.pdu.as_ref().map(|pdu| pdu.kind);
        let name = kind.map_or("encrypted", kind_name);
        // A report answers a message, whose number it repeats (RFC 3412, 7.1).
        let id = message.number.or_else(|| message.pdu.as_ref()?.request_id);
        let Some(id) = id.filter(|_| !matches!(kind, Some(4 | 7))) else {
            let mut event = self.describe(message, at);
            Self::describe_names(&mut event, message);
            event.set("dongson.snmp.messages", vec![name]);
            describe_pdu(&mut event, message.pdu.as_ref(), "dongson.snmp.oids");
            out.push(event);
            return;
        };
        let asked = self.pending.iter().position(|pending| pending.side != side && pending.id == id);
        let answers = matches!(kind, Some(2 | 8) | None);
        if let Some(place) = asked.filter(|_| answers) {
            let mut pending = self.pending.remove(place);
            pending.messages.push(name);
            let mut event = pending.event;
            event.set("event.duration", at.nanos().saturating_sub(pending.at.nanos()));
            event.set("dongson.snmp.messages", pending.messages);
            Self::describe_names(&mut event, message);
            describe_pdu(&mut event, message.pdu.as_ref(), "dongson.snmp.response_oids");
            out.push(event);
            return;
        }
        let again = |pending: &Pending| pending.side == side && pending.id == id;
        if self.pending.iter().any(again) {
            return;
        }
        let mut event = self.describe(message, at);
        Self::describe_names(&mut event, message);
        let oids = if kind == Some(2) { "dongson.snmp.response_oids" } else { "dongson.snmp.oids" };
        describe_pdu(&mut event, message.pdu.as_ref(), oids);
        if matches!(kind, Some(2 | 8)) {
            event.set("dongson.snmp.messages", vec![name]);
            out.push(event);
            return;
        }
        if self.pending.len() >= MAX_PENDING {
            self.tell_first(out);
        }
        self.pending.push(Pending { side, id, at, messages: vec![name], event });
    }

    fn tell_first(&mut self, out: &mut Vec<Event>) {
        let mut pending = self.pending.remove(0);
        pending.event.set("dongson.snmp.messages", pending.messages);
        out.push(pending.event);
    }
}

fn describe_pdu(event: &mut Event, pdu: Option<&Pdu<'_>>, oids: &'static str) {
    let Some(pdu) = pdu else { return };
    event.set_some("dongson.snmp.request_id", pdu.request_id);
    if !pdu.variables.is_empty() {
        event.set(oids, pdu.variables.iter().map(|(name, ..)| name.clone()).collect::<Vec<_>>());
    }
    if pdu.kind == 2 {
        let error = usize::try_from(pdu.first).ok().and_then(|status| ERRORS.get(status).copied());
        event.set("event.outcome", if pdu.first == 0 { "success" } else { "failure" });
        event.set("dongson.snmp.error_status", error.unwrap_or("unknown"));
        if pdu.first != 0 {
            event.set("dongson.snmp.error_index", pdu.second);
        }
    } else if pdu.kind == 5 {
        event.set("dongson.snmp.max_repetitions", pdu.second);
    }
    if let Some((enterprise, address, generic)) = &pdu.trap {
        let generic = usize::try_from(*generic).ok().and_then(|kind| TRAPS.get(kind).copied());
        event.set("dongson.snmp.trap.type", generic.unwrap_or("unknown"));
        event.set("dongson.snmp.trap.oid", enterprise.as_str());
        event.set_some("dongson.snmp.trap.address", *address);
    }
    for (name, tag, value) in &pdu.variables {
        match (name.as_str(), *tag) {
            (DESCRIPTION, OCTETS) => event.set("dongson.snmp.display_string", text(value, MAX_TEXT)),
            // Hundredths of a second (RFC 2578, 7.1.8).
            (UPTIME, TICKS) => {
                event.set_some("dongson.snmp.uptime", number(value).map(|ticks| ticks.saturating_mul(10)));
                continue;
            }
            (TRAP_OID, OID) => {
                event.set_some("dongson.snmp.trap.oid", identifier(value));
                continue;
            }
            _ => continue,
        };
    }
}

impl Datagrams for Snmp {
    fn datagram(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        if let Some(message) = read(bytes) {
            self.take(side, at, &message, out);
        }
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        while !self.pending.is_empty() {
            self.tell_first(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Options;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let inside = parts.concat();
        [&[tag, u8::try_from(inside.len()).unwrap()][..], &inside].concat()
    }

    /// Names of the variables behind 1.3.6.1.2.1.1, with values.
    fn packet(kind: u8, id: u8, error: u8, variables: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let bindings: Vec<u8> = variables
            .iter()
            .flat_map(|(part, held)| {
                value(SEQUENCE, &[&value(OID, &[&[0x2b, 6, 1, 2, 1, 1, *part, 0]]), held])
            })
            .collect();
        let numbers = [[INTEGER, 1, id], [INTEGER, 1, error], [INTEGER, 1, 0]].concat();
        value(0xa0 | kind, &[&numbers, &value(SEQUENCE, &[&bindings])])
    }

    fn v2(community: &[u8], packet: &[u8]) -> Vec<u8> {
        value(SEQUENCE, &[&[INTEGER, 1, 1], &value(OCTETS, &[community]), packet])
    }

    fn run(turns: &[(Side, Vec<u8>)]) -> Vec<Event> {
        let options = Options::default();
        let mut snmp = Snmp::new(&Start { client: C, options: &options });
        let mut out = Vec::new();
        for (number, (side, bytes)) in (0..).zip(turns) {
            snmp.datagram(*side, Timestamp::from_nanos(number), bytes, &mut out);
        }
        snmp.finish(Timestamp::default(), &mut out);
        out
    }

    fn list(event: &Event, name: &str) -> String {
        event.get(name).map(|list| list.to_text().into_owned()).unwrap_or_default()
    }

    #[test]
    fn a_request_and_its_answer() {
        let null = || vec![5, 0];
        let ask = v2(b"public", &packet(0, 7, 0, &[(1, null()), (3, null())]));
        let held = [(1, value(OCTETS, &[b"may in"])), (3, value(TICKS, &[&[1, 0]]))];
        let events = run(&[
            (C, ask.clone()),
            (C, ask),
            (S, v2(b"public", &packet(2, 7, 0, &held))),
            (C, v2(b"bi mat", &packet(3, 8, 0, &[(5, null())]))),
            (S, v2(b"bi mat", &packet(2, 8, 17, &[]))),
            (C, v2(b"x", &packet(5, 9, 0, &[]))),
        ]);
        let [get, set, bulk] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(list(get, "dongson.snmp.messages"), "get_request, response");
        assert_eq!(list(get, "dongson.snmp.oids"), "1.3.6.1.2.1.1.1.0, 1.3.6.1.2.1.1.3.0");
        assert_eq!(get.text("dongson.snmp.display_string"), Some("may in"));
        assert_eq!((get.int("dongson.snmp.uptime"), get.int("event.duration")), (Some(2560), Some(2)));
        assert_eq!(get.get("dongson.snmp.community_is_default"), Some(&dongson_event::Value::Bool(true)));
        assert_eq!(
            (set.text("event.outcome"), set.text("dongson.snmp.error_status")),
            (Some("failure"), Some("notWritable"))
        );
        assert_eq!(bulk.text("event.outcome"), Some("unknown"));
        assert!(!format!("{events:?}").contains("bi mat"));
    }

    #[test]
    fn version_3_tells_user_and_engine() {
        let header =
            value(SEQUENCE, &[&[INTEGER, 1, 9, INTEGER, 1, 100], &value(OCTETS, &[&[3]]), &[INTEGER, 1, 3]]);
        let usm = |user: &[u8]| {
            let inside = [
                value(OCTETS, &[&[0x80, 1, 2]]),
                vec![INTEGER, 1, 0, INTEGER, 1, 0],
                value(OCTETS, &[user]),
                value(OCTETS, &[]),
                value(OCTETS, &[]),
            ];
            value(OCTETS, &[&value(SEQUENCE, &[&inside.concat()])])
        };
        let message =
            |user: &[u8], rest: Vec<u8>| value(SEQUENCE, &[&[INTEGER, 1, 3], &header, &usm(user), &rest]);
        let scoped =
            value(SEQUENCE, &[&value(OCTETS, &[]), &value(OCTETS, &[b"ctx"]), &packet(8, 0, 0, &[])]);
        let events = run(&[(C, message(b"an", value(OCTETS, &[b"hidden"]))), (S, message(b"", scoped))]);
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(event.text("user.name"), Some("an"));
        assert_eq!(event.text("dongson.snmp.engine_id"), Some("800102"));
        assert_eq!(event.text("dongson.snmp.security_level"), Some("authPriv"));
        assert_eq!(list(event, "dongson.snmp.messages"), "encrypted, report");
        assert_eq!(event.text("dongson.snmp.context"), Some("ctx"));
    }

    #[test]
    fn traps_are_told_at_once() {
        let body = [
            value(OID, &[&[0x2b, 6, 1]]),
            value(ADDRESS, &[&[10, 0, 0, 9]]),
            vec![INTEGER, 1, 2, INTEGER, 1, 0, TICKS, 1, 5],
            value(SEQUENCE, &[]),
        ];
        let trap = value(
            SEQUENCE,
            &[&[INTEGER, 1, 0], &value(OCTETS, &[b"public"]), &value(0xa4, &[&body.concat()])],
        );
        assert!(is_message(&trap));
        let events = run(&[(C, trap)]);
        assert_eq!(events[0].text("dongson.snmp.trap.type"), Some("linkDown"));
        assert_eq!(events[0].text("dongson.snmp.trap.oid"), Some("1.3.6.1"));
        assert_eq!(list(&events[0], "dongson.snmp.trap.address"), "10.0.0.9");
        assert!(!is_message(b"\x30\x26\x02\x01\x01\x04\x06public"));
    }

    #[test]
    fn identifiers_are_written_out() {
        assert_eq!(identifier(&[0x2b, 6, 1, 4, 1, 0x82, 0x37]).as_deref(), Some("1.3.6.1.4.1.311"));
        assert_eq!(identifier(&[0x88, 0x37, 3]).as_deref(), Some("2.999.3"));
        assert_eq!(identifier(&[]), None);
        assert_eq!(identifier(&[0xff; 40]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(turns: Vec<(bool, u8, u8, Vec<u8>)>, cut in 0..40_usize) {
            let turns = turns.into_iter().flat_map(|(client, kind, id, mut noise)| {
                noise.truncate(20);
                let side = if client { C } else { S };
                let whole = v2(b"x", &packet(kind % 9, id % 3, 0, &[(1, value(OCTETS, &[&noise]))]));
                let part = whole[..cut.min(whole.len())].to_vec();
                [(side, whole), (side, part), (side, noise)]
            });
            run(&turns.collect::<Vec<_>>());
        }
    }
}
