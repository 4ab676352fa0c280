//! Runs scripts on events, with their states.

use std::collections::BTreeMap;
use std::sync::Arc;

use dongson_event::{Matched, Timestamp, Value};
use dongson_rules::parts::{Parts, read_name, take_back};
use rhai::{Dynamic, Map};
use serde::{Deserialize, Serialize};

use crate::budget::{Budget, FailureCause, Failures, Ledger};
use crate::compile::{Script, Scripts};
use crate::engine;
use crate::seen::Seen;
use crate::state::{Book, Bounds, SavedBook, SavedEntry};
use crate::value::{from_script, to_script, weigh};

/// Form of the saved state; one of another form is refused.
const VERSION: u32 = 1;
/// Most agencies of one script.
const MAX_SCOPES: usize = 4_096;
/// What an alert shows under this selection name.
const BECAUSE: &str = "script";

/// An alert of a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The number of the rule that is the script's head.
    pub rule: usize,
    /// The scope of the [`Seen`].
    pub scope: String,
    /// The agency whose event completed it.
    pub organization: String,
    /// What it is about: names of fields with their values.
    pub entity: Vec<(String, String)>,
    /// Why.
    pub because: Vec<Matched>,
    /// How many events stand behind it, as the script says; 1 where it does not.
    pub count: u64,
    /// Event time of the event that completed it.
    pub at: Timestamp,
    /// `event.id` of it.
    pub event: String,
}

/// What comes of one event.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The script raised an alert.
    Alert(Alert),
    /// The script failed, once more than is bearable.
    Failing(Failures),
}

/// What was counted since the runner was made; not part of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Runs.
    pub runs: u64,
    /// Operations of all runs.
    pub operations: u64,
    /// Events that were set aside because a script failed on them.
    pub failures: u64,
    /// Events that were set aside because an agency had no operations left.
    pub starved: u64,
    /// States that began anew because every run on them failed.
    pub resets: u64,
}

/// Why a saved state cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is not a state.
    #[error("not a state of scripts: {0}")]
    NotState(#[from] serde_json::Error),
    /// It has another form.
    #[error("state of scripts has version {found}; this program reads version {VERSION}")]
    Version {
        /// The version that it has.
        found: u32,
    },
}

/// The states of one script.
#[derive(Debug, Clone, Default)]
struct Shelf {
    shape: String,
    scopes: BTreeMap<String, Book>,
}

/// Runs scripts, event after event.
///
/// The same events in the same order give the same outcomes, also when the state was saved and restored in between.
#[derive(Debug)]
pub struct Runner {
    scripts: Arc<Scripts>,
    bounds: Bounds,
    budget: Budget,
    shelves: BTreeMap<String, Shelf>,
    ledger: Ledger,
    refused: u64,
    counters: Counters,
    failure: Option<(String, usize)>,
    /// Saved parts of what is no longer there.
    gone: Parts,
}

/// Everything of a [`Book`] but its keys.
#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    shape: String,
    swept: i64,
    #[serde(default)]
    sweeps: u64,
    evicted: u64,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    shelves: BTreeMap<String, SavedShelf>,
    ledger: Ledger,
    refused: u64,
}

#[derive(Serialize, Deserialize)]
struct SavedShelf {
    shape: String,
    scopes: BTreeMap<String, SavedBook>,
}

impl Runner {
    /// A runner without memory.
    pub fn new(scripts: Arc<Scripts>) -> Self {
        Self::with(scripts, Bounds::default(), Budget::default())
    }

    /// With other bounds than the usual ones.
    pub fn with(scripts: Arc<Scripts>, bounds: Bounds, budget: Budget) -> Self {
        Self {
            scripts,
            bounds,
            budget,
            shelves: BTreeMap::new(),
            ledger: Ledger::default(),
            refused: 0,
            counters: Counters::default(),
            failure: None,
            gone: Parts::new(),
        }
    }

