//! Sigma to `ClickHouse` SQL, from the same compiled form that the [`crate::engine`] asks: what it matches on stored
//! events the SQL finds, and nothing else. What SQL cannot say exactly is refused by name ([`SqlError`]).
//!
//! The table is `dongson.events`: known fields have columns, everything that a column does not hold exactly stands in
//! `rest` as JSON text and wins. [`place`] says what a field's texts are there, [`source`] which events a rule's log
//! source means, [`mod@test`] and [`re2`] what a test asks of texts, [`writer`] puts a condition together, [`level`] prints.
//! A test in `dongson-store` compares the answers with the engine's over real events in the real store.
//!
//! Numbers with fractions are read to the last digit where `precise_float_parsing` is on, as it is unless told otherwise.

mod level;
mod place;
mod re2;
mod source;
mod test;
mod writer;

use dongson_event::Timestamp;

use crate::ruleset::RuleSet;
use crate::taxonomy::{Mode, Taxonomies};
use place::literals;
use writer::Writer;

/// Longest SQL text that is given: `ClickHouse` reads 256 KiB unless told otherwise.
const MAX_SQL_BYTES: usize = 240 << 10;
/// What is told of an event that is found.
const TOLD: &str = "organization_id, event_id, timestamp, event_dataset";

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
    /// The taxonomy or the log source asks for an empty word.
    #[error("a condition of the taxonomy asks for an empty value")]
    EmptyWord,
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
            Self::EmptyWord => "empty word",
            Self::TooLong => "too long",
        }
    }
}

/// Which stored events are asked about; everything given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Within {
    /// Events of this moment or later.
    pub from: Option<Timestamp>,
    /// Events before this moment.
    pub to: Option<Timestamp>,
    /// One of these agencies; all when empty.
    pub organizations: Vec<String>,
}

impl Within {
    /// As a `WHERE`; empty where everything is asked.
    fn print(&self) -> String {
        let moment =
            |moment: Timestamp| format!("fromUnixTimestamp64Nano(toInt64({}), 'UTC')", moment.nanos());
        let mut parts = Vec::new();
        if !self.organizations.is_empty() {
            let ids = literals(self.organizations.iter().map(String::as_str));
            parts.push(format!("organization_id IN ({ids})"));
        }
        parts.extend(self.from.map(|from| format!("timestamp >= {}", moment(from))));
        parts.extend(self.to.map(|to| format!("timestamp < {}", moment(to))));
        if parts.is_empty() { String::new() } else { format!("\nWHERE {}", parts.join(" AND ")) }
    }
}

/// What SQL is made from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'s> {
    /// The rules.
    pub rules: &'s RuleSet,
    /// How events are placed.
    pub taxonomies: &'s Taxonomies,
    /// How events are read.
    pub mode: Mode,
}

/// Several rules in one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Numbers of the rules that it asks.
    pub rules: Vec<usize>,
    /// One `SELECT`: `event_id` and beside each rule 1 where it holds on the event, else 0 (`Array(UInt8)`), for all
    /// events of the log sources of these rules.
    pub sql: String,
}

