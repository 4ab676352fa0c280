//! From events to signals: asks the rules, and says what each match is about. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use dongson_event::{Event, Level, Signal};
use dongson_rules::correlate::{RuleMatchKeyed, keyed};
use dongson_rules::{Engine, Match, Matcher, Mode, RuleSet, Taxonomies, Tuner, signal};
use dongson_script::{Scripts, Seen};

/// What the analyzer knows to look for.
#[derive(Debug, Clone)]
pub struct Content {
    /// The compiled rules.
    pub rules: Arc<RuleSet>,
    /// The scripts whose heads are among the rules.
    pub scripts: Arc<Scripts>,
    /// The compiled engine, which all threads share and which learns from the events.
    pub tuner: Arc<Tuner>,
    /// By the id of a rule, which text of it works: the beginning of the SHA-256 of its file in hexadecimal digits.
    pub versions: Arc<HashMap<String, String>>,
}

impl Content {
    /// `rules` and `scripts` with an engine that has seen no event yet.
    pub fn new(rules: RuleSet, scripts: Scripts) -> Self {
        let rules = Arc::new(rules);
        let engine = Engine::new(Arc::clone(&rules), Arc::new(Taxonomies::embedded()), Mode::Auto, None);
        let tuner = Arc::new(Tuner::new(Arc::new(engine)));
        Self { rules, scripts: Arc::new(scripts), tuner, versions: Arc::default() }
    }
}

/// Asks the rules about one event after another.
#[derive(Debug)]
pub struct Detector {
    content: Content,
    matcher: Matcher,
    found: Vec<Match>,
}

impl Detector {
    /// A detector over `content`; keep one per thread.
    pub fn new(content: &Content) -> Self {
        let matcher = Matcher::sharing(Arc::clone(content.tuner.engine()));
        Self { content: content.clone(), matcher, found: Vec::new() }
    }

    /// A signal for every rule that holds on `event`, each with its rule's number.
    pub fn signals(&mut self, event: &Event) -> Vec<(usize, Signal)> {
        let tuner = &self.content.tuner;
        tuner.offer(|| Some(event.clone()));
        if !Arc::ptr_eq(tuner.engine(), self.matcher.engine()) {
            self.matcher = Matcher::sharing(Arc::clone(tuner.engine()));
        }
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        self.matcher.matches(event, &mut found);
        let rules = Arc::clone(&self.content.rules);
        let signals = found
            .drain(..)
            .filter_map(|one| {
                Some((one.rule, signal::of(&mut self.matcher, event, rules.rule(one.rule)?, one.because)))
            })
            .collect();
        self.found = found;
        signals
    }

    /// What the correlations over rule number `rule` need to know of its match on `event`.
    pub fn keyed(&mut self, event: &Event, rule: usize) -> Vec<RuleMatchKeyed> {
        keyed(&mut self.matcher, event, rule)
    }

    /// What the script whose head is rule number `rule` needs to know of its match on `event`.
    pub fn seen(&mut self, event: &Event, rule: usize) -> Option<Seen> {
        dongson_script::seen(&mut self.matcher, event, rule)
    }
}

/// The registry's word for a level.
pub(crate) const fn registry_level(level: Level) -> dongson_registry::Level {
    match level {
        Level::Informational => dongson_registry::Level::Informational,
        Level::Low => dongson_registry::Level::Low,
        Level::Medium => dongson_registry::Level::Medium,
        Level::High => dongson_registry::Level::High,
        Level::Critical => dongson_registry::Level::Critical,
    }
}
