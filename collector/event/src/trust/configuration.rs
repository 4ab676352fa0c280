//! What a sensor is to do: one document for all sensors, one for an agency's, one for a sensor; the narrower wins, setting
//! by setting.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::envelope::read_json;
use super::{Purpose, Trust, TrustError};
use crate::Timestamp;
use crate::trust::Envelope;

/// Longest filter in bytes.
pub const MAX_FILTER_BYTES: usize = 4_096;

/// The kinds of events that a sensor tells, by the names of `run --only`.
pub const KINDS: [&str; 7] = ["conn", "dns", "http", "tls", "x509", "file", "services"];

/// Whom a document is for: `all`, `organization:ID` or `sensor:ID` as text. Ordered from wide to narrow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Every sensor of the centre.
    All,
    /// The sensors of an agency.
    Organization(String),
    /// One sensor, by its id.
    Sensor(String),
}

impl Target {
    /// Whether it means the sensor `sensor` of `organization`.
    pub fn covers(&self, organization: &str, sensor: &str) -> bool {
        match self {
            Self::All => true,
            Self::Organization(id) => id == organization,
            Self::Sensor(id) => id == sensor,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => out.write_str("all"),
            Self::Organization(id) => write!(out, "organization:{id}"),
            Self::Sensor(id) => write!(out, "sensor:{id}"),
        }
    }
}

impl FromStr for Target {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        let fine = |id: &&str| {
            let sign =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
            (1..=64).contains(&id.len()) && id.bytes().all(sign)
        };
        let kinds = [
            ("organization:", Self::Organization as fn(String) -> Self),
            ("sensor:", Self::Sensor as fn(String) -> Self),
        ];
        if text == "all" {
            return Ok(Self::All);
        }
        let found = kinds
            .iter()
            .find_map(|(head, make)| text.strip_prefix(head).filter(fine).map(|id| make(id.to_owned())));
        let short: String = text.chars().take(80).collect();
        found.ok_or(TrustError::Malformed {
            what: "a target",
            reason: format!("{short:?} is not all, organization:ID or sensor:ID"),
        })
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// What to do about transport checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Checksum {
    /// A packet with a wrong one is noted in the flow's history and not counted.
    Verify,
    /// They are not looked at: for machines whose card computes them after the capture.
    Ignore,
}

/// Settings of a sensor; what is absent is left to the wider document, and at last to the sensor's command line.
///
/// A setting that a sensor does not know makes it refuse the document and say so: an old sensor never passes for one that
/// does what was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Which frames are captured, as `run --filter` takes it; an empty text: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Only events of these kinds, as `run --only` takes them; an empty list: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<String>>,
    /// No events of these kinds, as `run --without` takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without: Option<Vec<String>>,
    /// Most flows that are live at once, of each capturing thread: 1,000 to 100,000,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_flows: Option<u32>,
    /// Transport checksums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksums: Option<Checksum>,
    /// Name of the monitored point, for `observer.name`: 1 to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observer: Option<String>,
    /// Most MiB of the disk for events that wait for the collector: 16 to 1,048,576.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spool_mib: Option<u64>,
    /// Most MiB that are sent to the collector in a day (UTC): 1 to 1,048,576; 0: as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_mib: Option<u64>,
    /// The inputs of the sensor's relay that are on, by their names; the others are off. At most 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Vec<String>>,
}

impl Configuration {
    /// This one, and below it `wider` where this one says nothing.
    #[must_use]
    pub fn over(self, wider: Self) -> Self {
        Self {
            filter: self.filter.or(wider.filter),
            only: self.only.or(wider.only),
            without: self.without.or(wider.without),
            max_flows: self.max_flows.or(wider.max_flows),
            checksums: self.checksums.or(wider.checksums),
            observer: self.observer.or(wider.observer),
            spool_mib: self.spool_mib.or(wider.spool_mib),
            daily_mib: self.daily_mib.or(wider.daily_mib),
            relay: self.relay.or(wider.relay),
        }
    }

    /// Refuses numbers and texts out of range: the name of the setting, and what it must be. Whether the filter is one, the
    /// caller has to ask who knows (`dongson-filter`).
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let control = |text: &String| text.chars().any(char::is_control);
        if self.filter.as_ref().is_some_and(|text| text.len() > MAX_FILTER_BYTES || control(text)) {
            return Err(("filter", "must be at most 4096 bytes without control characters"));
        }
        let unknown =
            |names: &Option<Vec<String>>| names.iter().flatten().any(|name| !KINDS.contains(&name.as_str()));
        for (setting, names) in [("only", &self.only), ("without", &self.without)] {
            if unknown(names) || names.as_ref().is_some_and(|names| names.len() > KINDS.len()) {
                return Err((setting, "must be some of conn, dns, http, tls, x509, file and services"));
            }
        }
        if self.max_flows.is_some_and(|flows| !(1_000..=100_000_000).contains(&flows)) {
            return Err(("max_flows", "must be 1000 to 100000000"));
        }
        let named = |text: &String| (1..=200).contains(&text.trim().chars().count()) && !control(text);
        if self.observer.as_ref().is_some_and(|text| !named(text)) {
            return Err(("observer", "must be 1 to 200 characters without control characters"));
        }
        if self.spool_mib.is_some_and(|mib| !(16..=1 << 20).contains(&mib)) {
            return Err(("spool_mib", "must be 16 to 1048576"));
        }
        if self.daily_mib.is_some_and(|mib| mib > 1 << 20) {
            return Err(("daily_mib", "must be 0 (no budget) to 1048576"));
        }
        let input = |name: &String| {
            let sign = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
            (1..=40).contains(&name.len()) && name.bytes().all(sign)
        };
        if self.relay.as_ref().is_some_and(|names| names.len() > 16 || !names.iter().all(input)) {
            return Err(("relay", "must be at most 16 names of inputs, each 1 to 40 of a-z, 0-9, - and _"));
        }
        Ok(())
    }
}

