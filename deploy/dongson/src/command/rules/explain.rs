//! `dongson rules explain`: one rule held against one event, part by part.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use dongson_event::Event;
use dongson_rules::detect::{self, Records};
use dongson_rules::trace;
use dongson_rules::{LoadOptions, Mode, RuleSet, Taxonomies};

use super::{VALUES_HELP, missing, options};
use crate::output;

/// Exit codes: the answer is one of two, and errors are neither.
const HOLDS: u8 = 0;
const DOES_NOT: u8 = 1;
const FAILED: u8 = 2;

/// How the answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A tree, `+` where a part held and `-` where it did not.
    Text,
    /// One JSON object.
    Json,
}

/// How the event names its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Taxonomy {
    /// Told by the event.
    Auto,
    /// As the rules write them, the log source in `product`, `service`, `category`.
    Sigma,
}

/// Which rule and which event.
#[derive(Debug, Args)]
#[command(after_help = format!("example: dongson rules explain my_rule.yml events.jsonl:17\n         dongson rules explain --rules rules/content/sigma 11111111-2222-4333-8444-555555555555 - < event.json\n\nA correlation is explained by its rules: which of them would count the event, and under which group.\nexit codes: 0 the rule fires on the event (a correlation counts it), 1 it does not, 2 an error{VALUES_HELP}"))]
pub(crate) struct Explain {
    /// A rule file, or the id, name or title of a rule of --rules.
    rule: String,
    /// A file with one event as JSON, `-` for standard input, or `FILE:N` for record N (the line, or the place in an array).
    event: String,
    /// Folder or file of rules, where the rule is given by its id; may be given several times.
    #[arg(long)]
    rules: Vec<PathBuf>,
    /// Values of the placeholders of rules.
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,
    /// How the event names its fields.
    #[arg(long, value_enum, default_value = "auto")]
    taxonomy: Taxonomy,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Form,
}

impl Explain {
    pub(super) fn run(self) -> ExitCode {
        let code = self.answer().unwrap_or_else(|error| {
            complain(&output::causes(&error));
            FAILED
        });
        ExitCode::from(code)
    }

    fn answer(&self) -> Result<u8> {
        let options = options(self.values.as_deref())?;
        let (rules, number) = self.rule(&options)?;
        let mode = match self.taxonomy {
            Taxonomy::Auto => Mode::Auto,
            Taxonomy::Sigma => Mode::Sigma,
        };
        let event = self.event()?;
        let event = if mode == Mode::Auto { detect::unpack(event) } else { event };
        let taxonomies = Arc::new(Taxonomies::embedded());
        if let Some(explained) = trace::explain(&rules, &taxonomies, mode, number, &event) {
            self.tell(&explained)?;
            return Ok(if explained.fires { HOLDS } else { DOES_NOT });
        }
        let Some(counted) = trace::counted(&rules, &taxonomies, mode, number, &event) else {
            bail!("{}: there is no such rule", self.rule);
        };
        self.tell(&counted)?;
        Ok(if counted.counts { HOLDS } else { DOES_NOT })
    }

    fn tell(&self, answer: &(impl serde::Serialize + ToString)) -> Result<()> {
        match self.format {
            Form::Json => output::json(answer),
            Form::Text => print(&answer.to_string()),
        }
    }

    /// The rules, and which of them is meant.
    fn rule(&self, options: &LoadOptions) -> Result<(Arc<RuleSet>, usize)> {
        missing(&self.rules)?;
        let file = PathBuf::from(&self.rule);
        let is_file = file.is_file();
        if !is_file && self.rules.is_empty() {
            bail!("{}: there is no such rule file; for an id give the rules with --rules", self.rule);
        }
        let paths = if is_file { vec![file] } else { self.rules.clone() };
        let loaded = RuleSet::load(&paths, options);
        if is_file && let Some(refusal) = loaded.refused.first() {
            bail!("{}:{}: refused: {}", refusal.file, refusal.line, refusal.reason);
        }
        let rules = loaded.rules.rules();
        let plain: Vec<usize> =
            (0..rules.len()).filter(|at| rules.get(*at).is_some_and(|rule| !rule.correlation)).collect();
        let found = if is_file {
            match plain.as_slice() {
                [one] => Some(*one),
                [] if rules.is_empty() => bail!("{}: has no rule", self.rule),
                // Rules that one correlation counts, and it: it is what the file is about, and stands last.
                several
                    if rules.iter().filter(|rule| rule.correlation).count() == 1
                        && self.explains(&loaded.rules, several) =>
                {
                    Some(rules.len() - 1)
                }
                several => {
                    let ids: Vec<&str> =
                        several.iter().filter_map(|at| rules.get(*at)).map(|rule| rule.id.as_str()).collect();
                    bail!(
                        "{} holds {} rules: choose one with --rules {} and one of the ids {}",
                        self.rule,
                        several.len(),
                        self.rule,
                        ids.join(", ")
                    );
                }
            }
        } else {
            let called = |rule: &dongson_rules::Rule| rule.is_called(&self.rule) || rule.title == self.rule;
            rules.iter().position(called)
        };
        let Some(number) = found else {
            let folder = |path: &PathBuf| path.display().to_string();
            let folders: Vec<String> = self.rules.iter().map(folder).collect();
            bail!(
                "there is no rule with the id, name or title {:?} in {}{}",
                self.rule,
                folders.join(", "),
                refusals(loaded.refused.len())
            );
        };
        Ok((Arc::new(loaded.rules), number))
    }

    /// True when all of these rules only feed the file's correlation.
    fn explains(&self, rules: &RuleSet, several: &[usize]) -> bool {
        self.rules.is_empty() && several.iter().all(|&at| rules.rule(at).is_some_and(|rule| !rule.reported))
    }

    fn event(&self) -> Result<Event> {
        let whole = Path::new(&self.event);
        // A name may have a colon of its own: the whole text goes first.
        let (path, wanted) = match self.event.rsplit_once(':') {
            Some((path, number)) if !whole.exists() => {
                (Path::new(path), number.parse().ok().filter(|number: &u64| *number > 0))
            }
            _ => (whole, None),
        };
        if wanted.is_none() && self.event != "-" && !whole.exists() {
            bail!("{}: there is no such file; write FILE, FILE:N or -", self.event);
        }
        let named = || path.display().to_string();
        let records: Records = detect::open(path).with_context(named)?;
        for record in records {
            match (record, wanted) {
                (Ok(record), None) => return Ok(record.event),
                (Ok(record), Some(number)) if record.number == number => return Ok(record.event),
                (Err(bad), None) => bail!("{}: {bad}", named()),
                (Err(bad), Some(number)) if bad.number == number => bail!("{}: {bad}", named()),
                _ => {}
            }
        }
        match wanted {
            Some(number) => Err(io::Error::new(io::ErrorKind::NotFound, format!("has no record {number}")))
                .with_context(named),
            None => bail!("{}: has no event", named()),
        }
    }
}

fn refusals(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" ({count} were refused: see `dongson rules check`)") }
}

fn print(text: &str) -> Result<()> {
    for line in text.lines() {
        output::line(&output::harmless(line))?;
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "an error is no answer, which is on standard output")]
fn complain(text: &str) {
    eprintln!("error: {}", output::harmless(text));
}
