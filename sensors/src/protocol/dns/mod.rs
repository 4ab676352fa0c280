//! DNS over UDP and TCP, and its relatives: `mDNS` (RFC 6762), LLMNR (RFC 4795), `NetBIOS` names (RFC 1002).
//!
//! In: datagrams, or the bytes of a stream with a two-byte length before each message. Out: one `sensor.dns` event per
//! message; `dns.type` is `query` or `answer`; an answer repeats the question and carries, in `dongson.dns.rtt`, the time
//! since its query. Lists (`dns.answers.name`, `.type`, `.class`, `.ttl`, `.data`) run in parallel, in the order sent.
//!
//! `dns.question.name` is in lower case (resolvers mix cases on purpose); where the wire differed,
//! `dongson.dns.question_original` has it. Memory: [`MAX_PENDING`] queries, and for TCP one message of 64 KiB per side.

mod data;
mod message;
mod names;
mod shape;

use std::collections::VecDeque;

use compact_str::{CompactString, ToCompactString as _};
use dongson_event::{Event, Timestamp, Value};

use message::{Message, Question, Record};

use super::Side;
use super::detect::Verdict;
use super::wire::Cursor;
use crate::odd;

/// Queries of one flow that wait for their answer; the oldest makes room.
const MAX_PENDING: usize = 32;
/// Records of one section in an event; `dongson.dns.answers_count` tells how many the message had.
const MAX_LISTED: usize = 128;

/// Which relative speaks; the message format is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Dns,
    Mdns,
    Llmnr,
    NetBios,
}

impl Dialect {
    fn of_ports(source: u16, destination: u16) -> Self {
        let either = |port| source == port || destination == port;
        if either(5353) {
            Self::Mdns
        } else if either(5355) {
            Self::Llmnr
        } else if either(137) {
            Self::NetBios
        } else {
            Self::Dns
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Mdns => "mdns",
            Self::Llmnr => "llmnr",
            Self::NetBios => "nbns",
        }
    }
}

/// The messages of one flow or connection.
#[derive(Debug)]
pub(super) struct Dns {
    dialect: Dialect,
    pending: VecDeque<(u16, Timestamp)>,
    streams: [Vec<u8>; 2],
    /// Streams of which a part is missing.
    closed: [bool; 2],
}

impl Dns {
    pub(super) fn new(source_port: u16, destination_port: u16) -> Self {
        let dialect = Dialect::of_ports(source_port, destination_port);
        Self { dialect, pending: VecDeque::new(), streams: Default::default(), closed: [false; 2] }
    }

    /// One whole message; false when it is not even a header.
    pub(super) fn message(&mut self, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) -> bool {
        let Some(message) = Message::parse(bytes) else { return false };
        let asked =
            if message.is_response() { self.asked(message.id) } else { self.remember(message.id, at) };
        let odd = if self.dialect == Dialect::Dns { oddities(&message) } else { Vec::new() };
        out.push(describe(message, self.dialect, at, asked));
        out.extend(odd.into_iter().map(|name| odd::event(at, "dns", name, None)));
        true
    }

    /// Bytes of a TCP stream. The first octets of a message tell its length, so chunking does not matter.
    pub(super) fn stream(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        if *side.of(&self.closed) {
            return;
        }
        let mut held = std::mem::take(side.of_mut(&mut self.streams));
        held.extend_from_slice(bytes);
        let mut cursor = Cursor::new(&held);
        while let Some(message) = cursor.vec16() {
            self.message(at, message, out);
        }
        let rest = cursor.rest().to_vec();
        *side.of_mut(&mut self.streams) = rest;
    }

    /// Bytes of one side's stream are missing: where its next message begins is not known.
    pub(super) fn gap(&mut self, side: Side) {
        *side.of_mut(&mut self.closed) = true;
        side.of_mut(&mut self.streams).clear();
    }

    fn remember(&mut self, id: u16, at: Timestamp) -> Option<Timestamp> {
        if self.dialect == Dialect::Dns && !self.pending.iter().any(|&(held, _)| held == id) {
            if self.pending.len() == MAX_PENDING {
                self.pending.pop_front();
            }
            self.pending.push_back((id, at));
        }
        None
    }

