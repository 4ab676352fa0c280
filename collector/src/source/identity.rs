//! Who sends an HTTP request: an API key in any of the forms that log shippers use, or a client certificate.

use super::Hall;
use crate::intake::Origin;
use crate::publish::now;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dongson_bus::BusError;
use dongson_registry::Sensor;
use std::sync::Arc;

/// Header in which a drill shows its session's nonce.
pub const DRILL_HEADER: &str = "dongson-drill";

/// SHA-256 of the client's certificate in hexadecimal, put into a request by the TLS listener.
#[derive(Debug, Clone)]
pub struct ClientCertificate(pub Option<String>);

/// The address that a request comes from, put into it by the TLS listener.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub std::net::IpAddr);

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// No credentials, or wrong ones.
    #[error(
        "no valid API key: send `Authorization: Bearer KEY`, `ApiKey KEY`, or Basic with the key as password"
    )]
    Key,
    /// An enrolment token that was never made here. Whoever holds one that was is told what became of it
    /// ([`Refused::Over`]); a guess learns no more than that it was wrong.
    #[error(
        "no such enrolment token: copy it whole, or ask an administrator for a new one (page `Sensors`, or `dongson admin token AGENCY NODE`)"
    )]
    Token,
    /// Too many wrong tokens from one address.
    #[error(
        "too many wrong enrolment tokens from this address: wait a minute, then try again with the right one"
    )]
    Guessing,
    /// The token or sensor was good once.
    #[error("this {what} {reason}: ask an administrator for a new enrolment token and enrol again")]
    Over {
        /// What kind of thing.
        what: &'static str,
        /// What became of it.
        reason: &'static str,
    },
    /// No client certificate that we signed.
    #[error("a client certificate of an enrolled sensor is needed")]
    Certificate,
    /// The sensor or key may not do this.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The request makes no sense.
    #[error("{0}")]
    Bad(String),
    /// Nothing is at this address.
    #[error("nothing is at this address")]
    Nowhere,
    /// What was asked for is not wanted any more.
    #[error("{0}")]
    Gone(&'static str),
    /// The address takes other methods.
    #[error("this address does not take this method")]
    Method,
    /// The body is too long.
    #[error("the body is longer than {0} bytes")]
    TooLarge(usize),
    /// Too much at once.
    #[error("too much is being taken in at the moment")]
    Slow,
    /// The bus or the registry does not answer; the text says what to do where the sender's people can do something.
    #[error("events cannot be stored at the moment{}", .0.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Unavailable(Option<String>),
}

impl Refused {
    /// Status and stable code.
    pub fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Key => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Token => (StatusCode::UNAUTHORIZED, "token_unknown"),
            Self::Certificate => (StatusCode::UNAUTHORIZED, "certificate_required"),
            Self::Forbidden(_) | Self::Over { .. } => (StatusCode::FORBIDDEN, "forbidden"),
            Self::Bad(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Nowhere => (StatusCode::NOT_FOUND, "not_found"),
            Self::Gone(_) => (StatusCode::GONE, "gone"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::Slow | Self::Guessing => (StatusCode::TOO_MANY_REQUESTS, "slow_down"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        }
    }

    /// Notes the cause in the log; the client is told of a log that has no room, and of nothing else.
    pub fn unavailable(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::warn!(error = %error, "a request could not be served");
        let mut cause = Some(error);
        while let Some(one) = cause {
            if let Some(bus @ (BusError::DiskFull { .. } | BusError::NoRoom | BusError::Full { .. })) =
                one.downcast_ref::<BusError>()
            {
                return Self::Unavailable(Some(bus.to_string()));
            }
            cause = one.source();
        }
        Self::Unavailable(None)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, code) = self.status();
        let body = axum::Json(serde_json::json!({
            "status": status.as_u16(), "code": code, "message": self.to_string(),
        }));
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        if matches!(self, Self::Slow | Self::Unavailable(_)) {
            headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("2"));
        }
        if matches!(self, Self::Guessing) {
            headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("60"));
        }
        if matches!(self, Self::Key) {
            let schemes = header::HeaderValue::from_static("Basic realm=\"dongson\", ApiKey, Bearer");
            headers.insert(header::WWW_AUTHENTICATE, schemes);
        }
        response
    }
}

