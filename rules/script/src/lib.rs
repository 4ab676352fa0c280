//! Rhai detections: what Sigma cannot say, within bounds; pure.
//!
//! A script is one file `NAME.rhai` (its head is read by [`dongson_rules::script`], its samples stand beside it in
//! `NAME.test.yml`). The head is a Sigma rule: only events on which it holds reach `fn on(event, state)`. The road of an
//! event has two halves, which may run in two processes: [`seen()`] turns a match of a head into a [`Seen`], and a
//! [`Runner`] keeps the states and runs the scripts.
//!
//! What always holds: a script has no clock, chance, network, file or output; the same events in the same order give
//! the same alerts, also when the state was saved and restored between them; a run ends after a bounded number of
//! operations, in bounded memory; state is bounded for each script and agency, and an entity belongs to its agency; an
//! event on which a script fails changes nothing but counters, and many failures raise an alert of their own. Nothing
//! that stands in an event switches a script off.

mod budget;
mod calls;
mod compile;
mod engine;
mod native;
mod runner;
pub mod samples;
mod seen;
mod state;
mod value;

pub use budget::{Budget, FailureCause, Failures};
pub use compile::{Loaded, Script, ScriptError, Scripts, load};
pub use engine::Limits;
pub use runner::{Alert, Counters, Outcome, Runner, StateError};
pub use seen::{Seen, seen};
pub use state::Bounds;
