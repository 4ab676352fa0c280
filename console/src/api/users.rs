//! Accounts: for administrators; and the names of people: for everyone.

use axum::{extract::State, http::StatusCode};
use dongson_registry::{Account, AccountEdit, Error as RegistryError, NewAccount, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Console,
    auth::{Administrator, Reader},
    error::{ApiError, ApiResult},
    extract::{Json, Path},
};

/// The accounts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountList {
    /// By login.
    users: Vec<Account>,
}

/// A new account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountRequest {
    /// Login name: 1 to 64 of a-z, 0-9, -, _ and .
    login: String,
    #[serde(flatten)]
    edit: AccountEdit,
}

/// An account as it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionedAccount {
    /// The version that the caller saw.
    version: i64,
    #[serde(flatten)]
    edit: AccountEdit,
}

/// Somebody whom the caller may know of.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PersonName {
    /// Account id, as in `owner` and `who`.
    id: String,
    login: String,
    full_name: String,
    role: Role,
    /// Whether alerts and incidents can be assigned to them.
    assignable: bool,
}

/// Names of people.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PeopleList {
    /// By login.
    people: Vec<PersonName>,
}

/// The accounts.
#[utoipa::path(get, path = "/users", tag = "users", responses((status = 200, body = AccountList)))]
pub(crate) async fn list(State(console): State<Console>, _: Administrator) -> ApiResult<Json<AccountList>> {
    Ok(Json(AccountList { users: console.registry.accounts().await? }))
}

/// An agency that does not exist is a fault of the list in the body: the account itself is there.
fn of_agencies(error: RegistryError) -> ApiError {
    match error {
        RegistryError::NotFound("organization") => {
            ApiError::invalid("organizations", "is no agency of yours")
        }
        other => other.into(),
    }
}

/// Makes an account; its first password is shown this once and must be changed.
#[utoipa::path(post, path = "/users", tag = "users", request_body = AccountRequest, responses((status = 201, body = NewAccount)))]
pub(crate) async fn create(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Json(given): Json<AccountRequest>,
) -> ApiResult<(StatusCode, Json<NewAccount>)> {
    let made = console.registry.create_account(&person.change(), &given.login, &given.edit).await;
    let made = made.map_err(of_agencies)?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Rewrites an account; its sessions end.
#[utoipa::path(put, path = "/users/{id}", tag = "users", params(("id" = String, Path)), request_body = VersionedAccount, responses((status = 200, body = Account)))]
pub(crate) async fn update(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Path(id): Path<String>,
    Json(given): Json<VersionedAccount>,
) -> ApiResult<Json<Account>> {
    let after = console.registry.update_account(&person.change(), &id, given.version, &given.edit).await;
    Ok(Json(after.map_err(of_agencies)?))
}

/// Gives an account a new first password and unlocks it.
#[utoipa::path(post, path = "/users/{id}/reset-password", tag = "users", params(("id" = String, Path)), responses((status = 200, body = NewAccount)))]
pub(crate) async fn reset_password(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Path(id): Path<String>,
) -> ApiResult<Json<NewAccount>> {
    Ok(Json(console.registry.reset_password(&person.change(), &id).await?))
}

/// The people whom the caller may know of: those of the centre, and those who share an agency.
#[utoipa::path(get, path = "/people", tag = "users", responses((status = 200, body = PeopleList)))]
pub(crate) async fn people(
    State(console): State<Console>,
    Reader(person): Reader,
) -> ApiResult<Json<PeopleList>> {
    let known = console.registry.colleagues(&person.scope).await?.into_iter();
    let people = known.map(|one| PersonName {
        assignable: !one.disabled && one.role != Role::AgencyViewer,
        id: one.id,
        login: one.login,
        full_name: one.full_name,
        role: one.role,
    });
    Ok(Json(PeopleList { people: people.collect() }))
}
