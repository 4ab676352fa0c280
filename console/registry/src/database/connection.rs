//! Pools, connections and transactions of either database.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool};

/// Begins a writing transaction on PostgreSQL: nobody else's begins before it ends. The number is ours alone within the
/// database ("dongson" in ASCII); it is let go with the transaction, whatever ends that. Isolation is stated, because a
/// server may have another default: with the lock held each statement sees everything that was committed before.
const BEGIN_WRITE: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(28270017643769710)";

/// Begins a reading transaction on PostgreSQL: all its statements see one moment, as they do on `SQLite`.
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Connections to one database.
#[derive(Debug, Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// One connection, with or without a transaction on it.
#[derive(Debug)]
pub(crate) struct Connection(Kind);

#[derive(Debug)]
enum Kind {
    Sqlite(PoolConnection<Sqlite>),
    SqliteTransaction(sqlx::Transaction<'static, Sqlite>),
    Postgres(PoolConnection<Postgres>),
    PostgresTransaction(sqlx::Transaction<'static, Postgres>),
}

/// A connection of a pool, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lent(Connection);

/// A transaction; dropped without [`Transaction::commit`] it has changed nothing.
#[derive(Debug)]
pub(crate) struct Transaction(Connection);

/// What a statement runs on.
pub(crate) enum Target<'a> {
    SqlitePool(&'a SqlitePool),
    Sqlite(&'a mut SqliteConnection),
    PostgresPool(&'a PgPool),
    Postgres(&'a mut PgConnection),
}

impl Pool {
    /// A connection.
    pub(crate) async fn acquire(&self) -> sqlx::Result<Lent> {
        Ok(Lent(Connection(match self {
            Self::Sqlite(pool) => Kind::Sqlite(pool.acquire().await?),
            Self::Postgres(pool) => Kind::Postgres(pool.acquire().await?),
        })))
    }

    /// A transaction that reads.
    pub(crate) async fn begin(&self) -> sqlx::Result<Transaction> {
        Ok(Transaction(Connection(match self {
            Self::Sqlite(pool) => Kind::SqliteTransaction(pool.begin().await?),
            Self::Postgres(pool) => Kind::PostgresTransaction(pool.begin_with(BEGIN_READ).await?),
        })))
    }

    /// A transaction that writes; no other of any process begins before it ends.
    pub(crate) async fn begin_write(&self) -> sqlx::Result<Transaction> {
        Ok(Transaction(Connection(match self {
            Self::Sqlite(pool) => Kind::SqliteTransaction(pool.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Kind::PostgresTransaction(pool.begin_with(BEGIN_WRITE).await?),
        })))
    }

    /// Takes a connection out of the pool and ends it; the pool opens another when one is needed.
    pub(crate) async fn drop_one(&self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(pool) => pool.acquire().await?.close().await,
            Self::Postgres(pool) => pool.acquire().await?.close().await,
        }
    }

    /// Makes new connections refuse (or take again) every write, as on a disk that is full.
    pub(crate) fn refuse_writes(&self, refuse: bool) {
        match self {
            Self::Sqlite(pool) => {
                let options = (*pool.connect_options()).clone();
                pool.set_connect_options(options.pragma("query_only", if refuse { "ON" } else { "OFF" }));
            }
            Self::Postgres(pool) => {
                let options = (*pool.connect_options()).clone();
                let value = if refuse { "on" } else { "off" };
                pool.set_connect_options(options.options([("default_transaction_read_only", value)]));
            }
        }
    }

    /// Ends all connections after what they are doing.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Transaction {
    /// Makes what was done last.
    pub(crate) async fn commit(self) -> sqlx::Result<()> {
        match self.0.0 {
            Kind::SqliteTransaction(transaction) => transaction.commit().await,
            Kind::PostgresTransaction(transaction) => transaction.commit().await,
            Kind::Sqlite(_) | Kind::Postgres(_) => Ok(()),
        }
    }

    /// Undoes what was done.
    pub(crate) async fn rollback(self) -> sqlx::Result<()> {
        match self.0.0 {
            Kind::SqliteTransaction(transaction) => transaction.rollback().await,
            Kind::PostgresTransaction(transaction) => transaction.rollback().await,
            Kind::Sqlite(_) | Kind::Postgres(_) => Ok(()),
        }
    }
}

impl Deref for Lent {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

impl Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

impl<'a> From<&'a Pool> for Target<'a> {
    fn from(pool: &'a Pool) -> Self {
        match pool {
            Pool::Sqlite(pool) => Self::SqlitePool(pool),
            Pool::Postgres(pool) => Self::PostgresPool(pool),
        }
    }
}

impl<'a> From<&'a mut Connection> for Target<'a> {
    fn from(connection: &'a mut Connection) -> Self {
        match &mut connection.0 {
            Kind::Sqlite(one) => Self::Sqlite(one),
            Kind::SqliteTransaction(one) => Self::Sqlite(one),
            Kind::Postgres(one) => Self::Postgres(one),
            Kind::PostgresTransaction(one) => Self::Postgres(one),
        }
    }
}
