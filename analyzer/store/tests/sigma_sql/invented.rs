//! Events made from rules: what a rule asks for, so that many rules hold on some event. How well is not important: both
//! sides see the same events.

use serde_json::{Map, Value as Json, json};

/// By category: channel and event id.
const CATEGORIES: [(&str, &str, u32); 24] = [
    ("process_creation", SYSMON, 1),
    ("file_change", SYSMON, 2),
    ("network_connection", SYSMON, 3),
    ("sysmon_status", SYSMON, 4),
    ("process_termination", SYSMON, 5),
    ("driver_load", SYSMON, 6),
    ("image_load", SYSMON, 7),
    ("create_remote_thread", SYSMON, 8),
    ("raw_access_thread", SYSMON, 9),
    ("process_access", SYSMON, 10),
    ("file_event", SYSMON, 11),
    ("registry_add", SYSMON, 12),
    ("registry_delete", SYSMON, 12),
    ("registry_event", SYSMON, 13),
    ("registry_set", SYSMON, 13),
    ("registry_rename", SYSMON, 14),
    ("create_stream_hash", SYSMON, 15),
    ("pipe_created", SYSMON, 17),
    ("wmi_event", SYSMON, 19),
    ("dns_query", SYSMON, 22),
    ("file_delete", SYSMON, 23),
    ("ps_script", "Microsoft-Windows-PowerShell/Operational", 4104),
    ("ps_module", "Microsoft-Windows-PowerShell/Operational", 4103),
    ("ps_classic_start", "Windows PowerShell", 400),
];
const SYSMON: &str = "Microsoft-Windows-Sysmon/Operational";
/// By word of the log source: a dataset of it.
const DATASETS: [(&str, &str); 16] = [
    ("zeek dns", "zeek.dns"),
    ("zeek http", "zeek.http"),
    ("zeek smb_files", "zeek.smb_files"),
    ("zeek dce_rpc", "zeek.dce_rpc"),
    ("zeek kerberos", "zeek.kerberos"),
    ("zeek rdp", "zeek.rdp"),
    ("zeek x509", "zeek.x509"),
    ("webserver", "web.access"),
    ("proxy", "sensor.http"),
    ("dns", "sensor.dns"),
    ("firewall", "sensor.conn"),
    ("auditd", "auditd.log"),
    ("sshd", "sshd"),
    ("sudo", "sudo"),
    ("auth", "system.auth"),
    ("syslog", "syslog"),
];

/// Events for each rule of the text, with the selections that the condition does not seem to exclude, and with all. With
/// `said` they name fields as the rule does and say their log source themselves.
pub(super) fn events(text: &str, said: bool) -> Vec<dongson_event::Event> {
    let mut found = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        let Ok(rule) = <Json as serde::Deserialize>::deserialize(document) else { continue };
        let (Some(detection), Some(source)) = (rule["detection"].as_object(), rule["logsource"].as_object())
        else {
            continue;
        };
        let selections: Vec<(&String, &Json)> =
            detection.iter().filter(|(name, _)| *name != "condition").collect();
        let fits = |name: &str| !name.starts_with("filter");
        for pick in 0..2 {
            let mut chosen = if said { source.clone() } else { place(source) };
            for (_, selection) in selections.iter().filter(|(name, _)| fits(name)) {
                fill(&mut chosen, selection, pick);
            }
            found.push(chosen.clone());
            for (_, selection) in selections.iter().filter(|(name, _)| !fits(name)) {
                fill(&mut chosen, selection, pick);
            }
            found.push(chosen);
        }
    }
    let texts = found.into_iter().map(|event| Json::Object(event).to_string());
    texts.filter_map(|text| Some(dongson_event::Event::parse(text.as_bytes()).ok()?.0)).collect()
}

