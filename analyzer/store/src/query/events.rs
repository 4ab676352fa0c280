//! Finding events.

use clickhouse::query::Query;
use dongson_event::fields::{self, Kind};
use dongson_event::{Event, Timestamp};
use serde::Serialize;

use super::Period;
use crate::row::{column_names, read_event, words};
use crate::{Result, Scope, StoreClient, StoreError};

/// Most events of one answer.
pub const MAX_EVENTS: u32 = 10_000;
/// Most bytes of one answer.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// What a field must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Equal to the text; of a list, one element is.
    Is(String),
    /// Present and not equal.
    IsNot(String),
    /// Holds the text, large and small letters alike.
    Contains(String),
    /// Present and not null.
    Exists,
    /// Absent or null.
    Absent,
}

/// Which events are wanted. Everything given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// Time of the event.
    pub period: Option<Period>,
    /// One of these agencies (inside the scope); all when empty.
    pub organizations: Vec<String>,
    /// One of these datasets; all when empty.
    pub datasets: Vec<String>,
    /// Words that all occur in the searched text (message, raw record, names, command lines); letters and digits.
    pub words: Option<String>,
    /// Conditions on fields by their dotted names.
    pub fields: Vec<(String, Condition)>,
    /// Only events before this (time, id): the last of the page before.
    pub before: Option<(Timestamp, String)>,
}

/// Which events stand around another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Around {
    /// The agency.
    pub organization: String,
    /// From when to when.
    pub period: Period,
    /// Fields of which one must be so: (`source.ip`, `10.0.0.1`), (`host.name`, `portal`). An address is looked for
    /// as source and as destination.
    pub entities: Vec<(String, String)>,
}

/// A value for a `?`.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Bound {
    Text(String),
    Number(i64),
    Texts(Vec<String>),
}

/// A condition in SQL and its values.
#[derive(Debug, Default)]
pub(super) struct Where {
    parts: Vec<String>,
    values: Vec<Bound>,
}

impl Where {
    fn add(&mut self, sql: impl Into<String>, values: impl IntoIterator<Item = Bound>) {
        self.parts.push(sql.into());
        self.values.extend(values);
    }

    fn period(&mut self, period: Period) {
        self.add(
            "timestamp >= fromUnixTimestamp64Nano(toInt64(?), 'UTC')",
            [Bound::Number(period.from.nanos())],
        );
        self.add(
            "timestamp < fromUnixTimestamp64Nano(toInt64(?), 'UTC')",
            [Bound::Number(period.to.nanos())],
        );
    }

    pub(super) fn sql(&self) -> String {
        if self.parts.is_empty() { "1".to_owned() } else { self.parts.join(" AND ") }
    }

    pub(super) fn bind(self, query: Query) -> Query {
        self.values.into_iter().fold(query, |query, value| query.bind(value))
    }
}

impl Around {
    pub(super) fn conditions(&self) -> Result<Where> {
        let mut conditions = Where::default();
        conditions.add("organization_id = ?", [Bound::Text(self.organization.clone())]);
        conditions.period(self.period);
        let mut any = Where::default();
        for (name, value) in &self.entities {
            let is = Condition::Is(value.clone());
            add_field(&mut any, name, &is)?;
            match name.as_str() {
                "source.ip" => add_field(&mut any, "destination.ip", &is)?,
                "destination.ip" => add_field(&mut any, "source.ip", &is)?,
                _ => {}
            }
        }
        if !any.parts.is_empty() {
            conditions.add(format!("({})", any.parts.join(" OR ")), any.values);
        }
        Ok(conditions)
    }
}

