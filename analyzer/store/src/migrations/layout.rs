//! The same tables on one server and on a cluster.
//!
//! On a cluster the rows of `dongson.events` lie in `dongson.events_local` on each shard, replicated between the replicas of
//! the shard, and `dongson.events` is the table of kind `Distributed` over them: questions and inserts name the same
//! table as on one server. A materialized view stands between local tables, so that each shard counts its own rows. A row's
//! shard follows from its id, so the same insert is cut the same way again and each shard drops what it has by the
//! same token; the number of shards is changed only while nothing is being written.
//!
//! Every statement of a cluster can be run twice.

use super::SCOPED_TABLES;
use crate::{Result, StoreError};

/// How the tables lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// `MergeTree` on one server, or the embedded engine.
    Single,
    /// `ReplicatedMergeTree` and `Distributed` on the cluster of this name (`remote_servers` of the servers). The servers
    /// have the macros `{shard}` and `{replica}`.
    Cluster(String),
}

/// What a token protects on one server, in inserts.
const WINDOW: &str = "non_replicated_deduplication_window = 100000";
/// The same on a cluster, where it also ends after a time: two weeks, longer than the bus keeps what is not written.
const REPLICATED_WINDOW: &str =
    "replicated_deduplication_window = 100000, replicated_deduplication_window_seconds = 1209600";
/// Where the replicas of a table meet in Keeper. Not by the table's UUID, so that a replica that is made later finds the others.
const KEEPER_PATH: &str = "/clickhouse/tables/dongson";

impl Layout {
    /// Checks the name of the cluster, which becomes part of statements.
    ///
    /// # Errors
    /// `BadQuestion` for a name that is not letters, digits, `_`, `-` and `.`.
    pub fn cluster(name: &str) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            let words =
                format!("the name of a cluster is 1 to 64 letters, digits, `_`, `-` and `.`, not {name:?}");
            return Err(StoreError::BadQuestion(words));
        }
        Ok(Self::Cluster(name.to_owned()))
    }

    /// ` ON CLUSTER 'name'`, or nothing.
    pub(crate) fn on_cluster(&self) -> String {
        match self {
            Self::Single => String::new(),
            Self::Cluster(name) => format!(" ON CLUSTER '{name}'"),
        }
    }

    /// The table that holds rows: `dongson.NAME`, or `dongson.NAME_local` on a cluster.
    pub(crate) fn held(&self, table: &str) -> String {
        match self {
            Self::Single => format!("dongson.{table}"),
            Self::Cluster(_) => format!("dongson.{table}_local"),
        }
    }

    /// The engine of the table of migrations; on a cluster every server holds all of its rows.
    pub(super) fn versions_engine(&self) -> String {
        match self {
            Self::Single => "MergeTree".to_owned(),
            Self::Cluster(_) => {
                format!("ReplicatedMergeTree('{KEEPER_PATH}/all/schema_migrations', '{{shard}}-{{replica}}')")
            }
        }
    }

    /// The statements that do here what `statement`, written for one server, does there.
    pub(super) fn spread(&self, statement: &str) -> Result<Vec<String>> {
        let unknown =
            || StoreError::BadQuestion(format!("a migration has no form for clusters: {statement}"));
        if let Some(rest) = statement.strip_prefix("CREATE TABLE dongson.") {
            let (table, body) = rest.split_once(' ').ok_or_else(unknown)?;
            return self.create_table(table, body).ok_or_else(unknown);
        }
        if let Some(rest) = statement.strip_prefix("CREATE MATERIALIZED VIEW dongson.") {
            let (view, rest) = rest.split_once(" TO dongson.").ok_or_else(unknown)?;
            let (target, select) = rest.split_once(' ').ok_or_else(unknown)?;
            let (on, target) = (self.on_cluster(), self.held(target));
            let select = self.over_held(select);
            return Ok(vec![format!(
                "CREATE MATERIALIZED VIEW IF NOT EXISTS dongson.{view}{on} TO {target} {select}"
            )]);
        }
        let rest = statement.strip_prefix("ALTER TABLE dongson.").ok_or_else(unknown)?;
        let (table, actions) = rest.split_once(char::is_whitespace).ok_or_else(unknown)?;
        Ok(self.alter_table(table, actions.trim_start()))
    }

    fn create_table(&self, table: &str, body: &str) -> Option<Vec<String>> {
        let Self::Cluster(cluster) = self else {
            return Some(vec![format!("CREATE TABLE IF NOT EXISTS dongson.{table} {body}")]);
        };
        let (on, held) = (self.on_cluster(), self.held(table));
        let (columns, options) = body.split_once("\nENGINE = ")?;
        let (engine, options) = options.split_once('\n')?;
        let place = format!("'{KEEPER_PATH}/{{shard}}/{table}_local', '{{replica}}'");
        let engine = match engine.split_once('(') {
            None => format!("Replicated{engine}({place})"),
            Some((name, arguments)) => format!("Replicated{name}({place}, {arguments}"),
        };
        let options = options.replace(WINDOW, REPLICATED_WINDOW);
        let key = shard_key(table)?;
        Some(vec![
            format!("CREATE TABLE IF NOT EXISTS {held}{on} {columns}\nENGINE = {engine}\n{options}"),
            format!(
                "CREATE TABLE IF NOT EXISTS dongson.{table}{on} AS {held} \
                 ENGINE = Distributed('{cluster}', 'dongson', '{table}_local', cityHash64({key}))"
            ),
        ])
    }

    /// Columns are changed in both tables; indexes, keys and the like exist only where the rows are.
    fn alter_table(&self, table: &str, actions: &str) -> Vec<String> {
        let on = self.on_cluster();
        if !SCOPED_TABLES.contains(&table) {
            return vec![format!("ALTER TABLE dongson.{table}{on} {}", self.over_held(actions))];
        }
        let mut statements = vec![format!("ALTER TABLE {}{on} {actions}", self.held(table))];
        let columns: Vec<&str> = top_level(actions)
            .into_iter()
            .filter(|action| ["ADD COLUMN", "MODIFY COLUMN"].iter().any(|begin| action.starts_with(begin)))
            .collect();
        if matches!(self, Self::Cluster(_)) && !columns.is_empty() {
            statements.push(format!("ALTER TABLE dongson.{table}{on} {}", columns.join(", ")));
        }
        statements
    }

    /// `FROM dongson.events` as the table that holds rows.
    fn over_held(&self, select: &str) -> String {
        SCOPED_TABLES.iter().fold(select.to_owned(), |select, table| {
            select.replace(&format!("FROM dongson.{table}\n"), &format!("FROM {}\n", self.held(table)))
        })
    }
}

