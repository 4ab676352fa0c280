//! Syslog headers: RFC 5424, RFC 3164 as it is really sent, and the lines of log files.
//!
//! [`header`] splits a line into what the header says and the rest; [`parse`] makes an event of it, whose
//! content no other parser is asked about (see [`super::auto`] for that). Accepted beside the two RFCs:
//! an ISO 8601 time in a 3164 header (rsyslog's forward format), a year after or before the 3164 date
//! (Cisco), a line without priority (log files), a line with a priority and nothing else we know
//! (RFC 3164, 4.3.3: then all of it is the message).

mod rfc3164;
mod rfc5424;

use super::{Claimed, Context, Parsed, Refusal};
use dongson_event::Event;
use std::borrow::Cow;

/// Why a line has no syslog header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Neither `<priority>` nor a time at the start.
    #[error("neither `<priority>` nor a time at the start of the line")]
    MissingPriority,
    /// Not a canonical number up to 191.
    #[error("priority {0:?} is not a plain number from 0 to 191")]
    BadPriority(String),
    /// RFC 5424 structured data that does not follow its grammar.
    #[error("structured data is broken at byte {0}")]
    BadStructuredData(usize),
    /// RFC 5424 header with fewer than six words.
    #[error("the RFC 5424 header ends early")]
    Short,
}

/// What a header says; texts are empty when absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header<'a> {
    /// Facility and severity.
    pub priority: Option<(u8, u8)>,
    /// 1 for RFC 5424, else 0.
    pub version: u8,
    /// When, as far as it can be read.
    pub claimed: Option<Claimed>,
    /// The host that the line names.
    pub host: &'a str,
    /// The program that wrote it (TAG or APP-NAME).
    pub program: &'a str,
    /// PROCID, or what stood in brackets after the tag.
    pub process: &'a str,
    /// MSGID of RFC 5424.
    pub message_id: &'a str,
    /// Structured data: (SD-ID, name, value).
    pub data: Vec<(&'a str, &'a str, Cow<'a, str>)>,
    /// What follows the header.
    pub message: &'a str,
}

/// Splits `<34>rest` (RFC 5424, 6.2.1): facility 0 to 23, severity 0 (worst) to 7, and `rest`.
pub fn priority(line: &str) -> Result<(u8, u8, &str), HeaderError> {
    let (digits, rest) =
        line.strip_prefix('<').and_then(|tail| tail.split_once('>')).ok_or(HeaderError::MissingPriority)?;
    let canonical = digits == "0" || digits.starts_with(|first| matches!(first, '1'..='9'));
    match digits.parse::<u8>() {
        Ok(code @ 0..=191) if canonical => Ok((code / 8, code % 8, rest)),
        _ => Err(HeaderError::BadPriority(digits.chars().take(16).collect())),
    }
}

/// Reads the header of one line.
pub fn header<'a>(line: &'a str, context: &Context<'_>) -> Result<Header<'a>, HeaderError> {
    let line = line.trim_end_matches(['\r', '\n', '\0']);
    if !line.starts_with('<') {
        return rfc3164::header(line, context).ok_or(HeaderError::MissingPriority);
    }
    let (facility, severity, rest) = priority(line)?;
    let mut header = match rest.strip_prefix("1 ") {
        Some(rest) => rfc5424::header(rest, context)?,
        None => rfc3164::header(rest, context)
            .or_else(|| rfc3164::tag(rest))
            .unwrap_or(Header { message: rest, ..Header::default() }),
    };
    header.priority = Some((facility, severity));
    Ok(header)
}

/// Reads one line as syslog: dataset `syslog`, whatever its content.
pub fn parse(bytes: &[u8], context: &Context<'_>) -> Result<Parsed, Refusal> {
    let line = crate::parse::text_of(bytes);
    if line.trim().is_empty() {
        return Err(Refusal::Empty);
    }
    Ok(event(&header(&line, context)?))
}

/// The event that a header and its message make.
pub fn event(header: &Header<'_>) -> Parsed {
    let mut parsed = Parsed::new("syslog");
    parsed.claim(header.claimed);
    if let Some((facility, severity)) = header.priority {
        parsed.set("log.syslog.priority", facility * 8 + severity);
        parsed.set("log.syslog.facility.code", facility);
        parsed.set("log.syslog.facility.name", facility_name(facility));
        parsed.set("log.syslog.severity.code", severity);
        parsed.set("log.syslog.severity.name", severity_name(severity));
        parsed.set("log.level", severity_name(severity));
    }
    if header.version > 0 {
        parsed.set("log.syslog.version", header.version.to_string());
    }
    parsed.text("log.syslog.hostname", header.host);
    parsed.text("host.name", header.host);
    parsed.text("log.syslog.appname", header.program);
    parsed.text("process.name", base_name(header.program));
    parsed.text("log.syslog.procid", header.process);
    parsed.number("process.pid", header.process);
    parsed.text("log.syslog.msgid", header.message_id);
    structured(&mut parsed.event, header);
    parsed.text("message", header.message);
    parsed
}

