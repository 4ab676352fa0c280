//! All rules of some folders, compiled together.

mod loader;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use loader::Loader;

use crate::correlate::Definition;
use crate::error::Refusal;
use crate::predicate::Tables;
use crate::rule::Rule;
use crate::script::ScriptSource;
use crate::sigma::detection::Detection;
use crate::sigma::placeholder::{Values, ValuesError};

/// What may be told when loading.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Values of `%placeholders%` for the modifier `expand`; without them such rules are refused.
    pub values: Values,
    /// Also reads `*.rhai`: their heads become rules that report nothing, [`RuleSet::scripts`] has their bodies for
    /// who runs them. Otherwise they are passed over.
    pub scripts: bool,
}

impl LoadOptions {
    /// With the placeholders of a values file.
    pub fn with_values(path: &Path) -> Result<Self, ValuesError> {
        Ok(Self { values: Values::read(path)?, ..Self::default() })
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
    /// Scripts in the folders that were passed over.
    pub scripts_left_out: Vec<String>,
}

/// Compiled rules. A rule's number is its place in [`RuleSet::rules`].
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// Beside `rules`; `None` for correlations.
    detections: Vec<Option<Detection>>,
    correlations: Vec<Definition>,
    scripts: Vec<ScriptSource>,
    tables: Tables,
}

impl RuleSet {
    /// Reads all `*.yml` and `*.yaml` below the paths, in the order of their names. Samples (`*.test.yml`) are
    /// left out; `*.rhai` is read where the options say so.
    pub fn load(paths: &[PathBuf], options: &LoadOptions) -> LoadReport {
        let mut loader = Loader::new(options);
        for path in paths {
            loader.path(path, 0);
        }
        loader.finish()
    }

    /// Compiles texts that are already in memory: (name, YAML), or a script where the name ends in `.rhai`.
    pub fn from_documents<N: AsRef<str>, T: AsRef<str>>(
        documents: impl IntoIterator<Item = (N, T)>,
        options: &LoadOptions,
    ) -> LoadReport {
        let mut loader = Loader::new(options);
        for (name, text) in documents {
            loader.report.files += 1;
            if name.as_ref().to_lowercase().ends_with(".rhai") {
                loader.script(name.as_ref(), text.as_ref());
            } else {
                loader.text(name.as_ref(), text.as_ref());
            }
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

    /// The scripts whose heads are among the rules, in the order of the rules' numbers.
    pub fn scripts(&self) -> &[ScriptSource] {
        &self.scripts
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

#[cfg(test)]
mod tests {
    use std::fs;

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
    fn a_file_is_read_once_and_scripts_left_out_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (rule, script) = (folder.path().join("a.yml"), folder.path().join("b.rhai"));
        fs::write(&rule, RULE).unwrap();
        fs::write(&script, "").unwrap();
        let paths = [rule, folder.path().to_owned(), folder.path().join(".")];
        let report = RuleSet::load(&paths, &LoadOptions::default());
        assert_eq!((report.files, report.compiled, report.refused.len()), (1, 1, 0));
        assert_eq!(report.scripts_left_out, [script.display().to_string()]);
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
