//! Events as rows of `dongson.events`, and back without loss.
//!
//! A field of the table has its column; the value stands there when the column's type holds it exactly. What a column
//! does not hold exactly (text where a number belongs, a null, an empty list, an address written unusually) and every
//! field without a column stands in `rest` as JSON text. A value in `rest` wins over its column, which then holds the
//! nearest value that SQL can search. The raw record stands in `original`.

mod binary;
mod cell;
mod selected;
pub(crate) mod words;

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use dongson_event::fields::{self, Field};
use dongson_event::{Event, Value};

use crate::migrations::SEARCHED;
use crate::{Result, StoreError};
use cell::Cell;
pub(crate) use selected::Selected;

/// The fields that every stored event has; their columns are not nullable.
pub const REQUIRED: [&str; 5] =
    ["@timestamp", "event.ingested", "event.id", "organization.id", "event.dataset"];
/// The field that has a column of another kind: the raw record.
const ORIGINAL: &str = "event.original";

/// One of the columns that are made from the table of fields.
struct Column {
    /// Its place among them.
    number: u16,
    field: &'static Field,
    /// Whether every row has it.
    required: bool,
    /// Whether `q=` looks into it.
    searched: bool,
}

/// The columns by the names of their fields.
static COLUMNS: LazyLock<HashMap<&'static str, Column, ahash::RandomState>> = LazyLock::new(|| {
    let numbered = (0_u16..).zip(columns());
    numbered
        .map(|(number, field)| {
            let required = REQUIRED.contains(&field.name);
            let searched = SEARCHED.contains(&field.column_name().as_str());
            (field.name, Column { number, field, required, searched })
        })
        .collect()
});

/// The columns that are made from the table of fields, in its order.
pub(crate) fn columns() -> impl Iterator<Item = &'static Field> {
    fields::columns()
}

/// Names of all columns that an event is read from, in the order of a row.
pub(crate) fn column_names() -> Vec<String> {
    let own = ["original", "rest", "retention_days"].map(str::to_owned);
    columns().map(Field::column_name).chain(own).collect()
}

/// How long events are kept, in days, by dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// For datasets without a line of their own.
    pub default_days: u16,
    /// Days by dataset or by its beginning up to a dot (`sensor` is for `sensor.dns` too); the longest wins.
    pub datasets: BTreeMap<String, u16>,
}

impl Default for RetentionPolicy {
    /// One year; traffic metadata 180 days.
    fn default() -> Self {
        Self { default_days: 365, datasets: BTreeMap::from([("sensor".to_owned(), 180)]) }
    }
}

impl RetentionPolicy {
    /// The days for `dataset`.
    pub fn days(&self, dataset: &str) -> u16 {
        let mut name = dataset;
        loop {
            if let Some(days) = self.datasets.get(name) {
                return *days;
            }
            match name.rsplit_once('.') {
                Some((parent, _)) => name = parent,
                None => return self.default_days,
            }
        }
    }
}

/// One row, encoded. Columns in which nothing stands take no room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventRow {
    /// The cells one after the other, then what every row has: original, rest, `retention_days`, words.
    bytes: Vec<u8>,
    /// Number of the column of each cell, rising, and where the cell ends in `bytes`.
    cells: Vec<(u16, u32)>,
}

impl EventRow {
    /// Encodes `event`.
    ///
    /// # Errors
    /// `Incomplete` when one of [`REQUIRED`] is absent or not of its type.
    pub fn from_event(event: &Event, retention: &RetentionPolicy) -> Result<Self> {
        let mut placed: Vec<(&Column, &Value)> = Vec::with_capacity(event.len());
        let mut other = Vec::new();
        for (name, value) in event.iter() {
            match COLUMNS.get(name) {
                Some(column) => placed.push((column, value)),
                None => other.push((name, value)),
            }
        }
        placed.sort_unstable_by_key(|(column, _)| column.number);
        let mut row = Self { bytes: Vec::with_capacity(512), cells: Vec::with_capacity(placed.len()) };
        let (mut rest, mut required, mut words) = (Vec::new(), 0, String::new());
        for (column, value) in placed {
            let field = column.field;
            let cell = Cell::of(field.kind, value);
            if !cell.says(field.kind, value) {
                rest.push((field.name, value));
            }
            if column.searched
                && let Cell::Text(text) = &cell
            {
                words::put_beyond_ascii(text, &mut words);
            }
            if cell != Cell::Null {
                required += usize::from(column.required);
                binary::put_cell(&mut row.bytes, field.kind, &cell, !column.required);
                row.cells.push((column.number, u32::try_from(row.bytes.len()).unwrap_or(u32::MAX)));
            }
        }
        if required < REQUIRED.len() {
            return Err(Self::incomplete(event));
        }
        rest.extend(other);
        row.put_tail(&rest, &mut words)?;
        row.bytes.extend_from_slice(&retention.days(event.dataset()).to_le_bytes());
        binary::put_text(&mut row.bytes, &words);
        Ok(row)
    }

