//! The events of captures.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dongson_event::{Event, fields};
use dongson_sensor::flow::Checksums;
use dongson_sensor::{Options, read_file};

/// What reading the whole folder gave.
#[derive(Default)]
pub(crate) struct Read {
    pub(crate) files: usize,
    pub(crate) warnings: usize,
    /// Names in events that the table of fields lacks.
    pub(crate) unknown_names: BTreeSet<String>,
}

/// The events of one capture.
pub(crate) fn events(path: &Path, checksums: Checksums) -> Vec<Event> {
    let mut events = Vec::new();
    let options = Options { checksums, ..Options::default() };
    read_file(path, &options, &mut |event| events.push(event)).expect("a capture of the set can be read");
    events
}

/// Reads every capture below `folder`, those without facts too.
pub(crate) fn read_all(folder: &Path) -> Read {
    let mut read = Read::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let mut entries: Vec<PathBuf> = next
            .read_dir()
            .expect("a folder of the set")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else if is_capture(&path) {
                let mut note = |event: Event| {
                    for (name, _) in event.iter().filter(|(name, _)| fields::find(name).is_none()) {
                        read.unknown_names.insert(name.to_owned());
                    }
                };
                let summary = read_file(&path, &Options::default(), &mut note)
                    .expect("a capture of the set can be read");
                read.files += 1;
                read.warnings += usize::from(summary.warning.is_some());
            }
        }
    }
    read
}

fn is_capture(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    [".pcap", ".pcapng", ".cap", ".pcap.gz"].iter().any(|ending| name.ends_with(ending))
}
