//! What sensors are told: desired state, requests, packs. The protocol, for whoever writes the other side:
//!
//! 1. `GET /v1/desired?root=N`, with the client certificate; N is the version of the root document that the sensor has, 0
//!    for none. Answer 200: `{"roots": [...], "desired": [...], "packs": [...], "requests": [...]}`, each a list of signed
//!    envelopes ([`dongson_event::trust`]); header `etag`. With `If-None-Match: <that etag>` the answer waits until there is
//!    something else, as long as `Prefer: wait=SECONDS` (RFC 7240, 4.3) asks, at most 30 s; then 304. A sensor that is
//!    revoked meanwhile is answered 403 at once.
//!    With the header `x-dongson-log-size: N`, the size of the head of the transparency log that the sensor knows (0: none), each
//!    answer, 304 too, has the headers `x-dongson-log-key` (C2SP signed-note: `NAME+ID+KEY`), `x-dongson-log-head` (the signed
//!    note, lines joined by `|`, the dash before a signature written `--`) and `x-dongson-log-proof` (RFC 9162, 2.1.4:
//!    hashes in hexadecimal, joined by commas; empty where none is needed).
//! 2. `GET /v1/pack/{sha256}`, with the client certificate: the pack's bytes. `Range: bytes=FIRST-` and `bytes=FIRST-LAST` go
//!    on where a broken answer ended (RFC 9110, 14): 206, or 416. One answer holds at most 4 MiB: ask for the rest again.
//!    404: there is no such pack for this sensor.
//!
//! Errors as in [`super::sensor`]. The collector signs nothing and reads nothing of what is signed: it hands on.

use super::https::App;
use super::identity::{ClientCertificate, Refused, by_certificate};
use crate::publish::now;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use dongson_event::trust::{Envelope, MAX_PACK_BYTES};
use dongson_registry::{Registry, Sensor};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io::SeekFrom;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Longest that an answer waits for news.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How often the registry is asked whether anything changed.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Most bytes of a pack in one answer.
const PART_BYTES: u64 = 4 << 20;

/// The routes.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/v1/desired", get(desired)).route("/v1/pack/{sha256}", get(pack))
}

/// Tells those who wait that something changed, and knows where the packs are.
#[derive(Debug, Clone)]
pub(crate) struct News {
    mark: watch::Receiver<i64>,
    packs: Arc<PathBuf>,
}

impl News {
    /// News of `registry`, and the task that watches for them; `packs` is the folder of packs, each named by its SHA-256.
    pub(crate) fn watch(
        registry: Registry,
        packs: PathBuf,
        shutdown: CancellationToken,
    ) -> (Self, impl Future<Output = ()>) {
        let (sender, mark) = watch::channel(0);
        (Self { mark, packs: Arc::new(packs) }, look(registry, sender, shutdown))
    }
}

async fn look(registry: Registry, sender: watch::Sender<i64>, shutdown: CancellationToken) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = every.tick() => {}
        }
        match registry.desired_mark().await {
            Ok(mark) => {
                sender.send_if_modified(|held| std::mem::replace(held, mark) != mark);
            }
            Err(error) => tracing::warn!(%error, "the registry does not say whether sensors have news"),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    root: u64,
}

#[derive(Debug, Serialize)]
struct Told {
    roots: Vec<Envelope>,
    desired: Vec<Envelope>,
    packs: Vec<Envelope>,
    requests: Vec<Envelope>,
}

