//! Witness of the centre's transparency log: the newest signed head that this sensor was told of, `witness.json` beside
//! the identity.
//!
//! Each answer of the collector carries the head and the proof that it continues the one kept here (RFC 9162, 2.1.4). A head
//! that does not is a fork: somebody at the centre changed what was logged. The head that was kept then stays, with the
//! first that does not fit: the two prove it to anybody. The log's key is that of the first answer, which came from the
//! centre that the enrolment named.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dongson_event::Timestamp;
use dongson_event::transparency::{Hash, Head, LogKey, parse_hash, verify_consistency};
use serde::{Deserialize, Serialize};
use tracing::error;

use super::DesiredError;
use crate::ship::write_whole;

/// Longest note that is kept.
const MAX_NOTE_BYTES: usize = 4_096;
/// Most hashes of a proof: a tree of 2^64 entries needs no more.
const MAX_PROOF: usize = 130;

/// What an answer says of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    /// The log's key.
    pub(super) key: String,
    /// The signed head.
    pub(super) note: String,
    /// That it continues the head of the size that was asked about.
    pub(super) proof: Vec<Hash>,
}

impl Heard {
    /// Reads the headers of an answer: the note's lines joined by `|`, hashes by commas; `None` from a collector without a
    /// log, or when they are not in bounds.
    pub(super) fn read(key: &str, note: &str, proof: &str) -> Option<Self> {
        let hashes = proof.split(',').filter(|hash| !hash.is_empty()).take(MAX_PROOF + 1);
        let proof: Vec<Hash> = hashes.map(parse_hash).collect::<Option<_>>()?;
        let fits = key.len() <= MAX_NOTE_BYTES && note.len() <= MAX_NOTE_BYTES && proof.len() <= MAX_PROOF;
        let note = note.replace('|', "\n").replace("-- ", "\u{2014} ");
        fits.then(|| Self { key: key.to_owned(), note, proof })
    }
}

/// A head that does not continue the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fork {
    /// What does not fit.
    reason: String,
    /// The head.
    note: String,
    /// Its key.
    key: String,
    /// When it came.
    at: Timestamp,
}

/// What the file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    key: String,
    note: String,
    fork: Option<Fork>,
}

/// The witness.
#[derive(Debug)]
pub(super) struct Witness {
    path: PathBuf,
    kept: Kept,
    /// The head of `kept`; `None` before the first.
    head: Option<Head>,
}

/// How the log stands, for health.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Witnessed {
    /// Entries under the newest head that this sensor keeps; 0 before the first.
    pub size: u64,
    /// Why a later head did not continue it, if one did not.
    pub fork: Option<String>,
}

