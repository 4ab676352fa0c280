//! A log of a site that came through its sensor: the record is taken out of the sensor's line and read as if it had come
//! here by itself.
//!
//! The sensor answers for where the record came from (agency, point, input, when it was read), because that was signed
//! with its batch. What the record says of itself has no more right than any source's: it cannot pass for an event of
//! the sensor. Its point is `NODE/INPUT`, so that it has an order and a watermark of its own.

use super::{Format, Normal, Origin, oversize, read, settle};
use crate::parse;
use dongson_event::clock::ClockPolicy;
use dongson_event::fields::Setter;
use dongson_event::relay::Relayed;
use dongson_event::{Event, Timestamp};
use jiff::tz::TimeZone;
use std::net::IpAddr;
use uuid::Uuid;

/// What the events of a relayed record say about its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    input: String,
    peer: Option<IpAddr>,
    path: Option<String>,
    received: Timestamp,
    missing_bytes: u64,
}

impl Way {
    /// Writes it down; the record's own words for the file stay.
    pub(super) fn mark(&self, event: &mut Event) {
        event.set("dongson.relay.input", self.input.as_str());
        event.set_some("dongson.relay.peer", self.peer);
        event.set_absent("event.created", self.received);
        if let Some(path) = &self.path {
            event.set_absent("log.file.path", path.as_str());
        }
        if self.missing_bytes > 0 {
            event.set("dongson.record.cut", true);
            event.set("dongson.relay.missing_bytes", self.missing_bytes);
        }
    }
}

