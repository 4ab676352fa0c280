//! `dongson replay`: history once more through the rules, and what would be found otherwise.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use dongson_analyzer::{AnalyzerError, Inventory, Judge, Replay};
use dongson_event::{Alert, Timestamp};
use dongson_registry::{Registry, Scope};
use dongson_store::{Period, StoreClient, StoreError};
use serde::Serialize;

use super::detect::moment;
use crate::config::{Config, Paths};
use crate::content;
use crate::output::{self, Format};
use crate::store::Reached;

/// Replay of stored events.
#[derive(Debug, Args)]
#[command(
    after_help = "examples:\n  dongson replay --data /var/lib/dongson --from 2026-11-01 --to 2026-11-08 --content my-rules/\n  dongson replay --data /var/lib/dongson --from 2026-11-23T08:00:00+07:00 --to 2026-11-23T09:00:00+07:00 --format json\n\nThe stored events go, in the order of their intake, through the same stages as live ones: assets, indicators, rules,\ncorrelations, scripts, exceptions, grouping. Nothing is written. What is told: alerts that would be new, and alerts that are\nthere and would not be found. With the rules that found them both are empty, as long as assets, indicators, exceptions and\nlateness are those of then, and nothing that correlations remember is older than the warm-up.\nexit codes: 0 nothing differs, 1 something does, or it failed, 2 wrong usage"
)]
pub(crate) struct ReplayCommand {
    /// The data folder of `dongson up`, which may be running or not.
    #[arg(long, env = "DONGSON_DATA")]
    data: PathBuf,
    /// The configuration file: where the store is, which rules, how long correlations wait.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Events taken in from this time on (RFC 3339, or a date).
    #[arg(long, value_parser = moment, value_name = "TIME")]
    from: Timestamp,
    /// Events taken in before this time.
    #[arg(long, value_parser = moment, value_name = "TIME")]
    to: Timestamp,
    /// Folder of rules and scripts in place of the configured and the shipped ones; may be given several times.
    #[arg(long, value_name = "FOLDER")]
    content: Vec<PathBuf>,
    /// With `--content`: the shipped rules besides.
    #[arg(long, requires = "content")]
    shipped: bool,
    /// Hours before `--from` that correlations, scripts and windows of alerts see, to remember what they would.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(0..=8_760))]
    warm_up: u64,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// What differs.
#[derive(Debug, Serialize)]
struct Difference {
    /// Events of the time asked for and of the warm-up.
    events: u64,
    /// Alerts that are there.
    stored: usize,
    /// Alerts that the replay found in that time.
    replayed: usize,
    /// Would be found, and are not there.
    new: Vec<Told>,
    /// Are there, and would not be found.
    vanished: Vec<Told>,
}

/// An alert in the answer.
#[derive(Debug, Serialize)]
struct Told {
    id: String,
    organization: String,
    rule_id: String,
    title: String,
    level: String,
    entity: String,
    timestamp: Timestamp,
}

impl Told {
    fn of(alert: &Alert) -> Self {
        let signal = &alert.signal;
        Self {
            id: alert.id.clone(),
            organization: signal.organization.clone(),
            rule_id: signal.rule_id.clone(),
            title: signal.title.clone(),
            level: signal.level.as_str().to_owned(),
            entity: format!("{}={}", signal.entity.kind, signal.entity.value),
            timestamp: signal.timestamp,
        }
    }

    fn row(&self, how: &str) -> Vec<String> {
        vec![
            how.to_owned(),
            self.timestamp.to_string(),
            self.level.clone(),
            self.organization.clone(),
            self.rule_id.clone(),
            self.entity.clone(),
            self.title.clone(),
        ]
    }
}

/// Why an event stops the replay.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error("reading the stored events: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Analyzer(#[from] AnalyzerError),
}

