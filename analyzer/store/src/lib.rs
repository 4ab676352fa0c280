//! `ClickHouse`, a server or the embedded engine behind its HTTP interface: tables, migrations, queries.
//!
//! - [`run_store`] is the process `dongson store`: the engine (`libchdb.so`, loaded at run time) on one folder, behind
//!   `ClickHouse`'s HTTP interface; [`Supervisor`] keeps it running as a child of `dongson up`.
//! - [`StoreClient`] is the only way to the data, embedded or on a server, through the official `clickhouse` crate.
//!   It writes rows ([`EventRows`], signals, alerts) exactly once per token and reads within a [`Scope`].
//! - [`StoreClient::migrate`] makes the tables, on one server or on a cluster ([`Layout`]). Each has `organization_id`.
//!   [`grants()`] are the accounts of a server, with least rights.
//! - [`install_engine`] unpacks the pinned engine package.

mod client;
mod connect;
mod engine;
mod error;
mod facts;
mod grants;
mod migrations;
mod package;
mod present;
mod query;
mod row;
mod server;
mod shim;
mod supervise;

pub use client::{MAX_INSERT_BYTES, MAX_INSERT_ROWS, Scope, StoreClient};
pub use connect::{Account, ServerOptions};
pub use error::{Result, StoreError};
pub use grants::grants;
pub use migrations::{Layout, schema};
pub use package::{ENGINE_FILE, ENGINE_INTEGRITY, ENGINE_PACKAGE, engine_path, install_engine};
pub use query::{
    AlertBucket, Around, Condition, Count, EventBucket, EventFilter, LISTED_CHARS, Listed, Listing,
    MAX_EVENTS, Period, Span, StoredAlert, StoredProof, TopValues,
};
pub use row::{EventRows, LoggedRow, REQUIRED, RetentionPolicy, Sealing};
pub use server::{BACKUPS, StoreOptions, run_store};
pub use shim::SCOPE_SETTING;
pub use supervise::{ChildCommand, READER_KEY_VARIABLE, Supervisor, WRITER_KEY_VARIABLE};
