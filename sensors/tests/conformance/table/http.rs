//! HTTP/1.

use super::Rule::{By, Is};
use super::{Line, line};
use crate::values::Case;

pub(super) const LINES: &[Line] = &[
    line("tshark", "http", "http.request.method", Is("http.request.method"), ""),
    line("tshark", "http", "http.request.uri", Is("url.original"), ""),
    line("tshark", "http", "http.host", Is("dongson.http.host"), ""),
    line("tshark", "http", "http.user_agent", Is("user_agent.original"), ""),
    line("tshark", "http", "http.response.code", Is("http.response.status_code"), ""),
    line("tshark", "http", "http.server", Is("dongson.http.response.server"), ""),
    line("tshark", "http", "http.content_type", By(content_type), ""),
    line("zeek", "http", "trans_depth", Is("dongson.http.trans_depth"), ""),
    line("zeek", "http", "method", Is("http.request.method"), ""),
    line(
        "zeek",
        "http",
        "uri",
        By(|case, v| {
            let unescaped = case.text("dongson.http.uri_unescaped");
            v == if unescaped.is_empty() { case.text("url.original") } else { unescaped }
        }),
        "",
    ),
    line("zeek", "http", "host", Is("dongson.http.host"), ""),
    line("zeek", "http", "version", Is("http.version"), ""),
    line("zeek", "http", "user_agent", Is("user_agent.original"), ""),
    line("zeek", "http", "referrer", Is("http.request.referrer"), ""),
    line("zeek", "http", "origin", Is("dongson.http.origin"), ""),
    line("zeek", "http", "request_body_len", By(|case, v| body(case, "request", v)), ""),
    line(
        "zeek",
        "http",
        "response_body_len",
        By(|case, v| body(case, "response", v)),
        "Zeek counts a body unpacked from gzip, we count both ways",
    ),
    line(
        "zeek",
        "http",
        "status_code",
        By(|case, v| is_old(case) && v == "0" || case.text("http.response.status_code") == v),
        OLD,
    ),
    line(
        "zeek",
        "http",
        "status_msg",
        By(|case, v| is_old(case) && v == "<empty>" || case.text("dongson.http.status_message") == v),
        OLD,
    ),
    line(
        "zeek",
        "http",
        "orig_filenames",
        By(|case, v| case.list("dongson.http.request.filenames").join(",") == v),
        "",
    ),
    line(
        "zeek",
        "http",
        "resp_filenames",
        By(|case, v| case.list("dongson.http.response.filenames").join(",") == v),
        "",
    ),
    line("zeek", "http", "resp_mime_types", Is("http.response.mime_type"), ""),
    line("zeek", "http", "orig_mime_types", Is("http.request.mime_type"), ""),
    line("suricata-verify", "http", "http.url", Is("url.original"), ""),
    line("suricata-verify", "http", "http.hostname", Is("url.domain"), ""),
    line("suricata-verify", "http", "http.status", Is("http.response.status_code"), ""),
    line("suricata-verify", "http", "http.http_method", Is("http.request.method"), ""),
    line("suricata-verify", "http", "http.http_user_agent", Is("user_agent.original"), ""),
    line("suricata-verify", "http", "http.http_content_type", By(content_type), ""),
    line("suricata-verify", "http", "http.redirect", Is("dongson.http.response.location"), ""),
    line(
        "suricata-verify",
        "http",
        "http.protocol",
        By(|case, v| v == format!("HTTP/{}", case.text("http.version"))),
        "",
    ),
    line("suricata-verify", "http", "http.length", By(|case, v| body(case, "response", v)), ""),
    line("ndpi", "http", "url", By(ndpi_url), ""),
    line(
        "ndpi",
        "http",
        "host",
        By(|case, v| case.text("dongson.http.host") == v || case.text("url.domain") == v),
        "",
    ),
    line("ndpi", "http", "user_agent", Is("user_agent.original"), ""),
    line("ndpi", "http", "status_code", Is("http.response.status_code"), ""),
    line(
        "ndpi",
        "http",
        "content_type",
        By(ndpi_content_type),
        "nDPI keeps a Content-Type up to its first parameter",
    ),
];

/// Content-Type of the message that a fact is about.
pub(super) fn content_type(case: &Case<'_>, theirs: &str) -> bool {
    let ours = ["dongson.http.response.content_type", "dongson.http.request.content_type"]
        .map(|name| case.text(name));
    ours.iter().any(|ours| ours == theirs)
}

pub(super) fn ndpi_content_type(case: &Case<'_>, theirs: &str) -> bool {
    let ours = ["dongson.http.response.content_type", "dongson.http.request.content_type"]
        .map(|name| case.text(name));
    let short = |text: &str| text.split(';').next().unwrap_or_default().trim().to_owned();
    ours.iter().any(|ours| short(ours) == short(theirs))
}

const OLD: &str = "Zeek gives an answer of HTTP/0.9, which has no status, the number 0";

pub(super) fn is_old(case: &Case<'_>) -> bool {
    case.text("http.version") == "0.9"
}

pub(super) fn body(case: &Case<'_>, side: &str, theirs: &str) -> bool {
    let wire = case.text(&format!("http.{side}.body.bytes"));
    let unpacked = case.text(&format!("dongson.http.{side}.unpacked_bytes"));
    if unpacked.is_empty() { wire == theirs } else { unpacked == theirs }
}

/// nDPI writes host and target as one.
pub(super) fn ndpi_url(case: &Case<'_>, theirs: &str) -> bool {
    let (host, target) = (case.text("dongson.http.host"), case.text("url.original"));
    let absolute = target.strip_prefix("http://").unwrap_or(&target);
    theirs == format!("{host}{target}") || theirs == target || theirs == absolute
}
