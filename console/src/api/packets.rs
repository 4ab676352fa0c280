//! Packets of sensors: asked for, approved by somebody else, taken.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use dongson_registry::{NewPacketOrder, PacketFilter, PacketOrder, Registry, Scope};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::list_of;
use crate::{
    Console,
    auth::{Administrator, Reader, Worker},
    error::ApiResult,
    extract::{Json, Path, Query, Whole},
};

/// What the list is narrowed to. Lists are separated by commas.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PacketQuery {
    /// Only for this incident.
    incident: Option<String>,
    /// Only of this sensor.
    sensor: Option<String>,
    /// Any of `asked`, `declined`, `approved`, `sent`, `answered`, `refused`, `expired`.
    state: Option<String>,
    /// Id of the last one of the page before.
    after: Option<String>,
    /// 1 to 500; 100 if not given.
    #[param(value_type = Option<u32>)]
    limit: Option<Whole>,
}

/// A page of orders for packets, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PacketList {
    orders: Vec<PacketOrder>,
    /// For `after`, if there may be more.
    next: Option<String>,
}

/// Why an order is declined or withdrawn.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Declining {
    /// At most 1000 characters.
    reason: String,
}

/// The orders for packets, newest first.
#[utoipa::path(get, path = "/packets", tag = "packets", params(PacketQuery), responses((status = 200, body = PacketList)))]
pub(crate) async fn list(
    State(console): State<Console>,
    Reader(person): Reader,
    Query(query): Query<PacketQuery>,
) -> ApiResult<Json<PacketList>> {
    let filter = PacketFilter {
        incident: query.incident,
        sensor: query.sensor,
        states: list_of("state", query.state.as_deref())?,
        after: query.after,
    };
    let limit = super::page_limit(query.limit.as_ref())?;
    let orders = console.registry.packet_orders(&person.scope, &filter, limit, person.at).await?;
    let next = orders.last().filter(|_| orders.len() == limit as usize).map(|last| last.id.clone());
    Ok(Json(PacketList { orders, next }))
}

/// Asks for packets of a sensor. Nothing reaches the sensor before somebody else approves it.
#[utoipa::path(post, path = "/packets", tag = "packets", request_body = NewPacketOrder, responses((status = 201, body = PacketOrder)))]
pub(crate) async fn ask(
    State(console): State<Console>,
    Worker(person): Worker,
    Json(new): Json<NewPacketOrder>,
) -> ApiResult<(StatusCode, Json<PacketOrder>)> {
    let made = console.registry.ask_packets(&person.scope, &person.change(), &new).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// One order.
#[utoipa::path(get, path = "/packets/{id}", tag = "packets", params(("id" = String, Path)), responses((status = 200, body = PacketOrder)))]
pub(crate) async fn one(
    State(console): State<Console>,
    Reader(person): Reader,
    Path(id): Path<String>,
) -> ApiResult<Json<PacketOrder>> {
    Ok(Json(console.registry.packet_order(&person.scope, &id, person.at).await?))
}

/// Approves an order; not by who asked. It is signed, and the sensor gets it when it asks next.
#[utoipa::path(post, path = "/packets/{id}/approve", tag = "packets", params(("id" = String, Path)), responses((status = 200, body = PacketOrder)))]
pub(crate) async fn approve(
    State(console): State<Console>,
    Worker(person): Worker,
    Path(id): Path<String>,
) -> ApiResult<Json<PacketOrder>> {
    Ok(Json(console.registry.approve_packets(&person.scope, &person.change(), &id).await?))
}

/// Declines an order, or withdraws it, as long as it has no answer.
#[utoipa::path(post, path = "/packets/{id}/decline", tag = "packets", params(("id" = String, Path)), request_body = Declining, responses((status = 200, body = PacketOrder)))]
pub(crate) async fn decline(
    State(console): State<Console>,
    Worker(person): Worker,
    Path(id): Path<String>,
    Json(given): Json<Declining>,
) -> ApiResult<Json<PacketOrder>> {
    let declined =
        console.registry.decline_packets(&person.scope, &person.change(), &id, &given.reason).await?;
    Ok(Json(declined))
}

/// The packets as pcapng, with their SHA-256 in `content-digest` (RFC 9530); an audit entry tells who took them.
#[utoipa::path(get, path = "/packets/{id}/pcap", tag = "packets", params(("id" = String, Path)), responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 409, description = "It has no packets (yet, or any more)", body = crate::Problem, content_type = "application/problem+json")))]
pub(crate) async fn pcap(
    State(console): State<Console>,
    Worker(person): Worker,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let order = console.registry.take_packets(&person.scope, &person.change(), &id).await?;
    let digest =
        order.account.as_ref().and_then(|account| account.get("sha256")?.as_str().map(str::to_owned));
    let digest = hex::decode(digest.unwrap_or_default()).unwrap_or_default();
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, order.received_bytes.to_string()),
        // An id is letters, digits and `-`.
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}.pcapng\"", order.id)),
    ];
    let body = Body::from_stream(parts(console.registry.clone(), person.scope, order.id));
    let mut response = (headers, body).into_response();
    if let Ok(value) = HeaderValue::try_from(format!("sha-256=:{}:", STANDARD.encode(digest))) {
        response.headers_mut().insert("content-digest", value);
    }
    Ok(response)
}

/// The parts one after the other, one of them in memory at a time.
fn parts(
    registry: Registry,
    scope: Scope,
    id: String,
) -> impl futures::Stream<Item = Result<Bytes, dongson_registry::Error>> {
    futures::stream::try_unfold((registry, scope, id, 0_i64), async |(registry, scope, id, start)| {
        let Some(part) = registry.packet_part_at(&scope, &id, start).await? else { return Ok(None) };
        let next = start.saturating_add(i64::try_from(part.len()).unwrap_or(i64::MAX));
        Ok(Some((Bytes::from(part), (registry, scope, id, next))))
    })
}

/// Removes the packets for good; what became of the order stays.
#[utoipa::path(delete, path = "/packets/{id}/pcap", tag = "packets", params(("id" = String, Path)), responses((status = 200, body = PacketOrder)))]
pub(crate) async fn discard(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Path(id): Path<String>,
) -> ApiResult<Json<PacketOrder>> {
    Ok(Json(console.registry.discard_packets(&person.scope, &person.change(), &id).await?))
}
