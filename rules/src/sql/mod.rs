//! Sigma to `ClickHouse` SQL, from the same compiled form that the [`crate::engine`] asks: what it matches on stored
//! events the SQL finds, and nothing else. What SQL cannot say exactly is refused by name ([`SqlError`]).
//!
//! The table is `dongson.events`: known fields have columns, everything that a column does not hold exactly stands in
//! `rest` as JSON text and wins. [`place`] says what a field's texts are there, [`source`] which events a rule's log
//! source means, [`test`] what a test asks of texts.

mod place;
mod source;
mod test;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::predicate::{Target, Test};
use crate::ruleset::RuleSet;
use crate::sigma::detection::{Detection, Node};
use crate::taxonomy::Taxonomies;

/// Longest SQL text that is given: `ClickHouse` reads 256 KiB.
const MAX_SQL_BYTES: usize = 240 << 10;

/// Why a rule is not said in SQL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// There is no such rule.
    #[error("there is no such rule")]
    NoRule,
    /// A rule over several events.
    #[error("a correlation counts in sliding windows of event time, which this SQL does not")]
    Correlation,
    /// Its log source is known to no taxonomy, so no stored event has it.
    #[error("no taxonomy gives stored events this log source")]
    LogSource,
    /// A part of a moment (`hour`, `week`...).
    #[error("parts of moments (minute, hour, day, week, month, year) are read from text in many forms")]
    Moment,
    /// A regular expression that RE2 reads otherwise.
    #[error("the regular expression {0:?} means something else in RE2: {1}")]
    Regex(String, &'static str),
    /// The text would be too long.
    #[error("the SQL would have more than {MAX_SQL_BYTES} bytes")]
    TooLong,
}

impl SqlError {
    /// One word for what it is, to count by.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NoRule => "no rule",
            Self::Correlation => "correlation",
            Self::LogSource => "log source",
            Self::Moment => "moment",
            Self::Regex(..) => "regular expression",
            Self::TooLong => "too long",
        }
    }
}

/// One `SELECT` that finds the stored events on which the rule of this number holds: `organization_id`, `event_id`,
/// `timestamp`, `event_dataset`.
pub fn select(rules: &RuleSet, taxonomies: &Taxonomies, rule: usize) -> Result<String, SqlError> {
    let head = rules.rule(rule).ok_or(SqlError::NoRule)?;
    let detection = rules.detection(rule).ok_or(SqlError::Correlation)?;
    let mut with = Vec::new();
    let mut parts = Vec::new();
    for way in source::ways(taxonomies, &head.logsource) {
        let mut writer = Writer { rules, detection, way: &way, names: BTreeMap::new(), with: Vec::new() };
        let condition = writer.node(&detection.condition)?;
        with.append(&mut writer.with);
        parts.push(format!("({}\n    AND {condition})", way.fits));
        if with.iter().chain(&parts).map(String::len).sum::<usize>() > MAX_SQL_BYTES {
            return Err(SqlError::TooLong);
        }
    }
    if parts.is_empty() {
        return Err(SqlError::LogSource);
    }
    let mut sql = String::new();
    if !with.is_empty() {
        let _infallible = writeln!(sql, "WITH {}", with.join(",\n    "));
    }
    let _infallible = write!(
        sql,
        "SELECT organization_id, event_id, timestamp, event_dataset\nFROM dongson.events\nWHERE {}\nORDER BY timestamp, event_id",
        parts.join("\n    OR ")
    );
    Ok(sql)
}

/// Writes the condition of a rule for the events of one taxonomy.
struct Writer<'w> {
    rules: &'w RuleSet,
    detection: &'w Detection,
    way: &'w source::Way<'w>,
    /// By field (`None`: anywhere) the name of its texts in the `WITH`.
    names: BTreeMap<Option<usize>, String>,
    with: Vec<String>,
}

