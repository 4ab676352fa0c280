//! API keys of log shippers: for administrators.

use axum::{extract::State, http::StatusCode};
use dongson_registry::{ApiKey, NewApiKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Console,
    auth::Administrator,
    error::ApiResult,
    extract::{Json, Path},
};

/// The keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    /// Newest first.
    api_keys: Vec<ApiKey>,
}

/// What a new key is for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRequest {
    /// The agency of the events.
    organization: String,
    /// The name of the source (`observer.name`): 1 to 64 of a-z, 0-9, -, _ and .
    source_name: String,
}

/// The API keys.
#[utoipa::path(get, path = "/api-keys", tag = "api keys", responses((status = 200, body = KeyList)))]
pub(crate) async fn list(
    State(console): State<Console>,
    Administrator(person): Administrator,
) -> ApiResult<Json<KeyList>> {
    Ok(Json(KeyList { api_keys: console.registry.api_keys(&person.scope).await? }))
}

/// Makes a key; its secret is shown this once.
#[utoipa::path(post, path = "/api-keys", tag = "api keys", request_body = KeyRequest, responses((status = 201, body = NewApiKey)))]
pub(crate) async fn create(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Json(given): Json<KeyRequest>,
) -> ApiResult<(StatusCode, Json<NewApiKey>)> {
    let made = console
        .registry
        .create_api_key(&person.change(), &given.organization, &given.source_name, false)
        .await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Refuses a key from now on.
#[utoipa::path(post, path = "/api-keys/{id}/revoke", tag = "api keys", params(("id" = String, Path)), responses((status = 204)))]
pub(crate) async fn revoke(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    console.registry.revoke_api_key(&person.scope, &person.change(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
