//! Counting for charts, from the tables per minute.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::Period;
use crate::{Result, Scope, StoreClient};

/// Events of one dataset in one bucket of time.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct EventBucket {
    /// Start of the bucket, seconds since 1970 UTC.
    pub start: u32,
    /// The dataset.
    pub dataset: String,
    /// How many.
    pub count: u64,
}

/// Alerts of one level in one bucket of time.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct AlertBucket {
    /// Start of the bucket, seconds since 1970 UTC.
    pub start: u32,
    /// Sigma's level.
    pub level: String,
    /// How many.
    pub count: u64,
}

/// How often something occurred.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct Count {
    /// What: a rule, an agency, a level, a dataset.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// Shortest bucket: the tables count per minute.
const MIN_BUCKET_SECONDS: u32 = 60;
/// Longest list of a "top" question.
const MAX_TOP: u32 = 1_000;

const IN_PERIOD: &str = "minute >= toStartOfMinute(toDateTime(?, 'UTC')) AND minute < toDateTime(?, 'UTC')";

fn seconds(period: Period) -> (u32, u32) {
    let clamp = |seconds: i64| u32::try_from(seconds.max(0)).unwrap_or(u32::MAX);
    (clamp(period.from.seconds()), clamp(period.to.seconds()))
}

impl StoreClient {
    /// Events per bucket and dataset, oldest first. Buckets lie on a grid from 1970 UTC; minutes at least. Events whose
    /// claimed time was older than their source can spool are left out: they stand at a time that is not theirs.
    /// `drill`: only those of drills, only real ones, or (none) both.
    pub async fn events_per_bucket(
        &self,
        scope: &Scope,
        period: Period,
        seconds_each: u32,
        drill: Option<bool>,
    ) -> Result<Vec<EventBucket>> {
        let drill = match drill {
            None => "",
            Some(true) => " AND dongson_drill != ''",
            Some(false) => " AND dongson_drill = ''",
        };
        let sql = format!(
            "SELECT toUInt32(intDiv(toUInt32(minute), ?) * ?) AS start, toString(event_dataset) AS dataset, \
             sum(events) AS count FROM dongson.events_per_minute WHERE {IN_PERIOD} AND clamped = 0{drill} \
             GROUP BY start, dataset \
             ORDER BY start, dataset"
        );
        let (from, to) = seconds(period);
        let step = seconds_each.max(MIN_BUCKET_SECONDS);
        Ok(self.ask(scope, &sql)?.bind(step).bind(step).bind(from).bind(to).fetch_all().await?)
    }

    /// Alerts per bucket and level, oldest first.
    pub async fn alerts_per_bucket(
        &self,
        scope: &Scope,
        period: Period,
        seconds_each: u32,
    ) -> Result<Vec<AlertBucket>> {
        let sql = format!(
            "SELECT toUInt32(intDiv(toUInt32(minute), ?) * ?) AS start, toString(level) AS level, sum(alerts) AS count \
             FROM dongson.alerts_per_minute WHERE {IN_PERIOD} GROUP BY start, level ORDER BY start, level"
        );
        let (from, to) = seconds(period);
        let step = seconds_each.max(MIN_BUCKET_SECONDS);
        Ok(self.ask(scope, &sql)?.bind(step).bind(step).bind(from).bind(to).fetch_all().await?)
    }

    /// The rules with most alerts, by rule id.
    pub async fn top_rules(&self, scope: &Scope, period: Period, limit: u32) -> Result<Vec<Count>> {
        self.top(scope, "rule_id", "alerts", "alerts_per_minute", period, limit).await
    }

    /// The agencies with most alerts.
    pub async fn top_organizations(&self, scope: &Scope, period: Period, limit: u32) -> Result<Vec<Count>> {
        self.top(scope, "organization_id", "alerts", "alerts_per_minute", period, limit).await
    }

    /// The alerts by level.
    pub async fn alerts_by_level(&self, scope: &Scope, period: Period) -> Result<Vec<Count>> {
        self.top(scope, "level", "alerts", "alerts_per_minute", period, MAX_TOP).await
    }

    /// The events by dataset.
    pub async fn events_by_dataset(&self, scope: &Scope, period: Period) -> Result<Vec<Count>> {
        self.top(scope, "event_dataset", "events", "events_per_minute", period, MAX_TOP).await
    }

    /// The events by agency.
    pub async fn events_by_organization(&self, scope: &Scope, period: Period) -> Result<Vec<Count>> {
        self.top(scope, "organization_id", "events", "events_per_minute", period, MAX_TOP).await
    }

    async fn top(
        &self,
        scope: &Scope,
        column: &str,
        measure: &str,
        table: &str,
        period: Period,
        limit: u32,
    ) -> Result<Vec<Count>> {
        let sql = format!(
            "SELECT toString({column}) AS name, sum({measure}) AS count FROM dongson.{table} WHERE {IN_PERIOD} \
             GROUP BY name ORDER BY count DESC, name LIMIT ?"
        );
        let (from, to) = seconds(period);
        Ok(self.ask(scope, &sql)?.bind(from).bind(to).bind(limit.min(MAX_TOP)).fetch_all().await?)
    }
}
