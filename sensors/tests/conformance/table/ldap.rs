//! LDAP.

use super::Rule::{By, Is};
use super::{Line, line};
use crate::values::Case;

pub(super) const LINES: &[Line] = &[
    line("zeek", "*", "message_id", Is("dongson.ldap.message_id"), ""),
    line("zeek", "ldap", "version", Is("dongson.ldap.version"), ""),
    line("zeek", "ldap", "opcode", By(opcode), ""),
    line("zeek", "ldap", "result", By(result), ""),
    line("zeek", "ldap", "object", Is("dongson.ldap.object"), ""),
    line("zeek", "ldap", "argument", By(argument), "Zeek writes REDACTED for a password, we seal it"),
    line(
        "zeek",
        "ldap",
        "diagnostic_message",
        By(diagnostic),
        "Zeek writes ? for a sign that is not printed",
    ),
    line("zeek", "ldap_search", "result", By(result), ""),
    line("zeek", "ldap_search", "scope", Is("dongson.ldap.search.scope"), ""),
    line("zeek", "ldap_search", "deref_aliases", Is("dongson.ldap.search.aliases"), ""),
    line("zeek", "ldap_search", "base_object", Is("dongson.ldap.object"), ""),
    line("zeek", "ldap_search", "result_count", Is("dongson.ldap.result_count"), ""),
    line("zeek", "ldap_search", "filter", Is("dongson.ldap.search.filter"), ""),
    line(
        "zeek",
        "ldap_search",
        "attributes",
        By(|case, v| case.list("dongson.ldap.search.attributes").join(",") == v),
        "",
    ),
    line("suricata-verify", "ldap", "ldap.request.message_id", Is("dongson.ldap.message_id"), ""),
    line(
        "suricata-verify",
        "ldap",
        "ldap.request.operation",
        By(|case, v| operation(case, v, "_request")),
        "",
    ),
    line(
        "suricata-verify",
        "ldap",
        "ldap.responses[*].operation",
        By(|case, v| operation(case, v, "_response")),
        "",
    ),
    line("suricata-verify", "ldap", "ldap.request.mod_dn_request.entry", Is("dongson.ldap.object"), ""),
    line("suricata-verify", "ldap", "ldap.request.mod_dn_request.new_rdn", Is("dongson.ldap.new_rdn"), ""),
    line(
        "suricata-verify",
        "ldap",
        "ldap.request.mod_dn_request.delete_old_rdn",
        Is("dongson.ldap.delete_old_rdn"),
        "",
    ),
    line(
        "suricata-verify",
        "ldap",
        "ldap.responses[*].mod_dn_response.result_code",
        Is("dongson.ldap.result"),
        "",
    ),
    line(
        "suricata-verify",
        "ldap",
        "ldap.responses[*].mod_dn_response.matched_dn",
        Is("dongson.ldap.matched"),
        "",
    ),
    line(
        "suricata-verify",
        "ldap",
        "ldap.responses[*].mod_dn_response.message",
        Is("dongson.ldap.diagnostic"),
        "",
    ),
];

/// Zeek joins the method of a bind to its name.
fn opcode(case: &Case<'_>, theirs: &str) -> bool {
    let ours = [case.text("dongson.ldap.operation"), case.text("dongson.ldap.bind.method")].join(" ");
    theirs == ours.trim_end()
}

/// `invalid credentials` is `invalidCredentials`.
fn result(case: &Case<'_>, theirs: &str) -> bool {
    theirs.replace(' ', "").eq_ignore_ascii_case(&case.text("dongson.ldap.result"))
}

fn argument(case: &Case<'_>, theirs: &str) -> bool {
    if theirs == "REDACTED" {
        return case.text("dongson.ldap.password").starts_with("hmac-sha256:");
    }
    theirs == case.text("dongson.ldap.bind.mechanism")
}

fn diagnostic(case: &Case<'_>, theirs: &str) -> bool {
    theirs.trim_end_matches('?') == case.text("dongson.ldap.diagnostic")
}

fn operation(case: &Case<'_>, theirs: &str, end: &str) -> bool {
    let ours = case.text("dongson.ldap.operation");
    let ours = if ours == "modify-dn" { "mod_dn" } else { ours.as_str() };
    theirs.strip_suffix(end) == Some(ours)
}
