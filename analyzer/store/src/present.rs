//! What the store has already of a batch that is written again.
//!
//! A token drops an insert that is repeated, as far as the engine remembers it: it writes its memory of tokens without
//! syncing it, so after a power cut it may have the rows of an insert and not know its token. Whoever repeats a batch
//! after a crash asks here first and leaves out what is there.

use std::collections::HashSet;

use clickhouse::Row;
use dongson_event::Timestamp;
use serde::Deserialize;

use crate::{Result, StoreClient};

/// Ids of one question: of a UUID's length they stay far below the longest statement.
const IDS: usize = 5_000;

#[derive(Row, Deserialize)]
struct Id {
    id: String,
}

impl StoreClient {
    /// Which of the events `ids` the store has; they were taken (`event.ingested`) from `first` to `last`.
    pub async fn present_events(
        &self,
        ids: &[String],
        (first, last): (Timestamp, Timestamp),
    ) -> Result<HashSet<String>> {
        // Parts know the times of their rows, so only the youngest are read.
        let within = format!(
            "event_ingested BETWEEN fromUnixTimestamp64Nano({}, 'UTC') AND fromUnixTimestamp64Nano({}, 'UTC')",
            first.nanos(),
            last.nanos()
        );
        self.present(
            &format!("SELECT event_id AS id FROM dongson.events WHERE {within} AND event_id IN ?"),
            ids,
        )
        .await
    }

    /// Which of the signals `ids` the store has.
    pub async fn present_signals(&self, ids: &[String]) -> Result<HashSet<String>> {
        self.present("SELECT signal_id AS id FROM dongson.signals WHERE signal_id IN ?", ids).await
    }

    /// Which of the alerts `ids` the store has.
    pub async fn present_alerts(&self, ids: &[String]) -> Result<HashSet<String>> {
        self.present("SELECT alert_id AS id FROM dongson.alerts WHERE alert_id IN ?", ids).await
    }

    async fn present(&self, sql: &str, ids: &[String]) -> Result<HashSet<String>> {
        let mut found = HashSet::new();
        for some in ids.chunks(IDS) {
            let rows = self.writer().query(sql).bind(some).fetch_all::<Id>().await?;
            found.extend(rows.into_iter().map(|row| row.id));
        }
        Ok(found)
    }
}
