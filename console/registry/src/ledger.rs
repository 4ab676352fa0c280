//! The account of each sensor: which batches came, which the sensor says it has and which are gone, so that the centre can
//! say "nothing is missing", or exactly what is.
//!
//! A sequence is received, gone (shed, refused, or lost to the sensor's disk: its events are counted by class), held (it
//! waits at the sensor), or unaccounted. What was received counts as received whatever else is said of it. Sequences
//! after the sensor's newest statement are not judged. Bounded: [`EPOCHS`] spools of a sensor, [`RANGES`] runs of
//! received sequences of a spool, [`ROOTS`] roots; the oldest go first.

use std::collections::BTreeMap;

use dongson_event::batch::{Class, Hash};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::audit::{self, Deed};
use crate::database::{Connection, JsonText, QueryBuilder, query, query_as, query_scalar};
use crate::ledger_runs::{Run, Runs};
use crate::{Change, Error, Millis, Registry, Result, Scope, transparency};

/// How many spools of a sensor are remembered.
const EPOCHS: i64 = 16;
/// How many runs of received sequences of a spool are remembered; a batch that would make one more is refused.
const RANGES: i64 = 100_000;
/// How many of the newest sequences of a spool keep their roots.
const ROOTS: i64 = 50_000;
/// How many runs an account lists of each kind.
const LISTED: usize = 1_000;
/// Most gone runs in one statement.
const MAX_GONE: usize = 10_000;

/// A batch that the bus has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The sensor's id.
    pub sensor: String,
    /// Which spool of it.
    pub epoch: u64,
    /// Which batch of that.
    pub sequence: u64,
    /// How urgent it was.
    pub class: Class,
    /// How many events it had.
    pub events: u64,
    /// When it came.
    pub at: Millis,
    /// What was signed; `None` from sensors of a version that did not sign.
    pub signed: Option<Signed>,
}

/// The root of a batch and who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The Merkle tree hash of its lines.
    pub root: Hash,
    /// The signature over [`dongson_event::batch::Place::statement`].
    pub signature: Vec<u8>,
    /// SHA-256 of the certificate whose key signed, hexadecimal.
    pub certificate: String,
}

/// What a sensor says about its spool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stated {
    /// Which spool.
    pub epoch: u64,
    /// The highest sequence that was given to a batch.
    pub assigned: u64,
    /// What waits at the sensor.
    pub held: Held,
    /// Events of gone batches that found no place in a list, by class.
    #[serde(default)]
    pub unlisted: BTreeMap<String, u64>,
    /// Events lost since the spool was made, by dataset.
    #[serde(default)]
    pub lost: BTreeMap<String, u64>,
    /// Batches that will never come and that were not told of before.
    #[serde(default, skip_serializing)]
    pub gone: Vec<Gone>,
}

/// What waits at a sensor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Runs of sequences (first, last), the lowest first: all, or the first so many.
    #[schema(value_type = Vec<Vec<u64>>)]
    pub runs: Vec<Run>,
    /// How many batches in all.
    pub batches: u64,
    /// Events by class.
    pub events: BTreeMap<String, u64>,
}

/// A run of batches that will never come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::FromRow)]
#[serde(deny_unknown_fields)]
pub struct Gone {
    /// Sequence of the first.
    #[sqlx(try_from = "i64")]
    pub first: u64,
    /// Sequence of the last.
    #[sqlx(try_from = "i64")]
    pub last: u64,
    /// Their class.
    pub class: String,
    /// `shed` (the sensor's quota), `refused` (by the collector), `disk` (the sensor's disk did not take it).
    pub why: String,
    /// Events in them.
    #[sqlx(try_from = "i64")]
    pub events: u64,
}

/// One line about a spool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpoolSummary {
    /// The highest sequence that was given to a batch.
    pub assigned: u64,
    /// Batches of these that came.
    pub received: u64,
    /// Batches that wait at the sensor.
    pub held: u64,
    /// Batches that will never come.
    pub gone: u64,
    /// Events that will never come, by class.
    pub gone_events: BTreeMap<String, u64>,
    /// Sequences of which nobody knows.
    pub unaccounted: u64,
}

impl SpoolSummary {
    /// The sum over several spools.
    pub fn of_all(summaries: Vec<Self>) -> Self {
        let mut sum = Self::default();
        for one in summaries {
            let Self { assigned, received, held, gone, gone_events, unaccounted } = one;
            for (total, more) in [
                (&mut sum.assigned, assigned),
                (&mut sum.received, received),
                (&mut sum.held, held),
                (&mut sum.gone, gone),
                (&mut sum.unaccounted, unaccounted),
            ] {
                *total = total.saturating_add(more);
            }
            for (class, events) in gone_events {
                let total = sum.gone_events.entry(class).or_default();
                *total = total.saturating_add(events);
            }
        }
        sum
    }
}

