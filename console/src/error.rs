//! Errors become words for the client here: a status, a stable code, a sentence in both languages, the request's id.

use std::{borrow::Cow, path::Path};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dongson_registry::Error as RegistryError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{FactsError, words};

/// The code of a write that the disk did not take; its sentences name the data folder.
const DISK_FULL: &str = "disk_full";

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// A stable code, for example `not_found`.
    pub code: String,
    /// What happened and what to do, in Vietnamese.
    pub message_vi: String,
    /// The same in English.
    pub message_en: String,
    /// The field of the request that is wrong, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What exactly cannot be read of the address, or what a server answered, in its own words, where it said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// For asking about it: the same id stands in the log.
    pub request_id: String,
}

/// Why a handler does not answer what was asked. Becomes a [`Problem`] when [`crate::respond`] adds the request's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) vi: String,
    pub(crate) en: String,
    pub(crate) field: Option<Cow<'static, str>>,
    pub(crate) detail: Option<String>,
}

/// The result of every handler.
pub(crate) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// An error whose words are in the table.
    pub(crate) fn new(status: StatusCode, code: &'static str) -> Self {
        let (vi, en) = words::of_code(code);
        Self { status, code, vi: vi.to_owned(), en: en.to_owned(), field: None, detail: None }
    }

    /// 404: it does not exist, or not for this caller.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found")
    }

    /// 422 about one field; `reason` is in the table of reasons.
    pub(crate) fn invalid(field: &'static str, reason: &str) -> Self {
        let vi = format!("{field}: {}", words::of_reason(reason));
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "invalid",
            vi,
            en: format!("{field}: {reason}"),
            field: Some(field.into()),
            detail: None,
        }
    }

    /// 422 about a setting of a channel; its name may come from outside.
    fn setting(name: &str, reason: &'static str) -> Self {
        Self::of_parameter(&format!("settings.{name}"), reason)
    }

    /// 422 about a parameter or a part of one; its name may come from outside.
    pub(crate) fn of_parameter(name: &str, reason: &'static str) -> Self {
        let field: String = name.chars().filter(|sign| !sign.is_control()).take(80).collect();
        let vi = format!("{field}: {}", words::of_reason(reason));
        let en = format!("{field}: {reason}");
        Self { vi, en, field: Some(field.into()), ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid") }
    }

    /// 422 about a field whose value is none of those that exist.
    pub(crate) fn none_of(field: &'static str, reason: &'static str, known: &[impl AsRef<str>]) -> Self {
        let known = known.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
        let error = Self::invalid(field, reason);
        Self {
            vi: format!("{}. Hiện có: {known}.", error.vi),
            en: format!("{}. There are: {known}.", error.en),
            ..error
        }
    }

    /// 500; the cause goes to the log and not to the client.
    fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal")
    }

    /// The body, with the request's id; `folder` is the data folder, for the problems that are about it.
    pub(crate) fn problem(&self, request_id: &str, folder: Option<&Path>) -> Problem {
        let folder = folder.map_or_else(String::new, |folder| folder.display().to_string());
        let told = |text: &str| match self.code {
            DISK_FULL => text.replace("{folder}", &folder),
            _ => text.to_owned(),
        };
        Problem {
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            message_vi: told(&self.vi),
            message_en: told(&self.en),
            field: self.field.as_deref().map(str::to_owned),
            detail: self.detail.clone(),
            request_id: request_id.to_owned(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("300"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::NotFound(_) => Self::not_found(),
            RegistryError::Stale { .. } => Self::new(StatusCode::CONFLICT, "stale"),
            RegistryError::Taken(_) => Self::new(StatusCode::CONFLICT, "taken"),
            RegistryError::Invalid { field, reason } => Self::invalid(field, reason),
            RegistryError::NoneOf { field, reason, known } => Self::none_of(field, reason, known),
            RegistryError::Setting { name, reason } => Self::setting(&name, reason),
            RegistryError::SameMarks { name, organization } => Self {
                status: StatusCode::CONFLICT,
                code: "same_marks",
                vi: format!(
                    "Nguồn nhật ký {name} của đơn vị {organization} đã dùng cùng địa chỉ, cổng nhận, chứng thư số và khóa API: không thể phân biệt bản ghi của hai nguồn. Hãy thu hẹp địa chỉ hoặc thêm dấu hiệu khác."
                ),
                en: format!(
                    "Source {name} of agency {organization} has the same address, listener, certificate and key: their records could not be told apart. Narrow the address or add another mark."
                ),
                field: Some("address".into()),
                detail: None,
            },
            RegistryError::Refused { what, reason } => Self {
                status: StatusCode::CONFLICT,
                code: "refused",
                vi: format!("{}: {}", words::of_thing(what), words::of_reason(reason)),
                en: format!("{what}: {reason}"),
                field: (what == "present password").then_some("present".into()),
                detail: None,
            },
            RegistryError::Trust(error) => {
                Self::new(StatusCode::CONFLICT, "not_signed").with_detail(&error.to_string())
            }
            RegistryError::WeakPassword(weak) => {
                let (vi, en) = words::of_password(&weak.to_string());
                Self {
                    status: StatusCode::UNPROCESSABLE_ENTITY,
                    code: "weak_password",
                    vi: vi.to_owned(),
                    en: en.to_owned(),
                    field: Some("new".into()),
                    detail: None,
                }
            }
            other if other.is_server() => {
                tracing::error!(cause = %other, "the registry's server does not answer or cannot write");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_away")
            }
            other if other.is_disk() => {
                tracing::error!(cause = %other, "the registry cannot be written");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, DISK_FULL)
            }
            other => Self::internal(&other),
        }
    }
}

impl From<FactsError> for ApiError {
    fn from(error: FactsError) -> Self {
        match error {
            FactsError::Refused(_) => return Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_question"),
            FactsError::Cursor => {
                return Self::invalid("cursor", "is not understood: take it from `next` of the last page");
            }
            FactsError::TooSlow => return Self::new(StatusCode::UNPROCESSABLE_ENTITY, "search_too_slow"),
            FactsError::Unavailable(_) => {}
        }
        tracing::warn!(%error, "the event store did not answer");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
    }
}
