//! RFB.

use super::Rule::{By, Is};
use super::{Line, line};
use crate::values::Case;

pub(super) const LINES: &[Line] = &[
    line("zeek", "rfb", "client_major_version", By(|case, v| version(case, "client", 0, v)), ""),
    line("zeek", "rfb", "client_minor_version", By(|case, v| version(case, "client", 1, v)), ""),
    line("zeek", "rfb", "server_major_version", By(|case, v| version(case, "server", 0, v)), ""),
    line("zeek", "rfb", "server_minor_version", By(|case, v| version(case, "server", 1, v)), ""),
    line("zeek", "rfb", "authentication_method", Is("dongson.rfb.authentication"), ""),
    line("zeek", "rfb", "auth", By(|case, v| (case.text("event.outcome") == "success") == (v == "T")), ""),
    line(
        "zeek",
        "rfb",
        "share_flag",
        By(|case, v| super::tls::truth(&case.text("dongson.rfb.shared")) == v),
        "",
    ),
    line("zeek", "rfb", "desktop_name", Is("dongson.rfb.desktop"), ""),
    line("zeek", "rfb", "width", Is("dongson.rfb.width"), ""),
    line("zeek", "rfb", "height", Is("dongson.rfb.height"), ""),
];

/// Zeek splits the version at its stop.
fn version(case: &Case<'_>, side: &str, part: usize, theirs: &str) -> bool {
    let ours = case.text(&format!("dongson.rfb.{side}.version"));
    ours.split('.').nth(part) == Some(theirs)
}
