//! `dongson rules sql`: rules as questions to the store, for hunting and for tests against the past.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use dongson_event::Timestamp;
use dongson_rules::sql::{Source, Within};
use dongson_rules::{Mode, RuleSet, Taxonomies};

use super::{missing, options};
use crate::command::detect::moment;
use crate::output;

/// How stored events name their fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Taxonomy {
    /// Told by the event: what the analyzer does.
    Auto,
    /// As the rules write them, the log source in `product`, `service`, `category`.
    Sigma,
}

/// Which rules, over which events.
#[derive(Debug, Args)]
#[command(
    after_help = "example: dongson rules sql --from 2026-11-01 --organization so-yte my_rule.yml | clickhouse-client -n\n         (a cluster; on one machine:)\n  dongson rules sql my_rule.yml | curl --data-binary @- \\\n      -H \"X-ClickHouse-User: reader\" -H \"X-ClickHouse-Key: READER_KEY\" \"URL/?SQL_dongson_organizations=*\"\nOn one machine URL and READER_KEY are `url` and `reader_key` of the file store/connection.json in the data folder; the store takes one statement at a\ntime, so give one rule. SQL_dongson_organizations is * or a JSON list of agencies' ids.\n\nOne SELECT per rule over the table dongson.events, which finds the stored events that the engine matches. A rule that\nSQL cannot say exactly stands there as a comment with the reason; so do refused rules.\nexit codes: 0 all rules were said, 1 some were not, 2 wrong usage"
)]
pub(crate) struct Sql {
    /// Folders or files of Sigma rules.
    #[arg(required = true, value_name = "RULE")]
    paths: Vec<PathBuf>,
    /// Values of the placeholders of rules.
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,
    /// How stored events name their fields.
    #[arg(long, value_enum, default_value = "auto")]
    taxonomy: Taxonomy,
    /// Only events from this time on (RFC 3339, or a date).
    #[arg(long, value_parser = moment, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only events before this time (RFC 3339, or a date).
    #[arg(long, value_parser = moment, value_name = "TIME")]
    to: Option<Timestamp>,
    /// Only events of this agency; may be given several times.
    #[arg(long, value_name = "ID")]
    organization: Vec<String>,
}

impl Sql {
    pub(super) fn run(self) -> Result<ExitCode> {
        missing(&self.paths)?;
        let loaded = RuleSet::load(&self.paths, &options(self.values.as_deref())?);
        if loaded.compiled == 0 && loaded.refused.is_empty() {
            bail!("there is no rule");
        }
        let taxonomies = Taxonomies::embedded();
        let mode = match self.taxonomy {
            Taxonomy::Auto => Mode::Auto,
            Taxonomy::Sigma => Mode::Sigma,
        };
        let source = Source { rules: &loaded.rules, taxonomies: &taxonomies, mode };
        let within = Within { from: self.from, to: self.to, organizations: self.organization };
        let mut complete = loaded.refused.is_empty();
        for refusal in &loaded.refused {
            comment(&format!("{}:{}: refused: {}", refusal.file, refusal.line, refusal.reason))?;
        }
        for (number, rule) in loaded.rules.rules().iter().enumerate() {
            match source.select(number, &within) {
                Ok(text) => {
                    comment(&format!("{} ({})", rule.title, rule.id))?;
                    output::line(&format!("{text};"))?;
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
