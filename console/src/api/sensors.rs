//! Sensors and their enrolment tokens.

use axum::{extract::State, http::StatusCode};
use dongson_registry::{EnrolmentToken, Millis, NewToken, Sensor, SensorEdit, SpoolAccount, SpoolSummary};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{desired::Standing, drills::Drills};
use crate::{
    Console,
    auth::{Administrator, Reader},
    error::{ApiError, ApiResult},
    extract::{Json, Path, Query},
};

/// A sensor and whether it is heard of.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SensorView {
    #[serde(flatten)]
    sensor: Sensor,
    /// Not revoked, and heard of within its silence limit.
    online: bool,
    /// After how many seconds without a word it counts as silent.
    quiet_after_seconds: i64,
    /// How it stands to what is wanted of it.
    configuration: Standing,
    /// What came of what it sent, over all its spools, as it last stated; null when it has stated nothing.
    account: Option<SpoolSummary>,
}

/// The accounts of a sensor's spools.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpoolAccountList {
    /// The newest spool first.
    accounts: Vec<SpoolAccount>,
}

/// The sensors.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SensorList {
    /// By agency and node.
    sensors: Vec<SensorView>,
    /// The time that `online` was judged by.
    at: Millis,
}

/// Which sensors.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct SensorQuery {
    /// `exclude` (if not given): without those that a drill enrolled; `only`: only those; `include`: all.
    drill: Option<Drills>,
}

/// What is to change of a sensor; what is not given stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SensorPatch {
    /// The version that the caller saw.
    version: i64,
    /// Who answers for it: the login of an account that may work on its alerts, or the words for a team or person
    /// without one; an empty text: nobody of its own.
    #[serde(default)]
    owner: Option<String>,
    /// After how many seconds without a word it counts as silent: 60 to 86400.
    #[serde(default)]
    quiet_after_seconds: Option<i64>,
}

/// The enrolment tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenList {
    /// Newest first, without those of drills.
    tokens: Vec<EnrolmentToken>,
}

/// What a new token is bound to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRequest {
    /// The agency of the sensor.
    organization: String,
    /// The node that it will watch: 1 to 64 of a-z, 0-9, -, _ and .
    node: String,
    /// For how many minutes it may be used; 60 if not given, at most seven days.
    #[serde(default)]
    minutes: Option<u32>,
}

/// A new token, shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenMade {
    #[serde(flatten)]
    made: NewToken,
    /// What the sensor is given: `dst1.<secret>.<fingerprint of the collector's authority>`.
    text: String,
    /// Where the sensor can reach the collector, best first.
    collector_urls: Vec<String>,
    /// SHA-256 of the certificate of the collector's authority (base64url), by which the sensor knows it.
    authority_fingerprint: String,
    /// The line that enrols the sensor, for its engineer. It holds the secret.
    enrol_command: String,
    /// The line that starts it afterwards; `eth0` stands for the interface that sees the traffic.
    run_command: String,
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    /// At most 500 characters.
    reason: String,
}

/// Name of the setting in which the collector publishes the SHA-256 of its authority's certificate (base64url).
const AUTHORITY_SETTING: &str = "collector.authority.fingerprint";

/// Where a sensor keeps its identity and its spool.
const SENSOR_DATA: &str = "/var/lib/dongson-sensor";

fn view(sensor: Sensor, wanted: u64, account: Option<SpoolSummary>, now: Millis) -> SensorView {
    let heard =
        sensor.last_seen.is_some_and(|seen| now < seen.saturating_add(sensor.silence_after_seconds * 1000));
    let quiet_after_seconds = sensor.silence_after_seconds;
    let configuration = Standing::of(&sensor, wanted);
    let online = heard && sensor.revoked_at.is_none();
    SensorView { sensor, online, quiet_after_seconds, configuration, account }
}

/// One sensor with what is wanted of it and what came of what it sent.
async fn seen(console: &Console, sensor: Sensor, now: Millis) -> ApiResult<SensorView> {
    let wanted = console.registry.wanted_version(&sensor.organization, &sensor.id).await?;
    let account = console.registry.account_summary(&sensor.id).await?;
    Ok(view(sensor, wanted, account, now))
}

/// The sensors in scope.
#[utoipa::path(get, path = "/sensors", tag = "sensors", params(SensorQuery), responses((status = 200, body = SensorList)))]
pub(crate) async fn list(
    State(console): State<Console>,
    Reader(person): Reader,
    Query(query): Query<SensorQuery>,
) -> ApiResult<Json<SensorList>> {
    let found = console.registry.sensors(&person.scope).await?;
    let drills = query.drill.unwrap_or_default();
    let mut accounts = console.registry.account_summaries(&person.scope).await?;
    let shown = found.into_iter().filter(|sensor| drills.takes(sensor.drill));
    let wanted = console.registry.wanted_versions().await?;
    let seen = |sensor: Sensor| {
        let wanted = wanted.of(&sensor.organization, &sensor.id);
        let account = accounts.remove(&sensor.id).map(SpoolSummary::of_all);
        view(sensor, wanted, account, person.at)
    };
    let sensors = shown.map(seen).collect();
    Ok(Json(SensorList { sensors, at: person.at }))
}

