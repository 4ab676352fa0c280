//! Extractors whose refusals are problems like all others.

use std::str::FromStr;

use axum::{
    extract::{FromRequest, FromRequestParts, rejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use crate::error::ApiError;

/// A JSON body.
#[derive(Debug, FromRequest)]
#[from_request(via(axum::Json), rejection(ApiError))]
pub(crate) struct Json<T>(pub(crate) T);

/// The query string.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub(crate) struct Query<T>(pub(crate) T);

/// A whole number in the query string. Who knows its range reads it ([`crate::api`]), so that what is no number is
/// refused with the same words as what lies outside.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Whole(String);

impl Whole {
    /// The number, if the text is one that fits.
    pub(crate) fn read<T: FromStr>(&self) -> Option<T> {
        self.0.parse().ok()
    }
}

/// A part of the path.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl From<rejection::JsonRejection> for ApiError {
    fn from(refused: rejection::JsonRejection) -> Self {
        let status = refused.status();
        let code = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "media_type",
            _ => "bad_request",
        };
        let error = Self::new(status, code);
        if code == "bad_request" { error.with_detail(&refused.body_text()) } else { error }
    }
}

impl From<rejection::QueryRejection> for ApiError {
    fn from(refused: rejection::QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request").with_detail(&refused.body_text())
    }
}

impl From<rejection::PathRejection> for ApiError {
    fn from(_: rejection::PathRejection) -> Self {
        Self::not_found()
    }
}

impl ApiError {
    /// Adds what exactly cannot be read, shortened, beside the sentences in both languages.
    pub(crate) fn with_detail(mut self, detail: &str) -> Self {
        self.detail = Some(detail.chars().filter(|sign| !sign.is_control()).take(300).collect());
        self
    }
}
