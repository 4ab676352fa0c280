//! What records mean: one pure function per format, all in one table.
//!
//! A record's bytes, the time it was received and the settings of its source go in; flat ECS fields, the
//! time that the record claims and a dataset come out, or the reason why this is not such a record.
//! Nothing here reads a clock, a file or a socket, and every function is total: any bytes give a value or
//! a [`Refusal`], in time and memory linear in the record.
//!
//! | child | reads |
//! |---|---|
//! | [`auto`] | looks at a record and asks the right parser below |
//! | [`syslog`] | RFC 3164 and RFC 5424 headers, and the lines of log files |
//! | [`sshd`], [`sudo`], [`auditd`], [`weblog`] | what programs say inside syslog or in files |
//! | [`json`] | any JSON object with ECS or other names |
//! | [`winlogbeat`], [`zeek`], [`suricata`] | JSON with names of its own |

pub mod auditd;
pub mod auto;
pub mod json;
mod pam;
pub mod sshd;
pub mod sudo;
pub mod suricata;
pub mod syslog;
pub mod weblog;
pub mod winlogbeat;
pub mod zeek;

use std::borrow::Cow;

use dongson_event::{Anomalies, Event, Name, Value};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What a parser must be told, because it may not ask.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// When the collector took the record; supplies the year that RFC 3164 lacks.
    pub received: Timestamp,
    /// The zone in which the source writes local times.
    pub zone: &'a TimeZone,
}

/// How a claimed time was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The record states its offset from UTC.
    Stated,
    /// The record states a local time; the zone is the source's setting.
    SourceZone,
    /// As [`Basis::SourceZone`], and the year is the one nearest to the receive time.
    SourceZoneAndYear,
}

impl Basis {
    /// The word kept in `dongson.time.read`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::SourceZone => "source-zone",
            Self::SourceZoneAndYear => "source-zone-and-year",
        }
    }
}

/// The time that a record claims for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// The instant.
    pub at: Timestamp,
    /// How it was read.
    pub basis: Basis,
}

/// A record that a parser understood.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parsed {
    /// The fields, `event.dataset` among them; `@timestamp` is the claimed time, absent when there is none.
    pub event: Event,
    /// How the claimed time was read; `None` when there is none or the record is JSON that says it itself.
    pub basis: Option<Basis>,
    /// What had to be changed in a JSON text to read it.
    pub anomalies: Anomalies,
}

impl Parsed {
    /// An empty result of `dataset`.
    pub fn new(dataset: impl Into<Value>) -> Self {
        let mut parsed = Self { event: Event::with_room(), ..Self::default() };
        parsed.event.set("event.dataset", dataset);
        parsed
    }

    /// Sets the claimed time.
    pub(crate) fn claim(&mut self, claimed: Option<Claimed>) {
        if let Some(claimed) = claimed {
            self.event.set("@timestamp", claimed.at.to_string());
            self.basis = Some(claimed.basis);
        }
    }

    /// Sets `name` unless `value` is an empty text.
    pub(crate) fn text(&mut self, name: impl Into<Name>, value: &str) {
        if !value.is_empty() {
            self.event.set(name, value);
        }
    }

    /// Sets `name` to a number, if `digits` is one that fits.
    pub(crate) fn number(&mut self, name: impl Into<Name>, digits: &str) {
        if let Ok(number) = digits.parse::<i64>() {
            self.event.set(name, number);
        }
    }

    /// Sets `name`.
    pub(crate) fn set(&mut self, name: impl Into<Name>, value: impl Into<Value>) {
        self.event.set(name, value);
    }

    /// Sets `name` unless it has a value.
    pub(crate) fn default_to(&mut self, name: impl Into<Name>, value: impl Into<Value>) {
        self.event.set_absent(name, value);
    }

