//! Rules over several events: counts, numbers and sequences of matches within a sliding window of event time.
//!
//! [`Definition`] is what a correlation rule says (Sigma correlation rules specification 2.1.0, with one marked
//! extension: boolean conditions over the rules of a `temporal` correlation); [`mod@keyed`] turns a match into what
//! correlations need to know of it; [`Progress`] knows up to when the sources have told everything, [`Sequencer`] puts
//! matches into the order of event time by it; [`Correlator`] is the state machine. All are told the time by their input, so that live traffic, replays and tests run the same code,
//! and the last two can be saved and restored at any position.

mod condition;
mod definition;
mod keyed;
mod order;
mod possible;
mod progress;
mod recall;
mod sample;
mod sequence;
mod state;
mod window;

use dongson_event::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use definition::rule_names;
pub use definition::{Definition, depths};
pub use keyed::{RuleMatchKeyed, is_shareable, keyed};
pub use order::{Disorder, Outline, Place, Room, Sequencer, Timed};
pub use progress::{Lateness, Progress, Told, Watermarks};
pub use state::{Correlator, Eviction, StateError};

/// The scope of correlations that count all agencies together; no agency has this id.
pub const PROVINCE: &str = "*";

/// A correlation that was reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorrelationMatch {
    /// The correlation rule's number in its rule set.
    pub rule: usize,
    /// The agency, or [`PROVINCE`].
    pub scope: String,
    /// The values of the fields of `group-by`, with their names.
    pub group: Vec<(String, String)>,
    /// How many events, different values, different rules or steps were counted.
    pub count: u64,
    /// For the types that measure a number: sum, mean, percentile, or share in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Event time of the oldest event that counts.
    pub first: Timestamp,
    /// Event time of the event that completed it.
    pub last: Timestamp,
    /// Ids of the newest events that count, at most 32, oldest first; of a sequence one for each step.
    pub events: Vec<String>,
    /// Where a window was judged because it was over: the newest match in it. Otherwise the match that was observed
    /// completed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Box<RuleMatchKeyed>>,
    /// What it is to the correlations that refer to it (chains): to be counted in turn, after what is older.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub onward: Vec<RuleMatchKeyed>,
}
