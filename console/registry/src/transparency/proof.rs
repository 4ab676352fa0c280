//! Entries with their proofs.

use crate::database::{Connection, query_as};
use dongson_event::transparency::{Entry, Evidence, Hash, LogKey, Place, Subject, consistency, inclusion};

use super::head::{SignedHead, log_key, newest};
use super::{DAMAGED, stored, tile};
use crate::{Error, Millis, Registry, Result};

/// An entry as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct LoggedEntry {
    /// Its place, from 0.
    #[sqlx(try_from = "i64")]
    pub leaf: u64,
    /// Its text.
    pub body: String,
}

impl LoggedEntry {
    /// What it says; `None` when it was changed into something that says nothing.
    pub fn entry(&self) -> Option<Entry> {
        Entry::parse(&self.body)
    }
}

/// An entry and its way up to a signed head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The entry.
    pub entry: LoggedEntry,
    /// From it to the head's root.
    pub path: Vec<Hash>,
    /// The head.
    pub head: SignedHead,
    /// The log's key.
    pub key: LogKey,
}

impl Logged {
    /// Evidence that `content` is what this entry is about.
    pub fn evidence(&self, subject: Subject, id: &str, content: String, place: Option<Place>) -> Evidence {
        let mut evidence = Evidence::new(subject, id.to_owned(), content, place);
        evidence.entry.clone_from(&self.entry.body);
        evidence.leaf = self.entry.leaf;
        evidence.path = self.path.iter().map(hex::encode).collect();
        evidence.head.clone_from(&self.head.note);
        evidence.key = self.key.to_string();
        evidence
    }
}

async fn find(tx: &mut Connection, kind: &str, name: &str) -> Result<Option<LoggedEntry>> {
    Ok(query_as("SELECT leaf, body FROM transparency_entry WHERE kind = $1 AND name = $2")
        .bind(kind)
        .bind(name)
        .fetch_optional(tx)
        .await?)
}

impl Registry {
    /// The entry of this kind and name; `None` when the log has none.
    pub async fn logged_entry(&self, kind: &str, name: &str) -> Result<Option<LoggedEntry>> {
        let mut reader = self.readers.acquire().await?;
        find(&mut reader, kind, name).await
    }

    /// The entry of this kind and name with its proof under the newest head; `None` when the log has none. Whether the
    /// caller may see it is the caller's to know.
    pub async fn logged(&self, kind: &str, name: &str, now: Millis) -> Result<Option<Logged>> {
        let mut reader = self.readers.acquire().await?;
        let Some(entry) = find(&mut reader, kind, name).await? else { return Ok(None) };
        let mut head = newest(&mut reader).await?;
        drop(reader);
        if head.as_ref().is_none_or(|head| head.size <= entry.leaf.cast_signed()) {
            head = Some(self.sign_transparency_head(now).await?);
        }
        let mut reader = self.readers.acquire().await?;
        let (Some(head), Some(key)) = (head, log_key(&mut reader).await?) else { return Err(DAMAGED) };
        let spans = inclusion(entry.leaf, head.size.cast_unsigned()).ok_or(DAMAGED)?;
        let path = tile::hashes(&mut reader, &spans).await?;
        Ok(Some(Logged { entry, path, head, key }))
    }

    /// The proof that the log of `size` entries begins with that of `old` (RFC 9162, 2.1.4).
    ///
    /// # Errors
    /// `Invalid` where the log is not so large.
    pub async fn transparency_consistency(&self, old: u64, size: u64) -> Result<Vec<Hash>> {
        let mut reader = self.readers.acquire().await?;
        let newest = newest(&mut reader).await?.map_or(0, |head| head.size.cast_unsigned());
        let spans = consistency(old, size).filter(|_| size <= newest);
        let reason = "must be at most the size of the newest head, and not smaller than the old size";
        let spans = spans.ok_or(Error::Invalid { field: "size", reason })?;
        tile::hashes(&mut reader, &spans).await
    }

    /// Entries of a kind (all where none is given) from place `from` on, at most 1000.
    pub async fn transparency_entries(&self, kind: Option<&str>, from: u64) -> Result<Vec<LoggedEntry>> {
        let statement = if kind.is_some() {
            "SELECT leaf, body FROM transparency_entry WHERE leaf >= $1 AND kind = $2 ORDER BY leaf LIMIT 1000"
        } else {
            "SELECT leaf, body FROM transparency_entry WHERE leaf >= $1 ORDER BY leaf LIMIT 1000"
        };
        let mut query = query_as(statement).bind(stored(from)?);
        if let Some(kind) = kind {
            query = query.bind(kind);
        }
        Ok(query.fetch_all(&self.readers).await?)
    }
}
