//! From text to something that can be run.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use dongson_event::identity;
use dongson_rules::script::ScriptSource;
use dongson_rules::{LoadOptions, LoadReport, Refusal, RuleSet};
use rhai::{AST, Engine, Map, OptimizationLevel, Position, Scope};

use crate::calls;
use crate::engine::{self, Limits};

/// Most bytes of one script.
const MAX_BYTES: usize = 64 << 10;

/// Why a script is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ScriptError {
    /// Line in the file, from 1.
    pub line: usize,
    /// The reason, and what to write.
    pub reason: String,
}

/// One compiled script.
#[derive(Debug, Clone)]
pub struct Script {
    /// The number of the rule that is its head.
    pub rule: usize,
    /// The head's id.
    pub id: String,
    /// The head's title.
    pub title: String,
    /// The file.
    pub file: String,
    /// Fields that name what an alert is about, where the script does not say: the head's, else those of the key.
    pub entity: Vec<String>,
    /// How long a key's state lasts without an event, in nanoseconds.
    pub(crate) idle: i64,
    /// Stands for its text, its key and its fields: a state of another one is not its own.
    pub(crate) shape: String,
    /// Where `on` begins: told where an error has no line of its own.
    begins: usize,
    body: AST,
    /// The constants of the script; `event` and `state` come behind them.
    constants: Scope<'static>,
}

impl Script {
    /// The line of `on`.
    pub(crate) fn begins(&self) -> usize {
        self.begins
    }

    /// Runs the script on one event; gives what it returned and what became of the state.
    pub(crate) fn run(
        &self,
        engine: &Engine,
        event: Map,
        state: Map,
    ) -> Result<(rhai::Dynamic, Map), (String, usize)> {
        engine::begin();
        let mut scope = self.constants.clone();
        scope.push("event", event).push("state", state);
        let size = scope.len();
        let run = || engine.eval_ast_with_scope::<rhai::Dynamic>(&mut scope, &self.body);
        let answer = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let (reason, line) = engine::told(&error);
                return Err((reason, if line == 0 { self.begins } else { line }));
            }
            Err(_) => return Err(("the interpreter failed".to_owned(), self.begins)),
        };
        // What the body declared stands behind; it may have the same names.
        scope.rewind(size);
        match scope.remove::<Map>("state") {
            Some(state) => Ok((answer, state)),
            None => Err(("`state` is no map any more; write `state.name = ...`".to_owned(), self.begins)),
        }
    }
}

/// All scripts of a rule set, compiled.
#[derive(Debug, Clone)]
pub struct Scripts {
    engine: Arc<Engine>,
    list: Vec<Script>,
    by_id: HashMap<String, usize>,
}

/// Rules and scripts of some folders.
#[derive(Debug)]
pub struct Loaded {
    /// The rules, the heads of scripts among them, and all that was refused.
    pub report: LoadReport,
    /// The scripts.
    pub scripts: Scripts,
}

/// Reads all rules and scripts below `paths`, whatever `options` say of scripts.
pub fn load(paths: &[PathBuf], options: &LoadOptions) -> Loaded {
    let options = LoadOptions { scripts: true, ..options.clone() };
    let mut report = RuleSet::load(paths, &options);
    let (scripts, refused) = Scripts::compile(&report.rules, &Limits::default());
    report.compiled -= refused.len();
    report.refused.extend(refused);
    Loaded { report, scripts }
}

impl Scripts {
    /// Compiles the scripts of `rules`; those that cannot be are told, and never run.
    pub fn compile(rules: &RuleSet, limits: &Limits) -> (Self, Vec<Refusal>) {
        let mut scripts = Self { engine: engine::engine(limits), list: Vec::new(), by_id: HashMap::new() };
        let mut refused = Vec::new();
        for source in rules.scripts() {
            let Some(head) = rules.rule(source.rule) else { continue };
            let compiled = catch_unwind(AssertUnwindSafe(|| compile(&source.body, limits)));
            let compiled = compiled.unwrap_or_else(|_| Err(error(1, "the interpreter cannot read it")));
            match compiled {
                Ok((body, constants, begins)) => {
                    scripts.by_id.insert(head.id.clone(), scripts.list.len());
                    scripts.list.push(Script {
                        rule: source.rule,
                        id: head.id.clone(),
                        title: head.title.clone(),
                        file: head.file.clone(),
                        entity: if head.entity.is_empty() { &source.key } else { &head.entity }.clone(),
                        idle: i64::try_from(source.idle.as_nanos()).unwrap_or(i64::MAX),
                        shape: shape(source, head.province),
                        begins,
                        body,
                        constants,
                    });
                }
                Err(error) => {
                    refused.push(Refusal { file: head.file.clone(), line: error.line, reason: error.reason });
                }
            }
        }
        (scripts, refused)
    }

