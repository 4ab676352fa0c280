//! The embedded page: files under `web/dist`, and `index.html` for every path that the page routes itself.

use axum::{
    http::{HeaderValue, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
};
use rust_embed::RustEmbed;

/// The built page; empty when it was not built before this binary.
#[derive(RustEmbed)]
#[folder = "web/dist/"]
#[allow_missing = true]
struct Dist;

/// What `/` says when there is no page.
const MISSING: &str = "<!doctype html><html lang=\"vi\"><meta charset=\"utf-8\"><title>Dongson</title>\
    <p>Giao diện chưa được dựng vào chương trình. Hãy chạy <code>deploy/build-web</code> rồi dựng lại. API vẫn hoạt động tại <code>/api/v1</code>.</p>\
    <p lang=\"en\">The page was not built into this program. Run <code>deploy/build-web</code> and build again. The API works at <code>/api/v1</code>.</p></html>";

/// Serves a file of the page.
pub(crate) async fn serve(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    if let Some(response) = file(path) {
        return response;
    }
    if path.rsplit('/').next().is_some_and(|name| name.contains('.')) {
        return StatusCode::NOT_FOUND.into_response();
    }
    file("index.html").unwrap_or_else(|| (StatusCode::OK, Html(MISSING)).into_response())
}

/// A file of the page. Those under `assets/` carry a hash in their name and never change.
fn file(path: &str) -> Option<Response> {
    let found = Dist::get(path)?;
    let kept = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let kind = HeaderValue::from_str(found.metadata.mimetype()).ok()?;
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, HeaderValue::from_static(kept))];
    Some((headers, found.data.into_owned()).into_response())
}
