//! Reads the files back into an empty database.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::table::{Table, tables};
use super::{ExportError, Exported, ExportedTable, file_of};
use crate::database::{
    Connection, Kind, QueryBuilder, Value, applied, migrate_by, query, query_scalar, versions,
};
use crate::{Place, Registry, Result};

/// Most rows of one statement, and most bytes of their lines, unless one row alone has more.
const ROWS: usize = 200;
const BYTES: usize = 4 << 20;

impl Registry {
    /// Makes the registry at `place` from the files that [`Registry::export`] wrote into `folder`, on either database, of
    /// this version or an older one; an older one's rows are brought up to date afterwards. Refused where there are rows
    /// already. All or nothing: what does not fit what was written ends it with the database still empty.
    pub async fn restore(place: impl Into<Place>, folder: &Path, exported: &Exported) -> Result<Self> {
        let place = place.into();
        let ours = versions();
        if let Some(unknown) = exported.schema.iter().find(|version| !ours.contains(version)) {
            return Err(ExportError::Unknown(*unknown).into());
        }
        let registry = Self::connect(&place).await?;
        let present = applied(&registry.writer).await?;
        if present.iter().any(|version| !exported.schema.contains(version)) {
            registry.refuse_rows(&place, &present).await?;
            return Err(ExportError::Older(place.to_string()).into());
        }
        migrate_by(&registry.writer, &exported.schema).await?;
        registry.refuse_rows(&place, &exported.schema).await?;
        let tables = tables(&exported.schema).await?;
        let mut tx = registry.write().await?;
        tx.defer_references().await?;
        for table in &tables {
            let wanted = exported.tables.iter().find(|one| one.name == table.name);
            let wanted = wanted.ok_or_else(|| ExportError::Tables(table.name.clone()))?;
            if table.seeds > 0 {
                query(sqlx::AssertSqlSafe(format!("DELETE FROM {}", table.name))).execute(&mut *tx).await?;
            }
            Reading::begin(table, folder)?.all(&mut tx, wanted).await?;
        }
        let strange = exported.tables.iter().find(|one| tables.iter().all(|table| table.name != one.name));
        if let Some(strange) = strange {
            return Err(ExportError::Tables(strange.name.clone()).into());
        }
        tx.commit().await?;
        migrate_by(&registry.writer, &ours).await?;
        Ok(registry)
    }

    async fn refuse_rows(&self, place: &Place, schema: &[i64]) -> Result<()> {
        for table in tables(schema).await? {
            let sql = format!("SELECT COUNT(*) FROM (SELECT 1 FROM {} LIMIT $1) AS found", table.name);
            let found: i64 =
                query_scalar(sqlx::AssertSqlSafe(sql)).bind(table.seeds + 1).fetch_one(&self.readers).await?;
            if found > table.seeds {
                return Err(ExportError::NotEmpty { place: place.to_string(), table: table.name }.into());
            }
        }
        Ok(())
    }
}

/// A file on its way into its table.
struct Reading<'a> {
    table: &'a Table,
    path: PathBuf,
    file: BufReader<File>,
    hash: Sha256,
    bytes: u64,
    lines: u64,
}

impl<'a> Reading<'a> {
    fn begin(table: &'a Table, folder: &Path) -> std::result::Result<Self, ExportError> {
        let path = folder.join(file_of(&table.name));
        let file = File::open(&path).map_err(|error| ExportError::File { path: path.clone(), error })?;
        Ok(Self { table, path, file: BufReader::new(file), hash: Sha256::new(), bytes: 0, lines: 0 })
    }

    async fn all(mut self, tx: &mut Connection, wanted: &ExportedTable) -> Result<()> {
        loop {
            let rows = self.some()?;
            if rows.is_empty() {
                break;
            }
            self.insert(tx, rows).await?;
        }
        let found = [
            ("rows", self.lines.to_string(), wanted.rows.to_string()),
            ("bytes", self.bytes.to_string(), wanted.bytes.to_string()),
            ("SHA-256", hex::encode(self.hash.finalize()), wanted.sha256.clone()),
        ];
        match found.into_iter().find(|(_, found, written)| found != written) {
            Some((what, found, written)) => {
                Err(ExportError::Altered { path: self.path, what, found, written }.into())
            }
            None => Ok(()),
        }
    }

    /// The next rows; none at the end.
    fn some(&mut self) -> std::result::Result<Vec<Vec<Value>>, ExportError> {
        let (mut rows, mut bytes, mut line) = (Vec::new(), 0, Vec::new());
        while rows.len() < ROWS && bytes < BYTES {
            line.clear();
            let read = self.file.read_until(b'\n', &mut line);
            let read = read.map_err(|error| ExportError::File { path: self.path.clone(), error })?;
            if read == 0 {
                break;
            }
            self.hash.update(&line);
            self.bytes += read as u64;
            self.lines += 1;
            bytes += read;
            let row: Vec<Value> =
                serde_json::from_slice(&line).map_err(|error| self.bad(error.to_string()))?;
            if row.len() != self.table.columns.len() {
                let (found, wanted) = (row.len(), self.table.columns.len());
                return Err(self.bad(format!("has {found} columns, not {wanted}")));
            }
            rows.push(row);
        }
        Ok(rows)
    }

    fn bad(&self, reason: String) -> ExportError {
        ExportError::Row { path: self.path.clone(), line: self.lines, reason }
    }

    async fn insert(&self, tx: &mut Connection, rows: Vec<Vec<Value>>) -> Result<()> {
        let mut query = QueryBuilder::new("INSERT INTO ");
        query.push(&self.table.name).push(" (").push(self.table.column_list()).push(") VALUES ");
        for (place, row) in rows.into_iter().enumerate() {
            query.push(if place == 0 { "(" } else { ", (" });
            let mut list = query.separated(", ");
            for (value, (name, kind)) in row.into_iter().zip(&self.table.columns) {
                match (kind, value) {
                    (Kind::Number, Value::Null) => list.push_bind(None::<i64>),
                    (Kind::Text, Value::Null) => list.push_bind(None::<&str>),
                    (Kind::Bytes, Value::Null) => list.push_bind(None::<&[u8]>),
                    (Kind::Number, Value::Number(number)) => list.push_bind(number),
                    (Kind::Text, Value::Text(text)) => list.push_bind(text),
                    (Kind::Bytes, Value::Bytes { bytes }) => {
                        let bytes = hex::decode(bytes);
                        list.push_bind(bytes.map_err(|error| self.bad(format!("{name}: {error}")))?)
                    }
                    _ => return Err(self.bad(format!("{name} is not of its kind")).into()),
                };
            }
            query.push(")");
        }
        query.build().execute(tx).await?;
        Ok(())
    }
}
