//! `ClickHouse`'s HTTP interface over the embedded engine, as far as the official `clickhouse` crate speaks it.
//!
//! `POST /?query=...&setting=...` with SQL, multipart parameters or rows in the body; `GET /ping`. Two users: `writer`
//! may do everything; `reader` may only SELECT and only sees the agencies it names in the setting
//! `SQL_dongson_organizations` (`gate.rs`, `scope.rs`). Answers are streamed; an insert is handed to the engine as it
//! arrives, and one that breaks off commits nothing.

mod body;
mod gate;
mod pool;
mod request;
mod run;
mod scope;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

pub(crate) use pool::Pool;
pub(crate) use request::Refusal;
pub(crate) use scope::quote;

/// The setting in which a reader names its agencies: `*` or a JSON list of ids. A server takes settings of its users'
/// own that begin so, and its row policies ask for this one.
pub const SCOPE_SETTING: &str = "SQL_dongson_organizations";
/// The user who may do everything.
pub(crate) const WRITER: &str = "writer";
/// The user who may only read, inside a scope.
pub(crate) const READER: &str = "reader";

/// The secrets of the two users.
#[derive(Clone)]
pub(crate) struct Keys {
    /// Of [`WRITER`].
    pub(crate) writer: String,
    /// Of [`READER`].
    pub(crate) reader: String,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// May do everything.
    Writer,
    /// May read inside its scope.
    Reader,
}

impl Keys {
    /// Finds the role by the headers of a request; compares digests, so that the time tells nothing.
    fn role(&self, headers: &HeaderMap) -> Option<Role> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (user, key) = (text("x-clickhouse-user"), Sha256::digest(text("x-clickhouse-key")));
        match user {
            WRITER if key == Sha256::digest(&self.writer) => Some(Role::Writer),
            READER if key == Sha256::digest(&self.reader) => Some(Role::Reader),
            _ => None,
        }
    }
}

/// What the handlers share.
pub(crate) struct Shim {
    pub(crate) pool: Arc<Pool>,
    pub(crate) keys: Keys,
    /// How long a reader's question may run, in seconds.
    pub(crate) search_seconds: u32,
}

/// The routes.
pub(crate) fn router(shim: Arc<Shim>) -> Router {
    Router::new()
        .route("/ping", get(|| async { "Ok.\n" }))
        .fallback(handle)
        .layer(DefaultBodyLimit::disable())
        .with_state(shim)
}

async fn handle(State(shim): State<Arc<Shim>>, request: Request) -> Response {
    let Some(role) = shim.keys.role(request.headers()) else {
        let refusal =
            Refusal::new(StatusCode::FORBIDDEN, 516, "Authentication failed: the user or the key is wrong");
        return refusal.into_response();
    };
    match request::read(request).await {
        Ok(order) => run::run(&shim, role, order).await.unwrap_or_else(IntoResponse::into_response),
        Err(refusal) => refusal.into_response(),
    }
}