/// By what a row's shard is chosen: what is looked for together lies together.
fn shard_key(table: &str) -> Option<&'static str> {
    Some(match table {
        "events" => "event_id",
        "signals" | "alerts" => "alert_id",
        "events_per_minute" | "alerts_per_minute" => "organization_id",
        _ => return None,
    })
}

/// The parts between commas that stand in no brackets and no quotes.
fn top_level(actions: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, 0_i32, false, false);
    for (at, sign) in actions.char_indices() {
        match sign {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '\'' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.extend(actions.get(start..at).map(str::trim));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(actions.get(start..).map(str::trim));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_inside_are_no_ends() {
        assert_eq!(
            top_level("ADD COLUMN a Enum('x,\\'y'),\n MODIFY ORDER BY (a, b)"),
            ["ADD COLUMN a Enum('x,\\'y')", "MODIFY ORDER BY (a, b)"]
        );
    }

    #[test]
    fn a_name_is_never_sql() {
        assert_eq!(Layout::cluster("dongson-1").unwrap().on_cluster(), " ON CLUSTER 'dongson-1'");
        for bad in ["", "a b", "a'", "a\\", &"a".repeat(65)] {
            assert!(
                Layout::cluster(bad).unwrap_err().to_string().contains("the name of a cluster"),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_statement_of_an_unknown_kind_is_named() {
        let error = Layout::Single.spread("DROP TABLE dongson.events").unwrap_err().to_string();
        assert!(error.contains("DROP TABLE"), "{error}");
    }
}
