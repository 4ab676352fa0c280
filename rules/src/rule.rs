//! What a rule says about itself; how it decides stands elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use dongson_event::Level;
use serde::Serialize;

/// How far its writer trusts a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// May be used in production.
    Stable,
    /// Mostly stable.
    Test,
    /// May be noisy.
    Experimental,
    /// Replaced by another.
    Deprecated,
    /// Cannot be used as it is.
    Unsupported,
}

impl Status {
    /// From Sigma's word.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "stable" => Self::Stable,
            "test" => Self::Test,
            "experimental" => Self::Experimental,
            "deprecated" => Self::Deprecated,
            "unsupported" => Self::Unsupported,
            _ => return None,
        })
    }
}

/// Which logs a rule is for; what is `None` does not matter to it. Words are folded to lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord, Serialize)]
pub struct LogSource {
    /// `windows`, `linux`, `zeek`...
    pub product: Option<String>,
    /// `process_creation`, `webserver`...
    pub category: Option<String>,
    /// `security`, `sshd`, `dns`...
    pub service: Option<String>,
}

impl LogSource {
    /// Its words, each with its key: `product: windows`.
    pub fn words(&self) -> Vec<String> {
        let word = |key: &str, word: &Option<String>| word.as_ref().map(|word| format!("{key}: {word}"));
        [word("product", &self.product), word("category", &self.category), word("service", &self.service)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// True when an event of `given` is one of those that `self`, the rule's, asks for.
    pub fn accepts(&self, given: &Self) -> bool {
        let fits = |own: &Option<String>, other: &Option<String>| own.is_none() || own == other;
        fits(&self.product, &given.product)
            && fits(&self.category, &given.category)
            && fits(&self.service, &given.service)
    }
}

/// A rule without its detection.
#[expect(clippy::struct_excessive_bools, reason = "each answers a question of its own about the rule")]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rule {
    /// Sigma's id; where a rule has none, its name, else its title.
    pub id: String,
    /// The name by which correlations may call it.
    pub name: Option<String>,
    /// English title.
    pub title: String,
    /// Vietnamese title (`dongson: title_vi`).
    pub title_vi: Option<String>,
    /// English description.
    pub description: String,
    /// Vietnamese description (`dongson: description_vi`).
    pub description_vi: Option<String>,
    /// What to do about a match, in English (`response: en`).
    pub response: Option<String>,
    /// The same in Vietnamese (`response: vi`).
    pub response_vi: Option<String>,
    /// How bad a match is; `medium` where the rule does not say.
    pub level: Level,
    /// How far it is trusted.
    pub status: Option<Status>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Tags as Sigma writes them: `attack.t1110`.
    pub tags: Vec<String>,
    /// Where it comes from.
    pub references: Vec<String>,
    /// What else looks like this.
    pub falsepositives: Vec<String>,
    /// Fields worth showing to the analyst.
    pub fields: Vec<String>,
    /// Which logs it is for; empty for a correlation.
    pub logsource: LogSource,
    /// What else the rule says about its log source (`definition` and custom attributes): told, not evaluated.
    pub logsource_notes: BTreeMap<String, String>,
    /// Ids of the filters that were added to it.
    pub filters: Vec<String>,
    /// What it uses that the Sigma specification does not have, in words.
    pub extensions: Vec<String>,
    /// What its writer may have meant otherwise, in words.
    pub warnings: Vec<String>,
    /// The file it comes from.
    pub file: String,
    /// The line where its document begins, from 1.
    pub line: usize,
    /// Fields whose values name what an alert is about (`dongson: entity`); empty where the rule does not say.
    pub entity: Vec<String>,
    /// Length of the grouping window (`dongson: window`).
    pub window: Option<Duration>,
    /// False for a rule that only feeds a correlation and raises nothing by itself.
    pub reported: bool,
    /// True for a correlation rule.
    pub correlation: bool,
    /// True for the head of a script: a match of it raises nothing, the script decides.
    pub script: bool,
    /// True for a correlation or a script that counts all agencies together (`dongson: scope: province`).
    pub province: bool,
}

impl Rule {
    /// True when other rules may call it by `name`: its id or its name.
    pub fn is_called(&self, name: &str) -> bool {
        self.id == name || self.name.as_deref() == Some(name)
    }
}