/// `log.syslog.structured_data.<SD-ID>.<name>`; a repeated name makes a list (RFC 5424, 6.3.3).
fn structured(event: &mut Event, header: &Header<'_>) {
    for (id, name, value) in &header.data {
        event.merge(format!("log.syslog.structured_data.{id}.{name}"), value.as_ref().into());
    }
}

/// `/usr/sbin/sshd` names the program `sshd`.
fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// RFC 5424, table 1, in the words of the BSD system.
fn facility_name(code: u8) -> &'static str {
    const NAMES: [&str; 24] = [
        "kernel", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
        "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5",
        "local6", "local7",
    ];
    NAMES.get(usize::from(code)).copied().unwrap_or("unknown")
}

/// RFC 5424, table 2.
fn severity_name(code: u8) -> &'static str {
    const NAMES: [&str; 8] =
        ["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"];
    NAMES.get(usize::from(code)).copied().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn read(line: &str) -> Result<Parsed, Refusal> {
        let zone = TimeZone::fixed(jiff::tz::offset(7));
        let context = Context { received: "2026-01-01T00:30:00Z".parse().expect("a time"), zone: &zone };
        parse(line.as_bytes(), &context)
    }

    fn check(line: &str, at: Option<&str>, expected: &[(&str, &str)]) {
        let parsed = read(line).expect(line);
        assert_eq!(parsed.event.text("@timestamp"), at, "{line}");
        for (name, value) in expected {
            assert_eq!(parsed.event.text(name), Some(*value), "{name} of {line}");
        }
    }

    #[test]
    fn reads_what_is_sent() {
        check(
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed for lonvick",
            Some("2003-10-11T22:14:15.003Z"),
            &[
                ("host.name", "mymachine.example.com"),
                ("process.name", "su"),
                ("log.syslog.msgid", "ID47"),
                ("message", "'su root' failed for lonvick"),
                ("log.syslog.facility.name", "auth"),
            ],
        );
        check(
            r#"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - [a@1 x="1" x="2"][b y="q\"\]\\"] %% It's time."#,
            Some("2003-08-24T12:14:15.000003Z"),
            &[("log.syslog.structured_data.b.y", "q\"]\\"), ("message", "%% It's time.")],
        );
        check("<0>1 - - - - - -", None, &[("log.syslog.severity.name", "emergency")]);
        check(
            "<38>Dec 31 23:59:58 web01 sshd[4242]: Connection closed",
            Some("2025-12-31T16:59:58Z"),
            &[
                ("host.name", "web01"),
                ("process.name", "sshd"),
                ("log.syslog.procid", "4242"),
                ("message", "Connection closed"),
            ],
        );
        check("<38>Jan  1 07:00:01 web01 CRON: x", Some("2026-01-01T00:00:01Z"), &[("process.name", "CRON")]);
        check(
            "<13>2026-01-01T07:00:00.5+07:00 gw kernel: eth0 up",
            Some("2026-01-01T00:00:00.5Z"),
            &[("host.name", "gw"), ("message", "eth0 up")],
        );
        check(
            "<189>Jan 1 2026 07:00:00 core-sw %LINK-3-UPDOWN: Interface down",
            Some("2026-01-01T00:00:00Z"),
            &[("host.name", "core-sw"), ("process.name", "%LINK-3-UPDOWN")],
        );
        check("<13>just words", None, &[("message", "just words")]);
        check("<13>app[7]: hello there", None, &[("process.name", "app"), ("message", "hello there")]);
        check("Jan  1 07:00:01 web01 sudo: x", Some("2026-01-01T00:00:01Z"), &[("process.name", "sudo")]);
        check(
            "<38>Jan  1 07:00:01 sshd[1]: no host",
            Some("2026-01-01T00:00:01Z"),
            &[("process.name", "sshd")],
        );
    }

    #[test]
    fn refuses_with_the_reason() {
        assert_eq!(read("no header").unwrap_err(), HeaderError::MissingPriority.into());
        assert_eq!(read("<192>x").unwrap_err(), HeaderError::BadPriority("192".into()).into());
        assert_eq!(read("<007>x").unwrap_err(), HeaderError::BadPriority("007".into()).into());
        assert_eq!(read("<1>1 - -").unwrap_err(), HeaderError::Short.into());
        assert!(matches!(
            read(r#"<1>1 - - - - - [a b="c] x"#).unwrap_err(),
            Refusal::Syslog(HeaderError::BadStructuredData(_))
        ));
        assert_eq!(read(" \n").unwrap_err(), Refusal::Empty);
    }

    proptest! {
        #[test]
        fn priority_round_trips(code in 0_u8..=191, rest in "[ -~]{0,20}") {
            let line = format!("<{code}>{rest}");
            let (facility, severity, tail) = priority(&line).unwrap();
            prop_assert_eq!((facility * 8 + severity, tail.to_owned()), (code, rest));
        }

        #[test]
        fn structured_data_round_trips(value in "\\PC{0,30}") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
            let line = format!("<1>1 - - - - - [id name=\"{escaped}\"] m");
            let parsed = read(&line).unwrap();
            prop_assert_eq!(parsed.event.text("log.syslog.structured_data.id.name"), Some(value.as_str()));
        }
    }
}
