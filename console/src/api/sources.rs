//! Log sources.

use axum::{extract::State, http::StatusCode};
use dongson_registry::{LISTENERS, Source, SourceEdit};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Console,
    auth::{Administrator, Reader},
    error::{ApiError, ApiResult},
    extract::{Json, Path},
};

/// The sources.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceList {
    /// By agency and name.
    sources: Vec<Source>,
    /// What `parser` of a source may be.
    parsers: Vec<String>,
    /// What `listener` of a source may be.
    #[schema(value_type = Vec<String>)]
    listeners: &'static [&'static str],
}

/// A source as it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionedSource {
    /// The version that the caller saw.
    version: i64,
    #[serde(flatten)]
    edit: SourceEdit,
}

/// The log sources in scope.
#[utoipa::path(get, path = "/sources", tag = "sources", responses((status = 200, body = SourceList)))]
pub(crate) async fn list(
    State(console): State<Console>,
    Reader(person): Reader,
) -> ApiResult<Json<SourceList>> {
    let sources = console.registry.sources(&person.scope).await?;
    Ok(Json(SourceList { sources, parsers: console.parsers.clone(), listeners: LISTENERS }))
}

/// One log source.
#[utoipa::path(get, path = "/sources/{id}", tag = "sources", params(("id" = String, Path)), responses((status = 200, body = Source)))]
pub(crate) async fn one(
    State(console): State<Console>,
    Reader(person): Reader,
    Path(id): Path<String>,
) -> ApiResult<Json<Source>> {
    Ok(Json(console.registry.source(&person.scope, &id).await?))
}

/// A misspelt name would silently be as good as none.
fn check_parser(console: &Console, edit: &SourceEdit) -> ApiResult<()> {
    match &edit.parser {
        Some(name) if !console.parsers.contains(name) => {
            let reason = "is no parser: leave it out, so that it is found by content";
            Err(ApiError::none_of("parser", reason, &console.parsers))
        }
        _ => Ok(()),
    }
}

/// Enters a log source.
#[utoipa::path(post, path = "/sources", tag = "sources", request_body = SourceEdit, responses((status = 201, body = Source)))]
pub(crate) async fn create(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Json(edit): Json<SourceEdit>,
) -> ApiResult<(StatusCode, Json<Source>)> {
    check_parser(&console, &edit)?;
    Ok((StatusCode::CREATED, Json(console.registry.create_source(&person.change(), &edit).await?)))
}

/// Rewrites a log source.
#[utoipa::path(put, path = "/sources/{id}", tag = "sources", params(("id" = String, Path)), request_body = VersionedSource, responses((status = 200, body = Source)))]
pub(crate) async fn update(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Path(id): Path<String>,
    Json(given): Json<VersionedSource>,
) -> ApiResult<Json<Source>> {
    check_parser(&console, &given.edit)?;
    let after = console
        .registry
        .update_source(&person.scope, &person.change(), &id, given.version, &given.edit)
        .await?;
    Ok(Json(after))
}

/// Removes a log source; its events stay.
#[utoipa::path(delete, path = "/sources/{id}", tag = "sources", params(("id" = String, Path)), responses((status = 204)))]
pub(crate) async fn delete(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    console.registry.delete_source(&person.scope, &person.change(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
