//! The resources under `/api/v1`, one file each, and the document that describes them.

mod agencies;
mod alerts;
mod api_keys;
mod assets;
mod audit;
mod desired;
mod document;
mod drills;
mod events;
mod exceptions;
mod health;
mod incidents;
mod notifications;
mod overview;
mod packets;
mod rules;
mod sensors;
mod session;
mod sources;
mod stream;
mod triage;
mod users;
mod why;

use std::{ops::RangeInclusive, str::FromStr};

use axum::{Router, extract::DefaultBodyLimit};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Console, Problem,
    error::{ApiError, ApiResult},
    extract::Whole,
};

/// The largest body of a request, unless said otherwise.
const MAX_BODY: usize = 256 * 1024;

/// The largest body that somebody can send who has not signed in: a name and a password.
const MAX_SIGN_IN: usize = 8 * 1024;

/// The largest inventory file, in its JSON.
const MAX_INVENTORY: usize = 4 * 1024 * 1024;

/// Head of the document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Dongson console",
        description = "Triage, incidents and administration of a provincial cyber-security centre. Times are milliseconds since 1970 UTC. Lists hold only what lies in the caller's scope."
    ),
    components(schemas(Problem))
)]
struct Document;

/// All resources with their descriptions.
pub(crate) fn router() -> OpenApiRouter<Console> {
    let session = OpenApiRouter::new()
        .routes(routes!(session::sign_in, session::me, session::sign_out))
        .routes(routes!(session::change_password))
        .routes(routes!(session::set_language))
        .layer(DefaultBodyLimit::max(MAX_SIGN_IN));
    let inventory =
        OpenApiRouter::new().routes(routes!(assets::import)).layer(DefaultBodyLimit::max(MAX_INVENTORY));
    let api = OpenApiRouter::new()
        .routes(routes!(overview::overview))
        .routes(routes!(alerts::list))
        .routes(routes!(alerts::one))
        .routes(routes!(why::why))
        .routes(routes!(why::around))
        .routes(routes!(triage::act))
        .routes(routes!(triage::undo))
        .routes(routes!(incidents::list, incidents::create))
        .routes(routes!(incidents::one, incidents::patch))
        .routes(routes!(incidents::comment))
        .routes(routes!(incidents::timeline))
        .routes(routes!(incidents::alerts, incidents::link))
        .routes(routes!(incidents::unlink))
        .routes(routes!(incidents::close))
        .routes(routes!(packets::list, packets::ask))
        .routes(routes!(packets::one))
        .routes(routes!(packets::approve))
        .routes(routes!(packets::decline))
        .routes(routes!(packets::pcap, packets::discard))
        .routes(routes!(exceptions::list, exceptions::create))
        .routes(routes!(exceptions::end))
        .routes(routes!(notifications::list, notifications::create))
        .routes(routes!(notifications::update, notifications::delete))
        .routes(routes!(notifications::deliveries))
        .routes(routes!(notifications::test))
        .routes(routes!(agencies::list, agencies::create))
        .routes(routes!(agencies::one, agencies::update))
        .routes(routes!(sensors::list))
        .routes(routes!(sensors::one, sensors::patch))
        .routes(routes!(sensors::accounts))
        .routes(routes!(sensors::revoke))
        .routes(routes!(desired::of_sensor))
        .routes(routes!(desired::one, desired::set))
        .routes(routes!(sensors::tokens, sensors::create_token))
        .routes(routes!(sensors::revoke_token))
        .routes(routes!(sources::list, sources::create))
        .routes(routes!(sources::one, sources::update, sources::delete))
        .routes(routes!(api_keys::list, api_keys::create))
        .routes(routes!(api_keys::revoke))
        .routes(routes!(assets::list))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::update))
        .routes(routes!(users::reset_password))
        .routes(routes!(users::people))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify))
        .routes(routes!(rules::list))
        .routes(routes!(rules::one))
        .routes(routes!(events::search))
        .routes(routes!(events::histogram))
        .routes(routes!(events::values))
        .routes(routes!(events::field_names))
        .routes(routes!(events::one))
        .routes(routes!(stream::stream))
        .routes(routes!(health::health))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .merge(session)
        .merge(inventory);
    OpenApiRouter::with_openapi(Document::openapi()).nest("/api/v1", api)
}

/// Routes for machines that the document does not describe, and the document itself.
pub(crate) fn machine_routes() -> Router<Console> {
    Router::new()
        .route("/healthz", axum::routing::get(health::healthz))
        .route("/metrics", axum::routing::get(health::metrics))
        .route("/api/v1/openapi.json", axum::routing::get(async || axum::Json(openapi())))
}

/// The document of the API, generated from the code.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let (_, mut document) = router().split_for_parts();
    document::finish(&mut document);
    document
}

/// A number that was asked for, or `usual`; refused outside `range`, of which `reason` tells.
fn within<T: PartialOrd + Copy + FromStr>(
    field: &'static str,
    given: Option<&Whole>,
    usual: T,
    range: RangeInclusive<T>,
    reason: &'static str,
) -> ApiResult<T> {
    let number = given.map_or(Some(usual), Whole::read).filter(|number| range.contains(number));
    number.ok_or_else(|| ApiError::invalid(field, reason))
}

/// How many things a page holds.
fn page_limit(given: Option<&Whole>) -> ApiResult<u32> {
    within("limit", given, 100, 1..=500, "must be 1 to 500")
}

/// A number without a range of its own: a time, a place in the audit chain.
fn number(field: &'static str, given: Option<&Whole>) -> ApiResult<Option<i64>> {
    given
        .map(|given| given.read().ok_or_else(|| ApiError::invalid(field, "must be a whole number")))
        .transpose()
}

/// Splits a comma-separated list and reads each value.
fn list_of<T>(field: &'static str, text: Option<&str>) -> Result<Vec<T>, ApiError>
where
    T: serde::de::DeserializeOwned,
{
    let values = text.unwrap_or_default().split(',').filter(|value| !value.is_empty()).take(200);
    values
        .map(|value| {
            serde_json::from_value(value.into())
                .map_err(|_| ApiError::invalid(field, "is not one of the values"))
        })
        .collect()
}

/// Splits a comma-separated list of texts, where one empty value stands for itself.
fn texts_of(text: Option<&str>) -> Vec<String> {
    text.map(|text| text.split(',').take(200).map(str::to_owned).collect()).unwrap_or_default()
}
