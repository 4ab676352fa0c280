//! From events to signals: asks the rules, and says what each match is about. Pure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dongson_event::{Entity, Event, Level, Signal, Timestamp, identity};
use dongson_rules::correlate::{RuleMatchKeyed, keyed};
use dongson_rules::{Engine, Match, Matcher, Mode, Rule, RuleSet, Taxonomies, Tuner};
use dongson_script::{Scripts, Seen};

/// Window of a rule that names none.
const DEFAULT_WINDOW: Duration = Duration::from_hours(1);
/// What an alert is about when its rule does not say: the first of these that the event has.
const ENTITIES: &[&str] =
    &["source.ip", "host.name", "user.name", "destination.ip", "dongson.health.source", "observer.name"];
/// Longest value of an entity in characters.
const ENTITY_CHARS: usize = 256;

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
            .filter_map(|one| Some((one.rule, self.signal(event, rules.rule(one.rule)?, one))))
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

    fn signal(&mut self, event: &Event, rule: &Rule, found: Match) -> Signal {
        let organization = event.organization().to_owned();
        Signal {
            id: identity::of_signal(&organization, &rule.id, event.id()),
            event_id: event.id().to_owned(),
            timestamp: event.timestamp().unwrap_or_default(),
            ingested: event.time("event.ingested").unwrap_or_default(),
            observer: event.text("observer.name").unwrap_or_default().to_owned(),
            entity: self.entity(event, &rule.entity),
            asset_level: event
                .int("dongson.asset.level")
                .and_then(|level| u8::try_from(level).ok())
                .unwrap_or(0),
            matched: found.because,
            drill: event.text("dongson.drill").map(str::to_owned),
            ..blank(rule, organization)
        }
    }

    /// What the match is about: the rule's own fields, else the first usual one that the event has.
    fn entity(&mut self, event: &Event, named: &[String]) -> Entity {
        let own: Vec<(&str, String)> = named
            .iter()
            .filter_map(|name| Some((name.as_str(), shortened(self.matcher.value(event, name)?))))
            .collect();
        if !own.is_empty() {
            let join = |parts: Vec<&str>, with: &str| parts.join(with);
            return Entity {
                kind: join(own.iter().map(|(name, _)| *name).collect(), "+"),
                value: join(own.iter().map(|(_, value)| value.as_str()).collect(), "|"),
            };
        }
        ENTITIES
            .iter()
            .find_map(|name| Some(Entity { kind: (*name).to_owned(), value: shortened(event.get(name)?) }))
            .unwrap_or_else(|| Entity {
                kind: "organization.id".to_owned(),
                value: event.organization().to_owned(),
            })
    }
}

/// The part of a signal that its rule decides.
pub(crate) fn blank(rule: &Rule, organization: String) -> Signal {
    let window = rule.window.unwrap_or(DEFAULT_WINDOW).as_secs().max(1);
    Signal {
        id: String::new(),
        organization,
        rule_id: rule.id.clone(),
        title: rule.title.clone(),
        title_vi: rule.title_vi.clone().unwrap_or_else(|| rule.title.clone()),
        level: rule.level,
        tags: rule.tags.clone(),
        event_id: String::new(),
        timestamp: Timestamp::default(),
        ingested: Timestamp::default(),
        observer: String::new(),
        entity: Entity { kind: String::new(), value: String::new() },
        window_seconds: u32::try_from(window).unwrap_or(u32::MAX),
        asset_level: 0,
        matched: Vec::new(),
        count: 1,
        drill: None,
    }
}

fn shortened(value: &dongson_event::Value) -> String {
    value.to_text().chars().take(ENTITY_CHARS).collect()
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
