//! Who is who: from a peer's address, an API key or a sensor's certificate to the [`Origin`] of its records.
//!
//! The sources of the registry are read again every few seconds. A syslog peer that no source matches belongs to the
//! agency `unassigned`: its records are taken, counted and shown, never lost.

use crate::intake::{Format, Origin};
use crate::parse::{self, Parser};
use dongson_event::authority::Principal;
use dongson_event::clock::ClockPolicy;
use dongson_event::fields::Setter;
use dongson_registry::{ApiKey, Registry, Scope, Sensor, Source, SourceKind};
use jiff::tz::TimeZone;
use std::net::IpAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

/// The agency of syslog peers that no source matches.
pub const UNASSIGNED: &str = "unassigned";
/// How long a sensor may have kept events on its disk.
const SENSOR_SPOOL: Duration = Duration::from_hours(24 * 30);
/// A sensor's clock that is less than so many milliseconds off is taken as right.
const CLOCK_NOISE_MS: u64 = 500;

/// Looks up origins.
#[derive(Debug)]
pub struct Directory {
    registry: Registry,
    zone: TimeZone,
    sources: RwLock<Arc<Vec<Source>>>,
}

impl Directory {
    /// Reads the sources; `zone` holds where the registry says nothing.
    pub async fn open(registry: Registry, zone: TimeZone) -> Result<Self, dongson_registry::Error> {
        let sources = registry.sources(&Scope::All).await?;
        Ok(Self { registry, zone, sources: RwLock::new(Arc::new(sources)) })
    }

    /// The registry behind it.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Reads the sources again.
    pub async fn refresh(&self) -> Result<(), dongson_registry::Error> {
        let fresh = Arc::new(self.registry.sources(&Scope::All).await?);
        if let Ok(mut sources) = self.sources.write() {
            *sources = fresh;
        }
        Ok(())
    }

    pub(crate) fn sources(&self) -> Arc<Vec<Source>> {
        self.sources.read().map(|sources| Arc::clone(&sources)).unwrap_or_default()
    }

    /// A syslog or RELP peer: the source that matches most narrowly, else [`UNASSIGNED`] with the peer's address.
    pub fn peer(&self, peer: IpAddr, listener: &str, certificate: Option<&str>) -> Origin {
        let wanted = if listener == "relp" { SourceKind::Relp } else { SourceKind::Syslog };
        let sources = self.sources();
        let found = sources
            .iter()
            .filter(|source| source.kind == wanted)
            .filter_map(|source| Some((source.matches(peer, listener, certificate)?, source)))
            .max_by_key(|(bits, source)| (source.certificate.is_some(), *bits, source.listener.is_some()));
        match found {
            Some((_, source)) => self.of_source(source, format!("syslog:{}", source.id), None),
            None => self.unassigned(peer, listener),
        }
    }

    fn unassigned(&self, peer: IpAddr, listener: &str) -> Origin {
        let address = peer.to_canonical();
        Origin {
            principal: Principal {
                id: format!("syslog:{listener}:{address}"),
                right: Setter::Source,
                organization: UNASSIGNED.to_owned(),
                observer: address.to_string(),
                drill: None,
            },
            source: None,
            format: Format::Records(by_content()),
            zone: self.zone.clone(),
            clock: ClockPolicy::default(),
            way: None,
        }
    }

    fn of_source(&self, source: &Source, id: String, drill: Option<String>) -> Origin {
        let parser = source.parser.as_deref().and_then(parse::by_name).unwrap_or_else(by_content);
        Origin {
            principal: Principal {
                id,
                right: Setter::Source,
                organization: source.organization.clone(),
                observer: source.name.clone(),
                drill,
            },
            source: Some(source.id.clone()),
            format: Format::Records(parser),
            zone: TimeZone::get(&source.time_zone).unwrap_or_else(|_| self.zone.clone()),
            clock: ClockPolicy {
                // The registry says what to add to the source's clock; the policy, how far it is ahead.
                offset_nanos: source.clock_offset_ms.saturating_mul(-1_000_000),
                ..ClockPolicy::default()
            },
            way: None,
        }
    }

    /// The holder of an API key, with the settings of the source that names the key.
    pub fn key(&self, key: &ApiKey, drill: Option<String>) -> Origin {
        let id = format!("key:{}", key.id);
        let sources = self.sources();
        let named = |source: &&Source| {
            source.api_key.as_deref() == Some(key.id.as_str()) && source.organization == key.organization
        };
        if let Some(source) = sources.iter().find(named) {
            return self.of_source(source, id, drill);
        }
        Origin {
            principal: Principal {
                id,
                right: Setter::Source,
                organization: key.organization.clone(),
                observer: key.source_name.clone(),
                drill,
            },
            source: None,
            format: Format::Records(by_content()),
            zone: self.zone.clone(),
            clock: ClockPolicy::default(),
            way: None,
        }
    }

    /// An enrolled sensor.
    pub fn sensor(&self, sensor: &Sensor, drill: Option<String>) -> Origin {
        Origin {
            principal: Principal {
                id: format!("sensor:{}", sensor.id),
                right: Setter::Sensor,
                organization: sensor.organization.clone(),
                observer: sensor.node.clone(),
                drill,
            },
            source: None,
            format: Format::Events,
            zone: TimeZone::UTC,
            clock: ClockPolicy {
                offset_nanos: clock_offset(sensor.health.as_ref()),
                longest_spool: SENSOR_SPOOL,
                ..ClockPolicy::default()
            },
            way: None,
        }
    }
}

/// How far a sensor's clock is ahead, in nanoseconds, as it measured that by ours and told in its health report. Zero
/// below [`CLOCK_NOISE_MS`] and where the measure may be half wrong.
fn clock_offset(health: Option<&serde_json::Value>) -> i64 {
    let told = |name| health.and_then(|health| health.get(name)).and_then(serde_json::Value::as_i64);
    match (told("clock_offset_ms"), told("clock_uncertainty_ms")) {
        (Some(offset), Some(uncertainty))
            if offset.unsigned_abs() >= CLOCK_NOISE_MS
                && uncertainty >= 0
                && uncertainty.unsigned_abs() <= offset.unsigned_abs() / 2 =>
        {
            offset.saturating_mul(1_000_000)
        }
        _ => 0,
    }
}

/// The parser that looks at the record; it is the first of the table.
fn by_content() -> &'static Parser {
    const AUTO: Parser = Parser { name: "auto", parse: parse::auto::parse };
    parse::by_name("auto").unwrap_or(&AUTO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sensors_clock_counts_when_it_is_surely_off() {
        let check = |offset: i64, uncertainty: i64, expected: i64| {
            let health =
                serde_json::json!({ "clock_offset_ms": offset, "clock_uncertainty_ms": uncertainty });
            assert_eq!(clock_offset(Some(&health)), expected, "{offset} {uncertainty}");
        };
        check(-90_000, 20, -90_000_000_000);
        check(499, 1, 0);
        check(1_000, 501, 0);
        check(1_000, -1, 0);
        check(i64::MIN, 1, i64::MIN);
        assert_eq!(clock_offset(Some(&serde_json::json!({ "clock_offset_ms": null }))), 0);
        assert_eq!(clock_offset(None), 0);
    }
}
