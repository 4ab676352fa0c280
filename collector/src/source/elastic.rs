//! The Elasticsearch `_bulk` API as far as Filebeat, Winlogbeat, Vector and Logstash need it.
//!
//! `POST /_bulk` and `/{index}/_bulk` take `create` and `index`; `update` and `delete` get status 400 for their item.
//!
//! What is idempotent, for seven days ([`dongson_bus::Options::token_age`]; longer than that, the same id stays the same
//! event, but may be stored twice):
//!
//! - a document with an `_id` is the same event whenever it comes under the same key and index;
//! - documents without one are named by the SHA-256 of the whole request body and their place in it. The same body
//!   again, byte for byte, as a shipper sends it after a lost answer, is the same events, once. A shipper that cuts
//!   its batches anew before it sends them again sends other bodies: these documents are stored twice. And two
//!   requests that were meant to be different, but are equal to the last byte, count once: records without a time
//!   need an `_id` (or a sequence number) of the shipper's.
//!
//! What shippers ask before (version, licence, templates, policies, pipelines) is answered so that they go on.

use super::body;
use super::https::App;
use super::identity::{Refused, by_key};
use crate::intake::Origin;
use crate::publish::Item;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use bytes::Bytes;
use dongson_event::identity;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The version that shippers are told; their 7 and 8 lines both speak to it.
const VERSION: &str = "8.15.0";
/// Documents with an `_id` that are stored side by side.
const SIDE_BY_SIDE: usize = 256;

/// The routes.
pub(crate) fn routes() -> Router<App> {
    let mut router = Router::new()
        .route("/", get(info))
        .route("/_license", get(licence))
        .route("/_xpack", get(xpack))
        .route("/_cluster/health", get(health))
        .route("/_bulk", post(bulk).put(bulk))
        .route("/{index}/_bulk", post(bulk_of).put(bulk_of));
    let probes = [
        "_template",
        "_index_template",
        "_component_template",
        "_ilm/policy",
        "_ingest/pipeline",
        "_data_stream",
        "_alias",
        "_cat/templates",
        "_slm/policy",
    ];
    for probe in probes {
        router =
            router.route(&format!("/{probe}"), any(setup)).route(&format!("/{probe}/{{*name}}"), any(setup));
    }
    router
}

/// An answer as Elasticsearch marks it: clients refuse a server without the header.
fn marked(status: StatusCode, body: Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert("x-elastic-product", HeaderValue::from_static("Elasticsearch"));
    response
}

