//! From files to a [`super::RuleSet`]: documents one by one, then what waits for all of them (correlations, filters).

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml_ng::Mapping;

use super::{LoadOptions, LoadReport};
use crate::correlate::{self, Definition};
use crate::error::{Refusal, RuleError};
use crate::rule::Rule;
use crate::script::{self, ScriptSource};
use crate::sigma::detection;
use crate::sigma::document::{self, MAX_FILE_BYTES};
use crate::sigma::filter::Filter;
use crate::sigma::meta;

/// Deepest folder below a given one that is read.
const MAX_FOLDER_DEPTH: usize = 32;

/// Longest quotation of a rule in a reason, in characters.
const QUOTED_CHARS: usize = 120;

/// A correlation that waits until all rules are read.
struct Pending {
    rule: Rule,
    content: Mapping,
    place: Place,
}

/// Where a document that waits stands.
struct Place {
    file: String,
    line: usize,
    text: String,
}

pub(super) struct Loader<'o> {
    options: &'o LoadOptions,
    pub(super) report: LoadReport,
    pending: Vec<Pending>,
    filters: Vec<(Filter, Place)>,
    ids: HashMap<String, String>,
    /// The files that were met.
    met: HashSet<PathBuf>,
}

impl<'o> Loader<'o> {
    pub(super) fn new(options: &'o LoadOptions) -> Self {
        Self {
            options,
            report: LoadReport::default(),
            pending: Vec::new(),
            filters: Vec::new(),
            ids: HashMap::new(),
            met: HashSet::new(),
        }
    }

    fn refuse(&mut self, file: &str, line: usize, error: &RuleError) {
        let reason = short(&error.to_string());
        self.report.refused.push(Refusal { file: file.to_owned(), line, reason });
    }

    pub(super) fn path(&mut self, path: &Path, depth: usize) {
        let name = path.display().to_string();
        let result = if path.is_dir() { self.folder(path, depth) } else { self.file(path, &name) };
        if let Err(reason) = result {
            self.refuse(&name, 1, &RuleError::Unreadable(reason));
        }
    }

    fn folder(&mut self, path: &Path, depth: usize) -> Result<(), String> {
        if depth > MAX_FOLDER_DEPTH {
            return Err(format!("more than {MAX_FOLDER_DEPTH} folders deep"));
        }
        let entries = fs::read_dir(path).map_err(|error| format!("cannot be read: {error}"))?;
        let mut children: Vec<PathBuf> = entries
            .map(|entry| entry.map(|entry| entry.path()).map_err(|error| format!("cannot be read: {error}")))
            .collect::<Result<_, _>>()?;
        children.sort();
        for child in children {
            // A folder that is a link could lead round in a circle.
            if (child.is_dir() && !child.is_symlink()) || (child.is_file() && self.is_wanted(&child)) {
                self.path(&child, depth + 1);
            } else if child.is_file() && is_script(&child) && self.is_new(&child) {
                self.report.scripts_left_out.push(child.display().to_string());
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &str) -> Result<(), String> {
        // Paths may overlap: a file is read once.
        if !self.is_new(path) {
            return Ok(());
        }
        self.report.files += 1;
        let size = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
        if size > MAX_FILE_BYTES {
            return Err(format!("has {size} bytes; a rule file may have {MAX_FILE_BYTES}"));
        }
        let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            format!("is not UTF-8 after byte {}; save it as UTF-8", error.utf8_error().valid_up_to())
        })?;
        if is_script(path) {
            self.script(name, &text);
        } else {
            self.text(name, &text);
        }
        Ok(())
    }

    /// False where the same file was met before.
    fn is_new(&mut self, path: &Path) -> bool {
        fs::canonicalize(path).map_or(true, |whole| self.met.insert(whole))
    }

    fn is_wanted(&self, path: &Path) -> bool {
        is_rule_file(path) || (self.options.scripts && is_script(path))
    }

