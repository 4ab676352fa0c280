//! The triage row of an alert: what the queue sorts and filters by. The facts of an alert are in the event store.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::database::{Connection, Flag, JsonText, QueryBuilder, query_scalar};
use crate::{Error, Millis, Registry, Result, Scope, scope::push_in};

/// How bad a match is, by its rule.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema, sqlx::Type,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "TEXT", rename_all = "snake_case")]
pub enum Level {
    /// Worth keeping, not worth looking at.
    Informational,
    /// Look when there is time.
    Low,
    /// Look today.
    Medium,
    /// Look now.
    High,
    /// Act now.
    Critical,
}

impl Level {
    /// 0 (informational) to 4 (critical).
    pub fn rank(self) -> i64 {
        self as i64
    }

    /// The name as Sigma writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl std::str::FromStr for Level {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or(Error::Invalid {
                field: "level",
                reason: "must be informational, low, medium, high or critical",
            })
    }
}

/// Where an alert is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "TEXT", rename_all = "snake_case")]
pub enum State {
    /// Nobody has looked.
    New,
    /// Somebody has taken note.
    Acknowledged,
    /// Somebody works on it, alone or within an incident.
    InProgress,
    /// Done, with a verdict.
    Closed,
}

/// What an alert or incident turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "TEXT", rename_all = "snake_case")]
pub enum Verdict {
    /// The rule was right, and it was an attack.
    TruePositive,
    /// The rule was wrong.
    FalsePositive,
    /// The rule was right, and it was allowed.
    Benign,
    /// Another alert or incident stands for it.
    Duplicate,
}

/// One alert in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::FromRow)]
pub struct Alert {
    /// Hash of what caused it (agency, rule, canonical cause).
    pub id: String,
    /// Its agency.
    pub organization: String,
    /// The node where it was first seen.
    pub node: Option<String>,
    /// The rule that matched.
    pub rule_id: String,
    /// The version of the rule that matched first.
    pub rule_version: String,
    /// Vietnamese title.
    pub title_vi: String,
    /// English title.
    pub title_en: String,
    /// How bad.
    pub level: Level,
    /// What kind of thing it is about: `source.ip`, `host.name`, `user.name`, ...
    pub entity_type: String,
    /// The thing itself.
    pub entity_value: String,
    /// Event time of the first match.
    pub first_seen: Millis,
    /// Event time of the last match.
    pub last_seen: Millis,
    /// The event of the first match.
    pub event_id: String,
    /// Matches so far.
    pub count: i64,
    /// Risk points, 0 to 100.
    pub risk: i64,
    /// ATT&CK tags, for example `attack.t1110`.
    #[sqlx(try_from = "JsonText")]
    pub tags: Vec<String>,
    /// Whether it belongs to a drill.
    #[sqlx(try_from = "Flag")]
    pub drill: bool,
    /// Where it is on its way.
    pub state: State,
    /// Account id of who works on it.
    pub owner: Option<String>,
    /// What it turned out to be.
    pub verdict: Option<Verdict>,
    /// Why it was closed.
    pub reason: Option<String>,
    /// The incident that it was linked to.
    pub incident: Option<String>,
    /// When it entered the queue.
    pub created_at: Millis,
    /// When a person first did something with it.
    pub triaged_at: Option<Millis>,
    /// When it was closed.
    pub closed_at: Option<Millis>,
    /// Rises with each act of a person; new matches leave it alone.
    pub version: i64,
    /// Rises with each change of any alert. Never shown: it would tell of other agencies.
    #[serde(skip)]
    pub change: i64,
}

/// The next number of a named counter, inside the transaction.
pub(crate) async fn next_number(tx: &mut Connection, name: &str) -> Result<i64> {
    let next = query_scalar(
        "INSERT INTO counter (name, value) VALUES ($1, 1)
         ON CONFLICT (name) DO UPDATE SET value = counter.value + 1 RETURNING value",
    )
    .bind(name)
    .fetch_one(tx)
    .await?;
    Ok(next)
}

/// The counter that orders changes of alerts.
pub(crate) const CHANGES: &str = "alert.change";

/// Those of `ids` that are in scope, in no particular order.
pub(crate) async fn fetch_many(tx: &mut Connection, scope: &Scope, ids: &[String]) -> Result<Vec<Alert>> {
    let mut query = QueryBuilder::new("SELECT * FROM alert WHERE 1 = 1");
    push_in(&mut query, "id", ids);
    scope.restrict(&mut query, "organization");
    Ok(query.build_query_as().fetch_all(tx).await?)
}

impl Registry {
    /// One alert, if it is in scope.
    pub async fn alert(&self, scope: &Scope, id: &str) -> Result<Alert> {
        let mut connection = self.readers.acquire().await?;
        fetch_many(&mut connection, scope, &[id.to_owned()]).await?.pop().ok_or(Error::NotFound("alert"))
    }

    /// The alerts in scope that changed after `after`, oldest change first, at most `limit` (1 to 1000), and the change
    /// number to go on from. The number moves past what is out of scope, so keep it to yourself.
    pub async fn alerts_changed(&self, scope: &Scope, after: i64, limit: u32) -> Result<(Vec<Alert>, i64)> {
        let mut tx = self.readers.begin().await?;
        let head: Option<i64> = query_scalar("SELECT MAX(change) FROM alert").fetch_one(&mut *tx).await?;
        let mut query = QueryBuilder::new("SELECT * FROM alert WHERE change > ");
        query.push_bind(after);
        scope.restrict(&mut query, "organization");
        let limit = limit.clamp(1, 1000);
        query.push(" ORDER BY change LIMIT ").push_bind(i64::from(limit));
        let found: Vec<Alert> = query.build_query_as().fetch_all(&mut *tx).await?;
        let full = found.len() >= limit as usize;
        let next = if full { found.last().map(|alert| alert.change) } else { head };
        Ok((found, next.unwrap_or(after).max(after)))
    }

    /// The change number of now: from here on a stream goes.
    pub async fn alert_change(&self) -> Result<i64> {
        let head: Option<i64> =
            query_scalar("SELECT MAX(change) FROM alert").fetch_one(&self.readers).await?;
        Ok(head.unwrap_or(0))
    }
}
