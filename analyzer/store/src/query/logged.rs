//! Stored events with what the transparency log needs to find and to prove them.

use dongson_event::transparency::SegmentId;

use crate::row::{LoggedRow, logged_names, read_logged};
use crate::{Result, Scope, StoreClient, StoreError};

/// Most rows of one page, and of a page where rows are so long that such a page is too large.
const PAGES: [u32; 2] = [4_000, 200];
/// Most bytes of a page.
const MAX_PAGE_BYTES: usize = 256 << 20;

impl StoreClient {
    /// The next rows of a segment from place `from` on, in the order of their places; none at its end. Only days of arrival
    /// (days since 1970) among `days` are looked at, all where there are none.
    pub async fn segment_rows(&self, segment: SegmentId, from: u32, days: &[i64]) -> Result<Vec<LoggedRow>> {
        let mut within = String::new();
        if !days.is_empty() {
            let list: Vec<String> = days.iter().map(|day| format!("toYYYYMMDD(toDate({day}))")).collect();
            within = format!(" AND toYYYYMMDD(event_ingested) IN ({})", list.join(","));
        }
        for page in PAGES {
            let sql = format!(
                "SELECT {} FROM dongson.events WHERE segment = {} AND place >= {from}{within} \
                 ORDER BY place LIMIT {page} WITH TIES",
                names(),
                segment.number()
            );
            if let Some(rows) = self.logged_where(&Scope::All, &sql, None).await? {
                return Ok(rows);
            }
        }
        Err(too_large())
    }

    /// The stored rows of an event: one, if nobody put another there.
    pub async fn logged_event(&self, scope: &Scope, id: &str) -> Result<Vec<LoggedRow>> {
        let sql = format!(
            "SELECT {} FROM dongson.events WHERE event_id = ? ORDER BY segment, place LIMIT 10",
            names()
        );
        self.logged_where(scope, &sql, Some(id)).await?.ok_or_else(too_large)
    }

    /// How many rows each segment has (number as in [`SegmentId::number`], 0: none), of the rows that came at `since` or
    /// later (nanoseconds since 1970); at most a hundred thousand segments.
    pub async fn segment_counts(&self, since: i64) -> Result<Vec<(u64, u64)>> {
        let sql = "SELECT segment, count() FROM dongson.events \
                   WHERE event_ingested >= fromUnixTimestamp64Nano(toInt64(?), 'UTC') GROUP BY segment LIMIT 100000";
        Ok(self.ask(&Scope::All, sql)?.bind(since).fetch_all().await?)
    }

    /// The rows of a question; `None` when they are too many bytes.
    async fn logged_where(
        &self,
        scope: &Scope,
        sql: &str,
        id: Option<&str>,
    ) -> Result<Option<Vec<LoggedRow>>> {
        let query = self.ask(scope, sql)?;
        let query = id.into_iter().fold(query, clickhouse::query::Query::bind);
        let mut cursor = query.fetch_bytes("RowBinary")?;
        let mut answer = Vec::new();
        while let Some(piece) = cursor.next().await? {
            if answer.len() + piece.len() > MAX_PAGE_BYTES {
                return Ok(None);
            }
            answer.extend_from_slice(&piece);
        }
        let mut rest = answer.as_slice();
        std::iter::from_fn(|| read_logged(&mut rest).transpose()).collect::<Result<_>>().map(Some)
    }
}

fn too_large() -> StoreError {
    StoreError::BadQuestion("two hundred rows of a segment are longer than 256 MiB".to_owned())
}

fn names() -> String {
    logged_names().iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(",")
}
