//! The time line of an incident: append-only, each entry hashed over the one before.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::database::{Connection, JsonText, query, query_as};
use crate::{
    Change, Millis, Result,
    chain::{ORIGIN, link},
};

/// What an entry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "TEXT", rename_all = "snake_case")]
pub enum EntryKind {
    /// The incident was raised.
    Created,
    /// Somebody wrote something.
    Comment,
    /// Fields were changed; `data` says which, from what to what.
    Changed,
    /// An alert was linked.
    Linked,
    /// An alert was unlinked.
    Unlinked,
    /// The incident was closed.
    Closed,
    /// It was opened again.
    Reopened,
    /// Packets of a sensor were asked for, approved, declined, sent, discarded or taken; `data` says which and what.
    Packets,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema, sqlx::FromRow)]
pub struct Entry {
    /// Place in the chain, from 1.
    pub sequence: i64,
    /// When.
    pub at: Millis,
    /// Account id.
    pub who: String,
    /// What it tells.
    pub kind: EntryKind,
    /// The text, as written.
    pub text: String,
    /// Details as JSON.
    #[sqlx(try_from = "JsonText")]
    #[schema(value_type = Option<Object>)]
    pub data: Option<Value>,
    /// Hash of the entry before.
    pub previous: String,
    /// Hash of this entry.
    pub hash: String,
}

impl Entry {
    /// The hash that this entry of `incident` must carry.
    fn expected(&self, incident: &str) -> String {
        let (sequence, at) = (self.sequence.to_string(), self.at.to_string());
        let kind = format!("{:?}", self.kind);
        let data = self.data.as_ref().map(Value::to_string);
        let parts = [
            Some(incident),
            Some(&sequence),
            Some(&at),
            Some(&self.who),
            Some(&kind),
            Some(&self.text),
            data.as_deref(),
        ];
        link(&self.previous, &parts)
    }

    /// Whether `entries` (from the first on) are an unbroken chain of `incident`.
    pub fn unbroken(incident: &str, entries: &[Self]) -> bool {
        let mut previous = ORIGIN;
        entries.iter().zip(1..).all(|(entry, sequence)| {
            let fits = entry.sequence == sequence
                && entry.previous == previous
                && entry.hash == entry.expected(incident);
            previous = &entry.hash;
            fits
        })
    }
}

/// Appends an entry inside the caller's transaction.
pub(crate) async fn append(
    tx: &mut Connection,
    incident: &str,
    change: &Change,
    kind: EntryKind,
    text: &str,
    data: Option<Value>,
) -> Result<()> {
    let last: Option<(i64, String)> = query_as(
        "SELECT sequence, hash FROM incident_entry WHERE incident = $1 ORDER BY sequence DESC LIMIT 1",
    )
    .bind(incident)
    .fetch_optional(&mut *tx)
    .await?;
    let (sequence, previous) = last.map_or((1, ORIGIN.to_owned()), |(sequence, hash)| (sequence + 1, hash));
    let mut entry = Entry {
        sequence,
        at: change.at,
        who: change.who.clone(),
        kind,
        text: text.to_owned(),
        data,
        previous,
        hash: String::new(),
    };
    entry.hash = entry.expected(incident);
    query("INSERT INTO incident_entry VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(incident)
        .bind(entry.sequence)
        .bind(entry.at)
        .bind(entry.who)
        .bind(entry.kind)
        .bind(entry.text)
        .bind(entry.data.map(|data| data.to_string()))
        .bind(entry.previous)
        .bind(entry.hash)
        .execute(tx)
        .await?;
    Ok(())
}
