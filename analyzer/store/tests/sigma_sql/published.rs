//! All published rules over real Windows events, as Winlogbeat's fields say them, and over events made from the rules.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::sync::Arc;

use dongson_event::{Event, identity};
use dongson_rules::{LoadOptions, Mode, RuleSet, detect};
use serde_json::{Map, Value as Json};

use super::{Case, compare, invented, stored};

/// All rules are asked where this is set.
const ALL: &str = "SIGMA_SQL_ALL";
/// Chooses another sample.
const SEED: &str = "SIGMA_SQL_SEED";
/// Of so many rules one is in the sample.
const SAMPLE: u64 = 8;

/// Of the real events every so many are compared, beside those on which rules are known to hold.
const STRIDE: usize = 6;
/// Fields of the data set that also have a column.
const COLUMNS: [(&str, &str); 7] = [
    ("Image", "process.executable"),
    ("CommandLine", "process.command_line"),
    ("ParentImage", "process.parent.executable"),
    ("ParentCommandLine", "process.parent.command_line"),
    ("TargetFilename", "file.path"),
    ("QueryName", "dns.question.name"),
    ("Computer", "host.name"),
];

pub(super) fn run(data: &Path) -> bool {
    if !data.join("sigma-rules.tar.zst").is_file() {
        println!("skipped: no data in {}", data.display());
        return true;
    }
    let mut documents = documents(data);
    sample(&mut documents);
    let mut events = real(data);
    let real = events.len();
    events.extend(documents.iter().flat_map(|(_, text)| invented::events(text, false)));
    println!("{real} real events, {} made from rules", events.len() - real);
    stored(&mut events, "so-yte");
    let rules = |documents: &[(String, String)]| {
        let documents = documents.iter().map(|(name, text)| (name, text));
        Arc::new(RuleSet::from_documents(documents, &LoadOptions::default()).rules)
    };
    let all = rules(&documents);
    let good = compare(&Case {
        name: "published",
        rules: all,
        events,
        organization: "so-yte",
        mode: Mode::Auto,
        alone: 150,
    });
    // Many log sources reach the store from no collector of ours: their rules are asked about events that say so.
    documents.retain(|(_, text)| !text.contains("product: windows"));
    let mut events: Vec<Event> =
        documents.iter().flat_map(|(_, text)| invented::events(text, true)).collect();
    stored(&mut events, "so-yte");
    let (rules, organization) = (rules(&documents), "so-yte");
    good & compare(&Case {
        name: "published as said",
        rules,
        events,
        organization,
        mode: Mode::Sigma,
        alone: 100,
    })
}

/// Leaves some of the rules, the same for the same seed.
fn sample(documents: &mut Vec<(String, String)>) {
    if std::env::var_os(ALL).is_some() {
        return println!("all {} files of rules", documents.len());
    }
    let seed = std::env::var(SEED).unwrap_or_else(|_| "1".to_owned());
    let all = documents.len();
    documents.retain(|(name, _)| {
        let (high, _) = identity::uuid_of(&[seed.as_bytes(), name.as_bytes()]).as_u64_pair();
        high.is_multiple_of(SAMPLE)
    });
    println!(
        "{} of {all} files of rules, by seed {seed}: {SEED}=NUMBER takes others, {ALL}=1 takes all (minutes)",
        documents.len()
    );
}

/// All rules of the archive.
fn documents(data: &Path) -> Vec<(String, String)> {
    let archive = zstd::Decoder::new(File::open(data.join("sigma-rules.tar.zst")).unwrap()).unwrap();
    let mut documents = Vec::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        if Path::new(&name).extension().is_some_and(|extension| extension == "yml") {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            documents.push((name, text));
        }
    }
    documents
}

/// Every record of the regression cases, every record on which some rule is known to hold, and some of the others.
fn real(data: &Path) -> Vec<Event> {
    let mut records = Vec::new();
    for line in BufReader::new(File::open(data.join("regression-dev.jsonl")).unwrap()).lines() {
        let case: Json = serde_json::from_str(&line.unwrap()).unwrap();
        for event in case["events"].as_array().unwrap() {
            let event = detect::unpack(Event::parse(event.to_string().as_bytes()).unwrap().0);
            records.push(serde_json::to_value(&event).unwrap());
        }
    }
    let silent = |line: &str| line.ends_with("\"expected\":[],\"disputed\":[]}");
    for (number, line) in lines(&data.join("otrf-dev-flat-expected.jsonl.zst")).enumerate() {
        if number.is_multiple_of(STRIDE) || !silent(&line) {
            let mut flat: Json = serde_json::from_str(&line).unwrap();
            records.push(flat["event"].take());
        }
    }
    records.iter().enumerate().filter_map(|(number, record)| winlogbeat(record, number)).collect()
}

fn lines(file: &Path) -> impl Iterator<Item = String> + use<> {
    BufReader::new(zstd::Decoder::new(File::open(file).unwrap()).unwrap()).lines().map(Result::unwrap)
}

/// The record with Winlogbeat's names; some events have fields in columns beside, some in columns alone.
fn winlogbeat(record: &Json, number: usize) -> Option<Event> {
    let own_image = record["EventID"] == 4688;
    let mut event = Map::new();
    for (name, value) in record.as_object()? {
        let place = match name.as_str() {
            // What the data set added.
            "product" | "service" | "category" | "event.dataset" | "@timestamp" => continue,
            "Image" | "ParentImage" if own_image => continue,
            "Channel" => "winlog.channel".to_owned(),
            "EventID" => "winlog.event_id".to_owned(),
            "Provider_Name" | "SourceName" => "winlog.provider_name".to_owned(),
            "EventRecordID" | "RecordNumber" => "winlog.record_id".to_owned(),
            "Keywords" => "winlog.keywords".to_owned(),
            "Message" => "message".to_owned(),
            "Computer" | "Hostname" => "host.name".to_owned(),
            name => {
                let column = COLUMNS.iter().find(|(held, _)| *held == name).map(|(_, column)| *column);
                if let (Some(column), 1..) = (column, number % 3) {
                    event.insert(column.to_owned(), value.clone());
                    if number % 3 == 1 {
                        continue;
                    }
                }
                format!("winlog.event_data.{name}")
            }
        };
        event.insert(place, value.clone());
    }
    let text = Json::Object(event).to_string();
    Some(Event::parse(text.as_bytes()).ok()?.0)
}
