//! Filters: one exclusion for many rules (Sigma filters specification 2.1.0).
//!
//! A filter names the rules (or `any`) and describes what they must leave alone. Both published forms of its condition
//! are taken: `condition: selection` says what is left out (the specification's example), and a negation such as
//! `condition: not selection` is what must hold besides the rule (the reference implementation); either way the
//! events that the selection describes are excluded.

use serde_yaml_ng::{Mapping, Value as Yaml};

use super::detection::{self, Detection, Node};
use super::meta::{logsource, text, texts};
use super::placeholder::Values;
use crate::RuleError;
use crate::predicate::Tables;
use crate::rule::{LogSource, Rule};

/// Keys that stand beside the selections.
const KEYS: [&str; 2] = ["rules", "condition"];

/// Which rules a filter is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Targets {
    /// All rules whose log source the filter's covers.
    Any,
    /// Those with these ids or names.
    Named(Vec<String>),
}

/// One filter.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    /// Its id; where it has none, its title.
    pub(crate) id: String,
    title: String,
    targets: Targets,
    logsource: LogSource,
    detection: Detection,
}

impl Filter {
    /// Reads a document that has `filter:`.
    pub(crate) fn read(map: &Mapping, values: &Values, tables: &mut Tables) -> Result<Self, RuleError> {
        let wrong = |key: &str, expected| RuleError::WrongType { key: key.to_owned(), expected };
        let missing = |key: &str, hint| RuleError::Missing { key: key.to_owned(), hint };
        for other in ["detection", "correlation", "level", "status"] {
            if map.contains_key(other) {
                return Err(RuleError::Unsupported {
                    what: format!("{other}: beside filter:"),
                    instead: "a filter has title, id, description, logsource and filter; make two documents",
                });
            }
        }
        let title = text(map, "title")?
            .filter(|title| !title.trim().is_empty())
            .ok_or_else(|| missing("title", "say in one line what the filter leaves out"))?;
        let Some(Yaml::Mapping(own)) = map.get("filter") else {
            return Err(wrong("filter", "a map of rules, selections and a condition"));
        };
        let targets = match own.get("rules") {
            Some(Yaml::String(any)) if any == "any" => Targets::Any,
            Some(Yaml::Sequence(list)) if !list.is_empty() => Targets::Named(texts(own, "rules")?),
            _ => return Err(missing("rules", "list the ids or names of rules, or write `rules: any`")),
        };
        let (logsource, _) = logsource(map)?;
        let detection = detection::compile(own, &KEYS, values, tables)?;
        if detection.selections.is_empty() {
            return Err(missing("selection", "describe what the filter leaves out"));
        }
        Ok(Self {
            id: text(map, "id")?.unwrap_or_else(|| title.clone()),
            title,
            targets,
            logsource,
            detection,
        })
    }

    /// Numbers of the rules that it is for.
    ///
    /// # Errors
    /// When it names a rule that is not there, that is a correlation, or whose log source it does not cover.
    pub(crate) fn targets(&self, rules: &[Rule]) -> Result<Vec<usize>, RuleError> {
        match &self.targets {
            Targets::Any => {
                let all = rules.iter().enumerate();
                Ok(all.filter(|(_, rule)| self.covers(rule)).map(|(number, _)| number).collect())
            }
            Targets::Named(names) => names.iter().map(|name| self.target(name, rules)).collect(),
        }
    }

    fn target(&self, name: &str, rules: &[Rule]) -> Result<usize, RuleError> {
        let fail = |reason: String| Err(RuleError::Filter { name: name.to_owned(), reason });
        let number = rules
            .iter()
            .position(|rule| rule.id == name)
            .or_else(|| rules.iter().position(|rule| rule.name.as_deref() == Some(name)));
        match number.and_then(|number| Some((number, rules.get(number)?))) {
            None => fail("no rule has this id or name; load its file together with this one".to_owned()),
            Some((_, rule)) if rule.correlation => {
                fail("is a correlation; name the rules that it counts".to_owned())
            }
            Some((_, rule)) if !self.covers(rule) => fail(format!(
                "has another log source ({}); write one that covers it",
                rule.logsource.words().join(", ")
            )),
            Some((number, _)) => Ok(number),
        }
    }

    /// True when each word of its log source is also the rule's.
    fn covers(&self, rule: &Rule) -> bool {
        !rule.correlation && self.logsource.accepts(&rule.logsource)
    }

    /// Adds the exclusion to `detection`.
    pub(crate) fn apply(&self, detection: &mut Detection) {
        let condition = detection.graft(&format!("{}: ", self.title), &self.detection);
        let kept = if is_negation(&condition) { condition } else { Node::Not(Box::new(condition)) };
        let own = std::mem::replace(&mut detection.condition, Node::Any(Vec::new()));
        detection.condition = Node::All(vec![own, kept]);
    }
}

/// True for `not a`, and for `not a and not b`.
fn is_negation(condition: &Node) -> bool {
    match condition {
        Node::Not(_) => true,
        Node::All(parts) => !parts.is_empty() && parts.iter().all(is_negation),
        _ => false,
    }
}
