//! What detection gives: signals (one rule on one event, or one correlation) and alerts (signals of one rule and one
//! entity within one window).

use serde::{Deserialize, Serialize};

use crate::{Timestamp, Value};

/// Sigma's levels, from the least to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth counting, not worth waking anybody.
    Informational,
    /// Rarely an attack.
    Low,
    /// Should be looked at within the shift.
    Medium,
    /// Should be looked at soon.
    High,
    /// Should be looked at at once.
    Critical,
}

impl Level {
    /// All levels, from the least to the worst.
    pub const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word of the Sigma specification.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// From Sigma's word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == word)
    }

    /// What it adds to a risk score: 5, 20, 40, 70 or 100.
    pub const fn weight(self) -> u32 {
        match self {
            Self::Informational => 5,
            Self::Low => 20,
            Self::Medium => 40,
            Self::High => 70,
            Self::Critical => 100,
        }
    }
}

/// What an alert is about. Addresses that are private, hosts and users belong to the organization of the alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entity {
    /// The name of the field it comes from: `source.ip`, `host.name`, `user.name`...; several joined by `+`.
    pub kind: String,
    /// The value; several joined by `|`.
    pub value: String,
}

/// One field that made a rule hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matched {
    /// The name of the field in the event; empty for a keyword over the whole event.
    pub field: String,
    /// The value that matched.
    pub value: Value,
    /// The selection of the rule that it satisfied.
    pub selection: String,
}

/// One rule that held on one event, or one correlation that was reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Hash of (organization, rule, event): [`crate::identity::of_signal`].
    pub id: String,
    /// The agency.
    pub organization: String,
    /// Sigma's id of the rule.
    pub rule_id: String,
    /// English title of the rule.
    pub title: String,
    /// Vietnamese title of the rule.
    pub title_vi: String,
    /// Sigma's level.
    pub level: Level,
    /// ATT&CK tags as Sigma writes them: `attack.t1110`.
    pub tags: Vec<String>,
    /// The event that caused it; of a correlation the one that completed it.
    pub event_id: String,
    /// Held time of that event.
    pub timestamp: Timestamp,
    /// When the collector took that event.
    pub ingested: Timestamp,
    /// The monitored node.
    pub observer: String,
    /// What it is about.
    pub entity: Entity,
    /// Length of the grouping window in seconds.
    pub window_seconds: u32,
    /// Highest level (1 to 5) of an asset that the event names; 0 when none is known.
    pub asset_level: u8,
    /// Why it held.
    pub matched: Vec<Matched>,
    /// For a correlation: how many events (or values) were counted; 1 for a single match.
    pub count: u64,
    /// The drill session, if the event came under one.
    pub drill: Option<String>,
}

/// Signals of one rule about one entity within one window on the grid of event time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Hash of (organization, rule, entity, window start): [`crate::identity::of_alert`].
    pub id: String,
    /// Start of the window on the grid.
    pub window_start: Timestamp,
    /// The first signal that was seen of it.
    pub signal: Signal,
    /// 0 to 100: the level's weight, raised by the asset's level.
    pub risk: u8,
}

impl Alert {
    /// The alert that `signal` belongs to.
    pub fn of(signal: Signal) -> Self {
        let window = std::time::Duration::from_secs(u64::from(signal.window_seconds.max(1)));
        let window_start = signal.timestamp.grid(window);
        // A drill's alerts stay apart from real ones about the same entity.
        let id = crate::identity::of_alert(
            &signal.organization,
            &signal.rule_id,
            &[
                &signal.entity.kind,
                &signal.entity.value,
                &window_start.to_string(),
                signal.drill.as_deref().unwrap_or_default(),
            ],
        );
        let raised = signal.level.weight() * (10 + u32::from(signal.asset_level.min(5))) / 15;
        Self { id, window_start, risk: u8::try_from(raised.min(100)).unwrap_or(100), signal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_order() {
        for level in Level::ALL {
            assert_eq!(Level::parse(level.as_str()), Some(level));
        }
        assert!(Level::Critical > Level::High);
        assert_eq!(Level::parse("severe"), None);
    }
}