    /// The scripts, in the order of their heads.
    pub fn all(&self) -> &[Script] {
        &self.list
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The script with this id.
    pub fn find(&self, id: &str) -> Option<&Script> {
        self.list.get(*self.by_id.get(id)?)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}

fn shape(source: &ScriptSource, province: bool) -> String {
    let place = format!("{:?} {:?} {province}", source.key, source.fields);
    identity::hex_of(&[source.body.as_bytes(), place.as_bytes()]).chars().take(32).collect()
}

fn error(line: usize, reason: impl Into<String>) -> ScriptError {
    let reason: String = reason.into();
    ScriptError { line: line.max(1), reason: reason.chars().take(300).collect() }
}

/// The body of `on` as statements over `event` and `state`, with the script's functions; and its constants.
///
/// Rhai gives a function copies of what it is called with; as statements, `state` is the script's own.
fn compile(text: &str, limits: &Limits) -> Result<(AST, Scope<'static>, usize), ScriptError> {
    if text.len() > MAX_BYTES {
        return Err(error(1, format!("has {} bytes; a script may have {MAX_BYTES}", text.len())));
    }
    let parse = |reason: rhai::ParseError| {
        let line = reason.position().line().unwrap_or(1);
        error(line, format!("cannot be read: {}", reason.err_type().to_string().to_lowercase()))
    };
    let mut reader = engine::base(limits);
    reader.set_optimization_level(OptimizationLevel::None);
    let whole = reader.compile(text).map_err(parse)?;
    if let Some((line, reason)) = calls::unknown(&whole) {
        return Err(error(line, reason));
    }
    let constants = constants(&reader, &whole)?;
    let Some(on) = whole.shared_lib().get_script_fn("on", 2) else {
        return Err(error(1, "has no `fn on(event, state)`"));
    };
    if on.params.iter().map(rhai::ImmutableString::as_str).ne(["event", "state"]) {
        let line = on.body.start_position().line().unwrap_or(1);
        return Err(error(line, "call what `on` takes `event` and `state`, in this order"));
    }
    let inner = inside(text, on.body.start_position(), on.body.end_position())
        .ok_or_else(|| error(1, "the body of `on` cannot be found"))?;
    let mut names = constants.clone();
    names.push("event", Map::new()).push("state", Map::new());
    reader.set_strict_variables(true);
    let body = reader.compile_with_scope(&names, &inner).map_err(parse)?;
    let begins = on.body.start_position().line().unwrap_or(1);
    Ok((whole.clone_functions_only().merge(&body), constants, begins))
}

/// What stands at the top besides functions: constants and nothing else.
fn constants(engine: &Engine, whole: &AST) -> Result<Scope<'static>, ScriptError> {
    let mut scope = Scope::new();
    engine::begin();
    engine.run_ast_with_scope(&mut scope, whole).map_err(|failed| {
        let (reason, line) = engine::told(&failed);
        error(line, reason)
    })?;
    if let Some((name, ..)) = scope.iter_raw().find(|(_, constant, _)| !constant) {
        return Err(error(1, format!("{name:?} is a variable at the top; write `const`, or `state.{name}`")));
    }
    if scope.len() > 32 {
        return Err(error(1, "has more than 32 constants"));
    }
    Ok(scope)
}

/// The text between two braces, at its own lines and columns.
fn inside(text: &str, from: Position, to: Position) -> Option<String> {
    let (first, last) = (offset(text, from)?, offset(text, to)?);
    let body = text.get(first..=last)?.strip_prefix('{')?.strip_suffix('}')?;
    let lines = "\n".repeat(from.line()?.checked_sub(1)?);
    Some(format!("{lines}{}{body}", " ".repeat(from.position()?)))
}

/// The byte at a position; columns count signs.
fn offset(text: &str, place: Position) -> Option<usize> {
    let start: usize = text.split_inclusive('\n').take(place.line()?.checked_sub(1)?).map(str::len).sum();
    let (column, _) = text.get(start..)?.char_indices().nth(place.position()?.checked_sub(1)?)?;
    Some(start + column)
}