    /// Runs the script on one event. A failure changes no state and is counted.
    pub fn observe(&mut self, seen: &Seen) -> Option<Outcome> {
        let scripts = Arc::clone(&self.scripts);
        let script = scripts.find(&seen.script)?;
        if !self.ledger.allows(&seen.organization, &seen.script, seen.at, self.budget) {
            self.counters.starved += 1;
            return self.failed(script, seen, FailureCause::Budget);
        }
        let key = key_of(seen);
        let at = seen.at.nanos();
        let Some(book) = self.book(script, &seen.scope) else {
            self.refused += 1;
            return None;
        };
        let state = book.state(&key, at, script.idle);
        let done = run(&scripts, script, seen, state, &self.bounds);
        let operations = engine::used();
        self.counters.runs += 1;
        self.counters.operations += operations;
        self.ledger.spend(&seen.organization, &seen.script, seen.at, operations);
        let bounds = self.bounds;
        let book = self.book(script, &seen.scope)?;
        match done {
            Ok(Done { state, bytes, alert }) => {
                book.keep(&key, (state, bytes), at, script.idle, &bounds);
                self.drop_spare(script, &seen.scope);
                alert.map(Outcome::Alert)
            }
            Err((reason, line)) => {
                let reset = book.failed(&key);
                self.drop_spare(script, &seen.scope);
                self.counters.failures += 1;
                self.counters.resets += u64::from(reset);
                self.failure = Some((reason.clone(), line));
                self.failed(script, seen, FailureCause::Script { reason, line })
            }
        }
    }

    fn failed(&mut self, script: &Script, seen: &Seen, cause: FailureCause) -> Option<Outcome> {
        let count = self.ledger.fail(&seen.organization, &seen.script, seen.at)?;
        Some(Outcome::Failing(Failures {
            rule: script.rule,
            script: script.id.clone(),
            title: script.title.clone(),
            file: script.file.clone(),
            organization: seen.organization.clone(),
            count,
            cause,
            at: seen.at,
            event: seen.event.clone(),
        }))
    }

    fn book(&mut self, script: &Script, scope: &str) -> Option<&mut Book> {
        let own = self
            .shelves
            .entry(script.id.clone())
            .or_insert_with(|| Shelf { shape: script.shape.clone(), scopes: BTreeMap::new() });
        if own.scopes.len() >= MAX_SCOPES && !own.scopes.contains_key(scope) {
            return None;
        }
        let new = || {
            let mut book = Book::default();
            book.saving.touch_head();
            book
        };
        Some(own.scopes.entry(scope.to_owned()).or_insert_with(new))
    }

    /// A book in which nothing stands is not kept, and not saved: most events leave none behind.
    fn drop_spare(&mut self, script: &Script, scope: &str) {
        let Some(own) = self.shelves.get_mut(&script.id) else { return };
        if own.scopes.get(scope).is_some_and(Book::is_spare)
            && let Some(book) = own.scopes.remove(scope)
        {
            book.saving.remove(&script.id, scope, &mut self.gone);
        }
    }