    /// Which required field is absent, or not of its type.
    fn incomplete(event: &Event) -> StoreError {
        let lacks = |name: &&&'static str| {
            let column = COLUMNS.get(**name);
            let cell = column.zip(event.get(name)).map(|(column, value)| Cell::of(column.field.kind, value));
            cell.is_none_or(|cell| cell == Cell::Null)
        };
        let field = REQUIRED.iter().find(lacks).copied().unwrap_or_default();
        StoreError::Incomplete { id: event.id().to_owned(), field }
    }

    /// The raw record, and as JSON what stands in no column or only partly.
    fn put_tail(&mut self, rest: &[(&str, &Value)], words: &mut String) -> Result<()> {
        let original =
            rest.iter().find_map(|(name, value)| if *name == ORIGINAL { value.as_str() } else { None });
        words::put_beyond_ascii(original.unwrap_or_default(), words);
        binary::put_nullable_text(&mut self.bytes, original);
        let rest = rest.iter().filter(|(name, _)| original.is_none() || *name != ORIGINAL);
        binary::put_count(&mut self.bytes, rest.clone().count());
        for (name, value) in rest {
            binary::put_text(&mut self.bytes, name);
            let json =
                serde_json::to_string(value).map_err(|error| StoreError::Unreadable(error.to_string()))?;
            binary::put_text(&mut self.bytes, &json);
        }
        Ok(())
    }

    /// Bytes that it takes at most in an insert.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + columns().count()
    }

    /// The columns in which something stands in any of `rows`: an insert names these alone, which the engine takes
    /// more than twice as fast.
    pub(crate) fn filled<'r>(rows: impl IntoIterator<Item = &'r Self>) -> Vec<(u16, &'static Field)> {
        let mut filled = vec![false; columns().count()];
        for (number, _) in rows.into_iter().flat_map(|row| &row.cells) {
            if let Some(seen) = filled.get_mut(usize::from(*number)) {
                *seen = true;
            }
        }
        (0_u16..).zip(columns()).zip(filled).filter(|(_, filled)| *filled).map(|(column, _)| column).collect()
    }

    /// Appends the row in `RowBinary`: these columns, then original, rest, `retention_days` and words.
    pub(crate) fn write(&self, filled: &[(u16, &'static Field)], bytes: &mut impl bytes::BufMut) {
        let (mut cells, mut start) = (self.cells.iter().peekable(), 0);
        for (number, field) in filled {
            match cells.next_if(|(held, _)| held == number) {
                Some((_, end)) => {
                    let end = usize::try_from(*end).unwrap_or(usize::MAX);
                    bytes.put_slice(self.bytes.get(start..end).unwrap_or_default());
                    start = end;
                }
                // No element in a list, otherwise null.
                None => bytes.put_u8(u8::from(cell::element(field.kind).is_none())),
            }
        }
        bytes.put_slice(self.bytes.get(start..).unwrap_or_default());
    }

    /// Takes the next row off `bytes`; `None` at the end.
    ///
    /// # Errors
    /// `Unreadable` when the bytes are not rows of this version's columns.
    pub(crate) fn read_event(bytes: &mut &[u8]) -> Result<Option<Event>> {
        let fields: Vec<&'static Field> = columns().collect();
        let whole = Selected { columns: &fields, original: true, most_chars: usize::MAX };
        let Some((event, _)) = whole.take(bytes)? else { return Ok(None) };
        binary::take_u16(bytes)
            .ok_or_else(|| StoreError::Unreadable("a row of events ends too early".to_owned()))?;
        Ok(Some(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dongson_event::Timestamp;
    use proptest::prelude::*;

    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::Float),
            any::<String>().prop_map(Value::from),
            Just(Value::from("")),
            any::<std::net::IpAddr>().prop_map(Value::from),
            Just(Value::from("::ffff:10.0.0.1")),
            any::<i64>().prop_map(|nanos| Value::from(Timestamp::from_nanos(nanos))),
            Just(Value::from("2026-11-23T09:05:12+07:00")),
            any::<u16>().prop_map(|number| Value::from(number.to_string())),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![3 => scalar(), 1 => prop::collection::vec(scalar(), 0..4).prop_map(Value::List)]
    }

    fn name() -> impl Strategy<Value = String> {
        let known = (0..fields::FIELDS.len()).prop_map(|at| fields::FIELDS.get(at).unwrap().name.to_owned());
        prop_oneof![5 => known, 1 => "[a-z.@\u{1ea1}]{1,12}"]
    }

    proptest! {
        #[test]
        fn an_event_comes_back_whole(pairs in prop::collection::vec((name(), value()), 0..30), moment: i64, taken: i64) {
            let mut event = Event::new();
            for (name, value) in pairs {
                event.set(name, value);
            }
            event.set("@timestamp", Timestamp::from_nanos(moment));
            event.set("event.ingested", Timestamp::from_nanos(taken));
            event.set("event.id", "0198");
            event.set("organization.id", "so-yte");
            event.set("event.dataset", "sshd");
            let row = EventRow::from_event(&event, &RetentionPolicy::default()).unwrap();
            let all: Vec<_> = (0..).zip(columns()).collect();
            let mut written = Vec::new();
            row.write(&all, &mut written);
            prop_assert!(written.len() <= row.size());
            let mut bytes = written.as_slice();
            prop_assert_eq!(EventRow::read_event(&mut bytes).unwrap(), Some(event));
            prop_assert!(binary::take_text(&mut bytes).is_some(), "the words are written, not read");
            prop_assert_eq!(EventRow::read_event(&mut bytes).unwrap(), None);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            drop(EventRow::read_event(&mut bytes.as_slice()));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let event = Event::of("sshd", Timestamp::from_nanos(0));
        let missing = EventRow::from_event(&event, &RetentionPolicy::default());
        assert!(
            matches!(missing, Err(StoreError::Incomplete { field: "event.ingested", .. })),
            "{missing:?}"
        );
    }

    #[test]
    fn retention_goes_by_the_longest_name() {
        let policy = RetentionPolicy {
            default_days: 1,
            datasets: BTreeMap::from([("sensor".to_owned(), 2), ("sensor.dns".to_owned(), 3)]),
        };
        assert_eq!(["sshd", "sensor.tls", "sensor.dns"].map(|dataset| policy.days(dataset)), [1, 2, 3]);
    }
}
