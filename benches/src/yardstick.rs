//! Yardsticks: what the store and the disk alone do with the same rows on the same machine, in the same run.

use std::fs::File;
use std::io::Write as _;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::report::rate;
use crate::system::System;

/// Rows of one insert.
const BLOCK: u64 = 10_000;
/// Most rows that are inserted: enough for a rate.
const MOST: u64 = 1_000_000;

/// What the parts alone take.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Yardstick {
    /// Rows in a second that the store takes when it is given the same rows, ready made, in blocks of 10,000.
    pub(crate) store_rows_per_second: f64,
    /// Records in a second when their text is written to a file and synced after each batch.
    pub(crate) disk_records_per_second: f64,
}

/// Measures both with what is in the store of `agency`: `rows` rows, whose records were `bytes` of text in batches of
/// `batch`. The system is idle meanwhile.
pub(crate) fn measure(system: &System, agency: &str, rows: u64, bytes: u64, batch: u64) -> Result<Yardstick> {
    let rows = rows.min(MOST);
    Ok(Yardstick {
        store_rows_per_second: store(system, agency, rows)?,
        disk_records_per_second: disk(system, rows, bytes / rows.max(1), batch)?,
    })
}

/// Inserts blocks of the rows that are there into an empty table of the same form, as often as needed.
fn store(system: &System, agency: &str, rows: u64) -> Result<f64> {
    let block = BLOCK.min(rows);
    ensure!(block > 0, "there are no rows to measure with");
    let select = format!(
        "SELECT * FROM dongson.events WHERE organization_id = '{agency}' LIMIT {block} FORMAT RowBinary"
    );
    let data = system.store(&select, b"")?;
    system.store("CREATE TABLE dongson.bench AS dongson.events", b"")?;
    let inserts = rows.div_ceil(block);
    let begin = Instant::now();
    for number in 0..inserts {
        // A token of its own: the same block is otherwise taken for a repetition.
        let insert = format!(
            "INSERT INTO dongson.bench SETTINGS async_insert = 0, insert_deduplication_token = 'bench-{number}' FORMAT RowBinary"
        );
        system.store(&insert, &data)?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let found = system.number("SELECT count() FROM dongson.bench")?;
    ensure!(found == inserts * block, "the store holds {found} of {} rows of the yardstick", inserts * block);
    system.store("DROP TABLE dongson.bench SYNC", b"")?;
    Ok(rate(found, seconds))
}

/// Writes and syncs as many bytes in as many pieces.
fn disk(system: &System, records: u64, record_bytes: u64, batch: u64) -> Result<f64> {
    let piece = vec![b'x'; usize::try_from(record_bytes.saturating_mul(batch)).unwrap_or(1 << 20)];
    let mut file = File::create(system.scratch("yardstick"))?;
    let begin = Instant::now();
    let pieces = records.div_ceil(batch.max(1));
    for _ in 0..pieces {
        file.write_all(&piece)?;
        file.sync_data()?;
    }
    Ok(rate(pieces * batch, begin.elapsed().as_secs_f64()))
}
