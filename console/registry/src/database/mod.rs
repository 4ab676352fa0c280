//! The database under the registry: an `SQLite` file on one machine, a PostgreSQL server in a cluster, one set of queries.
//!
//! The names are those of sqlx ([`query()`], [`query_as`], [`query_scalar`], [`QueryBuilder`]), so that a query reads as it
//! does everywhere; which database answers it is found when it runs. What both understand is written:
//!
//! - placeholders `$1`; types TEXT, BIGINT, BLOB (flags are BIGINT 0 or 1, lists and objects JSON text);
//! - `CASE WHEN a > b ...` for the greater of two, `IS NOT DISTINCT FROM` for equality that takes NULL, `ON CONFLICT`
//!   for upserts, `CAST(SUM(..) AS BIGINT)`, `SUM(CASE ..)` for counts of what is true, a name for each inner SELECT;
//! - fields that are flags or JSON say `#[sqlx(try_from = "Flag")]`, `#[sqlx(try_from = "JsonText")]`.
//!
//! All writing of all processes goes one after the other: on `SQLite` by `BEGIN IMMEDIATE`, on PostgreSQL by one advisory
//! lock that is taken with the beginning of each transaction and let go by its end ([`Pool::begin_write`]). So what a
//! transaction reads stays true until it commits, on both, and nothing has to be tried again.

mod builder;
mod connection;
mod migrate;
mod place;
mod query;
mod rows;
mod value;

pub(crate) use builder::QueryBuilder;
pub(crate) use connection::{Connection, Pool, Transaction};
pub(crate) use migrate::{applied, migrate, migrate_by, versions};
pub use place::{Place, PlaceError, Postgres};
pub(crate) use place::{in_memory, lock_schema, open_file};
pub(crate) use query::{query, query_as, query_scalar};
pub(crate) use rows::{Kind, Value};
pub(crate) use value::{Flag, JsonText};