async fn desired(
    State(app): State<App>,
    Extension(certificate): Extension<ClientCertificate>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let Query(asked) = asked.map_err(|error| Refused::Bad(error.body_text()))?;
    let log = log_size(&headers);
    let known = headers.get(header::IF_NONE_MATCH).cloned();
    let until = Instant::now() + if known.is_some() { wait(&headers) } else { Duration::ZERO };
    let mut mark = app.news.mark.clone();
    loop {
        mark.mark_unchanged();
        let sensor = by_certificate(&app.hall, &certificate).await?;
        let body = told(&app, &sensor, asked.root).await?;
        let etag = format!("\"{}\"", hex::encode(Sha256::digest(&body)));
        let etag =
            HeaderValue::try_from(etag).map_err(|_| Refused::Bad("the answer has no mark".to_owned()))?;
        if known.as_ref() != Some(&etag) {
            let kind = HeaderValue::from_static("application/json");
            let head = log_headers(&app, log).await;
            return Ok((head, [(header::ETAG, etag), (header::CONTENT_TYPE, kind)], body).into_response());
        }
        let news = tokio::select! {
            changed = mark.changed() => changed.is_ok(),
            () = tokio::time::sleep_until(until) => false,
            () = app.hall.shutdown.cancelled() => false,
        };
        if !news {
            // Who was revoked without news learns it too.
            by_certificate(&app.hall, &certificate).await?;
            let head = log_headers(&app, log).await;
            return Ok((StatusCode::NOT_MODIFIED, head, [(header::ETAG, etag)]).into_response());
        }
    }
}

/// The body of the answer to `sensor`.
async fn told(app: &App, sensor: &Sensor, root: u64) -> Result<String, Refused> {
    let registry = app.hall.directory.registry();
    let offer = registry.offer(&sensor.organization, &sensor.id, root, now().millis()).await;
    let offer = offer.map_err(|error| Refused::unavailable(&error))?;
    let told =
        Told { roots: offer.roots, desired: offer.desired, packs: offer.packs, requests: offer.requests };
    serde_json::to_string(&told).map_err(|error| Refused::unavailable(&error))
}

/// The size of the log's head that the sensor knows; `None` from one that does not witness.
fn log_size(headers: &HeaderMap) -> Option<u64> {
    headers.get("x-dongson-log-size")?.to_str().ok()?.parse().ok()
}

/// What a witness is told of the transparency log. Without it the answer is as good: the log is told with the next.
async fn log_headers(app: &App, known: Option<u64>) -> HeaderMap {
    let Some(known) = known else { return HeaderMap::new() };
    let registry = app.hall.directory.registry();
    match head_of(registry, known).await {
        Ok(headers) => headers,
        Err(error) => {
            tracing::warn!(%error, "a sensor is not told of the transparency log");
            HeaderMap::new()
        }
    }
}

