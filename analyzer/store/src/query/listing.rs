//! Lists of events: only the fields that are asked for, each value short, the answer bounded. A single event comes
//! whole by its id.

use dongson_event::Event;
use dongson_event::fields::{Field, Kind};

use super::events::{Around, EventFilter, Where};
use crate::row::{Selected, columns};
use crate::{Result, Scope, StoreClient, StoreError};

/// Most characters of a value in a list.
pub const LISTED_CHARS: usize = 2_000;
/// Characters of a text that are read: those of a value as JSON with its quotes, and enough to see that there are more.
pub(crate) const READ_CHARS: usize = LISTED_CHARS + 100;
/// Most elements of a list value that are read.
const READ_ELEMENTS: usize = 101;
/// Where reading an answer stops, in bytes on the wire: rows that are not wholly there by then are left out.
const READ_BYTES: usize = 16 << 20;

/// An event of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its time, id, agency, dataset and what was asked for.
    pub event: Event,
    /// The fields whose values are shorter here than they are stored, by name.
    pub truncated: Vec<String>,
}

/// Events of a list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Listing {
    /// In the order that was asked for.
    pub events: Vec<Listed>,
    /// Whether the answer ended before the limit because it would have been too long.
    pub cut: bool,
}

/// The fields that a list shows.
struct Shown {
    columns: Vec<&'static Field>,
    original: bool,
    /// Fields by name that may stand outside their columns; all if none.
    rest: Option<Vec<String>>,
}

impl Shown {
    /// The named fields besides those that every event has; all when `names` is empty.
    fn of(names: &[String]) -> Self {
        if names.is_empty() {
            return Self { columns: columns().collect(), original: true, rest: None };
        }
        let wanted = |field: &&Field| {
            crate::REQUIRED.contains(&field.name) || names.iter().any(|name| name == field.name)
        };
        Self {
            columns: columns().filter(wanted).collect(),
            original: names.iter().any(|name| name == "event.original"),
            rest: Some(names.to_vec()),
        }
    }

    /// What stands after SELECT. The names are bound where there are any.
    fn sql(&self) -> String {
        let mut parts: Vec<String> = self.columns.iter().map(|field| short(field)).collect();
        if self.original {
            parts.push(format!("leftUTF8(original, {READ_CHARS})"));
        }
        let rest = if self.rest.is_some() { "mapFilter((name, value) -> name IN ?, rest)" } else { "rest" };
        parts.push(format!("mapApply((name, value) -> (name, leftUTF8(value, {READ_CHARS})), {rest})"));
        parts.join(", ")
    }
}

/// A column without what a list does not show of it.
fn short(field: &Field) -> String {
    let name = format!("`{}`", field.column_name());
    if matches!(field.name, "event.id" | "organization.id") {
        return name;
    }
    match field.kind {
        Kind::Keyword | Kind::LowKeyword | Kind::Text => format!("leftUTF8({name}, {READ_CHARS})"),
        Kind::Keywords => {
            format!("arrayMap(item -> leftUTF8(item, {READ_CHARS}), arraySlice({name}, 1, {READ_ELEMENTS}))")
        }
        Kind::Longs | Kind::Ips => format!("arraySlice({name}, 1, {READ_ELEMENTS})"),
        _ => name,
    }
}

impl StoreClient {
    /// The named `fields` (all when empty) of the events that the filter takes, newest first, at most `limit`.
    pub async fn list_events(
        &self,
        scope: &Scope,
        filter: &EventFilter,
        fields: &[String],
        limit: u32,
    ) -> Result<Listing> {
        self.listing(scope, filter.conditions()?, &Shown::of(fields), "timestamp DESC, event_id DESC", limit)
            .await
    }

    /// Events of one agency around a moment that share one of the entities, oldest first, at most `limit`.
    pub async fn list_events_around(&self, scope: &Scope, around: &Around, limit: u32) -> Result<Listing> {
        self.listing(scope, around.conditions()?, &Shown::of(&[]), "timestamp, event_id", limit).await
    }

    async fn listing(
        &self,
        scope: &Scope,
        conditions: Where,
        shown: &Shown,
        order: &str,
        limit: u32,
    ) -> Result<Listing> {
        let sql = format!(
            "SELECT {} FROM dongson.events WHERE {} ORDER BY {order} LIMIT 1 BY event_id LIMIT {}",
            shown.sql(),
            conditions.sql(),
            limit.min(super::MAX_EVENTS)
        );
        let mut query = self.ask(scope, &sql)?;
        if let Some(names) = &shown.rest {
            query = query.bind(names);
        }
        let mut cursor = conditions.bind(query).fetch_bytes("RowBinary")?;
        let (mut answer, mut cut) = (Vec::new(), false);
        while let Some(piece) = cursor.next().await? {
            answer.extend_from_slice(&piece);
            if answer.len() > READ_BYTES {
                cut = true;
                break;
            }
        }
        read(&answer, shown, cut)
    }
}

fn read(answer: &[u8], shown: &Shown, cut: bool) -> Result<Listing> {
    let selected = Selected { columns: &shown.columns, original: shown.original, most_chars: LISTED_CHARS };
    let mut listing = Listing { events: Vec::new(), cut };
    let mut rest = answer;
    loop {
        match selected.take(&mut rest) {
            Ok(Some((event, truncated))) => listing.events.push(Listed { event, truncated }),
            Ok(None) => return Ok(listing),
            // The last row is not wholly there.
            Err(StoreError::Unreadable(_)) if cut && !listing.events.is_empty() => return Ok(listing),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_selected() {
        let some = Shown::of(&["source.ip".to_owned(), "x.y".to_owned()]).sql();
        assert!(some.contains("`source_ip`") && some.contains("name IN ?"), "{some}");
        assert!(!some.contains("original") && !some.contains("`message`"), "{some}");
        let all = Shown::of(&[]).sql();
        assert!(all.contains("leftUTF8(original") && all.contains("leftUTF8(`message`"), "{all}");
        assert!(!all.contains('?'), "{all}");
    }
}