impl Witness {
    /// Reads what `folder` keeps. A file that does not read is an error: it may be evidence.
    pub(super) fn open(folder: &Path) -> Result<Self, DesiredError> {
        let path = folder.join("witness.json");
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, kept: Kept::default(), head: None });
            }
            Err(error) => return Err(DesiredError::Disk { path, error }),
            Ok(bytes) => bytes,
        };
        let spoilt = |reason: String| {
            let reason = format!("{reason}: keep a copy of it, it may be evidence");
            let error =
                dongson_event::trust::TrustError::Malformed { what: "the witness of the log", reason };
            DesiredError::Spoilt { path: path.clone(), error }
        };
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| spoilt(error.to_string()))?;
        let key = LogKey::parse(&kept.key).map_err(|error| spoilt(error.to_string()))?;
        let head = Head::verify(&kept.note, &key).map_err(|error| spoilt(error.to_string()))?;
        Ok(Self { path, kept, head: Some(head) })
    }

    /// The size of the head that is kept: what a proof begins at.
    pub(super) fn size(&self) -> u64 {
        self.head.map_or(0, |head| head.size)
    }

    /// How the log stands.
    pub(super) fn state(&self) -> Witnessed {
        Witnessed { size: self.size(), fork: self.kept.fork.as_ref().map(|fork| fork.reason.clone()) }
    }

    /// Judges a head and keeps it if it continues the one before.
    pub(super) fn hear(&mut self, said: &Heard, now: Timestamp) -> Result<(), DesiredError> {
        let before = self.kept.clone();
        match self.judge(said) {
            Ok(head) if self.head != Some(head) => {
                self.kept.key.clone_from(&said.key);
                self.kept.note.clone_from(&said.note);
                self.head = Some(head);
            }
            Ok(_) => {}
            // The first one is evidence enough.
            Err(_) if self.kept.fork.is_some() => {}
            Err(reason) => {
                error!(reason, "the centre's transparency log does not continue what this sensor witnessed");
                let (note, key) = (said.note.clone(), said.key.clone());
                self.kept.fork = Some(Fork { reason, note, key, at: now });
            }
        }
        if self.kept == before || self.head.is_none() {
            return Ok(());
        }
        let json = serde_json::to_vec(&self.kept).unwrap_or_default();
        let path = &self.path;
        write_whole(path, &json, 0o600).map_err(|error| DesiredError::Disk { path: path.clone(), error })
    }

    /// The head, if it continues the one that is kept; else why not.
    fn judge(&self, said: &Heard) -> Result<Head, String> {
        if self.head.is_some() && self.kept.key != said.key {
            return Err(format!("the log has another key than the one witnessed, {:?}", self.kept.key));
        }
        let key = LogKey::parse(&said.key).map_err(|error| error.to_string())?;
        let head = Head::verify(&said.note, &key).map_err(|error| error.to_string())?;
        let Some(before) = self.head else { return Ok(head) };
        if head.size < before.size {
            return Err(format!(
                "the log has {} entries and had {}: entries were removed",
                head.size, before.size
            ));
        }
        if verify_consistency((before.size, &before.root), (head.size, &head.root), &said.proof) {
            return Ok(head);
        }
        Err(format!(
            "the log of {} entries does not begin with the {} that were witnessed: entries were changed",
            head.size, before.size
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dongson_event::transparency::{Frontier, Span, consistency, leaf_hash};
    use dongson_event::trust::SigningKey;

    fn leaves(count: u64, odd: Option<u64>) -> Vec<Hash> {
        (0..count)
            .map(|number| leaf_hash(&[u8::from(odd == Some(number)), number.to_le_bytes()[0]]))
            .collect()
    }

    /// What a collector says of a log of `count` entries, of which `odd` is another than usual, to who knows `old` of them.
    fn heard(seed: u8, old: u64, count: u64, odd: Option<u64>) -> Heard {
        let key = SigningKey::from_seed([seed; 32]).unwrap();
        let all = leaves(count, odd);
        let root = |span: &Span| {
            let range = usize::try_from(span.first).unwrap()..usize::try_from(span.end).unwrap();
            all[range].iter().copied().collect::<Frontier>().root()
        };
        let proof = consistency(old, count).unwrap_or_default().iter().map(root).collect();
        let head = Head { size: count, root: all.iter().copied().collect::<Frontier>().root() };
        Heard { key: LogKey::of(&key).to_string(), note: head.sign(&key), proof }
    }

    fn at() -> Timestamp {
        Timestamp::from_seconds(1)
    }

    #[test]
    fn a_log_that_grows_is_witnessed_over_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let mut witness = Witness::open(folder.path()).unwrap();
        for count in [3, 3, 4, 11, 200] {
            witness.hear(&heard(1, witness.size(), count, None), at()).unwrap();
            assert_eq!(witness.state(), Witnessed { size: count, fork: None });
            witness = Witness::open(folder.path()).unwrap();
        }
    }

    #[test]
    fn what_does_not_continue_is_a_fork_and_kept_as_evidence() {
        let check = |other: Heard, words: &str| {
            let folder = tempfile::tempdir().unwrap();
            let mut witness = Witness::open(folder.path()).unwrap();
            witness.hear(&heard(1, 0, 20, None), at()).unwrap();
            witness.hear(&other, at()).unwrap();
            let state = Witness::open(folder.path()).unwrap().state();
            assert_eq!(state.size, 20, "the head that was kept stays");
            assert!(state.fork.as_ref().is_some_and(|fork| fork.contains(words)), "{words}: {state:?}");
            // A log that goes on as if nothing was does not make it unseen.
            witness.hear(&heard(1, 20, 25, None), at()).unwrap();
            assert_eq!(witness.state(), Witnessed { size: 25, ..state });
        };
        check(heard(1, 20, 30, Some(4)), "changed");
        check(heard(1, 20, 20, Some(19)), "changed");
        check(heard(1, 20, 19, None), "removed");
        check(heard(2, 20, 30, None), "another key");
        check(Heard { proof: Vec::new(), ..heard(1, 20, 30, None) }, "changed");
        check(Heard { note: "x".to_owned(), ..heard(1, 20, 30, None) }, "signed head");
    }

    #[test]
    fn a_spoilt_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("witness.json"), "{}").unwrap();
        let error = Witness::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("witness.json") && error.contains("evidence"), "{error}");
    }

    #[test]
    fn headers_are_read_in_bounds() {
        let note = heard(1, 0, 5, None).note;
        let line = note.replace('\n', "|").replace('\u{2014}', "--");
        assert_eq!(Heard::read("k", &line, "").unwrap().note, note);
        let hash = "ab".repeat(32);
        assert_eq!(Heard::read("k", &line, &format!("{hash},{hash}")).unwrap().proof.len(), 2);
        assert!(Heard::read("k", &line, "ab").is_none());
        assert!(Heard::read("k", &line, &vec![hash; 131].join(",")).is_none());
        assert!(Heard::read("k", &"x".repeat(5_000), "").is_none());
    }
}