impl ReplayCommand {
    pub(super) fn run(self) -> Result<ExitCode> {
        if self.from >= self.to {
            bail!("--from {} is not before --to {}", self.from, self.to);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let difference = runtime.block_on(self.difference())?;
        self.print(&difference)?;
        let same = difference.new.is_empty() && difference.vanished.is_empty();
        Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn difference(&self) -> Result<Difference> {
        let config = Config::load(self.config.as_deref())?;
        let paths = Paths::new(&self.data);
        if !self.data.is_dir() {
            bail!("{}: there is no such data folder", self.data.display());
        }
        let judge = self.judge(&config, &paths).await?;
        let store = Reached::find(&config, &paths).await?;
        let outcome = self.compare(store.client(), judge).await;
        store.close().await?;
        outcome
    }

    async fn judge(&self, config: &Config, paths: &Paths) -> Result<Judge> {
        let analyzer = &config.analyzer;
        let (folders, without_shipped) = if self.content.is_empty() {
            (&analyzer.rules, analyzer.without_shipped_rules)
        } else {
            (&self.content, !self.shipped)
        };
        let loaded = content::load(folders, without_shipped, &paths.learnt())?;
        if loaded.counts.rules + loaded.counts.scripts == 0 {
            bail!("no rule could be used");
        }
        let registry = Registry::open(&paths.registry()).await.context("opening the registry")?;
        let (assets, exceptions) =
            (registry.assets(&Scope::All).await?, registry.exceptions(&Scope::All).await?);
        registry.close().await;
        Ok(Judge {
            content: loaded.content,
            inventory: Arc::new(Inventory::new(assets)),
            exceptions,
            config: dongson_analyzer::Config {
                indicators: analyzer.indicators.clone(),
                indicators_allowed: analyzer.indicators_allowed.clone(),
                lateness: analyzer.lateness(),
                ..dongson_analyzer::Config::default()
            },
        })
    }

    async fn compare(&self, store: &StoreClient, judge: Judge) -> Result<Difference> {
        let lateness = judge.config.lateness;
        let wanted = Period { from: self.from, to: self.to };
        // Events that belong before the end may have come after it.
        let late = lateness.idle + lateness.between_sources + lateness.within_source;
        let read =
            Period { from: self.from.minus(Duration::from_hours(self.warm_up)), to: self.to.plus(late) };
        let mut replay = Replay::new(judge).await?;
        let events = store.events_by_intake(read, |event| Ok::<(), Stopped>(replay.event(event)?)).await?;
        let found = replay.end()?;
        let stored = store.alerts_by_intake(wanted).await?;
        let within = |alert: &&Alert| alert.signal.ingested >= self.from && alert.signal.ingested < self.to;
        let replayed: Vec<&Alert> = found.values().filter(within).collect();
        let ids: Vec<String> = replayed.iter().map(|alert| alert.id.clone()).collect();
        let known = store.known_alerts(&ids).await?;
        Ok(Difference {
            events,
            stored: stored.len(),
            replayed: replayed.len(),
            new: replayed
                .iter()
                .filter(|alert| !known.contains(&alert.id))
                .map(|alert| Told::of(alert))
                .collect(),
            vanished: stored.iter().filter(|alert| !found.contains_key(&alert.id)).map(Told::of).collect(),
        })
    }

    fn print(&self, difference: &Difference) -> Result<()> {
        if self.format == Format::Json {
            return output::json(difference);
        }
        let rows: Vec<Vec<String>> = difference
            .new
            .iter()
            .map(|one| one.row("new"))
            .chain(difference.vanished.iter().map(|one| one.row("vanished")))
            .collect();
        if !rows.is_empty() {
            output::table(&["alert", "time", "level", "agency", "rule", "about", "title"], &rows)?;
        }
        let Difference { events, stored, replayed, new, vanished } = difference;
        output::tell(&format!(
            "{events} events; {stored} alerts are there, {replayed} were found again or anew: {} new, {} vanished",
            new.len(),
            vanished.len()
        ));
        Ok(())
    }
}
