//! Detection at the sensor: indicators always, Sigma rules while the centre cannot be reached.
//!
//! | child | holds |
//! |---|---|
//! | `content` | packs of indicators and rules, compiled |
//! | `log` | the alerts, on disk, for whoever stands in front of the machine |
//! | `loader` | compiles new packs on a thread of its own |
//!
//! In: events on their way to the spool. Out: the same events, those that a rule or an indicator holds on marked
//! (`dongson.local.*`) and so of the most urgent class, and an alert for the log. Every event goes to the centre once,
//! marked or not, and the id of an alert is made there from the same words: what the sensor found and what the centre finds
//! are the same alert, never two. A marked rule that the centre does not have becomes an alert there all the same.
//!
//! Correlations need the events of other sensors and stay with the centre; how many there are in the packs is told.
//! Memory: the compiled packs, twice while new ones are taken; the log is bounded.

mod content;
mod loader;
mod log;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use dongson_event::{Alert, Event, Level, Value};
use dongson_rules::{Match, Matcher, signal};

pub use content::{Content, Report};
use loader::Loader;
pub use log::{AlertLog, LogError, alerts};

use crate::desired::HeldPack;
use crate::ship::Identity;

/// Most rules that one event is marked with.
const MAX_MARKS: usize = 16;

/// When rules are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum When {
    /// While the collector has not answered for a minute.
    #[default]
    Away,
    /// Always: needs about two microseconds for each event.
    Always,
    /// Never; indicators neither.
    Never,
}

/// Looks at events on their way to the spool.
pub struct Local {
    loader: Loader,
    content: Arc<Content>,
    matcher: Option<Matcher>,
    found: Vec<Match>,
    log: AlertLog,
    when: When,
    organization: String,
    node: String,
}

impl Local {
    /// Without packs yet; alerts go to the log in `folder`.
    pub fn open(folder: &Path, identity: &Identity, when: When) -> Result<Self, LogError> {
        let loader = Loader::start().map_err(|error| LogError { path: folder.to_owned(), error })?;
        Ok(Self {
            loader,
            content: Arc::default(),
            matcher: None,
            found: Vec::new(),
            log: AlertLog::open(folder)?,
            when,
            organization: identity.organization.clone(),
            node: identity.node.clone(),
        })
    }

    /// Marks `event` where something holds on it; `away` says that the centre cannot be reached. Alerts that the log did
    /// not take are counted by it.
    pub fn look(&mut self, event: &mut Event, away: bool) {
        if self.when == When::Never {
            return;
        }
        self.renew();
        let content = Arc::clone(&self.content);
        let indicators = content.set.matches(event, &content.allow);
        self.found.clear();
        if (away || self.when == When::Always)
            && let Some(matcher) = &mut self.matcher
        {
            matcher.matches(event, &mut self.found);
        }
        if indicators.is_empty() && self.found.is_empty() {
            return;
        }
        let mut marks = Marks::default();
        for found in &indicators {
            marks.indicator(found);
        }
        // As the collector will stamp it: the alerts are the same then.
        let mut stamped = event.clone();
        stamped.set("organization.id", self.organization.as_str());
        stamped.set("observer.name", self.node.as_str());
        for signal in dongson_intel::signals(&content.set, &content.allow, &mut stamped) {
            self.log.note(&Alert::of(signal));
        }
        if let Some(matcher) = &mut self.matcher {
            for found in self.found.drain(..) {
                let Some(rule) = content.rule(found.rule) else { continue };
                marks.rule(rule);
                self.log.note(&Alert::of(signal::of(matcher, &stamped, rule, found.because)));
            }
        }
        marks.write(event);
    }

    /// Has `packs` compiled and put in force, when they are others than before.
    pub fn want(&mut self, packs: &[HeldPack]) {
        self.loader.want(packs);
    }

    /// What is in force.
    pub fn report(&mut self) -> &Report {
        self.renew();
        &self.content.report
    }

    /// What the log did not take since the start.
    pub fn unwritten(&self) -> u64 {
        self.log.unwritten()
    }

    fn renew(&mut self) {
        let Some(content) = self.loader.newest() else { return };
        self.matcher = content.engine().map(|engine| Matcher::sharing(Arc::clone(engine)));
        self.content = content;
    }
}

/// What an event is marked with: lists of the same length.
#[derive(Debug, Default)]
struct Marks {
    ids: Vec<Value>,
    names: Vec<Value>,
    levels: Vec<Value>,
    indicators: Vec<Value>,
}

impl Marks {
    fn rule(&mut self, rule: &dongson_rules::Rule) {
        self.add(&rule.id, &rule.title, rule.level, "");
    }

    fn indicator(&mut self, found: &dongson_intel::Found<'_>) {
        let level = dongson_intel::level(found.hit.confidence);
        self.add(dongson_intel::RULE, found.hit.source, level, &found.hit.indicator);
    }

    fn add(&mut self, id: &str, name: &str, level: Level, indicator: &str) {
        if self.ids.len() < MAX_MARKS {
            self.ids.push(id.into());
            self.names.push(name.into());
            self.levels.push(level.as_str().into());
            self.indicators.push(indicator.into());
        }
    }

    fn write(self, event: &mut Event) {
        if self.ids.is_empty() {
            return;
        }
        event.set("dongson.local.rule.id", Value::List(self.ids));
        event.set("dongson.local.rule.name", Value::List(self.names));
        event.set("dongson.local.rule.level", Value::List(self.levels));
        event.set("dongson.local.indicator", Value::List(self.indicators));
    }
}
