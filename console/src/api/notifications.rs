//! Notification channels and their delivery log: for administrators.

use axum::{extract::State, http::StatusCode};
use dongson_registry::{Channel, ChannelEdit, Delivery};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Console,
    auth::Administrator,
    error::ApiResult,
    extract::{Json, Path},
};

/// The channels.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelList {
    /// By name; secrets are shown as `***`.
    channels: Vec<Channel>,
}

/// The log of a channel.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryList {
    /// The newest 200.
    deliveries: Vec<Delivery>,
}

/// A channel as it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionedChannel {
    /// The version that the caller saw.
    version: i64,
    #[serde(flatten)]
    edit: ChannelEdit,
}

/// The channels.
#[utoipa::path(get, path = "/notifications", tag = "notifications", responses((status = 200, body = ChannelList)))]
pub(crate) async fn list(
    State(console): State<Console>,
    Administrator(person): Administrator,
) -> ApiResult<Json<ChannelList>> {
    Ok(Json(ChannelList { channels: console.registry.channels(&person.scope).await? }))
}

/// Makes a channel.
#[utoipa::path(post, path = "/notifications", tag = "notifications", request_body = ChannelEdit, responses((status = 201, body = Channel)))]
pub(crate) async fn create(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Json(edit): Json<ChannelEdit>,
) -> ApiResult<(StatusCode, Json<Channel>)> {
    let made = console.registry.create_channel(&person.scope, &person.change(), &edit).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Rewrites a channel.
#[utoipa::path(put, path = "/notifications/{id}", tag = "notifications", params(("id" = String, Path)), request_body = VersionedChannel, responses((status = 200, body = Channel)))]
pub(crate) async fn update(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Path(id): Path<String>,
    Json(given): Json<VersionedChannel>,
) -> ApiResult<Json<Channel>> {
    let after = console
        .registry
        .update_channel(&person.scope, &person.change(), &id, given.version, &given.edit)
        .await?;
    Ok(Json(after))
}

/// Removes a channel and its log.
#[utoipa::path(delete, path = "/notifications/{id}", tag = "notifications", params(("id" = String, Path)), responses((status = 204)))]
pub(crate) async fn delete(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    console.registry.delete_channel(&person.scope, &person.change(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The delivery log of a channel.
#[utoipa::path(get, path = "/notifications/{id}/deliveries", tag = "notifications", params(("id" = String, Path)), responses((status = 200, body = DeliveryList)))]
pub(crate) async fn deliveries(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Path(id): Path<String>,
) -> ApiResult<Json<DeliveryList>> {
    Ok(Json(DeliveryList { deliveries: console.registry.deliveries(&person.scope, &id).await? }))
}
