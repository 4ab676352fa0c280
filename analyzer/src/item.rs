//! What goes from the first stage to the second: one match that is an alert's own cause, one match as a correlation or
//! a script sees it, or how far the sources have told.

use std::collections::BTreeMap;

use dongson_bus::{Record, partition_of};
use dongson_event::{Event, Matched, Signal, Timestamp, identity};
use dongson_rules::correlate::{PROVINCE, Place, RuleMatchKeyed, Timed, Told, Watermarks};
use dongson_rules::{CorrelationMatch, RuleSet, signal};
use dongson_script::Seen;
use serde::{Deserialize, Serialize};

use crate::AnalyzerError;
use crate::detect::Detector;

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
    /// How far the sources have told in some partitions of the events; stands in every partition of the signals. Of all
    /// parts together come the watermarks of level 0.
    Told {
        /// How many parts there are: partitions of the topics that the first stage reads.
        of: u32,
        /// How far a source may be behind the newest of its agency, in seconds, before nobody waits for it.
        behind_seconds: u64,
        /// The parts that whoever tells it reads, by their numbers.
        parts: BTreeMap<u32, Told>,
    },
    /// Up to when everything was told; stands in every partition.
    Watermarks {
        /// How deep in chains the correlations stand whose input is complete. 0, which is what events lead to: as earlier
        /// versions told it, where one process read all partitions.
        level: u8,
        /// The partition that tells it.
        from: u32,
        /// By the clock of the input, in nanoseconds since 1970.
        number: u64,
        /// The moments, by agency.
        marks: Watermarks,
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
            Self::Told { .. } | Self::Watermarks { .. } => (String::new(), Timestamp::default()),
        };
        self.keyed_record(key, at)
    }

    /// The same record for each of the topic's partitions.
    pub(crate) fn to_every_partition(&self, partitions: u32) -> Result<Vec<Record>, AnalyzerError> {
        let record = |partition| self.keyed_record(key_of(partition, partitions), Timestamp::default());
        (0..partitions).map(record).collect()
    }

    fn keyed_record(&self, key: String, at: Timestamp) -> Result<Record, AnalyzerError> {
        let value = serde_json::to_vec(self).map_err(AnalyzerError::Encode)?;
        Ok(Record::new(key.into_bytes(), value, at))
    }

    /// Reads a record.
    pub(crate) fn from_record(record: &Record) -> Result<Self, AnalyzerError> {
        serde_json::from_slice(&record.value).map_err(AnalyzerError::Encode)
    }
}

/// A key that belongs to `partition`.
fn key_of(partition: u32, partitions: u32) -> String {
    let keys = (0_u32..=u32::MAX).map(|number| format!("watermarks-{number}"));
    // Keys spread over all partitions, so that one is found soon.
    let mut own = keys.filter(|key| partition_of(key.as_bytes(), partitions) == partition);
    own.next().unwrap_or_default()
}

/// What waits for its turn does so by the time of its event, or by when that was taken in if the source's clock is ahead.
impl Timed for Item {
    fn scope(&self) -> &str {
        match self {
            Self::Signal(signal) => &signal.organization,
            Self::Script { seen, .. } => &seen.scope,
            Self::Counted { seen, .. } => &seen.scope,
            Self::Told { .. } | Self::Watermarks { .. } => "",
        }
    }

    fn place(&self) -> Place {
        let taken = |at: Timestamp, ingested: Timestamp| {
            if ingested == Timestamp::default() { at } else { at.min(ingested) }
        };
        match self {
            Self::Signal(signal) => Place {
                at: taken(signal.timestamp, signal.ingested),
                event: signal.event_id.clone(),
                rule: signal.rule_id.clone(),
                base: String::new(),
            },
            Self::Script { seen, about } => Place {
                at: taken(seen.at, about.ingested),
                event: seen.event.clone(),
                rule: seen.script.clone(),
                base: String::new(),
            },
            Self::Counted { seen, ingested, .. } => Place { at: taken(seen.at, *ingested), ..seen.place() },
            Self::Told { .. } | Self::Watermarks { .. } => Place {
                at: Timestamp::default(),
                event: String::new(),
                rule: String::new(),
                base: String::new(),
            },
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
        ..signal::blank(rule, organization)
    })
}

/// The signal of a window that was judged because it was over: of its newest match, whose asset is no longer known.
pub(crate) fn closed(rules: &RuleSet, found: &CorrelationMatch) -> Option<Signal> {
    let newest = found.closed.as_ref()?;
    completed(rules, found, newest, newest.at, &newest.source, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_reaches_every_partition() {
        let marks = [("xa-a", Timestamp::from_seconds(7))].into_iter().collect();
        let item = Item::Watermarks { level: 0, from: 0, number: 1, marks };
        for partitions in [1, 3, 8, 256] {
            let records = item.to_every_partition(partitions).unwrap();
            let reached: Vec<u32> = records.iter().map(|one| partition_of(&one.key, partitions)).collect();
            assert_eq!(reached, (0..partitions).collect::<Vec<_>>());
            assert_eq!(Item::from_record(&records[0]).unwrap(), item);
        }
    }
}
