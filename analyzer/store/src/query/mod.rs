//! The questions of the console. Each asks for a [`Scope`] and never tells of rows outside it.

mod counts;
mod events;
mod group;
pub(crate) mod listing;
mod logged;
mod prove;

use dongson_event::{Alert, Signal, Timestamp};

use crate::facts::{AlertRow, SignalRow};
use crate::{Result, Scope, StoreClient};

pub use counts::{AlertBucket, Count, EventBucket};
pub use events::{Around, Condition, EventFilter, MAX_EVENTS};
pub use group::{Span, TopValues};
pub use listing::{LISTED_CHARS, Listed, Listing};
pub use prove::StoredProof;

/// A time from `from` up to, not with, `to`, by the time of the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// First moment.
    pub from: Timestamp,
    /// First moment after.
    pub to: Timestamp,
}

/// An alert as it was written.
pub type StoredAlert = Alert;

impl StoreClient {
    /// The alert of this id.
    pub async fn alert(&self, scope: &Scope, id: &str) -> Result<Option<StoredAlert>> {
        let sql = "SELECT ?fields FROM dongson.alerts WHERE alert_id = ? ORDER BY ingested LIMIT 1";
        let row = self.ask(scope, sql)?.bind(id).fetch_optional::<AlertRow>().await?;
        row.map(AlertRow::into_alert).transpose()
    }

    /// The signals that belong to an alert, oldest first, at most `limit`.
    pub async fn signals_of_alert(&self, scope: &Scope, alert_id: &str, limit: u32) -> Result<Vec<Signal>> {
        let sql = "SELECT ?fields FROM dongson.signals WHERE alert_id = ? ORDER BY timestamp, signal_id \
                   LIMIT 1 BY signal_id LIMIT ?";
        let rows = self.ask(scope, sql)?.bind(alert_id).bind(limit).fetch_all::<SignalRow>().await?;
        rows.into_iter().map(SignalRow::into_signal).collect()
    }
}