/// The secrets that an `Authorization` header may carry, likeliest first.
pub(crate) fn secrets(headers: &HeaderMap) -> Vec<String> {
    let Some((scheme, rest)) = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split_once(' '))
    else {
        return Vec::new();
    };
    let rest = rest.trim();
    let decoded = STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
    let mut found = Vec::new();
    if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("apikey") {
        found.push(rest.to_owned());
    }
    if scheme.eq_ignore_ascii_case("apikey") || scheme.eq_ignore_ascii_case("basic") {
        found.extend(pair.map(|(_, secret)| secret.to_owned()));
    }
    found.retain(|secret| !secret.is_empty() && secret.len() <= 256);
    found
}

/// The holder of the API key in `headers`.
pub(crate) async fn by_key(hall: &Hall, headers: &HeaderMap) -> Result<Arc<Origin>, Refused> {
    let registry = hall.directory.registry();
    for secret in secrets(headers) {
        let found =
            registry.api_key_by_secret(&secret).await.map_err(|error| Refused::unavailable(&error))?;
        let Some(key) = found else { continue };
        let drill = drill(hall, headers).await?;
        if key.drill && drill.is_none() {
            return Err(Refused::Forbidden("a key for drills needs the nonce of a running drill session"));
        }
        if let Err(error) = registry.api_key_used(&key.id, now().millis()).await {
            tracing::warn!(%error, "the use of a key is not noted");
        }
        return Ok(Arc::new(hall.directory.key(&key, drill)));
    }
    metrics::counter!("collector_requests_unauthorized_total").increment(1);
    Err(Refused::Key)
}

/// The sensor that holds the client certificate; a revoked one is forbidden.
pub(crate) async fn by_certificate(hall: &Hall, certificate: &ClientCertificate) -> Result<Sensor, Refused> {
    let fingerprint = certificate.0.as_deref().ok_or(Refused::Certificate)?;
    let found = hall.directory.registry().sensor_by_certificate(fingerprint, now().millis()).await;
    let sensor = found.map_err(|error| Refused::unavailable(&error))?.ok_or(Refused::Certificate)?;
    if sensor.revoked_at.is_some() {
        return Err(Refused::Forbidden("this sensor is revoked: enrol it again"));
    }
    Ok(sensor)
}

/// The running drill session whose nonce the request shows; a wrong nonce is refused, so that a drill never passes
/// for the real thing.
pub(crate) async fn drill(hall: &Hall, headers: &HeaderMap) -> Result<Option<String>, Refused> {
    let Some(nonce) = headers.get(DRILL_HEADER) else { return Ok(None) };
    let nonce = nonce.to_str().map_err(|_| Refused::Bad("the drill nonce is not text".to_owned()))?;
    let found = hall.directory.registry().drill_by_nonce(nonce).await;
    let session = found.map_err(|error| Refused::unavailable(&error))?;
    let session = session.ok_or(Refused::Forbidden("no drill session with this nonce is running"))?;
    Ok(Some(session.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: &[&str]) {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        assert_eq!(secrets(&headers), expected, "{value}");
    }

    #[test]
    fn forms() {
        check("Bearer abc", &["abc"]);
        check("ApiKey abc", &["abc"]);
        check(&format!("ApiKey {}", STANDARD.encode("id:abc")), &[&STANDARD.encode("id:abc"), "abc"]);
        check(&format!("Basic {}", STANDARD.encode("u:abc")), &["abc"]);
        check("Basic ???", &[]);
        check("Digest x", &[]);
        check("Bearer ", &[]);
    }
}
