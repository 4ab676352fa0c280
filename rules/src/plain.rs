//! The plain evaluator: every rule of the event's place, as it is written, left to right.
//!
//! Each field is prepared once and each predicate asked once per event. It is slow, and what it answers is right by
//! inspection: the engine is compared with it.

use std::collections::HashMap;
use std::sync::Arc;

use dongson_event::{Event, Value};

use crate::engine::is_content;
use crate::explain::{self, Facts};
use crate::matcher::Match;
use crate::predicate::{FieldId, Loaded, PredicateId, Tables, Target, Test, refers};
use crate::ruleset::RuleSet;
use crate::taxonomy::{Mode, Place, Taxonomies};

/// Most routes that are kept ready.
const MAX_ROUTES: usize = 4_096;

/// Asks rules about events. Keep one per thread: it remembers routes between events, and nothing else.
#[derive(Debug)]
pub struct Matcher {
    rules: Arc<RuleSet>,
    taxonomies: Arc<Taxonomies>,
    mode: Mode,
    routes: HashMap<Place, Arc<Route>>,
    memo: Vec<Option<bool>>,
}

/// What events of one place have in common.
#[derive(Debug)]
struct Route {
    /// Numbers of the rules whose log source accepts one of the place's.
    rules: Vec<usize>,
    /// For each field of the rules the names to look under, best first.
    names: Vec<Vec<String>>,
    mode: Mode,
}

impl Matcher {
    /// A matcher over `rules`.
    pub fn new(rules: Arc<RuleSet>, taxonomies: Arc<Taxonomies>, mode: Mode) -> Self {
        Self { rules, taxonomies, mode, routes: HashMap::new(), memo: Vec::new() }
    }

    /// The rules that are asked.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Adds every rule that holds on `event` to `out`, in the order of their numbers.
    pub fn matches(&mut self, event: &Event, out: &mut Vec<Match>) {
        let route = self.route(event);
        self.memo.clear();
        self.memo.resize(self.rules.tables().predicates.len(), None);
        let mut look = Look::new(&self.rules, &route, event, &mut self.memo);
        for &rule in &route.rules {
            let Some(detection) = self.rules.detection(rule) else { continue };
            if explain::holds(&mut look, detection, &detection.condition) {
                let because = explain::because(&mut look, detection);
                out.push(Match { rule, because });
            }
        }
    }

    /// The value of the field that rules call `name`, wherever this event carries it.
    pub fn value<'e>(&mut self, event: &'e Event, name: &str) -> Option<&'e Value> {
        let place = self.taxonomies.place(event, self.mode);
        let names = self.taxonomies.names(&place, name);
        names.iter().find_map(|name| event.get(name))
    }

    fn route(&mut self, event: &Event) -> Arc<Route> {
        let place = self.taxonomies.place(event, self.mode);
        if let Some(route) = self.routes.get(&place) {
            return Arc::clone(route);
        }
        // Places come from events: whoever floods us with new ones only makes us forget the others.
        if self.routes.len() >= MAX_ROUTES {
            self.routes.clear();
        }
        let route = Arc::new(self.plan(&place));
        self.routes.insert(place, Arc::clone(&route));
        route
    }

    fn plan(&self, place: &Place) -> Route {
        let sources = self.taxonomies.sources(place);
        let rules = self.rules.rules().iter().enumerate();
        let asked = rules.filter(|(_, rule)| {
            !rule.correlation && sources.iter().any(|given| rule.logsource.accepts(given))
        });
        let names = self.rules.tables().names.iter().map(|name| self.taxonomies.names(place, name));
        Route { rules: asked.map(|(number, _)| number).collect(), names: names.collect(), mode: self.mode }
    }
}

/// One event being looked at.
struct Look<'e, 'm> {
    rules: &'m RuleSet,
    route: &'m Route,
    event: &'e Event,
    memo: &'m mut Vec<Option<bool>>,
    fields: Vec<Option<Loaded<'e>>>,
    anywhere: Option<Loaded<'e>>,
}

impl<'e, 'm> Look<'e, 'm> {
    fn new(rules: &'m RuleSet, route: &'m Route, event: &'e Event, memo: &'m mut Vec<Option<bool>>) -> Self {
        let fields = std::iter::repeat_with(|| None).take(rules.tables().names.len()).collect();
        Self { rules, route, event, memo, fields, anywhere: None }
    }

    fn ask(&mut self, id: PredicateId) -> bool {
        let Some(predicate) = self.rules.tables().predicates.get(id) else { return false };
        match (predicate.target, &predicate.test) {
            (Target::Field(field), Test::FieldRef { other, affix, cased }) => {
                self.load(field);
                self.load(*other);
                match (self.loaded(field), self.loaded(*other)) {
                    (Some(one), Some(other)) => refers(one.pairs(), &other.pairs(), *affix, *cased),
                    _ => false,
                }
            }
            (Target::Field(field), test) => {
                self.load(field);
                self.loaded(field).is_some_and(|loaded| test.holds(loaded))
            }
            (Target::Anywhere, test) => test.holds(self.everything()),
        }
    }

    fn loaded(&self, field: FieldId) -> Option<&Loaded<'e>> {
        self.fields.get(field)?.as_ref()
    }

    fn load(&mut self, field: FieldId) {
        if self.loaded(field).is_none() {
            let value = self.field(field).map(|(_, value)| value);
            if let Some(slot) = self.fields.get_mut(field) {
                *slot = Some(Loaded::field(value));
            }
        }
    }

    /// All values that come from the record itself, for keywords.
    fn everything(&mut self) -> &Loaded<'e> {
        let (event, mode) = (self.event, self.route.mode);
        self.anywhere.get_or_insert_with(|| {
            let mut all = Loaded::default();
            for (_, value) in event.iter().filter(|(name, _)| is_content(name, mode)) {
                all.add(value);
            }
            all
        })
    }
}

impl<'e> Facts<'e> for Look<'e, '_> {
    fn tables(&self) -> &Tables {
        self.rules.tables()
    }

    fn predicate(&mut self, id: PredicateId) -> bool {
        if let Some(Some(known)) = self.memo.get(id) {
            return *known;
        }
        let truth = self.ask(id);
        if let Some(slot) = self.memo.get_mut(id) {
            *slot = Some(truth);
        }
        truth
    }

    fn field(&self, field: FieldId) -> Option<(&str, &'e Value)> {
        let names = self.route.names.get(field)?;
        names.iter().find_map(|name| Some((name.as_str(), self.event.get(name)?)))
    }

    fn content(&self) -> impl Iterator<Item = &'e Value> {
        let mode = self.route.mode;
        self.event.iter().filter(move |(name, _)| is_content(name, mode)).map(|(_, value)| value)
    }
}
