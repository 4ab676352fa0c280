//! From a record and its origin to the events that go to the bus: parse, take authority away, set identity and times,
//! keep the raw record, split what is too long.
//!
//! Pure: the time is an argument. Every record gives at least one event; what no parser takes, and what does not fit
//! into one event, becomes one or more events of dataset `dongson.unparsed`.

mod relayed;

use crate::parse::{Context, Parsed, Parser, Refusal, json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dongson_event::authority::{Principal, admit};
use dongson_event::clock::ClockPolicy;
use dongson_event::fields::Setter;
use dongson_event::relay;
use dongson_event::{Event, MAX_EVENT_BYTES, Timestamp, UNPARSED, Value, identity};
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use uuid::Uuid;

pub use relayed::Way;

/// Bytes of a record that is no text which are kept as text too; thrice as many when none of them is.
const LOSSY_BYTES: usize = 64 << 10;
/// Bytes of raw record in one part: as base64 or escaped text it stays below the limit of an event.
pub const PART_BYTES: usize = 512 << 10;
/// Longest record that is given to a parser.
pub const RECORD_BYTES: usize = 1 << 20;

/// How the records of an origin are read.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    /// By a parser; the raw record is kept.
    Records(&'static Parser),
    /// They are events of Dongson already, made by a sensor of ours.
    Events,
}

/// Where records come from, as authentication and the registry found it.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Who sends; what its events are stamped with.
    pub principal: Principal,
    /// Id of the source in the registry whose counters grow; none when there is none.
    pub source: Option<String>,
    /// How its records are read.
    pub format: Format,
    /// The zone of its local times.
    pub zone: TimeZone,
    /// What is known of its clock.
    pub clock: ClockPolicy,
    /// How a record came through a sensor that did not make it.
    pub way: Option<Way>,
}

/// One event, ready for the bus.
#[derive(Debug, Clone, PartialEq)]
pub struct Normal {
    /// The event.
    pub event: Event,
    /// Its canonical JSON.
    pub json: String,
    /// Whether a parser took it.
    pub parsed: bool,
}

impl Normal {
    /// Marks that the end of the record is missing: the connection ended inside it. An event that is as long as an
    /// event may be stays as it is.
    pub fn mark_cut(&mut self) {
        self.event.set("dongson.record.cut", true);
        let json = self.event.to_json();
        if json.len() <= MAX_EVENT_BYTES {
            self.json = json;
        } else {
            self.event.remove("dongson.record.cut");
        }
    }
}

/// Totals of a record that came in parts; known from the last part on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// Bytes of the whole record.
    pub length: u64,
    /// SHA-256 of the whole record in hexadecimal.
    pub sha256: String,
    /// How many parts.
    pub parts: u64,
}

/// Reads one whole record; its event is `id`, further parts get ids made from it.
pub fn record(origin: &Origin, raw: &[u8], id: Uuid, now: Timestamp, out: &mut Vec<Normal>) {
    if raw.len() > RECORD_BYTES {
        return oversize(origin, raw, id, now, "the record is longer than 1 MiB", out);
    }
    let parsed = match read(origin, raw, now) {
        Ok(parsed) => parsed,
        Err(refusal) => return oversize(origin, raw, id, now, &refusal.to_string(), out),
    };
    if matches!(origin.format, Format::Events) && parsed.event.dataset() == relay::DATASET {
        return relayed::record(origin, &parsed.event, raw, id, now, out);
    }
    settle(origin, parsed, raw, id, now, out);
}

/// The event of what was read, or several where it does not fit into one.
fn settle(origin: &Origin, parsed: Parsed, raw: &[u8], id: Uuid, now: Timestamp, out: &mut Vec<Normal>) {
    let event = stamp(origin, parsed, raw, id, now);
    let json = event.to_json();
    if json.len() <= MAX_EVENT_BYTES {
        out.push(Normal { event, json, parsed: true });
        return;
    }
    too_big(origin, event, raw, id, now, out);
}

