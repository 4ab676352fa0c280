//! The journal: what the centre asked of this sensor, and what became of it.
//!
//! One JSON object a line, appended and synced before what it says happens. Each line has the SHA-256 of the one before (`previous`) and its own
//! (`hash`, over the line without it), so that no line can be changed, left out or put between unseen. A line that a power cut
//! tore off is cut away, and the next line says so.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dongson_event::Timestamp;
use dongson_event::trust::{KeyId, PacketAccount, PacketRequest};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const FILE: &str = "journal.jsonl";
/// `previous` of the first line.
const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Longest line that is read.
const LONGEST: u64 = 1 << 20;
/// How long the end of a request is remembered: longer than any request lives.
const REMEMBERED: Duration = Duration::from_hours(15 * 24);
const DAY: Duration = Duration::from_hours(24);

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk refused.
    #[error("{path:?}: {error}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A line is not what it was.
    #[error(
        "{path:?}: line {line} {problem}: the journal was changed; keep the file, and move it away to begin a new one"
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum Deed {
    /// A request will be answered.
    Accepted {
        /// The whole request.
        request: Box<PacketRequest>,
        /// The keys that signed it.
        signers: Vec<KeyId>,
    },
    /// A request will not be answered.
    Refused {
        /// Its id, where it could be read.
        request: Option<String>,
        /// SHA-256 of what was signed.
        payload_sha256: String,
        /// Why.
        reason: String,
    },
    /// From now on packets may have left this sensor.
    Sending {
        /// The id of the request.
        request: String,
        /// What is sent.
        account: PacketAccount,
    },
    /// The collector has the whole answer.
    Answered {
        /// The id of the request.
        request: String,
    },
    /// An accepted request came to nothing.
    Dropped {
        /// The id of the request.
        request: String,
        /// Why.
        reason: String,
    },
    /// The last line before this one was torn by a power cut.
    Mended {
        /// How many bytes were cut away.
        bytes: u64,
    },
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalLine {
    /// From 1.
    pub sequence: u64,
    /// By this machine's clock.
    pub at: Timestamp,
    /// Hash of the line before.
    pub previous: String,
    /// What happened.
    #[serde(flatten)]
    pub deed: Deed,
}

/// How far a request has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    Accepted,
    Answered(PacketAccount),
    Refused(String),
}

/// The journal, as its only writer sees it.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    sequence: u64,
    hash: String,
    /// Requests of the last days by id, and when they were last spoken of.
    requests: BTreeMap<String, (Timestamp, Progress, Option<PacketAccount>)>,
    /// When requests were accepted or refused lately.
    lately: Vec<Timestamp>,
}

