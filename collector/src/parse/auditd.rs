//! Records of the Linux audit daemon: one line, one event, under `auditd.*`.
//!
//! The kernel writes text that could break its own grammar as bare hexadecimal digits; those are turned back
//! into text here (names, command lines, paths), so that a rule sees what ran. Records of one event share
//! `auditd.sequence`.

use super::{Basis, Claimed, Context, Parsed, Refusal, Side};
use dongson_event::Value;
use jiff::Timestamp;

/// Most words of one record that are looked at; the kernel itself stays far below.
const MAX_PAIRS: usize = 1_024;

/// Reads `[node=host ]type=SYSCALL msg=audit(1364481363.243:24287): a=b ...`.
pub fn parse(bytes: &[u8], context: &Context<'_>) -> Result<Parsed, Refusal> {
    let line = crate::parse::text_of(bytes);
    if let Some(parsed) = record(line.trim()) {
        return Ok(parsed);
    }
    let header = super::syslog::header(&line, context)?;
    let mut parsed = record(header.message).ok_or(Refusal::Other("auditd"))?;
    parsed.text("host.name", header.host);
    Ok(parsed)
}

/// Reads one record without syslog header; `None` when it is not one.
pub(crate) fn record(text: &str) -> Option<Parsed> {
    let text = text.strip_prefix("audit: ").unwrap_or(text);
    let (node, text) = match text.strip_prefix("node=").and_then(|tail| tail.split_once(' ')) {
        Some((node, tail)) => (node, tail),
        None => ("", text),
    };
    let (kind, rest) = text.strip_prefix("type=")?.split_once(' ')?;
    let rest = rest.strip_prefix("msg=").unwrap_or(rest).strip_prefix("audit(")?;
    let (stamp, body) = rest.split_once(')')?;
    let (seconds, sequence) = stamp.split_once(':')?;
    let mut parsed = Parsed::new("auditd");
    parsed.claim(epoch(seconds));
    parsed.text("auditd.type", kind);
    parsed.number("auditd.sequence", sequence);
    parsed.text("host.name", node);
    parsed.text("message", text);
    let body = body.strip_prefix(':').unwrap_or(body);
    for (name, value) in Pairs(body.trim_start()).take(MAX_PAIRS) {
        pair(kind, name, value, &mut parsed);
    }
    columns(kind, &mut parsed);
    Some(parsed)
}

/// `1364481363.243`, always UTC.
fn epoch(text: &str) -> Option<Claimed> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let millis: i32 = fraction.parse().ok().filter(|millis| (0..1_000).contains(millis))?;
    let at = Timestamp::new(seconds.parse().ok()?, millis * 1_000_000).ok()?;
    Some(Claimed { at, basis: Basis::Stated })
}

/// Walks `name=value`, `name="quoted"`, `name='nested pairs'`; the separator of enriched records is a space too.
struct Pairs<'a>(&'a str);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.0.trim_start_matches([' ', '\u{1d}', ',']);
            let end = rest.find(['=', ' ', '\u{1d}'])?;
            let (name, tail) = rest.split_at_checked(end)?;
            let Some(value) = tail.strip_prefix('=') else {
                self.0 = tail;
                continue;
            };
            let (value, after) = match value.chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    let inside = value.strip_prefix(quote)?;
                    let close = inside.find(quote).unwrap_or(inside.len());
                    let length = close.saturating_add(2).min(value.len());
                    value.split_at_checked(length)?
                }
                _ => value.split_at_checked(value.find([' ', '\u{1d}']).unwrap_or(value.len()))?,
            };
            self.0 = after;
            return Some((name, value));
        }
    }
}

fn pair(kind: &str, name: &str, value: &str, parsed: &mut Parsed) {
    if let Some(nested) = value.strip_prefix('\'') {
        let nested = nested.strip_suffix('\'').unwrap_or(nested);
        for (name, value) in Pairs(nested).take(MAX_PAIRS) {
            scalar(kind, name, value, parsed);
        }
        if !nested.contains('=') {
            scalar(kind, name, nested, parsed);
        }
        return;
    }
    scalar(kind, name, value, parsed);
}

