//! `detection:` as a plain tree over shared predicates.

use serde_yaml_ng::{Mapping, Value as Yaml};

use super::condition::{Condition, fits, is_reserved};
use super::modifier::{Key, Modifier};
use super::placeholder::{Placeholders, Values};
use super::value::tests;
use crate::RuleError;
use crate::predicate::{PredicateId, Tables, Target, Test};
use crate::text::Pattern;
use crate::text::glyph::Glyph;

/// The field with the agency's short id.
const ORGANIZATION: &str = "organization.id";

/// A truth that is built of predicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// All hold; true when empty.
    All(Vec<Node>),
    /// One holds; false when empty.
    Any(Vec<Node>),
    /// Does not hold.
    Not(Box<Node>),
    /// The predicate holds.
    Test(PredicateId),
    /// The selection of this number holds.
    Selection(usize),
}

/// The selections of a rule and the condition over them.
#[derive(Debug, Clone)]
pub(crate) struct Detection {
    /// Names and trees.
    pub(crate) selections: Vec<(String, Node)>,
    /// Refers to selections by number.
    pub(crate) condition: Node,
}

impl Detection {
    /// Adds the selections of `other`, their names behind `prefix`, and gives its condition over their new numbers.
    pub(crate) fn graft(&mut self, prefix: &str, other: &Self) -> Node {
        let by = self.selections.len();
        let moved = other.selections.iter().map(|(name, node)| (format!("{prefix}{name}"), node.shifted(by)));
        self.selections.extend(moved);
        other.condition.shifted(by)
    }
}

impl Node {
    /// The same over selections that stand `by` places further.
    fn shifted(&self, by: usize) -> Self {
        let all = |parts: &[Self]| parts.iter().map(|part| part.shifted(by)).collect();
        match self {
            Self::All(parts) => Self::All(all(parts)),
            Self::Any(parts) => Self::Any(all(parts)),
            Self::Not(inner) => Self::Not(Box::new(inner.shifted(by))),
            Self::Test(predicate) => Self::Test(*predicate),
            Self::Selection(number) => Self::Selection(number + by),
        }
    }
}

/// Builds the detection of one rule.
pub(crate) fn build(map: &Mapping, values: &Values, tables: &mut Tables) -> Result<Detection, RuleError> {
    let missing = |key: &str, hint| RuleError::Missing { key: key.to_owned(), hint };
    let Some(detection) = map.get("detection") else {
        return Err(missing("detection", "name what to look for and a condition"));
    };
    let Yaml::Mapping(detection) = detection else {
        return Err(RuleError::WrongType {
            key: "detection".to_owned(),
            expected: "a map of selections and a condition",
        });
    };
    compile(detection, &["condition"], values, tables)
}

/// Compiles a map of selections and a condition; the keys of `skip` are no selections.
pub(crate) fn compile(
    detection: &Mapping,
    skip: &[&str],
    values: &Values,
    tables: &mut Tables,
) -> Result<Detection, RuleError> {
    let missing = |key: &str, hint| RuleError::Missing { key: key.to_owned(), hint };
    let mut builder = Builder { values, tables };
    let mut selections = Vec::new();
    for (name, content) in detection {
        let digits;
        let name = match name {
            Yaml::Number(number) => {
                digits = number.to_string();
                Some(digits.as_str())
            }
            other => other.as_str(),
        };
        let Some(name) = name else {
            return Err(RuleError::WrongType {
                key: "detection".to_owned(),
                expected: "a map whose keys are names",
            });
        };
        match name {
            name if skip.contains(&name) => {}
            "<<" => return Err(merge_key()),
            "timeframe" => {
                return Err(RuleError::Obsolete {
                    what: "timeframe".to_owned(),
                    instead: "write a correlation rule with `timespan`",
                });
            }
            name if is_reserved(name) => {
                return Err(RuleError::WrongType {
                    key: name.to_owned(),
                    expected: "renamed: as the name of a selection it is a word of conditions (and, or, not, of, them, all, any, 1)",
                });
            }
            name => selections.push((name.to_owned(), builder.selection(name, content)?)),
        }
    }
    let condition =
        detection.get("condition").ok_or_else(|| missing("condition", "say which selections must hold"))?;
    let condition = read_condition(condition, &selections)?;
    Ok(Detection { selections, condition })
}

