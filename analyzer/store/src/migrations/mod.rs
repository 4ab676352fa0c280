//! The tables: numbered SQL files, and the columns of `events` from the table of fields.
//!
//! The files are templates: `{engine}`, `{summing}` and `{cluster}` differ between one machine and a cluster, and
//! `{columns}`, `{search}`, `{words}` are generated. A file that has been released is never changed; a field that is new in the
//! table becomes a column at the next start.

use clickhouse::{Client, Row};
use dongson_event::fields::{Field, Kind};
use serde::Deserialize;

use crate::row::{REQUIRED, columns};
use crate::{Result, StoreError};

/// Version and text of each migration, in order. The fourth was never released.
const MIGRATIONS: [(u32, &str); 5] = [
    (1, include_str!("0001_facts.sql")),
    (2, include_str!("0002_rollups.sql")),
    (3, include_str!("0003_clamped.sql")),
    (5, include_str!("0005_words.sql")),
    (6, include_str!("0006_segments.sql")),
];

/// Tables whose rows belong to agencies: a reader's scope filters each of them by `organization_id`.
pub(crate) const SCOPED_TABLES: [&str; 5] =
    ["events", "signals", "alerts", "events_per_minute", "alerts_per_minute"];

/// The text columns that are searched as one, lower case, through the text index.
pub(crate) const SEARCHED: [&str; 11] = [
    "message",
    "original",
    "dns_question_name",
    "url_domain",
    "url_original",
    "tls_client_server_name",
    "process_command_line",
    "file_path",
    "user_name",
    "host_name",
    "user_agent_original",
];

/// Makes the tables or brings them up to this version; answers the version.
///
/// # Errors
/// `Newer` when a newer program has made them.
pub async fn migrate(client: &Client) -> Result<u32> {
    client.query("CREATE DATABASE IF NOT EXISTS dongson ENGINE = Atomic").execute().await?;
    let versions = "CREATE TABLE IF NOT EXISTS dongson.schema_migrations (version UInt32, applied DateTime64(3, 'UTC') \
                    DEFAULT now64(3)) ENGINE = MergeTree ORDER BY version \
                    SETTINGS fsync_after_insert = 1, fsync_part_directory = 1";
    client.query(versions).execute().await?;
    let found: u32 = client.query("SELECT max(version) FROM dongson.schema_migrations").fetch_one().await?;
    let known = MIGRATIONS.last().map_or(0, |(version, _)| *version);
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (version, text) in MIGRATIONS.iter().filter(|(version, _)| *version > found) {
        for statement in statements(text) {
            client.query_raw(&repeatable(&statement)).execute().await?;
        }
        let note = "INSERT INTO dongson.schema_migrations (version) SELECT ?";
        client.query(note).bind(*version).execute().await?;
        tracing::info!(version, "the tables were brought up");
    }
    add_columns(client).await?;
    Ok(known)
}

/// A statement that does nothing when it was done already: the end may have come before the note of its migration.
fn repeatable(statement: &str) -> String {
    let made = ["CREATE TABLE ", "CREATE MATERIALIZED VIEW "];
    match made.iter().find_map(|verb| Some((verb, statement.strip_prefix(verb)?))) {
        Some((verb, rest)) if !rest.starts_with("IF NOT EXISTS ") => format!("{verb}IF NOT EXISTS {rest}"),
        _ => statement.to_owned(),
    }
}

#[derive(Row, Deserialize)]
struct Column {
    name: String,
}

async fn add_columns(client: &Client) -> Result<()> {
    let held = "SELECT name FROM system.columns WHERE database = 'dongson' AND table = 'events'";
    let held: Vec<String> =
        client.query(held).fetch_all::<Column>().await?.into_iter().map(|column| column.name).collect();
    for field in columns().filter(|field| !held.contains(&field.column_name())) {
        let add = format!(
            "ALTER TABLE dongson.events ADD COLUMN IF NOT EXISTS {} BEFORE original",
            definition(field)
        );
        client.query_raw(&add).execute().await?;
        tracing::info!(field = field.name, "a column was added");
    }
    Ok(())
}

/// The statements of a file, filled in; each ends with a semicolon at the end of a line.
fn statements(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let filled = lines
        .join("\n")
        .replace("{columns}", &columns().map(definition).collect::<Vec<_>>().join(",\n    "))
        .replace("{search}", &search())
        .replace("{words}", &words())
        .replace("{engine}", "MergeTree")
        .replace("{summing}", "SummingMergeTree");
    filled.split(";\n").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// `name Type CODEC(...)` of a field's column.
fn definition(field: &Field) -> String {
    let kind = if REQUIRED.contains(&field.name) {
        match field.kind {
            Kind::Date => "DateTime64(9, 'UTC')",
            Kind::LowKeyword => "LowCardinality(String)",
            _ => "String",
        }
    } else {
        field.kind.clickhouse()
    };
    let codec = match field.kind {
        Kind::Date => "CODEC(Delta, ZSTD(1))",
        _ => "CODEC(ZSTD(1))",
    };
    format!("`{}` {kind} {codec}", field.column_name())
}

/// The text that is searched.
fn search() -> String {
    let parts: Vec<String> = SEARCHED.iter().map(|column| format!("ifNull({column}, '')")).collect();
    format!("lower(concatWithSeparator(' ', {}))", parts.join(", "))
}

/// The words of a row that was written without them: the text itself without the signs that are no letters, digits or
/// marks, when it is not all ASCII.
fn words() -> String {
    let text = search();
    let signs = r"[^\\pL\\pN\\pM\\x00-\\x7F]+";
    format!("if(isValidASCII({text}), '', lowerUTF8(replaceRegexpAll({text}, '{signs}', ' ')))")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_belongs_to_agencies() {
        let mut tables = Vec::new();
        for statement in MIGRATIONS.iter().flat_map(|(_, text)| statements(text)) {
            assert!(!statement.contains('{'), "a place was not filled in: {statement}");
            let Some(rest) = statement.strip_prefix("CREATE TABLE dongson.") else { continue };
            let (name, body) = rest.split_once(' ').unwrap();
            assert!(body.contains("organization_id"), "{name} has no organization_id");
            assert!(
                body.contains("non_replicated_deduplication_window"),
                "{name} does not drop repeated inserts"
            );
            tables.push(name.to_owned());
        }
        assert_eq!(tables, SCOPED_TABLES, "each table is filtered for readers");
    }

    #[test]
    fn searched_columns_exist() {
        let names: Vec<String> = columns().map(Field::column_name).chain(["original".to_owned()]).collect();
        for column in SEARCHED {
            assert!(names.iter().any(|name| name == column), "{column}");
        }
    }

    #[test]
    fn what_makes_something_can_be_repeated() {
        for statement in MIGRATIONS.iter().flat_map(|(_, text)| statements(text)) {
            let repeatable = repeatable(&statement);
            assert_eq!(statement.starts_with("CREATE "), repeatable != statement, "{statement}");
            assert!(!repeatable.contains(" ADD ") || repeatable.contains(" IF NOT EXISTS "), "{statement}");
        }
    }

    #[test]
    fn versions_go_up() {
        assert!(MIGRATIONS.iter().map(|(version, _)| *version).is_sorted_by(|one, next| one < next));
    }
}