    /// A script: its head is a rule, its body is kept.
    pub(super) fn script(&mut self, file: &str, text: &str) {
        if !self.options.scripts {
            let reason = "is a script, which this command does not run";
            return self.refuse(file, 1, &RuleError::Unreadable(reason.to_owned()));
        }
        let (head, body) = match script::cut(text) {
            Ok(parts) => parts,
            Err(reason) => return self.refuse(file, 1, &RuleError::Unreadable(reason.to_owned())),
        };
        let documents = document::split(&head);
        let [document] = documents.as_slice() else {
            let reason = "the head of a script is one document; write the keys of one rule there";
            return self.refuse(file, 1, &RuleError::Unreadable(reason.to_owned()));
        };
        match document {
            Err(error) => {
                let line = if let RuleError::NotYaml { line, .. } = error { *line } else { 1 };
                self.refuse(file, line, error);
            }
            Ok(document) => {
                if let Err(error) = self.script_head(file, document, body) {
                    self.refuse(file, document.line_of(error.anchor()), &error);
                }
            }
        }
    }

    fn script_head(
        &mut self,
        file: &str,
        document: &document::Document<'_>,
        body: String,
    ) -> Result<(), RuleError> {
        let source = ScriptSource::read(&document.content, body)?;
        for key in ["correlation", "filter"] {
            if document.content.contains_key(key) {
                return Err(RuleError::Unsupported {
                    what: format!("{key}: in the head of a script"),
                    instead: "write a `detection` there",
                });
            }
        }
        self.document(file, document)?;
        let rules = &mut self.report.rules;
        let number = rules.rules.len() - 1;
        if let Some(rule) = rules.rules.get_mut(number) {
            rule.reported = false;
        }
        for name in source.reads() {
            rules.tables.field(name);
        }
        rules.scripts.push(ScriptSource { rule: number, ..source });
        Ok(())
    }

    pub(super) fn text(&mut self, file: &str, text: &str) {
        if text.len() as u64 > MAX_FILE_BYTES {
            let reason = format!("has {} bytes; a rule file may have {MAX_FILE_BYTES}", text.len());
            return self.refuse(file, 1, &RuleError::Unreadable(reason));
        }
        let documents = document::split(text);
        if documents.is_empty() {
            let reason = "has no rule: it is empty or holds comments only; write one or remove the file";
            return self.refuse(file, 1, &RuleError::Unreadable(reason.to_owned()));
        }
        for document in documents {
            match document {
                Err(error) => {
                    let line = if let RuleError::NotYaml { line, .. } = error { line } else { 1 };
                    self.refuse(file, line, &error);
                }
                Ok(document) => {
                    if let Err(error) = self.document(file, &document) {
                        self.refuse(file, document.line_of(error.anchor()), &error);
                    }
                }
            }
        }
    }

    fn document(&mut self, file: &str, document: &document::Document<'_>) -> Result<(), RuleError> {
        let place = || Place { file: file.to_owned(), line: document.line, text: document.text.to_owned() };
        let rules = &mut self.report.rules;
        if document.content.contains_key("filter") {
            meta::refuse_obsolete(&document.content)?;
            let filter = Filter::read(&document.content, &self.options.values, &mut rules.tables)?;
            claim(&mut self.ids, &filter.id, file)?;
            self.filters.push((filter, place()));
            return Ok(());
        }
        let rule = meta::read(&document.content, file, document.line)?;
        if rule.script && !file.to_lowercase().ends_with(".rhai") {
            return Err(RuleError::Unsupported {
                what: "script: in a YAML file".to_owned(),
                instead: "write the head and the script in one file NAME.rhai",
            });
        }
        if let Some(other) = self.ids.get(&rule.id) {
            return Err(RuleError::DuplicateId { id: rule.id, other: other.clone() });
        }
        let id = rule.id.clone();
        if rule.correlation {
            self.pending.push(Pending { rule, content: document.content.clone(), place: place() });
        } else {
            let detection = detection::build(&document.content, &self.options.values, &mut rules.tables)?;
            rules.rules.push(rule);
            rules.detections.push(Some(detection));
        }
        claim(&mut self.ids, &id, file)
    }

    pub(super) fn finish(mut self) -> LoadReport {
        self.correlations();
        for (filter, place) in std::mem::take(&mut self.filters) {
            if let Err(error) = self.filter(&filter) {
                self.refuse_at(&place, &error);
            }
        }
        self.report.compiled = self.report.rules.rules.len();
        self.report
    }

