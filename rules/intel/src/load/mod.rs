//! Lists of indicators: CSV and plain lists, MISP JSON, STIX 2.1 bundles.
//!
//! What cannot be read is counted and named; the rest is taken.

mod csv;
mod misp;
mod stix;

use std::fs;
use std::path::{Path, PathBuf};

use dongson_event::Timestamp;
use serde::Serialize;

use crate::indicator::{Detail, Indicator, Kind, Unreadable};
use crate::set::{Added, Builder};

/// Most bytes of one file.
const MAX_FILE_BYTES: u64 = 512 << 20;
/// Most refusals that are kept with their reasons; all are counted.
const MAX_TOLD: usize = 1_000;
/// Most entries that were passed over and are named; all are counted.
const MAX_PASSED: usize = 20;
/// Deepest folder that is read.
const MAX_DEPTH: usize = 8;

/// One value or file that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The file.
    pub file: String,
    /// The line, or the number of the object, from 1; 0 for the whole file.
    pub place: usize,
    /// Why.
    pub reason: String,
}

/// What became of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LoadReport {
    /// Files that were read.
    pub files: usize,
    /// Indicators that were taken.
    pub taken: usize,
    /// Those that were there already.
    pub repeated: usize,
    /// What is not meant for detection: `to_ids: false`, revoked, other objects.
    pub passed_over: usize,
    /// The first twenty of them, with the reasons.
    pub passed: Vec<Refused>,
    /// What could not be read, all of it.
    pub refused: usize,
    /// The first thousand of them, with the reasons.
    pub reasons: Vec<Refused>,
}

impl LoadReport {
    /// True when nothing was refused and something was read.
    pub fn is_clean(&self) -> bool {
        self.refused == 0 && self.files > 0
    }
}

/// Reads every `*.csv`, `*.txt` and `*.json` below `paths`, in the order of their names.
pub fn files(paths: &[PathBuf], builder: &mut Builder) -> LoadReport {
    let mut report = LoadReport::default();
    for path in paths {
        walk(path, builder, &mut report, 0);
    }
    report
}

fn walk(path: &Path, builder: &mut Builder, report: &mut LoadReport, depth: usize) {
    let name = path.display().to_string();
    if !path.is_dir() {
        return file(path, &name, builder, report);
    }
    let children = fs::read_dir(path).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
    });
    match children {
        Ok(mut children) if depth < MAX_DEPTH => {
            children.sort();
            for child in children {
                // A folder that is a link could lead round in a circle.
                if child.is_dir() && !child.is_symlink() || child.is_file() && is_list(&child) {
                    walk(&child, builder, report, depth + 1);
                }
            }
        }
        Ok(_) => {
            Taker { file: &name, builder, report }.refuse(0, format!("more than {MAX_DEPTH} folders deep"));
        }
        Err(error) => Taker { file: &name, builder, report }.refuse(0, format!("cannot be read: {error}")),
    }
}

fn is_list(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    [".csv", ".txt", ".json"].iter().any(|end| name.ends_with(end)) && !name.starts_with('.')
}

fn file(path: &Path, name: &str, builder: &mut Builder, report: &mut LoadReport) {
    report.files += 1;
    let read = fs::metadata(path).map_err(|error| error.to_string()).and_then(|about| {
        if about.len() > MAX_FILE_BYTES {
            return Err(format!("has {} bytes; a list may have {MAX_FILE_BYTES}", about.len()));
        }
        fs::read(path).map_err(|error| format!("cannot be read: {error}"))
    });
    match read {
        Ok(bytes) => text(name, &bytes, builder, report),
        Err(reason) => Taker { file: name, builder, report }.refuse(0, reason),
    }
}

/// Reads one list; what it is follows from its first sign. `name` is its source where it names none.
pub fn text(name: &str, bytes: &[u8], builder: &mut Builder, report: &mut LoadReport) {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut taker = Taker { file: name, builder, report };
    if !matches!(bytes.iter().find(|byte| !byte.is_ascii_whitespace()), Some(b'{' | b'[')) {
        return csv::read(&String::from_utf8_lossy(bytes), &mut taker);
    }
    let read =
        if stix::is_bundle(bytes) { stix::read(bytes, &mut taker) } else { misp::read(bytes, &mut taker) };
    if let Err(reason) = read {
        taker.refuse(0, reason);
    }
}

/// Takes what a reader finds.
struct Taker<'t> {
    file: &'t str,
    builder: &'t mut Builder,
    report: &'t mut LoadReport,
}

impl Taker<'_> {
    fn refuse(&mut self, place: usize, reason: impl Into<String>) {
        self.report.refused += 1;
        if self.report.reasons.len() < MAX_TOLD {
            let reason = reason.into().chars().take(300).collect();
            self.report.reasons.push(Refused { file: self.file.to_owned(), place, reason });
        }
    }

    fn pass_over(&mut self, place: usize, reason: impl Into<String>) {
        self.report.passed_over += 1;
        if self.report.passed.len() < MAX_PASSED {
            let reason = reason.into().chars().take(300).collect();
            self.report.passed.push(Refused { file: self.file.to_owned(), place, reason });
        }
    }

    /// The file's name without its folder: the source of what names none.
    fn source(&self) -> String {
        Path::new(self.file).file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn take(&mut self, place: usize, kind: Option<Kind>, value: &str, detail: &Detail) {
        let found = match kind {
            Some(kind) => Indicator::new(kind, value),
            None => Indicator::guess(value),
        };
        self.add(place, found, detail);
    }

    fn add(&mut self, place: usize, found: Result<Indicator, Unreadable>, detail: &Detail) {
        match found.map(|found| self.builder.add(&found, detail)) {
            Ok(Added::New) => self.report.taken += 1,
            Ok(Added::Known) => self.report.repeated += 1,
            Ok(Added::Full) => self.refuse(place, "there is no room for more indicators of this kind"),
            Err(error) => self.refuse(place, error.to_string()),
        }
    }
}

/// A moment: RFC 3339, or a day (its end).
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    Timestamp::parse(text).ok().or_else(|| Timestamp::parse(&format!("{text}T23:59:59Z")).ok())
}