/// One condition, or a list of which one must hold.
fn read_condition(condition: &Yaml, selections: &[(String, Node)]) -> Result<Node, RuleError> {
    let one = |text: &str| resolve(&Condition::parse(text)?, text, selections);
    let wrong = || RuleError::WrongType { key: "condition".to_owned(), expected: "text, or a list of texts" };
    let empty = |text: &str| {
        let reason = format!("is empty; say which selections must hold: {}", names(selections));
        Err(RuleError::Condition { condition: text.to_owned(), reason })
    };
    match condition {
        Yaml::Null => empty(""),
        Yaml::String(text) if text.trim().is_empty() => empty(text),
        Yaml::String(text) => one(text),
        Yaml::Sequence(items) if !items.is_empty() => items
            .iter()
            .map(|item| one(item.as_str().ok_or_else(wrong)?))
            .collect::<Result<_, _>>()
            .map(Node::Any),
        _ => Err(wrong()),
    }
}

fn resolve(condition: &Condition, text: &str, selections: &[(String, Node)]) -> Result<Node, RuleError> {
    let fail = |reason: String| RuleError::Condition { condition: text.to_owned(), reason };
    let all = |parts: &[Condition]| {
        parts.iter().map(|part| resolve(part, text, selections)).collect::<Result<Vec<_>, _>>()
    };
    match condition {
        Condition::Not(inner) => Ok(Node::Not(Box::new(resolve(inner, text, selections)?))),
        Condition::And(parts) => all(parts).map(Node::All),
        Condition::Or(parts) => all(parts).map(Node::Any),
        Condition::Name(name) => {
            selections.iter().position(|(held, _)| held == name).map(Node::Selection).ok_or_else(|| {
                fail(format!("there is no selection {name:?}; there are {}", names(selections)))
            })
        }
        Condition::Of { all, pattern } => {
            let named =
                selections.iter().enumerate().filter(|(_, (name, _))| chosen(pattern.as_deref(), name));
            let nodes: Vec<Node> = named.map(|(index, _)| Node::Selection(index)).collect();
            if nodes.is_empty() {
                let pattern = pattern.as_deref().unwrap_or("them");
                return Err(fail(format!("no selection fits {pattern:?}; there are {}", names(selections))));
            }
            Ok(if *all { Node::All(nodes) } else { Node::Any(nodes) })
        }
    }
}