impl EventFilter {
    pub(super) fn conditions(&self) -> Result<Where> {
        let mut conditions = Where::default();
        if let Some(period) = self.period {
            conditions.period(period);
        }
        if !self.organizations.is_empty() {
            conditions.add("organization_id IN ?", [Bound::Texts(self.organizations.clone())]);
        }
        if !self.datasets.is_empty() {
            conditions.add("event_dataset IN ?", [Bound::Texts(self.datasets.clone())]);
        }
        if let Some(words) = &self.words {
            let mut list = String::new();
            words::put(words, &mut list);
            for word in list.split(' ').filter(|word| !word.is_empty()) {
                conditions.add("hasAllTokens(search, ?)", [Bound::Text(word.to_owned())]);
            }
        }
        for (name, condition) in &self.fields {
            add_field(&mut conditions, name, condition)?;
        }
        if let Some((moment, id)) = &self.before {
            let before = "(timestamp, event_id) < (fromUnixTimestamp64Nano(toInt64(?), 'UTC'), ?)";
            conditions.add(before, [Bound::Number(moment.nanos()), Bound::Text(id.clone())]);
        }
        Ok(conditions)
    }
}

/// Where a field stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In a column of its own.
    Column {
        /// Its name.
        name: String,
        /// Its kind.
        kind: Kind,
    },
    /// Among those without one, as JSON text.
    Rest,
}

impl Place {
    /// The place of the field with this dotted name.
    pub(super) fn of(name: &str) -> Result<Self> {
        if name.len() > dongson_event::MAX_NAME_BYTES {
            return Err(StoreError::BadQuestion("the name of a field is too long".to_owned()));
        }
        Ok(match fields::find(name) {
            Some(field) if field.column => Self::Column { name: field.column_name(), kind: field.kind },
            _ if name == "event.original" => Self::Column { name: "original".to_owned(), kind: Kind::Text },
            _ => Self::Rest,
        })
    }
}

fn add_field(conditions: &mut Where, name: &str, condition: &Condition) -> Result<()> {
    let Place::Column { name: column, kind } = Place::of(name)? else {
        add_rest(conditions, name.to_owned(), condition);
        return Ok(());
    };
    let list = matches!(kind, Kind::Keywords | Kind::Longs | Kind::Ips);
    let place = place(kind);
    let (sql, value) = match condition {
        Condition::Is(text) if list => (format!("has({column}, {place})"), Some(text.clone())),
        Condition::IsNot(text) if list => {
            (format!("notEmpty({column}) AND NOT has({column}, {place})"), Some(text.clone()))
        }
        Condition::Is(text) => (format!("{column} = {place}"), Some(text.clone())),
        Condition::IsNot(text) => (format!("{column} != {place}"), Some(text.clone())),
        Condition::Contains(text) if list => {
            (format!("arrayExists(item -> ilike(toString(item), ?), {column})"), Some(like(text)))
        }
        Condition::Contains(text) => (format!("toString({column}) ILIKE ?"), Some(like(text))),
        Condition::Exists if list => (format!("notEmpty({column})"), None),
        Condition::Absent if list => (format!("empty({column})"), None),
        Condition::Exists => (format!("isNotNull({column})"), None),
        Condition::Absent => (format!("isNull({column})"), None),
    };
    conditions.add(format!("({sql})"), value.map(Bound::Text));
    Ok(())
}

/// A `?` as a value of the column's type; what is not one equals nothing.
const fn place(kind: Kind) -> &'static str {
    match kind {
        Kind::Long | Kind::Longs => "toInt64OrNull(?)",
        Kind::Float => "toFloat64OrNull(?)",
        Kind::Ip | Kind::Ips => "toIPv6OrNull(?)",
        Kind::Date => "parseDateTime64BestEffortOrNull(?, 9, 'UTC')",
        Kind::Bool => "(? = 'true')",
        _ => "?",
    }
}