/// Reads the record of the sensor's line `event`, whose text is `line`.
pub(super) fn record(
    origin: &Origin,
    event: &Event,
    line: &[u8],
    id: Uuid,
    now: Timestamp,
    out: &mut Vec<Normal>,
) {
    let relayed = match Relayed::from_event(event) {
        Ok(relayed) => relayed,
        Err(error) => return oversize(origin, line, id, now, &error.to_string(), out),
    };
    let raw = relayed.raw;
    let received = Timestamp::from_nanos(relayed.received.nanos().saturating_sub(origin.clock.offset_nanos));
    let mut principal = origin.principal.clone();
    principal.right = Setter::Source;
    principal.observer = format!("{}/{}", principal.observer, relayed.input);
    let named = relayed.parser.as_deref().and_then(parse::by_name).or_else(|| parse::by_name("auto"));
    let zone = relayed.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok());
    let source = Origin {
        principal,
        source: None,
        format: named.map_or(origin.format, Format::Records),
        zone: zone.unwrap_or_else(|| origin.zone.clone()),
        // The record has a clock of its own, which nobody measured.
        clock: ClockPolicy { longest_spool: origin.clock.longest_spool, ..ClockPolicy::default() },
        way: Some(Way {
            input: relayed.input,
            peer: relayed.peer,
            path: relayed.path,
            received,
            missing_bytes: relayed.missing_bytes,
        }),
    };
    match read(&source, &raw, received) {
        Ok(mut parsed) => {
            // A record without a time happened when the sensor read it, however long the spool kept it.
            parsed.event.set_absent("@timestamp", received);
            settle(&source, parsed, &raw, id, now, out);
        }
        Err(refusal) => oversize(&source, &raw, id, now, &refusal.to_string(), out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake;
    use dongson_event::UNPARSED;
    use dongson_event::authority::Principal;

    fn sensor() -> Origin {
        Origin {
            principal: Principal {
                id: "sensor:s-1".into(),
                right: Setter::Sensor,
                organization: "xa-a".into(),
                observer: "gw".into(),
                drill: None,
            },
            source: None,
            format: Format::Events,
            zone: TimeZone::UTC,
            // Ten seconds ahead.
            clock: ClockPolicy { offset_nanos: 10_000_000_000, ..ClockPolicy::default() },
            way: None,
        }
    }

    fn relayed(raw: &[u8]) -> Relayed {
        Relayed {
            input: "firewall".to_owned(),
            raw: raw.to_vec(),
            received: Timestamp::parse("2026-12-31T17:00:10Z").unwrap(),
            peer: Some([192, 0, 2, 7].into()),
            path: Some("/var/log/fw.log".to_owned()),
            parser: None,
            time_zone: Some("Asia/Ho_Chi_Minh".to_owned()),
            missing_bytes: 0,
        }
    }

    #[track_caller]
    fn one(relayed: Relayed) -> Event {
        let line = relayed.into_event(false).to_json();
        let mut out = Vec::new();
        // Two hours after it was read.
        let now = Timestamp::parse("2026-12-31T19:00:00Z").unwrap();
        intake::record(&sensor(), line.as_bytes(), Uuid::from_u128(7), now, &mut out);
        assert_eq!(out.len(), 1);
        let Normal { event, json, .. } = out.remove(0);
        assert_eq!(event.to_json(), json);
        event
    }

    #[test]
    fn a_record_is_read_as_if_it_had_come_by_itself() {
        let raw =
            "<38>Dec 31 23:59:58 fw01 sshd[7]: Failed password for root from 203.0.113.9 port 4022 ssh2";
        let event = one(relayed(raw.as_bytes()));
        assert_eq!((event.dataset(), event.organization()), ("sshd", "xa-a"));
        assert_eq!(event.text("observer.name"), Some("gw/firewall"));
        assert_eq!(event.text("dongson.principal"), Some("sensor:s-1"));
        assert_eq!(event.text("event.original"), Some(raw));
        assert_eq!(event.id(), Uuid::from_u128(7).to_string());
        // The year and the zone are those of the sensor's reading, not of the spool's end.
        assert_eq!(event.text("@timestamp"), Some("2026-12-31T16:59:58.000Z"));
        assert_eq!(event.text("event.created"), Some("2026-12-31T17:00:00.000Z"), "by the true clock");
        assert_eq!(event.text("dongson.relay.input"), Some("firewall"));
        assert_eq!(event.text("dongson.relay.peer"), Some("192.0.2.7"));
        assert_eq!(event.text("log.file.path"), Some("/var/log/fw.log"));
    }

    #[test]
    fn a_record_without_a_time_happened_when_it_was_read() {
        let event = one(relayed(br#"{"message":"m"}"#));
        assert_eq!(event.text("@timestamp"), Some("2026-12-31T17:00:00.000Z"));
    }

    #[test]
    fn a_record_cannot_pass_for_an_event_of_the_sensor() {
        let event = one(relayed(
            br#"{"event.dataset":"sensor.conn","observer.name":"x","organization.id":"xa-b","dongson.local.rule.id":["r"],
                "dongson.conn.state":"SF","dongson.relay.input":"other"}"#,
        ));
        assert_eq!(event.dataset(), "json");
        assert_eq!((event.organization(), event.text("observer.name")), ("xa-a", Some("gw/firewall")));
        assert_eq!(event.get("dongson.local.rule.id"), None);
        assert_eq!(event.text("dongson.relay.input"), Some("firewall"));
        assert_eq!(event.text("dongson.claimed.dongson.relay.input"), Some("other"));
        // Nor for another relayed record.
        let inside = relayed(b"x").into_event(false).to_json();
        assert_eq!(one(relayed(inside.as_bytes())).dataset(), "json");
    }

    #[test]
    fn what_nobody_knows_is_kept_and_says_how_it_came() {
        let event = one(Relayed { missing_bytes: 9, ..relayed(b"\xff\xfe nobody's") });
        assert_eq!(event.dataset(), UNPARSED);
        assert_eq!(event.text("dongson.unparsed.base64"), Some("//4gbm9ib2R5J3M="));
        assert_eq!(event.text("dongson.relay.input"), Some("firewall"));
        assert_eq!(event.int("dongson.relay.missing_bytes"), Some(9));
        let line = br#"{"event.dataset":"sensor.relay","event.original":"x"}"#;
        let mut out = Vec::new();
        intake::record(&sensor(), line, Uuid::from_u128(7), Timestamp::from_seconds(1), &mut out);
        let reason = out[0].event.text("dongson.unparsed.reason");
        assert_eq!(reason, Some("a relayed record without dongson.relay.input"));
    }

    #[test]
    fn an_input_may_name_every_parser() {
        let ours: Vec<&str> = parse::PARSERS.iter().map(|parser| parser.name).collect();
        assert_eq!(ours, dongson_event::relay::PARSERS);
    }
}
