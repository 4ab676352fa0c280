//! Signing in and out, one's own account.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use axum_extra::extract::cookie::CookieJar;
use dongson_registry::{Account, Change, Error as RegistryError, Millis, NewSession, SignIn, hash_secret};
use serde::{Deserialize, Serialize};
use tokio::time::{Duration, Instant};
use utoipa::ToSchema;

use crate::{
    Console,
    auth::{self, AnyPerson, Peer, Person},
    error::{ApiError, ApiResult},
    extract::Json,
};

/// After how long a refused sign-in is answered at the earliest, whatever the reason: a known name is written to, an
/// unknown one is not, and the time must not tell.
const REFUSAL_TIME: Duration = Duration::from_millis(500);

/// Login name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    login: String,
    password: String,
}

/// The session that was begun or is in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionView {
    /// Who.
    account: Account,
    /// For the header `x-csrf-token` of everything that is not a GET.
    csrf_token: String,
    /// When the session ends at the latest.
    expires_at: Millis,
}

/// The present and the new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    present: String,
    /// At least 14 characters with small and capital letters, digits and other signs; not the login name.
    new: String,
}

/// A language.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LanguageChange {
    /// `vi` or `en`.
    language: String,
}

fn view(person: Person) -> Json<SessionView> {
    Json(SessionView { account: person.account, csrf_token: person.csrf, expires_at: person.expires_at })
}

/// Signs in: sets the session's cookie, which is always a new one; the session that the browser had ends. While the
/// data folder's disk is full the session is kept in memory: a restart ends it.
#[utoipa::path(post, path = "/session", tag = "session", request_body = Credentials, responses((status = 200, body = SessionView)))]
pub(crate) async fn sign_in(
    State(console): State<Console>,
    Peer(peer): Peer,
    headers: HeaderMap,
    Json(given): Json<Credentials>,
) -> ApiResult<(CookieJar, Json<SessionView>)> {
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if !matches!(site, None | Some("same-origin" | "none")) {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "csrf"));
    }
    let (now, begun) = (console.now(), Instant::now());
    if peer.is_some_and(|peer| !console.sign_ins.allow(peer, now)) {
        return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tries"));
    }
    let address = peer.map(|peer| peer.to_string());
    let login = given.login.trim().to_lowercase();
    let SignIn::Welcome(account) = console.registry.sign_in(&login, &given.password, now).await? else {
        let known: String = login.chars().take(64).collect();
        let change = Change { who: "visitor".into(), address, at: now };
        match console.registry.audit_record(&change, "sign_in_refused", "account", &known, None).await {
            Err(error) if error.is_disk() => {
                tracing::error!(%error, login = ?known, "a refused sign-in is missing in the audit log");
            }
            noted => noted?,
        }
        tokio::time::sleep_until(begun + REFUSAL_TIME).await;
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "sign_in_refused"));
    };
    let left = CookieJar::from_headers(&headers).get(auth::COOKIE).map(|cookie| hash_secret(cookie.value()));
    if let Some(left) = left {
        console.registry.end_session(&left).await?;
    }
    let session = begin(&console, &account, address, now).await?;
    let view = SessionView {
        account: *account,
        csrf_token: auth::csrf_token(&session.secret),
        expires_at: session.expires_at,
    };
    Ok((CookieJar::new().add(auth::cookie(session.secret)), Json(view)))
}

/// Begins the session; in memory where it cannot be written: who is to make room must be able to look.
async fn begin(
    console: &Console,
    account: &Account,
    address: Option<String>,
    now: Millis,
) -> Result<NewSession, RegistryError> {
    let (registry, limits) = (&console.registry, console.session_limits());
    let change = Change::by(&account.id, address.clone(), now);
    let begun = match registry.audit_record(&change, "sign_in", "account", &account.id, None).await {
        Ok(()) => registry.begin_session(&account.id, address.as_deref(), limits, now).await,
        Err(error) => Err(error),
    };
    match begun {
        Err(error) if error.is_disk() => {
            tracing::error!(%error, account = account.id, "a sign-in is not in the audit log yet: its session is in memory");
            Ok(registry.hold_session(account, address.as_deref(), limits, now))
        }
        begun => begun,
    }
}

/// Who is signed in.
#[utoipa::path(get, path = "/session", tag = "session", responses((status = 200, body = SessionView)))]
pub(crate) async fn me(AnyPerson(person): AnyPerson) -> Json<SessionView> {
    view(person)
}

/// Signs out.
#[utoipa::path(delete, path = "/session", tag = "session", responses((status = 204)))]
pub(crate) async fn sign_out(
    State(console): State<Console>,
    AnyPerson(person): AnyPerson,
) -> ApiResult<(CookieJar, StatusCode)> {
    console.registry.end_session(&person.session).await?;
    let mut gone = auth::cookie(String::new());
    gone.make_removal();
    Ok((CookieJar::new().add(gone), StatusCode::NO_CONTENT))
}

/// Changes one's own password; the other sessions end.
#[utoipa::path(post, path = "/session/password", tag = "session", request_body = PasswordChange, responses((status = 200, body = SessionView)))]
pub(crate) async fn change_password(
    State(console): State<Console>,
    AnyPerson(person): AnyPerson,
    Json(given): Json<PasswordChange>,
) -> ApiResult<Json<SessionView>> {
    let account = console
        .registry
        .change_password(&person.change(), &given.present, &given.new, &person.session)
        .await?;
    Ok(view(Person { account, ..person }))
}

/// Chooses one's own language.
#[utoipa::path(put, path = "/session/language", tag = "session", request_body = LanguageChange, responses((status = 200, body = SessionView)))]
pub(crate) async fn set_language(
    State(console): State<Console>,
    AnyPerson(person): AnyPerson,
    Json(given): Json<LanguageChange>,
) -> ApiResult<Json<SessionView>> {
    let account = console.registry.set_language(&person.account.id, &given.language).await?;
    Ok(view(Person { account, ..person }))
}
