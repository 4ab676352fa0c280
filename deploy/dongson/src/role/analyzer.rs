//! The analyzer's part: events in, alerts out.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use dongson_analyzer::Content;
use dongson_analyzer::notify::Notifier;
use dongson_bus::Bus;
use dongson_store::StoreClient;
use tracing::info;

use super::Ground;
use crate::content::{self, Counts, Loaded};

/// The rules and scripts: the analyzer runs them, the console shows them.
pub(super) fn content(ground: &Ground) -> Result<Loaded> {
    let config = &ground.config.analyzer;
    let loaded = content::load(&config.rules, config.without_shipped_rules, &ground.paths.learnt())?;
    let Counts { rules, rules_refused, scripts, scripts_refused } = loaded.counts;
    info!(rules, rules_refused, scripts, scripts_refused, "rules and scripts loaded");
    Ok(loaded)
}

/// Runs until the process stops; `page` is the console's address, for links.
pub(super) fn run(
    ground: &Ground,
    bus: Arc<dyn Bus>,
    store: StoreClient,
    content: Content,
    page: String,
) -> Result<impl Future<Output = Result<()>> + Send + use<>> {
    let config = &ground.config.analyzer;
    let notifier = Notifier::new(&config.notify_ca_files).context("analyzer.notify_ca_files")?;
    let settings = dongson_analyzer::Config {
        console: page,
        indicators: config.indicators.clone(),
        indicators_allowed: config.indicators_allowed.clone(),
        lateness: config.lateness(),
        ..dongson_analyzer::Config::default()
    };
    let parts = dongson_analyzer::Parts { bus, store, registry: ground.registry.clone(), content, notifier };
    let stop = ground.stop.clone();
    Ok(async move { Ok(dongson_analyzer::run(settings, parts, stop).await?) })
}