impl Source<'_> {
    /// One `SELECT` that finds the stored events on which the rule of this number holds: `organization_id`, `event_id`,
    /// `timestamp`, `event_dataset`, oldest first.
    ///
    /// # Errors
    /// What of the rule cannot be said.
    pub fn select(&self, rule: usize, within: &Within) -> Result<String, SqlError> {
        let parts = self.parts(&[rule], within, false)?;
        let sql = parts.join("\nUNION ALL\n");
        if sql.len() > MAX_SQL_BYTES {
            return Err(SqlError::TooLong);
        }
        // An event is read in one way, so none is found twice.
        Ok(format!("SELECT {TOLD}\nFROM (\n{sql})\nORDER BY timestamp, event_id"))
    }

    /// The same for many rules with few statements, each of at most `most_bytes` (a rule that alone is longer, but said,
    /// stands alone); rules that cannot be said are told with the reason.
    pub fn batches(
        &self,
        rules: impl IntoIterator<Item = usize>,
        within: &Within,
        most_bytes: usize,
    ) -> (Vec<Batch>, Vec<(usize, SqlError)>) {
        let (mut said, mut refused) = (Vec::new(), Vec::new());
        for rule in rules {
            match self.select(rule, within) {
                Ok(sql) => said.push((rule, sql.len())),
                Err(error) => refused.push((rule, error)),
            }
        }
        // Rules of one log source ask the same fields.
        said.sort_by_key(|(rule, _)| self.rules.rule(*rule).map(|rule| rule.logsource.clone()));
        let mut groups: Vec<(Vec<usize>, usize)> = Vec::new();
        for (rule, bytes) in said {
            match groups.last_mut() {
                Some((group, sum)) if *sum + bytes <= most_bytes => {
                    group.push(rule);
                    *sum += bytes;
                }
                _ => groups.push((vec![rule], bytes)),
            }
        }
        let batches = groups
            .into_iter()
            .filter_map(|(rules, _)| {
                let sql = self.parts(&rules, within, true).ok()?.join("\nUNION ALL\n");
                Some(Batch { rules, sql })
            })
            .collect();
        (batches, refused)
    }

    /// One `SELECT` for each way in which events of these rules are read.
    fn parts(&self, rules: &[usize], within: &Within, told: bool) -> Result<Vec<String>, SqlError> {
        let mut parts = Vec::new();
        for way in source::ways(self.taxonomies, self.mode) {
            let mut writer = Writer::new(self.rules, way, self.mode);
            for &rule in rules {
                let head = self.rules.rule(rule).ok_or(SqlError::NoRule)?;
                let detection = self.rules.detection(rule).ok_or(SqlError::Correlation)?;
                writer.rule(rule, &head.logsource, detection)?;
            }
            parts.extend(writer.print(within, told.then_some(rules))?);
        }
        if parts.is_empty() { Err(SqlError::LogSource) } else { Ok(parts) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::LoadOptions;

    fn sql(rule: &str) -> Result<String, SqlError> {
        let report = RuleSet::from_documents([("x.yml", rule)], &LoadOptions::default());
        assert_eq!(report.refused, []);
        let taxonomies = Taxonomies::embedded();
        let source = Source { rules: &report.rules, taxonomies: &taxonomies, mode: Mode::Auto };
        source.select(0, &Within::default())
    }

    fn rule(detection: &str) -> String {
        format!(
            "title: T\nlogsource: {{product: windows, category: process_creation}}\ndetection:\n  s: {detection}\n  condition: s\n"
        )
    }

    #[test]
    fn what_can_be_said_is_said() {
        let text = sql(&rule("{Image|endswith: '\\it''s.exe', ParentImage: null}")).unwrap();
        assert!(text.starts_with("SELECT ") && text.contains("FROM dongson.events"), "{text}");
        assert!(text.contains("endsWith(x, '\\\\it\\'s.exe')"), "{text}");
        assert!(text.contains("empty("), "{text}");
        let several = sql(&rule("{CommandLine|contains: [' a ', 'b', 'ư']}")).unwrap();
        assert!(several.contains("multiSearchAny(x, [' a ', 'b'])"), "{several}");
        assert!(several.contains("match(x, '(?s)[\\\\x{1b0}\\\\x{1af}]')"), "{several}");
    }

    #[test]
    fn what_cannot_is_refused_by_name() {
        for (rule, kind) in [
            (rule("{UtcTime|hour: 3}"), "moment"),
            (rule("{Image|re: 'a\\Bx'}"), "regular expression"),
            (rule("{Image: x}").replace("windows", "nosuchproduct"), "log source"),
        ] {
            assert_eq!(sql(&rule).unwrap_err().kind(), kind, "{rule}");
        }
        let (rules, taxonomies) = (RuleSet::default(), Taxonomies::embedded());
        let source = Source { rules: &rules, taxonomies: &taxonomies, mode: Mode::Auto };
        assert_eq!(source.select(7, &Within::default()), Err(SqlError::NoRule));
    }

    #[test]
    fn a_hostile_rule_makes_no_endless_statement() {
        let names: Vec<String> =
            (0..200).map(|at| format!("f{at}|contains: '{}'", "x".repeat(200))).collect();
        let again = vec!["s"; 1_000].join(" or ");
        let hostile = rule(&format!("{{{}}}", names.join(", ")))
            .replace("condition: s", &format!("condition: {again}"));
        assert_eq!(sql(&hostile), Err(SqlError::TooLong));
    }

    #[test]
    fn a_part_of_the_events_is_asked() {
        let report = RuleSet::from_documents([("x.yml", rule("{Image: x}"))], &LoadOptions::default());
        let taxonomies = Taxonomies::embedded();
        let source = Source { rules: &report.rules, taxonomies: &taxonomies, mode: Mode::Auto };
        let within = Within {
            from: Some(Timestamp::from_seconds(1)),
            to: Some(Timestamp::from_seconds(2)),
            organizations: vec!["so-yte".to_owned(), "o'a".to_owned()],
        };
        let text = source.select(0, &within).unwrap();
        assert!(text.contains("WHERE organization_id IN ('so-yte', 'o\\'a') AND timestamp >= "), "{text}");
        assert!(text.contains("timestamp < fromUnixTimestamp64Nano(toInt64(2000000000), 'UTC')"), "{text}");
    }
}
