//! The real rules and events, where they are on this machine.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// The folders of the archive that are rules for everybody.
const FOLDERS: [&str; 4] = ["rules", "rules-emerging-threats", "rules-threat-hunting", "rules-compliance"];

/// Rules and events.
#[derive(Debug)]
pub struct Corpus {
    /// Where the rules are unpacked.
    pub rule_folders: Vec<PathBuf>,
    events: Vec<serde_json::Value>,
    _unpacked: tempfile::TempDir,
}

impl Corpus {
    /// Unpacks and reads them; `None` where they are not on this machine.
    pub fn load() -> Option<Self> {
        let folder = data()?;
        let unpacked = tempfile::tempdir().ok()?;
        let archive = zstd::Decoder::new(File::open(folder.join("sigma-rules.tar.zst")).ok()?).ok()?;
        tar::Archive::new(archive).unpack(unpacked.path()).ok()?;
        let events = File::open(folder.join("otrf-dev-flat-expected.jsonl.zst")).ok()?;
        let lines = BufReader::new(zstd::Decoder::new(events).ok()?).lines();
        let events = lines.map_while(Result::ok).filter_map(|line| {
            let mut record: serde_json::Value = serde_json::from_str(&line).ok()?;
            record.get_mut("event").map(serde_json::Value::take)
        });
        let events = events.collect();
        let rule_folders = FOLDERS.iter().map(|name| unpacked.path().join(name)).collect();
        Some(Self { rule_folders, events, _unpacked: unpacked })
    }

    /// Every other event for calibration, the others to be measured.
    pub fn halves(&self) -> (Vec<serde_json::Value>, Vec<serde_json::Value>) {
        let half = |odd: usize| {
            let chosen = self.events.iter().enumerate().filter(move |(at, _)| at % 2 == odd);
            chosen.map(|(_, event)| event.clone()).collect()
        };
        (half(0), half(1))
    }
}

fn data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.parent()?.to_owned();
    let shared = || std::env::var_os("DONGSON_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let folder =
        std::env::var_os("DONGSON_SIGMA_DIR").map_or_else(|| shared().join("data/sigma"), PathBuf::from);
    folder.is_dir().then_some(folder)
}
