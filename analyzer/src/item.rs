//! What goes from the first stage to the second: one match that is an alert's own cause, or one match as a
//! correlation sees it.

use dongson_bus::Record;
use dongson_event::{Event, Matched, Signal, Timestamp, identity};
use dongson_rules::correlate::{PROVINCE, RuleMatchKeyed};
use dongson_rules::{CorrelationMatch, RuleSet};
use dongson_script::Seen;
use serde::{Deserialize, Serialize};

use crate::AnalyzerError;
use crate::detect::{Detector, blank};

/// Parts the agency from the drill session in a correlation's scope: a drill's matches never count together with
/// real ones.
const DRILL: char = '\u{1f}';

/// What a signal says of the event that completed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct About {
    /// When the collector took it.
    pub(crate) ingested: Timestamp,
    /// The monitored node.
    pub(crate) observer: String,
    /// Level of the asset that the event names.
    pub(crate) asset_level: u8,
    /// The drill session, if it came under one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) drill: Option<String>,
}

/// One record of the signals topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Item {
    /// A match that is reported.
    Signal(Box<Signal>),
    /// A match of a script's head.
    Script {
        /// What the script needs to know.
        seen: Box<Seen>,
        /// Of the event: for the signal, if the script raises one.
        about: About,
    },
    /// A match that a correlation counts.
    Counted {
        /// What the correlation needs to know.
        seen: Box<RuleMatchKeyed>,
        /// Of the event: for the signal, if this match completes the correlation.
        ingested: Timestamp,
        /// The monitored node.
        observer: String,
        /// Level of the asset that the event names.
        asset_level: u8,
    },
}

/// The items of one match.
pub(crate) fn items(
    rules: &RuleSet,
    rule: usize,
    signal: Signal,
    detector: &mut Detector,
    event: &Event,
) -> Vec<Item> {
    let counted = detector.keyed(event, rule).into_iter().map(|mut seen| {
        if let Some(drill) = &signal.drill {
            seen.scope = format!("{}{DRILL}{drill}", seen.scope);
        }
        Item::Counted {
            seen: Box::new(seen),
            ingested: signal.ingested,
            observer: signal.observer.clone(),
            asset_level: signal.asset_level,
        }
    });
    let mut items: Vec<Item> = counted.collect();
    if rules.rule(rule).is_some_and(|rule| rule.script) {
        items.extend(detector.seen(event, rule).map(|seen| script_item(seen, &signal)));
    }
    if rules.rule(rule).is_some_and(|rule| rule.reported) {
        items.push(Item::Signal(Box::new(signal)));
    }
    items
}

/// A drill's events never meet the states of real ones.
fn script_item(mut seen: Seen, signal: &Signal) -> Item {
    if let Some(drill) = &signal.drill {
        seen.scope = format!("{}{DRILL}{drill}", seen.scope);
    }
    let about = About {
        ingested: signal.ingested,
        observer: signal.observer.clone(),
        asset_level: signal.asset_level,
        drill: signal.drill.clone(),
    };
    Item::Script { seen: Box::new(seen), about }
}

impl Item {
    /// The record: keyed so that all that belongs together keeps its order.
    pub(crate) fn to_record(&self) -> Result<Record, AnalyzerError> {
        let (key, at) = match self {
            Self::Signal(signal) => (
                format!("{}\u{1f}{}\u{1f}{}", signal.organization, signal.entity.kind, signal.entity.value),
                signal.timestamp,
            ),
            Self::Script { seen, .. } => {
                (format!("{}\u{1f}{}\u{1f}{}", seen.scope, seen.script, seen.key.join("\u{1f}")), seen.at)
            }
            Self::Counted { seen, .. } => {
                let group: Vec<&str> = seen.group.iter().map(|(_, value)| value.as_str()).collect();
                (format!("{}\u{1f}{}\u{1f}{}", seen.scope, seen.correlation, group.join("\u{1f}")), seen.at)
            }
        };
        let value = serde_json::to_vec(self).map_err(AnalyzerError::Encode)?;
        Ok(Record::new(key.into_bytes(), value, at))
    }

    /// Reads a record.
    pub(crate) fn from_record(record: &Record) -> Result<Self, AnalyzerError> {
        serde_json::from_slice(&record.value).map_err(AnalyzerError::Encode)
    }

    /// The order in which state sees items: event time, then event id.
    pub(crate) fn order(&self) -> (Timestamp, &str) {
        match self {
            Self::Signal(signal) => (signal.timestamp, &signal.event_id),
            Self::Script { seen, .. } => (seen.at, &seen.event),
            Self::Counted { seen, .. } => (seen.at, &seen.event),
        }
    }
}

/// The signal of a correlation that `seen` completed; none where it only feeds another correlation.
pub(crate) fn completed(
    rules: &RuleSet,
    found: &CorrelationMatch,
    seen: &RuleMatchKeyed,
    ingested: Timestamp,
    observer: &str,
    asset_level: u8,
) -> Option<Signal> {
    let rule = rules.rule(found.rule).filter(|rule| rule.reported)?;
    let (organization, drill) = match found.scope.split_once(DRILL) {
        Some((organization, drill)) => (organization, Some(drill.to_owned())),
        None => (found.scope.as_str(), None),
    };
    // A correlation over all agencies is told to the one whose event completed it.
    let organization = if organization == PROVINCE { &seen.organization } else { organization }.to_owned();
    let names: Vec<&str> = found.group.iter().map(|(name, _)| name.as_str()).collect();
    let values: Vec<&str> = found.group.iter().map(|(_, value)| value.as_str()).collect();
    let matched = found.group.iter().map(|(name, value)| Matched {
        field: name.clone(),
        value: value.as_str().into(),
        selection: "group-by".to_owned(),
    });
    Some(Signal {
        id: identity::of_signal(&organization, &rule.id, &seen.event),
        event_id: seen.event.clone(),
        timestamp: found.last,
        ingested,
        observer: observer.to_owned(),
        entity: dongson_event::Entity { kind: names.join("+"), value: values.join("|") },
        asset_level,
        matched: matched.collect(),
        count: found.count,
        drill,
        ..blank(rule, organization)
    })
}