/// Desired state for a target, payload of an envelope of [`Purpose::Configuration`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directive {
    /// Whom it is for.
    pub target: Target,
    /// Goes up with every change for the target; the sum over a sensor's documents is its wanted version, which goes up with
    /// each of them.
    pub version: u64,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// Who set it: an account's id, or `service:NAME`.
    pub set_by: String,
    /// The settings.
    pub configuration: Configuration,
}

impl Directive {
    /// The directive of an envelope that `trust` takes, when it is for this sensor and not older than `newest`, the
    /// version that was taken for the same target before.
    pub fn verify(
        trust: &Trust,
        envelope: &Envelope,
        (organization, sensor): (&str, &str),
        newest: impl FnOnce(&Target) -> u64,
        now: Timestamp,
    ) -> Result<Self, TrustError> {
        let verified = trust.verify(Purpose::Configuration, envelope, now)?;
        let directive: Self = read_json("the desired state", verified.payload)?;
        if !directive.target.covers(organization, sensor) {
            return Err(TrustError::NotForUs(directive.target.to_string()));
        }
        let present = newest(&directive.target);
        if directive.version < present {
            let what = format!("the desired state for {}", directive.target);
            return Err(TrustError::Older { what, present, given: directive.version });
        }
        if let Err((name, reason)) = directive.configuration.check() {
            return Err(TrustError::Malformed {
                what: "the desired state",
                reason: format!("{name} {reason}"),
            });
        }
        Ok(directive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::{Root, SigningKey};

    #[test]
    fn targets() {
        for text in ["all", "organization:xa-a", "sensor:0190-x"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for bad in ["", "sensor:", "sensor:A", "organization:a b", "everyone", "sensor:../x"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
        let agency = Target::Organization("a".to_owned());
        assert!(agency.covers("a", "s") && !agency.covers("b", "s"));
        assert!(Target::All < agency && agency < Target::Sensor("s".to_owned()));
    }

    #[test]
    fn the_narrower_wins_setting_by_setting() {
        let wide = Configuration {
            filter: Some("tcp".to_owned()),
            spool_mib: Some(100),
            ..Configuration::default()
        };
        let narrow = Configuration { filter: Some(String::new()), ..Configuration::default() };
        let both = narrow.over(wide);
        assert_eq!((both.filter.as_deref(), both.spool_mib), (Some(""), Some(100)));
    }

    #[test]
    fn ranges_are_named() {
        let check = |text: &str| {
            let read: Configuration = serde_json::from_str(text).unwrap();
            read.check().err().map(|(name, _)| name)
        };
        assert_eq!(check("{}"), None);
        assert_eq!(check(r#"{"max_flows":999}"#), Some("max_flows"));
        assert_eq!(check(r#"{"observer":" "}"#), Some("observer"));
        assert_eq!(check(r#"{"spool_mib":1}"#), Some("spool_mib"));
        assert_eq!(check(r#"{"daily_mib":0,"relay":["firewall"]}"#), None);
        assert_eq!(check(r#"{"daily_mib":1048577}"#), Some("daily_mib"));
        assert_eq!(check(r#"{"relay":["A"]}"#), Some("relay"));
        assert_eq!(check(r#"{"only":["conn","dsn"]}"#), Some("only"));
        assert_eq!(
            check(r#"{"without":["dns","dns","dns","dns","dns","dns","dns","dns"]}"#),
            Some("without")
        );
        assert_eq!(check(r#"{"filter":"a\u0001"}"#), Some("filter"));
        assert!(serde_json::from_str::<Configuration>(r#"{"fliter":"tcp"}"#).is_err());
    }

    #[test]
    fn only_what_is_ours_and_not_older_is_taken() {
        let key = |seed| SigningKey::from_seed([seed; 32]).unwrap();
        let root = Root::new(1, Timestamp::from_seconds(1_000)).with(Purpose::Root, 1, &[key(1).public()]);
        let root = root.with(Purpose::Configuration, 1, &[key(2).public()]);
        let trust = Trust::begin(&Envelope::sign_json(Purpose::Root, &root, &key(1)).unwrap()).unwrap();
        let directive = |target: &str, version| Directive {
            target: target.parse().unwrap(),
            version,
            issued_at: Timestamp::from_seconds(1),
            set_by: "test".to_owned(),
            configuration: Configuration::default(),
        };
        let verify = |directive: &Directive, newest: u64| {
            let envelope = Envelope::sign_json(Purpose::Configuration, directive, &key(2)).unwrap();
            let now = Timestamp::from_seconds(2);
            Directive::verify(&trust, &envelope, ("a", "s"), |_| newest, now)
        };
        assert_eq!(verify(&directive("sensor:s", 5), 5).unwrap().version, 5);
        let older = verify(&directive("sensor:s", 4), 5).unwrap_err();
        assert!(matches!(older, TrustError::Older { present: 5, given: 4, .. }), "{older}");
        for other in ["sensor:t", "organization:b"] {
            assert_eq!(verify(&directive(other, 9), 5), Err(TrustError::NotForUs(other.to_owned())));
        }
        let mut wrong = directive("all", 6);
        wrong.configuration.spool_mib = Some(1);
        assert!(matches!(verify(&wrong, 5), Err(TrustError::Malformed { .. })));
    }
}