/// An event whose text is over the limit loses its raw record, which goes beside it in parts, so that rules still
/// see its fields; if it is still too big, only the parts remain.
fn too_big(origin: &Origin, mut event: Event, raw: &[u8], id: Uuid, now: Timestamp, out: &mut Vec<Normal>) {
    event.remove("event.original");
    event.remove("dongson.original.base64");
    let json = event.to_json();
    let beside = identity::uuid_of(&[b"beside", id.as_bytes()]);
    let reason = "the event is longer than 1 MiB with its raw record";
    if json.len() <= MAX_EVENT_BYTES {
        out.push(Normal { event, json, parsed: true });
        oversize(origin, raw, beside, now, reason, out);
    } else {
        oversize(origin, raw, id, now, "the event is longer than 1 MiB", out);
    }
}

fn read(origin: &Origin, raw: &[u8], received: Timestamp) -> Result<Parsed, Refusal> {
    match origin.format {
        Format::Events => json::read(raw),
        Format::Records(parser) => {
            let received = jiff::Timestamp::from_nanosecond(i128::from(received.nanos())).unwrap_or_default();
            (parser.parse)(raw, &Context { received, zone: &origin.zone })
        }
    }
}

/// Sets what the collector alone may say; what the record claims for it moves to `dongson.claimed.*`.
fn stamp(origin: &Origin, parsed: Parsed, raw: &[u8], id: Uuid, now: Timestamp) -> Event {
    let Parsed { mut event, basis, anomalies } = parsed;
    let theirs = match origin.format {
        Format::Records(_) => keep_raw(&mut event, raw),
        Format::Events => None,
    };
    reserved(&mut event, origin.principal.right);
    identify(origin, &mut event, id, now);
    event.set_some("dongson.claimed.event.original", theirs);
    if let Some(basis) = basis {
        event.set("dongson.time.read", basis.word());
    }
    let changes = anomalies.duplicate_names + anomalies.bad_text + anomalies.huge_numbers;
    if changes > 0 {
        event.set("dongson.anomalies", changes);
    }
    event
}

fn identify(origin: &Origin, event: &mut Event, id: Uuid, now: Timestamp) {
    admit(event, &origin.principal, id, now, &origin.clock);
    if let Some(way) = &origin.way {
        way.mark(event);
    }
}

/// `event.original` is what we received; answers what the client put there, if it is something else.
fn keep_raw(event: &mut Event, raw: &[u8]) -> Option<Value> {
    let text = crate::parse::text_of(raw);
    let theirs = event.set("event.original", text.as_ref());
    if let Cow::Owned(_) = text {
        event.set("dongson.original.base64", STANDARD.encode(raw));
    }
    theirs.filter(|theirs| theirs.as_str() != Some(&*text))
}

/// Datasets of our own parts cannot be claimed: `dongson.*` by nobody, `sensor.*` by sensors only. A dataset that is no
/// text (a list would match each of its words) is set aside too.
fn reserved(event: &mut Event, right: Setter) {
    let free = match event.text("event.dataset") {
        Some(dataset) => {
            !dataset.starts_with("dongson.") && (right >= Setter::Sensor || !dataset.starts_with("sensor."))
        }
        None => false,
    };
    if !free {
        let dataset = event.remove("event.dataset");
        event.set_some("labels.dataset", dataset);
        event.set("event.dataset", json::DATASET);
    }
}

/// A record that is not understood, in as many parts as it needs.
fn oversize(origin: &Origin, raw: &[u8], id: Uuid, now: Timestamp, reason: &str, out: &mut Vec<Normal>) {
    let pieces = split(raw);
    let totals = Totals {
        length: raw.len() as u64,
        sha256: hex::encode(Sha256::digest(raw)),
        parts: pieces.len() as u64,
    };
    for (number, piece) in (1..).zip(pieces) {
        out.push(part(origin, piece, id, number, Some(&totals), reason, now));
    }
}

