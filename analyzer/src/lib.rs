//! Events in, alerts out: enrich, match, correlate, group, store, notify.
//!
//! [`run`] drives two stages over the bus (see `stage`): events become rows in the store and signals on the bus;
//! signals become alerts in the registry and the store. What always holds: an event that is on the bus reaches the
//! store exactly once and counts exactly once, whichever process is killed when; an entity belongs to its agency;
//! the content alone decides what is found ([`detect`] is pure); correlations and scripts see events in the order of
//! event time, as far as these come within the stated lateness.

pub mod detect;
mod indicators;
pub mod inventory;
mod item;
mod local;
pub mod notify;
mod order;
mod partition;
mod script;
mod stage;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dongson_bus::Bus;
use dongson_registry::{Registry, Scope};
use dongson_store::{RetentionPolicy, StoreClient};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

pub use detect::{Content, Detector};
pub use dongson_rules::Lateness;
pub use inventory::Inventory;
use stage::events::EventsStage;
use stage::signals::SignalsStage;

/// The consumer groups that read the bus: the bus keeps what they have not committed.
pub const GROUPS: &[&str] = &[stage::events::GROUP, stage::signals::GROUP];
/// Pause before a stage that failed begins again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often the inventory is read again.
const INVENTORY_EVERY: Duration = Duration::from_secs(30);

/// Why a stage stopped; it begins again at the run that was in flight.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzerError {
    /// The bus.
    #[error("bus: {0}")]
    Bus(#[from] dongson_bus::BusError),
    /// The store.
    #[error("store: {0}")]
    Store(#[from] dongson_store::StoreError),
    /// The registry.
    #[error("registry: {0}")]
    Registry(#[from] dongson_registry::Error),
    /// A record of our own topics, or a saved state, does not read or write as JSON.
    #[error("a record of the signals topic or a saved state: {0}")]
    Encode(serde_json::Error),
    /// Matching panicked: a bug; nothing of the batch was committed.
    #[error("matching panicked: {0}")]
    Panicked(tokio::task::JoinError),
}

/// How the analyzer works.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long each dataset is kept.
    pub retention: RetentionPolicy,
    /// A poll that gives fewer records than this waits before the next one.
    pub gather_below: usize,
    /// How long it waits: the batches of quiet hours get larger, their alerts that much later.
    pub gather: Duration,
    /// How long stored events wait at most until the transparency log has them.
    pub seal_every: Duration,
    /// How long correlations and scripts wait for events that belong before those that came.
    pub lateness: Lateness,
    /// Files and folders of indicators (CSV, MISP JSON, STIX 2.1); read again when they change.
    pub indicators: Vec<PathBuf>,
    /// Files of what is never an indicator, one value a line.
    pub indicators_allowed: Vec<PathBuf>,
    /// The console's address, for links in notifications, without a closing slash.
    pub console: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retention: RetentionPolicy::default(),
            gather_below: 20_000,
            gather: Duration::from_millis(400),
            seal_every: Duration::from_secs(30),
            lateness: Lateness::default(),
            indicators: Vec::new(),
            indicators_allowed: Vec::new(),
            console: "https://localhost:8443".to_owned(),
        }
    }
}

/// What the analyzer works with.
#[derive(Clone)]
pub struct Parts {
    /// The ordered log; its topics exist.
    pub bus: Arc<dyn Bus>,
    /// `ClickHouse`.
    pub store: StoreClient,
    /// Triage, exceptions, inventory, channels.
    pub registry: Registry,
    /// Rules and taxonomies.
    pub content: Content,
    /// Sends what the outbox of notifications holds.
    pub notifier: notify::Notifier,
}

/// Runs both stages and the notifications until `stop`. A stage that fails begins again where it was.
pub async fn run(config: Config, parts: Parts, stop: CancellationToken) -> Result<(), AnalyzerError> {
    let (publish, inventory) = watch::channel(Arc::new(read_inventory(&parts.registry).await?));
    let lists = indicators::Lists::of(&config);
    let (publish_intel, intel) = watch::channel(Arc::new(lists.read_apart().await?));
    let mut tasks = JoinSet::new();
    let events = EventsStage {
        bus: Arc::clone(&parts.bus),
        store: parts.store.clone(),
        registry: parts.registry.clone(),
        content: parts.content.clone(),
        inventory,
        intel,
        detectors: Arc::new(Mutex::new(Vec::new())),
        spare: Arc::default(),
        config: config.clone(),
    };
    let signals = Arc::new(SignalsStage {
        bus: Arc::clone(&parts.bus),
        store: parts.store.clone(),
        registry: parts.registry.clone(),
        content: parts.content.clone(),
    });
    let token = stop.clone();
    tasks.spawn(again("events", stop.clone(), move || {
        let (stage, token) = (events.clone(), token.clone());
        async move { stage.run(token).await }
    }));
    let token = stop.clone();
    tasks.spawn(again("signals", stop.clone(), move || {
        let (stage, token) = (Arc::clone(&signals), token.clone());
        async move { stage.run(token).await }
    }));
    tasks.spawn(refresh_inventory(parts.registry.clone(), publish, stop.clone()));
    tasks.spawn(indicators::refresh(lists, publish_intel, stop.clone()));
    tasks.spawn(parts.notifier.run(parts.registry, config.console, stop));
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(AnalyzerError::Panicked)?;
    }
    Ok(())
}

/// Runs a stage; one that fails begins again after a pause, until `stop`.
async fn again<F, R>(name: &'static str, stop: CancellationToken, stage: F)
where
    F: Fn() -> R,
    R: Future<Output = Result<(), AnalyzerError>>,
{
    loop {
        match stage().await {
            Ok(()) => return,
            Err(error) => {
                metrics::counter!("analyzer_stage_failures_total", "stage" => name).increment(1);
                error!(stage = name, %error, "a stage failed; it begins again where it was");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

async fn read_inventory(registry: &Registry) -> Result<Inventory, AnalyzerError> {
    let assets = registry.assets(&Scope::All).await?;
    info!(assets = assets.len(), "inventory read");
    Ok(Inventory::new(assets))
}

async fn refresh_inventory(
    registry: Registry,
    publish: watch::Sender<Arc<Inventory>>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(INVENTORY_EVERY) => {}
        }
        match registry.assets(&Scope::All).await {
            Ok(assets) => drop(publish.send_replace(Arc::new(Inventory::new(assets)))),
            Err(error) => error!(%error, "the inventory could not be read; the last one stays"),
        }
    }
}
