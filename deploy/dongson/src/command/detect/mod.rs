//! `dongson detect`: rules over files of events, by the engine that watches live events.

mod attack;
mod csv;
mod html;
mod input;
mod report;
mod summary;
mod timeline;
mod usage;
mod words;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use dongson_event::{Level, Timestamp};
use dongson_rules::detect::{self, Plan, Wanted};
use dongson_rules::{Engine, LoadOptions, LoadReport, Mode, RuleSet, Taxonomies};

use crate::output::tell;

use input::Inputs;
use report::Report;
use usage::{Moment, Usage};

/// Scripts that are named one by one.
const MOST_SCRIPTS: usize = 20;

/// How events are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Taxonomy {
    /// ECS, Winlogbeat, EVTX JSON, Zeek, Suricata EVE, our own sensor: told by the event.
    Auto,
    /// Field names as the rules write them, the log source in `product`, `service`, `category`.
    Sigma,
}

/// How matches are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object per match and line.
    Jsonl,
    /// Aligned text for people.
    Table,
    /// RFC 4180, safe for spreadsheets.
    Csv,
    /// One page with a timeline, that needs no network.
    Html,
}

/// The language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Lang {
    /// Vietnamese.
    Vi,
    /// English.
    En,
}

/// How costs are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stats {
    /// Lines for people.
    Text,
    /// One JSON object.
    Json,
}

/// Detection over files.
#[derive(Debug, Args)]
#[command(
    after_help = "example: dongson detect --rules rules/content/sigma --format html --output found.html evidence/ capture.pcap Security.evtx\n         zcat events.json.gz | dongson detect --rules rules/content/sigma --format jsonl --level high -\n\nMatches go to standard output or --output; the summary, what could not be read and --stats to standard error.\nMatches, and their order, are the same whatever the number of threads. Correlations count in the order of event time over\nall files; what they find comes last. Scripts (*.rhai) are not run here: they run live and in `dongson rules test`.\nA record may have 16 MiB; a longer one is told and left out.\nexit codes: 0 everything was read (matches or not), 1 something could not be read, 2 wrong usage"
)]
pub(crate) struct Detect {
    /// Folder or file of Sigma rules; may be given several times.
    #[arg(long, required = true)]
    rules: Vec<PathBuf>,
    /// Values of the placeholders of rules (`%name%`), as in `dongson rules check --help`.
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,
    /// How the events name their fields.
    #[arg(long, value_enum, default_value = "auto")]
    taxonomy: Taxonomy,
    /// How matches are printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Where matches are written; standard output otherwise.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Language of the HTML page.
    #[arg(long, value_enum, default_value = "vi")]
    lang: Lang,
    /// Least level that is told: informational, low, medium, high, critical.
    #[arg(long, value_parser = level, default_value = "informational")]
    level: Level,
    /// Only events from this time on (RFC 3339, or a date); events without a time are left out.
    #[arg(long, value_parser = moment, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only events before this time (RFC 3339, or a date); events without a time are left out.
    #[arg(long, value_parser = moment, value_name = "TIME")]
    to: Option<Timestamp>,
    /// Threads that match; all cores by default, 1 for measuring.
    #[arg(long, value_parser = threads, value_name = "N")]
    threads: Option<NonZero<u16>>,
    /// Prints what the run cost: `--stats` for people, `--stats=json` for programs.
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    stats: Option<Stats>,
    /// No summary and no list of refused rules, scripts and skipped files.
    #[arg(long, short)]
    quiet: bool,
    /// Files or folders: JSON lines, JSON arrays, EVTX, pcap or pcapng; plain, gzip or Zstandard; `-` is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

fn level(word: &str) -> Result<Level, String> {
    let words = Level::ALL.map(Level::as_str).join(", ");
    Level::parse(&word.to_lowercase()).ok_or_else(|| format!("one of {words}"))
}

fn threads(text: &str) -> Result<NonZero<u16>, String> {
    text.parse().map_err(|_| "a number from 1 to 65535; leave it out to use all cores".to_owned())
}

/// RFC 3339, or a day, which begins at midnight UTC.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    Timestamp::parse(&whole)
        .map_err(|error| format!("{error}; write 2026-11-23T08:00:00+07:00 or 2026-11-23"))
}

