//! The tables: numbered SQL files, and the columns of `events` from the table of fields.
//!
//! The files are written for one server; `layout.rs` says what becomes of their statements on a cluster. `{columns}`,
//! `{search}`, `{words}` are generated. A file that has been released is never changed; a field that is new in the table
//! becomes a column at the next start.

mod layout;

use clickhouse::{Client, Row};
use dongson_event::fields::{Field, Kind};
use serde::Deserialize;

pub use self::layout::Layout;
use crate::row::{REQUIRED, columns};
use crate::{Result, StoreError};

/// Version and text of each migration, in order. The fourth was never released.
const MIGRATIONS: [(u32, &str); 6] = [
    (1, include_str!("0001_facts.sql")),
    (2, include_str!("0002_rollups.sql")),
    (3, include_str!("0003_clamped.sql")),
    (5, include_str!("0005_words.sql")),
    (6, include_str!("0006_segments.sql")),
    (7, include_str!("0007_synced_merges.sql")),
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
pub(crate) async fn migrate(client: &Client, layout: &Layout) -> Result<u32> {
    for statement in foundation(layout) {
        client.query_raw(&statement).execute().await?;
    }
    let found: u32 = client.query("SELECT max(version) FROM dongson.schema_migrations").fetch_one().await?;
    let known = MIGRATIONS.last().map_or(0, |(version, _)| *version);
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (version, text) in MIGRATIONS.iter().filter(|(version, _)| *version > found) {
        for statement in statements(text, layout)? {
            client.query_raw(&statement).execute().await?;
        }
        let note = "INSERT INTO dongson.schema_migrations (version) SELECT ?";
        client.query(note).bind(*version).execute().await?;
        tracing::info!(version, "the tables were brought up");
    }
    add_columns(client, layout).await?;
    Ok(known)
}

/// Every statement that makes the tables where there is nothing, in order: for people who make them themselves, and for
/// checking.
///
/// # Errors
/// `BadQuestion` when a migration has no form for this layout: a fault of the program.
pub fn schema(layout: &Layout) -> Result<Vec<String>> {
    let mut all = foundation(layout).to_vec();
    for (version, text) in MIGRATIONS {
        all.extend(statements(text, layout)?);
        all.push(format!("INSERT INTO dongson.schema_migrations (version) SELECT {version}"));
    }
    Ok(all)
}

/// The database, and the table of what was done.
fn foundation(layout: &Layout) -> [String; 2] {
    let (on, engine) = (layout.on_cluster(), layout.versions_engine());
    [
        format!("CREATE DATABASE IF NOT EXISTS dongson{on} ENGINE = Atomic"),
        format!(
            "CREATE TABLE IF NOT EXISTS dongson.schema_migrations{on} (version UInt32, applied DateTime64(3, 'UTC') \
             DEFAULT now64(3)) ENGINE = {engine} ORDER BY version \
             SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
        ),
    ]
}

#[derive(Row, Deserialize)]
struct Column {
    name: String,
}

/// Columns for fields that are new in the table; first where the rows are.
async fn add_columns(client: &Client, layout: &Layout) -> Result<()> {
    let mut tables = vec![layout.held("events"), "dongson.events".to_owned()];
    tables.dedup();
    for table in tables {
        let held = "SELECT name FROM system.columns WHERE concat(database, '.', table) = ?";
        let held: Vec<String> = client
            .query(held)
            .bind(&table)
            .fetch_all::<Column>()
            .await?
            .into_iter()
            .map(|column| column.name)
            .collect();
        for field in columns().filter(|field| !held.contains(&field.column_name())) {
            let add = format!(
                "ALTER TABLE {table}{} ADD COLUMN IF NOT EXISTS {}",
                layout.on_cluster(),
                definition(field)
            );
            client.query_raw(&add).execute().await?;
            tracing::info!(field = field.name, table, "a column was added");
        }
    }
    Ok(())
}

/// The statements of a file, filled in; each ends with a semicolon at the end of a line.
fn statements(text: &str, layout: &Layout) -> Result<Vec<String>> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let filled = lines
        .join("\n")
        .replace("{columns}", &columns().map(definition).collect::<Vec<_>>().join(",\n    "))
        .replace("{search}", &search())
        .replace("{words}", &words())
        .replace("{engine}", "MergeTree")
        .replace("{summing}", "SummingMergeTree");
    let mut all = Vec::new();
    for statement in filled.split(";\n").map(|part| part.trim().trim_end_matches(';')) {
        if !statement.is_empty() {
            all.extend(layout.spread(statement)?);
        }
    }
    Ok(all)
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
        let cluster = Layout::Cluster("c".to_owned());
        for (layout, suffix, window) in [
            (Layout::Single, "", "non_replicated_deduplication_window = 100000"),
            (cluster, "_local", " replicated_deduplication_window_seconds = 1209600"),
        ] {
            let (mut tables, mut spread) = (Vec::new(), Vec::new());
            for statement in MIGRATIONS.iter().flat_map(|(_, text)| statements(text, &layout).unwrap()) {
                let open = statement.replace("{shard}", "").replace("{replica}", "");
                assert!(!open.contains('{'), "a place was not filled in: {statement}");
                assert_eq!(statement.contains("ON CLUSTER"), layout != Layout::Single, "{statement}");
                let Some(rest) = statement.strip_prefix("CREATE TABLE IF NOT EXISTS dongson.") else {
                    continue;
                };
                let (name, body) = rest.split_once(' ').unwrap();
                if body.contains("ENGINE = Distributed(") {
                    spread.push(name.to_owned());
                    continue;
                }
                assert!(body.contains("organization_id"), "{name} has no organization_id");
                assert!(body.contains(window), "{name} does not drop repeated inserts");
                assert_eq!(body.contains("Replicated"), layout != Layout::Single, "{name}");
                tables.push(name.strip_suffix(suffix).unwrap().to_owned());
            }
            assert_eq!(tables, SCOPED_TABLES, "each table is filtered for readers");
            assert!(
                spread.is_empty() == (layout == Layout::Single) && (spread.is_empty() || spread == tables)
            );
        }
    }

    #[test]
    fn views_of_a_cluster_stand_between_local_tables() {
        let all = schema(&Layout::Cluster("c".to_owned())).unwrap();
        let views: Vec<&String> = all
            .iter()
            .filter(|one| one.contains("MATERIALIZED VIEW") || one.contains("MODIFY QUERY"))
            .collect();
        assert_eq!(views.len(), 3);
        for view in views {
            assert!(
                view.contains("FROM dongson.events_local\n") || view.contains("FROM dongson.alerts_local\n"),
                "{view}"
            );
        }
        let both =
            |part: &str| all.iter().filter(|one| one.starts_with("ALTER") && one.contains(part)).count();
        assert_eq!((both("ADD COLUMN IF NOT EXISTS words"), both("ADD INDEX")), (2, 2));
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
        for layout in [Layout::Single, Layout::Cluster("c".to_owned())] {
            for statement in schema(&layout).unwrap() {
                let makes = statement.starts_with("CREATE ") || statement.contains(" ADD ");
                assert!(!makes || statement.contains(" IF NOT EXISTS "), "{statement}");
            }
        }
    }

    #[test]
    fn versions_go_up() {
        assert!(MIGRATIONS.iter().map(|(version, _)| *version).is_sorted_by(|one, next| one < next));
    }
}
