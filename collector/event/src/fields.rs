//! The table of known fields, written once: documentation, `ClickHouse` columns and authority come from it.
//!
//! To add a field, add a line. Names are ECS's where ECS has one; others stand under `dongson.`.

mod table;

use std::fmt::Write as _;
use std::sync::LazyLock;

pub use table::FIELDS;

use crate::NameIndex;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A short word or identifier, compared whole.
    Keyword,
    /// A keyword of which there are few (under some thousands) different ones.
    LowKeyword,
    /// Longer text that is searched inside.
    Text,
    /// A whole number of 64 bits.
    Long,
    /// A number with a fraction.
    Float,
    /// `true` or `false`.
    Bool,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A moment in RFC 3339.
    Date,
    /// Several keywords.
    Keywords,
    /// Several whole numbers.
    Longs,
    /// Several addresses.
    Ips,
}

impl Kind {
    /// The word of the documentation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keyword | Self::LowKeyword => "keyword",
            Self::Text => "text",
            Self::Long => "long",
            Self::Float => "float",
            Self::Bool => "boolean",
            Self::Ip => "ip",
            Self::Date => "date",
            Self::Keywords => "keyword[]",
            Self::Longs => "long[]",
            Self::Ips => "ip[]",
        }
    }

    /// The `ClickHouse` type of its column; nullable, because absent is not zero.
    pub const fn clickhouse(self) -> &'static str {
        match self {
            Self::Keyword | Self::Text => "Nullable(String)",
            Self::LowKeyword => "LowCardinality(Nullable(String))",
            Self::Long => "Nullable(Int64)",
            Self::Float => "Nullable(Float64)",
            Self::Bool => "Nullable(Bool)",
            Self::Ip => "Nullable(IPv6)",
            Self::Date => "Nullable(DateTime64(9, 'UTC'))",
            Self::Keywords => "Array(String)",
            Self::Longs => "Array(Int64)",
            Self::Ips => "Array(IPv6)",
        }
    }
}

/// Who may set a field; each may also set what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setter {
    /// The record itself: any client.
    Source,
    /// An enrolled sensor.
    Sensor,
    /// The collector, from the authenticated principal.
    Collector,
    /// The analyzer.
    Analyzer,
}

impl Setter {
    /// The word of the documentation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sensor => "sensor",
            Self::Collector => "collector",
            Self::Analyzer => "analyzer",
        }
    }
}

/// How carefully a field is to be shown and shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sensitivity {
    /// Tells nothing about a person or an inner network.
    Plain,
    /// Tells about an agency's network.
    Internal,
    /// Can name or trace a person.
    Personal,
    /// May hold secrets; never leaves the centre.
    Secret,
}

impl Sensitivity {
    /// The word of the documentation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Internal => "internal",
            Self::Personal => "personal",
            Self::Secret => "secret",
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The dotted name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The unit of a number (`bytes`, `ns`, `s`); empty otherwise.
    pub unit: &'static str,
    /// Who may set it.
    pub setter: Setter,
    /// How sensitive it is.
    pub sensitivity: Sensitivity,
    /// True when it has a column of its own; else it stands in the column of all others.
    pub column: bool,
    /// Where the name comes from, and what Zeek and Suricata call the same.
    pub source: &'static str,
    /// What it means, in English.
    pub meaning: &'static str,
}

impl Field {
    /// Name of its column: dots and `@` replaced (`source.ip` is `source_ip`, `@timestamp` is `timestamp`).
    pub fn column_name(&self) -> String {
        self.name.trim_start_matches('@').replace('.', "_")
    }
}

/// The names of the table, by which their lines are found.
struct Index {
    names: NameIndex,
    /// The lines in the byte order of their names.
    lines: Vec<&'static Field>,
    /// Their names in the same order as JSON writes them behind a comma, with the colon: no name of the table needs an escape.
    printed: Vec<Box<str>>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut lines: Vec<&'static Field> = FIELDS.iter().collect();
    lines.sort_unstable_by_key(|field| field.name);
    let printed = lines.iter().map(|field| format!(",\"{}\":", field.name).into()).collect();
    Index { names: NameIndex::new(FIELDS.iter().map(|field| field.name.into())), lines, printed }
});

/// The place of `name` among the names of the table in byte order, when it is one of them.
#[inline]
pub fn number(name: &str) -> Option<u16> {
    INDEX.names.find(name).and_then(|place| u16::try_from(place).ok())
}

/// The line whose name has this place among those of the table in byte order.
#[inline]
pub fn by_number(number: u16) -> Option<&'static Field> {
    INDEX.lines.get(usize::from(number)).copied()
}

/// The name that has this place, as JSON writes it before its value: behind a comma, in quotes, with the colon.
#[inline]
pub(crate) fn printed(number: u16) -> Option<&'static str> {
    INDEX.printed.get(usize::from(number)).map(AsRef::as_ref)
}

/// The line of `name`, when it has one.
pub fn find(name: &str) -> Option<&'static Field> {
    by_number(number(name)?)
}

/// The fields that have a column, in the order of the table.
pub fn columns() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().filter(|field| field.column)
}

/// Names under these belong to the collector, whether the table lists them or not.
const COLLECTOR_PREFIXES: &[&str] = &["dongson.claimed.", "dongson.time.", "observer.", "organization."];
/// Names under these belong to the analyzer.
const ANALYZER_PREFIXES: &[&str] = &["dongson.asset.", "dongson.match."];

/// Who may set `name`; a name that nobody lists belongs to its source.
pub fn setter(name: &str) -> Setter {
    find(name).map_or_else(|| setter_of_unlisted(name), |field| field.setter)
}

/// Who may set a name that the table does not have.
pub(crate) fn setter_of_unlisted(name: &str) -> Setter {
    let under = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if under(ANALYZER_PREFIXES) {
        Setter::Analyzer
    } else if under(COLLECTOR_PREFIXES) || matches!(name, "observer" | "organization" | "dongson") {
        Setter::Collector
    } else {
        Setter::Source
    }
}

/// The table as a Markdown document.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Fields\n\n| name | type | unit | set by | sensitivity | column | source | meaning |\n|---|---|---|---|---|---|---|---|\n",
    );
    for field in FIELDS {
        let column = if field.column { field.column_name() } else { String::new() };
        // Writing to a String cannot fail.
        let _written = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {column} | {} | {} |",
            field.name,
            field.kind.as_str(),
            field.unit,
            field.setter.as_str(),
            field.sensitivity.as_str(),
            field.source,
            field.meaning
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_columns_are_unique() {
        let names: HashSet<_> = FIELDS.iter().map(|field| field.name).collect();
        assert_eq!(names.len(), FIELDS.len());
        let columns: HashSet<_> = FIELDS.iter().map(Field::column_name).collect();
        assert_eq!(columns.len(), FIELDS.len());
    }

    #[test]
    fn numbers_say_their_unit_and_fields_their_meaning() {
        for field in FIELDS {
            assert!(!field.meaning.is_empty() && !field.source.is_empty(), "{}", field.name);
            assert!(!field.meaning.contains('|'), "{}", field.name);
        }
    }

    #[test]
    fn authority_of_unlisted_names() {
        assert_eq!(setter("observer.anything"), Setter::Collector);
        assert_eq!(setter("dongson.claimed.x"), Setter::Collector);
        assert_eq!(setter("dongson.asset.x"), Setter::Analyzer);
        assert_eq!(setter("winlog.event_data.Image"), Setter::Source);
    }

    #[test]
    fn documentation_has_every_field() {
        assert_eq!(markdown().lines().count(), FIELDS.len() + 4);
    }
}
