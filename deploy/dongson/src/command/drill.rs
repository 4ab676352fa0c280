//! `dongson drill`: the bundled attack.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use dongson_event::Timestamp;
use dongson_registry::now;
use serde_json::json;

use crate::drill::{EXPECTED, LENGTH, Outcome, make, run, write};
use crate::output::{self, Format};

/// The bundled attack.
#[derive(Debug, Subcommand)]
pub(crate) enum Drill {
    /// Makes the attack, sends it through real sensors and the collector of the running system, and checks its alerts.
    #[command(
        after_help = "example: dongson drill run --data /var/lib/dongson\nexit code 1 when an expected alert is missing"
    )]
    Run {
        /// The data folder of the running `dongson up`.
        #[arg(long, env = "DONGSON_DATA")]
        data: PathBuf,
        /// Its configuration, if that names a registry elsewhere (`registry.url`).
        #[arg(long, env = "DONGSON_CONFIG")]
        config: Option<PathBuf>,
        /// The same seed makes the same attack.
        #[arg(long, default_value_t = 38)]
        seed: u64,
        /// How the outcome is printed.
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Writes the captures and logs of the attack into a folder and sends nothing.
    Write {
        /// The folder.
        folder: PathBuf,
        /// The same seed makes the same attack.
        #[arg(long, default_value_t = 38)]
        seed: u64,
    },
}

impl Drill {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Run { data, config, seed, format } => {
                let outcome = run(&data, config.as_deref(), seed)?;
                match format {
                    Format::Table => print_table(&outcome)?,
                    Format::Json => print_json(&outcome)?,
                }
                Ok(if outcome.missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Self::Write { folder, seed } => {
                let files = write(make(Timestamp::from_millis(now()).minus(LENGTH), seed)?, &folder)?;
                for path in [files.portal, files.commune, files.nginx, files.linux, files.windows] {
                    output::line(&path.display().to_string())?;
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn print_table(outcome: &Outcome) -> Result<()> {
    let mut rows: Vec<Vec<String>> = outcome
        .alerts
        .iter()
        .map(|alert| {
            vec![
                alert.level.as_str().to_owned(),
                alert.organization.clone(),
                alert.title_vi.clone(),
                format!("{} = {}", alert.entity_type, alert.entity_value),
                alert.count.to_string(),
                alert.rule_id.clone(),
            ]
        })
        .collect();
    rows.sort();
    output::table(&["level", "agency", "alert", "entity", "count", "rule"], &rows)?;
    for one in &outcome.missing {
        output::line(&format!("missing: {} ({}, rule {})", one.stage, one.organization, one.rule))?;
    }
    output::line(&format!(
        "drill {}: {} sensor events, {} log records, {} alerts, {} of {} expected",
        outcome.session,
        outcome.sensor_events,
        outcome.log_records,
        outcome.alerts.len(),
        EXPECTED.len() - outcome.missing.len(),
        EXPECTED.len()
    ))?;
    Ok(())
}

fn print_json(outcome: &Outcome) -> Result<()> {
    let alerts: Vec<_> = outcome
        .alerts
        .iter()
        .map(|alert| {
            json!({
                "rule_id": alert.rule_id,
                "title_vi": alert.title_vi,
                "level": alert.level.as_str(),
                "organization": alert.organization,
                "entity_type": alert.entity_type,
                "entity_value": alert.entity_value,
                "count": alert.count,
            })
        })
        .collect();
    let missing: Vec<_> = outcome
        .missing
        .iter()
        .map(|one| json!({"stage": one.stage, "rule_id": one.rule, "organization": one.organization}))
        .collect();
    output::json(&json!({
        "session": outcome.session,
        "sensor_events": outcome.sensor_events,
        "log_records": outcome.log_records,
        "expected": EXPECTED.len(),
        "missing": missing,
        "alerts": alerts,
    }))
}
