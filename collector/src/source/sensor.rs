//! Sensors: enrolment, renewal, batches, health. The protocol, for whoever writes the other side:
//!
//! A sensor only ever dials out, over HTTPS (HTTP/1.1 or 2). The server's chain ends with the certificate of the
//! collector's authority; the sensor trusts the connection if the chain verifies against that certificate and the
//! certificate's SHA-256 is the one in its token (later: the one it stored). Server names are as configured.
//!
//! 1. `POST /v1/enrol`, no client certificate. Body: `{"token": "dst1.<secret>.<sha256 of the authority's certificate in
//!    DER, base64url>", "csr": "<PKCS#10 in PEM>"}`. Only the key of the request counts. Answer 200:
//!    `{"sensor": id, "organization": id, "node": name, "certificate": PEM, "authority": PEM, "not_after": RFC 3339,
//!    "roots": [signed root documents, oldest first]}`.
//!    400: the request is not valid, or the token is of another centre; 401: no such token; 403: used, withdrawn or
//!    expired (the message says which); 429: ten wrong tokens came from this address within a minute. A token is used up when the certificate is made: if the answer is lost, a new token is needed.
//! 2. `POST /v1/renew`, with the client certificate. Body: `{"csr": PEM}` (a new key is welcome). Answer as above. The old
//!    certificate stays valid until it ends. Certificates live 90 days; renew when a third is left.
//! 3. `POST /v1/batch`, with the client certificate. Headers: `dongson-epoch` (u64, chosen when the spool is made),
//!    `dongson-sequence` (u64, one more for each batch of the epoch; they may come in any order), `dongson-events`
//!    (number of lines), `dongson-class` (`alert`, `context`, `conn`, `protocol` or `file`), `dongson-root` (the Merkle
//!    tree hash of the lines, RFC 9162, 2.1.1, hexadecimal), `dongson-signature` (over
//!    [`Place::statement`](dongson_event::batch::Place::statement) by the key of the client certificate, ECDSA on P-256
//!    with SHA-256, ASN.1, base64url), and in a drill `dongson-drill` (the session's nonce). Without root and signature,
//!    as former versions send it, a batch is taken and counted as unsigned. Body: zstd of NDJSON, one event per line, at
//!    most 16 MiB packed and 32 MiB unpacked. Answer 200 after the bus has synced it and the registry has noted it:
//!    `{"accepted": lines, "duplicate": bool, "epoch": n, "sequence": n}`. The same (epoch, sequence) again is the same
//!    events, stored once, even after a crash of the collector; its body must be the same (another root: 400).
//!    `duplicate` is for information: true when it was noted before.
//! 4. `POST /v1/health`, with the client certificate. Body: a JSON object, at most 64 KiB, that the console shows.
//!    Answer 200 `{}`. Batches count as a sign of life too.
//!
//! 5. `POST /v1/account`, with the client certificate. Body: a [`Stated`](dongson_registry::Stated), at most 2 MiB: what the
//!    sensor assigned, holds, and will never send. Answer 200: the centre's summary of it. It may be sent again.
//! 6. `POST /v1/clock`, with the client certificate, no body. Answer 200: `{"received": n, "sent": n}`, nanoseconds since
//!    1970 UTC (RFC 5905, section 8: T2 and T3).
//!
//! 400: the batch is wrong and will never be taken: set it aside and count it as lost; 401: no certificate of an
//! enrolled sensor, or it has ended: enrol again; 403: revoked, or the drill has ended: stop sending this; 413: too
//! long: cut smaller batches; 429 and 503: keep the batch and send it again after `Retry-After` seconds. Whatever is
//! not answered with 200 stays in the spool. Every error is JSON `{status, code, message}`.
//!
//! `event.id` is made from (sensor, epoch, sequence, line), so the sensor need not set it; what it says for
//! `organization.id`, `observer.name` or `event.id` moves to `dongson.claimed.*`.

use super::account::{ClientKey, Seal, account};
use super::body::{self, Encoding, lines};
use super::https::App;
use super::identity::{ClientCertificate, Peer, Refused, by_certificate, drill};
use crate::authority::{AuthorityError, Issued};
use crate::publish::{Item, now};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Extension, Json, Router};
use bytes::Bytes;
use dongson_event::batch::Place;
use dongson_event::trust::Envelope;
use dongson_event::{Timestamp, identity};
use dongson_registry::{Error, Received, Sensor, SensorCertificate, new_id};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Longest body of a request for a certificate, in bytes.
const MAX_REQUEST: usize = 64 << 10;

