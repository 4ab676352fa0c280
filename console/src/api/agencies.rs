//! Agencies.

use axum::{extract::State, http::StatusCode};
use dongson_registry::{Organization, OrganizationEdit};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Console,
    auth::{Administrator, Reader},
    error::ApiResult,
    extract::{Json, Path},
};

/// The agencies.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgencyList {
    /// By Vietnamese name.
    agencies: Vec<Organization>,
}

/// A new agency.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAgency {
    /// Short id for ever: 1 to 64 of a-z, 0-9, -, _ and .
    id: String,
    #[serde(flatten)]
    edit: OrganizationEdit,
}

/// An agency as it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionedAgency {
    /// The version that the caller saw.
    version: i64,
    #[serde(flatten)]
    edit: OrganizationEdit,
}

/// The agencies in scope.
#[utoipa::path(get, path = "/agencies", tag = "agencies", responses((status = 200, body = AgencyList)))]
pub(crate) async fn list(
    State(console): State<Console>,
    Reader(person): Reader,
) -> ApiResult<Json<AgencyList>> {
    Ok(Json(AgencyList { agencies: console.registry.organizations(&person.scope).await? }))
}

/// Enters an agency.
#[utoipa::path(post, path = "/agencies", tag = "agencies", request_body = NewAgency, responses((status = 201, body = Organization)))]
pub(crate) async fn create(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Json(new): Json<NewAgency>,
) -> ApiResult<(StatusCode, Json<Organization>)> {
    let made = console.registry.create_organization(&person.change(), &new.id, &new.edit).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// One agency.
#[utoipa::path(get, path = "/agencies/{id}", tag = "agencies", params(("id" = String, Path)), responses((status = 200, body = Organization)))]
pub(crate) async fn one(
    State(console): State<Console>,
    Reader(person): Reader,
    Path(id): Path<String>,
) -> ApiResult<Json<Organization>> {
    Ok(Json(console.registry.organization(&person.scope, &id).await?))
}

/// Rewrites an agency.
#[utoipa::path(put, path = "/agencies/{id}", tag = "agencies", params(("id" = String, Path)), request_body = VersionedAgency, responses((status = 200, body = Organization)))]
pub(crate) async fn update(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Path(id): Path<String>,
    Json(given): Json<VersionedAgency>,
) -> ApiResult<Json<Organization>> {
    let after =
        console.registry.update_organization(&person.change(), &id, given.version, &given.edit).await?;
    Ok(Json(after))
}
