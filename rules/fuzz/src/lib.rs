//! Mutated rules and events against the rule engine: no panic, no disagreement, no endless work.

pub mod mutate;
pub mod target;

use std::fs;
use std::path::{Path, PathBuf};

/// Texts that runs begin with.
#[derive(Debug, Default)]
pub struct Seeds {
    /// Rules, as YAML.
    pub rules: Vec<String>,
    /// Events, as JSON.
    pub events: Vec<String>,
}

impl Seeds {
    /// Our own rules and vectors, and the events of the samples beside the rules.
    pub fn load() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut seeds = Self::default();
        let mut files = Vec::new();
        for name in ["content/sigma", "vectors"] {
            collect(&folder.join(name), &mut files);
        }
        files.sort();
        for file in files {
            let Ok(text) = fs::read_to_string(&file) else { continue };
            if file.to_string_lossy().ends_with(".test.yml") {
                seeds.events.extend(events(&text));
            } else {
                seeds.rules.push(text);
            }
        }
        seeds.events.extend(AWKWARD.iter().map(|text| (*text).to_owned()));
        seeds
    }
}

/// What samples seldom have.
const AWKWARD: &[&str] = &[
    r#"{"EventID":4104,"Channel":"Security","winlog":{"event_data":{"Image":"C:\\Windows\\cmd.exe","a":[1,null,"x",1.5e3]}}}"#,
    r#"{"a":"\u0110\ud83d\ude00\u0000","b":{"c":{"d":[true,false,[],{}]}},"a":1,"":0}"#,
    r#"{"product":"windows","category":"process_creation","CommandLine":"powershell -enc SQBFAFgA","ParentProcessId":-0}"#,
    r#"{"n":123456789012345678901234567890,"m":-9223372036854775808,"e":1E400,"f":0.1e-5,"t":"2026-11-23T02:00:00Z"}"#,
];

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            files.push(path);
        }
    }
}

/// The flow of names and values of a sample as a JSON object: each block of `name: value` lines is one event.
fn events(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut fields: Vec<String> = Vec::new();
    for line in text.lines() {
        let begins = line.trim_start().starts_with("- ");
        if begins && !fields.is_empty() {
            all.push(format!("{{{}}}", fields.join(",")));
            fields.clear();
        }
        let bare = line.trim_start().trim_start_matches("- ");
        if let Some((name, value)) = bare.split_once(": ") {
            let name = name.trim_matches(['\'', '"']);
            let value = value.trim();
            let quoted = value.starts_with('"') || value.starts_with('[') || value.parse::<f64>().is_ok();
            let value = if quoted { value.to_owned() } else { format!("{value:?}") };
            fields.push(format!("{name:?}:{value}"));
        }
    }
    if !fields.is_empty() {
        all.push(format!("{{{}}}", fields.join(",")));
    }
    all
}
