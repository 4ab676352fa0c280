//! `dongson rules`: checks and tests rules.

use std::path::PathBuf;
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
    /// How the answer is printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Checks and tests.
#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// Says what was read, compiled, refused and why; exit code 1 if anything was refused.
    #[command(after_help = "example: dongson rules check --format json rules/content/sigma")]
    Check(Which),
    /// Runs each rule over the samples beside it (`RULE.test.yml`); exit code 1 if one fails or is missing.
    #[command(after_help = "example: dongson rules test rules/content/sigma")]
    Test(Which),
}

impl Rules {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Check(which) => check(&which),
            Self::Test(which) => test(&which),
        }
    }
}

fn missing(paths: &[PathBuf]) -> Result<()> {
    paths
        .iter()
        .find(|path| !path.exists())
        .map_or(Ok(()), |path| anyhow::bail!("{}: there is no such file or folder", path.display()))
}

fn check(which: &Which) -> Result<ExitCode> {
    missing(&which.paths)?;
    let report = samples::check(&which.paths, &LoadOptions::default());
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
            output::line(&format!(
                "{} files, {} rules compiled, {} refused",
                report.files,
                report.compiled,
                report.refused.len()
            ))?;
            if report.files == 0 {
                let paths: Vec<String> = which.paths.iter().map(|path| path.display().to_string()).collect();
                output::line(&format!("there is no rule (*.yml, *.yaml) in {}", paths.join(", ")))?;
            }
        }
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn test(which: &Which) -> Result<ExitCode> {
    missing(&which.paths)?;
    let report = samples::test(&which.paths, &LoadOptions::default());
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
