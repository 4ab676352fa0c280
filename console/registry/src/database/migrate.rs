//! Brings the schema up to date. The folder `migrations` is written for `SQLite`; what PostgreSQL says otherwise is put in
//! its place here, so that both have the same tables by the same steps.

use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use super::Pool;

/// The schema, compiled in.
static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Runs the migrations that have not run yet. Of several processes that begin at once one does it, the others wait.
pub(crate) async fn migrate(pool: &Pool) -> Result<(), MigrateError> {
    match pool {
        Pool::Sqlite(pool) => MIGRATIONS.run(pool).await,
        Pool::Postgres(pool) => {
            let translated = MIGRATIONS.iter().map(|one| Migration {
                sql: AssertSqlSafe(for_postgres(one.sql.as_str())).into_sql_str(),
                // The checksum stays that of the file: a migration is the same one on both databases.
                ..one.clone()
            });
            Migrator::with_migrations(translated.collect()).run(pool).await
        }
    }
}

/// A migration in PostgreSQL's words: bytes are BYTEA, texts sort by their bytes as they do in `SQLite`.
fn for_postgres(sql: &str) -> String {
    let lines = sql.lines().map(|line| {
        if line.trim_start().starts_with("--") {
            return line.to_owned();
        }
        line.replace(" WITHOUT ROWID", "").replace(" BLOB", " BYTEA").replace(" TEXT", " TEXT COLLATE \"C\"")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_put_into_the_words_of_postgresql() {
        let sqlite = "-- TEXT\nCREATE TABLE a (\n    b TEXT NOT NULL,\n    c BLOB\n) WITHOUT ROWID;";
        let expected = "-- TEXT\nCREATE TABLE a (\n    b TEXT COLLATE \"C\" NOT NULL,\n    c BYTEA\n);";
        assert_eq!(for_postgres(sqlite), expected);
    }
}