    /// What the newest failure was, and its line (0 where none is known).
    pub fn last_failure(&self) -> Option<(&str, usize)> {
        self.failure.as_ref().map(|(reason, line)| (reason.as_str(), *line))
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// States that were given up because of the bounds, and events of too many agencies, since the state began.
    pub fn evicted(&self) -> u64 {
        let books = self.shelves.values().flat_map(|shelf| shelf.scopes.values());
        books.map(|book| book.evicted).sum::<u64>() + self.refused
    }

    /// How many keys have a state.
    pub fn keys(&self) -> usize {
        self.shelves.values().flat_map(|shelf| shelf.scopes.values()).map(Book::len).sum()
    }

    /// Drops states that lay idle too long at `now`, the watermark of event time of their scope. It changes no result.
    pub fn forget_idle(&mut self, now: impl Fn(&str) -> Option<Timestamp>) {
        let scripts = Arc::clone(&self.scripts);
        for (id, shelf) in &mut self.shelves {
            let Some(script) = scripts.find(id) else { continue };
            for (scope, book) in &mut shelf.scopes {
                if let Some(now) = now(scope) {
                    book.forget_idle(now.nanos(), script.idle);
                }
            }
            for (scope, book) in shelf.scopes.extract_if(.., |_, book| book.is_spare()) {
                book.saving.remove(id, &scope, &mut self.gone);
            }
        }
    }

    /// The state as JSON text, with its version.
    ///
    /// # Errors
    /// Never in practice: the state holds texts and finite numbers only.
    pub fn save(&self) -> Result<String, serde_json::Error> {
        let saved = |one: &Shelf| SavedShelf {
            shape: one.shape.clone(),
            scopes: one.scopes.iter().map(|(scope, book)| (scope.clone(), book.save())).collect(),
        };
        serde_json::to_string(&Saved {
            version: VERSION,
            shelves: self
                .shelves
                .iter()
                .filter(|(_, one)| !one.scopes.is_empty())
                .map(|(id, one)| (id.clone(), saved(one)))
                .collect(),
            ledger: self.ledger.clone(),
            refused: self.refused,
        })
    }

    /// Takes a saved state instead of the present one; what belongs to scripts that are no longer there, or whose text
    /// is another one now, is left out.
    ///
    /// # Errors
    /// When it is no state, or one of another version; the present state stays.
    pub fn restore(&mut self, text: &str) -> Result<(), StateError> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            version: u32,
        }
        let head: Head = serde_json::from_str(text)?;
        if head.version != VERSION {
            return Err(StateError::Version { found: head.version });
        }
        let saved: Saved = serde_json::from_str(text)?;
        let mine = |id: &str, shape: &str| self.scripts.find(id).is_some_and(|script| script.shape == shape);
        let shelves = saved.shelves.into_iter().filter(|(id, shelf)| mine(id, &shelf.shape));
        self.shelves = shelves
            .map(|(id, shelf)| {
                let books = shelf.scopes.into_iter().map(|(scope, book)| (scope, Book::restore(book)));
                let books = books.filter(|(_, book)| !book.is_spare());
                (id, Shelf { shape: shelf.shape, scopes: books.collect() })
            })
            .collect();
        self.ledger = saved.ledger;
        self.ledger.touch_all();
        self.refused = saved.refused;
        Ok(())
    }

    /// The parts of the state that changed since this was last asked, or since it was restored, by name.
    ///
    /// # Errors
    /// Never in practice: the state holds texts and finite numbers only.
    pub fn save_changes(&mut self) -> Result<Parts, serde_json::Error> {
        let mut parts = std::mem::take(&mut self.gone);
        for (id, shelf) in &mut self.shelves {
            for (scope, book) in &mut shelf.scopes {
                let shape = &shelf.shape;
                let head = |swept, sweeps, evicted| Head {
                    version: VERSION,
                    shape: shape.clone(),
                    swept,
                    sweeps,
                    evicted,
                };
                book.save_changes((id, scope), head, &mut parts)?;
            }
        }
        self.ledger.save_changes(&mut parts)?;
        Ok(parts)
    }

    /// Takes the parts that were saved instead of the present state. Left out, and removed with the next changes, is
    /// what cannot be read, has another version, or belongs to a script that is no longer there or is another one now.
    ///
    /// # Errors
    /// The first part that cannot be read or has another version; all others are taken nevertheless.
    pub fn restore_parts<'p>(
        &mut self,
        parts: impl Iterator<Item = (&'p str, &'p str)> + Clone,
    ) -> Result<(), StateError> {
        self.shelves.clear();
        self.ledger = Ledger::default();
        let (gone, outcome) = take_back(parts, |name, text| self.restore_part(name, text));
        self.gone = gone;
        outcome
    }

    /// False when the part belongs to nothing that is there.
    fn restore_part(&mut self, name: &str, text: &str) -> Result<bool, StateError> {
        let Some((id, scope, part)) = read_name(name) else { return Ok(false) };
        if id.is_empty() {
            self.ledger.put_back(scope, text)?;
            return Ok(true);
        }
        let Some(script) = self.scripts.find(&id) else { return Ok(false) };
        if part.is_none() {
            let head: Head = serde_json::from_str(text)?;
            if head.version != VERSION {
                return Err(StateError::Version { found: head.version });
            }
            if head.shape != script.shape {
                return Ok(false);
            }
            let empty = Shelf { shape: head.shape, scopes: BTreeMap::new() };
            let book = Book::bare(head.swept, head.sweeps, head.evicted);
            self.shelves.entry(id.clone()).or_insert(empty).scopes.insert(scope.clone(), book);
        }
        let book = self.shelves.get_mut(&id).and_then(|shelf| shelf.scopes.get_mut(&scope));
        let Some(book) = book else { return Ok(false) };
        if part.is_some() {
            let keys: BTreeMap<String, SavedEntry> = serde_json::from_str(text)?;
            book.put_back(keys);
        }
        book.saving.is_stored(part);
        Ok(true)
    }
}

