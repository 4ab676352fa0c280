//! Packs of indicators and rules, compiled.
//!
//! A pack is zstd over a folder in the tar format (POSIX.1-2001 pax or GNU): of indicators its `*.csv`, `*.txt` and
//! `*.json` are lists as the analyzer reads them, `allow*` what is never an indicator; of rules its `*.yml` and `*.yaml` are
//! Sigma rules. What cannot be read in it is counted and told, the rest is in force.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dongson_event::trust::PackKind;
use dongson_intel::{AllowList, Builder, Set, load};
use dongson_rules::{Engine, LoadOptions, Mode, Rule, RuleSet, Taxonomies};

use crate::desired::HeldPack;

/// Most bytes of a pack when it is unpacked: 1 GiB.
const MAX_UNPACKED: u64 = 1 << 30;
/// Most bytes of one file in it.
const MAX_FILE: u64 = 512 << 20;
/// Most refusals that are told one by one.
const MAX_TOLD: usize = 20;

/// What is looked for.
#[derive(Default)]
pub struct Content {
    /// The indicators.
    pub set: Set,
    /// What is never one.
    pub allow: AllowList,
    rules: Option<Arc<Engine>>,
    /// What became of the packs.
    pub report: Report,
}

/// What became of the packs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The packs that are in force: name and version.
    pub packs: Vec<(String, u64)>,
    /// Indicators.
    pub indicators: usize,
    /// Rules that are asked.
    pub rules: usize,
    /// Correlations, which only the centre can count.
    pub correlations: usize,
    /// Files, rules and indicators that were refused.
    pub refused: usize,
    /// The first of them, with the reasons.
    pub reasons: Vec<String>,
}

impl Report {
    fn refuse(&mut self, count: usize, reasons: impl Iterator<Item = String>) {
        self.refused += count;
        let room = MAX_TOLD.saturating_sub(self.reasons.len());
        self.reasons.extend(reasons.take(room));
    }
}

impl Content {
    /// Reads and compiles `packs`.
    pub fn read(packs: &[HeldPack]) -> Self {
        let mut report = Report::default();
        let (mut builder, mut allow, mut rules) = (Builder::default(), AllowList::default(), Vec::new());
        for pack in packs {
            let manifest = &pack.manifest;
            let mut take = |path: &Path, bytes: Vec<u8>| match manifest.kind {
                PackKind::Intel => list(&manifest.name, path, &bytes, &mut builder, &mut allow, &mut report),
                PackKind::Rules => rule_file(&manifest.name, path, bytes, &mut rules),
            };
            match each_file(&pack.path, &mut take) {
                Ok(()) => report.packs.push((manifest.name.clone(), manifest.version)),
                Err(error) => {
                    let reason = format!("pack {} {}: {error}", manifest.name, manifest.version);
                    report.refuse(1, std::iter::once(reason));
                }
            }
        }
        let loaded = RuleSet::from_documents(rules, &LoadOptions::default());
        report.refuse(
            loaded.refused.len(),
            loaded.refused.iter().map(|one| format!("{}, line {}: {}", one.file, one.line, one.reason)),
        );
        let correlations = loaded.rules.rules().iter().filter(|rule| rule.correlation).count();
        report.correlations = correlations;
        report.rules = loaded.rules.rules().len() - correlations;
        let set = builder.finish();
        report.indicators = set.len();
        let rules = (report.rules > 0).then(|| {
            let taxonomies = Arc::new(Taxonomies::embedded());
            Arc::new(Engine::new(Arc::new(loaded.rules), taxonomies, Mode::Auto, None))
        });
        Self { set, allow, rules, report }
    }

    /// The compiled rules; `None` where no pack has any.
    pub fn engine(&self) -> Option<&Arc<Engine>> {
        self.rules.as_ref()
    }

    /// The rule of this number, where a match of it is an alert of its own.
    pub fn rule(&self, number: usize) -> Option<&Rule> {
        self.rules.as_ref()?.rules().rule(number).filter(|rule| rule.reported && !rule.correlation)
    }
}

/// A list of indicators, or of what is never one.
fn list(
    pack: &str,
    path: &Path,
    bytes: &[u8],
    builder: &mut Builder,
    allow: &mut AllowList,
    report: &mut Report,
) {
    let name = format!("{pack}/{}", path.display());
    let file = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if file.starts_with("allow") {
        let (more, refused) = AllowList::parse(&String::from_utf8_lossy(bytes));
        allow.extend(more);
        let reasons = refused.iter().map(|(line, reason)| format!("{name}, line {line}: {reason}"));
        report.refuse(refused.len(), reasons);
    } else if [".csv", ".txt", ".json"].iter().any(|end| file.ends_with(end)) {
        let mut read = load::LoadReport::default();
        load::text(&name, bytes, builder, &mut read);
        let reasons =
            read.reasons.iter().map(|one| format!("{}, line {}: {}", one.file, one.place, one.reason));
        report.refuse(read.refused, reasons);
    }
}

fn rule_file(pack: &str, path: &Path, bytes: Vec<u8>, rules: &mut Vec<(String, String)>) {
    let name = path.to_string_lossy().to_lowercase();
    let is_rule = [".yml", ".yaml"].iter().any(|end| name.ends_with(end));
    if is_rule && ![".test.yml", ".test.yaml"].iter().any(|end| name.ends_with(end)) {
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned());
        rules.push((format!("{pack}/{}", path.display()), text));
    }
}

/// Gives every file of a pack to `take`, in the order of the pack.
fn each_file(path: &PathBuf, take: &mut dyn FnMut(&Path, Vec<u8>)) -> std::io::Result<()> {
    let unpacked = zstd::Decoder::new(File::open(path)?)?.take(MAX_UNPACKED);
    let mut archive = tar::Archive::new(unpacked);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path()?.into_owned();
        if entry.size() > MAX_FILE {
            return Err(std::io::Error::other(format!("{} is longer than 512 MiB", name.display())));
        }
        let mut bytes = Vec::new();
        let (expected, read) = (entry.size(), entry.read_to_end(&mut bytes)?);
        if read as u64 != expected {
            return Err(std::io::Error::other(format!("{} is cut off", name.display())));
        }
        take(&name, bytes);
    }
    Ok(())
}
