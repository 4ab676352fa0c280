//! Kerberos. tshark tells single messages, we tell exchanges: a message is looked for in the exchange it belongs to.

use super::Rule::{By, Is};
use super::{Line, line};
use crate::values::Case;

const EXCHANGE: &str = "tshark lists one frame, we one exchange of request and answer";

pub(super) const LINES: &[Line] = &[
    line("zeek", "kerberos", "request_type", Is("dongson.kerberos.request_type"), ""),
    line("zeek", "kerberos", "client", By(client), ""),
    line("zeek", "kerberos", "service", Is("dongson.kerberos.service"), ""),
    line(
        "zeek",
        "kerberos",
        "success",
        By(|case, v| (case.text("event.outcome") == "success") == (v == "T")),
        "",
    ),
    line("zeek", "kerberos", "error_msg", Is("dongson.kerberos.error_name"), ""),
    line("zeek", "kerberos", "cipher", Is("dongson.kerberos.cipher"), ""),
    line("zeek", "kerberos", "from", By(|case, v| super::epoch(v, &case.text("dongson.kerberos.from"))), ""),
    line("zeek", "kerberos", "till", By(|case, v| super::epoch(v, &case.text("dongson.kerberos.till"))), ""),
    line("zeek", "kerberos", "forwardable", By(|case, v| flag(case, "dongson.kerberos.forwardable", v)), ""),
    line("zeek", "kerberos", "renewable", By(|case, v| flag(case, "dongson.kerberos.renewable", v)), ""),
    line("tshark", "kerberos", "kerberos.msg_type", By(message_type), EXCHANGE),
    line("tshark", "kerberos", "kerberos.SNameString", By(|case, v| names(case, v, &SERVICES)), EXCHANGE),
    line("tshark", "kerberos", "kerberos.realm", By(|case, v| names(case, v, &REALMS)), EXCHANGE),
    line("tshark", "kerberos", "kerberos.crealm", Is("dongson.kerberos.client_realm"), ""),
    line(
        "tshark",
        "kerberos",
        "kerberos.CNameString",
        By(|case, v| names(case, v, &["user.name"])),
        EXCHANGE,
    ),
    line(
        "suricata-verify",
        "kerberos",
        "krb5.msg_type",
        By(suricata_type),
        "Suricata lists single messages, we exchanges",
    ),
    line("suricata-verify", "kerberos", "krb5.cname", By(|case, v| or_empty(case, "user.name", v)), ""),
    line(
        "suricata-verify",
        "kerberos",
        "krb5.realm",
        By(|case, v| or_empty(case, "dongson.kerberos.realm", v)),
        "",
    ),
    line(
        "suricata-verify",
        "kerberos",
        "krb5.sname",
        By(|case, v| or_empty(case, "dongson.kerberos.service", v)),
        "",
    ),
    line("suricata-verify", "kerberos", "krb5.ticket_encryption", Is("dongson.kerberos.ticket_cipher"), ""),
    line("suricata-verify", "kerberos", "krb5.error_code", Is("dongson.kerberos.error_name"), ""),
];

const SERVICES: [&str; 2] = ["dongson.kerberos.service", "dongson.kerberos.shown.service"];
const REALMS: [&str; 3] =
    ["dongson.kerberos.realm", "dongson.kerberos.client_realm", "dongson.kerberos.shown.realm"];

/// Zeek's client is `name/realm`, either of which may be missing.
fn client(case: &Case<'_>, theirs: &str) -> bool {
    theirs == format!("{}/{}", case.text("user.name"), case.text("dongson.kerberos.realm"))
}

fn flag(case: &Case<'_>, name: &str, theirs: &str) -> bool {
    case.text(name) == if theirs == "T" { "true" } else { "false" }
}

/// Each number is one of the exchange's messages, or the AP-REQ (14) that a TGS-REQ shows.
fn message_type(case: &Case<'_>, theirs: &str) -> bool {
    let request = case.text("dongson.kerberos.request_type");
    let (granted, refused) =
        (case.text("event.outcome") == "success", !case.text("dongson.kerberos.error_code").is_empty());
    theirs.split('|').all(|number| match (number, request.as_str()) {
        ("10", "AS") | ("12", "TGS") | ("14", "AP") => true,
        ("14", "TGS") => !case.text("dongson.kerberos.shown.service").is_empty(),
        ("11", "AS") | ("13", "TGS") | ("15", "AP") => granted,
        ("30", _) => refused,
        _ => false,
    })
}

fn suricata_type(case: &Case<'_>, theirs: &str) -> bool {
    let request = case.text("dongson.kerberos.request_type");
    match theirs {
        "KRB_ERROR" => !case.text("dongson.kerberos.error_code").is_empty(),
        _ => theirs.strip_prefix("KRB_").and_then(|word| word.split('_').next()) == Some(request.as_str()),
    }
}

/// Each part of a name stands in one of our fields.
fn names(case: &Case<'_>, theirs: &str, ours: &[&str]) -> bool {
    let ours: Vec<String> = ours.iter().map(|name| case.text(name)).collect();
    theirs.split('|').all(|part| ours.iter().any(|name| name.split('/').any(|held| held == part)))
}

fn or_empty(case: &Case<'_>, name: &str, theirs: &str) -> bool {
    case.text(name) == if theirs == "<empty>" { "" } else { theirs }
}
