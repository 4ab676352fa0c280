//! Rules over several events: counts and sequences of matches within a sliding window of event time.
//!
//! [`Definition`] is what a correlation rule says (Sigma correlation rules specification 2.1.0: `event_count`,
//! `value_count`, `temporal`, `temporal_ordered`); [`keyed`] turns a match into what correlations need to know of it;
//! [`Correlator`] is the state machine. It is told the time by its input, so that live traffic, replays and tests
//! run the same code, and its state can be saved as text.

mod definition;
mod state;
mod window;

use dongson_event::{Event, Timestamp};
use serde::{Deserialize, Serialize};

pub use definition::Definition;
pub use state::Correlator;

use crate::matcher::Matcher;

/// One match of a rule, as one correlation sees it. It can be sent to another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleMatchKeyed {
    /// Id of the correlation rule.
    pub correlation: String,
    /// The agency: groups never span agencies.
    pub scope: String,
    /// The values of the fields of `group-by`, with their names, in the rule's order.
    pub group: Vec<(String, String)>,
    /// Id of the rule that matched.
    pub base: String,
    /// For `value_count` the value to count; several fields are joined.
    pub value: Option<String>,
    /// Event time.
    pub at: Timestamp,
    /// `event.id`, for the evidence.
    pub event: String,
}

/// A correlation that was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrelationMatch {
    /// The correlation rule's number in its rule set.
    pub rule: usize,
    /// The agency.
    pub scope: String,
    /// The values of the fields of `group-by`, with their names.
    pub group: Vec<(String, String)>,
    /// How many events, values or different rules were counted.
    pub count: u64,
    /// Event time of the oldest event that counts.
    pub first: Timestamp,
    /// Event time of the event that completed it.
    pub last: Timestamp,
    /// Ids of the newest events that count, at most 32, oldest first.
    pub events: Vec<String>,
}

/// What the correlations that refer to rule number `base` need to know of its match on `event`.
///
/// A match without one of the fields of `group-by`, or without the value to count, is left out: it belongs to no
/// group. So is a match without a time.
pub fn keyed(matcher: &mut Matcher, event: &Event, base: usize) -> Vec<RuleMatchKeyed> {
    let rules = std::sync::Arc::clone(matcher.rules());
    let mut all = Vec::new();
    for definition in rules.correlations().iter().filter(|definition| definition.rules.contains(&base)) {
        let mut text = |field: &str| {
            let value = matcher.value(event, definition.field(field, base))?;
            let text = value.to_text().into_owned();
            (!text.is_empty()).then_some(text)
        };
        let group = definition
            .group_by
            .iter()
            .map(|field| Some((field.clone(), text(field)?)))
            .collect::<Option<Vec<_>>>();
        let values = definition.counted.iter().map(|field| text(field)).collect::<Option<Vec<_>>>();
        let (Some(group), Some(values), Some(at)) = (group, values, event.timestamp()) else { continue };
        all.push(RuleMatchKeyed {
            correlation: rules.rule(definition.number).map(|rule| rule.id.clone()).unwrap_or_default(),
            scope: event.organization().to_owned(),
            group,
            base: rules.rule(base).map(|rule| rule.id.clone()).unwrap_or_default(),
            value: (!values.is_empty()).then(|| values.join("\u{1f}")),
            at,
            event: event.id().to_owned(),
        });
    }
    all
}