async fn head_of(registry: &Registry, known: u64) -> Result<HeaderMap, dongson_registry::Error> {
    let mut headers = HeaderMap::new();
    let Some(head) = registry.transparency_head(now().millis()).await? else { return Ok(headers) };
    let Some(key) = registry.transparency_key().await? else { return Ok(headers) };
    let size = head.size.cast_unsigned();
    let proof = if known < size { registry.transparency_consistency(known, size).await? } else { Vec::new() };
    let proof: Vec<String> = proof.iter().map(hex::encode).collect();
    let note = head.note.replace('\n', "|").replace('\u{2014}', "--");
    for (name, value) in [
        ("x-dongson-log-key", key.to_string()),
        ("x-dongson-log-head", note),
        ("x-dongson-log-proof", proof.join(",")),
    ] {
        // Base64, digits and hexadecimal are signs of headers.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    Ok(headers)
}

/// How long the client wants to wait (RFC 7240, 4.3), in bounds.
fn wait(headers: &HeaderMap) -> Duration {
    let asked = headers.get("prefer").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let seconds = asked.split([',', ';']).find_map(|part| part.trim().strip_prefix("wait=")?.parse().ok());
    seconds.map_or(Duration::ZERO, Duration::from_secs).min(LONGEST_WAIT)
}

async fn pack(
    State(app): State<App>,
    Extension(certificate): Extension<ClientCertificate>,
    Path(sha256): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let sensor = by_certificate(&app.hall, &certificate).await?;
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if sha256.len() != 64 || !sha256.bytes().all(is_digit) {
        return Err(Refused::Bad("a pack is named by 64 hexadecimal digits".to_owned()));
    }
    let registry = app.hall.directory.registry();
    let offered = registry.offers_pack(&sensor.organization, &sensor.id, &sha256).await;
    if !offered.map_err(|error| Refused::unavailable(&error))? {
        return Err(Refused::Nowhere);
    }
    let failed = |error: std::io::Error| {
        tracing::warn!(%error, sha256, "a pack that is offered cannot be read");
        Refused::unavailable(&error)
    };
    let mut file = tokio::fs::File::open(app.news.packs.join(&sha256)).await.map_err(failed)?;
    let length = file.metadata().await.map_err(failed)?.len().min(MAX_PACK_BYTES);
    let Some((first, last)) = range(headers.get(header::RANGE), length)? else {
        let whole = format!("bytes */{length}");
        return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, whole)]).into_response());
    };
    file.seek(SeekFrom::Start(first)).await.map_err(failed)?;
    let count = last - first + 1;
    let mut part = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
    file.take(count).read_to_end(&mut part).await.map_err(failed)?;
    let kind = (header::CONTENT_TYPE, "application/octet-stream".to_owned());
    if count == length {
        return Ok(([kind], Body::from(part)).into_response());
    }
    let place = (header::CONTENT_RANGE, format!("bytes {first}-{last}/{length}"));
    Ok((StatusCode::PARTIAL_CONTENT, [kind, place], Body::from(part)).into_response())
}

/// First and last byte of the part to send; `None` when the range begins behind the end.
fn range(asked: Option<&HeaderValue>, length: u64) -> Result<Option<(u64, u64)>, Refused> {
    let bad = || Refused::Bad("the range is not of the form bytes=FIRST- or bytes=FIRST-LAST".to_owned());
    let (first, last) = match asked {
        None => (0, u64::MAX),
        Some(value) => {
            let text = value.to_str().ok().and_then(|text| text.strip_prefix("bytes=")).ok_or_else(bad)?;
            let (first, last) = text.split_once('-').ok_or_else(bad)?;
            let last = if last.is_empty() { u64::MAX } else { last.parse().map_err(|_| bad())? };
            (first.parse().map_err(|_| bad())?, last)
        }
    };
    if last < first {
        return Err(bad());
    }
    let last = last.min(first.saturating_add(PART_BYTES - 1)).min(length.saturating_sub(1));
    Ok((first < length).then_some((first, last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let check = |text: &str, length| range(Some(&HeaderValue::from_str(text).unwrap()), length).ok();
        assert_eq!(range(None, 10).unwrap(), Some((0, 9)));
        assert_eq!(check("bytes=0-", 10), Some(Some((0, 9))));
        assert_eq!(check("bytes=4-6", 10), Some(Some((4, 6))));
        assert_eq!(check("bytes=4-99", 10), Some(Some((4, 9))));
        assert_eq!(check("bytes=10-", 10), Some(None));
        assert_eq!(check("bytes=0-", 0), Some(None));
        assert_eq!(check("bytes=1-", PART_BYTES * 2), Some(Some((1, PART_BYTES))));
        let whole = format!("bytes={}-{}", u64::MAX, u64::MAX);
        assert_eq!(check(&whole, 10), Some(None));
        for bad in ["bytes=5-4", "bytes=-5", "lines=1-2", "bytes=", "bytes=a-"] {
            assert_eq!(check(bad, 10), None, "{bad}");
        }
    }

    #[test]
    fn waiting_is_bounded() {
        let check = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("prefer", text.parse().unwrap());
            wait(&headers).as_secs()
        };
        assert_eq!(check("wait=5"), 5);
        assert_eq!(check("respond-async, wait=10"), 10);
        assert_eq!(check("wait=86400"), 30);
        assert_eq!(check("wait=x"), 0);
    }
}
