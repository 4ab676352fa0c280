//! Brings the schema up to date. The folder `migrations` is written for `SQLite`; what PostgreSQL says otherwise is put in
//! its place here, so that both have the same tables by the same steps.

use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use super::{Pool, query_scalar};

/// The schema, compiled in.
static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The versions of all migrations, in their order.
pub(crate) fn versions() -> Vec<i64> {
    MIGRATIONS.iter().map(|one| one.version).collect()
}

/// Runs the migrations that have not run yet. Of several processes that begin at once one does it, the others wait.
pub(crate) async fn migrate(pool: &Pool) -> Result<(), MigrateError> {
    migrate_by(pool, &versions()).await
}

/// Runs those of the migrations with these versions that have not run yet.
pub(crate) async fn migrate_by(pool: &Pool, versions: &[i64]) -> Result<(), MigrateError> {
    let wanted = MIGRATIONS.iter().filter(|one| versions.contains(&one.version)).cloned();
    match pool {
        Pool::Sqlite(pool) => Migrator::with_migrations(wanted.collect()).run(pool).await,
        Pool::Postgres(pool) => {
            let translated = wanted.map(|one| Migration {
                sql: AssertSqlSafe(for_postgres(one.sql.as_str())).into_sql_str(),
                // The checksum stays that of the file: a migration is the same one on both databases.
                ..one
            });
            Migrator::with_migrations(translated.collect()).run(pool).await
        }
    }
}

/// The versions of the migrations that have run; none on a new database.
pub(crate) async fn applied(pool: &Pool) -> sqlx::Result<Vec<i64>> {
    let known: i64 = match pool {
        Pool::Sqlite(_) => query_scalar("SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'"),
        Pool::Postgres(_) => {
            query_scalar("SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('_sqlx_migrations')")
        }
    }
    .fetch_one(pool)
    .await?;
    if known == 0 {
        return Ok(Vec::new());
    }
    query_scalar("SELECT version FROM _sqlx_migrations ORDER BY version").fetch_all(pool).await
}

/// A migration in PostgreSQL's words: bytes are BYTEA, texts sort by their bytes as they do in `SQLite`, references can be
/// looked at when a transaction ends (a backup's rows come table by table).
fn for_postgres(sql: &str) -> String {
    let lines = sql.lines().map(|line| {
        if line.trim_start().starts_with("--") {
            return line.to_owned();
        }
        let line = line.replace(" WITHOUT ROWID", "").replace(" BLOB", " BYTEA");
        deferrable(&line.replace(" TEXT", " TEXT COLLATE \"C\""))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The line with its reference, if it has one, made deferrable.
fn deferrable(line: &str) -> String {
    let Some((column, reference)) = line.split_once(" REFERENCES ") else { return line.to_owned() };
    let (reference, end) = reference.split_at(reference.find([',', ';']).unwrap_or(reference.len()));
    format!("{column} REFERENCES {reference} DEFERRABLE{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_put_into_the_words_of_postgresql() {
        let sqlite = "-- TEXT\nCREATE TABLE a (\n    b TEXT NOT NULL,\n    c BLOB\n) WITHOUT ROWID;\nALTER TABLE a ADD COLUMN d TEXT REFERENCES b (c) ON DELETE CASCADE;";
        let expected = "-- TEXT\nCREATE TABLE a (\n    b TEXT COLLATE \"C\" NOT NULL,\n    c BYTEA\n);\nALTER TABLE a ADD COLUMN d TEXT COLLATE \"C\" REFERENCES b (c) ON DELETE CASCADE DEFERRABLE;";
        assert_eq!(for_postgres(sqlite), expected);
    }
}
