//! Writes the tables to files.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::table::{Table, tables};
use super::{ExportError, Exported, ExportedTable, file_of};
use crate::database::{Connection, Kind, versions};
use crate::{Registry, Result};

/// Counts and hashes what goes into a file.
struct Counted {
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    rows: u64,
}

impl Counted {
    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        for part in [line, b"\n"] {
            self.hash.update(part);
            self.bytes += part.len() as u64;
            self.file.write_all(part)?;
        }
        self.rows += 1;
        Ok(())
    }
}

impl Registry {
    /// Writes every row of one moment into `folder`, which must be there and hold none of the files yet; people may go on
    /// working meanwhile. Passwords' hashes and the key that sensors trust are among it: the files are readable by their owner
    /// only, and synced. Memory: one row.
    pub async fn export(&self, folder: &Path) -> Result<Exported> {
        let schema = versions();
        let mut tx = self.readers.begin().await?;
        let mut written = Vec::new();
        for table in tables(&schema).await? {
            written.push(write(&mut tx, &table, folder).await?);
        }
        tx.rollback().await?;
        Ok(Exported { schema, tables: written })
    }
}

async fn write(tx: &mut Connection, table: &Table, folder: &Path) -> Result<ExportedTable> {
    let path = folder.join(file_of(&table.name));
    let failed = |error| ExportError::File { path: path.clone(), error };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
    let mut out = Counted { file: BufWriter::new(file), hash: Sha256::new(), bytes: 0, rows: 0 };
    let kinds: Vec<Kind> = table.columns.iter().map(|(_, kind)| *kind).collect();
    let key = table.key.join(", ");
    let sql = format!("SELECT {} FROM {} ORDER BY {key}", table.column_list(), table.name);
    tx.rows(sql, &kinds, |row| {
        let line = serde_json::to_vec(&row)?;
        out.line(&line).map_err(failed)?;
        Ok(())
    })
    .await?;
    out.file.flush().and_then(|()| out.file.get_ref().sync_all()).map_err(failed)?;
    Ok(ExportedTable {
        name: table.name.clone(),
        rows: out.rows,
        bytes: out.bytes,
        sha256: hex::encode(out.hash.finalize()),
    })
}