/// The routes.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/enrol", post(enrol))
        .route("/v1/renew", post(renew))
        .route("/v1/batch", post(batch))
        .route("/v1/account", post(account))
        .route("/v1/clock", post(clock))
        .route("/v1/health", post(health))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Enrol {
    token: String,
    csr: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Renew {
    csr: String,
}

/// What a sensor keeps beside its key.
#[derive(Debug, Serialize)]
struct Enrolled {
    sensor: String,
    organization: String,
    node: String,
    certificate: String,
    authority: String,
    not_after: Timestamp,
    /// The root documents so far, signed: what the sensor believes of who may tell it what to do. None where the centre
    /// has none yet.
    roots: Vec<Envelope>,
}

async fn enrol(
    State(app): State<App>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Enrolled>, Refused> {
    let wish: Enrol = small(&app, &headers, body, MAX_REQUEST).await?;
    let mut words = wish.token.trim().split('.');
    let (Some("dst1"), Some(secret), Some(centre), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refused::Bad("the token is not of the form dst1.SECRET.FINGERPRINT".to_owned()));
    };
    if centre != app.authority.fingerprint() {
        return Err(Refused::Bad("the token was made by another centre".to_owned()));
    }
    let registry = app.hall.directory.registry();
    let at = now().millis();
    if !app.guesses.may_try(peer, at) {
        metrics::counter!("collector_guesses_refused_total").increment(1);
        return Err(Refused::Guessing);
    }
    if let Err(error) = registry.enrolment_token(secret, at).await {
        if matches!(error, Error::NotFound(_)) {
            tracing::warn!(%peer, "a sensor tried to enrol with a token that was never made here");
            app.guesses.wrong(peer, at);
        }
        return Err(refusal(&error));
    }
    let id = new_id();
    let issued = app.authority.sign(&wish.csr, &id, at).map_err(|error| not_signed(&error))?;
    let sensor = registry.redeem(secret, &entry(&id, &issued), at).await.map_err(|error| refusal(&error))?;
    tracing::info!(sensor = id, organization = sensor.organization, node = sensor.node, "a sensor enrolled");
    metrics::counter!("collector_sensors_enrolled_total").increment(1);
    Ok(Json(answer(&app, sensor, issued).await?))
}

async fn renew(
    State(app): State<App>,
    Extension(certificate): Extension<ClientCertificate>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Enrolled>, Refused> {
    let sensor = by_certificate(&app.hall, &certificate).await?;
    let wish: Renew = small(&app, &headers, body, MAX_REQUEST).await?;
    let at = now().millis();
    let issued = app.authority.sign(&wish.csr, &sensor.id, at).map_err(|error| not_signed(&error))?;
    let registry = app.hall.directory.registry();
    let sensor =
        registry.renew_sensor(&entry(&sensor.id, &issued), at).await.map_err(|error| refusal(&error))?;
    Ok(Json(answer(&app, sensor, issued).await?))
}

async fn batch(
    State(app): State<App>,
    Extension(certificate): Extension<ClientCertificate>,
    Extension(key): Extension<ClientKey>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<serde_json::Value>, Refused> {
    let sensor = by_certificate(&app.hall, &certificate).await?;
    let (epoch, sequence) = (number(&headers, "dongson-epoch")?, number(&headers, "dongson-sequence")?);
    let stated = number(&headers, "dongson-events")?;
    let drill = drill(&app.hall, &headers).await?;
    let held = body::read(&app.hall, &app.room, &headers, body, Some(Encoding::Zstd)).await?;
    let raws: Vec<Bytes> = lines(&held.bytes).collect();
    let accepted = raws.len() as u64;
    if accepted != stated {
        return Err(Refused::Bad(format!("dongson-events says {stated}, the body has {accepted} lines")));
    }
    let registry = app.hall.directory.registry();
    let (accounts, at) = (&app.accounts, (epoch, sequence));
    let seal = match Seal::read(&headers, certificate.0.as_deref().unwrap_or_default()) {
        Ok(seal) => seal,
        Err(reason) => return Err(accounts.refuse(registry, &sensor, at, reason).await),
    };
    let place = Place { sensor: &sensor.id, epoch, sequence, class: seal.class, events: accepted };
    if let Err(reason) = seal.check(place, &key, raws.clone()).await {
        return Err(accounts.refuse(registry, &sensor, at, reason).await);
    }
    let known = registry.batch_root(&sensor.id, epoch, sequence).await;
    let known = known.map_err(|error| Refused::unavailable(&error))?;
    if let (Some(known), Some(signed)) = (known, &seal.signed)
        && known != signed.root
    {
        let reason =
            format!("batch {sequence} came before with another root: a batch that is sent again is the same");
        return Err(accounts.refuse(registry, &sensor, at, reason).await);
    }
    let origin = Arc::new(app.hall.directory.sensor(&sensor, drill));
    let principal = origin.principal.id.as_str();
    let items: Vec<Item> = raws
        .into_iter()
        .zip(0_u64..)
        .map(|(raw, index)| Item { raw, id: identity::of_sequence(principal, epoch, sequence, index) })
        .collect();
    let token = format!("{principal}/{epoch}/{sequence}");
    let landed = app.hall.publisher.publish(&origin, items, Some(&token)).await;
    landed.map_err(|error| Refused::unavailable(&error))?;
    let Seal { class, signed } = seal;
    let (heard, id) = (now(), sensor.id.clone());
    let received =
        Received { sensor: id, epoch, sequence, class, events: accepted, at: heard.millis(), signed };
    let duplicate = app.accounts.note(registry, received).await?;
    app.hall.publisher.tally().heard(&sensor.id, heard, None);
    Ok(Json(serde_json::json!({
        "accepted": accepted, "duplicate": duplicate, "epoch": epoch, "sequence": sequence,
    })))
}

/// The collector's clock, for a sensor that measures its own by it (RFC 5905, section 8): `received` (T2) and `sent`
/// (T3) in nanoseconds since 1970 UTC.
async fn clock(
    State(app): State<App>,
    Extension(certificate): Extension<ClientCertificate>,
) -> Result<Json<serde_json::Value>, Refused> {
    let received = now().nanos();
    by_certificate(&app.hall, &certificate).await?;
    Ok(Json(serde_json::json!({ "received": received, "sent": now().nanos() })))
}

async fn health(
    State(app): State<App>,
    Extension(certificate): Extension<ClientCertificate>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<serde_json::Value>, Refused> {
    let sensor = by_certificate(&app.hall, &certificate).await?;
    let report: serde_json::Map<String, serde_json::Value> = small(&app, &headers, body, MAX_REQUEST).await?;
    app.hall.publisher.tally().heard(&sensor.id, now(), Some(report.into()));
    Ok(Json(serde_json::json!({})))
}

/// A JSON body of at most `limit` bytes.
pub(crate) async fn small<T: for<'de> Deserialize<'de>>(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<T, Refused> {
    let held = body::read(&app.hall, &app.room, headers, body, None).await?;
    if held.bytes.len() > limit {
        return Err(Refused::TooLarge(limit));
    }
    serde_json::from_slice(&held.bytes)
        .map_err(|error| Refused::Bad(format!("the body is not as expected: {error}")))
}

fn number(headers: &HeaderMap, name: &str) -> Result<u64, Refused> {
    let value = headers.get(name).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    value.ok_or_else(|| Refused::Bad(format!("header {name} is missing or not a number")))
}

fn entry(sensor: &str, issued: &Issued) -> SensorCertificate {
    SensorCertificate {
        sensor: sensor.to_owned(),
        serial: issued.serial.clone(),
        fingerprint: issued.fingerprint.clone(),
        not_after: issued.not_after_ms,
    }
}

async fn answer(app: &App, sensor: Sensor, issued: Issued) -> Result<Enrolled, Refused> {
    let roots = app.hall.directory.registry().trust_roots(0).await;
    let roots = roots.map_err(|error| refusal(&error))?;
    Ok(Enrolled {
        sensor: sensor.id,
        organization: sensor.organization,
        node: sensor.node,
        certificate: issued.certificate_pem,
        authority: app.authority.pem().to_owned(),
        not_after: Timestamp::from_millis(issued.not_after_ms),
        roots,
    })
}

fn refusal(error: &Error) -> Refused {
    match error {
        Error::NotFound("sensor") => Refused::Certificate,
        Error::NotFound(_) => Refused::Token,
        Error::Refused { what, reason } => Refused::Over { what, reason },
        other => Refused::unavailable(other),
    }
}

fn not_signed(error: &AuthorityError) -> Refused {
    match error {
        AuthorityError::Request(reason) => {
            Refused::Bad(format!("the certificate request is not valid: {reason}"))
        }
        other => Refused::unavailable(other),
    }
}
