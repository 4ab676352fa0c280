//! Incidents.

use axum::{extract::State, http::StatusCode};
use dongson_registry::{
    Alert, Closing, Deadline, Entry, Incident, IncidentFilter, IncidentPatch, NewIncident,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{drills::Drills, list_of};
use crate::{
    Console,
    auth::{Reader, Worker},
    error::ApiResult,
    extract::{Json, Path, Query, Whole},
};

/// What the list is narrowed to. Lists are separated by commas.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct IncidentQuery {
    /// Any of `open`, `in_progress`, `contained`, `resolved`, `closed`.
    status: Option<String>,
    /// Any of these agencies.
    organization: Option<String>,
    /// Words in number or title; diacritics do not matter.
    q: Option<String>,
    /// `exclude` (if not given): only what is real; `only`: only those raised from alerts of drills; `include`: both.
    drill: Option<Drills>,
    /// Id of the last incident of the page before.
    after: Option<String>,
    /// 1 to 500; 100 if not given.
    #[param(value_type = Option<u32>)]
    limit: Option<Whole>,
}

/// An incident and its clocks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IncidentView {
    /// The incident.
    #[serde(flatten)]
    incident: Incident,
    /// Its legal clocks.
    deadlines: Vec<Deadline>,
}

/// A page of incidents, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IncidentList {
    incidents: Vec<IncidentView>,
    /// For `after`, if there may be more.
    next: Option<String>,
}

/// A change of an incident.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionedPatch {
    /// The version that the caller saw.
    version: i64,
    #[serde(flatten)]
    patch: IncidentPatch,
}

/// The end of an incident.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionedClosing {
    /// The version that the caller saw.
    version: i64,
    #[serde(flatten)]
    closing: Closing,
}

/// A comment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Comment {
    /// At most 10,000 characters.
    text: String,
}

/// Alerts by id.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertIds {
    /// 1 to 500.
    alerts: Vec<String>,
}

/// The time line of an incident.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Timeline {
    /// Oldest first.
    entries: Vec<Entry>,
    /// Whether the chain of hashes is unbroken.
    unbroken: bool,
}

/// The alerts of an incident.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkedAlerts {
    /// Newest first, at most 1000.
    alerts: Vec<Alert>,
}

impl From<Incident> for IncidentView {
    fn from(incident: Incident) -> Self {
        Self { deadlines: incident.deadlines(), incident }
    }
}

fn view(incident: Incident) -> Json<IncidentView> {
    Json(incident.into())
}

/// The incidents, newest first.
#[utoipa::path(get, path = "/incidents", tag = "incidents", params(IncidentQuery), responses((status = 200, body = IncidentList)))]
pub(crate) async fn list(
    State(console): State<Console>,
    Reader(person): Reader,
    Query(query): Query<IncidentQuery>,
) -> ApiResult<Json<IncidentList>> {
    let filter = IncidentFilter {
        statuses: list_of("status", query.status.as_deref())?,
        organizations: list_of("organization", query.organization.as_deref())?,
        text: query.q,
        drill: query.drill.unwrap_or_default().filter(),
        after: query.after,
    };
    let limit = super::page_limit(query.limit.as_ref())?;
    let found = console.registry.incidents(&person.scope, &filter, limit).await?;
    let next = found.last().filter(|_| found.len() == limit as usize).map(|last| last.id.clone());
    Ok(Json(IncidentList { incidents: found.into_iter().map(IncidentView::from).collect(), next }))
}

/// Raises an incident, from alerts or without.
#[utoipa::path(post, path = "/incidents", tag = "incidents", request_body = NewIncident, responses((status = 201, body = IncidentView)))]
pub(crate) async fn create(
    State(console): State<Console>,
    Worker(person): Worker,
    Json(new): Json<NewIncident>,
) -> ApiResult<(StatusCode, Json<IncidentView>)> {
    let made = console.registry.create_incident(&person.scope, &person.change(), &new).await?;
    Ok((StatusCode::CREATED, view(made)))
}

