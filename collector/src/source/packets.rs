//! Packets that a sensor sends because it was asked ([`dongson_event::trust::PacketRequest`]). The protocol, for whoever writes the other side:
//!
//! 1. `GET /v1/packets/{id}`, with the client certificate; id is the request's. Answer 200 `{"received": bytes}`: how much of the
//!    answer is here.
//! 2. `POST /v1/packets/{id}?offset=N`. Body: at most 2 MiB of the answer (pcapng) from byte N on. Answer 200 `{"received": bytes}`. A part that does
//!    not go on where the last one ended is left out; one at 0 begins anew.
//! 3. `POST /v1/packets/{id}/answer`. Body: [`PacketAnswer`] as JSON: the account with its SHA-256, or why there are none. Answer 200 `{}`; the
//!    same again changes nothing. 503: the parts do not fit the SHA-256; send them again from 0.
//!
//! 404: not asked of this sensor. 410: answered, withdrawn or over. 400: longer than what was asked for. Other errors as in
//! [`super::sensor`].

use super::body::{self, Encoding};
use super::https::App;
use super::identity::{ClientCertificate, Refused, by_certificate};
use crate::publish::now;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use dongson_event::trust::PacketAnswer;
use dongson_registry::Error;
use serde::{Deserialize, Serialize};

/// Longest part in bytes.
const MAX_PART: usize = 2 << 20;
/// Longest account in bytes.
const MAX_ACCOUNT: usize = 64 << 10;

/// The routes.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/packets/{id}", get(received).post(part))
        .route("/v1/packets/{id}/answer", post(answer))
}

#[derive(Debug, Serialize)]
struct Received {
    received: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    offset: i64,
}

async fn received(
    State(app): State<App>,
    Extension(certificate): Extension<ClientCertificate>,
    Path(id): Path<String>,
) -> Result<Json<Received>, Refused> {
    let sensor = by_certificate(&app.hall, &certificate).await?;
    let registry = app.hall.directory.registry();
    let received = registry.packets_received(&sensor.id, &id, now().millis()).await;
    Ok(Json(Received { received: received.map_err(|error| refusal(&error))? }))
}

async fn part(
    State(app): State<App>,
    Extension(certificate): Extension<ClientCertificate>,
    Path(id): Path<String>,
    place: Result<Query<Place>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Received>, Refused> {
    let sensor = by_certificate(&app.hall, &certificate).await?;
    let Query(place) = place.map_err(|error| Refused::Bad(error.body_text()))?;
    let held = body::read(&app.hall, &app.room, &headers, body, Some(Encoding::Plain)).await?;
    if held.bytes.len() > MAX_PART {
        return Err(Refused::TooLarge(MAX_PART));
    }
    let registry = app.hall.directory.registry();
    let at = now().millis();
    let received = registry.receive_packets(&sensor.id, &id, place.offset, &held.bytes, at).await;
    let received = received.map_err(|error| refusal(&error))?;
    metrics::counter!("collector_packet_bytes_total").increment(held.bytes.len() as u64);
    app.hall.publisher.tally().heard(&sensor.id, now(), None);
    Ok(Json(Received { received }))
}

async fn answer(
    State(app): State<App>,
    Extension(certificate): Extension<ClientCertificate>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<serde_json::Value>, Refused> {
    let sensor = by_certificate(&app.hall, &certificate).await?;
    let held = body::read(&app.hall, &app.room, &headers, body, Some(Encoding::Plain)).await?;
    if held.bytes.len() > MAX_ACCOUNT {
        return Err(Refused::TooLarge(MAX_ACCOUNT));
    }
    let answer: PacketAnswer = serde_json::from_slice(&held.bytes)
        .map_err(|error| Refused::Bad(format!("the body is not as expected: {error}")))?;
    let registry = app.hall.directory.registry();
    registry.end_packets(&sensor.id, &id, &answer, now().millis()).await.map_err(|error| refusal(&error))?;
    Ok(Json(serde_json::json!({})))
}

fn refusal(error: &Error) -> Refused {
    match error {
        Error::NotFound(_) => Refused::Nowhere,
        Error::Refused { reason: "is over already", .. } => Refused::Gone("this request is over"),
        Error::Refused { reason: "has more bytes than were asked for", .. } => {
            Refused::Bad("the answer is longer than what was asked for".to_owned())
        }
        other => Refused::unavailable(other),
    }
}
