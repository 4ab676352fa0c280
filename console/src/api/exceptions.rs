//! Exceptions.

use axum::{extract::State, http::StatusCode};
use dongson_registry::{Exception, ExceptionEdit};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Console,
    auth::{Reader, Worker},
    error::ApiResult,
    extract::{Json, Path},
};

/// The exceptions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExceptionList {
    /// Newest first.
    exceptions: Vec<Exception>,
}

/// The version that the caller saw.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    version: i64,
}

/// The exceptions, those that have ended included.
#[utoipa::path(get, path = "/exceptions", tag = "exceptions", responses((status = 200, body = ExceptionList)))]
pub(crate) async fn list(
    State(console): State<Console>,
    Reader(person): Reader,
) -> ApiResult<Json<ExceptionList>> {
    Ok(Json(ExceptionList { exceptions: console.registry.exceptions(&person.scope).await? }))
}

/// Makes an exception.
#[utoipa::path(post, path = "/exceptions", tag = "exceptions", request_body = ExceptionEdit, responses((status = 201, body = Exception)))]
pub(crate) async fn create(
    State(console): State<Console>,
    Worker(person): Worker,
    Json(edit): Json<ExceptionEdit>,
) -> ApiResult<(StatusCode, Json<Exception>)> {
    let made = console.registry.create_exception(&person.scope, &person.change(), &edit).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Ends an exception at once.
#[utoipa::path(post, path = "/exceptions/{id}/end", tag = "exceptions", params(("id" = String, Path)), request_body = Seen, responses((status = 200, body = Exception)))]
pub(crate) async fn end(
    State(console): State<Console>,
    Worker(person): Worker,
    Path(id): Path<String>,
    Json(seen): Json<Seen>,
) -> ApiResult<Json<Exception>> {
    Ok(Json(console.registry.end_exception(&person.scope, &person.change(), &id, seen.version).await?))
}