    /// Sets `<side>.address`, and `<side>.ip` or `<side>.domain` by what it is.
    pub(crate) fn endpoint(&mut self, side: Side, host: &str) {
        let (address, ip, domain) = match side {
            Side::Source => ("source.address", "source.ip", "source.domain"),
            Side::Destination => ("destination.address", "destination.ip", "destination.domain"),
        };
        let bare = host.split_once('%').map_or(host, |(address, _zone)| address);
        self.text(address, host);
        match bare.parse::<std::net::IpAddr>() {
            Ok(found) => self.set(ip, found),
            Err(_) => self.text(domain, host),
        }
    }
}

/// The text of a record; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    // The check for whole UTF-8 is several times faster than the search for what to replace.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Which end of a connection an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Who began.
    Source,
    /// Who was asked.
    Destination,
}

/// Why a record is not what a parser reads. Its text goes into `error.message` of the unparsed event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing but white space.
    #[error("the record is empty")]
    Empty,
    /// No syslog header.
    #[error("not syslog: {0}")]
    Syslog(#[from] syslog::HeaderError),
    /// Broken JSON, or JSON that is not an object.
    #[error("{0}")]
    Json(#[from] dongson_event::ParseError),
    /// Well formed, but of another format.
    #[error("not a record of {0}")]
    Other(&'static str),
    /// No parser took it.
    #[error("no parser knows this record")]
    Unknown,
}

/// One format.
#[derive(Debug, Clone, Copy)]
pub struct Parser {
    /// The name that a source's settings use.
    pub name: &'static str,
    /// Reads one whole record.
    pub parse: fn(&[u8], &Context<'_>) -> Result<Parsed, Refusal>,
}

/// Every format we read. A new one is a line here and a folder in `tests/fixtures/`.
pub const PARSERS: &[Parser] = &[
    Parser { name: "auto", parse: auto::parse },
    Parser { name: "syslog", parse: syslog::parse },
    Parser { name: "sshd", parse: sshd::parse },
    Parser { name: "sudo", parse: sudo::parse },
    Parser { name: "auditd", parse: auditd::parse },
    Parser { name: "weblog", parse: weblog::parse },
    Parser { name: "json", parse: json::parse },
    Parser { name: "winlogbeat", parse: winlogbeat::parse },
    Parser { name: "zeek", parse: zeek::parse },
    Parser { name: "suricata", parse: suricata::parse },
];

/// The parser called `name`.
pub fn by_name(name: &str) -> Option<&'static Parser> {
    PARSERS.iter().find(|parser| parser.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn everyone(bytes: &[u8]) {
        let context = Context { received: Timestamp::UNIX_EPOCH, zone: &TimeZone::UTC };
        for parser in PARSERS {
            drop((parser.parse)(bytes, &context));
        }
    }

    proptest! {
        #[test]
        fn parsers_accept_any_bytes(bytes: Vec<u8>) {
            everyone(&bytes);
        }

        #[test]
        fn parsers_accept_any_text(text in "\\PC*") {
            everyone(text.as_bytes());
        }

        #[test]
        fn parsers_accept_text_that_looks_right(
            text in "(<[0-9]{1,3}>)?1? ?([A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} )?[a-z0-9.]{0,6} (sshd|sudo|audit|nginx)(\\[[0-9]{1,9}\\])?: [ -~é]{0,80}"
        ) {
            everyone(text.as_bytes());
        }

        #[test]
        fn parsers_accept_any_object(
            text in "\\{\"(@timestamp|winlog|event_type|_path|uid|message|ts)\":(\"[ -~&&[^\"\\\\]]{0,20}\"|[0-9]{1,30}(\\.[0-9]{1,4})?|\\{\"[a-z.]{0,5}\":[0-9]\\}|\\[1,\"a\"\\]|null)(,\"(id.orig_h|ts|query|conn_state|event_id|src_ip)\":(\"[0-9:.a-f]{0,12}\"|1))?\\}"
        ) {
            everyone(text.as_bytes());
        }
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::HashSet<_> = PARSERS.iter().map(|parser| parser.name).collect();
        assert_eq!(names.len(), PARSERS.len());
        assert!(PARSERS.iter().all(|parser| by_name(parser.name).is_some()));
    }
}
