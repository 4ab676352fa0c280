//! The transparency log: its head, its consistency, evidence. For administrators: the log counts what all agencies do.

use axum::extract::State;
use axum::http::StatusCode;
use dongson_event::transparency::Subject;
use dongson_registry::SignedHead;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{
    Console, EvidenceFailure, FactsError, Proof,
    auth::Administrator,
    error::{ApiError, ApiResult},
    extract::{Json, Path, Query, Whole},
};

/// The log as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TransparencyHead {
    /// The newest signed head; none while nothing was logged.
    head: Option<SignedHead>,
    /// The log's public key (C2SP signed-note: `NAME+ID+KEY`), with which heads and evidence are checked.
    key: Option<String>,
}

/// Between which sizes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsistencyQuery {
    /// The size of an older head.
    #[param(value_type = i64)]
    old: Whole,
    /// The size of a newer head.
    #[param(value_type = i64)]
    size: Whole,
}

/// A proof that the log only grew.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TransparencyConsistency {
    /// Hashes (RFC 9162, 2.1.4), hexadecimal.
    proof: Vec<String>,
}

/// The newest signed head of the transparency log.
#[utoipa::path(get, path = "/transparency", tag = "audit", responses((status = 200, body = TransparencyHead)))]
pub(crate) async fn head(
    State(console): State<Console>,
    _: Administrator,
) -> ApiResult<Json<TransparencyHead>> {
    let head = console.registry.transparency_head(console.now()).await?;
    let key = console.registry.transparency_key().await?.map(|key| key.to_string());
    Ok(Json(TransparencyHead { head, key }))
}

/// Proves that a newer head is of the same log as an older one.
#[utoipa::path(get, path = "/transparency/consistency", tag = "audit", params(ConsistencyQuery),
    responses((status = 200, body = TransparencyConsistency)))]
pub(crate) async fn consistency(
    State(console): State<Console>,
    _: Administrator,
    Query(query): Query<ConsistencyQuery>,
) -> ApiResult<Json<TransparencyConsistency>> {
    let read =
        |field, given: &Whole| given.read().ok_or_else(|| ApiError::invalid(field, "must be a whole number"));
    let (old, size): (u64, u64) = (read("old", &query.old)?, read("size", &query.size)?);
    let proof = console.registry.transparency_consistency(old, size).await?;
    Ok(Json(TransparencyConsistency { proof: proof.iter().map(hex::encode).collect() }))
}

/// The proof of one thing, `event`, `alert` or `audit`, as a JSON object that is checked without this centre
/// (deploy/check-evidence). 404 also where it is not in the log yet: events come into it within half a minute.
#[utoipa::path(get, path = "/evidence/{subject}/{id}", tag = "audit",
    params(("subject" = String, Path, description = "`event`, `alert` or `audit`"), ("id" = String, Path)),
    responses((status = 200, body = Object)))]
pub(crate) async fn evidence(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Path((subject, id)): Path<(String, String)>,
) -> ApiResult<Json<Value>> {
    let subject: Subject = serde_json::from_value(subject.into()).map_err(|_| ApiError::not_found())?;
    let (registry, store) = (&console.registry, console.facts.store());
    let found = crate::evidence(registry, store, &person.scope, (subject, &id), console.now()).await;
    match found {
        Ok(Proof::Found(evidence)) => {
            let value = serde_json::to_value(&*evidence).map_err(dongson_registry::Error::from)?;
            Ok(Json(value))
        }
        Ok(Proof::Unknown | Proof::NotLogged) => Err(ApiError::not_found()),
        Err(EvidenceFailure::Registry(error)) => Err(error.into()),
        Err(EvidenceFailure::Json(error)) => Err(dongson_registry::Error::from(error).into()),
        Err(EvidenceFailure::NoStore) => {
            Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"))
        }
        Err(EvidenceFailure::Store(error)) => Err(FactsError::Unavailable(error.to_string()).into()),
    }
}
