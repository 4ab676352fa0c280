//! Writes the conditions of rules for the events that are read in one way.

use std::collections::HashMap;

use ipnet::IpNet;

use super::level::Levels;
use super::place::{literal, literals};
use super::source::Way;
use super::test::{self, Values};
use super::{MAX_SQL_BYTES, SqlError, TOLD, Within, re2};
use crate::predicate::{FieldId, Target, Test};
use crate::rule::LogSource;
use crate::ruleset::RuleSet;
use crate::sigma::detection::{Detection, Node};
use crate::taxonomy::Mode;

/// What a group or a value adds to what it holds, in bytes, at most.
const GROUP_BYTES: usize = 32;

/// Some rules, said for the events that are read in one way.
#[derive(Debug)]
pub(super) struct Writer<'w> {
    rules: &'w RuleSet,
    way: Way<'w>,
    mode: Mode,
    levels: Levels,
    /// By target: the name of its texts.
    known: HashMap<Option<FieldId>, String>,
    said: Vec<Said>,
    /// Bytes that the rule at hand may still write.
    room: usize,
    /// Bytes of the levels that were counted.
    counted: usize,
}

#[derive(Debug)]
struct Said {
    rule: usize,
    /// True for events of its log source.
    accepted: String,
    /// True where it holds.
    condition: String,
}

impl<'w> Writer<'w> {
    pub(super) fn new(rules: &'w RuleSet, way: Way<'w>, mode: Mode) -> Self {
        let (levels, known, said) = (Levels::new(), HashMap::new(), Vec::new());
        Self { rules, way, mode, levels, known, said, room: 0, counted: 0 }
    }

    /// Adds a rule, where any event that is read in this way can be of its log source.
    pub(super) fn rule(
        &mut self,
        rule: usize,
        logsource: &LogSource,
        detection: &Detection,
    ) -> Result<(), SqlError> {
        self.counted = self.levels.bytes();
        if let Some(accepted) = self.way.accepted(logsource, &mut self.levels)? {
            self.room = MAX_SQL_BYTES;
            let condition = self.node(detection, &detection.condition)?;
            self.said.push(Said { rule, accepted, condition });
        }
        Ok(())
    }

    /// The statement; `None` when no rule was added. With `rules` it tells for each of these whether it holds.
    pub(super) fn print(
        mut self,
        within: &Within,
        rules: Option<&[usize]>,
    ) -> Result<Option<String>, SqlError> {
        if self.said.is_empty() {
            return Ok(None);
        }
        let recognised = self.way.recognised(&mut self.levels)?;
        let mut accepted: Vec<&str> = self.said.iter().map(|said| said.accepted.as_str()).collect();
        accepted.sort_unstable();
        accepted.dedup();
        let fits = format!("{recognised}\n    AND ({})", accepted.join("\n    OR "));
        let single = accepted.len() == 1;
        let mut conditions = Vec::new();
        for Said { rule, accepted, condition } in &self.said {
            let condition = if single {
                condition.clone()
            } else {
                format!("{} AND {condition}", self.levels.pick(accepted.clone()))
            };
            conditions.push((rule, condition));
        }
        let from = self.levels.print(&fits, within);
        let Some(rules) = rules else {
            let all: Vec<String> = conditions.into_iter().map(|(_, condition)| condition).collect();
            return Ok(Some(format!("SELECT {TOLD}\nFROM (\n{from})\nWHERE {}", all.join("\n    OR "))));
        };
        // All events of the log sources are told, and truths as they are: a filter over many conditions would be planned
        // for a long time.
        let asked = |rule: &usize| conditions.iter().find(|(said, _)| *said == rule);
        let truths: Vec<String> = rules
            .iter()
            .map(|rule| {
                asked(rule).map_or_else(|| "0".to_owned(), |(_, condition)| format!("if({condition}, 1, 0)"))
            })
            .collect();
        Ok(Some(format!("SELECT event_id, [{}] AS found\nFROM (\n{from})", truths.join(",\n    "))))
    }

