//! The audit chain: for administrators.

use axum::extract::State;
use dongson_registry::{AuditProof, NamedEntry};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Console,
    auth::Administrator,
    error::ApiResult,
    extract::{Json, Query, Whole},
};

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// Only entries before this place in the chain.
    #[param(value_type = Option<i64>)]
    before: Option<Whole>,
    /// 1 to 500; 100 if not given.
    #[param(value_type = Option<u32>)]
    limit: Option<Whole>,
}

/// Entries of the chain.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditList {
    /// Newest first.
    entries: Vec<NamedEntry>,
}

/// The audit chain, newest first.
#[utoipa::path(get, path = "/audit", tag = "audit", params(AuditQuery), responses((status = 200, body = AuditList)))]
pub(crate) async fn list(
    State(console): State<Console>,
    _: Administrator,
    Query(query): Query<AuditQuery>,
) -> ApiResult<Json<AuditList>> {
    let before = super::number("before", query.before.as_ref())?;
    let limit = super::page_limit(query.limit.as_ref())?;
    let entries = console.registry.named_audit_entries(before, limit).await?;
    Ok(Json(AuditList { entries }))
}

/// Walks the whole chain and says whether it is unbroken.
#[utoipa::path(get, path = "/audit/verify", tag = "audit", responses((status = 200, body = AuditProof)))]
pub(crate) async fn verify(State(console): State<Console>, _: Administrator) -> ApiResult<Json<AuditProof>> {
    Ok(Json(console.registry.audit_verify().await?))
}
