//! RDP.

use super::Rule::{By, Is};
use super::{Line, line};

pub(super) const LINES: &[Line] = &[
    line("zeek", "rdp", "cookie", Is("dongson.rdp.cookie"), ""),
    line("zeek", "rdp", "result", Is("dongson.rdp.result"), ""),
    line("zeek", "rdp", "security_protocol", Is("dongson.rdp.security_protocol"), ""),
    line(
        "zeek",
        "rdp",
        "client_channels",
        By(|case, v| case.list("dongson.rdp.client.channels").join(",") == v),
        "",
    ),
    line("zeek", "rdp", "keyboard_layout", Is("dongson.rdp.keyboard_layout"), ""),
    line("zeek", "rdp", "client_build", Is("dongson.rdp.client.build"), ""),
    line("zeek", "rdp", "client_name", Is("dongson.rdp.client.name"), ""),
    line("zeek", "rdp", "client_dig_product_id", Is("dongson.rdp.client.product_id"), ""),
    line("zeek", "rdp", "desktop_width", Is("dongson.rdp.desktop_width"), ""),
    line("zeek", "rdp", "desktop_height", Is("dongson.rdp.desktop_height"), ""),
    line("zeek", "rdp", "requested_color_depth", Is("dongson.rdp.requested_color_depth"), ""),
    line("zeek", "rdp", "cert_type", Is("dongson.rdp.certificate_type"), ""),
    line(
        "zeek",
        "rdp",
        "cert_count",
        By(|case, v| case.number("dongson.rdp.certificate_count").unwrap_or(0).to_string() == v),
        "",
    ),
    line(
        "zeek",
        "rdp",
        "cert_permanent",
        By(|case, v| (case.text("dongson.rdp.certificate_permanent") == "true") == (v == "T")),
        "",
    ),
    line("zeek", "rdp", "encryption_level", Is("dongson.rdp.encryption_level"), ""),
    line("zeek", "rdp", "encryption_method", Is("dongson.rdp.encryption_method"), ""),
];