/// One part of a record that is not understood. `number` counts from 1; the first part's id is the record's.
pub fn part(
    origin: &Origin,
    raw: &[u8],
    id: Uuid,
    number: u64,
    totals: Option<&Totals>,
    reason: &str,
    now: Timestamp,
) -> Normal {
    let mut event = Event::new();
    event.set("event.dataset", UNPARSED);
    let own =
        if number == 1 { id } else { identity::uuid_of(&[b"part", id.as_bytes(), &number.to_be_bytes()]) };
    identify(origin, &mut event, own, now);
    event.set("dongson.unparsed.reason", reason);
    event.set("dongson.unparsed.record", id.to_string());
    event.set("dongson.unparsed.part", number);
    if let Format::Records(parser) = origin.format {
        event.set("dongson.unparsed.parser", parser.name);
    }
    if let Some(totals) = totals {
        event.set("dongson.unparsed.length", totals.length);
        event.set("dongson.unparsed.sha256", totals.sha256.as_str());
        event.set("dongson.unparsed.parts", totals.parts);
    }
    let mut json = match std::str::from_utf8(raw) {
        Ok(text) => {
            event.set("event.original", text);
            event.to_json()
        }
        Err(_) => String::new(),
    };
    // Bytes that are no text, and text of which escaping makes too much, are base64.
    if json.is_empty() || json.len() > MAX_EVENT_BYTES {
        event.remove("event.original");
        event.set("dongson.unparsed.base64", STANDARD.encode(raw));
        // For finding it: what is no text in it is U+FFFD.
        event.set("message", lossy(raw).as_str());
        json = event.to_json();
    }
    Normal { event, json, parsed: false }
}

/// The beginning of bytes as text to search in.
fn lossy(raw: &[u8]) -> String {
    let text = crate::parse::text_of(raw.get(..LOSSY_BYTES).unwrap_or(raw));
    text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect()
}

/// Pieces of at most [`PART_BYTES`]; text is cut between letters.
pub fn split(raw: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut rest = raw;
    while rest.len() > PART_BYTES {
        let (piece, tail) = rest.split_at(cut(rest));
        pieces.push(piece);
        rest = tail;
    }
    pieces.push(rest);
    pieces
}

