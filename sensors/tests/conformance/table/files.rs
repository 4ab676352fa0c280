//! Files, and what is in the headers of programs.

use super::Rule::{By, Drop, Is};
use super::{Line, line};
use crate::values::Case;

pub(super) const LINES: &[Line] = &[
    line("suricata-verify", "fileinfo", "event_type", By(|_, v| v == "fileinfo"), ""),
    line("suricata-verify", "fileinfo", "app_proto", By(|case, v| case.text("network.protocol") == v), ""),
    line("suricata-verify", "fileinfo", "src_ip", By(|case, v| ends(case, v, "ip")), SENDER),
    line("suricata-verify", "fileinfo", "src_port", By(|case, v| ends(case, v, "port")), SENDER),
    line("suricata-verify", "fileinfo", "dest_ip", By(|case, v| ends(case, v, "ip")), SENDER),
    line("suricata-verify", "fileinfo", "dest_port", By(|case, v| ends(case, v, "port")), SENDER),
    line(
        "suricata-verify",
        "fileinfo",
        "fileinfo.filename",
        By(name),
        "Suricata calls a body without a name by its URL's path, we by the last part of it; it cuts names at 255 bytes",
    ),
    line(
        "suricata-verify",
        "fileinfo",
        "fileinfo.size",
        By(suricata_size),
        "Suricata counts a hole into the size of a file",
    ),
    line(
        "suricata-verify",
        "fileinfo",
        "fileinfo.state",
        By(|case, v| case.text("dongson.file.state") == v.to_lowercase()),
        "",
    ),
    line(
        "suricata-verify",
        "fileinfo",
        "fileinfo.gaps",
        By(|case, v| (case.text("dongson.file.missing_bytes") != "0") == (v == "true")),
        "",
    ),
    line(
        "suricata-verify",
        "fileinfo",
        "fileinfo.stored",
        Drop,
        "whether Suricata kept the file, by its own settings",
    ),
    line(
        "suricata-verify",
        "fileinfo",
        "fileinfo.tx_id",
        Drop,
        "Suricata's own number, as tx_id on the README's list",
    ),
    line("suricata-verify", "fileinfo", "fileinfo.md5", Is("file.hash.md5"), ""),
    line("suricata-verify", "fileinfo", "fileinfo.sha256", Is("file.hash.sha256"), ""),
    line("suricata-verify", "fileinfo", "fileinfo.start", Is("dongson.file.range_start"), ""),
    line("suricata-verify", "fileinfo", "fileinfo.end", Is("dongson.file.range_end"), ""),
    line("suricata-verify", "fileinfo", "http.content_range.raw", Is("dongson.file.range"), ""),
    line("suricata-verify", "fileinfo", "http.content_range.start", Is("dongson.file.range_start"), ""),
    line("suricata-verify", "fileinfo", "http.content_range.end", Is("dongson.file.range_end"), ""),
    line("suricata-verify", "fileinfo", "http.content_range.size", Is("dongson.file.range_total"), ""),
    line("suricata-verify", "fileinfo", "http.http_method", Is("http.request.method"), ""),
    line("suricata-verify", "fileinfo", "http.hostname", Is("url.domain"), ""),
    line(
        "zeek",
        "files",
        "source",
        By(|case, v| case.text("network.protocol") == v.to_lowercase().replace('_', "-")),
        "",
    ),
    line(
        "zeek",
        "files",
        "depth",
        By(|case, v| {
            let mail = case.text("network.protocol") == "smtp";
            if mail { case.text("dongson.file.depth") == v } else { v == "0" }
        }),
        "Zeek counts the depth of parts of mails only; ours of HTTP is the number of the request",
    ),
    line("zeek", "files", "mime_type", Is("file.mime_type"), ""),
    line("zeek", "files", "filename", Is("file.name"), ""),
    line("zeek", "files", "duration", By(duration), ""),
    line(
        "zeek",
        "files",
        "is_orig",
        By(|case, v| (case.text("dongson.file.from_source") == "true") == (v == "T")),
        "",
    ),
    line(
        "zeek",
        "files",
        "seen_bytes",
        By(|case, v| {
            let ours = case.number("file.size").unwrap_or(0);
            let end = if case.text("network.protocol") == "smtp" { 2 } else { 0 };
            v.parse() == Ok(ours) || v.parse() == Ok(ours + end)
        }),
        "Zeek counts the line end before a boundary into the part of a mail; it belongs to the boundary (RFC 2046, 5.1.1)",
    ),
    line("zeek", "files", "total_bytes", Is("dongson.file.total_bytes"), ""),
    line("zeek", "files", "missing_bytes", Is("dongson.file.missing_bytes"), ""),
    line(
        "zeek",
        "files",
        "overflow_bytes",
        By(|_, v| v == "0"),
        "we have no bound that bytes of a file are dropped at",
    ),
    line(
        "zeek",
        "files",
        "timedout",
        By(|_, v| v == "F"),
        "our files end with their protocol or flow, not by a clock of their own",
    ),
    line("zeek", "files", "analyzers", Drop, "which of Zeek's analyzers were on"),
    line("zeek", "files", "md5", Is("file.hash.md5"), ""),
    line("zeek", "files", "sha1", Is("file.hash.sha1"), ""),
    line("zeek", "files", "sha256", Is("file.hash.sha256"), ""),
    line("zeek", "pe", "machine", Is("file.pe.architecture"), ""),
    line(
        "zeek",
        "pe",
        "compile_ts",
        By(|case, v| v.strip_suffix(".000000") == Some(&case.text("dongson.file.pe.compiled"))),
        "",
    ),
    line("zeek", "pe", "is_exe", By(|case, v| truth(case, "is_executable", v)), ""),
    line("zeek", "pe", "is_64bit", By(|case, v| truth(case, "is_64bit", v)), ""),
    line("zeek", "pe", "uses_aslr", By(|case, v| truth(case, "aslr", v)), ""),
    line("zeek", "pe", "uses_dep", By(|case, v| truth(case, "dep", v)), ""),
    line("zeek", "pe", "uses_code_integrity", By(|case, v| truth(case, "code_integrity", v)), ""),
    line("zeek", "pe", "uses_seh", By(|case, v| truth(case, "seh", v)), ""),
    line("zeek", "pe", "has_import_table", By(|case, v| truth(case, "has_imports", v)), ""),
    line("zeek", "pe", "has_export_table", By(|case, v| truth(case, "has_exports", v)), ""),
    line("zeek", "pe", "has_cert_table", By(|case, v| truth(case, "has_certificates", v)), ""),
    line("zeek", "pe", "has_debug_data", By(|case, v| truth(case, "has_debug_data", v)), ""),
    line("zeek", "pe", "subsystem", Is("dongson.file.pe.subsystem"), ""),
    line("zeek", "pe", "os", By(system), ""),
    line(
        "zeek",
        "pe",
        "section_names",
        By(|case, v| case.list("dongson.file.pe.sections").join(",") == v),
        "",
    ),
];