    fn refuse_at(&mut self, place: &Place, error: &RuleError) {
        let line = document::line_of(&place.text, place.line, error.anchor());
        self.refuse(&place.file, line, error);
    }

    /// Adds a filter to its rules: to all that it names, or to none.
    fn filter(&mut self, filter: &Filter) -> Result<(), RuleError> {
        let rules = &mut self.report.rules;
        for number in filter.targets(&rules.rules)? {
            let detection = rules.detections.get_mut(number).and_then(Option::as_mut);
            if let (Some(rule), Some(detection)) = (rules.rules.get_mut(number), detection) {
                filter.apply(detection);
                rule.filters.push(filter.id.clone());
            }
        }
        self.report.filters += 1;
        Ok(())
    }

    /// Resolves correlations from the inside of chains to the outside.
    fn correlations(&mut self) {
        let mut waiting = std::mem::take(&mut self.pending);
        while !waiting.is_empty() {
            let called = |name: &String| waiting.iter().any(|one| one.rule.is_called(name));
            let ready = |one: &Pending| !correlate::rule_names(&one.content).iter().any(called);
            let (now, later): (Vec<bool>, usize) = {
                let now: Vec<bool> = waiting.iter().map(ready).collect();
                let later = now.iter().filter(|ready| !**ready).count();
                (now, later)
            };
            let stuck = later == waiting.len();
            let mut rest = Vec::with_capacity(later);
            for (one, ready) in waiting.into_iter().zip(now) {
                if stuck {
                    let reason =
                        "refers to itself, or to correlations that refer back to it; break the circle";
                    self.refuse_at(&one.place, &RuleError::correlation("rules:", reason));
                } else if ready {
                    self.correlation(one);
                } else {
                    rest.push(one);
                }
            }
            waiting = rest;
        }
        self.report.rules.hide_what_only_feeds();
        self.report.rules.carry_fields();
    }

    fn correlation(&mut self, pending: Pending) {
        let Pending { mut rule, content, place } = pending;
        let rules = &mut self.report.rules;
        match Definition::read(&content, &rules.rules, &rules.correlations, &rule, rules.rules.len()) {
            Ok(definition) => {
                for name in definition.field_names() {
                    rules.tables.field(&name);
                }
                rule.extensions.extend(definition.extensions());
                rule.warnings.extend(definition.warnings(&correlate::rule_names(&content)));
                rules.rules.push(rule);
                rules.detections.push(None);
                rules.correlations.push(definition);
            }
            Err(error) => self.refuse_at(&place, &error),
        }
    }
}

fn claim(ids: &mut HashMap<String, String>, id: &str, file: &str) -> Result<(), RuleError> {
    if let Some(other) = ids.get(id) {
        return Err(RuleError::DuplicateId { id: id.to_owned(), other: other.clone() });
    }
    ids.insert(id.to_owned(), file.to_owned());
    Ok(())
}

/// A reason in which no quoted text is longer than [`QUOTED_CHARS`].
fn short(reason: &str) -> String {
    let mut out = String::new();
    let (mut quoted, mut escaped) = (None, false);
    for sign in reason.chars() {
        quoted = match quoted {
            None => (sign == '"').then_some(0),
            Some(_) if sign == '"' && !escaped => None,
            Some(length) => Some(length + 1),
        };
        escaped = sign == '\\' && !escaped;
        match quoted {
            Some(length) if length == QUOTED_CHARS + 1 => out.push('…'),
            Some(length) if length > QUOTED_CHARS => {}
            _ => out.push(sign),
        }
    }
    out
}

/// True for `*.rhai`.
fn is_script(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.strip_suffix(".rhai").is_some_and(|stem| !stem.is_empty() && !stem.starts_with('.'))
}

/// True for `*.yml` and `*.yaml` that are not samples.
fn is_rule_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let stem = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml"));
    let sample = |stem: &str| stem.strip_suffix(".test").is_some();
    stem.is_some_and(|stem| !stem.is_empty() && !sample(stem) && !stem.starts_with('.'))
}
