//! The alerts that the sensor found by itself: JSON lines in `alerts/` of its folder, for `dongson-sensor alerts`.
//!
//! `now.jsonl` grows to 8 MiB and then becomes `before.jsonl`: at most 16 MiB stay. One alert (entity, rule, window) is
//! written once for as long as the process remembers it; a line that the disk refuses is counted.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use dongson_event::Alert;
use tracing::warn;

/// When the file in use becomes the former one, in bytes.
const FILE_BYTES: u64 = 8 << 20;
/// Most alerts that are remembered as written.
const KNOWN: usize = 50_000;
const FOLDER: &str = "alerts";
const NOW: &str = "now.jsonl";
const BEFORE: &str = "before.jsonl";

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the log of alerts {path:?}: {error}")]
pub struct LogError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

/// Writes alerts.
#[derive(Debug)]
pub struct AlertLog {
    folder: PathBuf,
    file: File,
    bytes: u64,
    known: HashSet<String>,
    unwritten: u64,
}

impl AlertLog {
    /// Opens the log of a sensor's folder; what stands in it is remembered.
    pub fn open(folder: &Path) -> Result<Self, LogError> {
        let folder = folder.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|error| LogError { path: folder.clone(), error })?;
        let known = read(&folder)?.into_iter().map(|alert| alert.id).take(KNOWN).collect();
        let path = folder.join(NOW);
        let opened = append(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (bytes, file) = opened.map_err(|error| LogError { path, error })?;
        Ok(Self { folder, file, bytes, known, unwritten: 0 })
    }

    /// Writes an alert that was not written before.
    pub fn note(&mut self, alert: &Alert) {
        if self.known.contains(&alert.id) {
            return;
        }
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(alert.id.clone());
        if let Err(error) = self.write(alert) {
            self.unwritten += 1;
            metrics::counter!("sensor_local_alerts_unwritten_total").increment(1);
            warn!(%error, alert = alert.id, "an alert could not be written into the log");
        }
        metrics::counter!("sensor_local_alerts_total").increment(1);
    }

    /// Alerts that the disk refused since the start.
    pub fn unwritten(&self) -> u64 {
        self.unwritten
    }

    fn write(&mut self, alert: &Alert) -> io::Result<()> {
        let mut line = serde_json::to_vec(alert).map_err(io::Error::other)?;
        line.push(b'\n');
        if self.bytes + line.len() as u64 > FILE_BYTES && self.bytes > 0 {
            fs::rename(self.folder.join(NOW), self.folder.join(BEFORE))?;
            self.file = append(&self.folder.join(NOW))?;
            self.bytes = 0;
        }
        self.file.write_all(&line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }
}

/// The alerts in the log of a sensor's folder, the oldest first. A line that a power cut left unfinished is passed
/// over. The first signal of each has no event id, which only the centre gives.
pub fn alerts(folder: &Path) -> Result<Vec<Alert>, LogError> {
    read(&folder.join(FOLDER))
}

fn read(folder: &Path) -> Result<Vec<Alert>, LogError> {
    let mut alerts = Vec::new();
    for path in [folder.join(BEFORE), folder.join(NOW)] {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(LogError { path, error }),
        };
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(|error| LogError { path: path.clone(), error })?;
            alerts.extend(serde_json::from_slice::<Alert>(&line).ok());
        }
    }
    Ok(alerts)
}

fn append(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    // After a power cut the last line may have no end.
    let length = file.metadata()?.len();
    if length > 0 {
        file.seek(SeekFrom::Start(length - 1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}
