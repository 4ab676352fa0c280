//! The spool's folder: its state and the names and bytes of its files, changed.
//!
//! Input: files: length of the name (1 byte), name, length (2), bytes. What must hold: a spool opens or says why not; one that
//! opens takes a batch under a sequence that no file has, and still has it when it is opened again.

use std::fs;
use std::path::Path;

use dongson_event::batch::Class;
use dongson_event::{Event, Timestamp};
use dongson_sensor::ship::{Batch, Spool, Stored};
use fastrand::Rng;
use tempfile::TempDir;

use super::Target;
use super::wire::Take;
use crate::mutate;

/// Longest file that a change makes.
const MAX_BYTES: usize = 2 << 10;

/// The target; its folder lies in memory where the system has such a place.
#[derive(Debug)]
pub struct Spools {
    folder: TempDir,
}

impl Spools {
    /// Makes the folder.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new() -> Result<Self, String> {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        Ok(Self { folder: folder.map_err(|error| format!("a folder for the spool: {error}"))? })
    }

    fn files(&self) -> Result<Vec<(String, Vec<u8>)>, String> {
        let mut all = Vec::new();
        for entry in fs::read_dir(self.folder.path()).map_err(words)? {
            let entry = entry.map_err(words)?;
            if entry.file_type().map_err(words)?.is_file() {
                let bytes = fs::read(entry.path()).map_err(words)?;
                all.push((entry.file_name().to_string_lossy().into_owned(), bytes));
            }
        }
        all.sort();
        Ok(all)
    }

    fn clear(&self) -> Result<(), String> {
        for entry in fs::read_dir(self.folder.path()).map_err(words)? {
            let entry = entry.map_err(words)?;
            let path = entry.path();
            if entry.file_type().map_err(words)?.is_dir() {
                fs::remove_dir_all(path).map_err(words)?;
            } else {
                fs::remove_file(path).map_err(words)?;
            }
        }
        Ok(())
    }

    /// The files of a spool with batches in it.
    fn written(&self) -> Result<Vec<(String, Vec<u8>)>, String> {
        self.clear()?;
        let mut spool = Spool::open(self.folder.path(), 1 << 20).map_err(words)?;
        for _ in 0..3 {
            spool.store(&batch()).map_err(words)?;
        }
        drop(spool);
        self.files()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn words(error: impl ToString) -> String {
    error.to_string()
}

fn batch() -> Batch {
    let mut batch = Batch::new(Class::Conn);
    batch.push(&Event::of("sensor.dns", Timestamp::default()));
    batch
}

impl Target for Spools {
    fn name(&self) -> &'static str {
        "spool"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let files = self.written().unwrap_or_default();
        vec![encode(&files), encode(&[])]
    }

    fn change(&self, rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
        let (mut files, others) = (decode(input), decode(other));
        let tokens = [
            "epoch",
            "next",
            "lost",
            "told",
            ".tmp",
            ".ndjson.zst",
            "-",
            "18446744073709551615",
            "null",
            "refused",
        ];
        let tokens: Vec<Vec<u8>> = tokens.iter().map(|word| word.as_bytes().to_vec()).collect();
        if let Some((name, bytes)) = rng.choice(&mut files) {
            if rng.bool() {
                let mut changed = name.clone().into_bytes();
                mutate::change(rng, &mut changed, &tokens, &[], 100);
                *name = String::from_utf8_lossy(&changed).into_owned();
            } else {
                mutate::change(rng, bytes, &tokens, &[], MAX_BYTES);
            }
        }
        if rng.u8(0..4) == 0 {
            files.extend(rng.choice(&others).cloned());
        }
        files.truncate(12);
        encode(&files)
    }

    fn run(&mut self, input: &[u8]) -> Result<(), String> {
        self.clear()?;
        for (name, bytes) in decode(input) {
            // Names that no folder can hold are not there.
            if let Err(error) = fs::write(self.folder.path().join(name), bytes) {
                drop(error);
            }
        }
        let Ok(mut spool) = Spool::open(self.folder.path(), 1 << 20) else { return Ok(()) };
        let before = spool.batches();
        let taken = self.files()?;
        let Stored::Kept(sequence) = spool.store(&batch()).map_err(words)? else { return Ok(()) };
        let added = self.files()?.len() - taken.len();
        if added != 1 {
            return Err(format!("sequence {sequence} is kept, and there are {added} more files"));
        }
        drop(spool);
        let mut spool = Spool::open(self.folder.path(), 1 << 20).map_err(words)?;
        if spool.batches() != before + 1 {
            return Err(format!("{} batches, expected {}", spool.batches(), before + 1));
        }
        while let Some(sequence) = spool.oldest().map(|batch| batch.sequence) {
            spool.remove(sequence).map_err(words)?;
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        16 << 20
    }
}

fn decode(input: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut rest = Take(input);
    let mut all = Vec::new();
    while !rest.0.is_empty() {
        let length = rest.number(1);
        let name = String::from_utf8_lossy(rest.bytes(length)).replace(['/', '\0'], "_");
        let length = rest.number(2);
        let bytes = rest.bytes(length).to_vec();
        // The lock is held by who runs; the folder itself and its parent are no files.
        if !matches!(name.as_str(), "" | "." | ".." | "lock") {
            all.push((name, bytes));
        }
    }
    all
}

fn encode(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in files {
        let name = name.as_bytes().get(..name.len().min(255)).unwrap_or_default();
        out.push(u8::try_from(name.len()).unwrap_or_default());
        out.extend(name);
        out.extend(u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(bytes);
    }
    out
}