impl Journal {
    /// Opens or begins the journal in `folder`; it is checked whole.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, JournalError> {
        let path = folder.join(FILE);
        let failed = |error| JournalError::Disk { path: path.clone(), error };
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).read(true).mode(0o600).open(&path).map_err(failed)?;
        let mut journal = Self {
            path: path.clone(),
            file,
            sequence: 0,
            hash: FIRST.to_owned(),
            requests: BTreeMap::new(),
            lately: Vec::new(),
        };
        let whole = walk(&path, &mut |line, hash| {
            journal.sequence = line.sequence;
            hash.clone_into(&mut journal.hash);
            journal.note(line.at, line.deed, now);
        })?;
        let length = journal.file.metadata().map_err(failed)?.len();
        if length > whole {
            journal.file.set_len(whole).map_err(failed)?;
            journal.write(Deed::Mended { bytes: length - whole }, now)?;
        }
        Ok(journal)
    }

    /// Appends a line; it is on the disk when this returns.
    pub fn write(&mut self, deed: Deed, at: Timestamp) -> Result<(), JournalError> {
        let failed = |error| JournalError::Disk { path: self.path.clone(), error };
        let line = JournalLine { sequence: self.sequence + 1, at, previous: self.hash.clone(), deed };
        let body = serde_json::to_string(&line).map_err(|error| failed(error.into()))?;
        let hash = hash_of(&body);
        let open = body.strip_suffix('}').unwrap_or(&body);
        let text = format!("{open},\"hash\":\"{hash}\"}}\n");
        let before = self.file.metadata().map_err(failed)?.len();
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Half a line would break the chain for the next one.
            self.file.set_len(before).map_err(failed)?;
            return Err(failed(error));
        }
        (self.sequence, self.hash) = (line.sequence, hash);
        self.note(at, line.deed, at);
        Ok(())
    }

    /// How far the request has come.
    pub(super) fn progress(&self, request: &str) -> Option<&Progress> {
        self.requests.get(request).map(|(_, progress, _)| progress)
    }

    /// How many requests were accepted in the day before `now`.
    pub(super) fn of_the_day(&self, now: Timestamp) -> usize {
        self.lately.iter().filter(|at| **at > now.minus(DAY)).count()
    }

    fn note(&mut self, at: Timestamp, deed: Deed, now: Timestamp) {
        let old = now.minus(REMEMBERED);
        self.requests.retain(|_, (at, ..)| *at > old);
        self.lately.retain(|at| *at > now.minus(DAY));
        let (id, progress, account) = match deed {
            Deed::Accepted { request, .. } => {
                self.lately.push(at);
                (request.id, Progress::Accepted, None)
            }
            Deed::Refused { request: Some(request), reason, .. } => {
                (request, Progress::Refused(reason), None)
            }
            Deed::Dropped { request, reason } => (request, Progress::Refused(reason), None),
            Deed::Sending { request, account } => (request, Progress::Accepted, Some(account)),
            Deed::Answered { request } => {
                let account = self.requests.remove(&request).and_then(|(_, _, account)| account);
                (request, Progress::Answered(account.unwrap_or_default()), None)
            }
            Deed::Refused { request: None, .. } | Deed::Mended { .. } => return,
        };
        // What was accepted or answered under an id is not overwritten by what somebody else calls the same.
        let is_refusal = matches!(progress, Progress::Refused(_));
        let ended = self.requests.get(&id).is_some_and(|(_, held, _)| !matches!(held, Progress::Accepted));
        if at > old && !(is_refusal && ended) {
            self.requests.insert(id, (at, progress, account));
        }
    }
}

fn hash_of(body: &str) -> String {
    hex::encode(Sha256::digest(body.as_bytes()))
}

/// Gives every line of the journal in `folder` to `each`, after its place in the chain was checked. Says whether the last line
/// is torn.
pub fn read_journal(folder: &Path, each: &mut dyn FnMut(&JournalLine)) -> Result<bool, JournalError> {
    let path = folder.join(FILE);
    let whole = walk(&path, &mut |line, _| each(&line))?;
    let length = path.metadata().map_err(|error| JournalError::Disk { path: path.clone(), error })?.len();
    Ok(length > whole)
}

/// The same; says how many bytes the whole lines are.
fn walk(path: &Path, each: &mut dyn FnMut(JournalLine, &str)) -> Result<u64, JournalError> {
    let failed = |error| JournalError::Disk { path: path.to_owned(), error };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let (mut whole, mut hash, mut sequence) = (0_u64, FIRST.to_owned(), 0_u64);
    let mut text = Vec::new();
    loop {
        text.clear();
        let length = file.by_ref().take(LONGEST).read_until(b'\n', &mut text).map_err(failed)?;
        if length == 0 || !text.ends_with(b"\n") && (length as u64) < LONGEST {
            return Ok(whole);
        }
        let broken =
            |problem: String| JournalError::Broken { path: path.to_owned(), line: sequence + 1, problem };
        let (line, own) = parse(&text).map_err(broken)?;
        if line.previous != hash || line.sequence != sequence + 1 {
            return Err(broken("does not follow the one before".to_owned()));
        }
        (sequence, whole) = (line.sequence, whole + length as u64);
        each(line, &own);
        hash = own;
    }
}

/// A line and its hash, when the hash is right.
fn parse(text: &[u8]) -> Result<(JournalLine, String), String> {
    let text = std::str::from_utf8(text).map_err(|_| "is no text".to_owned())?.trim_end_matches('\n');
    let (body, hash) = text.rsplit_once(",\"hash\":\"").ok_or("has no hash")?;
    let hash = hash.strip_suffix("\"}").ok_or("has no hash")?;
    let body = format!("{body}}}");
    if hash_of(&body) != hash {
        return Err("does not fit its hash".to_owned());
    }
    let line = serde_json::from_str(&body).map_err(|error| format!("is not understood: {error}"))?;
    Ok((line, hash.to_owned()))
}
