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

/// The query string; what is wrong with it is named by its parameter.
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
        let told =
            std::error::Error::source(&refused).map_or_else(|| refused.body_text(), ToString::to_string);
        let (name, reason) = of_query(&told);
        Self::of_parameter(name, reason).with_detail(&told)
    }
}

/// The parameter that a refusal of the query string is about, and what is wrong with it.
fn of_query(told: &str) -> (&str, &'static str) {
    // Without a path the words themselves name the parameter: "unknown field `x`, expected ...".
    let quoted = |start: &str| {
        let (_, rest) = told.split_once(start)?;
        rest.split_once('`').map(|(name, _)| name)
    };
    if let Some(name) = quoted("unknown field `") {
        (name, "is no parameter here")
    } else if let Some(name) = quoted("missing field `") {
        (name, "must be given")
    } else if let Some(name) = quoted("duplicate field `") {
        (name, "must be given once")
    } else {
        let path = told.split_once(": ").map_or("", |(path, _)| path);
        let switch = told.contains("`true` or `false`");
        (path, if switch { "must be true or false" } else { "is not one of the values" })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_reader_name_the_parameter() {
        for (told, expected) in [
            ("unknown field `x: y`, expected `a`", ("x: y", "is no parameter here")),
            ("x: unknown field `x`, expected `a`", ("x", "is no parameter here")),
            ("missing field `field`", ("field", "must be given")),
            ("duplicate field `limit`", ("limit", "must be given once")),
            ("ascending: provided string was not `true` or `false`", ("ascending", "must be true or false")),
            (
                "drill: unknown variant `yes`, expected one of `exclude`",
                ("drill", "is not one of the values"),
            ),
            ("strange", ("", "is not one of the values")),
        ] {
            assert_eq!(of_query(told), expected, "{told}");
        }
    }
}
