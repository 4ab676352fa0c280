//! Windows events as Winlogbeat sends them: `winlog.*` stays untouched, ECS columns are added beside it.
//!
//! Read are the Security log, Sysmon, PowerShell and the System log's service events; an event of another
//! channel keeps what it brings. A column that Winlogbeat's own modules have filled is left as it is.

use super::json::{claim_from, copy, read};
use super::{Context, Parsed, Refusal};
use dongson_event::{Event, Value};

/// Reads one JSON object of Winlogbeat.
pub fn parse(bytes: &[u8], context: &Context<'_>) -> Result<Parsed, Refusal> {
    from_event(read(bytes)?, context)
}

/// Tells Winlogbeat's events from other JSON.
pub(crate) fn is_one(event: &Event) -> bool {
    event.get("winlog.channel").is_some() || event.get("winlog.event_id").is_some()
}

/// Reads an event that is flat already.
pub(crate) fn from_event(mut parsed: Parsed, context: &Context<'_>) -> Result<Parsed, Refusal> {
    if !is_one(&parsed.event) {
        return Err(Refusal::Other("winlogbeat"));
    }
    claim_from(&["@timestamp"], &mut parsed, context);
    let event = &mut parsed.event;
    let channel = event.text("winlog.channel").unwrap_or_default().to_owned();
    event.set("event.dataset", dataset(&channel));
    copy(event, "winlog.computer_name", "host.name");
    copy(event, "winlog.provider_name", "event.provider");
    let code = event.get("winlog.event_id").map(|code| code.to_text().into_owned()).unwrap_or_default();
    if event.get("event.code").is_none() && !code.is_empty() {
        event.set("event.code", code.as_str());
    }
    match channel.as_str() {
        "Microsoft-Windows-Sysmon/Operational" => sysmon(&code, event),
        "Security" => security(&code, event),
        "Microsoft-Windows-PowerShell/Operational" | "PowerShellCore/Operational" => {
            data(event, &[("ScriptBlockText", "powershell.file.script_block_text"), ("Path", "file.path")]);
        }
        "System" if matches!(code.as_str(), "7045" | "7036") => {
            data(event, &[("ServiceName", "service.name"), ("param1", "service.name")]);
        }
        _ => {}
    }
    names(event);
    Ok(parsed)
}

/// `windows.security`, `windows.sysmon`, `windows.powershell`, else the channel's name in small letters.
fn dataset(channel: &str) -> String {
    let short = channel.strip_prefix("Microsoft-Windows-").unwrap_or(channel);
    let short = short.strip_suffix("/Operational").unwrap_or(short);
    match short {
        "Windows PowerShell" | "PowerShellCore" => return "windows.powershell".to_owned(),
        "" => return "windows".to_owned(),
        _ => {}
    }
    let word: String = short
        .chars()
        .take(80)
        .map(|sign| if sign.is_ascii_alphanumeric() { sign.to_ascii_lowercase() } else { '_' })
        .collect();
    format!("windows.{word}")
}

