//! `dongson up`: everything on one machine, in one process; the store's engine in a child.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use clap::Args;
use dongson_analyzer::notify::Notifier;
use dongson_bus::{Bus, EmbeddedBus, Retention};
use dongson_event::{TOPIC_ALERTS, TOPIC_EVENTS, TOPIC_SIGNALS, TOPIC_UNPARSED};
use dongson_registry::{Registry, now};
use dongson_store::{ChildCommand, StoreClient, StoreOptions, Supervisor, engine_path};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{Config, Paths};
use crate::{content, output, process};

/// Partitions of each topic on one machine: a batch is worked on by all cores, and the store takes one large insert far
/// better than several small ones.
const PARTITIONS: u32 = 1;

/// Everything on this machine.
#[derive(Debug, Args)]
#[command(
    after_help = "example: dongson up --data /var/lib/dongson --config /etc/dongson.toml\nCtrl-C and SIGTERM stop it; a kill loses nothing that was acknowledged.\nAlerts of correlations and scripts come some 12 seconds after the event: they wait for late ones ([analyzer] lateness_seconds, behind_seconds, idle_seconds in the file)."
)]
pub(crate) struct Up {
    /// Everything that is kept stands in this folder; made when missing.
    #[arg(long, env = "DONGSON_DATA")]
    data: PathBuf,
    /// What differs from the defaults (TOML).
    #[arg(long)]
    config: Option<PathBuf>,
}

/// Where a running system answers: the file `running.json` in its data folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Process number.
    pub(crate) process: u32,
    /// The page.
    pub(crate) console: String,
    /// Sensors, NDJSON, `_bulk`.
    pub(crate) collector: SocketAddr,
    /// Syslog over UDP.
    pub(crate) syslog_udp: Option<SocketAddr>,
    /// Syslog over TCP.
    pub(crate) syslog_tcp: Option<SocketAddr>,
    /// Syslog over TLS.
    pub(crate) syslog_tls: Option<SocketAddr>,
    /// RELP.
    pub(crate) relp: Option<SocketAddr>,
    /// `/metrics` and `/healthz`.
    pub(crate) metrics: Option<SocketAddr>,
}

