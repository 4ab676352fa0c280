//! RADIUS, syslog, Redis, `MySQL`, DNP3 and SIP.

use super::Rule::{By, Drop, Is};
use super::{Line, line};
use crate::values::Case;

const SIP_PATHS: &str =
    "Zeek lists the paths of all messages of a transaction, repeated ones too; ours is that of one message";

pub(super) const LINES: &[Line] = &[
    line("zeek", "radius", "username", Is("user.name"), ""),
    line("zeek", "radius", "mac", By(station), ""),
    line("zeek", "radius", "framed_addr", Is("dongson.radius.framed_ip"), ""),
    line("zeek", "radius", "tunnel_client", Is("dongson.radius.tunnel_client"), ""),
    line("zeek", "radius", "connect_info", Is("dongson.radius.connect_info"), ""),
    line("zeek", "radius", "reply_msg", Is("dongson.radius.reply_message"), ""),
    line("zeek", "radius", "result", By(result), ""),
    line("zeek", "radius", "ttl", By(elapsed), ""),
    line("zeek", "syslog", "facility", By(facility), ""),
    line("zeek", "syslog", "severity", By(severity), ""),
    line("zeek", "syslog", "message", Is("message"), ""),
    line("zeek", "redis", "cmd.name", Is("dongson.redis.command"), ""),
    line("zeek", "redis", "cmd.key", Is("dongson.redis.key"), ""),
    line("zeek", "redis", "cmd.value", Is("dongson.redis.value"), ""),
    line("zeek", "redis", "success", By(success), ""),
    line("zeek", "redis", "reply.value", Is("dongson.redis.reply"), ""),
    line("zeek", "mysql", "cmd", Is("dongson.mysql.command"), ""),
    line("zeek", "mysql", "arg", By(argument), ""),
    line("zeek", "mysql", "success", By(success), ""),
    line("zeek", "mysql", "response", Is("error.message"), ""),
    line("zeek", "mysql", "rows", By(rows), "Zeek gives 0 rows for what changes none; ours is then absent"),
    line("suricata-verify", "pgsql", "event_type", By(|_, v| v == "pgsql"), ""),
    line(
        "suricata-verify",
        "pgsql",
        "pgsql.tx_id",
        Drop,
        "Suricata's own number, as tx_id on the README's list",
    ),
    line("suricata-verify", "pgsql", "pgsql.request.simple_query", Is("dongson.postgresql.argument"), ""),
    line("suricata-verify", "pgsql", "pgsql.request.protocol_version", Is("dongson.postgresql.version"), ""),
    line("suricata-verify", "pgsql", "pgsql.request.message", By(pgsql_request), ""),
    line("suricata-verify", "pgsql", "pgsql.response.ssl_accepted", By(pgsql_tls), ""),
    line(
        "suricata-verify",
        "pgsql",
        "pgsql.response.command_completed",
        Is("dongson.postgresql.response"),
        "",
    ),
    line("suricata-verify", "pgsql", "pgsql.response.data_rows", Is("dongson.postgresql.rows"), ""),
    line("suricata-verify", "pgsql", "pgsql.response.data_size", Is("dongson.postgresql.row_bytes"), ""),
    line("suricata-verify", "pgsql", "pgsql.response.code", Is("dongson.postgresql.error_code"), ""),
    line("suricata-verify", "pgsql", "pgsql.response.message", By(pgsql_answer), ""),
    line("zeek", "dnp3", "fc_request", Is("dongson.dnp3.request"), ""),
    line("zeek", "dnp3", "fc_reply", Is("dongson.dnp3.response"), ""),
    line("zeek", "dnp3", "iin", Is("dongson.dnp3.indications"), ""),
    line(
        "zeek",
        "sip",
        "trans_depth",
        Drop,
        "Zeek counts requests in one connection and gives 0 for all over UDP; ours are told apart by Call-ID and CSeq",
    ),
    line("zeek", "sip", "method", Is("dongson.sip.method"), ""),
    line("zeek", "sip", "uri", Is("dongson.sip.uri"), ""),
    line("zeek", "sip", "date", Is("dongson.sip.date"), ""),
    line("zeek", "sip", "request_from", Is("dongson.sip.request.from"), ""),
    line("zeek", "sip", "request_to", Is("dongson.sip.request.to"), ""),
    line("zeek", "sip", "response_from", Is("dongson.sip.response.from"), ""),
    line("zeek", "sip", "response_to", Is("dongson.sip.response.to"), ""),
    line("zeek", "sip", "reply_to", Is("dongson.sip.reply_to"), ""),
    line("zeek", "sip", "call_id", Is("dongson.sip.call_id"), ""),
    line("zeek", "sip", "seq", Is("dongson.sip.seq"), ""),
    line("zeek", "sip", "subject", Is("dongson.sip.subject"), ""),
    line("zeek", "sip", "request_path", By(|case, v| path(case, "dongson.sip.request.path", v)), SIP_PATHS),
    line("zeek", "sip", "response_path", By(|case, v| path(case, "dongson.sip.response.path", v)), SIP_PATHS),
    line("zeek", "sip", "user_agent", Is("user_agent.original"), ""),
    line("zeek", "sip", "status_code", Is("dongson.sip.status_code"), ""),
    line("zeek", "sip", "status_msg", Is("dongson.sip.status_reason"), ""),
    line("zeek", "sip", "warning", Is("dongson.sip.warning"), ""),
    line("zeek", "sip", "request_body_len", Is("dongson.sip.request.body_bytes"), ""),
    line("zeek", "sip", "response_body_len", Is("dongson.sip.response.body_bytes"), ""),
    line("zeek", "sip", "content_type", Is("dongson.sip.content_type"), ""),
    line("suricata-verify", "sip", "event_type", By(|_, v| v == "sip"), ""),
    line("suricata-verify", "sip", "sip.method", Is("dongson.sip.method"), ""),
    line("suricata-verify", "sip", "sip.uri", Is("dongson.sip.uri"), ""),
    line("suricata-verify", "sip", "sip.version", Is("dongson.sip.version"), ""),
    line("suricata-verify", "sip", "sip.code", Is("dongson.sip.status_code"), ""),
    line("suricata-verify", "sip", "sip.reason", Is("dongson.sip.status_reason"), ""),
    line("suricata-verify", "sip", "sip.request_line", By(request_line), ""),
    line("suricata-verify", "sip", "sip.response_line", By(response_line), ""),
];

