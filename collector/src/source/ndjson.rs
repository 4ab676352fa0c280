//! `POST /v1/events`: one JSON object (or log line) per line, with an API key.
//!
//! `Authorization: Bearer KEY` or `ApiKey KEY`; `Content-Encoding: gzip` or `zstd`; `Idempotency-Key` (at most 128
//! bytes) names the batch: the same key and body of the same principal again are the same events, stored once, also
//! after a lost answer; the same key with another body is other events. Without it each request is new. The answer is `{"accepted": N}`, after the bus has synced all of it:
//! 400 bad body, 401 key, 403 drill, 413 too long, 429 and 503 (with `Retry-After`) come again later.

use super::body::{self, lines};
use super::https::App;
use super::identity::{Refused, by_key};
use crate::publish::Item;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use dongson_event::identity;
use sha2::{Digest as _, Sha256};

/// Longest `Idempotency-Key` in bytes.
const MAX_KEY: usize = 128;

/// The route.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/v1/events", post(events))
}

async fn events(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<serde_json::Value>, Refused> {
    let origin = by_key(&app.hall, &headers).await?;
    let name = idempotency_key(&headers)?;
    let held = body::read(&app.hall, &app.room, &headers, body, None).await?;
    let principal = origin.principal.id.as_str();
    // The digest is part of the name: a key that comes again with another body names other events, so that none of
    // them is taken for one that is there already.
    let name = name.map(|name| format!("{name}/{}", hex::encode(Sha256::digest(&held.bytes))));
    let fresh = super::fresh_epoch();
    let items: Vec<Item> = lines(&held.bytes)
        .zip(0_u64..)
        .map(|(raw, index)| {
            let id = match &name {
                Some(name) => identity::of_client(principal, name, index),
                None => identity::of_sequence(principal, fresh, 0, index),
            };
            Item { raw, id }
        })
        .collect();
    if items.is_empty() {
        return Err(Refused::Bad("the body holds no records".to_owned()));
    }
    let accepted = items.len();
    let token = name.map(|name| format!("key/{principal}/{name}"));
    let landed = app.hall.publisher.publish(&origin, items, token.as_deref()).await;
    landed.map_err(|error| Refused::unavailable(&error))?;
    Ok(Json(serde_json::json!({ "accepted": accepted })))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=MAX_KEY).contains(&text.len()));
    text.map(Some).ok_or_else(|| Refused::Bad(format!("idempotency-key is not 1 to {MAX_KEY} plain letters")))
}
