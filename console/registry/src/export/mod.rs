//! The registry as files: a backup, and the way from a file on one machine to a server.
//!
//! One file for each table, one line for each row: a JSON array of its columns in the order of the schema, a number, a text,
//! `null`, or `{"bytes": "<hexadecimal>"}`. Rows are sorted by their primary key and of one moment, so the same registry
//! gives the same bytes, whichever database it is on.

mod read;
mod table;
mod write;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What [`crate::Registry::export`] wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exported {
    /// The migrations that its schema is made by.
    pub schema: Vec<i64>,
    /// A file for each table.
    pub tables: Vec<ExportedTable>,
}

/// A file of [`Exported`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedTable {
    /// The table; the file is `TABLE.ndjson`.
    pub name: String,
    /// Rows, which are lines.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

/// Why a registry cannot be written to files or read from them.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A file cannot be written or read.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A file is not the one that was written.
    #[error("{} was altered or cut: {what} is {found}, was {written}", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
        /// `rows`, `bytes` or `SHA-256`.
        what: &'static str,
        /// What it has.
        found: String,
        /// What the manifest says.
        written: String,
    },
    /// A line is no row of its table.
    #[error("{} line {line}: {reason}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The database holds something already.
    #[error("the registry at {place} is not empty: table {table} has rows; restore into a new one")]
    NotEmpty {
        /// Where it is.
        place: String,
        /// The first table that has rows.
        table: String,
    },
    /// The files are of a schema that this program does not know.
    #[error(
        "the files have schema {0}, which this version does not know: use the version that wrote them, or a newer one"
    )]
    Unknown(i64),
    /// The files' tables are not those of their schema.
    #[error("table {0:?} is missing among the files, or is none of its schema")]
    Tables(String),
    /// The database's schema is newer than that of the files.
    #[error(
        "the registry at {0} has a newer schema than the files: restore into a database that has no tables yet"
    )]
    Older(String),
}

/// The name of a table's file.
fn file_of(table: &str) -> String {
    format!("{table}.ndjson")
}