/// What makes an event one of the log source.
fn place(source: &Map<String, Json>) -> Map<String, Json> {
    let word = |key: &str| source.get(key).and_then(Json::as_str).unwrap_or_default();
    let mut event = Map::new();
    if let (true, Some((_, channel, id))) =
        (word("product") == "windows", CATEGORIES.iter().find(|(category, ..)| *category == word("category")))
    {
        event.insert("winlog.channel".to_owned(), json!(channel));
        event.insert("winlog.event_id".to_owned(), json!(id));
    } else if word("product") == "windows" {
        let channel = match word("service") {
            "security" => "Security",
            "system" => "System",
            "application" => "Application",
            "windefend" => "Microsoft-Windows-Windows Defender/Operational",
            "powershell-classic" => "Windows PowerShell",
            "powershell" => "Microsoft-Windows-PowerShell/Operational",
            "bits-client" => "Microsoft-Windows-Bits-Client/Operational",
            "taskscheduler" => "Microsoft-Windows-TaskScheduler/Operational",
            _ => SYSMON,
        };
        event.insert("winlog.channel".to_owned(), json!(channel));
    } else {
        let all = [word("product"), word("category"), word("service")];
        let fits = |words: &str| words.split(' ').all(|word| all.contains(&word));
        let dataset = match (all, DATASETS.iter().find(|(words, _)| fits(words))) {
            (_, Some((_, dataset))) => *dataset,
            (["linux", "process_creation", _], _) => {
                event.insert("auditd.type".to_owned(), json!("EXECVE"));
                event.insert("process.executable".to_owned(), json!("/bin/x"));
                "auditd.log"
            }
            _ => "other",
        };
        event.insert("event.dataset".to_owned(), json!(dataset));
    }
    event
}

/// Sets what a selection asks for.
fn fill(event: &mut Map<String, Json>, selection: &Json, pick: usize) {
    match selection {
        Json::Object(fields) => {
            for (key, value) in fields {
                let mut parts = key.split('|');
                let field = parts.next().unwrap_or_default();
                let modifiers: Vec<&str> = parts.collect();
                if let Some(value) = wanted(&modifiers, value, pick) {
                    let linux = event.contains_key("auditd.type");
                    let name = match field {
                        "EventID" => "winlog.event_id",
                        "Image" if linux => "process.executable",
                        "CommandLine" if linux => "process.command_line",
                        "Provider_Name" => "winlog.provider_name",
                        other => other,
                    };
                    event.insert(name.to_owned(), value);
                }
            }
        }
        Json::Array(items) => {
            if let Some(item) = items.get(pick.min(items.len().saturating_sub(1))) {
                fill(event, item, pick);
            }
        }
        Json::String(keyword) => {
            event.insert("message".to_owned(), json!(format!("a {} b", plain(keyword))));
        }
        _ => {}
    }
}

/// A value that fits.
fn wanted(modifiers: &[&str], value: &Json, pick: usize) -> Option<Json> {
    if ["exists", "fieldref", "gt", "lt", "gte", "lte", "base64", "base64offset"]
        .iter()
        .any(|one| modifiers.contains(one))
    {
        return match (modifiers.first(), value) {
            (Some(&"gt" | &"gte"), Json::Number(number)) => Some(json!(number.as_f64()? + 1.0)),
            (Some(&"lt" | &"lte"), Json::Number(number)) => Some(json!(number.as_f64()? - 1.0)),
            (Some(&"exists"), _) => Some(json!("x")),
            _ => None,
        };
    }
    if modifiers.contains(&"cidr") {
        let net = value.as_array().and_then(|all| all.get(pick.min(all.len() - 1))).unwrap_or(value);
        return Some(json!(net.as_str()?.split('/').next()?));
    }
    let text = |value: &Json| match value {
        Json::String(text) if modifiers.contains(&"re") => unescaped(text),
        Json::String(text) => plain(text),
        other => other.to_string(),
    };
    let text = match value {
        Json::Array(all) if modifiers.contains(&"all") => all.iter().map(text).collect::<Vec<_>>().join(" "),
        Json::Array(all) => match all.get(pick.min(all.len().saturating_sub(1)))? {
            Json::String(chosen) => text(&json!(chosen)),
            other => return Some(other.clone()),
        },
        Json::String(chosen) => text(&json!(chosen)),
        other => return Some(other.clone()),
    };
    let (mut before, mut after) = ("", "");
    if modifiers.contains(&"contains") || modifiers.contains(&"re") {
        (before, after) = ("C:\\Đ ", " \\z");
    } else if modifiers.contains(&"endswith") {
        before = "C:\\Đường dẫn";
    } else if modifiers.contains(&"startswith") {
        after = " /Ữ";
    }
    let text = if pick == 1 { text.to_uppercase() } else { text };
    Some(json!(format!("{before}{text}{after}")))
}

/// Wildcards filled in.
fn plain(text: &str) -> String {
    text.replace("\\*", "*").replace("\\?", "?").replace("\\\\", "\\").replace('*', " any ").replace('?', "o")
}

/// An expression without its signs, as a guess.
fn unescaped(text: &str) -> String {
    text.replace("\\s+", " ")
        .replace("\\s*", "")
        .replace(".*", "q")
        .replace("\\\\", "\u{1}")
        .replace('\\', "")
        .replace('\u{1}', "\\")
        .replace(['^', '$', '(', ')'], "")
}
