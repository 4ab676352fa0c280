//! `ClickHouse`, a server or the embedded engine behind its HTTP interface: tables, migrations, queries.
//!
//! - [`run_store`] is the process `dongson store`: the engine (`libchdb.so`, loaded at run time) on one folder, behind
//!   `ClickHouse`'s HTTP interface; [`Supervisor`] keeps it running as a child of `dongson up`.
//! - [`StoreClient`] is the only way to the data, embedded or on a server, through the official `clickhouse` crate.
//!   It writes rows ([`EventRows`], signals, alerts) exactly once per token and reads within a [`Scope`].
//! - [`migrate`] makes the tables. Each has `organization_id`.
//! - [`install_engine`] unpacks the pinned engine package.

mod client;
mod engine;
mod error;
mod facts;
mod migrations;
mod package;
mod present;
mod query;
mod row;
mod server;
mod shim;
mod supervise;

pub use client::{MAX_INSERT_BYTES, MAX_INSERT_ROWS, Scope, StoreClient};
pub use error::{Result, StoreError};
pub use migrations::migrate;
pub use package::{ENGINE_FILE, ENGINE_INTEGRITY, ENGINE_PACKAGE, engine_path, install_engine};
pub use query::{
    AlertBucket, Around, Condition, Count, EventBucket, EventFilter, LISTED_CHARS, Listed, Listing,
    MAX_EVENTS, Period, Span, StoredAlert, StoredProof, TopValues,
};
pub use row::{EventRows, LoggedRow, REQUIRED, RetentionPolicy, Sealing};
pub use server::{StoreOptions, run_store};
pub use supervise::{ChildCommand, READER_KEY_VARIABLE, Supervisor, WRITER_KEY_VARIABLE};
