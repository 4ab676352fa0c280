//! Notification channels and their delivery log: for administrators.

use axum::{extract::State, http::StatusCode};
use dongson_registry::{Channel, ChannelEdit, Delivery, Outcome};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Console, Problem,
    auth::Administrator,
    error::{ApiError, ApiResult},
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

/// What came of a test.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestSent {
    /// Always true: a failure is a problem.
    sent: bool,
    /// The addresses that the server refused and why, where it took the message for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

/// Sends a message through a channel now that says it is a test; waits ten seconds at most.
#[utoipa::path(post, path = "/notifications/{id}/test", tag = "notifications", params(("id" = String, Path)), responses((status = 200, body = TestSent), (status = 502, body = Problem, content_type = "application/problem+json", description = "It could not be sent; `detail` says why")))]
pub(crate) async fn test(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Path(id): Path<String>,
) -> ApiResult<Json<TestSent>> {
    let channel = console.registry.channel_to_test(&person.scope, &id).await?;
    let answer = (console.send_test)(channel.clone()).await;
    let outcome = match &answer {
        Ok(None) => Outcome::Delivered,
        Ok(Some(refused)) => Outcome::DeliveredInPart(refused.clone()),
        Err(reason) => Outcome::Failed(reason.clone()),
    };
    console.registry.record_channel_test(&person.change(), &channel, &outcome).await?;
    match answer {
        Ok(refused) => Ok(Json(TestSent { sent: true, refused })),
        Err(reason) => Err(ApiError::new(StatusCode::BAD_GATEWAY, "test_failed").with_detail(&reason)),
    }
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