    fn asked(&mut self, id: u16) -> Option<Timestamp> {
        let place = self.pending.iter().position(|&(held, _)| held == id)?;
        self.pending.remove(place).map(|(_, at)| at)
    }
}

/// What is odd about a message, in the words of Suricata's events.
fn oddities(message: &Message) -> Vec<&'static str> {
    let checks = [
        // The registry ends at 6 (RFC 8490).
        (message.opcode() > 6, "invalid_opcode"),
        (message.flags & 0x40 != 0, "z_flag_set"),
        (!message.complete, "malformed_data"),
    ];
    checks.into_iter().filter_map(|(odd, name)| odd.then_some(name)).collect()
}

/// Whether a datagram is a message. On a port of DNS a header is enough; elsewhere all of it must be in order.
pub(super) fn is_datagram(source_port: u16, destination_port: u16, bytes: &[u8]) -> bool {
    let known = [source_port, destination_port].iter().any(|port| matches!(port, 53 | 137 | 5353 | 5355));
    if known {
        return Message::head(bytes).is_some();
    }
    // Most of what is not DNS is refused by its header, before names are read.
    Message::head(bytes).is_some_and(|head| has_likely_header(&head))
        && Message::parse(bytes)
            .is_some_and(|message| is_orderly(&message) && message.complete && message.trailing_bytes == 0)
}

/// Signs that a message is no accident: a likely header, a known class.
fn is_orderly(message: &Message) -> bool {
    let question = message.questions.first();
    let asked = question.is_some_and(|question| {
        matches!(question.class & 0x7fff, 1 | 3 | 4 | 255) && (1..=300).contains(&question.kind)
    });
    asked && has_likely_header(message)
}

/// One question, small counts, a known opcode, nothing in a query that only answers have.
fn has_likely_header(message: &Message) -> bool {
    let [questions, answers, authorities, additionals] = message.counts;
    let sizes = questions == 1 && answers <= 256 && authorities <= 64 && additionals <= 64;
    let header = matches!(message.opcode(), 0 | 4 | 5) && message.flags & 0x40 == 0;
    let idle_query = message.is_response() || (answers == 0 && message.flags.trailing_zeros() >= 4);
    sizes && header && idle_query
}

/// Whether a stream begins with a length and a message (RFC 1035, 4.2.2).
pub(super) fn detect_stream(prefix: &[u8]) -> Verdict {
    let mut cursor = Cursor::new(prefix);
    let Some(length) = cursor.u16() else { return Verdict::Maybe };
    if length < 17 {
        return Verdict::No;
    }
    let body = cursor.rest();
    let body = body.get(..usize::from(length)).unwrap_or(body);
    let Some(message) = Message::parse(body) else { return Verdict::Maybe };
    let mut named = message.clone();
    if named.questions.is_empty() || (!named.complete && named.questions.first().is_some_and(|q| q.kind == 0))
    {
        // The header alone must already be plausible, or a wait would hold up other detectors.
        named.questions = vec![Question { name: CompactString::default(), kind: 1, class: 1 }];
        let full = body.len() == usize::from(length) || body.len() > 300;
        return if full || !is_orderly(&named) { Verdict::No } else { Verdict::Maybe };
    }
    if is_orderly(&message) { Verdict::Yes } else { Verdict::No }
}

fn describe(message: Message, dialect: Dialect, at: Timestamp, asked: Option<Timestamp>) -> Event {
    let mut event = Event::of("sensor.dns", at);
    event.set("network.protocol", dialect.name());
    event.set("dns.type", if message.is_response() { "answer" } else { "query" });
    event.set("dns.id", message.id.to_compact_string());
    event.set("dns.op_code", names::opcode(message.opcode()));
    event.set("dns.header_flags", header_flags(&message));
    if message.is_response() {
        event.set("dns.response_code", names::rcode(message.rcode()));
        event.set("dongson.dns.answers_count", message.answers.len());
        event.set_some("dongson.dns.rtt", asked.map(|asked| at.nanos().saturating_sub(asked.nanos()).max(0)));
    }
    let netbios = dialect == Dialect::NetBios;
    questions(&mut event, message.questions, netbios);
    answers(&mut event, message.answers, netbios);
    section(
        &mut event,
        message.authorities,
        netbios,
        [
            "dongson.dns.authorities.name",
            "dongson.dns.authorities.type",
            "dongson.dns.authorities.ttl",
            "dongson.dns.authorities.data",
        ],
    );
    section(
        &mut event,
        message.additionals,
        netbios,
        [
            "dongson.dns.additionals.name",
            "dongson.dns.additionals.type",
            "dongson.dns.additionals.ttl",
            "dongson.dns.additionals.data",
        ],
    );
    if let Some(edns) = message.edns {
        event.set("dongson.dns.edns_udp_bytes", edns.udp_bytes);
        event.set("dongson.dns.edns_version", edns.version);
    }
    if !message.complete {
        event.set("dongson.dns.malformed", true);
    }
    event
}

