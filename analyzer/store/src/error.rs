//! Why the store says no.

use std::path::PathBuf;

/// Result of the store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why the store says no.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no engine at the path.
    #[error(
        "the store engine is not at {0:?}: run `deploy/fetch-engine` (or `deploy/fetch-engine --file PACKAGE.tgz` \
         without a network) and leave `[store] engine` out, or let `[store] engine` name a libchdb.so that is there"
    )]
    EngineMissing(PathBuf),
    /// The file is not the engine we know.
    #[error("the store engine at {0:?} cannot be used ({1}): run `deploy/fetch-engine` again")]
    EngineUnusable(PathBuf, String),
    /// The folder stayed locked.
    #[error("the folder {folder:?} could not be opened within {seconds} s: is another store running on it?")]
    FolderBusy {
        /// The data folder.
        folder: PathBuf,
        /// How long it was tried.
        seconds: u64,
    },
    /// The package is not the pinned one.
    #[error("{path:?} is not the pinned engine package: its SHA-512 is {found}, expected {expected}")]
    WrongPackage {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: String,
        /// What it should have.
        expected: String,
    },
    /// The package does not hold what it should.
    #[error("{0:?} holds no package/libchdb.so")]
    BadPackage(PathBuf),
    /// A file or folder could not be used.
    #[error("{path:?}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of authorities cannot be used.
    #[error("{path:?} names no authority that can be trusted: {why}")]
    Authority {
        /// The PEM file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The child process does not answer.
    #[error("the store does not answer: {0}")]
    NotReady(String),
    /// `ClickHouse` said no.
    #[error("the store refused: {0}")]
    ClickHouse(#[from] clickhouse::error::Error),
    /// A table was made by a newer version.
    #[error("the tables are of version {found}, this program knows {known}: start the newer program")]
    Newer {
        /// Highest migration in the store.
        found: u32,
        /// Highest migration here.
        known: u32,
    },
    /// What came back is not what was asked for.
    #[error("the store answered what cannot be read: {0}")]
    Unreadable(String),
    /// The insert holds an event that lacks a field each stored event has.
    #[error("event {id:?} has no {field}")]
    Incomplete {
        /// Its `event.id`, which may be missing itself.
        id: String,
        /// The missing field.
        field: &'static str,
    },
    /// One insert is longer than what a token protects.
    #[error("an insert of {rows} rows and {bytes} bytes is too large: cut it at fixed places")]
    InsertTooLarge {
        /// Its rows.
        rows: usize,
        /// Its bytes.
        bytes: usize,
    },
    /// A question that cannot be asked.
    #[error("{0}")]
    BadQuestion(String),
    /// A scope without any agency.
    #[error("no agency is given: nothing may be read")]
    EmptyScope,
}

impl StoreError {
    /// For `map_err` on file operations.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
