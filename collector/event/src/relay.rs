//! Records of a site's own logs on their way through a sensor, which does not read them.
//!
//! A sensor sends each record as a line of its batches: an event of dataset [`DATASET`] that holds the record as it was
//! and how it came. The collector takes it out and gives it to its parsers, as if it had come there by itself; the
//! sensor stands for where it came from, the record for nothing but itself.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{Event, Timestamp};

/// Dataset of the lines.
pub const DATASET: &str = "sensor.relay";
/// Longest record in bytes; of a longer one the beginning is sent, and how much is missing.
pub const MAX_RECORD_BYTES: usize = 512 << 10;
/// Text that may become longer than this as JSON is sent as base64; the line then fits an event in any case.
const MAX_TEXT_BYTES: usize = 900 << 10;
/// The collector's parsers that an input may name.
pub const PARSERS: [&str; 10] =
    ["auto", "syslog", "sshd", "sudo", "auditd", "weblog", "json", "winlogbeat", "zeek", "suricata"];

/// A record and how it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// The name of the sensor's input.
    pub input: String,
    /// The record's bytes, at most [`MAX_RECORD_BYTES`].
    pub raw: Vec<u8>,
    /// When the sensor read it, by the sensor's clock.
    pub received: Timestamp,
    /// Who sent it over the network.
    pub peer: Option<IpAddr>,
    /// The file in which it stood.
    pub path: Option<String>,
    /// Which of [`PARSERS`] reads it; none: `auto`.
    pub parser: Option<String>,
    /// Time zone of its local times (IANA); none: UTC.
    pub time_zone: Option<String>,
    /// Bytes of the record that were left out.
    pub missing_bytes: u64,
}

/// Why a line of [`DATASET`] is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// No input is named.
    #[error("a relayed record without dongson.relay.input")]
    NoInput,
    /// There is no record in it.
    #[error("a relayed record with neither event.original nor dongson.original.base64")]
    NoRecord,
    /// The record's bytes cannot be had.
    #[error("a relayed record whose dongson.original.base64 is not base64")]
    NotBase64,
    /// It does not say when it was read.
    #[error("a relayed record without @timestamp")]
    NoTime,
}

impl Relayed {
    /// The line. `urgent` puts it among the alerts ([`crate::batch::Class::of`]).
    pub fn into_event(self, urgent: bool) -> Event {
        let mut event = Event::of(DATASET, self.received);
        if urgent {
            event.set("event.kind", "alert");
        }
        match String::from_utf8(self.raw) {
            Ok(text) if longest_json(&text) <= MAX_TEXT_BYTES => drop(event.set("event.original", text)),
            Ok(text) => drop(event.set("dongson.original.base64", STANDARD.encode(text))),
            Err(bytes) => drop(event.set("dongson.original.base64", STANDARD.encode(bytes.as_bytes()))),
        }
        event.set("dongson.relay.input", self.input);
        event.set_some("dongson.relay.peer", self.peer);
        event.set_some("log.file.path", self.path);
        event.set_some("dongson.relay.parser", self.parser);
        event.set_some("dongson.relay.time_zone", self.time_zone);
        if self.missing_bytes > 0 {
            event.set("dongson.relay.missing_bytes", self.missing_bytes);
        }
        event
    }

    /// The record of a line.
    pub fn from_event(event: &Event) -> Result<Self, RelayError> {
        let text = |name| event.text(name).map(str::to_owned);
        let raw = match (event.text("event.original"), event.text("dongson.original.base64")) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(packed)) => STANDARD.decode(packed).map_err(|_| RelayError::NotBase64)?,
            (None, None) => return Err(RelayError::NoRecord),
        };
        let missing = event.int("dongson.relay.missing_bytes").unwrap_or_default();
        Ok(Self {
            input: text("dongson.relay.input").ok_or(RelayError::NoInput)?,
            raw,
            received: event.timestamp().ok_or(RelayError::NoTime)?,
            peer: event.ip("dongson.relay.peer"),
            path: text("log.file.path"),
            parser: text("dongson.relay.parser"),
            time_zone: text("dongson.relay.time_zone"),
            missing_bytes: u64::try_from(missing).unwrap_or_default(),
        })
    }
}

/// The most bytes that a text can take as JSON: six for a control character (RFC 8259, 7), two for quotes.
fn longest_json(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            0..=0x1f | 0x7f => 6,
            b'"' | b'\\' => 2,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_EVENT_BYTES;
    use crate::batch::Class;
    use proptest::prelude::*;

    fn relayed(raw: Vec<u8>) -> Relayed {
        Relayed {
            input: "firewall".to_owned(),
            raw,
            received: Timestamp::from_millis(1_795_000_000_123),
            peer: Some([192, 0, 2, 7].into()),
            path: None,
            parser: Some("syslog".to_owned()),
            time_zone: Some("Asia/Ho_Chi_Minh".to_owned()),
            missing_bytes: 3,
        }
    }

    #[track_caller]
    fn check(raw: Vec<u8>) {
        let sent = relayed(raw);
        let json = sent.clone().into_event(false).to_json();
        assert!(json.len() <= MAX_EVENT_BYTES, "{}", json.len());
        let (event, anomalies) = Event::parse(json.as_bytes()).unwrap();
        assert!(anomalies.is_empty());
        assert_eq!(Relayed::from_event(&event).as_ref(), Ok(&sent));
    }

    proptest! {
        #[test]
        fn every_record_comes_as_it_was(raw: Vec<u8>) {
            check(raw);
        }

        #[test]
        fn every_text_comes_as_it_was(text in "\\PC*[\u{0}-\u{1f}\"\\\\]*") {
            check(text.into_bytes());
        }
    }

    #[test]
    fn the_longest_records_fit_an_event() {
        for byte in [b'a', 0, b'"', 0xff, 0x7f] {
            check(vec![byte; MAX_RECORD_BYTES]);
        }
        check("ặ".repeat(MAX_RECORD_BYTES / 3).into_bytes());
    }

    #[test]
    fn alerts_are_urgent_and_other_records_are_logs() {
        let class = |urgent| Class::of(&relayed(b"x".to_vec()).into_event(urgent));
        assert_eq!((class(true), class(false)), (Class::Alert, Class::Protocol));
    }

    #[test]
    fn what_is_missing_is_named() {
        let whole = relayed(b"x".to_vec()).into_event(false);
        for (name, error) in [
            ("event.original", RelayError::NoRecord),
            ("dongson.relay.input", RelayError::NoInput),
            ("@timestamp", RelayError::NoTime),
        ] {
            let mut event = whole.clone();
            event.remove(name);
            assert_eq!(Relayed::from_event(&event), Err(error), "{name}");
        }
        let mut event = whole;
        event.remove("event.original");
        event.set("dongson.original.base64", "!");
        assert_eq!(Relayed::from_event(&event), Err(RelayError::NotBase64));
    }
}