impl Up {
    pub(super) fn run(self) -> Result<ExitCode> {
        let config = Config::load(self.config.as_deref())?;
        let paths = Paths::new(&self.data);
        paths.make()?;
        let metrics = PrometheusBuilder::new().install_recorder().context("starting the metrics")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(serve(config, paths, metrics))?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn serve(config: Config, paths: Paths, metrics: PrometheusHandle) -> Result<()> {
    let stop = process::stop_on_signal()?;
    let loaded =
        content::load(&config.analyzer.rules, config.analyzer.without_shipped_rules, &paths.learnt())?;
    let content::Counts { rules, rules_refused, scripts, scripts_refused } = loaded.counts;
    info!(rules, rules_refused, scripts, scripts_refused, "rules and scripts loaded");
    let registry = Registry::open(&paths.registry()).await.context("opening the registry")?;
    let embedded = EmbeddedBus::open(&paths.bus(), bus_options(&config)).context("opening the log")?;
    // The log is locked by this process now, so whatever the file says is of a process that is gone.
    drop(std::fs::remove_file(paths.running()));
    let bus: Arc<dyn Bus> = Arc::new(embedded.clone());
    make_topics(bus.as_ref()).await?;
    let supervisor = start_store(&config, &paths).await?;
    let store = supervisor.client();
    let schema = store.migrate().await.context("making the store's tables")?;
    info!(schema, "store ready");

    let collector = dongson_collector::start(
        config.collector.at(paths.collector()),
        Arc::clone(&bus),
        registry.clone(),
        stop.clone(),
    )
    .await?;
    let (render, watched) = (metrics.clone(), Arc::clone(&bus));
    let page = Arc::new(OnceLock::new());
    let notifier = Notifier::new(&config.analyzer.notify_ca_files).context("analyzer.notify_ca_files")?;
    let console = dongson_console::Server::bind(
        dongson_console::Parts {
            config: config.console.clone(),
            registry: registry.clone(),
            facts: Arc::new(dongson_console::StoreFacts::new(store.clone())),
            rules: loaded.infos,
            collector_urls: config.collector.urls(collector.addresses.https.port()),
            parsers: dongson_collector::parse::PARSERS.iter().map(|one| one.name.to_owned()).collect(),
            metrics: Arc::new(move || render.render()),
            send_test: tester(notifier.clone(), Arc::clone(&page)),
            health: Arc::new(move || {
                let bus = Arc::clone(&watched);
                Box::pin(async move { bus.check().await.err().map(|error| format!("bus: {error}")) })
            }),
            clock: now,
        },
        &paths.console(),
        stop.clone(),
    )
    .await
    .context("starting the console")?;
    let console_address = console.address()?;
    let url = page.get_or_init(|| page_url(config.console_url.as_deref(), console_address)).clone();
    let parts = Machine { metrics, registry: registry.clone(), store: store.clone(), bus: Arc::clone(&bus) };
    let machine = machine_listener(&config, parts, stop.clone()).await?;

    if let Some(first) = registry.create_first_administrator(now()).await? {
        output::line(&format!(
            "first sign-in: {} / {} (must be changed; not shown again)",
            first.login, first.password
        ))?;
    }
    let addresses = collector.addresses;
    let running = Running {
        process: std::process::id(),
        console: url.clone(),
        collector: addresses.https,
        syslog_udp: addresses.syslog_udp,
        syslog_tcp: addresses.syslog_tcp,
        syslog_tls: addresses.syslog_tls,
        relp: addresses.relp,
        metrics: machine,
    };
    write_running(&paths, &running)?;
    output::line(&format!("console: {url}"))?;
    output::line(&format!("sensors and logs: https://{}", addresses.https))?;

    let analyzer = dongson_analyzer::run(
        dongson_analyzer::Config {
            console: url,
            indicators: config.analyzer.indicators.clone(),
            indicators_allowed: config.analyzer.indicators_allowed.clone(),
            lateness: config.analyzer.lateness(),
            ..dongson_analyzer::Config::default()
        },
        dongson_analyzer::Parts {
            bus: Arc::clone(&bus),
            store,
            registry: registry.clone(),
            content: loaded.content,
            notifier,
        },
        stop.clone(),
    );
    let watch = watch_lag(Arc::clone(&bus), stop.clone());
    let (outcome, (), (), ()) = tokio::join!(analyzer, collector.wait(), console.run(), watch);
    // Whoever ended first was told to, or takes the others along.
    stop.cancel();
    drop(std::fs::remove_file(paths.running()));
    drop(bus);
    embedded.close().await.context("closing the log")?;
    registry.close().await;
    tokio::task::spawn_blocking(move || drop(supervisor)).await?;
    info!("stopped");
    Ok(outcome?)
}

fn bus_options(config: &Config) -> dongson_bus::Options {
    dongson_bus::Options {
        retention: Retention {
            age: std::time::Duration::from_hours(config.bus.retention_hours),
            bytes: config.bus.max_bytes / 4,
        },
        quota_bytes: config.bus.max_bytes,
        clock: Arc::new(|| u64::try_from(now()).unwrap_or(0)),
        ..dongson_bus::Options::default()
    }
}

/// The topics, and the groups that hold what they have not read from the first record on.
async fn make_topics(bus: &dyn Bus) -> Result<()> {
    for topic in [TOPIC_EVENTS, TOPIC_UNPARSED, TOPIC_SIGNALS, TOPIC_ALERTS] {
        bus.create_topic(topic, PARTITIONS).await.with_context(|| format!("making the topic {topic}"))?;
    }
    Ok(())
}

async fn start_store(config: &Config, paths: &Paths) -> Result<Supervisor> {
    let engine = config.store.engine.clone().unwrap_or_else(engine_path);
    let options = StoreOptions {
        memory_bytes: config.store.memory_mib << 20,
        search_seconds: config.console.search_seconds,
        ..StoreOptions::new(paths.store(), engine)
    };
    let command = ChildCommand::current()?;
    Ok(tokio::task::spawn_blocking(move || Supervisor::start(command, &options)).await??)
}

/// Sends tests through channels; the page's address is known when the console has taken its own, before anybody can ask.
fn tester(notifier: Notifier, page: Arc<OnceLock<String>>) -> dongson_console::SendTest {
    Arc::new(move |channel| {
        let (notifier, page) = (notifier.clone(), Arc::clone(&page));
        Box::pin(async move {
            let page = page.get().map(String::as_str);
            notifier.send_test(&channel, page).await.map_err(|error| error.to_string())
        })
    })
}

/// The address of the page for links, without a slash at its end: as configured, else by the port that was taken.
fn page_url(configured: Option<&str>, taken: SocketAddr) -> String {
    let url = configured.map_or_else(|| format!("https://{}", reachable(taken)), str::to_owned);
    url.trim_end_matches('/').to_owned()
}

/// `0.0.0.0` and `[::]` are no addresses to go to.
fn reachable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() }
}

