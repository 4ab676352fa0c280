//! All rules of some folders, compiled together.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml_ng::Mapping;

use crate::correlate::{self, Definition};
use crate::error::{Refusal, RuleError};
use crate::predicate::Tables;
use crate::rule::Rule;
use crate::sigma::detection::{self, Detection};
use crate::sigma::document::{self, MAX_FILE_BYTES};
use crate::sigma::filter::Filter;
use crate::sigma::meta;
use crate::sigma::placeholder::{Values, ValuesError};

/// Deepest folder below a given one that is read.
const MAX_FOLDER_DEPTH: usize = 32;

/// Longest quotation of a rule in a reason, in characters.
const QUOTED_CHARS: usize = 120;

/// What may be told when loading.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Values of `%placeholders%` for the modifier `expand`; without them such rules are refused.
    pub values: Values,
}

impl LoadOptions {
    /// With the placeholders of a values file.
    pub fn with_values(path: &Path) -> Result<Self, ValuesError> {
        Ok(Self { values: Values::read(path)? })
    }
}

/// What became of the files.
#[derive(Debug, Default)]
pub struct LoadReport {
    /// The rules that were compiled.
    pub rules: RuleSet,
    /// Rule files that were read.
    pub files: usize,
    /// Rules that were compiled, correlations among them.
    pub compiled: usize,
    /// Filters that were added to rules.
    pub filters: usize,
    /// Documents and files that were refused.
    pub refused: Vec<Refusal>,
}

/// Compiled rules. A rule's number is its place in [`RuleSet::rules`].
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// Beside `rules`; `None` for correlations.
    detections: Vec<Option<Detection>>,
    correlations: Vec<Definition>,
    tables: Tables,
}

impl RuleSet {
    /// Reads all `*.yml` and `*.yaml` below the paths, in the order of their names. Samples (`*.test.yml`) are left out.
    pub fn load(paths: &[PathBuf], options: &LoadOptions) -> LoadReport {
        let mut loader = Loader::new(options);
        for path in paths {
            loader.path(path, 0);
        }
        loader.finish()
    }

    /// Compiles texts that are already in memory: (name, YAML).
    pub fn from_documents<N: AsRef<str>, T: AsRef<str>>(
        documents: impl IntoIterator<Item = (N, T)>,
        options: &LoadOptions,
    ) -> LoadReport {
        let mut loader = Loader::new(options);
        for (name, text) in documents {
            loader.report.files += 1;
            loader.text(name.as_ref(), text.as_ref());
        }
        loader.finish()
    }

    /// The rules, correlations last.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of this number.
    pub fn rule(&self, number: usize) -> Option<&Rule> {
        self.rules.get(number)
    }

    /// The number of the rule with this id.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.rules.iter().position(|rule| rule.id == id)
    }

    /// How many different predicates all rules share.
    pub fn predicates(&self) -> usize {
        self.tables.predicates.len()
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(crate) fn detection(&self, number: usize) -> Option<&Detection> {
        self.detections.get(number)?.as_ref()
    }

    pub(crate) fn correlations(&self) -> &[Definition] {
        &self.correlations
    }

    /// Tells each correlation inside a chain which fields the ones around it read; the outermost stand last.
    fn carry_fields(&mut self) {
        for at in (0..self.correlations.len()).rev() {
            let Some(number) = self.correlations.get(at).map(|one| one.number) else { continue };
            let around = self.correlations.iter().filter(|one| one.rules.contains(&number));
            let fields: BTreeSet<String> =
                around.flat_map(|one| one.reads(number)).map(str::to_owned).collect();
            if let Some(inner) = self.correlations.get_mut(at) {
                inner.carried = fields.into_iter().collect();
            }
        }
    }

    /// A rule that correlations count raises nothing by itself, unless one of them says `generate: true`.
    fn hide_what_only_feeds(&mut self) {
        for definition in &self.correlations {
            for &base in &definition.rules {
                let generated = self.correlations.iter().any(|one| one.generate && one.rules.contains(&base));
                if let Some(base) = self.rules.get_mut(base) {
                    base.reported = generated;
                }
            }
        }
    }
}

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

