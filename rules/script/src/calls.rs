//! Calls of functions that do not exist, found before a script ever runs.
//!
//! Rhai looks a function up when it is called, so a misspelt name, or a clock that scripts do not have, would fail on the
//! first event that comes to it. Names alone are compared: which types a function takes is known only when it runs.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use dongson_rules::sigma::modifier::distance;
use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};

use crate::engine::{self, Limits};

/// What the language itself answers when it is called.
const LANGUAGE: [&str; 7] = ["type_of", "is_def_var", "is_def_fn", "is_shared", "Fn", "call", "curry"];

/// All functions that scripts can call, operators among them.
static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let signatures = engine::base(&Limits::default()).gen_fn_signatures(true);
    let names = signatures.iter().filter_map(|one| one.split_once('(')).map(|(name, _)| name.to_owned());
    names.chain(LANGUAGE.map(str::to_owned)).collect()
});

/// Names that people expect, and what there is instead.
const INSTEAD: &[(&[&str], &str)] = &[
    (
        &["timestamp", "now", "time", "date", "datetime", "clock", "today", "elapsed"],
        "there is no clock, so that a replay gives the same alerts; `event.at` is the event's time in milliseconds since 1970, `hour(event.at)` and `weekday(event.at)` are parts of it",
    ),
    (
        &["rand", "random", "rand_float", "rand_bool", "shuffle", "sample", "uuid"],
        "there is no chance, so that a replay gives the same alerts; `print_of` gives a fixed print of a text",
    ),
    (
        &["print", "debug", "log", "alert", "emit"],
        "a script speaks by what `on` returns: true, or a map of entity, because, count",
    ),
    (
        &["open", "read", "write", "open_file", "http", "get_url", "fetch", "env", "sleep", "exec", "system"],
        "there are no files, no network and no waiting; what a script needs stands in `event` and `state`",
    ),
    (&["length", "size", "count"], "write `len`"),
    (&["add", "append_to", "insert_last"], "write `push`"),
    (&["lower", "lowercase", "tolower"], "write `to_lower`"),
    (&["upper", "uppercase", "toupper"], "write `to_upper`"),
    (&["startswith"], "write `starts_with`"),
    (&["endswith"], "write `ends_with`"),
    (&["stdev", "stddev", "std"], "write `deviation`"),
    (&["avg", "average"], "write `mean`"),
    (&["has", "has_key", "contains_key"], "write `name in map`"),
];

/// True when there is a function of this name.
pub(crate) fn exists(name: &str) -> bool {
    KNOWN.contains(name)
}

/// What to write instead of a function that does not exist.
pub(crate) fn instead(name: &str) -> String {
    let lower = name.to_lowercase();
    if let Some((_, hint)) = INSTEAD.iter().find(|(names, _)| names.contains(&lower.as_str())) {
        return (*hint).to_owned();
    }
    let near = KNOWN.iter().filter(|known| known.starts_with(|sign: char| sign.is_alphabetic()));
    let near = near.map(|known| (distance(&lower, known), known)).filter(|(far, _)| *far <= 2).min();
    match near {
        Some((_, known)) if lower.len() > 2 => format!("write `{known}`"),
        _ => "write it in the script as `fn`, or use one of the functions in the documentation".to_owned(),
    }
}

/// The first call of a function that neither the script nor we have: its line, and the reason.
pub(crate) fn unknown(script: &AST) -> Option<(usize, String)> {
    let own: BTreeSet<&str> = script.iter_functions().map(|one| one.name).collect();
    let mut found = None;
    script.walk(&mut |path| {
        let Some((call, at)) = path.last().and_then(called) else { return true };
        let name = call.name.as_str();
        if call.is_operator_call() || own.contains(name) || KNOWN.contains(name) || is_made(name) {
            return true;
        }
        found = Some((at.line().unwrap_or(0), format!("there is no function {name:?}: {}", instead(name))));
        false
    });
    found
}

fn called<'n>(node: &ASTNode<'n>) -> Option<(&'n FnCallExpr, Position)> {
    match node {
        ASTNode::Expr(Expr::FnCall(call, at) | Expr::MethodCall(call, at))
        | ASTNode::Stmt(Stmt::FnCall(call, at)) => Some((call, *at)),
        _ => None,
    }
}

/// Names that the interpreter makes up for itself hold signs that no script can write.
fn is_made(name: &str) -> bool {
    name.contains('$')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> Option<(usize, String)> {
        let engine = engine::base(&Limits::default());
        unknown(&engine.compile(body).unwrap())
    }

    #[test]
    fn what_exists_is_known() {
        for body in [
            "fn on(event, state) { let a = [1, 2]; a.push(3); a.keep_last(2); a.len() > 1 && !(\"x\" in event) }",
            "fn twice(n) { n * 2 } fn on(event, state) { twice(hour(event.at)).to_string() }",
            "fn on(event, state) { let a = [3, 1]; a.sort(|x, y| x - y); a.filter(|x| x > 1).map(|x| x + 1).len() }",
            "fn on(event, state) { if type_of(event.x) == \"i64\" { for (k, i) in state.keys() { i.abs(); } } }",
            "fn on(event, state) { let s = `n ${event.n}`; s.to_lower().starts_with(\"n\") && s.contains(\"n\") }",
        ] {
            assert_eq!(check(body), None, "{body}");
        }
    }

    #[test]
    fn what_does_not_exist_is_told_with_its_line_and_what_there_is() {
        for (body, line, part) in [
            ("fn on(event, state) {\n  state.t = timestamp();\n}", 2, "no clock"),
            ("fn on(event, state) {\n\n  if rand() > 5 { return true; }\n}", 3, "no chance"),
            ("fn on(event, state) {\n  let n = [1].length();\n}", 2, "`len`"),
            ("fn help(n) {\n  n.absolut()\n}\nfn on(event, state) {\n  help(1)\n}", 2, "\"absolut\""),
            ("fn on(event, state) { [1].map(|x|\n enthropy(x)) }", 2, "write `entropy`"),
            ("fn on(event, state) { if true {\n nothing(); } }", 2, "\"nothing\""),
        ] {
            let (at, reason) = check(body).unwrap_or_else(|| panic!("not seen: {body}"));
            assert!(at == line && reason.contains(part), "{body}: {at} {reason}");
        }
    }
}