/// One sensor.
#[utoipa::path(get, path = "/sensors/{id}", tag = "sensors", params(("id" = String, Path)), responses((status = 200, body = SensorView)))]
pub(crate) async fn one(
    State(console): State<Console>,
    Reader(person): Reader,
    Path(id): Path<String>,
) -> ApiResult<Json<SensorView>> {
    let sensor = console.registry.sensor(&person.scope, &id).await?;
    Ok(Json(seen(&console, sensor, person.at).await?))
}

/// What came of what a sensor sent, spool by spool: which sequences came, wait there, will never come, and of which nobody
/// knows.
#[utoipa::path(get, path = "/sensors/{id}/accounts", tag = "sensors", params(("id" = String, Path)), responses((status = 200, body = SpoolAccountList)))]
pub(crate) async fn accounts(
    State(console): State<Console>,
    Reader(person): Reader,
    Path(id): Path<String>,
) -> ApiResult<Json<SpoolAccountList>> {
    Ok(Json(SpoolAccountList { accounts: console.registry.sensor_accounts(&person.scope, &id).await? }))
}

/// Says who answers for a sensor, and when it counts as silent.
#[utoipa::path(patch, path = "/sensors/{id}", tag = "sensors", params(("id" = String, Path)), request_body = SensorPatch, responses((status = 200, body = SensorView)))]
pub(crate) async fn patch(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Path(id): Path<String>,
    Json(given): Json<SensorPatch>,
) -> ApiResult<Json<SensorView>> {
    let owner = given.owner.map(|owner| Some(owner).filter(|owner| !owner.trim().is_empty()));
    let edit = SensorEdit { owner, quiet_after_seconds: given.quiet_after_seconds };
    let after =
        console.registry.edit_sensor(&person.scope, &person.change(), &id, given.version, &edit).await?;
    Ok(Json(seen(&console, after, person.at).await?))
}

/// Shuts a sensor out for ever.
#[utoipa::path(post, path = "/sensors/{id}/revoke", tag = "sensors", params(("id" = String, Path)), request_body = Reason, responses((status = 200, body = SensorView)))]
pub(crate) async fn revoke(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Path(id): Path<String>,
    Json(given): Json<Reason>,
) -> ApiResult<Json<SensorView>> {
    let revoked = console.registry.revoke_sensor(&person.scope, &person.change(), &id, &given.reason).await?;
    Ok(Json(seen(&console, revoked, person.at).await?))
}

/// The enrolment tokens.
#[utoipa::path(get, path = "/enrolment-tokens", tag = "sensors", responses((status = 200, body = TokenList)))]
pub(crate) async fn tokens(
    State(console): State<Console>,
    Administrator(person): Administrator,
) -> ApiResult<Json<TokenList>> {
    let mut tokens = console.registry.enrolment_tokens(&person.scope).await?;
    tokens.retain(|token| token.created_by != "service:drill");
    Ok(Json(TokenList { tokens }))
}

/// Makes a one-time token for a sensor.
#[utoipa::path(post, path = "/enrolment-tokens", tag = "sensors", request_body = TokenRequest, responses((status = 201, body = TokenMade)))]
pub(crate) async fn create_token(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Json(given): Json<TokenRequest>,
) -> ApiResult<(StatusCode, Json<TokenMade>)> {
    let authority = console.registry.setting(AUTHORITY_SETTING).await?;
    let fingerprint = authority.as_ref().and_then(|setting| setting.value.as_str());
    let fingerprint = fingerprint.ok_or_else(|| ApiError::new(StatusCode::CONFLICT, "authority_unknown"))?;
    let collector_urls = console.collector_urls.clone();
    let url =
        collector_urls.first().ok_or_else(|| ApiError::new(StatusCode::CONFLICT, "collector_unknown"))?;
    let life = Millis::from(given.minutes.unwrap_or(60)) * 60_000;
    let made = console
        .registry
        .create_enrolment_token(&person.change(), &given.organization, &given.node, life)
        .await?;
    let text = format!("dst1.{}.{fingerprint}", made.secret);
    let answer = TokenMade {
        enrol_command: format!("dongson-sensor enrol {url} {text} --data {SENSOR_DATA}"),
        run_command: format!("dongson-sensor run --interface eth0 --data {SENSOR_DATA}"),
        authority_fingerprint: fingerprint.to_owned(),
        made,
        text,
        collector_urls,
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Withdraws a token that was not used.
#[utoipa::path(post, path = "/enrolment-tokens/{id}/revoke", tag = "sensors", params(("id" = String, Path)), responses((status = 204)))]
pub(crate) async fn revoke_token(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    console.registry.revoke_enrolment_token(&person.scope, &person.change(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
