//! Sigma rules: load, check, compile, match and correlate; pure.
//!
//! The road of a rule: [`sigma`] reads YAML (every refusal names file, line, reason and what to write instead) and
//! compiles it to a plain tree over shared predicates; [`RuleSet`] holds all of them; [`Taxonomies`] say which log
//! sources an event belongs to and under which names it carries the fields that rules use; a [`Matcher`] answers
//! which rules hold on one event and why; [`Correlator`] counts matches in event time.
//!
//! On top stand the commands' libraries: [`check`], [`samples`], [`trace`], [`sql`] and [`detect`]. No clock and no network; files are
//! only read where a path is given. The [`engine`] is compared with the [`plain`] evaluator.

pub mod check;
pub mod correlate;
pub mod detect;
pub mod engine;
mod error;
mod explain;
mod matcher;
mod number;
pub mod parts;
pub mod plain;
mod predicate;
mod rule;
mod ruleset;
pub mod samples;
pub mod script;
pub mod sigma;
pub mod signal;
pub mod sql;
pub mod taxonomy;
pub mod text;
pub mod trace;

pub use correlate::{CorrelationMatch, Correlator, Lateness, Sequencer, Watermarks};
pub use engine::{Calibration, Engine, Session, Tuner};
pub use error::{Refusal, RuleError};
pub use matcher::{Match, Matcher};
pub use rule::{LogSource, Rule, Status};
pub use ruleset::{LoadOptions, LoadReport, RuleSet};
pub use sigma::placeholder::{Values, ValuesError};
pub use taxonomy::{Mode, Taxonomies};