fn write_running(paths: &Paths, running: &Running) -> Result<()> {
    let path = paths.running();
    std::fs::write(&path, serde_json::to_string_pretty(running)?)
        .with_context(|| format!("writing {}", path.display()))
}

/// Measures how far the analyzer is behind the bus.
async fn watch_lag(bus: Arc<dyn Bus>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(std::time::Duration::from_secs(5));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        for group in dongson_analyzer::GROUPS {
            match bus.lag(group).await {
                Ok(lags) => {
                    let records: u64 = lags.iter().map(|lag| lag.records).sum();
                    #[expect(clippy::cast_precision_loss, reason = "a gauge of records, far below 2^52")]
                    metrics::gauge!("bus_group_lag_records", "group" => *group).set(records as f64);
                }
                Err(error) => warn!(%error, group, "the lag of a group could not be read"),
            }
        }
    }
}

#[derive(Clone)]
struct Machine {
    metrics: PrometheusHandle,
    registry: Registry,
    store: StoreClient,
    bus: Arc<dyn Bus>,
}

/// `/metrics` and `/healthz` in plain HTTP for this machine's own monitoring.
async fn machine_listener(
    config: &Config,
    machine: Machine,
    stop: CancellationToken,
) -> Result<Option<SocketAddr>> {
    let Some(address) = config.metrics.0 else { return Ok(None) };
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address} for metrics; set `metrics` in the configuration to another address or \"off\""))?;
    let local = listener.local_addr()?;
    let app = Router::new()
        .route("/metrics", get(|State(machine): State<Machine>| async move { machine.metrics.render() }))
        .route("/healthz", get(healthz))
        .with_state(machine);
    tokio::spawn(async move {
        let served = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            warn!(%error, "the listener for metrics ended");
        }
    });
    Ok(Some(local))
}

async fn healthz(State(machine): State<Machine>) -> (StatusCode, String) {
    if let Err(error) = machine.registry.ping().await {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("registry: {error}\n"));
    }
    if let Err(error) = machine.bus.check().await {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("bus: {error}\n"));
    }
    match machine.store.ping().await {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("store: {error}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_port_that_was_taken() {
        let taken = |address: &str| page_url(None, address.parse().unwrap());
        assert_eq!(taken("0.0.0.0:41234"), "https://localhost:41234");
        assert_eq!(taken("[::]:41234"), "https://localhost:41234");
        assert_eq!(taken("192.0.2.7:8443"), "https://192.0.2.7:8443");
        let configured = page_url(Some("https://soc.example/"), "127.0.0.1:1".parse().unwrap());
        assert_eq!(configured, "https://soc.example");
    }
}
