//! Yardsticks: what the store and the disk alone do with the same rows on the same machine, in the same run.

use std::fs::File;
use std::io::Write as _;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::report::rate;
use crate::system::System;

/// Rows of one insert.
const BLOCK: u64 = 40_000;
/// Rows in which filled columns are looked for.
const SAMPLE: u64 = 2_000;
/// Most rows that are inserted: enough for a rate.
const MOST: u64 = 1_000_000;

/// What the parts alone take.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Yardstick {
    /// Rows in a second that the store takes when it is given the same rows, ready made, in blocks of 40,000,
    /// as the product gives them.
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
    let columns = filled(system, agency)?;
    let select = format!(
        "SELECT {columns} FROM dongson.events WHERE organization_id = '{agency}' LIMIT {block} FORMAT Native"
    );
    let data = system.store(&select, b"")?;
    system.store("CREATE TABLE dongson.bench AS dongson.events", b"")?;
    let inserts = rows.div_ceil(block);
    let begin = Instant::now();
    for number in 0..inserts {
        // A token of its own: the same block is otherwise taken for a repetition.
        let insert = format!(
            "INSERT INTO dongson.bench ({columns}) SETTINGS async_insert = 0, materialize_skip_indexes_on_insert = 0, insert_deduplication_token = 'bench-{number}' FORMAT Native"
        );
        system.store(&insert, &data)?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let found = system.number("SELECT count() FROM dongson.bench")?;
    ensure!(found == inserts * block, "the store holds {found} of {} rows of the yardstick", inserts * block);
    system.store("DROP TABLE dongson.bench SYNC", b"")?;
    Ok(rate(found, seconds))
}

/// The columns in which something stands in some of the rows: the system inserts these alone too.
fn filled(system: &System, agency: &str) -> Result<String> {
    let sql = format!(
        "SELECT * FROM dongson.events WHERE organization_id = '{agency}' ORDER BY event_id LIMIT {SAMPLE} FORMAT TabSeparatedWithNames"
    );
    let table = String::from_utf8(system.store(&sql, b"")?)?;
    let columns = filled_columns(&table);
    ensure!(!columns.is_empty(), "no column of the events holds anything");
    Ok(columns.join(","))
}

/// The names of the columns of `table` (tab-separated, names first) that are not empty in every row.
fn filled_columns(table: &str) -> Vec<&str> {
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let mut filled = vec![false; names.len()];
    for line in lines {
        for (seen, cell) in filled.iter_mut().zip(line.split('\t')) {
            *seen |= !matches!(cell, "" | "\\N" | "[]" | "{}");
        }
    }
    names.into_iter().zip(filled).filter_map(|(name, filled)| filled.then_some(name)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_columns_are_left_out() {
        assert_eq!(filled_columns("a\tb\tc\td\n1\t\\N\t[]\t\n2\t\\N\t['x']\t\n"), ["a", "c"]);
        assert!(filled_columns("").is_empty());
    }
}