/// Calling-Station-Id can be a MAC address in any way of writing.
fn station(case: &Case<'_>, theirs: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace([':', '-', '.'], "");
    plain(&case.text("dongson.radius.calling_station")) == plain(theirs)
}

fn result(case: &Case<'_>, theirs: &str) -> bool {
    case.text("event.outcome") == theirs.replace("failed", "failure")
}

fn success(case: &Case<'_>, theirs: &str) -> bool {
    case.text("event.outcome") == if theirs == "T" { "success" } else { "failure" }
}

/// Seconds of the fact against our nanoseconds, to the microsecond.
#[expect(clippy::cast_precision_loss, reason = "compared to the microsecond")]
fn elapsed(case: &Case<'_>, theirs: &str) -> bool {
    let Some(ours) = case.number("event.duration") else { return false };
    theirs.parse::<f64>().is_ok_and(|theirs| (ours as f64 / 1e9 - theirs).abs() < 2e-6)
}

fn facility(case: &Case<'_>, theirs: &str) -> bool {
    const NAMES: [&str; 24] = [
        "KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV", "FTP",
        "NTP", "AUDIT", "ALERT", "CLOCK", "LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3", "LOCAL4", "LOCAL5",
        "LOCAL6", "LOCAL7",
    ];
    named(case, "log.syslog.facility.code", &NAMES) == theirs
}

fn severity(case: &Case<'_>, theirs: &str) -> bool {
    const NAMES: [&str; 8] = ["EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG"];
    named(case, "log.syslog.severity.code", &NAMES) == theirs
}

fn named(case: &Case<'_>, name: &str, names: &[&'static str]) -> &'static str {
    let code = case.number(name).and_then(|code| usize::try_from(code).ok());
    code.and_then(|code| names.get(code).copied()).unwrap_or("UNSPECIFIED")
}

/// The argument of a login is the user.
fn argument(case: &Case<'_>, theirs: &str) -> bool {
    let login = matches!(case.text("dongson.mysql.command").as_str(), "login" | "change_user");
    case.text(if login { "user.name" } else { "dongson.mysql.argument" }) == theirs
}

fn rows(case: &Case<'_>, theirs: &str) -> bool {
    case.number("dongson.mysql.affected_rows").unwrap_or(0).to_string() == theirs
}

/// Zeek leaves out the branch of each address.
fn path(case: &Case<'_>, name: &str, theirs: &str) -> bool {
    let without = |via: &String| via.split(";branch").next().unwrap_or_default().to_owned();
    let ours: Vec<String> = case.list(name).iter().map(without).collect();
    // The paths of several messages follow one another: ours is one of them.
    let theirs: Vec<&str> = theirs.split(',').collect();
    !ours.is_empty() && theirs.windows(ours.len()).any(|one| one == ours.as_slice())
}

fn pgsql_request(case: &Case<'_>, theirs: &str) -> bool {
    let ours = match theirs {
        "SSL Request" => "ssl_request",
        "termination_message" => "terminate",
        other => other,
    };
    case.text("dongson.postgresql.request") == ours
}

fn pgsql_tls(case: &Case<'_>, theirs: &str) -> bool {
    case.text("dongson.postgresql.response") == if theirs == "true" { "accepted" } else { "refused" }
}

/// The words of an error, else the step of the sign-in.
fn pgsql_answer(case: &Case<'_>, theirs: &str) -> bool {
    case.text("error.message") == theirs || case.text("dongson.postgresql.response") == theirs
}

fn request_line(case: &Case<'_>, theirs: &str) -> bool {
    ["dongson.sip.method", "dongson.sip.uri", "dongson.sip.version"].map(|name| case.text(name)).join(" ")
        == theirs
}

fn response_line(case: &Case<'_>, theirs: &str) -> bool {
    ["dongson.sip.version", "dongson.sip.status_code", "dongson.sip.status_reason"]
        .map(|name| case.text(name))
        .join(" ")
        == theirs
}
