//! Finds the right parser by looking at a record.
//!
//! JSON first (Winlogbeat, EVE, Zeek by their marks; a log line inside `message`, as Filebeat sends it, is read
//! too), then syslog with what its program says, then the formats that stand in files without a header.

use super::{Context, Parsed, Refusal, auditd, json, sshd, sudo, suricata, syslog, weblog, winlogbeat, zeek};
use dongson_event::Event;

/// Longest text that is looked into as a record inside a record.
const MAX_INNER: usize = 1 << 20;

/// Reads a record of any format.
pub fn parse(bytes: &[u8], context: &Context<'_>) -> Result<Parsed, Refusal> {
    let trimmed = bytes.trim_ascii();
    match trimmed.first() {
        None => Err(Refusal::Empty),
        Some(b'{') => object(trimmed, context),
        Some(_) => text(&crate::parse::text_of(trimmed), context),
    }
}

fn object(bytes: &[u8], context: &Context<'_>) -> Result<Parsed, Refusal> {
    let parsed = json::read(bytes)?;
    if winlogbeat::is_one(&parsed.event) {
        return winlogbeat::from_event(parsed, context);
    }
    if suricata::is_one(&parsed.event) {
        return suricata::from_event(parsed, context);
    }
    if zeek::log_of(&parsed.event).is_some() {
        return zeek::from_event(parsed, context);
    }
    Ok(shipped(parsed, context))
}

/// A shipper's envelope around a log line: the line's fields win, the envelope keeps what else it has.
fn shipped(mut envelope: Parsed, context: &Context<'_>) -> Parsed {
    json::claim_from(
        &["@timestamp", "timestamp", "time", "ts", "datetime", "eventTime", "date"],
        &mut envelope,
        context,
    );
    let line =
        envelope.event.text("message").filter(|line| line.len() <= MAX_INNER).unwrap_or_default().to_owned();
    let inner = match line.trim_start().as_bytes().first() {
        Some(b'{') => inner_object(line.trim(), context),
        Some(_) => text(&line, context).ok(),
        None => None,
    };
    let Some(inner) = inner else {
        envelope.default_to("event.dataset", json::DATASET);
        return envelope;
    };
    let mut parsed = Parsed { anomalies: envelope.anomalies, ..inner };
    if parsed.basis.is_none() {
        parsed.basis = envelope.basis;
    }
    refine_dataset(&envelope.event, &mut parsed.event);
    parsed.event.fill(envelope.event);
    parsed
}

/// The JSON line inside a shipper's `message`, when it is of a format of its own.
fn inner_object(line: &str, context: &Context<'_>) -> Option<Parsed> {
    let parsed = json::read(line.as_bytes()).ok()?;
    if suricata::is_one(&parsed.event) {
        return suricata::from_event(parsed, context).ok();
    }
    zeek::log_of(&parsed.event)?;
    zeek::from_event(parsed, context).ok()
}

/// The envelope knows which server's access log it is: by its module, or by the file's path.
fn refine_dataset(envelope: &Event, parsed: &mut Event) {
    if parsed.dataset() != "web.access" {
        return;
    }
    let hint = ["event.module", "event.dataset", "log.file.path", "fields.type"];
    if let Some(dataset) = hint.iter().find_map(|name| weblog::dataset(envelope.text(name)?)) {
        parsed.set("event.dataset", dataset);
    }
}

fn text(line: &str, context: &Context<'_>) -> Result<Parsed, Refusal> {
    match syslog::header(line, context) {
        Ok(header) => Ok(content(&header, context)),
        Err(reason) if line.starts_with('<') => Err(reason.into()),
        Err(_) => auditd::record(line).or_else(|| weblog::access(line)).ok_or(Refusal::Unknown),
    }
}

/// What a program says inside syslog; a message that nobody knows is a `syslog` event.
fn content(header: &syslog::Header<'_>, context: &Context<'_>) -> Parsed {
    let program = header.program.rsplit('/').next().unwrap_or(header.program);
    let mut outer = syslog::event(header);
    if sshd::is_program(program) {
        sshd::content(header.message, &mut outer);
        return outer;
    }
    match program {
        "sudo" => {
            sudo::content(header.message, &mut outer);
            return outer;
        }
        "su" | "login" | "systemd-logind" | "cron" | "crond" | "CRON" => {
            super::pam::content(header.message, &mut outer);
            outer.set("event.dataset", login_dataset(program));
            return outer;
        }
        _ => {}
    }
    let Some(inner) = embedded(header, context) else { return outer };
    under(outer, inner, weblog::dataset(program))
}

/// The dataset of a program that signs people in or starts their jobs.
fn login_dataset(program: &str) -> &'static str {
    match program {
        "su" => "su",
        "cron" | "crond" | "CRON" => "cron",
        _ => "login",
    }
}

/// A whole record of another format in the place of a syslog message.
fn embedded(header: &syslog::Header<'_>, context: &Context<'_>) -> Option<Parsed> {
    let message = header.message.strip_prefix("@cee:").unwrap_or(header.message).trim();
    if message.starts_with('{') {
        let parsed = object(message.as_bytes(), context).ok()?;
        return (parsed.event.dataset() != json::DATASET || parsed.event.len() > 1).then_some(parsed);
    }
    auditd::record(message).or_else(|| weblog::access(message))
}

/// The inner record's fields win; the syslog header fills what it lacks, except the message's raw text.
fn under(outer: Parsed, inner: Parsed, dataset: Option<&'static str>) -> Parsed {
    let mut parsed = inner;
    if parsed.event.get("@timestamp").is_none() {
        parsed.basis = outer.basis;
    }
    parsed.event.fill(outer.event);
    if let (Some(dataset), "web.access") = (dataset, parsed.event.dataset()) {
        parsed.event.set("event.dataset", dataset);
    }
    parsed
}
