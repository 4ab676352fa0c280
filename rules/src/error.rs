//! Why a rule is refused, in words that say what to write instead.

use serde::Serialize;

/// Why one document is not a rule that we run. Never silently: a rule is compiled whole or refused whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The text is not YAML.
    #[error("not YAML: {reason}")]
    NotYaml {
        /// Line in the file, from 1.
        line: usize,
        /// What the YAML reader says.
        reason: String,
    },
    /// The file cannot be read or is too big.
    #[error("{0}")]
    Unreadable(String),
    /// A mandatory key is absent.
    #[error("{key:?} is missing: {hint}")]
    Missing {
        /// The key.
        key: String,
        /// What to write.
        hint: &'static str,
    },
    /// A key holds something else than it should.
    #[error("{key:?} must be {expected}")]
    WrongType {
        /// The key.
        key: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A modifier that Sigma does not have.
    #[error("unknown modifier {modifier:?} in {key:?}: {hint}")]
    UnknownModifier {
        /// The whole key, `Field|modifier`.
        key: String,
        /// The word.
        modifier: String,
        /// What to write.
        hint: String,
    },
    /// A modifier that cannot be applied where it stands.
    #[error("modifier {modifier:?} in {key:?}: {reason}")]
    Modifier {
        /// The whole key, `Field|modifier`.
        key: String,
        /// The word.
        modifier: &'static str,
        /// Why not, and what to write.
        reason: String,
    },
    /// A value that its field or modifier cannot take.
    #[error("value {value:?} of {key:?}: {reason}")]
    Value {
        /// The whole key.
        key: String,
        /// The value as written.
        value: String,
        /// Why not, and what to write.
        reason: String,
    },
    /// A condition that cannot be read.
    #[error("condition {condition:?}: {reason}")]
    Condition {
        /// The condition as written.
        condition: String,
        /// Why not, and what to write.
        reason: String,
    },
    /// Something that Sigma had once.
    #[error("{what} is obsolete: {instead}")]
    Obsolete {
        /// What stands in the file.
        what: String,
        /// What to write now.
        instead: &'static str,
    },
    /// Something of Sigma that this engine does not run.
    #[error("{what} is not supported: {instead}")]
    Unsupported {
        /// What stands in the file.
        what: String,
        /// What to do.
        instead: &'static str,
    },
    /// A correlation that cannot be run.
    #[error("correlation: {reason}")]
    Correlation {
        /// The key of `correlation:` that is wrong, with its colon.
        key: &'static str,
        /// Why, and what to write.
        reason: String,
    },
    /// A filter that cannot be applied to one of the rules that it names.
    #[error("filter: rule {name:?} {reason}")]
    Filter {
        /// The rule as the filter names it.
        name: String,
        /// Why not, and what to write.
        reason: String,
    },
    /// Two rules with one id.
    #[error("id {id:?} is already used by {other}; give this rule its own id")]
    DuplicateId {
        /// The id.
        id: String,
        /// The file that had it first.
        other: String,
    },
}

impl RuleError {
    /// A correlation whose `key` (with its colon) cannot be what it is.
    pub(crate) fn correlation(key: &'static str, reason: impl Into<String>) -> Self {
        Self::Correlation { key, reason: reason.into() }
    }

    /// The text to look for in the file in order to find the line.
    pub(crate) fn anchor(&self) -> Option<&str> {
        match self {
            Self::NotYaml { .. } | Self::Unreadable(_) | Self::Missing { .. } => None,
            Self::WrongType { key, .. } | Self::UnknownModifier { key, .. } | Self::Modifier { key, .. } => {
                Some(key)
            }
            Self::Value { value, .. } => Some(value),
            Self::Condition { .. } => Some("condition:"),
            Self::Obsolete { what, .. } if what.contains("condition") => Some("condition:"),
            Self::Obsolete { what, .. } | Self::Unsupported { what, .. } => {
                // `level: beside filter:` stands in the file as `level:`.
                what.split_whitespace().find(|word| word.ends_with(':')).or(Some(what))
            }
            Self::Correlation { key, .. } => Some(key),
            Self::Filter { name, .. } => Some(name),
            Self::DuplicateId { id, .. } => Some(id),
        }
    }
}

/// One document that was refused: where and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The file as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The reason and what to write instead.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use crate::{LoadOptions, RuleSet};

    #[test]
    fn refusals_point_at_the_line() {
        let rule = "title: T\nid: t\nlogsource:\n  product: x\ndetection:\n  s:\n    a: 1\n  condition: s\n";
        for (from, to, line) in [
            ("condition: s", "condition: s | count() > 5", 8),
            ("condition: s", "condition: s and t", 8),
            ("condition: s", "timeframe: 5m\n  condition: s", 8),
            ("a: 1", "a|contains|windsah: x", 7),
            ("a: 1", "a|cidr: nowhere", 7),
            ("a: 1", "'a|expand': '%who%'", 7),
            ("id: t", "action: global", 2),
            ("id: t", "taxonomy: acme", 2),
            ("id: t", "level: severe", 2),
            ("detection:", "level: high\nfilter:", 5),
        ] {
            let report =
                RuleSet::from_documents([("x.yml", rule.replace(from, to))], &LoadOptions::default());
            assert_eq!(
                report.refused.iter().map(|one| one.line).collect::<Vec<_>>(),
                [line],
                "{to}: {:?}",
                report.refused
            );
        }
    }
}
