//! Reading a request: the statement, its settings, its parameters, and the rows that follow.

use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Query, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::engine::EngineError;

/// Longest statement in bytes, with its parameters.
const MAX_STATEMENT_BYTES: usize = 16 << 20;

/// What is asked.
#[derive(Debug)]
pub(super) struct Order {
    /// The statement.
    pub(super) sql: String,
    /// The format of the result when the statement names none.
    pub(super) format: String,
    /// The database that names without one belong to.
    pub(super) database: Option<String>,
    /// Settings for this statement alone.
    pub(super) settings: Vec<(String, String)>,
    /// Values of `{name:Type}` places.
    pub(super) params: Vec<(String, String)>,
    /// Rows of an INSERT; empty otherwise.
    pub(super) rows: Body,
}

/// Why a request gets no result, in `ClickHouse`'s form.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: u32,
    text: String,
}

impl Refusal {
    /// With `ClickHouse`'s number of the error.
    pub(crate) fn new(status: StatusCode, code: u32, words: impl Into<String>) -> Self {
        Self { status, code, text: format!("Code: {code}. DB::Exception: {}", words.into()) }
    }

    fn bad(words: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 62, words)
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: error.code, text: error.text }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert("x-clickhouse-exception-code", HeaderValue::from(self.code));
        (self.status, headers, self.text + "\n").into_response()
    }
}

/// Names that are part of the interface, not settings of the engine.
const IGNORED: [&str; 8] =
    ["compress", "decompress", "query_id", "session_id", "user", "password", "role", "wait_end_of_query"];

/// Reads all but the rows.
pub(super) async fn read(request: Request) -> Result<Order, Refusal> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(request.uri())
        .map_err(|error| Refusal::bad(format!("the address cannot be read: {error}")))?;
    let mut order = Order {
        sql: String::new(),
        format: "TabSeparated".to_owned(),
        database: None,
        settings: Vec::new(),
        params: Vec::new(),
        rows: Body::empty(),
    };
    let mut query = None;
    for (name, value) in pairs {
        match name.as_str() {
            "query" => query = Some(value),
            "default_format" => order.format = value,
            "database" => order.database = Some(value),
            "decompress" if value == "1" => {
                return Err(Refusal::bad("compressed rows are not taken: use Compression::None"));
            }
            name if IGNORED.contains(&name) => {}
            name => match name.strip_prefix("param_") {
                Some(parameter) => order.params.push((parameter.to_owned(), value)),
                None => order.settings.push((name.to_owned(), value)),
            },
        }
    }
    if is_multipart(request.headers()) {
        read_multipart(request, &mut order).await?;
    } else if let Some(sql) = query {
        order.sql = sql;
        order.rows = request.into_body();
    } else {
        order.sql = read_text(request.into_body()).await?;
    }
    Ok(order)
}

fn is_multipart(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("multipart/form-data"))
}

async fn read_multipart(request: Request, order: &mut Order) -> Result<(), Refusal> {
    let bad = |error: &dyn std::fmt::Display| Refusal::bad(format!("the form cannot be read: {error}"));
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| bad(&error))?;
    let mut total = 0;
    while let Some(field) = form.next_field().await.map_err(|error| bad(&error))? {
        let name = field.name().unwrap_or_default().to_owned();
        let value = field.text().await.map_err(|error| bad(&error))?;
        total += value.len();
        if total > MAX_STATEMENT_BYTES {
            return Err(Refusal::bad("the statement and its parameters are longer than 16 MiB"));
        }
        match name.strip_prefix("param_") {
            Some(parameter) => order.params.push((parameter.to_owned(), value)),
            None if name == "query" => order.sql = value,
            None => return Err(Refusal::bad(format!("the form has an unknown part {name:?}"))),
        }
    }
    Ok(())
}

async fn read_text(body: Body) -> Result<String, Refusal> {
    let bytes = axum::body::to_bytes(body, MAX_STATEMENT_BYTES)
        .await
        .map_err(|error| Refusal::bad(format!("the statement cannot be read: {error}")))?;
    String::from_utf8(bytes.into()).map_err(|_| Refusal::bad("the statement is not UTF-8"))
}
