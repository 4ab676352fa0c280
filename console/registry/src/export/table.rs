//! The tables of a schema, asked of a database in memory that is made by the same migrations.

use crate::database::{Kind, migrate_by, query_as, query_scalar};
use crate::{Result, database};

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<(String, Kind)>,
    /// Columns of the primary key.
    pub(super) key: Vec<String>,
    /// Rows that the migrations themselves enter.
    pub(super) seeds: i64,
}

impl Table {
    /// Names of the columns, for a statement.
    pub(super) fn column_list(&self) -> String {
        self.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// The tables that the migrations with these versions make, by name.
pub(super) async fn tables(versions: &[i64]) -> Result<Vec<Table>> {
    let pool = database::in_memory().await?;
    migrate_by(&pool, versions).await?;
    let names: Vec<String> = query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'
         AND name <> '_sqlx_migrations' ORDER BY name",
    )
    .fetch_all(&pool)
    .await?;
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        let columns: Vec<(String, String, i64)> =
            query_as("SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid")
                .bind(&name)
                .fetch_all(&pool)
                .await?;
        let count = format!("SELECT COUNT(*) FROM {name}");
        let seeds = query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&pool).await?;
        let mut key: Vec<_> = columns.iter().filter(|(.., place)| *place > 0).collect();
        key.sort_by_key(|(.., place)| *place);
        tables.push(Table {
            name,
            seeds,
            key: key.into_iter().map(|(name, ..)| name.clone()).collect(),
            columns: columns.into_iter().map(|(name, kind, _)| (name, Kind::of_sql(&kind))).collect(),
        });
    }
    pool.close().await;
    Ok(tables)
}
