//! What every answer goes through: the request's id, the security headers, problems as JSON, one log line.

use std::time::{Duration, Instant};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use crate::{Console, error::ApiError};

/// How long a request may take until its answer begins: more than any search may.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);

/// Header with the request's id, in and out.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Scripts, styles and connections come from us alone. The component library sets style attributes at run time, so
/// styles may stand inline; scripts may not.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Wraps every route.
pub(crate) async fn finish(State(console): State<Console>, request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let start = Instant::now();
    let mut response = within(REQUEST_TIMEOUT, next.run(request)).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let retry = response.headers_mut().remove(header::RETRY_AFTER);
        response = (error.status, axum::Json(error.problem(&id, console.registry.folder()))).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(retry) = retry {
            response.headers_mut().insert(header::RETRY_AFTER, retry);
        }
    }
    add_headers(response.headers_mut(), &path, &id);
    let (status, took_ms) = (response.status().as_u16(), start.elapsed().as_millis());
    metrics::counter!("console_requests_total", "status" => class(status)).increment(1);
    metrics::histogram!("console_request_seconds").record(start.elapsed());
    tracing::debug!(%method, path = ?path, status, took_ms, request_id = id, "answered");
    response
}

/// The answer, if it begins in time: a body that never ends holds nothing for ever. A stream begins at once.
async fn within(limit: Duration, answer: impl Future<Output = Response>) -> Response {
    let late = |_| ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout").into_response();
    tokio::time::timeout(limit, answer).await.unwrap_or_else(late)
}

/// The class of a status, so that there are few series.
fn class(status: u16) -> &'static str {
    match status {
        ..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

/// The caller's id if it is short and plain, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |text: &&str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(plain);
    given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

fn add_headers(headers: &mut HeaderMap, path: &str, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if path.starts_with("/api/") {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_that_never_ends_is_answered() {
        let late = within(Duration::from_millis(10), std::future::pending()).await;
        assert_eq!(late.status(), StatusCode::REQUEST_TIMEOUT);
        let prompt = async { StatusCode::NO_CONTENT.into_response() };
        assert_eq!(within(Duration::from_mins(1), prompt).await.status(), StatusCode::NO_CONTENT);
    }
}
