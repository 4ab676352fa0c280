//! Rows of any table, without a type of their own: for writing them to files and back.

use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, ColumnIndex, Decode, Row, Type};

use super::connection::{Connection, Target};
use crate::Result;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Text,
    Bytes,
}

impl Kind {
    /// The kind of a column of a migration.
    pub(crate) fn of_sql(name: &str) -> Self {
        match name {
            "BIGINT" => Self::Number,
            "BLOB" => Self::Bytes,
            _ => Self::Text,
        }
    }
}

/// What a row has in a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Null,
    Number(i64),
    Text(String),
    Bytes {
        /// Hexadecimal.
        bytes: String,
    },
}

impl Connection {
    /// Hands each row of `sql` to `each`, one at a time.
    pub(crate) async fn rows(
        &mut self,
        sql: String,
        kinds: &[Kind],
        mut each: impl FnMut(Vec<Value>) -> Result<()>,
    ) -> Result<()> {
        let sql = AssertSqlSafe(sql);
        match Target::from(self) {
            Target::Sqlite(connection) => {
                let mut rows = sqlx::query(sql).fetch(connection);
                while let Some(row) = rows.try_next().await? {
                    each(values(&row, kinds)?)?;
                }
            }
            Target::Postgres(connection) => {
                let mut rows = sqlx::query(sql).fetch(connection);
                while let Some(row) = rows.try_next().await? {
                    each(values(&row, kinds)?)?;
                }
            }
            Target::SqlitePool(_) | Target::PostgresPool(_) => {}
        }
        Ok(())
    }

    /// Looks at references between rows at the end of this transaction, not with each row.
    pub(crate) async fn defer_references(&mut self) -> sqlx::Result<()> {
        let statement = match Target::from(&mut *self) {
            Target::Sqlite(_) | Target::SqlitePool(_) => "PRAGMA defer_foreign_keys = ON",
            Target::Postgres(_) | Target::PostgresPool(_) => "SET CONSTRAINTS ALL DEFERRED",
        };
        super::query(statement).execute(self).await.map(drop)
    }
}

fn values<'r, R>(row: &'r R, kinds: &[Kind]) -> sqlx::Result<Vec<Value>>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    let value = |(place, kind): (usize, &Kind)| {
        Ok(match kind {
            Kind::Number => row.try_get::<Option<i64>, _>(place)?.map_or(Value::Null, Value::Number),
            Kind::Text => row.try_get::<Option<String>, _>(place)?.map_or(Value::Null, Value::Text),
            Kind::Bytes => row
                .try_get::<Option<Vec<u8>>, _>(place)?
                .map_or(Value::Null, |bytes| Value::Bytes { bytes: hex::encode(bytes) }),
        })
    };
    kinds.iter().enumerate().map(value).collect()
}
