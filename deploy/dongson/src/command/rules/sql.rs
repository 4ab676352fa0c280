//! `dongson rules sql`: rules as questions to the store, for hunting and for tests against the past.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use dongson_rules::{RuleSet, Taxonomies, sql};

use super::{missing, options};
use crate::output;

/// Which rules.
#[derive(Debug, Args)]
#[command(
    after_help = "example: dongson rules sql rules/content/sigma/my_rule.yml | clickhouse-client\n\nOne SELECT per rule over the table dongson.events, which finds the stored events that the engine matches. A rule that\nSQL cannot say exactly stands there as a comment with the reason.\nexit codes: 0 all rules were said, 1 some were not, 2 wrong usage"
)]
pub(crate) struct Sql {
    /// Folders or files of Sigma rules.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Values of the placeholders of rules.
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,
}

impl Sql {
    pub(super) fn run(&self) -> Result<ExitCode> {
        missing(&self.paths)?;
        let loaded = RuleSet::load(&self.paths, &options(self.values.as_deref())?);
        if loaded.compiled == 0 && loaded.refused.is_empty() {
            bail!("there is no rule");
        }
        let taxonomies = Taxonomies::embedded();
        let mut complete = loaded.refused.is_empty();
        for refusal in &loaded.refused {
            comment(&format!("{}:{}: refused: {}", refusal.file, refusal.line, refusal.reason))?;
        }
        for (number, rule) in loaded.rules.rules().iter().enumerate() {
            match sql::select(&loaded.rules, &taxonomies, number) {
                Ok(text) => {
                    comment(&format!("{} ({})", rule.title, rule.id))?;
                    text.lines().try_for_each(output::line)?;
                    output::line(";")?;
                }
                Err(error) => {
                    complete = false;
                    comment(&format!("{} ({}): not said in SQL: {error}", rule.title, rule.id))?;
                }
            }
        }
        Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn comment(text: &str) -> Result<()> {
    Ok(output::line(&format!("-- {}", output::harmless(text)))?)
}
