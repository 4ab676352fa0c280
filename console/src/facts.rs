//! What the console reads from the event store. The scope is a required argument of every question.

use async_trait::async_trait;
use dongson_registry::{Millis, Scope};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Why the store did not answer.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// It is out of reach or still starting.
    #[error("the event store is out of reach: {0}")]
    Unavailable(String),
    /// It did not answer in the time that is allowed.
    #[error("the event store took too long")]
    TooSlow,
    /// It refused the question.
    #[error("the event store refused: {0}")]
    Refused(String),
    /// The cursor is not one of a page before.
    #[error("the cursor was not given out by this search")]
    Cursor,
}

/// A match of a rule that went into an alert.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SignalFact {
    /// The event that matched.
    pub event_id: String,
    /// Its event time, in milliseconds since 1970 UTC.
    pub at: Millis,
    /// The rule.
    pub rule_id: String,
    /// Which fields matched.
    pub fields: Vec<MatchedField>,
}

/// A field of an event that a rule matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MatchedField {
    /// Its name; none for a keyword that matched the whole record.
    pub field: Option<String>,
    /// Its value, as text.
    pub value: String,
    /// The selection of the rule that asked for it.
    pub selection: String,
}

/// Events in one span of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventBucket {
    /// Start of the span.
    pub at: Millis,
    /// How many.
    pub count: i64,
}

/// What a field of an event must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Equal to the text; of a list, one element is.
    Is(String),
    /// Present and not equal.
    IsNot(String),
    /// Holds the text, large and small letters alike.
    Contains(String),
    /// Present.
    Exists,
    /// Absent.
    Absent,
}

/// A condition on a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldCondition {
    /// Its dotted name.
    pub field: String,
    /// What it must be.
    pub condition: Condition,
}

/// What to search for. Everything that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Event time at or after.
    pub since: Millis,
    /// Event time before.
    pub until: Millis,
    /// Only these agencies; empty = all in scope.
    pub organizations: Vec<String>,
    /// Only this dataset.
    pub dataset: Option<String>,
    /// Words in the record.
    pub text: Option<String>,
    /// Only events of drills, or only real ones; both if not given.
    pub drill: Option<bool>,
    /// Conditions on fields.
    pub conditions: Vec<FieldCondition>,
    /// Only these fields besides time, id and agency; empty = all.
    pub columns: Vec<String>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// The most frequent values of a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frequent {
    /// Values as text and how many events have each, most frequent first.
    pub values: Vec<(String, i64)>,
    /// Events that have the field.
    pub with_field: i64,
}

/// A page of events, bounded in bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventPage {
    /// Flat objects with ECS dotted names. Long values are shortened; `truncated` names their fields.
    pub events: Vec<Value>,
    /// Where the next page starts, if there is one.
    pub next: Option<String>,
}

/// Events around something: an entity of an agency in a span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Around {
    /// The agency.
    pub organization: String,
    /// Name of the entity's field, for example `source.ip`.
    pub entity_type: String,
    /// Its value.
    pub entity_value: String,
    /// Event time at or after.
    pub since: Millis,
    /// Event time before.
    pub until: Millis,
    /// At most so many.
    pub limit: u32,
}

/// The questions that the console asks the event store.
#[async_trait]
pub trait Facts: Send + Sync + 'static {
    /// One event by id.
    async fn event(&self, scope: &Scope, id: &str) -> Result<Option<Value>, FactsError>;
    /// The matches of an alert, oldest first.
    async fn signals(&self, scope: &Scope, alert: &str, limit: u32) -> Result<Vec<SignalFact>, FactsError>;
    /// Events around an entity, oldest first; `next` says that there are more, and is no cursor.
    async fn events_around(&self, scope: &Scope, around: &Around) -> Result<EventPage, FactsError>;
    /// Events per span of time, by event time. Those whose time is not theirs (their claim was older than their source
    /// can spool) are left out. `drill`: only those of drills, only real ones, or both.
    async fn event_series(
        &self,
        scope: &Scope,
        since: Millis,
        until: Millis,
        step_ms: Millis,
        drill: Option<bool>,
    ) -> Result<Vec<EventBucket>, FactsError>;
    /// A page of events, newest first.
    async fn search(&self, scope: &Scope, query: &EventQuery) -> Result<EventPage, FactsError>;
    /// How many events a search would find in each span of time, oldest first, without empty spans. Spans begin at
    /// multiples of `step_ms` after midnight of the zone that is `zone_ms` ahead of UTC.
    async fn histogram(
        &self,
        scope: &Scope,
        query: &EventQuery,
        step_ms: Millis,
        zone_ms: Millis,
    ) -> Result<Vec<EventBucket>, FactsError>;
    /// The most frequent values of a field among the events that a search would find.
    async fn top_values(
        &self,
        scope: &Scope,
        query: &EventQuery,
        field: &str,
        limit: u32,
    ) -> Result<Frequent, FactsError>;
    /// Whether the store answers.
    async fn ping(&self) -> Result<(), FactsError>;
}