/// One incident.
#[utoipa::path(get, path = "/incidents/{id}", tag = "incidents", params(("id" = String, Path)), responses((status = 200, body = IncidentView)))]
pub(crate) async fn one(
    State(console): State<Console>,
    Reader(person): Reader,
    Path(id): Path<String>,
) -> ApiResult<Json<IncidentView>> {
    Ok(view(console.registry.incident(&person.scope, &id).await?))
}

/// Changes fields of an incident. What is absent stays.
#[utoipa::path(patch, path = "/incidents/{id}", tag = "incidents", params(("id" = String, Path)), request_body = VersionedPatch, responses((status = 200, body = IncidentView)))]
pub(crate) async fn patch(
    State(console): State<Console>,
    Worker(person): Worker,
    Path(id): Path<String>,
    Json(given): Json<VersionedPatch>,
) -> ApiResult<Json<IncidentView>> {
    let patched = console
        .registry
        .patch_incident(&person.scope, &person.change(), &id, given.version, &given.patch)
        .await?;
    Ok(view(patched))
}

/// Writes into the time line.
#[utoipa::path(post, path = "/incidents/{id}/comments", tag = "incidents", params(("id" = String, Path)), request_body = Comment, responses((status = 201, body = IncidentView)))]
pub(crate) async fn comment(
    State(console): State<Console>,
    Worker(person): Worker,
    Path(id): Path<String>,
    Json(given): Json<Comment>,
) -> ApiResult<(StatusCode, Json<IncidentView>)> {
    let after = console.registry.comment_incident(&person.scope, &person.change(), &id, &given.text).await?;
    Ok((StatusCode::CREATED, view(after)))
}

/// The time line.
#[utoipa::path(get, path = "/incidents/{id}/timeline", tag = "incidents", params(("id" = String, Path)), responses((status = 200, body = Timeline)))]
pub(crate) async fn timeline(
    State(console): State<Console>,
    Reader(person): Reader,
    Path(id): Path<String>,
) -> ApiResult<Json<Timeline>> {
    let entries = console.registry.timeline(&person.scope, &id).await?;
    Ok(Json(Timeline { unbroken: Entry::unbroken(&id, &entries), entries }))
}

/// The linked alerts.
#[utoipa::path(get, path = "/incidents/{id}/alerts", tag = "incidents", params(("id" = String, Path)), responses((status = 200, body = LinkedAlerts)))]
pub(crate) async fn alerts(
    State(console): State<Console>,
    Reader(person): Reader,
    Path(id): Path<String>,
) -> ApiResult<Json<LinkedAlerts>> {
    Ok(Json(LinkedAlerts { alerts: console.registry.incident_alerts(&person.scope, &id).await? }))
}

/// Links alerts.
#[utoipa::path(post, path = "/incidents/{id}/alerts", tag = "incidents", params(("id" = String, Path)), request_body = AlertIds, responses((status = 200, body = IncidentView)))]
pub(crate) async fn link(
    State(console): State<Console>,
    Worker(person): Worker,
    Path(id): Path<String>,
    Json(given): Json<AlertIds>,
) -> ApiResult<Json<IncidentView>> {
    Ok(view(console.registry.link_alerts(&person.scope, &person.change(), &id, &given.alerts).await?))
}

/// Takes an alert out.
#[utoipa::path(delete, path = "/incidents/{id}/alerts/{alert}", tag = "incidents", params(("id" = String, Path), ("alert" = String, Path)), responses((status = 200, body = IncidentView)))]
pub(crate) async fn unlink(
    State(console): State<Console>,
    Worker(person): Worker,
    Path((id, alert)): Path<(String, String)>,
) -> ApiResult<Json<IncidentView>> {
    Ok(view(console.registry.unlink_alert(&person.scope, &person.change(), &id, &alert).await?))
}

/// Closes an incident and its open alerts with it.
#[utoipa::path(post, path = "/incidents/{id}/close", tag = "incidents", params(("id" = String, Path)), request_body = VersionedClosing, responses((status = 200, body = IncidentView)))]
pub(crate) async fn close(
    State(console): State<Console>,
    Worker(person): Worker,
    Path(id): Path<String>,
    Json(given): Json<VersionedClosing>,
) -> ApiResult<Json<IncidentView>> {
    let closed = console
        .registry
        .close_incident(&person.scope, &person.change(), &id, given.version, &given.closing)
        .await?;
    Ok(view(closed))
}
