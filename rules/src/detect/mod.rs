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
mod hits;
mod merge;
mod reader;
mod run;
mod scan;
mod time;

use std::sync::Arc;

use dongson_event::{Event, Level, Matched, Timestamp};
use serde::Serialize;

pub use evtx::unpack;
pub use merge::{Merger, Wanted};
pub use reader::{BadRecord, Record, Records, Texts, open};
pub use run::{Plan, Sink, Totals, run};
pub use scan::{Costs, Found, Job, Scanner, Source, Work};

use crate::engine::{Engine, Tuner};
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
    #[serde(serialize_with = "as_text")]
    pub file: Arc<str>,
    /// When it happened, where the record says it: RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// The host that the record tells about, where it names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// For a correlation: how many events or values were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Why it held; of a correlation the values of the fields that it groups by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Matched>,
    /// The rule's number in its rule set.
    #[serde(skip)]
    pub rule: usize,
    /// When it happened, as a number.
    #[serde(skip)]
    pub moment: Option<Timestamp>,
}

fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// Runs rules over records, one after the other.
#[derive(Debug)]
pub struct Detector {
    scanner: Scanner,
    merger: Merger,
    file: Arc<str>,
}

impl Detector {
    /// A detector over `rules`.
    pub fn new(rules: Arc<RuleSet>, taxonomies: Arc<Taxonomies>, mode: Mode) -> Self {
        let merger = Merger::new(Arc::clone(&rules), Wanted::default());
        let engine = Arc::new(Engine::new(rules, taxonomies, mode, None));
        Self { scanner: Scanner::new(Arc::new(Tuner::new(engine)), false), merger, file: Arc::from("") }
    }

    /// No record comes any more: what correlations find in windows that were still open.
    pub fn end(&mut self) -> Vec<Hit> {
        let mut hits = Vec::new();
        let outcome = self.merger.end(&mut |hit| {
            hits.push(hit);
            Ok::<(), std::convert::Infallible>(())
        });
        match outcome {
            Ok(()) => hits,
        }
    }

    /// What holds on record `number` of `file`. Correlations count in the order of the records; those that ask for
    /// something to be missing are told when their window is over ([`Detector::end`]).
    pub fn event(&mut self, file: &str, number: u64, event: Event) -> Vec<Hit> {
        let Some(held) = self.scanner.event(number, event) else { return Vec::new() };
        if *self.file != *file {
            self.file = Arc::from(file);
        }
        let mut hits = Vec::new();
        let mut take = |hit| {
            hits.push(hit);
            Ok::<(), std::convert::Infallible>(())
        };
        let outcome =
            self.merger.record(&self.file, held, &mut take).and_then(|()| self.merger.count(&mut take));
        match outcome {
            Ok(()) => hits,
        }
    }
}
