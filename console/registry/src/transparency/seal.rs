//! Segments of stored events and batches of sensors: one entry for many.

use crate::database::{Connection, query, query_as, query_scalar};
use dongson_event::batch::{Class, Place};
use dongson_event::transparency::{self, Entry, Frontier, SegmentId, leaf_hash};

use super::append;
use crate::{Error, Millis, Registry, Result};

/// How often batches of sensors are put together.
const BATCHES_EVERY: Millis = 60_000;

/// A segment that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Where it begins.
    pub id: SegmentId,
    /// The offset after its last record.
    pub next: u64,
    /// True when its hashes were made from rows that were read back.
    pub read_back: bool,
    /// Its rows.
    pub classes: Vec<transparency::Class>,
}

#[derive(sqlx::FromRow)]
struct BatchRow {
    sensor: String,
    epoch: i64,
    sequence: i64,
    class: String,
    events: i64,
    root: Vec<u8>,
}

impl BatchRow {
    /// The leaf of a batch: what its sensor signed.
    fn leaf(&self) -> dongson_event::batch::Hash {
        let root = self.root.as_slice().try_into().unwrap_or_default();
        let place = Place {
            sensor: &self.sensor,
            epoch: self.epoch.cast_unsigned(),
            sequence: self.sequence.cast_unsigned(),
            class: Class::parse(&self.class).unwrap_or(Class::File),
            events: self.events.cast_unsigned(),
        };
        leaf_hash(place.statement(&root).as_bytes())
    }
}

/// How many batches lie under entry `leaf` (none: under no entry yet), and their tree.
pub(super) async fn batches_of(tx: &mut Connection, leaf: Option<i64>) -> Result<Frontier> {
    let rows: Vec<BatchRow> = if let Some(leaf) = leaf {
        query_as(
            "SELECT sensor, epoch, sequence, class, events, root FROM sensor_batch WHERE leaf = $1
             ORDER BY sensor, epoch, sequence",
        )
        .bind(leaf)
        .fetch_all(tx)
        .await?
    } else {
        query_as(
            "SELECT sensor, epoch, sequence, class, events, root FROM sensor_batch WHERE leaf IS NULL
             ORDER BY sensor, epoch, sequence",
        )
        .fetch_all(tx)
        .await?
    };
    Ok(rows.iter().map(BatchRow::leaf).collect())
}

/// Logs the batches that came since it was last done, once a minute.
pub(crate) async fn seal_batches(tx: &mut Connection, at: Millis) -> Result<()> {
    let due: Option<i64> = query_scalar(
        "UPDATE transparency_state SET batches_at = $1 WHERE id = 1 AND ABS($1 - batches_at) >= $2 RETURNING size",
    )
    .bind(at)
    .bind(BATCHES_EVERY)
    .fetch_optional(&mut *tx)
    .await?;
    if due.is_none() {
        return Ok(());
    }
    let tree = batches_of(tx, None).await?;
    if tree.size() == 0 {
        return Ok(());
    }
    let number: i64 = crate::alert::next_number(tx, "transparency.batches").await?;
    let root = hex::encode(tree.root());
    let entry = Entry::Batches { at, name: number.to_string(), batches: tree.size(), root };
    let leaf = append(tx, &[entry]).await?;
    query("UPDATE sensor_batch SET leaf = $1 WHERE leaf IS NULL")
        .bind(super::stored(leaf)?)
        .execute(tx)
        .await?;
    Ok(())
}

impl Registry {
    /// The offset from which on a partition of the bus is not sealed; `None` when nothing of it was.
    pub async fn sealed_up_to(&self, topic: &str, partition: u32) -> Result<Option<u64>> {
        let next: Option<i64> =
            query_scalar("SELECT next_offset FROM transparency_sealed WHERE topic = $1 AND part = $2")
                .bind(topic)
                .bind(i64::from(partition))
                .fetch_optional(&self.readers)
                .await?;
        Ok(next.map(i64::cast_unsigned))
    }

    /// Logs segments, each beginning where the one before it ended; those that another process has logged are left out.
    /// How many were logged.
    pub async fn seal_segments(&self, segments: &[Sealed], at: Millis) -> Result<usize> {
        let mut tx = self.write().await?;
        let mut entries = Vec::new();
        for Sealed { id, next, read_back, classes } in segments {
            let (first, next) = (number(id.first())?, number(*next)?);
            let moved = query(
                "INSERT INTO transparency_sealed (topic, part, next_offset) VALUES ($1, $2, $4)
                 ON CONFLICT (topic, part) DO UPDATE SET next_offset = excluded.next_offset
                 WHERE transparency_sealed.next_offset <= $3",
            )
            .bind(id.topic())
            .bind(i64::from(id.partition()))
            .bind(first)
            .bind(next)
            .execute(&mut *tx)
            .await?;
            if moved.rows_affected() > 0 && !classes.is_empty() {
                let name = format!("{}-{}", id.name(), next - 1);
                let (read_back, classes) = (*read_back, classes.clone());
                entries.push(Entry::Segment { at, name, read_back, classes });
            }
        }
        append(&mut tx, &entries).await?;
        tx.commit().await?;
        Ok(entries.len())
    }

    /// Logs that the store may delete rows of this age from now on; each class and day once.
    pub async fn log_retention(&self, days: u16, before: i64, at: Millis) -> Result<()> {
        let name = format!("{days}/{before}");
        let mut tx = self.write().await?;
        let known: Option<i64> =
            query_scalar("SELECT leaf FROM transparency_entry WHERE kind = 'retention' AND name = $1")
                .bind(&name)
                .fetch_optional(&mut *tx)
                .await?;
        if known.is_none() {
            append(&mut tx, &[Entry::Retention { at, name, days, before }]).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

fn number(offset: u64) -> Result<i64> {
    i64::try_from(offset).map_err(|_| Error::Range("offset"))
}
