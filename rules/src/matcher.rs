//! Which rules hold on one event, and why.
//!
//! An event is placed (log sources and names, see [`crate::taxonomy`]), which gives the rules to ask; the
//! [`crate::engine`] asks those that can hold.

use std::sync::Arc;

use dongson_event::{Event, Matched, ParseError, Value};

use crate::engine::{Engine, Session};
use crate::ruleset::RuleSet;
use crate::taxonomy::{Mode, Taxonomies};

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
    session: Session,
    mode: Mode,
}

impl Matcher {
    /// A matcher over `rules`.
    pub fn new(rules: Arc<RuleSet>, taxonomies: Arc<Taxonomies>, mode: Mode) -> Self {
        Self { session: Session::new(Arc::new(Engine::new(rules, taxonomies, mode, None))), mode }
    }

    /// A matcher that shares what `engine` has compiled with others.
    pub fn sharing(engine: Arc<Engine>) -> Self {
        let mode = engine.mode();
        Self { session: Session::new(engine), mode }
    }

    /// What other threads can share.
    pub fn engine(&self) -> &Arc<Engine> {
        self.session.engine()
    }

    /// The numbers of the rules that hold on the event of this JSON text, without the reasons: what
    /// [`Matcher::matches`] finds on [`Event::parse`], without making the event.
    pub fn json(&mut self, text: &[u8], rules: &mut Vec<usize>) -> Result<(), ParseError> {
        self.session.json(text, rules)
    }

    /// Calls `take` with the number of each rule that was put to the event looked at last: what the event cost.
    pub fn asked(&self, take: &mut dyn FnMut(usize)) {
        self.session.asked(take);
    }

    /// True when some rule asks for the log source of the event looked at last.
    pub fn ruled(&self) -> bool {
        self.session.ruled()
    }

    /// The rules that are asked.
    pub fn rules(&self) -> &Arc<RuleSet> {
        self.session.engine().rules()
    }

    /// Adds every rule that holds on `event` to `out`, in the order of their numbers.
    pub fn matches(&mut self, event: &Event, out: &mut Vec<Match>) {
        self.session.matches(event, out);
    }

    /// The value of the field that rules call `name`, wherever this event carries it.
    pub fn value<'e>(&mut self, event: &'e Event, name: &str) -> Option<&'e Value> {
        let taxonomies = self.session.engine().taxonomies();
        let place = taxonomies.place(event, self.mode);
        let names = taxonomies.names(&place, name);
        names.iter().find_map(|name| event.get(name))
    }
}