impl Detect {
    pub(super) fn run(self) -> Result<ExitCode> {
        let start = Moment::now();
        let loaded = self.load()?;
        let mode = match self.taxonomy {
            Taxonomy::Auto => Mode::Auto,
            Taxonomy::Sigma => Mode::Sigma,
        };
        let rules = Arc::new(loaded.rules);
        let engine = Arc::new(Engine::new(Arc::clone(&rules), Arc::new(Taxonomies::embedded()), mode, None));
        engine.prepare();
        let ready = Moment::now();
        let inputs = Inputs::find(&self.files);
        if !self.quiet {
            inputs.skipped.iter().for_each(|skipped| tell(skipped));
        }
        inputs.unreadable.iter().for_each(|unreadable| tell(unreadable));
        let (skipped, unreadable, files) =
            (inputs.skipped.len(), inputs.unreadable.len() as u64, inputs.len());
        let threads = self.threads.map_or_else(
            || thread::available_parallelism().map_or(1, NonZero::get),
            |threads| usize::from(threads.get()),
        );
        let wanted = Wanted { level: self.level, from: self.from, to: self.to };
        let plan = Plan { threads, wanted, costs: self.stats.is_some() };
        let mut report = Report::new(self.format, self.lang, &rules, self.out()?);
        let outcome = report
            .begin()
            .and_then(|()| detect::run(&engine, plan, inputs.jobs(), &mut report))
            .and_then(|totals| report.end(&totals, files).map(|()| totals));
        let totals = match outcome {
            Ok(totals) => totals,
            // Whoever reads has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
            Err(error) => return Err(error).context("matches cannot be written"),
        };
        if !self.quiet {
            report.summary.lines(&rules, totals.records, files).iter().for_each(|line| tell(line));
            if totals.unruled > 0 {
                let (unruled, records) = (totals.unruled, totals.records);
                tell(&format!("{unruled} of {records} events have no log source that a rule asks for"));
            }
            if skipped > 0 {
                tell(&format!("{skipped} files of folders were skipped"));
            }
        }
        if totals.late > 0 {
            let late = totals.late;
            tell(&format!(
                "correlations may have missed something: {late} matches came after their turn, because too many waited; \
                 give the files in the order of time, or narrow them by --from and --to"
            ));
        }
        if let Some(form) = self.stats {
            let usage = Usage::new(&rules, &totals, threads, start, ready);
            match form {
                Stats::Text => usage.lines().iter().for_each(|line| tell(line)),
                Stats::Json => tell(&serde_json::to_string(&usage)?),
            }
        }
        Ok(if report.troubles() + unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn load(&self) -> Result<LoadReport> {
        if let Some(missing) = self.rules.iter().find(|path| !path.exists()) {
            bail!("{}: there is no such file or folder of rules", missing.display());
        }
        let options = match &self.values {
            Some(path) => LoadOptions::with_values(path)?,
            None => LoadOptions::default(),
        };
        let loaded = RuleSet::load(&self.rules, &options);
        if !self.quiet {
            for refusal in &loaded.refused {
                tell(&format!("{}:{}: refused: {}", refusal.file, refusal.line, refusal.reason));
            }
            let scripts = &loaded.scripts_left_out;
            for script in scripts.iter().take(MOST_SCRIPTS) {
                tell(&format!("{script}: left out: scripts are not run here"));
            }
            if scripts.len() > MOST_SCRIPTS {
                tell(&format!("{} more scripts were left out", scripts.len() - MOST_SCRIPTS));
            }
        }
        if loaded.compiled == 0 {
            bail!("no rule could be used");
        }
        Ok(loaded)
    }

    fn out(&self) -> Result<Box<dyn Write>> {
        Ok(match &self.output {
            None => Box::new(BufWriter::new(io::stdout().lock())),
            Some(path) => {
                Box::new(BufWriter::new(File::create(path).with_context(|| path.display().to_string())?))
            }
        })
    }
}