/// The account of one spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SpoolAccount {
    /// Which spool: a number of 64 bits, as text.
    pub epoch: String,
    /// When its first batch or statement came.
    pub first_at: Millis,
    /// When its last one came.
    pub last_at: Millis,
    /// When the sensor last stated how it is with its spool; without it nothing is known of what waits or is gone.
    pub stated_at: Option<Millis>,
    /// True when the sensor's statement leaves no sequence open: each one came, waits there, or is known to be gone.
    pub accounted: bool,
    /// True when nothing is gone and nothing unaccounted.
    pub nothing_missing: bool,
    /// The numbers.
    pub summary: SpoolSummary,
    /// Events that came, by class.
    pub received_events: BTreeMap<String, u64>,
    /// Batches that came without a signature, from a sensor of a former version.
    pub unsigned_batches: u64,
    /// Runs of sequences that came (first, last); at most a thousand are listed.
    #[schema(value_type = Vec<Vec<u64>>)]
    pub received: Vec<Run>,
    /// What waits at the sensor.
    pub held: Held,
    /// What will never come; at most a thousand runs are listed.
    pub gone: Vec<Gone>,
    /// Runs of sequences of which nobody knows; at most a thousand are listed.
    #[schema(value_type = Vec<Vec<u64>>)]
    pub unaccounted: Vec<Run>,
    /// Events lost since the spool was made, by dataset.
    pub lost: BTreeMap<String, u64>,
}

/// A row of `sensor_epoch`.
#[derive(Debug, sqlx::FromRow)]
struct EpochRow {
    epoch: i64,
    first_at: Millis,
    last_at: Millis,
    unsigned_batches: i64,
    #[sqlx(try_from = "JsonText")]
    received: BTreeMap<String, u64>,
    #[sqlx(try_from = "JsonText")]
    stated: Option<Stated>,
    stated_at: Option<Millis>,
}

impl Registry {
    /// The root under which a batch was received; `None` when it was not, or without one, or too long ago.
    pub async fn batch_root(&self, sensor: &str, epoch: u64, sequence: u64) -> Result<Option<Vec<u8>>> {
        let root =
            query_scalar("SELECT root FROM sensor_batch WHERE sensor = $1 AND epoch = $2 AND sequence = $3")
                .bind(sensor)
                .bind(epoch.cast_signed())
                .bind(number(sequence)?)
                .fetch_optional(&self.readers)
                .await?;
        Ok(root)
    }

    /// Notes batches in one transaction; for each, whether it had been noted before.
    pub async fn note_batches(&self, batches: &[Received]) -> Result<Vec<bool>> {
        let mut tx = self.write().await?;
        let mut known = Vec::with_capacity(batches.len());
        for batch in batches {
            known.push(note(&mut tx, batch).await?);
        }
        if let Some(newest) = batches.iter().map(|batch| batch.at).max() {
            transparency::seal_batches(&mut tx, newest).await?;
        }
        tx.commit().await?;
        Ok(known)
    }

    /// Keeps what a sensor says about its spool.
    pub async fn state_account(&self, sensor: &str, stated: &Stated, at: Millis) -> Result<SpoolSummary> {
        if stated.gone.len() > MAX_GONE {
            return Err(Error::Invalid { field: "gone", reason: "has more than 10000 runs" });
        }
        let mut tx = self.write().await?;
        enter_epoch(&mut tx, sensor, stated.epoch, at).await?;
        for gone in &stated.gone {
            note_gone(&mut tx, sensor, stated.epoch, gone).await?;
        }
        let account = account_of(&mut tx, sensor, stated).await?;
        query(
            "UPDATE sensor_epoch SET stated = $3, stated_at = $4, summary = $5, last_at = CASE WHEN last_at > $4 THEN last_at ELSE $4 END
             WHERE sensor = $1 AND epoch = $2",
        )
        .bind(sensor)
        .bind(stated.epoch.cast_signed())
        .bind(serde_json::to_string(stated)?)
        .bind(at)
        .bind(serde_json::to_string(&account.summary)?)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(account.summary)
    }

    /// The accounts of a sensor's spools, the newest first.
    pub async fn sensor_accounts(&self, scope: &Scope, sensor: &str) -> Result<Vec<SpoolAccount>> {
        self.sensor(scope, sensor).await?;
        // One transaction: what is received, gone and stated is of one moment.
        let mut tx = self.readers.begin().await?;
        let rows: Vec<EpochRow> =
            query_as("SELECT * FROM sensor_epoch WHERE sensor = $1 ORDER BY last_at DESC")
                .bind(sensor)
                .fetch_all(&mut *tx)
                .await?;
        let mut accounts = Vec::new();
        for row in rows {
            accounts.push(account(&mut tx, sensor, row).await?);
        }
        Ok(accounts)
    }

