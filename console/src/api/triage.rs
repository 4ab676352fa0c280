//! Acts on alerts, many at once, and taking them back.

use axum::extract::State;
use dongson_registry::{Action, Alert, AlertRef, Triaged};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Console, auth::Worker, error::ApiResult, extract::Json};

/// What to do with which alerts.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Act {
    /// 1 to 500 alerts with the versions that the caller saw.
    alerts: Vec<AlertRef>,
    /// What to do.
    #[serde(flatten)]
    action: Action,
}

/// The token of an act.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Undo {
    /// The `undo` of the act.
    undo: String,
}

/// What came of an act.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Done {
    /// The alerts as they are now.
    changed: Vec<Alert>,
    /// Alerts that somebody else changed first, or that do not allow the act, as they are now.
    conflicts: Vec<Alert>,
    /// Ids that do not exist.
    missing: Vec<String>,
    /// Takes the act back within ten minutes.
    undo: Option<String>,
}

impl From<Triaged> for Json<Done> {
    fn from(done: Triaged) -> Self {
        Self(Done {
            changed: done.changed,
            conflicts: done.conflicts,
            missing: done.missing,
            undo: done.undo,
        })
    }
}

/// Assigns, acknowledges, starts, closes or reopens alerts.
#[utoipa::path(post, path = "/alerts/triage", tag = "alerts", request_body = Act, responses((status = 200, body = Done)))]
pub(crate) async fn act(
    State(console): State<Console>,
    Worker(person): Worker,
    Json(act): Json<Act>,
) -> ApiResult<Json<Done>> {
    Ok(console.registry.triage(&person.scope, &person.change(), &act.alerts, &act.action).await?.into())
}

/// Takes an act back.
#[utoipa::path(post, path = "/alerts/undo", tag = "alerts", request_body = Undo, responses((status = 200, body = Done)))]
pub(crate) async fn undo(
    State(console): State<Console>,
    Worker(person): Worker,
    Json(undo): Json<Undo>,
) -> ApiResult<Json<Done>> {
    Ok(console.registry.undo_triage(&person.scope, &person.change(), &undo.undo).await?.into())
}
