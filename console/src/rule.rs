//! What the page shows of a rule.

use dongson_rules::Rule;
use serde::Serialize;
use utoipa::ToSchema;

/// Where a rule looks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct LogSource {
    /// For example `linux`.
    pub product: Option<String>,
    /// For example `process_creation`.
    pub category: Option<String>,
    /// For example `sshd`.
    pub service: Option<String>,
}

/// A rule, without what only the matcher needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleInfo {
    /// Id.
    pub id: String,
    /// English title.
    pub title: String,
    /// Vietnamese title.
    pub title_vi: Option<String>,
    /// English description.
    pub description: Option<String>,
    /// Vietnamese description.
    pub description_vi: Option<String>,
    /// What the analyst should do about a match, in English.
    pub response: Option<String>,
    /// The same in Vietnamese.
    pub response_vi: Option<String>,
    /// `informational`, `low`, `medium`, `high` or `critical`.
    pub level: String,
    /// `stable`, `test`, `experimental`, ...
    pub status: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// ATT&CK and other tags.
    pub tags: Vec<String>,
    /// Where it looks.
    pub logsource: LogSource,
    /// What may set it off without an attack.
    pub falsepositives: Vec<String>,
    /// The name of its file.
    pub file: String,
    /// Its text (YAML).
    pub source: String,
}

impl RuleInfo {
    /// What the page shows of `rule`; `source` is the text of its file.
    pub fn of(rule: &Rule, source: impl Into<String>) -> Self {
        Self {
            id: rule.id.clone(),
            title: rule.title.clone(),
            title_vi: rule.title_vi.clone(),
            description: Some(rule.description.clone()).filter(|text| !text.is_empty()),
            description_vi: rule.description_vi.clone(),
            response: rule.response.clone(),
            response_vi: rule.response_vi.clone(),
            level: rule.level.as_str().to_owned(),
            status: rule.status.map(|status| format!("{status:?}").to_lowercase()),
            author: rule.author.clone(),
            tags: rule.tags.clone(),
            logsource: LogSource {
                product: rule.logsource.product.clone(),
                category: rule.logsource.category.clone(),
                service: rule.logsource.service.clone(),
            },
            falsepositives: rule.falsepositives.clone(),
            file: rule.file.clone(),
            source: source.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dongson_rules::{LoadOptions, RuleSet};

    use super::*;

    #[test]
    fn every_shipped_rule_says_what_to_do() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/content/sigma");
        let report = RuleSet::load(&[folder], &LoadOptions::default());
        assert!(report.rules.rules().len() >= 60);
        let reported = report.rules.rules().iter().filter(|rule| rule.reported);
        let silent: Vec<String> = reported
            .map(|rule| RuleInfo::of(rule, ""))
            .filter(|info| info.response.is_none() || info.response_vi.is_none())
            .map(|info| info.file)
            .collect();
        assert_eq!(silent, Vec::<String>::new());
    }
}
