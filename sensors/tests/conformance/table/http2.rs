//! HTTP/2: Suricata's `http.http2`, and headers told whole.

use super::Rule::{By, Is};
use super::{Line, line};
use crate::values::Case;

pub(super) const LINES: &[Line] = &[
    line("suricata-verify", "http", "http.version", Is("http.version"), ""),
    line("suricata-verify", "http", "http.http2.stream_id", Is("dongson.http2.stream_id"), ""),
    line(
        "suricata-verify",
        "http",
        "http.http2.request.settings[*].settings_id",
        By(|case, v| setting(case, "request", 0) == v),
        "",
    ),
    line(
        "suricata-verify",
        "http",
        "http.http2.request.settings[*].settings_value",
        By(|case, v| setting(case, "request", 1) == v),
        "",
    ),
    line(
        "suricata-verify",
        "http",
        "http.http2.response.settings[*].settings_id",
        By(|case, v| setting(case, "response", 0) == v),
        "",
    ),
    line(
        "suricata-verify",
        "http",
        "http.http2.response.settings[*].settings_value",
        By(|case, v| setting(case, "response", 1) == v),
        "",
    ),
    line(
        "suricata-verify",
        "http",
        "http.http2.request.error_code",
        By(|case, v| case.text("dongson.http2.request.error_code").replace('_', "") == v),
        "",
    ),
    line(
        "suricata-verify",
        "http",
        "http.request_headers[*].name",
        By(|case, v| header(case, "request").is_some_and(|(name, _)| name == v)),
        "",
    ),
    line(
        "suricata-verify",
        "http",
        "http.request_headers[*].value",
        By(|case, v| header(case, "request").is_some_and(|(_, value)| value == v)),
        "",
    ),
    line(
        "suricata-verify",
        "http",
        "http.response_headers[*].name",
        By(|case, v| header(case, "response").is_some_and(|(name, _)| name == v)),
        "",
    ),
    line(
        "suricata-verify",
        "http",
        "http.response_headers[*].value",
        By(|case, v| header(case, "response").is_some_and(|(_, value)| value == v)),
        "",
    ),
];

/// Name (`part` 0, as Suricata writes it) or value (1) of the setting at the fact's index.
fn setting(case: &Case<'_>, side: &str, part: usize) -> String {
    let pair = case.item(&format!("dongson.http2.{side}.settings")).unwrap_or_default();
    let (name, value) = pair.split_once('=').unwrap_or_default();
    if part == 1 { value.to_owned() } else { format!("SETTINGS{}", name.replace('_', "")) }
}

fn header(case: &Case<'_>, side: &str) -> Option<(String, String)> {
    let line = case.item(&format!("dongson.http.{side}.headers"))?;
    let at = line.get(1..)?.find(": ")? + 1;
    Some((line.get(..at)?.to_owned(), line.get(at + 2..)?.to_owned()))
}
