//! Health and metrics, for machines.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Console,
    auth::{Administrator, Peer},
    error::ApiError,
    extract::Json,
};

/// How the parts are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Whether the registry answers.
    registry: bool,
    /// Whether the event store answers.
    store: bool,
    /// What else cannot work and why (`bus: disk full: ...`); none if all is well.
    problem: Option<String>,
    /// Version of the program.
    version: &'static str,
}

async fn look(console: &Console) -> Health {
    Health {
        registry: console.registry.ping().await.is_ok(),
        store: console.facts.ping().await.is_ok(),
        problem: (console.health)().await,
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// How the parts are: for administrators.
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200, body = Health)))]
pub(crate) async fn health(State(console): State<Console>, _: Administrator) -> Json<Health> {
    Json(look(&console).await)
}

/// 200 if the system can work, else 503 and the name of the part that cannot; says no more to those who did not sign in.
pub(crate) async fn healthz(State(console): State<Console>) -> Response {
    let failed =
        |part: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("{part} unavailable\n")).into_response();
    if console.registry.ping().await.is_err() {
        return failed("registry");
    }
    match (console.health)().await {
        None => (StatusCode::OK, "ok\n").into_response(),
        Some(problem) => failed(problem.split(':').next().unwrap_or_default()),
    }
}

/// The metrics in Prometheus' text form, for this machine and the addresses in the configuration; 404 for others,
/// because counts tell of all agencies.
pub(crate) async fn metrics(State(console): State<Console>, Peer(peer): Peer) -> Response {
    let allowed = peer.is_some_and(|peer| peer.is_loopback() || console.config.metrics_from.contains(&peer));
    if !allowed {
        return ApiError::not_found().into_response();
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (console.metrics)())
        .into_response()
}
