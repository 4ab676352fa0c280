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
        match refused {
            rejection::JsonRejection::JsonSyntaxError(_) => {
                let (_, (vi, en)) = place(&refused.body_text());
                Self {
                    vi: format!("Nội dung yêu cầu không đúng cú pháp JSON{vi}."),
                    en: format!("The body is not well-formed JSON{en}."),
                    ..error
                }
            }
            rejection::JsonRejection::JsonDataError(_) => error.of_body(&refused.body_text()),
            _ => error,
        }
    }
}

/// A reader's words without the position at their end, and the position in Vietnamese and English.
fn place(told: &str) -> (&str, (String, String)) {
    let read = told.rsplit_once(" at line ").and_then(|(words, place)| {
        let (line, column) = place.split_once(" column ")?;
        Some((words, line.parse::<u64>().ok()?, column.parse::<u64>().ok()?))
    });
    match read {
        Some((words, line, column)) => {
            (words, (format!(" (dòng {line}, cột {column})"), format!(" (line {line}, column {column})")))
        }
        None => (told, (String::new(), String::new())),
    }
}

/// The field that a refusal of a body is about (empty where it is not known), and what is wrong with it.
fn of_data(words: &str) -> (&str, &'static str) {
    match of_query(words) {
        (name, "is no parameter here") => (name, "is no field here"),
        // A path has no spaces; the reader's own words before a colon have.
        (path, "is not one of the values") if path.contains(' ') => ("", of_kind(words)),
        (path, "is not one of the values") => (path, of_kind(words)),
        known => known,
    }
}

/// What is wrong with a value.
fn of_kind(words: &str) -> &'static str {
    if words.contains("unknown variant") {
        "is not one of the values"
    } else {
        "has a value of the wrong kind"
    }
}

/// The names that the reader would have taken, where it says so.
fn expected(words: &str) -> Vec<&str> {
    let unknown = words.contains("unknown variant `") || words.contains("unknown field `");
    let names = words.rsplit_once(", expected ").filter(|_| unknown);
    names.map_or_else(Vec::new, |(_, names)| names.split('`').skip(1).step_by(2).collect())
}

/// A sentence with those names in Vietnamese and English, shortened.
fn allowed(words: &str) -> Option<(String, String)> {
    let names: String = expected(words).join(", ").chars().take(300).collect();
    (!names.is_empty()).then(|| (format!(" Được dùng: {names}."), format!(" Allowed: {names}.")))
}

impl From<rejection::QueryRejection> for ApiError {
    fn from(refused: rejection::QueryRejection) -> Self {
        let told =
            std::error::Error::source(&refused).map_or_else(|| refused.body_text(), ToString::to_string);
        let (name, reason) = of_query(&told);
        let error = Self::of_parameter(name, reason).with_detail(&told);
        match allowed(&told) {
            Some((vi, en)) if reason == "is not one of the values" => {
                Self { vi: format!("{}.{vi}", error.vi), en: format!("{}.{en}", error.en), ..error }
            }
            _ => error,
        }
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
    /// Says in both languages what of a body does not fit, and where; the reader's own words are those of the code.
    fn of_body(self, told: &str) -> Self {
        let (words, (place_vi, place_en)) = place(told);
        let words = words.split_once("target type: ").map_or(words, |(_, words)| words);
        let (field, reason) = of_data(words);
        let (known_vi, known_en) = allowed(words).unwrap_or_default();
        let refused = Self::of_parameter(field, reason);
        let prefix = if field.is_empty() { "JSON" } else { "" };
        Self {
            vi: format!("{prefix}{}{place_vi}.{known_vi}", refused.vi),
            en: format!("{prefix}{}{place_en}.{known_en}", refused.en),
            field: refused.field.filter(|name| !name.is_empty()),
            ..self
        }
    }

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
    fn what_of_a_body_does_not_fit_is_told_in_both_languages() {
        let start = "Failed to deserialize the JSON body into the target type: ";
        for (told, field, vi, en) in [
            (
                "kind: unknown variant `x`, expected `a` or `b` at line 1 column 9",
                Some("kind"),
                "kind: không phải một trong các giá trị cho phép (dòng 1, cột 9). Được dùng: a, b.",
                "kind: is not one of the values (line 1, column 9). Allowed: a, b.",
            ),
            (
                "level: invalid type: string \"x\", expected i64 at line 2 column 3",
                Some("level"),
                "level: giá trị không đúng kiểu dữ liệu (dòng 2, cột 3).",
                "level: has a value of the wrong kind (line 2, column 3).",
            ),
            (
                "missing field `new` at line 1 column 2",
                Some("new"),
                "new: phải có (dòng 1, cột 2).",
                "new: must be given (line 1, column 2).",
            ),
            (
                "unknown field `owner`",
                Some("owner"),
                "owner: không phải trường của yêu cầu này.",
                "owner: is no field here.",
            ),
            (
                "invalid type: sequence, expected struct Edit at line 1 column 0",
                None,
                "JSON: giá trị không đúng kiểu dữ liệu (dòng 1, cột 0).",
                "JSON: has a value of the wrong kind (line 1, column 0).",
            ),
        ] {
            let error = ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_request");
            let error = error.of_body(&format!("{start}{told}"));
            assert_eq!((error.field.as_deref(), error.vi.as_str(), error.en.as_str()), (field, vi, en));
        }
    }

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
