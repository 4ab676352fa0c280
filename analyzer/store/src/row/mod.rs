//! Events as rows of `dongson.events`, and back without loss.
//!
//! A field of the table has its column; the value stands there when the column's type holds it exactly. What a column
//! does not hold exactly (text where a number belongs, a null, an empty list, an address written unusually) and every
//! field without a column stands in `rest` as JSON text. A value in `rest` wins over its column, which then holds the
//! nearest value that SQL can search. The raw record stands in `original`.

mod binary;
mod block;
mod cell;
mod selected;
pub(crate) mod words;

use std::collections::BTreeMap;

use dongson_event::Event;
use dongson_event::fields::{self, Field};
use dongson_event::transparency::SegmentId;

use crate::{Result, StoreError};
pub use block::{EventRows, Sealing};
pub(crate) use selected::Selected;

/// The fields that every stored event has; their columns are not nullable.
pub const REQUIRED: [&str; 5] =
    ["@timestamp", "event.ingested", "event.id", "organization.id", "event.dataset"];
/// The field that has a column of another kind: the raw record.
const ORIGINAL: &str = "event.original";

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

/// Takes the next row off `bytes` (`RowBinary` of [`column_names`]); `None` at the end.
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

/// Names of the columns that [`read_logged`] takes.
pub(crate) fn logged_names() -> Vec<String> {
    column_names().into_iter().chain(["segment", "place", "leaf"].map(str::to_owned)).collect()
}

/// A stored event and where it stands in the transparency log.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedRow {
    /// The event.
    pub event: Event,
    /// How many days it is kept.
    pub days: u16,
    /// Its segment; `None` of rows from before the log.
    pub segment: Option<SegmentId>,
    /// Its place there.
    pub place: u32,
    /// The first two bytes of the hash that it had when it was written.
    pub check: u16,
}

/// Takes the next row of [`logged_names`] off `bytes`; `None` at the end.
///
/// # Errors
/// `Unreadable` when the bytes are not rows of this version's columns.
pub(crate) fn read_logged(bytes: &mut &[u8]) -> Result<Option<LoggedRow>> {
    let fields: Vec<&'static Field> = columns().collect();
    let whole = Selected { columns: &fields, original: true, most_chars: usize::MAX };
    let Some((event, _)) = whole.take(bytes)? else { return Ok(None) };
    let mut numbers = || {
        let days = binary::take_u16(bytes)?;
        let segment = SegmentId::from_number(binary::take_u64(bytes)?);
        Some((days, segment, binary::take_u32(bytes)?, binary::take_u16(bytes)?))
    };
    let (days, segment, place, check) =
        numbers().ok_or_else(|| StoreError::Unreadable("a row of events ends too early".to_owned()))?;
    Ok(Some(LoggedRow { event, days, segment, place, check }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            drop(read_event(&mut bytes.as_slice()));
        }
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