    /// The newest words about each spool of the sensors of a scope, by sensor.
    pub async fn account_summaries(&self, scope: &Scope) -> Result<BTreeMap<String, Vec<SpoolSummary>>> {
        let mut query = QueryBuilder::new(
            "SELECT sensor_epoch.sensor, sensor_epoch.summary FROM sensor_epoch
             JOIN sensor ON sensor.id = sensor_epoch.sensor WHERE sensor_epoch.summary IS NOT NULL",
        );
        scope.restrict(&mut query, "sensor.organization");
        let rows: Vec<(String, String)> = query.build_query_as().fetch_all(&self.readers).await?;
        let mut found: BTreeMap<String, Vec<SpoolSummary>> = BTreeMap::new();
        for (sensor, summary) in rows {
            found.entry(sensor).or_default().push(serde_json::from_str(&summary)?);
        }
        Ok(found)
    }

    /// The newest words about all spools of one sensor; `None` when it has stated nothing. The caller has checked the scope.
    pub async fn account_summary(&self, sensor: &str) -> Result<Option<SpoolSummary>> {
        let rows: Vec<String> =
            query_scalar("SELECT summary FROM sensor_epoch WHERE sensor = $1 AND summary IS NOT NULL")
                .bind(sensor)
                .fetch_all(&self.readers)
                .await?;
        let stated: Vec<SpoolSummary> = rows
            .iter()
            .map(|summary| serde_json::from_str(summary))
            .collect::<std::result::Result<_, _>>()?;
        Ok((!stated.is_empty()).then(|| SpoolSummary::of_all(stated)))
    }

