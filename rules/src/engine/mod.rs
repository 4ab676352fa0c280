//! The compiled engine: all rules at once, without asking most of them.
//!
//! An [`Engine`] is what threads share; a [`Session`] looks at one event after another:
//!
//! 1. [`tape`]: JSON text becomes a row of fields, without a tree; [`names`]: their names become numbers.
//! 2. [`place`]: what taxonomies ask becomes a signature, and the signature gives the compiled rules ([`plan`]).
//! 3. [`arena`]: the text is folded once; the fields that these rules read are parts of it, escapes and all ([`written`]).
//! 4. [`index`]: each text is looked at once; hashes and a filter over rows of four bytes ([`grams`]) tell which tests
//!    hold, whoever wrote them. [`literal`] says what a test needs a text to have; [`recall`] keeps what short texts told.
//! 5. [`witness`]: a rule is asked only when something was seen that must be seen where it holds; [`costs`] chooses
//!    what is seen least often. What is asked then is mostly known already ([`marks`], [`tree`]) or is quickly asked
//!    ([`direct`]).
//!
//! The answers are those of [`crate::plain`], whatever was measured; a property test and real data compare the two.
//! Memory is bounded: tables are made from the rules, never from events; per event the arena holds a few times its
//! bytes, and plans are limited ([`Engine::plan`]).

#![expect(clippy::similar_names, reason = "asked, test and text are the words for these things")]

mod affix;
mod arena;
mod buckets;
mod costs;
mod cursor;
mod direct;
mod frequency;
mod grams;
mod habit;
mod index;
mod literal;
mod marks;
mod names;
mod place;
mod plan;
mod read;
mod recall;
mod record;
mod run;
mod session;
mod shorts;
mod sieve;
mod stripes;
mod tape;
mod tree;
mod trim;
mod tuner;
mod witness;
mod written;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use costs::Calibration;
pub(crate) use names::is_content;
pub use session::Session;
pub use tuner::Tuner;

use dongson_event::Event;

use crate::rule::LogSource;
use crate::ruleset::RuleSet;
use crate::taxonomy::{Mode, Place, Taxonomies};
use costs::{Costs, Measure};
use names::{NameId, Names, UNKNOWN};
use place::Placing;
use plan::{Plan, Scope};

/// Most plans of several log sources that are kept. Beyond that the oldest are made anew when they are needed again.
const MAX_PLANS: usize = 512;

/// All rules, ready to be asked. Plans are made when the first event of their place comes.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    taxonomies: Arc<Taxonomies>,
    names: Names,
    placing: Placing,
    costs: Costs,
    scope: Scope,
    /// Plans that were made.
    made: AtomicU64,
    plans: Mutex<HashMap<PlanKey, Arc<Plan>>>,
}

/// Plans are equal when rules and names are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PlanKey {
    rules: Vec<usize>,
    /// Of each field the names to look under, with [`UNKNOWN`] behind the last.
    names: Vec<NameId>,
}

impl Engine {
    /// An engine over `rules`, with what a sample told where there is one.
    pub fn new(
        rules: Arc<RuleSet>,
        taxonomies: Arc<Taxonomies>,
        mode: Mode,
        calibration: Option<&Calibration>,
    ) -> Self {
        let fields = &rules.tables().names;
        let mapped = fields.iter().flat_map(|name| taxonomies.all_names(name));
        let names = Names::new(mapped.chain(Placing::names(&taxonomies)), mode);
        let placing = Placing::new(&taxonomies, &rules, &names, mode);
        let costs = Costs::new(rules.tables(), calibration);
        let (scope, made) = (Scope::Rules, AtomicU64::new(1));
        Self { rules, taxonomies, names, placing, costs, scope, made, plans: Mutex::default() }
    }

    /// The rules that are asked.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// How events are read.
    pub fn mode(&self) -> Mode {
        self.names.mode()
    }

    /// How events are placed.
    pub fn taxonomies(&self) -> &Arc<Taxonomies> {
        &self.taxonomies
    }

    /// Makes the plans of every log source that a rule names, so that no event has to wait for them.
    pub fn prepare(&self) {
        let mut sources: Vec<&LogSource> = self.rules.rules().iter().map(|rule| &rule.logsource).collect();
        sources.sort();
        sources.dedup();
        for source in sources {
            self.plan(&Place::new(None, Vec::new(), Some(source.clone())));
        }
    }

    /// Ids of the rules that are asked on every event of their place, or on every event that has one of their fields,
    /// because nothing rarer can be looked for: those to be written otherwise where speed matters.
    pub fn unwitnessed(&self) -> Vec<&str> {
        let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rules: Vec<usize> = plans.values().flat_map(|plan| plan.unwitnessed()).collect();
        rules.sort_unstable();
        rules.dedup();
        rules.into_iter().filter_map(|rule| self.rules.rule(rule)).map(|rule| rule.id.as_str()).collect()
    }

    /// Measures on a sample how often each test holds and what texts are made of. The engine itself stays as it is:
    /// make another one with the result.
    pub fn calibrate(&self, sample: impl IntoIterator<Item = Event>) -> Calibration {
        let (rules, taxonomies) = (Arc::clone(&self.rules), Arc::clone(&self.taxonomies));
        let everything = Self { scope: Scope::Everything, ..Self::new(rules, taxonomies, self.mode(), None) };
        let mut session = Session::new(Arc::new(everything));
        let mut measure = Measure::default();
        for event in sample {
            session.measure(&event, &mut measure);
        }
        measure.finish(self.rules.tables())
    }

    /// The plan for events of `place`.
    fn plan(&self, place: &Place) -> Arc<Plan> {
        let sources = self.taxonomies.sources(place);
        let accepted = |rule: &crate::Rule| sources.iter().any(|given| rule.logsource.accepts(given));
        let rules = self.rules.rules().iter().enumerate();
        let rules: Vec<usize> =
            rules.filter(|(_, rule)| !rule.correlation && accepted(rule)).map(|(number, _)| number).collect();
        let mut names = Vec::new();
        for name in &self.rules.tables().names {
            names.extend(self.taxonomies.names(place, name).iter().map(|name| self.names.find(name)));
            names.push(UNKNOWN);
        }
        let key = PlanKey { rules, names };
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = plans.get(&key) {
            return Arc::clone(plan);
        }
        if plans.len() >= MAX_PLANS {
            plans.clear();
        }
        let names = |name: &str| self.taxonomies.names(place, name);
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let mut plan = Plan::new(&self.rules, &key.rules, &self.names, names, &self.costs, self.scope);
        plan.number = number;
        let plan = Arc::new(plan);
        plans.insert(key, Arc::clone(&plan));
        plan
    }
}