impl Writer<'_> {
    fn node(&mut self, node: &Node) -> Result<String, SqlError> {
        Ok(match node {
            Node::All(nodes) => self.group(nodes, " AND ", "true")?,
            Node::Any(nodes) => self.group(nodes, " OR ", "false")?,
            Node::Not(inner) => format!("NOT {}", self.node(inner)?),
            Node::Selection(number) => match self.detection.selections.get(*number) {
                Some((_, node)) => self.node(node)?,
                None => "false".to_owned(),
            },
            Node::Test(number) => match self.rules.tables().predicates.get(*number) {
                Some(predicate) => self.test(predicate.target, &predicate.test)?,
                None => "false".to_owned(),
            },
        })
    }

    fn group(&mut self, nodes: &[Node], word: &str, none: &str) -> Result<String, SqlError> {
        let parts = nodes.iter().map(|node| self.node(node)).collect::<Result<Vec<_>, _>>()?;
        Ok(match parts.as_slice() {
            [] => none.to_owned(),
            [only] => only.clone(),
            several => format!("({})", several.join(word)),
        })
    }

    fn test(&mut self, target: Target, test: &Test) -> Result<String, SqlError> {
        let field = match target {
            Target::Field(field) => Some(field),
            Target::Anywhere => None,
        };
        match test {
            Test::Exists => Ok(match field {
                Some(field) => self.way.present(self.name(field)),
                // Every stored event has fields.
                None => "true".to_owned(),
            }),
            Test::Null => Ok(format!("empty({})", self.texts(field))),
            Test::FieldRef { other, affix, cased } => {
                let (own, other) = (self.texts(field), self.texts(Some(*other)));
                Ok(test::refers(&own, &other, *affix, *cased))
            }
            test => test::holds(test, &self.texts(field)),
        }
    }

    fn name(&self, field: usize) -> &str {
        self.rules.tables().names.get(field).map_or("", String::as_str)
    }

    /// The texts of a field, under a name of their own.
    fn texts(&mut self, field: Option<usize>) -> String {
        if let Some(known) = self.names.get(&field) {
            return known.clone();
        }
        let alias = format!("{}_{}", self.way.prefix, self.names.len());
        let texts = match field {
            Some(field) => self.way.texts(self.name(field)),
            None => place::anywhere(),
        };
        self.with.push(format!("{texts} AS {alias}"));
        self.names.insert(field, alias.clone());
        alias
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::LoadOptions;

    fn sql(rule: &str) -> Result<String, SqlError> {
        let report = RuleSet::from_documents([("x.yml", rule)], &LoadOptions::default());
        assert_eq!(report.refused, []);
        select(&report.rules, &Taxonomies::embedded(), 0)
    }

    fn rule(detection: &str) -> String {
        format!(
            "title: T\nlogsource: {{product: windows, category: process_creation}}\ndetection:\n  s: {detection}\n  condition: s\n"
        )
    }

    #[test]
    fn what_can_be_said_is_said() {
        let text = sql(&rule("{Image|endswith: '\\it''s.exe', ParentImage: null}")).unwrap();
        assert!(text.starts_with("WITH ") && text.contains("FROM dongson.events"), "{text}");
        assert!(text.contains("match(x, '(?is).*\\\\\\\\it\\'s\\\\.exe\\\\z')"), "{text}");
        assert!(text.contains("empty("), "{text}");
    }

    #[test]
    fn what_cannot_is_refused_by_name() {
        for (rule, kind) in [
            (rule("{UtcTime|hour: 3}"), "moment"),
            (rule("{Image|re: '\\bx'}"), "regular expression"),
            (rule("{Image: x}").replace("windows", "nosuchproduct"), "log source"),
        ] {
            assert_eq!(sql(&rule).unwrap_err().kind(), kind, "{rule}");
        }
        assert_eq!(select(&RuleSet::default(), &Taxonomies::embedded(), 7), Err(SqlError::NoRule));
    }
}