/// The key's values as one text that no other values give.
fn key_of(seen: &Seen) -> String {
    match seen.key.as_slice() {
        [only] => only.clone(),
        several => serde_json::to_string(several).unwrap_or_default(),
    }
}

struct Done {
    state: Map,
    bytes: usize,
    alert: Option<Alert>,
}

fn run(
    scripts: &Scripts,
    script: &Script,
    seen: &Seen,
    state: Map,
    bounds: &Bounds,
) -> Result<Done, (String, usize)> {
    let mut event: Map =
        seen.fields.iter().map(|(name, value)| (name.as_str().into(), to_script(value))).collect();
    event.insert("at".into(), Dynamic::from_int(seen.at.millis()));
    let (answer, state) = script.run(scripts.engine(), event, state)?;
    let bytes = weigh(&state).map_err(|reason| (reason, script.begins()))?;
    if bytes > bounds.key_bytes {
        let reason = format!("the state of a key has {bytes} bytes; it may have {}", bounds.key_bytes);
        return Err((reason, script.begins()));
    }
    let alert = alert(script, seen, &answer).map_err(|reason| (reason, script.begins()))?;
    Ok(Done { state, bytes, alert })
}

/// What `on` returned, as an alert.
fn alert(script: &Script, seen: &Seen, answer: &Dynamic) -> Result<Option<Alert>, String> {
    if answer.is_unit() || answer.as_bool() == Ok(false) {
        return Ok(None);
    }
    let usual = |name: &String| Some((name.clone(), seen.fields.get(name)?.to_text().into_owned()));
    let mut alert = Alert {
        rule: script.rule,
        scope: seen.scope.clone(),
        organization: seen.organization.clone(),
        entity: script.entity.iter().filter_map(usual).collect(),
        because: Vec::new(),
        count: 1,
        at: seen.at,
        event: seen.event.clone(),
    };
    if answer.as_bool() == Ok(true) {
        return Ok(Some(alert));
    }
    let wrong = || "`on` returns (), false, true or a map of entity, because, count".to_owned();
    let map = answer.as_map_ref().map_err(|_| wrong())?;
    for (name, value) in map.iter() {
        match name.as_str() {
            "because" => {
                let fields = value.as_map_ref().map_err(|_| "`because` must be a map".to_owned())?;
                alert.because =
                    fields.iter().map(|(field, value)| matched(field, from_script(value))).collect();
            }
            "entity" => {
                let fields = value.as_map_ref().map_err(|_| "`entity` must be a map".to_owned())?;
                let text = |value: &Dynamic| from_script(value).to_text().into_owned();
                alert.entity = fields.iter().map(|(field, value)| (field.to_string(), text(value))).collect();
            }
            "count" => {
                let count = value.as_int().ok().and_then(|count| u64::try_from(count).ok());
                alert.count = count.ok_or_else(|| "`count` must be a whole number".to_owned())?;
            }
            _ => return Err(wrong()),
        }
    }
    Ok(Some(alert))
}

fn matched(field: &str, value: Value) -> Matched {
    Matched { field: field.to_owned(), value, selection: BECAUSE.to_owned() }
}
