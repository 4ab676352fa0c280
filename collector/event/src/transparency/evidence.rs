//! Evidence: one event, alert or audit entry with all that proves that it stood in the log, in one JSON object. It is
//! checked without a database, here and by `deploy/check-evidence`, which shares no code with this.

use serde::{Deserialize, Serialize};

use super::{Entry, Head, HeadError, Link, LogKey, leaf_hash, link, parse_hash, verify_inclusion};
use crate::batch::Hash;

/// The only form there is.
const FORMAT: &str = "dongson evidence 1";
/// Longest evidence that is read, in bytes: an event of 1 MiB, written as JSON in JSON.
const MAX_BYTES: usize = 8 << 20;

/// What is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A stored event.
    Event,
    /// The facts of an alert.
    Alert,
    /// An entry of the audit.
    Audit,
}

/// Where an event stands in its segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The class of its row: days that it is kept...
    pub days: u16,
    /// ...and day of arrival.
    pub day: i64,
    /// Its place among the rows of the class.
    pub index: u64,
    /// From the row to the root of the class.
    pub path: Vec<String>,
}

/// One thing, and its way up to a signed head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// `dongson evidence 1`.
    pub format: String,
    /// What it is.
    pub subject: Subject,
    /// Its id: of the event, of the alert, or the place in the audit.
    pub id: String,
    /// The text that is proved: the event or alert as JSON; of an audit entry a list, the hash before and the parts.
    pub content: String,
    /// Of an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The log's entry.
    pub entry: String,
    /// Its place in the log, from 0.
    pub leaf: u64,
    /// From the entry to the head's root.
    pub path: Vec<String>,
    /// The signed head.
    pub head: String,
    /// The log's key.
    pub key: String,
}

/// What evidence shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The entry.
    pub entry: Entry,
    /// The head under which it stands.
    pub head: Head,
    /// The log.
    pub key: LogKey,
}

/// Why evidence shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Not evidence.
    #[error("not evidence of this form: {0}")]
    Malformed(String),
    /// The head.
    #[error("the signed head: {0}")]
    Head(#[from] HeadError),
    /// Signed by a log that the reader does not trust.
    #[error("signed by the log {found}, not by {wanted}: ask the centre for its log's key")]
    OtherLog {
        /// The log of the evidence.
        found: String,
        /// The one that is trusted.
        wanted: String,
    },
    /// The entry is not under the head.
    #[error("the entry is not entry {0} of the log under this head: entry, place, path or head was changed")]
    NotLogged(u64),
    /// The entry says something else.
    #[error("the entry does not prove this {0}: content, id, place or entry was changed")]
    NotThis(&'static str),
}

impl Evidence {
    /// Evidence in the present form.
    pub fn new(subject: Subject, id: String, content: String, place: Option<Place>) -> Self {
        let (entry, path, head, key) = Default::default();
        Self { format: FORMAT.to_owned(), subject, id, content, place, entry, leaf: 0, path, head, key }
    }

    /// Reads evidence in bounds.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn parse(json: &[u8]) -> Result<Self, EvidenceError> {
        if json.len() > MAX_BYTES {
            return Err(EvidenceError::Malformed(format!("it is longer than {MAX_BYTES} bytes")));
        }
        let read: Self =
            serde_json::from_slice(json).map_err(|error| EvidenceError::Malformed(error.to_string()))?;
        if read.format != FORMAT {
            return Err(EvidenceError::Malformed(format!("its format is {:?}, not {FORMAT:?}", read.format)));
        }
        Ok(read)
    }

    /// Follows it from the content up to the signed head; `trusted` is the key of the centre's log, as the reader knows it
    /// from elsewhere. Without one it shows only that the evidence fits its own key.
    ///
    /// # Errors
    /// What does not fit.
    pub fn verify(&self, trusted: Option<&LogKey>) -> Result<Proven, EvidenceError> {
        if self.format != FORMAT {
            return Err(EvidenceError::Malformed(format!("its format is {:?}, not {FORMAT:?}", self.format)));
        }
        let key = LogKey::parse(&self.key)?;
        if let Some(wanted) = trusted.filter(|wanted| **wanted != key) {
            let (found, wanted) = (key.origin().to_owned(), wanted.origin().to_owned());
            return Err(EvidenceError::OtherLog { found, wanted });
        }
        let head = Head::verify(&self.head, &key)?;
        let path = hashes(&self.path)?;
        let root = verify_inclusion(leaf_hash(self.entry.as_bytes()), self.leaf, head.size, &path);
        if root != Some(head.root) {
            return Err(EvidenceError::NotLogged(self.leaf));
        }
        let entry = Entry::parse(&self.entry)
            .ok_or_else(|| EvidenceError::Malformed("its entry is of no kind that is known".to_owned()))?;
        let (word, fits) = match self.subject {
            Subject::Event => ("event", self.is_event(&entry)?),
            Subject::Alert => ("alert", self.is_alert(&entry)),
            Subject::Audit => ("audit entry", self.is_audit(&entry)),
        };
        if fits { Ok(Proven { entry, head, key }) } else { Err(EvidenceError::NotThis(word)) }
    }

    fn is_event(&self, entry: &Entry) -> Result<bool, EvidenceError> {
        let (Some(place), Entry::Segment { classes, .. }) = (&self.place, entry) else { return Ok(false) };
        let path = hashes(&place.path)?;
        let class = classes.iter().find(|class| (class.days, class.day) == (place.days, place.day));
        let Some(class) = class else { return Ok(false) };
        let root = verify_inclusion(leaf_hash(self.content.as_bytes()), place.index, class.rows, &path);
        Ok(root.is_some_and(|root| hex::encode(root) == class.root) && self.names("event.id"))
    }

    fn is_alert(&self, entry: &Entry) -> bool {
        let Entry::Alert { name, hash, .. } = entry else { return false };
        let fits = *name == self.id && hex::encode(leaf_hash(self.content.as_bytes())) == *hash;
        fits && self.names("id") && self.place.is_none()
    }

    fn is_audit(&self, entry: &Entry) -> bool {
        let (Entry::Audit(Link { name, hash, .. }) | Entry::Approval(Link { name, hash, .. })) = entry else {
            return false;
        };
        let Ok(parts) = serde_json::from_str::<Vec<Option<String>>>(&self.content) else { return false };
        let parts: Vec<Option<&str>> = parts.iter().map(Option::as_deref).collect();
        let Some((Some(previous), parts)) = parts.split_first() else { return false };
        let first = parts.first().copied().flatten();
        first == Some(&self.id) && *name == self.id && link(previous, parts) == *hash && self.place.is_none()
    }

    /// Whether the content says our id under this name.
    fn names(&self, name: &str) -> bool {
        let content: Option<serde_json::Value> = serde_json::from_str(&self.content).ok();
        content.as_ref().and_then(|content| content.get(name)?.as_str()) == Some(&self.id)
    }
}

fn hashes(texts: &[String]) -> Result<Vec<Hash>, EvidenceError> {
    let bad = || EvidenceError::Malformed("a hash is not 64 lower-case hexadecimal digits".to_owned());
    texts.iter().map(|text| parse_hash(text).ok_or_else(bad)).collect()
}

#[cfg(test)]
mod tests;