/// The names of the selections, for people; of many the first ones.
fn names(selections: &[(String, Node)]) -> String {
    const MOST: usize = 12;
    if selections.is_empty() {
        return "none yet: name one beside `condition`".to_owned();
    }
    let shown: Vec<String> = selections.iter().take(MOST).map(|(name, _)| format!("{name:?}")).collect();
    let more = if selections.len() > MOST { ", and more" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Names that begin with `_` are only meant where the pattern begins so too.
fn chosen(pattern: Option<&str>, name: &str) -> bool {
    match pattern {
        None => !name.starts_with('_'),
        Some(pattern) => fits(pattern, name) && (pattern.starts_with('_') || !name.starts_with('_')),
    }
}

/// YAML 1.2 has no merge keys: `<<` would be a field of that name.
fn merge_key() -> RuleError {
    RuleError::Unsupported {
        what: "the merge key `<<:` of YAML 1.1".to_owned(),
        instead: "write the merged fields out, or make them a selection of their own and join both in the condition",
    }
}

struct Builder<'b> {
    values: &'b Values,
    tables: &'b mut Tables,
}

impl Builder<'_> {
    fn selection(&mut self, name: &str, content: &Yaml) -> Result<Node, RuleError> {
        match content {
            Yaml::Mapping(map) => self.map(name, map),
            Yaml::Sequence(items) if !items.is_empty() => {
                items.iter().map(|item| self.element(name, item)).collect::<Result<_, _>>().map(Node::Any)
            }
            Yaml::String(_) | Yaml::Number(_) => self.element(name, content),
            _ => Err(RuleError::WrongType {
                key: name.to_owned(),
                expected: "a map of fields, a list of maps, or a list of keywords, and not empty",
            }),
        }
    }

    /// An element of a list: a map, or a keyword.
    fn element(&mut self, name: &str, item: &Yaml) -> Result<Node, RuleError> {
        match item {
            Yaml::Mapping(map) => self.map(name, map),
            keyword => self.entry(&Key { text: name, field: "", modifiers: Vec::new() }, keyword),
        }
    }

    fn map(&mut self, name: &str, map: &Mapping) -> Result<Node, RuleError> {
        if map.is_empty() {
            return Err(RuleError::WrongType {
                key: name.to_owned(),
                expected: "a map with at least one field",
            });
        }
        let entries = map.iter().map(|(key, value)| {
            let digits;
            let key = match key {
                Yaml::String(text) if text == "<<" => return Err(merge_key()),
                Yaml::String(text) => text.as_str(),
                Yaml::Number(number) => {
                    digits = number.to_string();
                    &digits
                }
                _ => {
                    return Err(RuleError::WrongType {
                        key: name.to_owned(),
                        expected: "a map whose keys are fields",
                    });
                }
            };
            self.entry(&Key::parse(key)?, value)
        });
        entries.collect::<Result<_, _>>().map(Node::All)
    }

    /// One key with its value or values.
    fn entry(&mut self, key: &Key<'_>, value: &Yaml) -> Result<Node, RuleError> {
        let values = match value {
            Yaml::Sequence(items) if items.is_empty() => {
                return Err(RuleError::WrongType {
                    key: key.text.to_owned(),
                    expected: "a list with at least one value",
                });
            }
            Yaml::Sequence(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        if key.has(Modifier::All) && values.len() < 2 {
            return Err(RuleError::Modifier {
                key: key.text.to_owned(),
                modifier: Modifier::All.as_str(),
                reason: "needs a list of two values at least; leave it out".to_owned(),
            });
        }
        let target =
            if key.field.is_empty() { Target::Anywhere } else { Target::Field(self.tables.field(key.field)) };
        let mut nodes =
            values.iter().map(|value| self.value(key, target, value)).collect::<Result<Vec<_>, _>>()?;
        let node = match nodes.pop() {
            Some(only) if nodes.is_empty() => only,
            last => {
                nodes.extend(last);
                if key.has(Modifier::All) { Node::All(nodes) } else { Node::Any(nodes) }
            }
        };
        Ok(if key.has(Modifier::Neq) { Node::Not(Box::new(node)) } else { node })
    }

    /// One value; where agencies give its placeholders values of their own, each agency is asked for its own.
    fn value(&mut self, key: &Key<'_>, target: Target, value: &Yaml) -> Result<Node, RuleError> {
        let values = self.values;
        let common = self.expanded(key, target, value, &values.placeholders)?;
        let text = value.as_str().filter(|_| key.has(Modifier::Expand));
        let own = text.map(|text| values.own(text)).unwrap_or_default();
        if own.is_empty() {
            return Ok(common);
        }
        let organization = Target::Field(self.tables.field(ORGANIZATION));
        let (mut branches, mut named) = (Vec::new(), Vec::new());
        for (agency, placeholders) in own {
            let name = Test::Text(Box::new(Pattern::new(&[Glyph::Text(agency.to_owned())], true)));
            let here = Node::Test(self.tables.predicate(organization, name));
            let node = self.expanded(key, target, value, &placeholders)?;
            branches.push(Node::All(vec![here.clone(), node]));
            named.push(here);
        }
        branches.push(Node::All(vec![Node::Not(Box::new(Node::Any(named))), common]));
        Ok(Node::Any(branches))
    }

    fn expanded(
        &mut self,
        key: &Key<'_>,
        target: Target,
        value: &Yaml,
        placeholders: &Placeholders,
    ) -> Result<Node, RuleError> {
        let tests = tests(key, value, placeholders, self.tables)?;
        let mut nodes: Vec<Node> =
            tests.into_iter().map(|test| Node::Test(self.tables.predicate(target, test))).collect();
        let node = if nodes.len() == 1 { nodes.remove(0) } else { Node::Any(nodes) };
        let absent = key.has(Modifier::Exists) && value.as_bool() == Some(false);
        Ok(if absent { Node::Not(Box::new(node)) } else { node })
    }
}