fn scalar(kind: &str, name: &str, value: &str, parsed: &mut Parsed) {
    if value == "?" || value == "(null)" || name.is_empty() || name.len() > 64 {
        return;
    }
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').unwrap_or(quoted).to_owned(),
        None if hex_encoded(kind, name) => unhex(value).unwrap_or_else(|| value.to_owned()),
        None => value.to_owned(),
    };
    if name == "saddr" {
        socket_address(&value, parsed);
    }
    parsed.event.merge(format!("auditd.{name}"), Value::from(value));
}

/// Names whose unquoted value is hexadecimal text when it looks like it. `a0` to `a3` of SYSCALL are numbers.
fn hex_encoded(kind: &str, name: &str) -> bool {
    let argument =
        name.strip_prefix('a').is_some_and(|tail| tail.starts_with(|sign: char| sign.is_ascii_digit()));
    match name {
        "proctitle" | "comm" | "exe" | "name" | "cwd" | "cmd" | "key" | "acct" | "path" | "data" | "dir"
        | "watch" | "device" | "vm" | "old" | "new" | "ocomm" | "file" | "terminal" | "hostname" | "grp" => {
            true
        }
        _ => kind == "EXECVE" && argument && !name.ends_with("_len"),
    }
}

/// Text of an even number of hexadecimal digits, at least one of them beyond a plain small number; NUL
/// separates arguments and becomes a space.
fn unhex(digits: &str) -> Option<String> {
    let upper = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    if digits.len() < 4 || !upper {
        return None;
    }
    let mut bytes = hex::decode(digits).ok()?;
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    for byte in &mut bytes {
        if *byte == 0 {
            *byte = b' ';
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The fields of the common schema that can be told from one record.
fn columns(kind: &str, parsed: &mut Parsed) {
    const COPIES: &[(&str, &str)] = &[
        ("auditd.exe", "process.executable"),
        ("auditd.comm", "process.name"),
        ("auditd.cwd", "process.working_directory"),
        ("auditd.proctitle", "process.command_line"),
        ("auditd.cmd", "process.command_line"),
        ("auditd.acct", "user.name"),
        ("auditd.uid", "user.id"),
        ("auditd.auid", "user.audit.id"),
        ("auditd.euid", "user.effective.id"),
    ];
    for (from, to) in COPIES {
        if let Some(value) = parsed.event.get(from).and_then(Value::as_str).map(str::to_owned) {
            parsed.text(*to, &value);
        }
    }
    for (from, to) in [("auditd.pid", "process.pid"), ("auditd.ppid", "process.parent.pid")] {
        if let Some(digits) = parsed.event.text(from).map(str::to_owned) {
            parsed.number(to, &digits);
        }
    }
    if kind == "PATH" {
        let path = parsed.event.text("auditd.name").unwrap_or_default().to_owned();
        parsed.text("file.path", &path);
    }
    if kind == "EXECVE" {
        arguments(parsed);
    }
    if matches!(kind, "EXECVE" | "PROCTITLE") {
        program(parsed);
    }
    outcome(parsed);
    let address = parsed.event.text("auditd.addr").and_then(|text| text.parse::<std::net::IpAddr>().ok());
    if let Some(address) = address {
        parsed.set("source.ip", address);
    }
    parsed.set("event.action", kind.to_ascii_lowercase());
}

fn outcome(parsed: &mut Parsed) {
    let said = parsed.event.text("auditd.success").or_else(|| parsed.event.text("auditd.res"));
    let outcome = match said {
        Some("yes" | "success" | "1") => "success",
        Some("no" | "failed" | "0") => "failure",
        _ => return,
    };
    parsed.set("event.outcome", outcome);
}

/// `a0="sh" a1="-c"...` as `process.args` and `process.command_line`.
fn arguments(parsed: &mut Parsed) {
    let mut arguments = Vec::new();
    while let Some(argument) = parsed.event.get(&format!("auditd.a{}", arguments.len())) {
        arguments.push(argument.to_text().into_owned());
    }
    if !arguments.is_empty() {
        parsed.set("process.command_line", arguments.join(" "));
        parsed.set("process.args", arguments);
    }
}

/// What was started, by the first word of the command line: its path, if it is one, and its name.
fn program(parsed: &mut Parsed) {
    let line = parsed.event.text("process.command_line").unwrap_or_default();
    let first = line.split(' ').next().unwrap_or_default().to_owned();
    if first.starts_with('/') {
        parsed.text("process.executable", &first);
    }
    parsed.text("process.name", first.rsplit('/').next().unwrap_or_default());
}

/// `saddr` is a `sockaddr` in hexadecimal: family (little endian), port and address (network order).
fn socket_address(digits: &str, parsed: &mut Parsed) {
    let Ok(bytes) = hex::decode(digits) else { return };
    let (address, port) = match bytes.as_slice() {
        [2, 0, high, low, a, b, c, d, ..] => (std::net::IpAddr::from([*a, *b, *c, *d]), (*high, *low)),
        [10, 0, high, low, _, _, _, _, tail @ ..] => {
            let Some(Ok(address)) = tail.get(..16).map(<[u8; 16]>::try_from) else { return };
            (std::net::IpAddr::from(address), (*high, *low))
        }
        _ => return,
    };
    parsed.endpoint(Side::Destination, &address.to_string());
    parsed.set("destination.port", u16::from_be_bytes([port.0, port.1]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &[(&str, &str)]) {
        let parsed = record(line).expect(line);
        for (name, value) in expected {
            let found = parsed.event.get(name).map(|found| found.to_text().into_owned());
            assert_eq!(found.as_deref(), Some(*value), "{name} of {line}");
        }
    }

    #[test]
    fn records() {
        check(
            r#"type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e syscall=2 success=no exit=-13 a0=7fffd19c5592 ppid=2686 pid=3538 auid=1000 uid=0 comm="cat" exe="/bin/cat" key="sshd_config""#,
            &[
                ("auditd.type", "SYSCALL"),
                ("auditd.a0", "7fffd19c5592"),
                ("process.pid", "3538"),
                ("event.outcome", "failure"),
                ("@timestamp", "2013-03-28T14:36:03.243Z"),
                ("user.id", "0"),
                ("auditd.key", "sshd_config"),
            ],
        );
        check(
            r#"type=EXECVE msg=audit(1.000:2): argc=3 a0="sh" a1="-c" a2=6964203E2F746D702F61"#,
            &[("process.command_line", "sh -c id >/tmp/a"), ("process.args", "sh, -c, id >/tmp/a")],
        );
        check(
            "type=PROCTITLE msg=audit(1.000:2): proctitle=6361740077686F",
            &[("process.command_line", "cat who")],
        );
        check(
            r#"node=web01 type=USER_AUTH msg=audit(1.000:2): pid=9 uid=0 auid=4294967295 msg='op=PAM:authentication acct="root" exe="/usr/sbin/sshd" hostname=? addr=203.0.113.5 terminal=ssh res=failed'"#,
            &[
                ("user.name", "root"),
                ("source.ip", "203.0.113.5"),
                ("event.outcome", "failure"),
                ("host.name", "web01"),
            ],
        );
        check(
            "type=SOCKADDR msg=audit(1.000:2): saddr=02000050CB00710500000000",
            &[("destination.ip", "203.0.113.5"), ("destination.port", "80")],
        );
        check(
            r#"audit: type=1400 audit(1.000:2): apparmor="DENIED" operation="open" name="/etc/shadow""#,
            &[("auditd.type", "1400"), ("auditd.apparmor", "DENIED")],
        );
    }

    #[test]
    fn refuses_what_is_not_audit() {
        for line in ["", "type=", "type=X msg=audit(", "type=X msg=audit(1.0:2", "type=X y"] {
            assert_eq!(record(line), None, "{line}");
        }
    }
}
