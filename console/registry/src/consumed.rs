//! Where each consumer of a topic stands, stored with what its records did, so that each record acts exactly once.

use std::collections::BTreeMap;

use crate::database::{Connection, query, query_as, query_scalar};
use crate::{Error, Registry, Result, Step};

/// A run of records that a consumer has read: offsets `first..next` of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumed {
    /// Name of the consumer group.
    pub group: String,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: u32,
    /// First offset of the run.
    pub first: u64,
    /// Offset after its last record.
    pub next: u64,
}

/// Where a consumer stands, and the state that it had there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The next offset to read.
    pub next: u64,
    /// The state as the consumer wrote it, if it did.
    pub state: Option<Vec<u8>>,
}

/// Parts of a consumer's state by name: the new value, or `None` for a part that is to go.
pub type StateParts = BTreeMap<String, Option<Vec<u8>>>;

impl Registry {
    /// Where `group` stands in a partition; `None` if it never finished a run there.
    pub async fn offset(&self, group: &str, topic: &str, partition: u32) -> Result<Option<Saved>> {
        let row: Option<(i64, Option<Vec<u8>>)> = query_as(
            "SELECT next_offset, state FROM consumer_offset WHERE consumer = $1 AND topic = $2 AND part = $3",
        )
        .bind(group)
        .bind(topic)
        .bind(i64::from(partition))
        .fetch_optional(&self.readers)
        .await?;
        let Some((next, state)) = row else { return Ok(None) };
        let next = u64::try_from(next).map_err(|_| Error::Range("offset"))?;
        Ok(Some(Saved { next, state }))
    }

    /// The parts of the state that `group` had where it stands in a partition, by name.
    pub async fn state_parts(
        &self,
        group: &str,
        topic: &str,
        partition: u32,
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let rows = query_as::<(String, Vec<u8>)>(
            "SELECT name, value FROM consumer_state WHERE consumer = $1 AND topic = $2 AND part = $3",
        )
        .bind(group)
        .bind(topic)
        .bind(i64::from(partition))
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.into_iter().collect())
    }
}

/// Moves the consumer on. False if this run was applied before: then nothing else may be done either.
pub(crate) async fn advance(tx: &mut Connection, run: &Consumed, step: &Step) -> Result<bool> {
    let next = i64::try_from(run.next).map_err(|_| Error::Range("offset"))?;
    let stored: Option<i64> = query_scalar(
        "SELECT next_offset FROM consumer_offset WHERE consumer = $1 AND topic = $2 AND part = $3",
    )
    .bind(&run.group)
    .bind(&run.topic)
    .bind(i64::from(run.partition))
    .fetch_optional(&mut *tx)
    .await?;
    let stored = u64::try_from(stored.unwrap_or(0)).map_err(|_| Error::Range("offset"))?;
    if run.next <= stored {
        return Ok(false);
    }
    if let Some(expected) = step.expected.filter(|expected| *expected != stored) {
        return Err(Error::Moved { expected, stored });
    }
    if run.first < stored {
        return Err(Error::Overlap { first: run.first, next: run.next, stored });
    }
    query(
        "INSERT INTO consumer_offset (consumer, topic, part, next_offset, state) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (consumer, topic, part)
         DO UPDATE SET next_offset = excluded.next_offset, state = COALESCE(excluded.state, consumer_offset.state)",
    )
    .bind(&run.group)
    .bind(&run.topic)
    .bind(i64::from(run.partition))
    .bind(next)
    .bind(step.state.as_deref())
    .execute(tx)
    .await?;
    Ok(true)
}

/// Writes and removes parts of the consumer's state.
pub(crate) async fn keep(tx: &mut Connection, run: &Consumed, parts: &StateParts) -> Result<()> {
    for (name, value) in parts {
        let statement = if value.is_some() {
            "INSERT INTO consumer_state (consumer, topic, part, name, value) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (consumer, topic, part, name) DO UPDATE SET value = excluded.value"
        } else {
            "DELETE FROM consumer_state WHERE consumer = $1 AND topic = $2 AND part = $3 AND name = $4"
        };
        let mut change =
            query(statement).bind(&run.group).bind(&run.topic).bind(i64::from(run.partition)).bind(name);
        if let Some(value) = value {
            change = change.bind(value);
        }
        change.execute(&mut *tx).await?;
    }
    Ok(())
}
