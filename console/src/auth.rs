//! Who is asking: extractors that give a handler the person behind the session, or refuse.
//!
//! The cookie `__Host-dongson` carries the session's secret. Whatever is not a `GET` must also carry the header
//! `x-csrf-token`, which the page reads from `GET /api/v1/session` and no other site can.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{Method, StatusCode, request::Parts},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use dongson_registry::{Account, Change, Millis, Role, Scope, SignedIn, hash_secret};

use crate::{Console, error::ApiError};

/// Name of the cookie: the prefix makes browsers refuse it without `Secure`, with a domain or from a plain page.
pub(crate) const COOKIE: &str = "__Host-dongson";

/// Name of the header against requests from other sites.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// Header of requests that the page makes by itself: they do not keep a session awake.
const BACKGROUND_HEADER: &str = "x-background";

/// Somebody who signed in.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) account: Account,
    /// Names the session.
    pub(crate) session: String,
    pub(crate) csrf: String,
    pub(crate) expires_at: Millis,
    pub(crate) scope: Scope,
    pub(crate) address: Option<IpAddr>,
    pub(crate) at: Millis,
}

/// Somebody who signed in, perhaps with a password that must be changed.
#[derive(Debug)]
pub(crate) struct AnyPerson(pub(crate) Person);

/// Somebody who may read what is in scope.
#[derive(Debug)]
pub(crate) struct Reader(pub(crate) Person);

/// Somebody who may triage and lead incidents in scope.
#[derive(Debug)]
pub(crate) struct Worker(pub(crate) Person);

/// Somebody who may do everything.
#[derive(Debug)]
pub(crate) struct Administrator(pub(crate) Person);

/// The network address of the caller, if the connection tells one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) Option<IpAddr>);

impl Person {
    /// A change by this person, now.
    pub(crate) fn change(&self) -> Change {
        Change::by(&self.account.id, self.address.map(|address| address.to_string()), self.at)
    }

    fn require(self, allowed: impl Fn(Role) -> bool) -> Result<Self, ApiError> {
        if self.account.must_change_password {
            return Err(ApiError::new(StatusCode::FORBIDDEN, "password_change_required"));
        }
        if allowed(self.account.role) {
            Ok(self)
        } else {
            Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden"))
        }
    }
}

/// The CSRF token of a session: derived from its secret, so that it need not be stored.
pub(crate) fn csrf_token(secret: &str) -> String {
    hash_secret(&format!("csrf:{secret}"))
}

/// The cookie that carries a session's secret. It ends with the browser; the session's own end is in the registry.
pub(crate) fn cookie(secret: String) -> Cookie<'static> {
    Cookie::build((COOKIE, secret)).path("/").secure(true).http_only(true).same_site(SameSite::Strict).build()
}

/// Finds the session of a request.
async fn person(parts: &Parts, console: &Console) -> Result<Person, ApiError> {
    let nobody = || ApiError::new(StatusCode::UNAUTHORIZED, "unauthenticated");
    let jar = CookieJar::from_headers(&parts.headers);
    let secret = jar.get(COOKIE).map(Cookie::value).ok_or_else(nobody)?;
    let at = console.now();
    let active = !parts.headers.contains_key(BACKGROUND_HEADER);
    let SignedIn { account, session, expires_at } =
        console.registry.session(secret, console.session_limits(), active, at).await?.ok_or_else(nobody)?;
    let csrf = csrf_token(secret);
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        let shown = parts
            .headers
            .get(CSRF_HEADER)
            .map(|value| hash_secret(&String::from_utf8_lossy(value.as_bytes())));
        if shown.as_ref() != Some(&hash_secret(&csrf)) {
            return Err(ApiError::new(StatusCode::FORBIDDEN, "csrf"));
        }
    }
    let scope = account.scope();
    Ok(Person { account, session, csrf, expires_at, scope, address: peer(parts), at })
}

fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical())
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self(peer(parts)))
    }
}

impl FromRequestParts<Console> for AnyPerson {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, ApiError> {
        person(parts, console).await.map(Self)
    }
}

impl FromRequestParts<Console> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, ApiError> {
        person(parts, console).await?.require(|_| true).map(Self)
    }
}

impl FromRequestParts<Console> for Worker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, ApiError> {
        person(parts, console).await?.require(|role| role != Role::AgencyViewer).map(Self)
    }
}

impl FromRequestParts<Console> for Administrator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, ApiError> {
        person(parts, console).await?.require(|role| role == Role::Administrator).map(Self)
    }
}
