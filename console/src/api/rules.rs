//! The rules that are live.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Console, RuleInfo,
    auth::Reader,
    error::{ApiError, ApiResult},
    extract::{Json, Path},
};

/// The rules.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleList {
    /// In the order of their files; `source` is left empty here.
    rules: Vec<RuleInfo>,
}

/// The rules, without their text.
#[utoipa::path(get, path = "/rules", tag = "rules", responses((status = 200, body = RuleList)))]
pub(crate) async fn list(State(console): State<Console>, _: Reader) -> Json<RuleList> {
    let short = |rule: &RuleInfo| RuleInfo { source: String::new(), ..rule.clone() };
    Json(RuleList { rules: console.rules.iter().map(short).collect() })
}

/// One rule with its text.
#[utoipa::path(get, path = "/rules/{id}", tag = "rules", params(("id" = String, Path)), responses((status = 200, body = RuleInfo)))]
pub(crate) async fn one(
    State(console): State<Console>,
    _: Reader,
    Path(id): Path<String>,
) -> ApiResult<Json<RuleInfo>> {
    console.rules.iter().find(|rule| rule.id == id).cloned().map(Json).ok_or_else(ApiError::not_found)
}