/// Fields without a column hold JSON text. Of a list each element is compared, as in a column of lists.
fn add_rest(conditions: &mut Where, name: String, condition: &Condition) {
    let here = Bound::Text(name);
    let text = element_text("item");
    let bound = |value: String| [here.clone(), Bound::Text(value), here.clone(), here.clone(), here.clone()];
    match condition {
        Condition::Is(value) => {
            conditions.add(elements("arrayExists", &format!("{text} = ?")), bound(value.clone()));
        }
        Condition::IsNot(value) => {
            conditions.add(elements("arrayAll", &format!("{text} != ?")), bound(value.clone()));
        }
        Condition::Contains(value) => {
            conditions.add(elements("arrayExists", &format!("{text} ILIKE ?")), bound(like(value)));
        }
        Condition::Exists => conditions.add(format!("rest[?] NOT IN {NOTHING}"), [here]),
        Condition::Absent => conditions.add(format!("rest[?] IN {NOTHING}"), [here]),
    }
}

/// Whether there is a value, and `holds` of its elements pass the test of `item`.
fn elements(holds: &str, test: &str) -> String {
    format!("(rest[?] NOT IN {NOTHING} AND {holds}(item -> {test}, {ELEMENTS}))")
}

/// What a field outside the columns holds when it has no value; a key that is not there gives an empty text.
const NOTHING: &str = "('', 'null', '[]')";

/// The elements of a field outside the columns as JSON texts; a scalar is its only one. The name is bound three times.
pub(super) const ELEMENTS: &str = "if(startsWith(rest[?], '['), JSONExtractArrayRaw(rest[?]), [rest[?]])";

/// SQL for what the element of a list (an expression that holds its JSON text) reads as: 5.0 is 5.
pub(super) fn element_text(json: &str) -> String {
    format!(
        "if(startsWith({json}, '\"'), JSONExtractString({json}), replaceRegexpOne({json}, '\\\\.0$', ''))"
    )
}

/// A pattern of LIKE that finds the text anywhere.
fn like(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

impl StoreClient {
    /// The event of this id.
    pub async fn event(&self, scope: &Scope, id: &str) -> Result<Option<Event>> {
        let mut conditions = Where::default();
        conditions.add("event_id = ?", [Bound::Text(id.to_owned())]);
        Ok(self.events_where(scope, conditions, "timestamp", 1).await?.pop())
    }

    /// Events that the filter takes, newest first, at most `limit` (and [`MAX_EVENTS`]).
    pub async fn search_events(&self, scope: &Scope, filter: &EventFilter, limit: u32) -> Result<Vec<Event>> {
        self.events_where(scope, filter.conditions()?, "timestamp DESC, event_id DESC", limit).await
    }

    /// How many events the filter takes.
    pub async fn count_events(&self, scope: &Scope, filter: &EventFilter) -> Result<u64> {
        let conditions = filter.conditions()?;
        let sql = format!("SELECT count() FROM dongson.events WHERE {}", conditions.sql());
        Ok(conditions.bind(self.ask(scope, &sql)?).fetch_one().await?)
    }

    /// Events of one agency around a moment that share one of the entities, oldest first.
    pub async fn events_around(&self, scope: &Scope, around: &Around, limit: u32) -> Result<Vec<Event>> {
        self.events_where(scope, around.conditions()?, "timestamp, event_id", limit).await
    }

    async fn events_where(
        &self,
        scope: &Scope,
        conditions: Where,
        order: &str,
        limit: u32,
    ) -> Result<Vec<Event>> {
        let columns: Vec<String> = column_names().iter().map(|name| format!("`{name}`")).collect();
        let sql = format!(
            "SELECT {} FROM dongson.events WHERE {} ORDER BY {order} LIMIT 1 BY event_id LIMIT {}",
            columns.join(","),
            conditions.sql(),
            limit.min(MAX_EVENTS)
        );
        let mut cursor = conditions.bind(self.ask(scope, &sql)?).fetch_bytes("RowBinary")?;
        let mut answer = Vec::new();
        while let Some(piece) = cursor.next().await? {
            if answer.len() + piece.len() > MAX_ANSWER_BYTES {
                return Err(StoreError::BadQuestion(
                    "the answer is longer than 64 MiB: ask for less".to_owned(),
                ));
            }
            answer.extend_from_slice(&piece);
        }
        let mut rest = answer.as_slice();
        std::iter::from_fn(|| read_event(&mut rest).transpose()).collect()
    }
}
