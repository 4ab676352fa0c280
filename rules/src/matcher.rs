//! Which rules hold on one event, and why.
//!
//! An event is placed (log sources and names, see [`crate::taxonomy`]), which gives the rules to ask; each is
//! evaluated as it is written, left to right. Each field is prepared once and each predicate asked once per event.
//! This is the plain evaluator: what it answers is right by inspection.

use std::collections::HashMap;
use std::sync::Arc;

use dongson_event::fields::{Setter, setter};
use dongson_event::{Event, Matched, Value};

use crate::predicate::{FieldId, Loaded, PredicateId, Target, Test, refers};
use crate::ruleset::RuleSet;
use crate::sigma::detection::{Detection, Node};
use crate::taxonomy::{Mode, Place, Taxonomies};

/// Most routes that are kept ready.
const MAX_ROUTES: usize = 4_096;
/// Most reasons that are told for one match.
const MAX_REASONS: usize = 64;

/// A rule that holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The rule's number in its [`RuleSet`].
    pub rule: usize,
    /// The fields and values that made it hold, with the selections that they satisfied.
    pub because: Vec<Matched>,
}

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
            if look.holds(detection, &detection.condition) {
                let mut because = Vec::new();
                look.explain(detection, &detection.condition, "", &mut because);
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

    fn holds(&mut self, detection: &Detection, node: &Node) -> bool {
        match node {
            Node::All(parts) => parts.iter().all(|part| self.holds(detection, part)),
            Node::Any(parts) => parts.iter().any(|part| self.holds(detection, part)),
            Node::Not(inner) => !self.holds(detection, inner),
            Node::Selection(number) => {
                detection.selections.get(*number).is_some_and(|(_, node)| self.holds(detection, node))
            }
            Node::Test(predicate) => self.predicate(*predicate),
        }
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

    fn ask(&mut self, id: PredicateId) -> bool {
        let Some(predicate) = self.rules.tables().predicates.get(id) else { return false };
        match (predicate.target, &predicate.test) {
            (Target::Field(field), Test::FieldRef { other, affix, cased }) => {
                self.load(field);
                self.load(*other);
                match (self.loaded(field), self.loaded(*other)) {
                    (Some(one), Some(other)) => refers(one, other, *affix, *cased),
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
            let value = self.find(field).map(|(_, value)| value);
            if let Some(slot) = self.fields.get_mut(field) {
                *slot = Some(Loaded::field(value));
            }
        }
    }

    /// The name under which the event carries the field, and the value.
    fn find(&self, field: FieldId) -> Option<(&'m str, &'e Value)> {
        let names = self.route.names.get(field)?;
        names.iter().find_map(|name| Some((name.as_str(), self.event.get(name)?)))
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

    /// Walks the parts that hold and tells which tests made them hold.
    fn explain(&mut self, detection: &Detection, node: &Node, selection: &str, out: &mut Vec<Matched>) {
        if out.len() >= MAX_REASONS || !self.holds(detection, node) {
            return;
        }
        match node {
            Node::All(parts) | Node::Any(parts) => {
                for part in parts {
                    self.explain(detection, part, selection, out);
                }
            }
            Node::Selection(number) => {
                if let Some((name, node)) = detection.selections.get(*number) {
                    self.explain(detection, node, name, out);
                }
            }
            Node::Test(predicate) => out.extend(self.reason(*predicate, selection)),
            Node::Not(_) => {}
        }
    }

    fn reason(&self, id: PredicateId, selection: &str) -> Option<Matched> {
        let predicate = self.rules.tables().predicates.get(id)?;
        let held = |value: &&Value| predicate.test.holds(&Loaded::field(Some(value)));
        let (field, value) = match predicate.target {
            Target::Field(field) => {
                let (name, value) = self.find(field)?;
                (name, value.scalars().iter().find(held).unwrap_or(value))
            }
            Target::Anywhere => {
                let values = self.event.iter().filter(|(name, _)| is_content(name, self.route.mode));
                ("", values.flat_map(|(_, value)| value.scalars()).find(held)?)
            }
        };
        Some(Matched { field: field.to_owned(), value: value.clone(), selection: selection.to_owned() })
    }
}

/// Keywords are looked for in what the record says, not in what we added to it.
fn is_content(name: &str, mode: Mode) -> bool {
    match mode {
        Mode::Sigma => !matches!(name, "product" | "category" | "service"),
        Mode::Auto => setter(name) <= Setter::Sensor,
    }
}
