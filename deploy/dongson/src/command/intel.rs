//! `dongson intel`: reads lists of indicators and says what is in them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use dongson_intel::{Builder, Kind, load};
use serde::Serialize;

use crate::output::{self, Format};

/// Which lists, and how the answer is printed.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Files or folders: CSV or plain lists, MISP JSON, STIX 2.1 bundles.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// What to do with lists.
#[derive(Debug, Subcommand)]
pub(crate) enum Intel {
    /// Says what was read, how much of each kind, and what was refused and why; exit code 1 if anything was refused.
    #[command(after_help = "example: dongson intel check --format json feeds/misp-export.json")]
    Check(Which),
}

/// The answer as JSON.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    report: dongson_intel::LoadReport,
    kinds: Vec<(Kind, usize)>,
}

impl Intel {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Check(which) => check(&which),
        }
    }
}

fn check(which: &Which) -> Result<ExitCode> {
    if let Some(path) = which.paths.iter().find(|path| !path.exists()) {
        anyhow::bail!("{}: there is no such file or folder", path.display());
    }
    let mut builder = Builder::default();
    let report = load::files(&which.paths, &mut builder);
    let set = builder.finish();
    let code = if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let kinds: Vec<(Kind, usize)> =
        Kind::ALL.iter().map(|kind| (*kind, set.count(*kind))).filter(|(_, count)| *count > 0).collect();
    match which.format {
        Format::Json => output::json(&Answer { report, kinds })?,
        Format::Table => {
            let refused: Vec<Vec<String>> = report
                .reasons
                .iter()
                .map(|one| vec![format!("{}:{}", one.file, one.place), one.reason.clone()])
                .collect();
            if !refused.is_empty() {
                output::table(&["refused", "reason"], &refused)?;
            }
            let passed: Vec<Vec<String>> = report
                .passed
                .iter()
                .map(|one| vec![format!("{}:{}", one.file, one.place), one.reason.clone()])
                .collect();
            if !passed.is_empty() {
                output::table(&["passed over", "reason"], &passed)?;
                if report.passed_over > passed.len() {
                    output::line(&format!("... and {} more", report.passed_over - passed.len()))?;
                }
            }
            let rows: Vec<Vec<String>> = kinds
                .iter()
                .map(|(kind, count)| vec![format!("{kind:?}").to_lowercase(), count.to_string()])
                .collect();
            if !rows.is_empty() {
                output::table(&["kind", "indicators"], &rows)?;
            }
            output::line(&format!(
                "{} files, {} indicators, {} repeated, {} passed over, {} refused",
                report.files, report.taken, report.repeated, report.passed_over, report.refused
            ))?;
        }
    }
    Ok(code)
}
