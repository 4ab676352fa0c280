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

use crate::{Result, StoreError};
pub use block::EventRows;
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
