//! Who may say what: fields that only the collector or the analyzer may set are taken from the authenticated
//! principal; what a client claims for them moves to `dongson.claimed.*`, so nothing is lost and nothing believed.

use crate::fields::{self, Setter};
use crate::{Event, Name, Timestamp, clock};

/// Who sent a record, as authentication found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Stable name: `sensor:<id>`, `key:<id>`, `syslog:<source id>`.
    pub id: String,
    /// What it may set: [`Setter::Sensor`] for an enrolled sensor, else [`Setter::Source`].
    pub right: Setter,
    /// The agency that it belongs to.
    pub organization: String,
    /// The monitored node or the log source that it stands for.
    pub observer: String,
    /// The drill session under which it sends, if it does.
    pub drill: Option<String>,
}

const CLAIMED: &str = "dongson.claimed.";

/// Moves what `right` may not set to `dongson.claimed.*`; answers how many fields were moved. The claimed time stays:
/// [`clock::stamp`] corrects and clamps it, and keeps it beside.
pub fn disclaim(event: &mut Event, right: Setter) -> usize {
    let setter = |name: &Name| {
        let listed = name.field().map(|field| field.setter);
        listed.unwrap_or_else(|| fields::setter_of_unlisted(name.as_str()))
    };
    let forbidden: Vec<Name> = event
        .named()
        .filter(|(name, _)| setter(name) > right && name.as_str() != "@timestamp")
        .map(|(name, _)| name.clone())
        .collect();
    for name in &forbidden {
        if let Some(value) = event.remove(name.as_str()) {
            event.merge(format!("{CLAIMED}{name}"), value);
        }
    }
    forbidden.len()
}

/// Makes a parsed record an event of Dongson: claims moved away, identity and the three times set from what we know.
/// Answers how many claims were moved.
pub fn admit(
    event: &mut Event,
    principal: &Principal,
    event_id: uuid::Uuid,
    ingested: Timestamp,
    policy: &clock::ClockPolicy,
) -> usize {
    let moved = disclaim(event, principal.right);
    clock::stamp(event, ingested, policy);
    event.set("event.id", event_id.to_string());
    event.set("organization.id", principal.organization.as_str());
    event.set("observer.name", principal.observer.as_str());
    event.set("dongson.principal", principal.id.as_str());
    event.set_some("dongson.drill", principal.drill.as_deref());
    moved
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    #[test]
    fn forged_identity_is_kept_as_a_claim() {
        let (mut event, anomalies) = Event::parse(
            br#"{"organization.id":"so-y-te","organization":{"id":"other"},"observer.name":"x","event":{"id":"1"},
                "dongson.drill":"d","dongson.claimed.event.id":"z","@timestamp":"1970-01-01T00:00:00Z","message":"m"}"#,
        )
        .unwrap();
        assert_eq!(anomalies.duplicate_names, 1);
        let principal = Principal {
            id: "key:7".into(),
            right: Setter::Source,
            organization: "xa-a".into(),
            observer: "portal".into(),
            drill: None,
        };
        let now = Timestamp::from_seconds(1_795_000_000);
        let id = crate::identity::of_client("key:7", "a", 0);
        admit(&mut event, &principal, id, now, &clock::ClockPolicy::default());
        assert_eq!(event.organization(), "xa-a");
        assert_eq!(event.text("observer.name"), Some("portal"));
        assert_eq!(event.id(), id.to_string());
        assert_eq!(event.get("dongson.drill"), None);
        assert_eq!(event.text("dongson.claimed.dongson.drill"), Some("d"));
        assert_eq!(event.text("dongson.claimed.dongson.claimed.event.id"), Some("z"));
        assert_eq!(
            event.get("dongson.claimed.organization.id"),
            Some(&Value::List(vec!["so-y-te".into(), "other".into()]))
        );
        assert_eq!(event.text("message"), Some("m"));
        assert_eq!(event.timestamp(), Some(now.minus(clock::ClockPolicy::default().longest_spool)));
        assert_eq!(event.text("dongson.time.claimed"), Some("1970-01-01T00:00:00Z"));
        assert_eq!(event.text("dongson.time.basis"), Some("clamped-past"));
    }

    #[test]
    fn a_sensor_may_say_more_than_a_source() {
        let mut event = Event::new();
        event.set("network.community_id", "1:x");
        event.set("dongson.conn.state", "SF");
        assert_eq!(disclaim(&mut event, Setter::Sensor), 0);
    }
}
