//! `/metrics` and `/healthz` in plain HTTP, for this machine's own monitoring.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use dongson_bus::Bus;
use dongson_registry::Registry;
use dongson_store::StoreClient;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::config::Config;

/// What is looked at: the parts that this process has.
#[derive(Clone)]
pub(super) struct Machine {
    pub(super) metrics: PrometheusHandle,
    pub(super) registry: Registry,
    pub(super) store: Option<StoreClient>,
    pub(super) bus: Option<Arc<dyn Bus>>,
}

/// Listens where the configuration says; answers the address that was taken.
pub(super) async fn listen(
    config: &Config,
    machine: Machine,
    stop: CancellationToken,
) -> Result<Option<SocketAddr>> {
    let Some(address) = config.metrics.0 else { return Ok(None) };
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address} for metrics; set `metrics` in the configuration, or --metrics, to another address or \"off\""))?;
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
    match machine.problem().await {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
    }
}

impl Machine {
    /// What does not work of that which this process needs.
    async fn problem(&self) -> Option<String> {
        if let Err(error) = self.registry.ping().await {
            return Some(format!("registry: {error}"));
        }
        if let Some(bus) = &self.bus
            && let Err(error) = bus.check().await
        {
            return Some(format!("bus: {error}"));
        }
        let error = self.store.as_ref()?.ping().await.err()?;
        Some(format!("store: {error}"))
    }
}
