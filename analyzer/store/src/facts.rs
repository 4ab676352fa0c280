//! Signals and alerts as rows.

use clickhouse::Row;
use dongson_event::{Alert, Entity, Level, Matched, Signal, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Result, StoreError};

/// A row of `dongson.signals`.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
pub(crate) struct SignalRow {
    signal_id: String,
    alert_id: String,
    organization_id: String,
    rule_id: String,
    title: String,
    title_vi: String,
    level: String,
    tags: Vec<String>,
    event_id: String,
    timestamp: i64,
    ingested: i64,
    observer_name: String,
    entity_kind: String,
    entity_value: String,
    window_seconds: u32,
    asset_level: u8,
    matched: String,
    count: u64,
    drill: Option<String>,
}

impl SignalRow {
    /// The row of a signal, with the id of the alert it belongs to.
    pub(crate) fn of(signal: &Signal) -> Result<Self> {
        let matched = serde_json::to_string(&signal.matched)
            .map_err(|error| StoreError::Unreadable(error.to_string()))?;
        Ok(Self {
            signal_id: signal.id.clone(),
            alert_id: Alert::of(signal.clone()).id,
            organization_id: signal.organization.clone(),
            rule_id: signal.rule_id.clone(),
            title: signal.title.clone(),
            title_vi: signal.title_vi.clone(),
            level: signal.level.as_str().to_owned(),
            tags: signal.tags.clone(),
            event_id: signal.event_id.clone(),
            timestamp: signal.timestamp.nanos(),
            ingested: signal.ingested.nanos(),
            observer_name: signal.observer.clone(),
            entity_kind: signal.entity.kind.clone(),
            entity_value: signal.entity.value.clone(),
            window_seconds: signal.window_seconds,
            asset_level: signal.asset_level,
            matched,
            count: signal.count,
            drill: signal.drill.clone(),
        })
    }

    /// The signal of a row.
    pub(crate) fn into_signal(self) -> Result<Signal> {
        let unknown = || StoreError::Unreadable(format!("level {:?}", self.level));
        let matched: Vec<Matched> =
            serde_json::from_str(&self.matched).map_err(|error| StoreError::Unreadable(error.to_string()))?;
        Ok(Signal {
            level: Level::parse(&self.level).ok_or_else(unknown)?,
            matched,
            id: self.signal_id,
            organization: self.organization_id,
            rule_id: self.rule_id,
            title: self.title,
            title_vi: self.title_vi,
            tags: self.tags,
            event_id: self.event_id,
            timestamp: Timestamp::from_nanos(self.timestamp),
            ingested: Timestamp::from_nanos(self.ingested),
            observer: self.observer_name,
            entity: Entity { kind: self.entity_kind, value: self.entity_value },
            window_seconds: self.window_seconds,
            asset_level: self.asset_level,
            count: self.count,
            drill: self.drill,
        })
    }
}

/// A row of `dongson.alerts`: what is the alert's own, then its first signal.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
pub(crate) struct AlertRow {
    alert_id: String,
    window_start: i64,
    risk: u8,
    signal_id: String,
    organization_id: String,
    rule_id: String,
    title: String,
    title_vi: String,
    level: String,
    tags: Vec<String>,
    event_id: String,
    timestamp: i64,
    ingested: i64,
    observer_name: String,
    entity_kind: String,
    entity_value: String,
    window_seconds: u32,
    asset_level: u8,
    matched: String,
    count: u64,
    drill: Option<String>,
}

impl AlertRow {
    /// The row of an alert.
    pub(crate) fn of(alert: &Alert) -> Result<Self> {
        let signal = SignalRow::of(&alert.signal)?;
        Ok(Self {
            alert_id: alert.id.clone(),
            window_start: alert.window_start.nanos(),
            risk: alert.risk,
            signal_id: signal.signal_id,
            organization_id: signal.organization_id,
            rule_id: signal.rule_id,
            title: signal.title,
            title_vi: signal.title_vi,
            level: signal.level,
            tags: signal.tags,
            event_id: signal.event_id,
            timestamp: signal.timestamp,
            ingested: signal.ingested,
            observer_name: signal.observer_name,
            entity_kind: signal.entity_kind,
            entity_value: signal.entity_value,
            window_seconds: signal.window_seconds,
            asset_level: signal.asset_level,
            matched: signal.matched,
            count: signal.count,
            drill: signal.drill,
        })
    }

    /// The alert of a row.
    pub(crate) fn into_alert(self) -> Result<Alert> {
        let signal = SignalRow {
            signal_id: self.signal_id,
            alert_id: self.alert_id.clone(),
            organization_id: self.organization_id,
            rule_id: self.rule_id,
            title: self.title,
            title_vi: self.title_vi,
            level: self.level,
            tags: self.tags,
            event_id: self.event_id,
            timestamp: self.timestamp,
            ingested: self.ingested,
            observer_name: self.observer_name,
            entity_kind: self.entity_kind,
            entity_value: self.entity_value,
            window_seconds: self.window_seconds,
            asset_level: self.asset_level,
            matched: self.matched,
            count: self.count,
            drill: self.drill,
        };
        Ok(Alert {
            id: self.alert_id,
            window_start: Timestamp::from_nanos(self.window_start),
            risk: self.risk,
            signal: signal.into_signal()?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use dongson_event::Value;

    pub(crate) fn signal() -> Signal {
        Signal {
            id: "s1".to_owned(),
            organization: "so-yte".to_owned(),
            rule_id: "r1".to_owned(),
            title: "SSH brute force".to_owned(),
            title_vi: "Dò mật khẩu SSH".to_owned(),
            level: Level::High,
            tags: vec!["attack.t1110".to_owned()],
            event_id: "e1".to_owned(),
            timestamp: Timestamp::from_nanos(1_790_000_000_123_456_789),
            ingested: Timestamp::from_millis(1_790_000_001_000),
            observer: "nut-1".to_owned(),
            entity: Entity { kind: "source.ip".to_owned(), value: "10.0.0.1".to_owned() },
            window_seconds: 3_600,
            asset_level: 3,
            matched: vec![Matched {
                field: "event.outcome".to_owned(),
                value: Value::from("failure"),
                selection: "selection".to_owned(),
            }],
            count: 7,
            drill: None,
        }
    }

    #[test]
    fn alerts_come_back_whole() {
        let alert = Alert::of(signal());
        assert_eq!(AlertRow::of(&alert).unwrap().into_alert().unwrap(), alert);
        assert_eq!(SignalRow::of(&alert.signal).unwrap().alert_id, alert.id);
    }
}
