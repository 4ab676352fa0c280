//! `dongson rules`: checks, tests and explains rules.

mod explain;
mod sql;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use dongson_rules::LoadOptions;
use dongson_rules::samples::TestReport;
use dongson_script::samples;

use crate::output::{self, Format};

/// Which rules, and how the answer is printed.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Folders or files of Sigma rules and scripts (`*.rhai`).
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Values of the placeholders of rules (`%name%`, modifier `expand`); without them such rules are refused.
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// A values file, as the help shows it.
const VALUES_HELP: &str = "\n\na values file (YAML):\n  placeholders:\n    Servers: [srv*, dc1]        # %Servers% in a rule; wildcards stay wildcards\n    Admins_Workstations: [admin-pc-1]\n  agencies:\n    so-yte:                     # organization.id: these take the place of the common ones\n      Servers: [yte-*]";

/// Checks and tests.
#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// Says what was read, compiled, refused and why, and what compiled rules use beyond the specification; exit code 1
    /// if anything was refused.
    #[command(after_help = format!("example: dongson rules check --format json --values values.yml rules/content/sigma{VALUES_HELP}\n\nexit codes: 0 nothing was refused, 1 something was or there is no rule, 2 wrong usage"))]
    Check(Which),
    /// Runs each rule over the samples beside it (`RULE.test.yml`); exit code 1 if one fails or is missing.
    #[command(after_help = "example: dongson rules test rules/content/sigma")]
    Test(Which),
    /// Holds one rule against one event: which part held, which did not, and what each saw.
    Explain(explain::Explain),
    /// Prints rules as SQL over the stored events.
    Sql(sql::Sql),
}

impl Rules {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Check(which) => check(&which),
            Self::Test(which) => test(&which),
            Self::Explain(explain) => Ok(explain.run()),
            Self::Sql(sql) => sql.run(),
        }
    }
}

impl Which {
    fn options(&self) -> Result<LoadOptions> {
        options(self.values.as_deref())
    }
}

/// With the placeholders of a values file, where there is one.
fn options(values: Option<&Path>) -> Result<LoadOptions> {
    Ok(values.map_or_else(|| Ok(LoadOptions::default()), LoadOptions::with_values)?)
}

fn missing(paths: &[PathBuf]) -> Result<()> {
    paths
        .iter()
        .find(|path| !path.exists())
        .map_or(Ok(()), |path| anyhow::bail!("{}: there is no such file or folder", path.display()))
}

fn check(which: &Which) -> Result<ExitCode> {
    missing(&which.paths)?;
    let report = samples::check(&which.paths, &which.options()?);
    match which.format {
        Format::Json => output::json(&report)?,
        Format::Table => {
            let rows: Vec<Vec<String>> = report
                .refused
                .iter()
                .map(|one| vec![format!("{}:{}", one.file, one.line), one.reason.clone()])
                .collect();
            if !rows.is_empty() {
                output::table(&["refused", "reason"], &rows)?;
            }
            let notices: Vec<Vec<String>> = report
                .notices
                .iter()
                .map(|one| {
                    let place = format!("{}:{}", one.file, one.line);
                    vec![place, format!("{}: {}", one.kind.as_str(), one.text)]
                })
                .collect();
            if !notices.is_empty() {
                output::table(&["compiled", "notice"], &notices)?;
            }
            output::line(&format!(
                "{} files, {} rules compiled, {} refused",
                report.files,
                report.compiled,
                report.refused.len()
            ))?;
        }
    }
    if report.files == 0 {
        let paths: Vec<String> = which.paths.iter().map(|path| path.display().to_string()).collect();
        output::tell(&format!("there is no rule (*.yml, *.yaml) in {}", paths.join(", ")));
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn test(which: &Which) -> Result<ExitCode> {
    missing(&which.paths)?;
    let report = samples::test(&which.paths, &which.options()?);
    match which.format {
        Format::Json => output::json(&report)?,
        Format::Table => print_test(&report)?,
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_test(report: &TestReport) -> Result<()> {
    let failed =
        report.failed.iter().map(|one| vec![one.file.clone(), one.sample.clone(), one.reason.clone()]);
    let refused = report
        .refused
        .iter()
        .map(|one| vec![format!("{}:{}", one.file, one.line), "refused".to_owned(), one.reason.clone()]);
    let untested =
        report.untested.iter().map(|file| vec![file.clone(), "no samples".to_owned(), String::new()]);
    let rows: Vec<Vec<String>> = failed.chain(refused).chain(untested).collect();
    if !rows.is_empty() {
        output::table(&["file", "sample", "reason"], &rows)?;
    }
    Ok(output::line(&format!(
        "{} rule files, {} samples, {} failed, {} refused, {} without samples",
        report.files,
        report.samples,
        report.failed.len(),
        report.refused.len(),
        report.untested.len()
    ))?)
}