fn questions(event: &mut Event, questions: Vec<Question>, netbios: bool) {
    if questions.len() > 1 {
        let all = questions.iter().take(MAX_LISTED);
        event.set("dongson.dns.questions.name", list(all.clone().map(|question| question.name.clone())));
        event
            .set("dongson.dns.questions.type", list(all.map(|question| names::kind(question.kind, netbios))));
    }
    let Some(question) = questions.into_iter().next() else { return };
    let name = if netbios { netbios_name(&question.name).into() } else { question.name };
    let is_lower = name.bytes().all(|sign| sign.is_ascii() && !sign.is_ascii_uppercase());
    let lower = if is_lower { name.clone() } else { name.to_lowercase() };
    if lower != name {
        event.set("dongson.dns.question_original", name);
    }
    shape::describe(event, &lower);
    event.set("dns.question.name", lower);
    event.set("dns.question.type", names::kind(question.kind, netbios));
    event.set("dns.question.class", names::class(question.class));
}

fn answers(event: &mut Event, records: Vec<Record>, netbios: bool) {
    if records.is_empty() {
        return;
    }
    event.set("dongson.dns.answer_bytes", records.iter().map(|record| record.data.len()).sum::<usize>());
    let listed = || records.iter().take(MAX_LISTED);
    event.set("dns.answers.class", list(listed().map(|record| names::class(record.class))));
    // An address that is not one is printed as an unknown type is.
    let addresses = listed().filter(|record| matches!(record.kind, 1 | 28) && !record.data.starts_with('\\'));
    let addresses = list(addresses.map(|record| record.data.clone()));
    if !addresses.is_empty() {
        event.set("dns.resolved_ip", Value::List(addresses));
    }
    section(
        event,
        records,
        netbios,
        ["dns.answers.name", "dns.answers.type", "dns.answers.ttl", "dns.answers.data"],
    );
}

/// One section as parallel lists under `fields`: name, type, ttl, data.
fn section(event: &mut Event, records: Vec<Record>, netbios: bool, fields: [&'static str; 4]) {
    if records.is_empty() {
        return;
    }
    let room = records.len().min(MAX_LISTED);
    let mut lists = [(); 4].map(|()| Vec::with_capacity(room));
    let [owners, kinds, ttls, data] = &mut lists;
    for record in records.into_iter().take(MAX_LISTED) {
        owners.push(Value::Text(record.name));
        kinds.push(Value::Text(names::kind(record.kind, netbios)));
        ttls.push(Value::from(record.ttl));
        data.push(Value::Text(record.data));
    }
    for (name, list) in fields.into_iter().zip(lists) {
        event.set(name, Value::List(list));
    }
}

/// Texts as the values of a list.
fn list(texts: impl Iterator<Item = CompactString>) -> Vec<Value> {
    texts.map(Value::Text).collect()
}

fn header_flags(message: &Message) -> Vec<&'static str> {
    let bits =
        [(0x400, "AA"), (0x200, "TC"), (0x100, "RD"), (0x80, "RA"), (0x40, "Z"), (0x20, "AD"), (0x10, "CD")];
    let mut flags: Vec<_> =
        bits.into_iter().filter(|&(bit, _)| message.flags & bit != 0).map(|(_, name)| name).collect();
    if message.edns.is_some_and(|edns| edns.dnssec_ok) {
        flags.push("DO");
    }
    flags
}

