//! The past as it came: events in the order of intake, and the alerts of that time. For the centre's own tools, over all
//! agencies.

use std::collections::BTreeSet;

use dongson_event::{Alert, Event};

use super::Period;
use crate::facts::AlertRow;
use crate::row::{column_names, read_event};
use crate::{Result, StoreClient, StoreError};

/// Most alerts of one answer.
const MAX_ALERTS: usize = 1_000_000;
/// Ids of one question.
const IDS: usize = 10_000;
/// Longest row that is waited for whole.
const MAX_ROW_BYTES: usize = 64 << 20;
/// What sorting may hold in memory; beyond it the store sorts on its disk.
const SORT_BYTES: &str = "268435456";

impl StoreClient {
    /// Gives every event that was taken in within `period` to `each`, by time of intake, then by id; tells how many.
    ///
    /// # Errors
    /// The store's, or what `each` says.
    pub async fn events_by_intake<E: From<StoreError>>(
        &self,
        period: Period,
        mut each: impl FnMut(Event) -> std::result::Result<(), E>,
    ) -> std::result::Result<u64, E> {
        let columns: Vec<String> = column_names().iter().map(|name| format!("`{name}`")).collect();
        let sql = format!(
            "SELECT {} FROM dongson.events WHERE event_ingested >= fromUnixTimestamp64Nano(toInt64(?), 'UTC') \
             AND event_ingested < fromUnixTimestamp64Nano(toInt64(?), 'UTC') ORDER BY event_ingested, event_id",
            columns.join(",")
        );
        let query = self.writer().query(&sql).bind(period.from.nanos()).bind(period.to.nanos());
        let query = query.with_setting("max_bytes_before_external_sort", SORT_BYTES);
        let mut cursor = query.fetch_bytes("RowBinary").map_err(StoreError::from)?;
        let (mut waiting, mut count) = (Vec::new(), 0);
        while let Some(piece) = cursor.next().await.map_err(StoreError::from)? {
            waiting.extend_from_slice(&piece);
            let mut rest = waiting.as_slice();
            loop {
                let mut after = rest;
                // A row whose end is still to come cannot be read yet.
                let Ok(Some(event)) = read_event(&mut after) else { break };
                rest = after;
                count += 1;
                each(event)?;
            }
            let left = rest.len();
            if left > MAX_ROW_BYTES {
                return Err(StoreError::Unreadable("a row of events has no end".to_owned()).into());
            }
            waiting.drain(..waiting.len() - left);
        }
        if waiting.is_empty() {
            return Ok(count);
        }
        Err(StoreError::Unreadable("the last row of events ends too early".to_owned()).into())
    }

    /// The alerts whose first match was taken in within `period`.
    ///
    /// # Errors
    /// `BadQuestion` for more than a million.
    pub async fn alerts_by_intake(&self, period: Period) -> Result<Vec<Alert>> {
        let sql = "SELECT ?fields FROM dongson.alerts WHERE ingested >= fromUnixTimestamp64Nano(toInt64(?), 'UTC') \
                   AND ingested < fromUnixTimestamp64Nano(toInt64(?), 'UTC') ORDER BY ingested LIMIT 1 BY alert_id LIMIT ?";
        let query = self.writer().query(sql).bind(period.from.nanos()).bind(period.to.nanos());
        let rows = query.bind(MAX_ALERTS + 1).fetch_all::<AlertRow>().await?;
        if rows.len() > MAX_ALERTS {
            return Err(StoreError::BadQuestion(format!(
                "there are more than {MAX_ALERTS} alerts: ask for less time"
            )));
        }
        rows.into_iter().map(AlertRow::into_alert).collect()
    }

    /// Which of these alerts exist, whenever they were found.
    pub async fn known_alerts(&self, ids: &[String]) -> Result<BTreeSet<String>> {
        let mut known = BTreeSet::new();
        for ids in ids.chunks(IDS) {
            let sql = "SELECT DISTINCT alert_id FROM dongson.alerts WHERE alert_id IN ?";
            known.extend(self.writer().query(sql).bind(ids).fetch_all::<String>().await?);
        }
        Ok(known)
    }
}
