//! The roles of the centre: collector, analyzer, console. `dongson up` runs all of them in one process, with the log in
//! the same process and the store's engine in a child; `dongson collector`, `analyzer` and `console` run one each and
//! meet in Kafka, in a store and in a registry that others run.
//!
//! Each role has a file; [`bus`], [`store`] and [`machine`] (`/metrics`, `/healthz`) are what they need.

mod analyzer;
mod bus;
mod collector;
mod console;
mod machine;
mod running;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use dongson_bus::Bus;
use dongson_registry::{Registry, now};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::bus::OpenBus;
use crate::config::{Config, Paths};
use crate::{output, process};
pub(crate) use running::Running;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything: one machine.
    All,
    /// Takes logs and batches of sensors.
    Collector,
    /// Makes alerts of events.
    Analyzer,
    /// The page and its API.
    Console,
}

impl Role {
    /// As the command is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "up",
            Self::Collector => "collector",
            Self::Analyzer => "analyzer",
            Self::Console => "console",
        }
    }

    fn is(self, one: Self) -> bool {
        self == one || self == Self::All
    }

    /// Whether it reads or writes the log.
    fn needs_bus(self) -> bool {
        self != Self::Console
    }

    /// Whether it reads or writes the store.
    fn needs_store(self) -> bool {
        self != Self::Collector
    }
}

/// What every role is given.
struct Ground {
    role: Role,
    config: Config,
    paths: Paths,
    metrics: PrometheusHandle,
    registry: Registry,
    stop: CancellationToken,
}

/// Where the parts of this process answer.
#[derive(Debug, Default)]
struct Addresses {
    collector: Option<dongson_collector::Addresses>,
    console: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
}

/// Runs `role` until a signal.
pub(crate) fn run(role: Role, config: Config, paths: Paths) -> Result<()> {
    paths.make()?;
    let metrics = PrometheusBuilder::new().install_recorder().context("starting the metrics")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(role, config, paths, metrics))
}

async fn serve(role: Role, config: Config, paths: Paths, metrics: PrometheusHandle) -> Result<()> {
    let stop = process::stop_on_signal()?;
    let registry = Registry::open(config.registry.place(&paths)).await.context("opening the registry")?;
    let ground = Ground { role, config, paths, metrics, registry, stop };
    let log = if role.needs_bus() { Some(bus::open(&ground).await?) } else { None };
    if log.as_ref().is_some_and(OpenBus::is_embedded) {
        // Nobody else can be at work: the log is locked.
        ground.registry.end_leases().await?;
    }
    // `up` holds the lock of its log now, so whatever the file says is of a process that is gone.
    ground.paths.forget_running(role);
    let outcome = work(&ground, log.as_ref().map(OpenBus::bus)).await;
    // Whoever ended first was told to, or takes the others along.
    ground.stop.cancel();
    ground.paths.forget_running(role);
    if let Some(log) = log {
        log.close().await?;
    }
    ground.registry.close().await;
    info!("stopped");
    outcome
}

/// Starts what the role asks for, and waits until all of it has ended.
async fn work(ground: &Ground, bus: Option<Arc<dyn Bus>>) -> Result<()> {
    let role = ground.role;
    let store = if role.needs_store() { Some(store::open(ground).await?) } else { None };
    let client = store.as_ref().map(store::Store::client);
    let rules = if role.needs_store() { Some(analyzer::content(ground)?) } else { None };
    let mut addresses = Addresses::default();
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    if role.is(Role::Collector)
        && let Some(bus) = &bus
    {
        let collector = collector::start(ground, Arc::clone(bus)).await?;
        addresses.collector = Some(collector.addresses);
        tasks.spawn(async move {
            collector.wait().await;
            Ok(())
        });
    }
    let page = console::Page::default();
    if role.is(Role::Console)
        && let (Some(client), Some(rules)) = (&client, &rules)
    {
        let port = addresses.collector.map(|collector| collector.https.port());
        let parts =
            console::With { bus: bus.clone(), store: client.clone(), rules: rules.infos.clone(), port };
        let server = console::bind(ground, parts, &page).await?;
        addresses.console = Some(server.address()?);
        tasks.spawn(async move {
            server.run().await;
            Ok(())
        });
    }
    let url = page.settle(&ground.config, addresses.console);
    let watched = machine::Machine {
        metrics: ground.metrics.clone(),
        registry: ground.registry.clone(),
        store: client.clone(),
        bus: bus.clone(),
    };
    addresses.metrics = machine::listen(&ground.config, watched, ground.stop.clone()).await?;
    if role.is(Role::Console) {
        welcome(ground).await?;
    }
    running::tell(ground, &url, &addresses)?;
    if role.is(Role::Analyzer)
        && let (Some(client), Some(rules), Some(bus)) = (client, rules, &bus)
    {
        tasks.spawn(analyzer::run(ground, Arc::clone(bus), client, rules.content, url)?);
        tasks.spawn(bus::watch_lag(Arc::clone(bus), ground.stop.clone()));
    }
    let outcome = all(&mut tasks, &ground.stop).await;
    if let Some(store) = store {
        store.close().await?;
    }
    outcome
}

/// Waits for all; whoever ends first ends the others. The first failure is the answer.
async fn all(tasks: &mut JoinSet<Result<()>>, stop: &CancellationToken) -> Result<()> {
    let mut outcome = Ok(());
    while let Some(ended) = tasks.join_next().await {
        stop.cancel();
        outcome = outcome.and(ended.context("a part of the process died").flatten());
    }
    outcome
}

/// Tells the first administrator's password, where there is none yet.
async fn welcome(ground: &Ground) -> Result<()> {
    if let Some(first) = ground.registry.create_first_administrator(now()).await? {
        output::line(&format!(
            "first sign-in: {} / {} (must be changed; not shown again)",
            first.login, first.password
        ))?;
    }
    Ok(())
}
