//! A query with its arguments, which runs on either database.

use std::marker::PhantomData;

use sqlx::error::BoxDynError;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, FromRow, Postgres, SqlSafeStr, SqlStr, Sqlite, Type};

use super::connection::Target;
use super::value::{Arguments, Param};

/// A row that can be read from either database.
pub(crate) trait Stored:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Stored for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// A column that can be read from either database.
pub(crate) trait Column:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres> + Send + Unpin
{
}

impl<T> Column for T where
    T: for<'r> Decode<'r, Sqlite>
        + Type<Sqlite>
        + for<'r> Decode<'r, Postgres>
        + Type<Postgres>
        + Send
        + Unpin
{
}

/// A statement without rows.
#[must_use]
pub(crate) struct Query {
    sql: SqlStr,
    arguments: Result<Arguments, BoxDynError>,
}

/// A statement whose rows are read as `T`.
#[must_use]
pub(crate) struct QueryAs<T> {
    query: Query,
    rows: PhantomData<fn() -> T>,
}

/// A statement whose first column is read as `T`.
#[must_use]
pub(crate) struct QueryScalar<T>(QueryAs<(T,)>);

/// What a statement did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done(u64);

impl Done {
    /// How many rows it changed.
    pub(crate) fn rows_affected(self) -> u64 {
        self.0
    }
}

/// A statement without rows.
pub(crate) fn query(sql: impl SqlSafeStr) -> Query {
    Query { sql: sql.into_sql_str(), arguments: Ok(Arguments::default()) }
}

/// A statement whose rows are read as `T`.
pub(crate) fn query_as<T>(sql: impl SqlSafeStr) -> QueryAs<T> {
    query(sql).read()
}

/// A statement whose first column is read as `T`.
pub(crate) fn query_scalar<T>(sql: impl SqlSafeStr) -> QueryScalar<T> {
    QueryScalar(query_as(sql))
}

/// Runs a method of sqlx on the database that the target is of.
macro_rules! run {
    ($target:expr, $query:expr, |$sql:ident, $arguments:ident| $make:expr, $method:ident $(, $then:expr)?) => {{
        let Query { sql: $sql, arguments } = $query;
        let arguments = arguments.map_err(sqlx::Error::Encode)?;
        match $target.into() {
            Target::SqlitePool(pool) => {
                let $arguments = arguments.sqlite;
                $make.$method(pool).await$(.map($then))?
            }
            Target::Sqlite(connection) => {
                let $arguments = arguments.sqlite;
                $make.$method(connection).await$(.map($then))?
            }
            Target::PostgresPool(pool) => {
                let $arguments = arguments.postgres;
                $make.$method(pool).await$(.map($then))?
            }
            Target::Postgres(connection) => {
                let $arguments = arguments.postgres;
                $make.$method(connection).await$(.map($then))?
            }
        }
    }};
}

impl Query {
    pub(super) fn with(sql: SqlStr, arguments: Result<Arguments, BoxDynError>) -> Self {
        Self { sql, arguments }
    }

    pub(super) fn read<T>(self) -> QueryAs<T> {
        QueryAs { query: self, rows: PhantomData }
    }

    /// Adds the next argument.
    pub(crate) fn bind(mut self, value: impl Param) -> Self {
        self.arguments = self.arguments.and_then(|mut arguments| {
            value.add(&mut arguments)?;
            Ok(arguments)
        });
        self
    }

    /// Runs it.
    pub(crate) async fn execute<'t>(self, on: impl Into<Target<'t>>) -> sqlx::Result<Done> {
        run!(on, self, |sql, arguments| sqlx::query_with(sql, arguments), execute, |done| Done(
            done.rows_affected()
        ))
    }
}

impl<T: Stored> QueryAs<T> {
    /// Adds the next argument.
    pub(crate) fn bind(mut self, value: impl Param) -> Self {
        self.query = self.query.bind(value);
        self
    }

    /// All rows.
    pub(crate) async fn fetch_all<'t>(self, on: impl Into<Target<'t>>) -> sqlx::Result<Vec<T>> {
        run!(on, self.query, |sql, arguments| sqlx::query_as_with(sql, arguments), fetch_all)
    }

    /// The only row.
    pub(crate) async fn fetch_one<'t>(self, on: impl Into<Target<'t>>) -> sqlx::Result<T> {
        run!(on, self.query, |sql, arguments| sqlx::query_as_with(sql, arguments), fetch_one)
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional<'t>(self, on: impl Into<Target<'t>>) -> sqlx::Result<Option<T>> {
        run!(on, self.query, |sql, arguments| sqlx::query_as_with(sql, arguments), fetch_optional)
    }
}

impl<T> QueryScalar<T> {
    pub(super) fn new(rows: QueryAs<(T,)>) -> Self {
        Self(rows)
    }
}

impl<T: Column> QueryScalar<T> {
    /// Adds the next argument.
    pub(crate) fn bind(self, value: impl Param) -> Self {
        Self(self.0.bind(value))
    }

    /// The first column of all rows.
    pub(crate) async fn fetch_all<'t>(self, on: impl Into<Target<'t>>) -> sqlx::Result<Vec<T>> {
        Ok(self.0.fetch_all(on).await?.into_iter().map(|(value,)| value).collect())
    }

    /// The first column of the only row.
    pub(crate) async fn fetch_one<'t>(self, on: impl Into<Target<'t>>) -> sqlx::Result<T> {
        Ok(self.0.fetch_one(on).await?.0)
    }

    /// The first column of the first row, if there is one.
    pub(crate) async fn fetch_optional<'t>(self, on: impl Into<Target<'t>>) -> sqlx::Result<Option<T>> {
        Ok(self.0.fetch_optional(on).await?.map(|(value,)| value))
    }
}