/// Decodes the first-level encoding of RFC 1001, 14.1: 32 letters are 16 signs, the last of which is the kind of name.
fn netbios_name(name: &str) -> String {
    let (label, scope) = name.split_once('.').map_or((name, None), |(label, scope)| (label, Some(scope)));
    let halves: Vec<u8> = label.bytes().filter(u8::is_ascii_uppercase).map(|l| l - b'A').collect();
    if label.len() != 32 || halves.len() != 32 || halves.iter().any(|&half| half > 15) {
        return name.to_owned();
    }
    let signs: Vec<u8> = halves.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect();
    let (base, suffix) = signs.split_at_checked(15).unwrap_or((&signs, &[]));
    let trimmed = base.trim_ascii_end();
    let end = trimmed.iter().rposition(|&sign| sign != 0).map_or(0, |last| last + 1);
    let mut text = super::wire::text(trimmed.get(..end).unwrap_or_default(), 16);
    if let Some(&suffix) = suffix.first() {
        text = format!("{text}<{suffix:02x}>");
    }
    match scope {
        Some(scope) if !scope.is_empty() => format!("{text}.{scope}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::message::tests::reply;
    use super::*;
    use std::time::Duration;

    const QUERY: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03wWw\x07example\x02vn\x00\x00\x01\x00\x01";

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(message);
        bytes
    }

    #[test]
    fn a_query_and_its_answer() {
        let mut dns = Dns::new(40_000, 53);
        let mut out = Vec::new();
        let start = Timestamp::from_seconds(1_700_000_000);
        assert!(dns.message(start, QUERY, &mut out));
        let address = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x1e\x00\x04\xcb\x00\x71\x07";
        assert!(dns.message(start.plus(Duration::from_millis(5)), &reply(&[address]), &mut out));
        let [query, answer] = out.as_slice() else { panic!("two events, not {out:?}") };
        assert_eq!(query.text("dns.question.name"), Some("www.example.vn"));
        assert_eq!(query.text("dongson.dns.question_original"), Some("wWw.example.vn"));
        assert_eq!(query.text("dns.type"), Some("query"));
        assert_eq!(answer.text("dns.response_code"), Some("NOERROR"));
        assert_eq!(answer.int("dongson.dns.rtt"), Some(5_000_000));
        assert_eq!(answer.get("dns.resolved_ip"), Some(&Value::from(vec!["203.0.113.7"])));
        assert_eq!(answer.get("dns.header_flags"), Some(&Value::from(vec!["RD", "RA"])));
    }

    #[test]
    fn odd_messages_are_told() {
        let told = |flags: u8, z: u8, cut: usize| {
            let mut bytes = QUERY.get(..QUERY.len() - cut).unwrap().to_vec();
            (bytes[2], bytes[3]) = (flags, z);
            let mut out = Vec::new();
            Dns::new(40_000, 53).message(Timestamp::default(), &bytes, &mut out);
            let names = out.iter().filter_map(|event| event.text("dongson.weird.name").map(str::to_owned));
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(told(0x01, 0, 0), "");
        assert_eq!(told(0x30, 0, 0), "");
        assert_eq!(told(0x38, 0, 0), "invalid_opcode");
        assert_eq!(told(0x01, 0x40, 2), "z_flag_set malformed_data");
    }

    #[test]
    fn a_stream_in_single_bytes() {
        let mut bytes = framed(QUERY);
        bytes.extend(framed(QUERY));
        let mut dns = Dns::new(40_000, 53);
        let mut out = Vec::new();
        for byte in &bytes {
            dns.stream(Side::Originator, Timestamp::default(), &[*byte], &mut out);
        }
        assert_eq!(out.len(), 2);
    }

    #[test]
    fn detection_needs_the_question() {
        let bytes = framed(QUERY);
        for length in 0..bytes.len() - 4 {
            assert_eq!(detect_stream(&bytes[..length]), Verdict::Maybe, "{length} bytes");
        }
        assert_eq!(detect_stream(&bytes), Verdict::Yes);
        assert_eq!(detect_stream(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Verdict::No);
        assert!(is_datagram(1, 9953, QUERY));
        assert!(!is_datagram(1, 9953, &QUERY[..20]));
        assert!(is_datagram(1, 53, &QUERY[..20]));
    }

    #[test]
    fn netbios_names_are_decoded() {
        assert_eq!(netbios_name("FHEPFCELEHFCEPFFFACACACACACACABL"), "WORKGROUP<1b>");
        assert_eq!(netbios_name("plain.name"), "plain.name");
    }
}
