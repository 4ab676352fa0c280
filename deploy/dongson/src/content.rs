//! The rules that a running system asks: those that are shipped (they are in the binary) and those of the
//! administrator's folders.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use dongson_analyzer::Content;
use dongson_console::RuleInfo;
use dongson_rules::{LoadOptions, LoadReport, RuleSet, Taxonomies};
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
    for folder in folders {
        read_folder(folder, &mut documents)?;
    }
    documents.sort();
    let LoadReport { rules, refused, .. } = RuleSet::from_documents(
        documents.iter().map(|(name, text)| (name.as_str(), text.as_str())),
        &LoadOptions { scripts: true, ..LoadOptions::default() },
    );
    let (scripts, unread) = Scripts::compile(&rules, &Limits::default());
    for refusal in refused.iter().chain(&unread) {
        warn!(file = %refusal.file, line = refusal.line, reason = %refusal.reason, "a rule was refused");
    }
    if !refused.is_empty() {
        warn!(
            refused = refused.len(),
            compiled = rules.rules().len(),
            "some rules were refused; the others work"
        );
    }
    let infos = rules.rules().iter().map(|rule| info(rule, &documents)).collect();
    let content = Content {
        rules: Arc::new(rules),
        scripts: Arc::new(scripts),
        taxonomies: Arc::new(Taxonomies::embedded()),
    };
    Ok(Loaded { content, infos })
}

fn read_folder(folder: &std::path::Path, documents: &mut Vec<(String, String)>) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("reading the rule folder {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("reading the rule folder {}", folder.display()))?.path();
        if path.is_dir() {
            read_folder(&path, documents)?;
        } else if is_rule(&path) {
            match std::fs::read_to_string(&path) {
                Ok(text) => documents.push((path.display().to_string(), text)),
                Err(error) => warn!(file = %path.display(), %error, "a rule was refused: it cannot be read"),
            }
        }
    }
    Ok(())
}

fn is_rule(path: &std::path::Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let yaml = matches!(ending, "yml" | "yaml");
    ending == "rhai" || yaml && ![".test.yml", ".test.yaml"].iter().any(|suffix| name.ends_with(suffix))
}

fn info(rule: &dongson_rules::Rule, documents: &[(String, String)]) -> RuleInfo {
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
        let loaded = load(&[folder.path().to_owned()], true).unwrap();
        assert_eq!(loaded.infos.len(), 1);
    }
}
