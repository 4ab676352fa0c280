//! Queries that are put together from parts.

use std::fmt::Display;

use sqlx::error::BoxDynError;
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use super::query::{Query, QueryAs, QueryScalar};
use super::value::{Arguments, Param};

/// A query in the making. Text is pushed as it is, so it must be ours; values from outside are bound.
pub(crate) struct QueryBuilder {
    sql: String,
    arguments: Result<Arguments, BoxDynError>,
    bound: usize,
}

/// A list in a query.
pub(crate) struct Separated<'a> {
    query: &'a mut QueryBuilder,
    separator: &'static str,
    begun: bool,
}

impl QueryBuilder {
    /// A query that begins with `sql`.
    pub(crate) fn new(sql: &'static str) -> Self {
        Self { sql: sql.to_owned(), arguments: Ok(Arguments::default()), bound: 0 }
    }

    /// Adds our own text.
    pub(crate) fn push(&mut self, sql: impl Display) -> &mut Self {
        self.sql.push_str(&sql.to_string());
        self
    }

    /// Adds a value.
    pub(crate) fn push_bind(&mut self, value: impl Param) -> &mut Self {
        self.bound += 1;
        if let Ok(arguments) = &mut self.arguments
            && let Err(error) = value.add(arguments)
        {
            self.arguments = Err(error);
        }
        let number = self.bound;
        self.push('$').push(number)
    }

    /// Begins a list.
    pub(crate) fn separated(&mut self, separator: &'static str) -> Separated<'_> {
        Separated { query: self, separator, begun: false }
    }

    /// The query; it has no rows.
    pub(crate) fn build(self) -> Query {
        Query::with(AssertSqlSafe(self.sql).into_sql_str(), self.arguments)
    }

    /// The query; its rows are read as `T`.
    pub(crate) fn build_query_as<T>(self) -> QueryAs<T> {
        self.build().read()
    }

    /// The query; its first column is read as `T`.
    pub(crate) fn build_query_scalar<T>(self) -> QueryScalar<T> {
        QueryScalar::new(self.build().read())
    }
}

impl Separated<'_> {
    /// Adds a value to the list.
    pub(crate) fn push_bind(&mut self, value: impl Param) -> &mut Self {
        if self.begun {
            self.query.push(self.separator);
        }
        self.begun = true;
        self.query.push_bind(value);
        self
    }
}
