//! The Rhai engine: what a script may do, and how much of it.

use std::cell::Cell;
use std::sync::Arc;

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, LogicPackage, MoreStringPackage, Package as _,
};
use rhai::{Dynamic, Engine, EvalAltResult};

use crate::{calls, native};

/// What one run of a script may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Operations of the interpreter; what our own functions do counts by the size of what they are given.
    pub operations: u64,
    /// Functions that call functions.
    pub calls: usize,
    /// Bytes of one text.
    pub text: usize,
    /// Elements of one array, counted with those inside.
    pub array: usize,
    /// Entries of one map, counted with those inside.
    pub map: usize,
    /// Variables that live at the same time.
    pub variables: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { operations: 600, calls: 8, text: 2_048, array: 256, map: 256, variables: 64 }
    }
}

thread_local! {
    /// Operations of the run in hand, as the engine counts them.
    static COUNTED: Cell<u64> = const { Cell::new(0) };
    /// What our own functions added.
    static CHARGED: Cell<u64> = const { Cell::new(0) };
}

/// Begins to count.
pub(crate) fn begin() {
    COUNTED.set(0);
    CHARGED.set(0);
}

/// Operations since [`begin`].
pub(crate) fn used() -> u64 {
    COUNTED.get().saturating_add(CHARGED.get())
}

/// Adds what a function of ours did.
pub(crate) fn charge(operations: usize) {
    CHARGED.set(CHARGED.get().saturating_add(u64::try_from(operations).unwrap_or(u64::MAX)));
}

/// The engine that runs scripts.
pub(crate) fn engine(limits: &Limits) -> Arc<Engine> {
    Arc::new(base(limits))
}

/// An engine with all limits.
pub(crate) fn base(limits: &Limits) -> Engine {
    let mut engine = Engine::new_raw();
    // Without the core package of the language: it would bring `sleep`.
    ArithmeticPackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BasicFnPackage::new().register_into_engine(&mut engine);
    BasicIteratorPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    BasicStringPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);
    native::register(&mut engine);
    for word in ["eval", "print", "debug", "import", "export"] {
        engine.disable_symbol(word);
    }
    engine
        .set_max_operations(limits.operations)
        .set_max_call_levels(limits.calls)
        .set_max_expr_depths(64, 32)
        .set_max_string_size(limits.text)
        .set_max_array_size(limits.array)
        .set_max_map_size(limits.map)
        .set_max_variables(limits.variables)
        .set_max_functions(64)
        .set_fail_on_invalid_map_property(false);
    let most = limits.operations;
    engine.on_progress(move |operations| {
        COUNTED.set(operations);
        (used() > most).then_some(Dynamic::UNIT)
    });
    engine
}

/// What went wrong, in words, and the line where, from 1; 0 where there is none.
pub(crate) fn told(error: &EvalAltResult) -> (String, usize) {
    let mut at = error.position().line().unwrap_or(0);
    let mut inner = error;
    while let EvalAltResult::ErrorInFunctionCall(_, _, next, position) = inner {
        at = next.position().line().or(position.line()).unwrap_or(at);
        inner = next;
    }
    let reason = match inner {
        EvalAltResult::ErrorTooManyOperations(_) | EvalAltResult::ErrorTerminated(..) => {
            "does more operations than a run may: do less for each event".to_owned()
        }
        EvalAltResult::ErrorStackOverflow(_) => {
            "calls functions too deep inside each other: write a loop".to_owned()
        }
        EvalAltResult::ErrorDataTooLarge(what, _) => {
            format!(
                "{} is larger than it may be: keep less, for example with `keep_last`",
                what.to_lowercase()
            )
        }
        EvalAltResult::ErrorFunctionNotFound(call, _) => not_taken(call),
        other => without_place(&other.to_string()),
    };
    (reason, at)
}

/// A call of a function that does not exist for what it was given: `hour (())`.
fn not_taken(call: &str) -> String {
    let name = call.split([' ', '(']).next().unwrap_or_default();
    let hint = if call.contains("()") {
        "a field that the event lacks, or a name that `state` has not yet, is `()`: ask `!= ()` first"
            .to_owned()
    } else if calls::exists(name) {
        "it takes other types: ask `type_of` first".to_owned()
    } else {
        calls::instead(name)
    };
    let call: String = call.chars().take(120).collect();
    format!("no function fits {call}: {hint}")
}

/// The error without its place, which is told apart; cut to what one line holds.
fn without_place(text: &str) -> String {
    let cut = text.rfind(" (line ").and_then(|at| text.get(..at)).unwrap_or(text);
    cut.replace('\n', " ").chars().take(200).collect()
}
