//! `rules check`: what was read, what was compiled, what was refused and why.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::Refusal;
use crate::ruleset::{LoadOptions, LoadReport, RuleSet};

/// The report; as JSON one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Rule files that were read.
    pub files: usize,
    /// Rules that were compiled.
    pub compiled: usize,
    /// Filters that were added to rules.
    pub filters: usize,
    /// Documents and files that were refused.
    pub refused: Vec<Refusal>,
    /// What is to be said about rules that were compiled.
    pub notices: Vec<Notice>,
}

/// What kind of notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    /// The rule uses what the Sigma specification does not have: other engines will not run it.
    Extension,
    /// The rule is run, but its writer may have meant something else.
    Warning,
}

impl NoticeKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Extension => "extension",
            Self::Warning => "warning",
        }
    }
}

/// Something to know about a rule that was compiled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// The file as it was given.
    pub file: String,
    /// The line where the rule begins, from 1.
    pub line: usize,
    /// The rule's id.
    pub rule: String,
    /// What kind of notice.
    pub kind: NoticeKind,
    /// What there is to know.
    pub text: String,
}

impl CheckReport {
    /// True when nothing was refused and something was read.
    pub fn is_clean(&self) -> bool {
        self.refused.is_empty() && self.files > 0
    }
}

impl From<LoadReport> for CheckReport {
    fn from(report: LoadReport) -> Self {
        Self {
            files: report.files,
            compiled: report.compiled,
            filters: report.filters,
            notices: notices(&report.rules),
            refused: report.refused,
        }
    }
}

/// Loads `paths` and forgets the rules.
pub fn run(paths: &[PathBuf], options: &LoadOptions) -> CheckReport {
    RuleSet::load(paths, options).into()
}

/// What rules use beyond the specification, and what their writers may have meant otherwise, in the order of the rules.
pub fn notices(rules: &RuleSet) -> Vec<Notice> {
    let mut all = Vec::new();
    for rule in rules.rules() {
        let notice = |kind, text: &String| Notice {
            file: rule.file.clone(),
            line: rule.line,
            rule: rule.id.clone(),
            kind,
            text: text.clone(),
        };
        all.extend(rule.extensions.iter().map(|text| notice(NoticeKind::Extension, text)));
        all.extend(rule.warnings.iter().map(|text| notice(NoticeKind::Warning, text)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_and_doubts_are_named() {
        let text = "title: A\nid: a\nname: first\nstatus: unsupported\nlogsource: {product: x}\ndetection: {s: {k: a}, condition: s}\n---\ntitle: B\nid: b\nlogsource: {product: x}\ndetection: {s: {k: b}, condition: s}\n---\ntitle: C\nid: c\ncorrelation:\n  type: temporal\n  rules: [first, b]\n  group-by: [who]\n  timespan: 5m\n  aliases: {who: {first: user}, spare: {b: x}}\n  condition: first and not b\n";
        let loaded = RuleSet::from_documents([("x.yml", text)], &LoadOptions::default());
        assert_eq!(loaded.refused, []);
        let report = CheckReport::from(loaded);
        let told: Vec<(usize, &str, &str)> =
            report.notices.iter().map(|one| (one.line, one.kind.as_str(), one.text.as_str())).collect();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[0].0 == 1 && told[0].2.contains("status: unsupported"), "{told:?}");
        assert_eq!(told[1], (13, "extension", "boolean correlation condition"));
        assert!(told[2].2.contains("\"spare\" is not used"), "{told:?}");
        assert!(told[3].2.contains("\"who\" says no field for the rule \"b\""), "{told:?}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["notices"][1]["kind"], "extension");
    }
}