    /// Counts what is written, here and in the levels, so that a hostile rule ends early.
    fn count(&mut self, bytes: usize) -> Result<(), SqlError> {
        let levels = self.levels.bytes();
        let written = bytes + levels - std::mem::replace(&mut self.counted, levels);
        self.room = self.room.checked_sub(written).ok_or(SqlError::TooLong)?;
        Ok(())
    }

    fn node(&mut self, detection: &Detection, node: &Node) -> Result<String, SqlError> {
        let text = match node {
            Node::All(nodes) => {
                let parts =
                    nodes.iter().map(|node| self.node(detection, node)).collect::<Result<Vec<_>, _>>()?;
                joined(&parts, " AND ", "true")
            }
            Node::Any(nodes) => self.any(detection, nodes)?,
            Node::Not(inner) => format!("not({})", self.node(detection, inner)?),
            Node::Selection(number) => match detection.selections.get(*number) {
                Some((_, node)) => self.node(detection, node)?,
                None => "false".to_owned(),
            },
            Node::Test(number) => match self.rules.tables().predicates.get(*number) {
                Some(predicate) => self.test(predicate.target, &predicate.test)?,
                None => "false".to_owned(),
            },
        };
        // What groups hold was counted when it was written.
        self.count(if matches!(node, Node::Test(_)) { text.len() } else { GROUP_BYTES })?;
        Ok(text)
    }