const SENDER: &str = "in fileinfo Suricata's source is who sent the file; ours is who began the exchange: the ends are compared as a set";

fn ends(case: &Case<'_>, theirs: &str, what: &str) -> bool {
    ["source", "destination"].iter().any(|side| case.text(&format!("{side}.{what}")) == theirs)
}

fn name(case: &Case<'_>, theirs: &str) -> bool {
    let path = case.text("url.path");
    let cut = theirs.len() == 255 && case.text("file.name").starts_with(theirs);
    cut || case.text("file.name") == theirs || path == theirs || case.text("file.path") == theirs
}

fn suricata_size(case: &Case<'_>, theirs: &str) -> bool {
    let (seen, missing) = (case.number("file.size"), case.number("dongson.file.missing_bytes"));
    seen.zip(missing).is_some_and(|(seen, missing)| Ok(seen + missing) == theirs.parse())
}

fn duration(case: &Case<'_>, theirs: &str) -> bool {
    let ours = case.number("event.duration").unwrap_or(0);
    let theirs: f64 = theirs.parse().unwrap_or(-1.0);
    #[expect(clippy::cast_precision_loss, reason = "durations of captures are far below 2^53 ns")]
    let difference = (ours as f64 / 1e9 - theirs).abs();
    difference < 2e-6
}

fn truth(case: &Case<'_>, ours: &str, theirs: &str) -> bool {
    (case.text(&format!("dongson.file.pe.{ours}")) == "true") == (theirs == "T")
}

/// Zeek names the versions of Windows.
fn system(case: &Case<'_>, theirs: &str) -> bool {
    let name = match case.text("dongson.file.pe.os_version").as_str() {
        "10.0" => "Windows 10",
        "6.4" => "Windows 10 Technical Preview",
        "6.3" => "Windows 8.1 or Server 2012 R2",
        "6.2" => "Windows 8 or Server 2012",
        "6.1" => "Windows 7 or Server 2008 R2",
        "6.0" => "Windows Vista or Server 2008",
        "5.2" => "Windows XP x64 or Server 2003",
        "5.1" => "Windows XP",
        "5.0" => "Windows 2000",
        "4.90" => "Windows Me",
        "4.10" => "Windows 98",
        "4.0" => "Windows 95 or NT 4.0",
        _ => return false,
    };
    name == theirs
}