/// Copies event data to columns.
fn data(event: &mut Event, pairs: &[(&str, &'static str)]) {
    for (from, to) in pairs {
        copy(event, &format!("winlog.event_data.{from}"), to);
    }
}

/// Copies event data that are decimal or `0x` hexadecimal numbers.
fn numbers(event: &mut Event, pairs: &[(&str, &'static str)]) {
    for (from, to) in pairs {
        let number = match event.get(&format!("winlog.event_data.{from}")) {
            Some(Value::Int(number)) => Some(*number),
            Some(Value::Text(text)) => match text.strip_prefix("0x") {
                Some(digits) => i64::from_str_radix(digits, 16).ok(),
                None => text.parse().ok(),
            },
            _ => None,
        };
        if let (Some(number), None) = (number, event.get(to)) {
            event.set(*to, number);
        }
    }
}

/// Copies event data that are addresses; `::ffff:192.0.2.1` becomes its IPv4 form, words are left out.
fn addresses(event: &mut Event, pairs: &[(&str, &'static str)]) {
    for (from, to) in pairs {
        let address = event.ip(&format!("winlog.event_data.{from}"));
        if let (Some(address), None) = (address, event.get(to)) {
            event.set(*to, address.to_canonical());
        }
    }
}

fn sysmon(code: &str, event: &mut Event) {
    data(
        event,
        &[
            ("Image", "process.executable"),
            ("SourceImage", "process.executable"),
            ("CommandLine", "process.command_line"),
            ("CurrentDirectory", "process.working_directory"),
            ("ProcessGuid", "process.entity_id"),
            ("OriginalFileName", "process.pe.original_file_name"),
            ("ParentImage", "process.parent.executable"),
            ("ParentCommandLine", "process.parent.command_line"),
            ("ParentProcessGuid", "process.parent.entity_id"),
            ("TargetFilename", "file.path"),
            ("TargetObject", "registry.path"),
            ("Protocol", "network.transport"),
            ("SourceHostname", "source.domain"),
            ("DestinationHostname", "destination.domain"),
            ("QueryName", "dns.question.name"),
        ],
    );
    numbers(
        event,
        &[
            ("ProcessId", "process.pid"),
            ("ParentProcessId", "process.parent.pid"),
            ("SourcePort", "source.port"),
            ("DestinationPort", "destination.port"),
        ],
    );
    addresses(event, &[("SourceIp", "source.ip"), ("DestinationIp", "destination.ip")]);
    if matches!(code, "6" | "7") {
        data(event, &[("ImageLoaded", "dll.path"), ("ImageLoaded", "file.path")]);
    }
    account(event);
    hashes(if matches!(code, "6" | "7" | "15" | "23" | "26") { FILE_HASHES } else { PROCESS_HASHES }, event);
}

/// Sysmon's `User` is `DOMAIN\name`.
fn account(event: &mut Event) {
    let Some(user) = event.text("winlog.event_data.User").map(str::to_owned) else { return };
    let (domain, name) = user.split_once('\\').unwrap_or(("", &user));
    for (to, value) in [("user.name", name), ("user.domain", domain)] {
        if !value.is_empty() && event.get(to).is_none() {
            event.set(to, value);
        }
    }
}

/// (Sysmon's word, column)
type HashColumns = &'static [(&'static str, &'static str)];
const PROCESS_HASHES: HashColumns = &[
    ("MD5", "process.hash.md5"),
    ("SHA1", "process.hash.sha1"),
    ("SHA256", "process.hash.sha256"),
    ("IMPHASH", "process.pe.imphash"),
];
const FILE_HASHES: HashColumns =
    &[("MD5", "file.hash.md5"), ("SHA1", "file.hash.sha1"), ("SHA256", "file.hash.sha256")];

/// Sysmon's `Hashes` is `MD5=...,SHA256=...`.
fn hashes(columns: HashColumns, event: &mut Event) {
    let Some(hashes) = event.text("winlog.event_data.Hashes").map(str::to_owned) else { return };
    for (kind, digest) in hashes.split(',').filter_map(|pair| pair.split_once('=')) {
        let column = columns.iter().find(|(word, _)| word.eq_ignore_ascii_case(kind.trim()));
        if let Some((_, to)) = column
            && event.get(to).is_none()
        {
            event.set(*to, digest.to_ascii_lowercase());
        }
    }
}

fn security(code: &str, event: &mut Event) {
    match code {
        "4688" => {
            data(
                event,
                &[
                    ("NewProcessName", "process.executable"),
                    ("CommandLine", "process.command_line"),
                    ("ParentProcessName", "process.parent.executable"),
                ],
            );
            numbers(event, &[("NewProcessId", "process.pid"), ("ProcessId", "process.parent.pid")]);
            subject(event);
        }
        "4624" | "4625" | "4634" | "4647" | "4648" | "4768" | "4769" | "4771" | "4776" => {
            data(
                event,
                &[
                    ("TargetUserName", "user.name"),
                    ("TargetDomainName", "user.domain"),
                    ("TargetUserSid", "user.id"),
                    ("WorkstationName", "source.domain"),
                    ("ProcessName", "process.executable"),
                    ("LogonType", "winlog.logon.type"),
                ],
            );
            numbers(event, &[("IpPort", "source.port")]);
            addresses(event, &[("IpAddress", "source.ip")]);
        }
        "5156" | "5157" | "5158" => {
            data(event, &[("Application", "process.executable")]);
            numbers(
                event,
                &[
                    ("ProcessID", "process.pid"),
                    ("SourcePort", "source.port"),
                    ("DestPort", "destination.port"),
                ],
            );
            addresses(event, &[("SourceAddress", "source.ip"), ("DestAddress", "destination.ip")]);
        }
        _ => {
            data(
                event,
                &[
                    ("TargetUserName", "user.target.name"),
                    ("ObjectName", "file.path"),
                    ("ServiceName", "service.name"),
                ],
            );
            addresses(event, &[("IpAddress", "source.ip")]);
            numbers(event, &[("IpPort", "source.port")]);
            subject(event);
        }
    }
    outcome(code, event);
}

/// Who acted.
fn subject(event: &mut Event) {
    data(
        event,
        &[
            ("SubjectUserName", "user.name"),
            ("SubjectDomainName", "user.domain"),
            ("SubjectUserSid", "user.id"),
            ("ProcessName", "process.executable"),
        ],
    );
}

fn outcome(code: &str, event: &mut Event) {
    if event.get("event.outcome").is_some() {
        return;
    }
    let keywords = event.get("winlog.keywords").map(|words| words.to_text().into_owned()).unwrap_or_default();
    let outcome = if keywords.contains("Audit Failure") || matches!(code, "4625" | "4771") {
        "failure"
    } else if keywords.contains("Audit Success") || code == "4624" {
        "success"
    } else {
        return;
    };
    event.set("event.outcome", outcome);
}

/// File names of the paths that were found.
fn names(event: &mut Event) {
    const NAMES: &[(&str, &str)] = &[
        ("process.executable", "process.name"),
        ("process.parent.executable", "process.parent.name"),
        ("file.path", "file.name"),
        ("dll.path", "dll.name"),
    ];
    for (from, to) in NAMES {
        let name = event.text(from).and_then(|path| path.rsplit(['\\', '/']).next()).map(str::to_owned);
        if let (Some(name), None) = (name.filter(|name| !name.is_empty()), event.get(to)) {
            event.set(*to, name);
        }
    }
}
