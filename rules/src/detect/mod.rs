//! `detect`: rules over files of records, by the same engine that watches live events.
//!
//! ```no_run
//! # use std::{path::Path, sync::Arc};
//! # use dongson_rules::{LoadOptions, Mode, RuleSet, Taxonomies, detect};
//! # fn main() -> std::io::Result<()> {
//! let rules = RuleSet::load(&["rules".into()], &LoadOptions::default()).rules;
//! let mut detector = detect::Detector::new(Arc::new(rules), Arc::new(Taxonomies::embedded()), Mode::Auto);
//! for record in detect::open(Path::new("events.jsonl"))? {
//!     match record {
//!         Ok(record) => drop(detector.event("events.jsonl", record.number, record.event)),
//!         Err(bad) => drop(bad.to_string()),
//!     }
//! }
//! # Ok(()) }
//! ```

mod evtx;
mod reader;
mod time;

use std::sync::Arc;

use dongson_event::{Event, Level, Matched};
use serde::Serialize;

pub use evtx::unpack;
pub use reader::{BadRecord, Record, Records, open};

use crate::correlate::{self, Correlator};
use crate::matcher::{Match, Matcher};
use crate::ruleset::RuleSet;
use crate::taxonomy::{Mode, Taxonomies};

/// One rule that held on one record; printed as one line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    /// Line of the record, or its place in a JSON array, from 1.
    pub event: u64,
    /// Sigma's id of the rule.
    pub rule_id: String,
    /// Title of the rule.
    pub rule_title: String,
    /// Level of the rule.
    pub level: Level,
    /// The file with the record.
    pub file: String,
    /// When it happened, where the record says it: RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// For a correlation: how many events or values were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Why it held.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Matched>,
}

/// Runs rules over records, one after the other.
#[derive(Debug)]
pub struct Detector {
    matcher: Matcher,
    correlator: Correlator,
    mode: Mode,
    found: Vec<Match>,
}

impl Detector {
    /// A detector over `rules`.
    pub fn new(rules: Arc<RuleSet>, taxonomies: Arc<Taxonomies>, mode: Mode) -> Self {
        let correlator = Correlator::new(Arc::clone(&rules));
        Self { matcher: Matcher::new(rules, taxonomies, mode), correlator, mode, found: Vec::new() }
    }

    /// What holds on record `number` of `file`. Correlations count in the order of the records.
    pub fn event(&mut self, file: &str, number: u64, event: Event) -> Vec<Hit> {
        let event = time::dated(if self.mode == Mode::Auto { unpack(event) } else { event });
        self.found.clear();
        self.matcher.matches(&event, &mut self.found);
        if self.found.is_empty() {
            return Vec::new();
        }
        let rules = Arc::clone(self.matcher.rules());
        let timestamp = event.timestamp().map(|moment| moment.to_string());
        let hit = |rule: usize, count: Option<u64>, fields: Vec<Matched>| {
            rules.rule(rule).map(|rule| Hit {
                event: number,
                rule_id: rule.id.clone(),
                rule_title: rule.title.clone(),
                level: rule.level,
                file: file.to_owned(),
                timestamp: timestamp.clone(),
                count,
                fields,
            })
        };
        let mut hits = Vec::new();
        for found in std::mem::take(&mut self.found) {
            let keyed = correlate::keyed(&mut self.matcher, &event, found.rule);
            if rules.rule(found.rule).is_some_and(|rule| rule.reported) {
                hits.extend(hit(found.rule, None, found.because));
            }
            for one in keyed {
                for reached in self.correlator.observe_all(&one) {
                    // The inner correlations of a chain only feed the outer ones.
                    if rules.rule(reached.rule).is_some_and(|rule| rule.reported) {
                        hits.extend(hit(reached.rule, Some(reached.count), Vec::new()));
                    }
                }
            }
        }
        hits
    }
}
