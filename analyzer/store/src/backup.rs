//! A copy of the tables in one file, and the tables out of it again.
//!
//! Each table is cloned first (its parts are linked, not copied), so that what is counted and what is written are the same rows
//! although others come meanwhile. The tables are cloned one after the other: the counts per minute may know rows of
//! the last moment that the events have not, or the other way round. What was told by tokens is not in the copy:
//! restore it together with a log (bus) that is empty, or one that begins after the copy.

use serde::{Deserialize, Serialize};

use crate::migrations::{Layout, SCOPED_TABLES};
use crate::shim::quote;
use crate::{Result, StoreClient, StoreError};

/// Where the clones stand for as long as a copy is written.
const CLONES: &str = "dongson_backup";
/// What else belongs to the copy: the views that count, and what was migrated.
const BESIDE: [&str; 3] = ["events_to_minutes", "alerts_to_minutes", "schema_migrations"];

/// What a table holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableContents {
    /// Its name in the database `dongson`.
    pub table: String,
    /// Rows; of a table that sums, after summing.
    pub rows: u64,
    /// Sum of the rows' `cityHash64`, modulo 2^64, as 16 hexadecimal digits: the same whatever the order.
    pub hash: String,
}

impl StoreClient {
    /// Writes a copy of all tables into the file `name` (its ending says how it is packed: `.tar.zst`) in the engine's folder for
    /// backups, and tells what is in it. Rows that come meanwhile may be in it or not.
    ///
    /// # Errors
    /// `BadQuestion` on a cluster, whose copies its servers make; what the engine says, such as a full disk.
    pub async fn back_up(&self, name: &str) -> Result<Vec<TableContents>> {
        if self.layout() != &Layout::Single {
            let words = "a cluster's tables are copied by its servers: BACKUP DATABASE dongson ON CLUSTER ... TO Disk(...)";
            return Err(StoreError::BadQuestion(words.to_owned()));
        }
        self.drop_clones().await?;
        let done = self.copy_clones(name).await;
        let dropped = self.drop_clones().await;
        let contents = done?;
        dropped.map(|()| contents)
    }

    async fn copy_clones(&self, name: &str) -> Result<Vec<TableContents>> {
        self.execute(&format!("CREATE DATABASE {CLONES} ENGINE = Atomic")).await?;
        let mut contents = Vec::new();
        let mut parts = Vec::new();
        for table in SCOPED_TABLES {
            self.execute(&format!("CREATE TABLE {CLONES}.{table} CLONE AS dongson.{table}")).await?;
            // Retention must not take rows between counting and copying.
            self.execute(&format!("SYSTEM STOP MERGES {CLONES}.{table}")).await?;
            contents.push(self.contents(CLONES, table).await?);
            parts.push(format!("TABLE {CLONES}.{table} AS dongson.{table}"));
        }
        parts.extend(BESIDE.map(|table| format!("TABLE dongson.{table}")));
        self.execute(&format!("BACKUP {} TO File({})", parts.join(", "), quote(name))).await?;
        Ok(contents)
    }

    async fn drop_clones(&self) -> Result<()> {
        self.execute(&format!("DROP DATABASE IF EXISTS {CLONES} SYNC")).await
    }

    /// Makes the tables out of the copy `name` and compares them with what was told when it was made. Then
    /// [`StoreClient::migrate`] brings them up to this version.
    ///
    /// # Errors
    /// `NotEmpty` when there are tables; `Differs` when a table is not what it was; what the engine says of the file.
    pub async fn restore(&self, name: &str, expected: &[TableContents]) -> Result<()> {
        let held = "SELECT count() FROM system.tables WHERE database = 'dongson'";
        if self.writer().query(held).fetch_one::<u64>().await? > 0 {
            return Err(StoreError::NotEmpty);
        }
        self.execute("CREATE DATABASE IF NOT EXISTS dongson ENGINE = Atomic").await?;
        // Rows that are past their retention are compared before they go.
        self.execute("SYSTEM STOP TTL MERGES").await?;
        let done = self.restore_and_compare(name, expected).await;
        self.execute("SYSTEM START TTL MERGES").await?;
        done
    }

    async fn restore_and_compare(&self, name: &str, expected: &[TableContents]) -> Result<()> {
        self.execute(&format!("RESTORE ALL FROM File({})", quote(name))).await?;
        for contents in expected {
            let known = SCOPED_TABLES.into_iter().find(|table| *table == contents.table);
            let table = known.ok_or_else(|| {
                StoreError::BadQuestion(format!(
                    "the copy names a table {:?}, which is none of ours",
                    contents.table
                ))
            })?;
            let found = self.contents("dongson", table).await?;
            if found != *contents {
                return Err(StoreError::Differs { expected: contents.clone(), found });
            }
        }
        Ok(())
    }

    async fn contents(&self, database: &str, table: &str) -> Result<TableContents> {
        // A table that sums may have summed more of its rows meanwhile.
        let last = if table.ends_with("_per_minute") { " FINAL" } else { "" };
        let sql = format!(
            "SELECT count(), lower(leftPad(hex(sum(cityHash64(tuple(*)))), 16, '0')) FROM {database}.{table}{last}"
        );
        let (rows, hash) = self.writer().query(&sql).fetch_one::<(u64, String)>().await?;
        Ok(TableContents { table: table.to_owned(), rows, hash })
    }

    async fn execute(&self, statement: &str) -> Result<()> {
        Ok(self.writer().query_raw(statement).execute().await?)
    }
}
