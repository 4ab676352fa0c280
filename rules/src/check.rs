//! `rules check`: what was read, what was compiled, what was refused and why.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::Refusal;
use crate::ruleset::{LoadOptions, RuleSet};

/// The report; as JSON one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Rule files that were read.
    pub files: usize,
    /// Rules that were compiled.
    pub compiled: usize,
    /// Filters that were added to rules.
    pub filters: usize,
    /// Documents and files that were refused.
    pub refused: Vec<Refusal>,
}

impl CheckReport {
    /// True when nothing was refused and something was read.
    pub fn is_clean(&self) -> bool {
        self.refused.is_empty() && self.files > 0
    }
}

/// Loads `paths` and forgets the rules.
pub fn run(paths: &[PathBuf], options: &LoadOptions) -> CheckReport {
    let report = RuleSet::load(paths, options);
    CheckReport {
        files: report.files,
        compiled: report.compiled,
        filters: report.filters,
        refused: report.refused,
    }
}