    /// Writes into the audit that a sensor's batch was refused.
    pub async fn refuse_batch(
        &self,
        change: &Change,
        sensor: &crate::Sensor,
        (epoch, sequence): (u64, u64),
        reason: &str,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        let deed = Deed {
            action: "refuse",
            kind: "sensor",
            object: &sensor.id,
            organization: Some(&sensor.organization),
            before: None,
            after: Some(serde_json::json!({
                "epoch": epoch.to_string(), "sequence": sequence, "reason": reason,
            })),
        };
        audit::record(&mut tx, change, deed).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn number(count: u64) -> Result<i64> {
    i64::try_from(count).map_err(|_| Error::Range("sequence"))
}

/// Makes the row of a spool; the oldest spools beyond [`EPOCHS`] are forgotten.
async fn enter_epoch(tx: &mut Connection, sensor: &str, epoch: u64, at: Millis) -> Result<()> {
    let made = query(
        "INSERT INTO sensor_epoch (sensor, epoch, first_at, last_at, batches, unsigned_batches, received)
         VALUES ($1, $2, $3, $3, 0, 0, '{}') ON CONFLICT DO NOTHING",
    )
    .bind(sensor)
    .bind(epoch.cast_signed())
    .bind(at)
    .execute(&mut *tx)
    .await?;
    if made.rows_affected() == 0 {
        return Ok(());
    }
    let old: Vec<i64> = query_scalar(
        "SELECT epoch FROM sensor_epoch WHERE sensor = $1 ORDER BY last_at DESC, first_at DESC LIMIT 9223372036854775807 OFFSET $2",
    )
    .bind(sensor)
    .bind(EPOCHS)
    .fetch_all(&mut *tx)
    .await?;
    for old in old {
        for statement in [
            "DELETE FROM sensor_batch WHERE sensor = $1 AND epoch = $2",
            "DELETE FROM sensor_range WHERE sensor = $1 AND epoch = $2",
            "DELETE FROM sensor_gone WHERE sensor = $1 AND epoch = $2",
            "DELETE FROM sensor_epoch WHERE sensor = $1 AND epoch = $2",
        ] {
            query(statement).bind(sensor).bind(old).execute(&mut *tx).await?;
        }
    }
    Ok(())
}

/// Notes one batch; true when it had been noted before.
async fn note(tx: &mut Connection, batch: &Received) -> Result<bool> {
    let (sensor, epoch, sequence) = (&batch.sensor, batch.epoch.cast_signed(), number(batch.sequence)?);
    enter_epoch(tx, sensor, batch.epoch, batch.at).await?;
    if !note_sequence(tx, sensor, epoch, sequence).await? {
        return Ok(true);
    }
    let received: String = query_scalar("SELECT received FROM sensor_epoch WHERE sensor = $1 AND epoch = $2")
        .bind(sensor)
        .bind(epoch)
        .fetch_one(&mut *tx)
        .await?;
    let mut received: BTreeMap<String, u64> = serde_json::from_str(&received)?;
    let count = received.entry(batch.class.as_str().to_owned()).or_default();
    *count = count.saturating_add(batch.events);
    query(
        "UPDATE sensor_epoch SET received = $3, last_at = CASE WHEN last_at > $4 THEN last_at ELSE $4 END, batches = batches + 1,
         unsigned_batches = unsigned_batches + $5 WHERE sensor = $1 AND epoch = $2",
    )
    .bind(sensor)
    .bind(epoch)
    .bind(serde_json::to_string(&received)?)
    .bind(batch.at)
    .bind(i64::from(batch.signed.is_none()))
    .execute(&mut *tx)
    .await?;
    let Some(signed) = &batch.signed else { return Ok(false) };
    query(
        "INSERT INTO sensor_batch (sensor, epoch, sequence, class, events, received_at, root, signature, certificate)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (sensor, epoch, sequence) DO UPDATE SET class = excluded.class, events = excluded.events,
         received_at = excluded.received_at, root = excluded.root, signature = excluded.signature,
         certificate = excluded.certificate",
    )
    .bind(sensor)
    .bind(epoch)
    .bind(sequence)
    .bind(batch.class.as_str())
    .bind(i64::try_from(batch.events).map_err(|_| Error::Range("events"))?)
    .bind(batch.at)
    .bind(&signed.root[..])
    .bind(&signed.signature)
    .bind(&signed.certificate)
    .execute(&mut *tx)
    .await?;
    if sequence % 512 == 0 {
        query("DELETE FROM sensor_batch WHERE sensor = $1 AND epoch = $2 AND sequence <= $3")
            .bind(sensor)
            .bind(epoch)
            .bind(sequence - ROOTS)
            .execute(tx)
            .await?;
    }
    Ok(false)
}

/// Puts a sequence into the runs of its spool; false when it was there.
async fn note_sequence(tx: &mut Connection, sensor: &str, epoch: i64, sequence: i64) -> Result<bool> {
    let before: Option<(i64, i64)> = query_as(
        "SELECT first, last FROM sensor_range WHERE sensor = $1 AND epoch = $2 AND first <= $3
         ORDER BY first DESC LIMIT 1",
    )
    .bind(sensor)
    .bind(epoch)
    .bind(sequence)
    .fetch_optional(&mut *tx)
    .await?;
    if before.is_some_and(|(_, last)| last >= sequence) {
        return Ok(false);
    }
    let after: Option<i64> =
        query_scalar("SELECT last FROM sensor_range WHERE sensor = $1 AND epoch = $2 AND first = $3")
            .bind(sensor)
            .bind(epoch)
            .bind(sequence.saturating_add(1))
            .fetch_optional(&mut *tx)
            .await?;
    if after.is_some() {
        query("DELETE FROM sensor_range WHERE sensor = $1 AND epoch = $2 AND first = $3")
            .bind(sensor)
            .bind(epoch)
            .bind(sequence + 1)
            .execute(&mut *tx)
            .await?;
    }
    let last = after.unwrap_or(sequence);
    if let Some((first, _)) = before.filter(|(_, last)| last + 1 == sequence) {
        query("UPDATE sensor_range SET last = $4 WHERE sensor = $1 AND epoch = $2 AND first = $3")
            .bind(sensor)
            .bind(epoch)
            .bind(first)
            .bind(last)
            .execute(tx)
            .await?;
        return Ok(true);
    }
    let ranges: i64 = query_scalar("SELECT COUNT(*) FROM sensor_range WHERE sensor = $1 AND epoch = $2")
        .bind(sensor)
        .bind(epoch)
        .fetch_one(&mut *tx)
        .await?;
    if ranges >= RANGES {
        return Err(Error::Refused { what: "spool", reason: "has too many gaps to be accounted for" });
    }
    query("INSERT INTO sensor_range VALUES ($1, $2, $3, $4)")
        .bind(sensor)
        .bind(epoch)
        .bind(sequence)
        .bind(last)
        .execute(tx)
        .await?;
    Ok(true)
}

/// Keeps a run of gone batches in the place of those inside it: a run that has grown is told again whole.
async fn note_gone(tx: &mut Connection, sensor: &str, epoch: u64, gone: &Gone) -> Result<()> {
    let (first, last) = (number(gone.first)?, number(gone.last)?);
    if last < first {
        return Err(Error::Invalid { field: "gone", reason: "has a run whose last is before its first" });
    }
    if Class::parse(&gone.class).is_none() || !["shed", "refused", "disk"].contains(&gone.why.as_str()) {
        return Err(Error::Invalid { field: "gone", reason: "has a class or reason that is not known" });
    }
    query("DELETE FROM sensor_gone WHERE sensor = $1 AND epoch = $2 AND first >= $3 AND last <= $4")
        .bind(sensor)
        .bind(epoch.cast_signed())
        .bind(first)
        .bind(last)
        .execute(&mut *tx)
        .await?;
    let runs: i64 = query_scalar("SELECT COUNT(*) FROM sensor_gone WHERE sensor = $1 AND epoch = $2")
        .bind(sensor)
        .bind(epoch.cast_signed())
        .fetch_one(&mut *tx)
        .await?;
    if runs >= RANGES {
        return Err(Error::Refused { what: "spool", reason: "has too many gone runs to be accounted for" });
    }
    query(
        "INSERT INTO sensor_gone VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (sensor, epoch, first) DO UPDATE SET last = excluded.last, class = excluded.class,
         why = excluded.why, events = excluded.events",
    )
    .bind(sensor)
    .bind(epoch.cast_signed())
    .bind(first)
    .bind(last)
    .bind(&gone.class)
    .bind(&gone.why)
    .bind(number(gone.events)?)
    .execute(tx)
    .await?;
    Ok(())
}

/// What is known of a spool beside its row.
struct Judged {
    summary: SpoolSummary,
    received: Runs,
    gone: Vec<Gone>,
    unaccounted: Runs,
}

/// Compares what came with what the sensor states.
async fn account_of(tx: &mut Connection, sensor: &str, stated: &Stated) -> Result<Judged> {
    let epoch = stated.epoch.cast_signed();
    let received: Vec<(i64, i64)> =
        query_as("SELECT first, last FROM sensor_range WHERE sensor = $1 AND epoch = $2 ORDER BY first")
            .bind(sensor)
            .bind(epoch)
            .fetch_all(&mut *tx)
            .await?;
    let received: Runs =
        received.into_iter().map(|(first, last)| (first.cast_unsigned(), last.cast_unsigned())).collect();
    let gone: Vec<Gone> =
        query_as("SELECT * FROM sensor_gone WHERE sensor = $1 AND epoch = $2 ORDER BY first")
            .bind(sensor)
            .bind(epoch)
            .fetch_all(&mut *tx)
            .await?;
    let assigned: Runs = (stated.assigned > 0).then_some((1, stated.assigned)).into_iter().collect();
    let lost: Runs = gone.iter().map(|run| (run.first, run.last)).collect();
    let missing = assigned.without(&received);
    let open = missing.without(&lost);
    let mut held: Runs = stated.held.runs.iter().copied().collect();
    if held.count() < stated.held.batches
        && let Some(listed) = held.last()
    {
        // The sensor lists the lowest only: after them it holds what did not come.
        held = held.with((listed, stated.assigned));
    }
    let unaccounted = open.without(&held);
    let mut gone_events = stated.unlisted.clone();
    for run in &gone {
        let count = gone_events.entry(run.class.clone()).or_default();
        *count = count.saturating_add(run.events);
    }
    let summary = SpoolSummary {
        assigned: stated.assigned,
        received: assigned.count() - missing.count(),
        held: open.count() - unaccounted.count(),
        gone: missing.count() - open.count(),
        gone_events,
        unaccounted: unaccounted.count(),
    };
    Ok(Judged { summary, received, gone, unaccounted })
}

async fn account(tx: &mut Connection, sensor: &str, row: EpochRow) -> Result<SpoolAccount> {
    let epoch = row.epoch.cast_unsigned();
    let stated = row.stated.unwrap_or_else(|| Stated { epoch, ..Stated::default() });
    let Judged { summary, received, mut gone, unaccounted } = account_of(tx, sensor, &stated).await?;
    gone.truncate(LISTED);
    let accounted = row.stated_at.is_some() && summary.unaccounted == 0;
    Ok(SpoolAccount {
        epoch: epoch.to_string(),
        first_at: row.first_at,
        last_at: row.last_at,
        stated_at: row.stated_at,
        accounted,
        nothing_missing: accounted
            && summary.gone == 0
            && summary.gone_events.values().all(|events| *events == 0),
        summary,
        received_events: row.received,
        unsigned_batches: row.unsigned_batches.cast_unsigned(),
        received: received.first(LISTED),
        held: stated.held,
        gone,
        unaccounted: unaccounted.first(LISTED),
        lost: stated.lost,
    })
}