    /// One of them holds. Values of one field are asked together.
    fn any(&mut self, detection: &Detection, nodes: &[Node]) -> Result<String, SqlError> {
        let rules = self.rules;
        let mut parts = Vec::new();
        let mut values: Vec<(String, Values<'w>)> = Vec::new();
        let mut expressions: Vec<(String, Vec<String>)> = Vec::new();
        let mut nets: Vec<(String, Vec<&IpNet>)> = Vec::new();
        let mut numbers: Vec<(String, Vec<&str>)> = Vec::new();
        for node in nodes {
            let Node::Test(number) = node else {
                parts.push(self.node(detection, node)?);
                continue;
            };
            let Some(predicate) = rules.tables().predicates.get(*number) else { continue };
            let pattern = match &predicate.test {
                Test::Text(pattern) => pattern,
                Test::Cidr(net) => {
                    let texts = self.texts(predicate.target)?;
                    self.count(2 * GROUP_BYTES)?;
                    let texts = self.levels.made(test::addresses(&texts, net));
                    group(&mut nets, texts, net);
                    continue;
                }
                Test::Number { text, number } if !test::is_fraction(text) && test::is_sparse(*number) => {
                    self.count(2 * text.len() + GROUP_BYTES)?;
                    let texts = self.texts(predicate.target)?;
                    group(&mut numbers, texts, text);
                    continue;
                }
                _ => {
                    parts.push(self.node(detection, node)?);
                    continue;
                }
            };
            self.count(pattern.key().len() + GROUP_BYTES)?;
            let texts = self.texts(predicate.target)?;
            if !pattern.cased() && !pattern.is_ascii() {
                group(&mut expressions, texts, pattern.regex());
                continue;
            }
            let texts = if pattern.cased() { texts } else { self.levels.made(test::folded(&texts)) };
            match values.iter_mut().find(|(held, _)| *held == texts) {
                Some((_, values)) => values.add(pattern),
                None => values.push((texts, Values::of(pattern))),
            }
        }
        parts.extend(values.iter().map(|(texts, values)| values.hold(texts)));
        for (texts, expressions) in expressions {
            parts.push(test::found_any(&texts, &expressions));
        }
        for (texts, nets) in nets {
            parts.push(test::inside(&texts, &nets));
        }
        for (texts, numbers) in numbers {
            let fractions = self.levels.made(test::fractions(&texts));
            parts.push(format!("hasAny({texts}, [{}])", literals(numbers.iter().copied())));
            // A decimal point makes a whole number one of the type of fractions.
            parts.push(format!("hasAny({fractions}, [{}.])", numbers.join("., ")));
        }
        Ok(joined(&parts, " OR ", "false"))
    }

    fn test(&mut self, target: Target, test: &'w Test) -> Result<String, SqlError> {
        let Target::Field(field) = target else {
            return self.keyword(test);
        };
        match test {
            Test::Exists => {
                let names = self.way.names(self.name(field), &mut self.levels)?;
                Ok(self.levels.present(&names))
            }
            Test::Null => Ok(format!("empty({})", self.texts(target)?)),
            Test::FieldRef { other, affix, cased } => {
                let (mut one, mut other) = (self.texts(target)?, self.texts(Target::Field(*other))?);
                if !cased {
                    one = self.levels.made(test::folded_whole(&one));
                    other = self.levels.made(test::folded_whole(&other));
                }
                Ok(test::refers(&one, &other, *affix))
            }
            test => self.scalar(target, test),
        }
    }

    /// All fields together are neither there nor null, and refer to nothing.
    fn keyword(&mut self, test: &'w Test) -> Result<String, SqlError> {
        match test {
            Test::Exists | Test::Null | Test::FieldRef { .. } => Ok("false".to_owned()),
            test => self.scalar(Target::Anywhere, test),
        }
    }

    /// What is asked of each text.
    fn scalar(&mut self, target: Target, test: &'w Test) -> Result<String, SqlError> {
        let texts = self.texts(target)?;
        Ok(match test {
            Test::Text(pattern) if !pattern.cased() && !pattern.is_ascii() => {
                test::found(&texts, &pattern.regex())
            }
            Test::Text(pattern) => {
                let texts = if pattern.cased() { texts } else { self.levels.made(test::folded(&texts)) };
                Values::of(pattern).hold(&texts)
            }
            Test::Number { text, number } => {
                let numbers =
                    if test::is_fraction(text) { test::numbers(&texts) } else { test::fractions(&texts) };
                let same = test::equals(&self.levels.made(numbers), *number);
                format!("(has({texts}, {}) OR {same})", literal(text))
            }
            Test::Compare { order, limit } => {
                let (plain, other) =
                    (self.levels.made(test::decimals(&texts)), self.levels.made(test::exponents(&texts)));
                test::compares((&plain, &other), *order, limit)
            }
            Test::Regex(regex) => test::found(&texts, &re2::re2(regex.as_str())?),
            Test::Cidr(net) => test::inside(&self.levels.made(test::addresses(&texts, net)), &[net]),
            Test::Part { .. } => return Err(SqlError::Moment),
            Test::Null | Test::Exists | Test::FieldRef { .. } => "false".to_owned(),
        })
    }

    fn name(&self, field: FieldId) -> &'w str {
        self.rules.tables().names.get(field).map_or("", String::as_str)
    }

    /// The name of the texts of a field, or of all.
    fn texts(&mut self, target: Target) -> Result<String, SqlError> {
        let field = match target {
            Target::Field(field) => Some(field),
            Target::Anywhere => None,
        };
        if let Some(known) = self.known.get(&field) {
            return Ok(known.clone());
        }
        let texts = match field {
            Some(field) => {
                let names = self.way.names(self.name(field), &mut self.levels)?;
                self.levels.texts(&names)
            }
            None => self.levels.anywhere(self.mode),
        };
        self.count(0)?;
        self.known.insert(field, texts.clone());
        Ok(texts)
    }
}

/// Puts what is asked of the same texts together.
fn group<T>(groups: &mut Vec<(String, Vec<T>)>, texts: String, asked: T) {
    match groups.iter_mut().find(|(held, _)| *held == texts) {
        Some((_, group)) => group.push(asked),
        None => groups.push((texts, vec![asked])),
    }
}

fn joined(parts: &[String], word: &str, none: &str) -> String {
    match parts.len() {
        0 => none.to_owned(),
        1 => parts.concat(),
        _ => format!("({})", parts.join(word)),
    }
}