/// Where to cut what is longer than a part: before a letter that would be torn.
pub fn cut(raw: &[u8]) -> usize {
    let torn = |byte: &u8| byte & 0xc0 == 0x80;
    let back = (0..4).find(|back| !raw.get(PART_BYTES - back).is_some_and(torn)).unwrap_or(0);
    PART_BYTES - back
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn origin() -> Origin {
        Origin {
            principal: Principal {
                id: "key:1".into(),
                right: Setter::Source,
                organization: "xa-a".into(),
                observer: "web01".into(),
                drill: None,
            },
            source: None,
            format: Format::Records(crate::parse::by_name("auto").unwrap()),
            zone: TimeZone::UTC,
            clock: ClockPolicy::default(),
            way: None,
        }
    }

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-23T03:00:00Z").unwrap()
    }

    fn one(raw: &[u8]) -> Vec<Normal> {
        let mut out = Vec::new();
        record(&origin(), raw, Uuid::from_u128(7), now(), &mut out);
        out
    }

    #[test]
    fn forged_claims_are_harmless() {
        for (time, held) in [
            ("1970-01-01T00:00:00Z", "2026-11-16T03:00:00.000Z"),
            ("2015-01-01T00:00:00Z", "2026-11-16T03:00:00.000Z"),
            ("2100-01-01T00:00:00Z", "2026-11-23T03:00:00.000Z"),
            ("2026-11-23T02:00:00Z", "2026-11-23T02:00:00.000Z"),
        ] {
            let raw = format!(
                r#"{{"@timestamp":"{time}","organization":{{"id":"so-b"}},"observer.name":"x","event":{{"id":"i","id":"j","dataset":"dongson.health"}},"dongson.drill":"d","event.original":"o"}}"#
            );
            let all = one(raw.as_bytes());
            let [normal] = all.as_slice() else { panic!("one event") };
            let event = &normal.event;
            assert_eq!(event.text("@timestamp"), Some(held));
            assert_eq!(event.time("event.ingested"), Some(now()));
            assert!(event.text("dongson.time.claimed").is_some());
            assert_eq!((event.organization(), event.text("observer.name")), ("xa-a", Some("web01")));
            assert_eq!(event.id(), Uuid::from_u128(7).to_string());
            assert_eq!(event.get("dongson.drill"), None);
            assert_eq!(event.dataset(), "json");
            assert_eq!(event.text("dongson.claimed.organization.id"), Some("so-b"));
            assert_eq!(event.text("event.original"), Some(raw.as_str()));
            assert_eq!(event.text("dongson.claimed.event.original"), Some("o"));
            assert_eq!(event.int("dongson.anomalies"), Some(1));
        }
    }

    #[test]
    fn datasets_of_our_own_parts_cannot_be_claimed() {
        for (claimed, held) in [
            (r#""dongson.health""#, "json"),
            (r#""sensor.dns""#, "json"),
            (r#"["app","dongson.health"]"#, "json"),
            (r#""app.audit""#, "app.audit"),
        ] {
            let all = one(format!(r#"{{"event.dataset":{claimed}}}"#).as_bytes());
            assert_eq!(all[0].event.get("event.dataset"), Some(&Value::from(held)), "{claimed}");
        }
    }

    #[test]
    fn what_nobody_knows_is_kept_with_the_reason() {
        let all = one(b"\xff\xfe nobody's");
        assert_eq!(all.len(), 1);
        assert!(!all[0].parsed);
        assert_eq!(all[0].event.dataset(), UNPARSED);
        assert_eq!(all[0].event.text("dongson.unparsed.base64"), Some("//4gbm9ib2R5J3M="));
        assert_eq!(all[0].event.text("message"), Some("\u{fffd}\u{fffd} nobody's"));
        let all = one(b"{\"a\":");
        assert!(all[0].event.text("dongson.unparsed.reason").unwrap().contains("JSON"), "{:?}", all[0].event);
    }

    #[test]
    fn a_long_record_comes_in_parts_that_join() {
        let raw = "<13>Nov 23 09:00:00 h p: đ".to_owned() + &"é".repeat(5 << 20);
        let all = one(raw.as_bytes());
        assert!(all.len() > 19, "{}", all.len());
        let joined: String = all.iter().map(|normal| normal.event.text("event.original").unwrap()).collect();
        assert!(joined == raw);
        assert!(all.iter().all(|normal| normal.json.len() <= MAX_EVENT_BYTES));
        assert_eq!(all[3].event.int("dongson.unparsed.length"), i64::try_from(raw.len()).ok());
        let ids: std::collections::HashSet<_> =
            all.iter().map(|normal| normal.event.id().to_owned()).collect();
        assert_eq!(ids.len(), all.len());
    }

    #[test]
    fn a_big_event_keeps_its_fields_for_the_rules() {
        let raw = format!(r#"{{"user.name":"root","message":"{}"}}"#, "x".repeat(700 << 10));
        let all = one(raw.as_bytes());
        assert!(all[0].parsed && all[0].event.text("user.name") == Some("root"));
        assert!(all.len() > 1 && all.iter().all(|normal| normal.json.len() <= MAX_EVENT_BYTES));
    }

    proptest! {
        #[test]
        fn any_record_gives_events_that_fit(raw: Vec<u8>) {
            let all = one(&raw);
            prop_assert!(!all.is_empty());
            for normal in all {
                prop_assert!(normal.json.len() <= MAX_EVENT_BYTES);
                let (event, anomalies) = Event::parse(normal.json.as_bytes()).unwrap();
                prop_assert!(anomalies.is_empty());
                prop_assert_eq!(event, normal.event);
            }
        }
    }
}
