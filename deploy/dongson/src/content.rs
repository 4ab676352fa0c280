//! The rules that a running system asks: those that are shipped (they are in the binary) and those of the
//! administrator's folders.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use dongson_analyzer::Content;
use dongson_console::RuleInfo;
use dongson_rules::{LoadOptions, LoadReport, Rule, RuleSet, Taxonomies};
use dongson_script::{Limits, Scripts};
use rust_embed::RustEmbed;
use tracing::warn;

/// The shipped Sigma rules and their samples.
#[derive(RustEmbed)]
#[folder = "../../rules/content/sigma"]
#[include = "*.yml"]
#[exclude = "*.test.yml"]
struct Shipped;

/// The shipped scripts that are run always; those under `costly` run where their folder is named.
#[derive(RustEmbed)]
#[folder = "../../rules/content/script"]
#[include = "*.rhai"]
#[exclude = "costly/*"]
struct ShippedScripts;

/// Rules, and what the page shows of them.
pub(crate) struct Loaded {
    pub(crate) content: Content,
    pub(crate) infos: Vec<RuleInfo>,
    pub(crate) counts: Counts,
}

/// How many there are. A script is no rule here: its head only says what it runs on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Rules that work, correlations among them.
    pub(crate) rules: usize,
    /// Documents and files of rules that do not.
    pub(crate) rules_refused: usize,
    /// Scripts that work.
    pub(crate) scripts: usize,
    /// Scripts that do not.
    pub(crate) scripts_refused: usize,
}

impl Counts {
    /// Counts a file that was refused.
    fn refuse(&mut self, file: &str) {
        if is_script(file) {
            self.scripts_refused += 1;
        } else {
            self.rules_refused += 1;
        }
    }
}

/// Compiles the shipped rules (unless told not to) and those of `folders`. A refused rule is told in the log; the
/// others work.
pub(crate) fn load(folders: &[PathBuf], without_shipped: bool) -> Result<Loaded> {
    let mut documents = Vec::new();
    if !without_shipped {
        for name in Shipped::iter() {
            if let Some(file) = Shipped::get(&name) {
                documents.push((name.to_string(), String::from_utf8_lossy(&file.data).into_owned()));
            }
        }
        for name in ShippedScripts::iter() {
            if let Some(file) = ShippedScripts::get(&name) {
                documents.push((format!("script/{name}"), String::from_utf8_lossy(&file.data).into_owned()));
            }
        }
    }
    let mut counts = Counts::default();
    for folder in folders {
        read_folder(folder, &mut documents, &mut counts)?;
    }
    documents.sort();
    let LoadReport { rules, refused, .. } = RuleSet::from_documents(
        documents.iter().map(|(name, text)| (name.as_str(), text.as_str())),
        &LoadOptions { scripts: true, ..LoadOptions::default() },
    );
    let (scripts, unread) = Scripts::compile(&rules, &Limits::default());
    for refusal in refused.iter().chain(&unread) {
        counts.refuse(&refusal.file);
        warn!(file = %refusal.file, line = refusal.line, reason = %refusal.reason, "a rule or script was refused");
    }
    // The head of a script that does not work is among the rules; it runs nothing.
    let works = |rule: &&Rule| !rule.script || scripts.find(&rule.id).is_some();
    let infos = rules.rules().iter().filter(works).map(|rule| info(rule, &documents)).collect();
    counts.rules = rules.rules().iter().filter(|rule| !rule.script).count();
    counts.scripts = scripts.all().len();
    let content = Content {
        rules: Arc::new(rules),
        scripts: Arc::new(scripts),
        taxonomies: Arc::new(Taxonomies::embedded()),
    };
    Ok(Loaded { content, infos, counts })
}

fn read_folder(
    folder: &std::path::Path,
    documents: &mut Vec<(String, String)>,
    counts: &mut Counts,
) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("reading the rule folder {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("reading the rule folder {}", folder.display()))?.path();
        if path.is_dir() {
            read_folder(&path, documents, counts)?;
        } else if is_rule(&path) {
            match std::fs::read_to_string(&path) {
                Ok(text) => documents.push((path.display().to_string(), text)),
                Err(error) => {
                    counts.refuse(&path.to_string_lossy());
                    warn!(file = %path.display(), %error, "a file of rules was refused: it cannot be read");
                }
            }
        }
    }
    Ok(())
}

/// By the ending of its name, as the loader tells them.
fn is_script(file: &str) -> bool {
    file.to_lowercase().ends_with(".rhai")
}

fn is_rule(path: &std::path::Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let yaml = matches!(ending, "yml" | "yaml");
    ending == "rhai" || yaml && ![".test.yml", ".test.yaml"].iter().any(|suffix| name.ends_with(suffix))
}

fn info(rule: &Rule, documents: &[(String, String)]) -> RuleInfo {
    let source = documents.iter().find(|(name, _)| *name == rule.file).map(|(_, text)| text.clone());
    RuleInfo::of(rule, source.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_rule_is_in_the_binary_and_compiles() {
        let loaded = load(&[], false).unwrap();
        assert!(loaded.content.rules.rules().len() >= 60, "{}", loaded.content.rules.rules().len());
        assert!(loaded.content.scripts.all().len() >= 7);
        assert!(loaded.infos.iter().all(|info| !info.source.is_empty()));
    }

    #[test]
    fn every_shipped_rule_speaks_vietnamese() {
        let silent = |text: &Option<String>| text.as_ref().is_none_or(|text| text.trim().is_empty());
        let loaded = load(&[], false).unwrap();
        let lacking: Vec<String> = loaded
            .infos
            .iter()
            .filter(|info| {
                silent(&info.title_vi) || silent(&info.description_vi) || info.title.trim().is_empty()
            })
            .map(|info| format!("{} ({})", info.id, info.title))
            .collect();
        assert_eq!(lacking, Vec::<String>::new());
    }

    #[test]
    fn a_refused_rule_leaves_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let good = "title: T\nid: 7556d12a-005d-475a-bec9-7d9fe9ed1aff\nlogsource: {product: x}\nlevel: low\n\
                    detection:\n  a: {b: c}\n  condition: a\n";
        std::fs::write(folder.path().join("good.yml"), good).unwrap();
        std::fs::write(folder.path().join("bad.yml"), "title: B\ndetection: 7\n").unwrap();
        // Scripts: one that works, one without a head, one whose body cannot be read; and a rule that is no text.
        let head = "/* meta\ntitle: S\nid: ID\nlogsource: {product: x}\nlevel: low\ndetection:\n  a: {b: c}\n  condition: a\n\
                    script:\n  key: [source.ip]\n*/\n";
        let script = |id: &str, body: &str| head.replace("ID", id) + body;
        let works = script("7556d12a-005d-475a-bec9-7d9fe9ed1b01", "fn on(event, state) { }\n");
        std::fs::write(folder.path().join("works.rhai"), works).unwrap();
        let broken = script("7556d12a-005d-475a-bec9-7d9fe9ed1b02", "fn on(event, state) { let = ;\n");
        std::fs::write(folder.path().join("broken.rhai"), broken).unwrap();
        std::fs::write(folder.path().join("headless.rhai"), "fn on(event, state) { }\n").unwrap();
        std::fs::write(folder.path().join("no-text.yml"), [0xff, 0xfe, 0x00]).unwrap();
        let loaded = load(&[folder.path().to_owned()], true).unwrap();
        let expected = Counts { rules: 1, rules_refused: 2, scripts: 1, scripts_refused: 2 };
        assert_eq!(loaded.counts, expected);
        assert_eq!(loaded.infos.len(), 2, "the rule and the script that work");
    }
}
