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
    /// Conditions on fields.
    pub conditions: Vec<FieldCondition>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// A page of events, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventPage {
    /// Flat objects with ECS dotted names.
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
    /// Events around an entity, oldest first.
    async fn events_around(&self, scope: &Scope, around: &Around) -> Result<Vec<Value>, FactsError>;
    /// Events per span of time, by event time.
    async fn event_series(
        &self,
        scope: &Scope,
        since: Millis,
        until: Millis,
        step_ms: Millis,
    ) -> Result<Vec<EventBucket>, FactsError>;
    /// A page of events, newest first.
    async fn search(&self, scope: &Scope, query: &EventQuery) -> Result<EventPage, FactsError>;
    /// How many events a search would find in all; its cursor and its limit do not matter.
    async fn count(&self, scope: &Scope, query: &EventQuery) -> Result<i64, FactsError>;
    /// Whether the store answers.
    async fn ping(&self) -> Result<(), FactsError>;
}
