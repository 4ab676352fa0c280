//! Other engines over the same events: rsigma with its own routing by log source, sigma-rust with ours around it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rsigma_eval::LogSourceExtractor;
use rsigma_eval::event::JsonEvent;

use crate::Subject;
use crate::differences::Finder;
use dongson_rules_bench::corpus::Corpus;

struct Rsigma(rsigma_eval::Engine);

impl Subject for Rsigma {
    fn name(&self) -> &'static str {
        "rsigma-eval 0.23.0"
    }

    fn look(&mut self, text: &str) -> usize {
        let tree: Result<serde_json::Value, _> = serde_json::from_str(text);
        tree.map_or(0, |tree| self.0.evaluate(&JsonEvent::borrow(&tree)).len())
    }
}

/// Product, category, service.
type Source = [Option<String>; 3];

struct SigmaRust {
    rules: Vec<(Source, sigma_rust::Rule)>,
    routes: HashMap<Source, Vec<usize>>,
}

impl Subject for SigmaRust {
    fn name(&self) -> &'static str {
        "sigma-rust 0.7, routed"
    }

    fn look(&mut self, text: &str) -> usize {
        self.found(text).len()
    }
}

impl SigmaRust {
    /// Places of the rules that hold.
    fn found(&mut self, text: &str) -> Vec<usize> {
        let Ok(event) = sigma_rust::event_from_json(text) else { return Vec::new() };
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "sigma-rust does not export the type of a value"
        )]
        let word = |name: &str| event.get(name).map(|value| value.value_to_string());
        let given = [word("product"), word("category"), word("service")];
        let rules = &self.rules;
        let route = self.routes.entry(given.clone()).or_insert_with(|| {
            let fits =
                |own: &Source| own.iter().zip(&given).all(|(own, given)| own.is_none() || own == given);
            rules.iter().enumerate().filter(|(_, (own, _))| fits(own)).map(|(at, _)| at).collect()
        });
        let holds = |at: &usize| rules.get(*at).is_some_and(|(_, rule)| rule.is_match(&event));
        route.iter().copied().filter(holds).collect()
    }
}

impl Finder for Rsigma {
    fn find(&mut self, text: &str) -> Vec<String> {
        let Ok(tree) = serde_json::from_str::<serde_json::Value>(text) else { return Vec::new() };
        let found = self.0.evaluate(&JsonEvent::borrow(&tree));
        found.into_iter().filter_map(|one| one.header.rule_id).collect()
    }
}

impl Finder for SigmaRust {
    fn find(&mut self, text: &str) -> Vec<String> {
        let found = self.found(text);
        found.into_iter().filter_map(|at| self.rules.get(at)?.1.id.clone()).collect()
    }
}

/// Both, to be timed.
pub(crate) fn subjects(corpus: &Corpus) -> Vec<Box<dyn Subject>> {
    let (rsigma, sigma_rust) = both(corpus);
    vec![Box::new(rsigma), Box::new(sigma_rust)]
}

/// Both, to be compared.
pub(crate) fn finders(corpus: &Corpus) -> Vec<(&'static str, Box<dyn Finder>)> {
    let (rsigma, sigma_rust) = both(corpus);
    vec![(rsigma.name(), Box::new(rsigma)), (sigma_rust.name(), Box::new(sigma_rust))]
}

/// Both, with all rules that they can read.
fn both(corpus: &Corpus) -> (Rsigma, SigmaRust) {
    let mut files = Vec::new();
    corpus.rule_folders.iter().for_each(|folder| collect(folder, &mut files));
    files.sort();
    let texts: Vec<String> = files.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    let mut rsigma = rsigma_eval::Engine::new();
    rsigma.set_logsource_extractor(Some(LogSourceExtractor::new()));
    let parsed: Vec<_> = texts.iter().filter_map(|text| rsigma_parser::parse_sigma_yaml(text).ok()).collect();
    let read = rsigma.add_rules(parsed.iter().flat_map(|collection| &collection.rules));
    drop(read);
    let rules: Vec<(Source, sigma_rust::Rule)> = texts
        .iter()
        .filter_map(|text| Some((source(text), sigma_rust::rule_from_yaml(text).ok()?)))
        .collect();
    (Rsigma(rsigma), SigmaRust { rules, routes: HashMap::new() })
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            files.push(path);
        }
    }
}

/// The log source, read from the lines below `logsource:`.
fn source(text: &str) -> Source {
    let lines = text.lines().skip_while(|line| !line.starts_with("logsource:")).skip(1);
    let lines: Vec<&str> = lines.take_while(|line| line.starts_with([' ', '\t'])).collect();
    ["product", "category", "service"].map(|name| {
        let value = lines.iter().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'))?;
        Some(value.split('#').next().unwrap_or_default().trim().trim_matches(['\'', '"']).to_owned())
    })
}