struct Loader<'o> {
    options: &'o LoadOptions,
    report: LoadReport,
    pending: Vec<Pending>,
    filters: Vec<(Filter, Place)>,
    ids: HashMap<String, String>,
}

impl<'o> Loader<'o> {
    fn new(options: &'o LoadOptions) -> Self {
        Self {
            options,
            report: LoadReport::default(),
            pending: Vec::new(),
            filters: Vec::new(),
            ids: HashMap::new(),
        }
    }

    fn refuse(&mut self, file: &str, line: usize, error: &RuleError) {
        let reason = short(&error.to_string());
        self.report.refused.push(Refusal { file: file.to_owned(), line, reason });
    }

    fn path(&mut self, path: &Path, depth: usize) {
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
            if (child.is_dir() && !child.is_symlink()) || (child.is_file() && is_rule_file(&child)) {
                self.path(&child, depth + 1);
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &str) -> Result<(), String> {
        self.report.files += 1;
        let size = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
        if size > MAX_FILE_BYTES {
            return Err(format!("has {size} bytes; a rule file may have {MAX_FILE_BYTES}"));
        }
        let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            format!("is not UTF-8 after byte {}; save it as UTF-8", error.utf8_error().valid_up_to())
        })?;
        self.text(name, &text);
        Ok(())
    }

    fn text(&mut self, file: &str, text: &str) {
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

    fn finish(mut self) -> LoadReport {
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
                    self.refuse_at(&one.place, &RuleError::Correlation(reason.to_owned()));
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

/// True for `*.yml` and `*.yaml` that are not samples.
fn is_rule_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let stem = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml"));
    let sample = |stem: &str| stem.strip_suffix(".test").is_some();
    stem.is_some_and(|stem| !stem.is_empty() && !sample(stem) && !stem.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULE: &str = "title: T\nid: one\nlogsource: {product: x}\ndetection:\n    sel:\n        a|contains: b\n    condition: sel\n";

    fn load(text: &str) -> LoadReport {
        RuleSet::from_documents([("x.yml", text)], &LoadOptions::default())
    }

    #[test]
    fn refusals_name_file_line_and_reason() {
        let report = load(&RULE.replace("contains", "containz"));
        assert_eq!(report.compiled, 0);
        let refusal = &report.refused[0];
        assert_eq!((refusal.file.as_str(), refusal.line), ("x.yml", 6));
        assert!(refusal.reason.contains("write \"contains\""), "{}", refusal.reason);
    }

    #[test]
    fn what_is_wrong_is_refused_and_the_rest_compiled() {
        let report = load(&format!("{RULE}---\n{RULE}---\n{}", RULE.replace("id: one", "id: two")));
        assert_eq!((report.files, report.compiled, report.refused.len()), (1, 2, 1));
        assert!(report.refused[0].reason.contains("already used by x.yml"));
        for (from, to, reason) in [
            ("condition: sel", "condition: sel | count() > 3", "obsolete"),
            ("condition: sel", "condition: sel\n    timeframe: 5m", "obsolete"),
            ("condition: sel", "condition: other", "no selection \"other\""),
            ("condition: sel", "condition: 1 of filter_*", "no selection fits"),
            ("        a|contains: b", "        a|expand: '%users%'", "%users%"),
            ("        a|contains: b", "        a|re: '('", "regular expression"),
            ("        a|contains: b", "        a|re: '(?=x)y'", "linear time"),
            ("        a|contains: b", "        a|cidr: 10.0.0.0/33", "10.0.0.0/8"),
            ("        a|contains: b", "        a|contains: null", "null takes no modifier"),
            ("        a|contains: b", "        a|gt: many", "must be a number"),
            ("        a|contains: b", "        a|base64: 'x*'", "wildcards"),
            ("        a|contains: b", "        a: []", "at least one value"),
            ("        a|contains: b", "        a: {b: c}", "dotted names"),
            ("        a|contains: b", "        a|exists: maybe", "true or false"),
            ("        a|contains: b", "        a|contains|re: x", "first modifier"),
        ] {
            let report = load(&RULE.replace(from, to));
            assert_eq!(report.compiled, 0, "{to}");
            assert!(report.refused[0].reason.contains(reason), "{to}: {}", report.refused[0].reason);
        }
    }

    #[test]
    fn an_empty_file_is_refused_by_name() {
        for text in ["", "\n\n", "# nothing yet\n---\n# nor here\n"] {
            let report = load(text);
            assert_eq!((report.files, report.compiled, report.refused.len()), (1, 0, 1), "{text:?}");
            let refusal = &report.refused[0];
            assert_eq!((refusal.file.as_str(), refusal.line), ("x.yml", 1));
            assert!(refusal.reason.starts_with("has no rule"), "{}", refusal.reason);
        }
        assert_eq!(load(&format!("{RULE}---\n")).refused, []);
    }

    #[test]
    fn reasons_stay_short_and_deep_files_never_reach_the_reader() {
        let long = "sel and ".repeat(20_000);
        let refused = load(&RULE.replace("condition: sel", &format!("condition: {long}other"))).refused;
        assert!(refused[0].reason.chars().count() < 400, "{}", refused[0].reason);
        assert!(refused[0].reason.contains('…'));
        let value = RULE.replace("a|contains: b", &format!("a|re: '({}'", "x\\\"".repeat(20_000)));
        let reason = &load(&value).refused[0].reason;
        assert!(reason.chars().count() < 1_000, "{} {reason}", reason.chars().count());
        for text in ["[".repeat(100_000), "- - - - ".repeat(15_000), "a: {".repeat(25_000)] {
            let reason = &load(&text).refused[0].reason;
            assert!(reason.contains("levels deep"), "{reason}");
        }
        let big = load(&"#".repeat(2 << 20)).refused;
        assert!(big[0].reason.contains("a rule file may have"), "{}", big[0].reason);
    }

    #[test]
    fn folders_are_read_in_order_without_samples() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::write(folder.path().join("b/two.yaml"), RULE.replace("one", "two")).unwrap();
        fs::write(folder.path().join("a.yml"), RULE).unwrap();
        fs::write(folder.path().join("a.test.yml"), "fires: []").unwrap();
        fs::write(folder.path().join("notes.txt"), "x").unwrap();
        fs::write(folder.path().join("bad.yml"), b"\xFF").unwrap();
        let report =
            RuleSet::load(&[folder.path().to_owned(), folder.path().join("absent")], &LoadOptions::default());
        assert_eq!((report.files, report.compiled, report.refused.len()), (4, 2, 2));
        assert_eq!(report.rules.find("two"), Some(1));
    }

    proptest! {
        #[test]
        fn any_yaml_is_taken(
            keys in prop::collection::vec("[a-z]{1,3}(\\|(re|contains|all|cidr|gt|base64offset|windash|wide|expand|exists|fieldref|hour|neq|i|xx)){0,3}", 1..5),
            values in prop::collection::vec("[0-9]{1,3}|'[a-c*?\\\\%()/. -]{0,8}'|null|true|\\[1, a\\]|\\{a: 1\\}|1\\.5|~", 5),
            condition in "(sel|not sel|1 of them|all of s\\*|sel and sel|sel \\| x|\\(sel)",
        ) {
            let mut text = "title: T\nlogsource: {product: x}\ndetection:\n  sel:\n".to_owned();
            let lines = keys.iter().zip(&values).map(|(key, value)| format!("    {key}: {value}\n"));
            text.extend(lines.chain([format!("  condition: {condition}\n")]));
            let report = load(&text);
            prop_assert_eq!(report.compiled + report.refused.len(), 1);
        }

        #[test]
        fn any_text_is_taken(text in "\\PC{0,80}|([a-z]{1,5}: ?|\n| {1,4}|- |\\[|\\]|\\{|\\}|'|\\||>|&a|\\*a|!x){0,40}") {
            drop(load(&text));
        }
    }
}