async fn info(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refused> {
    by_key(&app.hall, &headers).await?;
    let body = json!({
        "name": "dongson", "cluster_name": "dongson", "cluster_uuid": "dongson-collector-bulk",
        "version": {
            "number": VERSION, "build_flavor": "default", "build_type": "docker", "build_hash": "dongson",
            "build_date": "2026-01-01T00:00:00.000Z", "build_snapshot": false, "lucene_version": "9.11.1",
            "minimum_wire_compatibility_version": "7.17.0", "minimum_index_compatibility_version": "7.0.0"
        },
        "tagline": "You Know, for Search"
    });
    Ok(marked(StatusCode::OK, body))
}

async fn licence(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refused> {
    by_key(&app.hall, &headers).await?;
    let body = json!({ "license": {
        "uid": "dongson", "type": "basic", "mode": "basic", "status": "active", "issuer": "dongson"
    } });
    Ok(marked(StatusCode::OK, body))
}

async fn xpack(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refused> {
    by_key(&app.hall, &headers).await?;
    let body = json!({
        "license": { "uid": "dongson", "type": "basic", "mode": "basic", "status": "active" },
        "features": { "ilm": { "available": true, "enabled": true }, "security": { "available": true, "enabled": true } }
    });
    Ok(marked(StatusCode::OK, body))
}

async fn health(State(app): State<App>, headers: HeaderMap) -> Result<Response, Refused> {
    by_key(&app.hall, &headers).await?;
    Ok(marked(StatusCode::OK, json!({ "cluster_name": "dongson", "status": "green", "timed_out": false })))
}

/// Templates, policies and pipelines: asked for, they are there; sent, they are acknowledged and not kept, because
/// our schema is fixed and our parsers run here.
async fn setup(State(app): State<App>, method: Method, headers: HeaderMap) -> Result<Response, Refused> {
    by_key(&app.hall, &headers).await?;
    let body = if method == Method::GET { json!({}) } else { json!({ "acknowledged": true }) };
    Ok(marked(StatusCode::OK, body))
}

async fn bulk(State(app): State<App>, headers: HeaderMap, body: Body) -> Result<Response, Refused> {
    take(&app, "", &headers, body).await
}

async fn bulk_of(
    State(app): State<App>,
    Path(index): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    take(&app, &index, &headers, body).await
}

/// What an action line says of its document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Target {
    #[serde(rename = "_index")]
    index: Option<String>,
    #[serde(rename = "_id")]
    id: Option<Value>,
}

impl Target {
    /// `_id` as text; shippers also send numbers.
    fn name(&self) -> Option<String> {
        match self.id.as_ref()? {
            Value::String(text) if !text.is_empty() && text.len() <= 512 => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

/// One item of the request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Action {
    verb: String,
    target: Target,
    /// `None` for `delete`.
    document: Option<Bytes>,
}

async fn take(app: &App, index: &str, headers: &HeaderMap, body: Body) -> Result<Response, Refused> {
    let started = std::time::Instant::now();
    let origin = by_key(&app.hall, headers).await?;
    let held = body::read(&app.hall, &app.room, headers, body, None).await?;
    let actions = actions(&held.bytes)?;
    let digest = hex::encode(Sha256::digest(&held.bytes));
    store(app, &origin, index, &digest, &actions).await?;
    let (items, errors) = answers(&actions, index, &origin.principal.id, &digest);
    if errors > 0 {
        app.hall.publisher.tally().reject(errors);
    }
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(marked(StatusCode::OK, json!({ "took": took, "errors": errors > 0, "items": items })))
}

/// Splits the body into actions; a broken action line refuses the whole request, as Elasticsearch does.
pub(crate) fn actions(body: &Bytes) -> Result<Vec<Action>, Refused> {
    let mut lines = body::lines(body).zip(1_u64..);
    let mut actions = Vec::new();
    while let Some((line, number)) = lines.next() {
        let parsed: BTreeMap<String, Target> = serde_json::from_slice(&line)
            .map_err(|error| Refused::Bad(format!("malformed action line {number}: {error}")))?;
        let mut entries = parsed.into_iter();
        let (Some((verb, target)), None) = (entries.next(), entries.next()) else {
            return Err(Refused::Bad(format!("malformed action line {number}: one action is needed")));
        };
        let document = match verb.as_str() {
            "create" | "index" | "update" => match lines.next() {
                Some((document, _)) => Some(document),
                None => return Err(Refused::Bad(format!("the action in line {number} has no document"))),
            },
            "delete" => None,
            _ => return Err(Refused::Bad(format!("malformed action line {number}: {verb:?} is unknown"))),
        };
        actions.push(Action { verb, target, document });
    }
    if actions.is_empty() {
        return Err(Refused::Bad("the body holds no actions".to_owned()));
    }
    Ok(actions)
}

fn is_taken(action: &Action) -> bool {
    matches!(action.verb.as_str(), "create" | "index")
}

/// The name of a document that has an `_id`: its index and id under the key.
fn named(action: &Action, index: &str) -> Option<String> {
    let id = action.target.name()?;
    Some(format!("{}\u{0}{id}", action.target.index.as_deref().unwrap_or(index)))
}

fn event_id(action: &Action, place: u64, index: &str, principal: &str, digest: &str) -> uuid::Uuid {
    match named(action, index) {
        Some(name) => identity::of_client(principal, &name, 0),
        None => identity::of_client(principal, digest, place),
    }
}

/// Documents without `_id` go as one batch under the body's digest; those with one, each under its name.
async fn store(
    app: &App,
    origin: &Arc<Origin>,
    index: &str,
    digest: &str,
    actions: &[Action],
) -> Result<(), Refused> {
    let principal = origin.principal.id.as_str();
    let mut batch = Vec::new();
    let mut single = Vec::new();
    for (action, place) in actions.iter().zip(0_u64..).filter(|(action, _)| is_taken(action)) {
        let Some(raw) = action.document.clone() else { continue };
        let item = Item { raw, id: event_id(action, place, index, principal, digest) };
        if named(action, index).is_some() { single.push(item) } else { batch.push(item) }
    }
    let publisher = &app.hall.publisher;
    let token = format!("bulk/{principal}/{digest}");
    publisher.publish(origin, batch, Some(&token)).await.map_err(|error| Refused::unavailable(&error))?;
    for some in single.chunks(SIDE_BY_SIDE) {
        let tasks = some.iter().map(|item| async move {
            let token = format!("doc/{principal}/{}", item.id);
            publisher.publish(origin, vec![item.clone()], Some(&token)).await
        });
        let outcomes = futures::future::join_all(tasks).await;
        for outcome in outcomes {
            outcome.map_err(|error| Refused::unavailable(&error))?;
        }
    }
    Ok(())
}

/// One answer per item, in order, and how many are errors.
fn answers(actions: &[Action], index: &str, principal: &str, digest: &str) -> (Vec<Value>, u64) {
    let mut errors = 0;
    let mut items = Vec::with_capacity(actions.len());
    for (action, place) in actions.iter().zip(0_u64..) {
        let name = action.target.index.as_deref().unwrap_or(index);
        let id = action
            .target
            .name()
            .unwrap_or_else(|| event_id(action, place, index, principal, digest).to_string());
        let body = if is_taken(action) {
            json!({ "_index": name, "_id": id, "_version": 1, "result": "created", "status": 201,
                    "_shards": { "total": 1, "successful": 1, "failed": 0 }, "_seq_no": place, "_primary_term": 1 })
        } else {
            errors += 1;
            let reason = format!("{} is not supported: events are not changed", action.verb);
            json!({ "_index": name, "_id": id, "status": 400,
                    "error": { "type": "illegal_argument_exception", "reason": reason } })
        };
        items.push(Value::Object([(action.verb.clone(), body)].into_iter().collect()));
    }
    (items, errors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn action_lines() {
        let body = Bytes::from_static(
            b"{\"create\":{\"_index\":\"f\",\"_id\":\"a\"}}\n{\"x\":1}\n{\"delete\":{\"_id\":7}}\n{\"index\":{}}\n{}\n",
        );
        let found = actions(&body).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].document.as_deref(), Some(&b"{\"x\":1}"[..]));
        assert_eq!(found[1].target.name().as_deref(), Some("7"));
        for bad in [
            "",
            "{}\n{}",
            "[]\n{}",
            "{\"create\":{}}",
            "{\"make\":{}}\n{}",
            "{\"create\":{},\"index\":{}}\n{}",
        ] {
            assert!(actions(&Bytes::from(bad)).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(body: Vec<u8>) {
            drop(actions(&Bytes::from(body)));
        }
    }
}
