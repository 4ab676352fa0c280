//! Scripts as the rule set sees them: a head that is a Sigma rule, and a body that somebody else runs.
//!
//! ```text
//! /* meta
//! title: ...            the keys of a Sigma rule, its `detection` being what the script runs on
//! script:
//!     key: [source.ip]                     whose state a run sees; `organization.id` is always part of it
//!     fields: [destination.ip]             what else the script reads of an event
//!     idle: 1d                             a key's state is forgotten after so long without an event
//! */
//! fn on(event, state) { ... }
//! ```
//!
//! The head begins at the first line that is not blank and ends at the first line that is `*/` alone. Lines keep their
//! numbers in both parts.

use std::time::Duration;

use serde_yaml_ng::{Mapping, Value};

use crate::error::RuleError;
use crate::sigma::meta::{text, texts, timespan};

/// The key of the head that says how the script is run.
pub(crate) const KEY: &str = "script";
/// How long the state of a key lasts without an event, where the script does not say.
const IDLE: Duration = Duration::from_hours(24);
/// Most fields of a key, and most that a script reads besides.
const MAX_FIELDS: usize = 32;

/// One script: what its head says about running it, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptSource {
    /// The number of the rule that is its head.
    pub rule: usize,
    /// Fields whose values choose the state; an event that lacks one is not for the script.
    pub key: Vec<String>,
    /// Fields that the script reads besides those of the key.
    pub fields: Vec<String>,
    /// A key's state is forgotten after so long, in event time, without an event.
    pub idle: Duration,
    /// The Rhai text; the lines of the head are blank.
    pub body: String,
}

impl ScriptSource {
    /// Reads `script:` of a head.
    pub(crate) fn read(head: &Mapping, body: String) -> Result<Self, RuleError> {
        let wrong = |key: &str, expected| RuleError::WrongType { key: key.to_owned(), expected };
        let missing = |key: &str, hint| RuleError::Missing { key: key.to_owned(), hint };
        let own = match head.get(KEY) {
            Some(Value::Mapping(own)) => own,
            Some(_) => return Err(wrong(KEY, "a map of key, fields, idle")),
            None => {
                return Err(missing(KEY, "name the fields of the state's key: `script: {key: [source.ip]}`"));
            }
        };
        for key in own.keys() {
            let key = key.as_str().unwrap_or_default();
            if !matches!(key, "key" | "fields" | "idle") {
                return Err(wrong(key, "one of key, fields, idle (under `script:`)"));
            }
        }
        let (key, fields) = (texts(own, "key")?, texts(own, "fields")?);
        if key.is_empty() {
            return Err(missing("key", "name the fields whose values choose the state: `key: [source.ip]`"));
        }
        if key.len() > MAX_FIELDS || fields.len() > MAX_FIELDS {
            return Err(wrong("fields", "at most 32 names"));
        }
        let idle = text(own, "idle")?
            .map(|span| {
                timespan(&span).ok_or_else(|| wrong("idle", "a number and one of s, m, h, d, w, such as 1h"))
            })
            .transpose()?;
        Ok(Self { rule: 0, key, fields, idle: idle.unwrap_or(IDLE), body })
    }

    /// All fields that it needs of an event.
    pub fn reads(&self) -> impl Iterator<Item = &str> {
        self.key.iter().chain(&self.fields).map(String::as_str)
    }
}

/// The head and the body, each with blank lines where the other stands; or why there is no head.
pub(crate) fn cut(text: &str) -> Result<(String, String), &'static str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut head, mut body) = (String::new(), String::with_capacity(text.len()));
    let mut place = Place::Before;
    for line in text.lines() {
        match (&place, line.trim()) {
            (Place::Before, "") => {}
            (Place::Before, "/* meta") => place = Place::Head,
            (Place::Before, _) => return Err("has no head: write `/* meta` as its first line"),
            (Place::Head, "*/") => place = Place::Body,
            (Place::Head, _) => head.push_str(line),
            (Place::Body, _) => body.push_str(line),
        }
        head.push('\n');
        body.push('\n');
    }
    match place {
        Place::Body => Ok((head.trim_end().to_owned(), body)),
        Place::Head => Err("its head has no end: close it with a line that is `*/` alone"),
        Place::Before => Err("is empty: write a head between `/* meta` and `*/`, and `fn on(event, state)`"),
    }
}

enum Place {
    Before,
    Head,
    Body,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LoadOptions, RuleSet};
    use proptest::prelude::*;

    const SCRIPT: &str = "/* meta\ntitle: T\nid: one\nlogsource: {product: x}\ndetection:\n  s: {a: b}\n  condition: s\nscript:\n  key: [source.ip]\n*/\nfn on(event, state) { }\n";

    fn load(text: &str) -> crate::LoadReport {
        let options = LoadOptions { scripts: true, ..LoadOptions::default() };
        RuleSet::from_documents([("x.rhai", text)], &options)
    }

    #[test]
    fn a_script_is_a_silent_rule_and_a_body() {
        let report = load(SCRIPT);
        assert_eq!(report.refused, []);
        let rule = &report.rules.rules()[0];
        assert!(rule.script && !rule.reported);
        let source = &report.rules.scripts()[0];
        assert_eq!((source.rule, source.key.as_slice()), (0, &["source.ip".to_owned()][..]));
        assert_eq!(source.body.lines().position(|line| line.starts_with("fn on")), Some(10));
        assert_eq!(RuleSet::from_documents([("x.rhai", SCRIPT)], &LoadOptions::default()).compiled, 0);
    }

    #[test]
    fn refusals_name_the_line() {
        for (from, to, line, reason) in [
            ("/* meta", "// no", 1, "/* meta"),
            ("*/\n", "", 1, "no end"),
            ("  key: [source.ip]", "  keys: [source.ip]", 9, "one of key"),
            ("  key: [source.ip]", "  key: []", 2, "missing"),
            ("  key: [source.ip]", "  key: [a]\n  idle: never", 10, "such as 1h"),
            ("s: {a: b}", "s: {a|containz: b}", 6, "contains"),
            ("script:\n  key: [source.ip]\n", "", 2, "\"script\" is missing"),
            ("title: T", "title: T\ncorrelation: {}", 3, "correlation"),
        ] {
            let refused = load(&SCRIPT.replace(from, to)).refused;
            assert_eq!(refused.len(), 1, "{to}");
            assert!(refused[0].reason.contains(reason), "{to}: {}", refused[0].reason);
            if line > 2 {
                assert_eq!(refused[0].line, line, "{to}: {}", refused[0].reason);
            }
        }
        let yaml = SCRIPT.replace("/* meta\n", "").replace("*/\nfn on(event, state) { }\n", "");
        let report = RuleSet::from_documents([("x.yml", yaml)], &LoadOptions::default());
        assert!(report.refused[0].reason.contains("NAME.rhai"), "{:?}", report.refused);
    }

    proptest! {
        #[test]
        fn cutting_never_panics_and_keeps_lines(text in "(/\\* meta\n)?[a-z*/ \n]{0,80}(\\*/\n)?[a-z*/ \n]{0,40}") {
            if let Ok((head, body)) = cut(&text) {
                prop_assert_eq!(body.lines().count(), text.lines().count());
                prop_assert!(head.lines().count() <= text.lines().count());
            }
        }
    }
}
