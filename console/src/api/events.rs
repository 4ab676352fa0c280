//! Hunting: events by time, words and conditions; how many when; frequent values; the names of fields.

use axum::extract::State;
use dongson_event::fields::FIELDS;
use dongson_registry::Millis;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{drills::Drills, list_of, number, page_limit, within};
use crate::{
    Condition, Console, EventBucket, EventQuery, FieldCondition,
    auth::{Person, Reader},
    error::{ApiError, ApiResult},
    extract::{Json, Path, Query, Whole},
    field_words,
    hunt::{self, Hunt},
    secret_fields,
};

const DAY_MS: Millis = 24 * 3_600_000;

/// Conditions of one question.
const MAX_CONDITIONS: usize = 20;

/// Words of one question: each is looked for on its own.
const MAX_WORDS: usize = 16;

/// Fields that each event of an answer has, whatever columns were asked for; `truncated` where something is shortened.
const ALWAYS: [&str; 4] = ["@timestamp", "event.id", "organization.id", "truncated"];

/// Which events. Everything that is given must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// Event time at or after; a day ago if not given.
    #[param(value_type = Option<Millis>)]
    since: Option<Whole>,
    /// Event time before; now if not given. At most 31 days after `since`.
    #[param(value_type = Option<Millis>)]
    until: Option<Whole>,
    /// Any of these agencies, separated by commas.
    organization: Option<String>,
    /// Only this dataset.
    dataset: Option<String>,
    /// Words that all occur in message, raw record, names or command lines; at most 16.
    q: Option<String>,
    /// Conditions on fields that all hold: a JSON list of at most 20 objects of `field`, `operator` and, but for
    /// `exists` and `absent`, `value` (text; a number or a boolean is taken as its text): `[{"field":"source.ip","operator":"is","value":"10.0.0.1"}]`. Operators: `is`,
    /// `is_not` (present and different), `contains`, `exists`, `absent`.
    filter: Option<String>,
}

/// A page of events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    #[serde(flatten)]
    #[param(ignore)]
    asked: Asked,
    /// `exclude` (if not given): only what is real; `only`: only events of drills; `include`: both.
    drill: Option<Drills>,
    /// Only these fields of each event, separated by commas, besides its time, id and agency; all if not given.
    columns: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// 1 to 500; 100 if not given.
    #[param(value_type = Option<u32>)]
    limit: Option<Whole>,
}

/// How finely time is cut.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistogramQuery {
    #[serde(flatten)]
    #[param(ignore)]
    asked: Asked,
    /// `exclude` (if not given): only what is real; `only`: only events of drills; `include`: both.
    drill: Option<Drills>,
    /// At most so many spans, 2 to 120; 60 if not given.
    #[param(value_type = Option<u32>)]
    buckets: Option<Whole>,
}

/// Of which field.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ValuesQuery {
    #[serde(flatten)]
    #[param(ignore)]
    asked: Asked,
    /// `exclude` (if not given): only what is real; `only`: only events of drills; `include`: both.
    drill: Option<Drills>,
    /// The name of the field, 1 to 256 bytes.
    field: String,
    /// 1 to 25; 10 if not given.
    #[param(value_type = Option<u32>)]
    limit: Option<Whole>,
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventList {
    /// Newest first; flat objects with ECS dotted names. Values are at most 2000 characters: `truncated` (a list of
    /// names) says which fields of an event are shortened; `/events/{id}` has them whole.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Value>,
    /// For `cursor`, if there are more. A page may hold fewer than `limit`: it is at most 4 MiB long.
    next: Option<String>,
}

/// How many events when.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventHistogram {
    /// Start of the time that was asked for.
    since: Millis,
    /// Its end.
    until: Millis,
    /// Length of a span in milliseconds. Spans begin at midnight in Vietnam.
    step_ms: Millis,
    /// Oldest first; empty spans are left out.
    buckets: Vec<EventBucket>,
    /// Events in all spans.
    total: i64,
}

/// A value and how many events have it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TopValue {
    /// As text.
    value: String,
    /// How many events.
    count: i64,
    /// Whether all events were counted: always.
    exact: bool,
}

/// The most frequent values of a field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TopValues {
    /// The name of the field.
    field: String,
    /// Most frequent first. A value of more than 2000 characters is counted by its beginning.
    values: Vec<TopValue>,
    /// Events that have the field.
    with_field: i64,
}

/// A field that events may have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldName {
    /// Its dotted name.
    name: &'static str,
    /// `keyword`, `text`, `long`, `float`, `boolean`, `ip`, `date`, or one of these with `[]`.
    kind: &'static str,
    /// Unit of a number, or empty.
    unit: &'static str,
    /// What it means, in Vietnamese.
    meaning_vi: &'static str,
    /// What it means, in English.
    meaning_en: &'static str,
}

/// The known fields.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldList {
    /// Those of identity first, then by theme. Events may have others besides.
    fields: Vec<FieldName>,
}

/// Reads `filter`: each wrong condition is named by its place, from 0.
fn conditions(text: &str) -> ApiResult<Vec<FieldCondition>> {
    let list: Vec<Value> = serde_json::from_str(text).map_err(|error| {
        ApiError::invalid("filter", "is not a list of conditions").with_detail(&error.to_string())
    })?;
    if list.len() > MAX_CONDITIONS {
        return Err(ApiError::invalid("filter", "must hold at most 20 conditions"));
    }
    let read = |(place, one): (usize, &Value)| {
        condition(one).map_err(|(part, reason)| {
            let dot = if part.is_empty() { "" } else { "." };
            ApiError::of_parameter(&format!("filter[{place}]{dot}{part}"), reason)
        })
    };
    list.iter().enumerate().map(read).collect()
}

/// What is wrong with a condition: the part of it, and why.
type Wrong = (&'static str, &'static str);

/// Reads one condition.
fn condition(given: &Value) -> Result<FieldCondition, Wrong> {
    let given = given.as_object().ok_or(("", "must be an object of field, operator and value"))?;
    if given.keys().any(|name| !matches!(name.as_str(), "field" | "operator" | "value")) {
        return Err(("", "holds something besides field, operator and value"));
    }
    let field = given.get("field").and_then(Value::as_str).filter(|name| (1..=256).contains(&name.len()));
    let field = field.ok_or(("field", "must be text of 1 to 256 bytes"))?.to_owned();
    let operator = given.get("operator").and_then(Value::as_str).unwrap_or_default();
    let with: Option<fn(String) -> Condition> = match operator {
        "is" => Some(Condition::Is),
        "is_not" => Some(Condition::IsNot),
        "contains" => Some(Condition::Contains),
        "exists" | "absent" => None,
        _ => return Err(("operator", "must be is, is_not, contains, exists or absent")),
    };
    let condition = match (with, value(given.get("value"))?) {
        (Some(with), Some(value)) if operator != "contains" || !value.is_empty() => with(value),
        (Some(_), Some(_)) => return Err(("value", "must not be empty")),
        (Some(_), None) => return Err(("value", "must be given for this operator")),
        (None, Some(_)) => return Err(("value", "must not be given for this operator")),
        (None, None) if operator == "exists" => Condition::Exists,
        (None, None) => Condition::Absent,
    };
    Ok(FieldCondition { field, condition })
}

/// A value as text; a number or a switch is taken as its text.
fn value(given: Option<&Value>) -> Result<Option<String>, Wrong> {
    let text = match given {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(other @ (Value::Number(_) | Value::Bool(_))) => other.to_string(),
        Some(_) => return Err(("value", "must be text, a number, true or false")),
    };
    let fits = text.chars().count() <= 4000;
    if fits { Ok(Some(text)) } else { Err(("value", "must have at most 4000 characters")) }
}

impl Asked {
    /// Reads and checks. `drill` stands beside, so that a refusal can name it; `limit` and `cursor` are for pages.
    fn read(
        self,
        person: &Person,
        drill: Option<Drills>,
        limit: u32,
        cursor: Option<String>,
    ) -> ApiResult<EventQuery> {
        let until = number("until", self.until.as_ref())?.unwrap_or(person.at);
        let since = number("since", self.since.as_ref())?.unwrap_or(until.saturating_sub(DAY_MS));
        if self.q.as_ref().is_some_and(|words| words.split_whitespace().nth(MAX_WORDS).is_some()) {
            return Err(ApiError::invalid("q", "must hold at most 16 words"));
        }
        if self.q.as_ref().is_some_and(|words| {
            !words.trim().is_empty() && !words.contains(|sign: char| sign.is_alphanumeric())
        }) {
            return Err(ApiError::invalid("q", "needs a letter or a digit"));
        }
        if until <= since {
            return Err(ApiError::invalid("until", "must end after it begins"));
        }
        if until.saturating_sub(since) > 31 * DAY_MS {
            return Err(ApiError::invalid("since", "must not be longer than 31 days"));
        }
        let conditions = match self.filter.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => conditions(text)?,
            None => Vec::new(),
        };
        for one in &conditions {
            check_visible(person, "filter", &one.field)?;
        }
        Ok(EventQuery {
            since,
            until,
            organizations: list_of("organization", self.organization.as_deref())?,
            dataset: self.dataset.filter(|name| !name.is_empty()),
            text: self.q.filter(|text| !text.trim().is_empty()),
            drill: drill.unwrap_or_default().filter(),
            conditions,
            columns: Vec::new(),
            cursor,
            limit,
        })
    }
}

/// A field that the caller may not see cannot be asked about either: the answer would tell its value.
fn check_visible(person: &Person, parameter: &'static str, field: &str) -> ApiResult<()> {
    if secret_fields::may_see(person.account.role, field) {
        Ok(())
    } else {
        Err(ApiError::invalid(parameter, "names a field that only the centre's people may see"))
    }
}

fn hunt(console: &Console, person: &Person, query: EventQuery) -> Hunt {
    Hunt::new(console, person.scope.narrowed(&query.organizations), query)
}

/// The event with the asked columns alone.
fn narrowed(event: Value, columns: &[String]) -> Value {
    let Value::Object(held) = event else { return event };
    let wanted = |name: &String| ALWAYS.contains(&name.as_str()) || columns.contains(name);
    Value::Object(held.into_iter().filter(|(name, _)| wanted(name)).collect::<Map<_, _>>())
}

/// Events, newest first.
#[utoipa::path(get, path = "/events", tag = "events", params(Asked, SearchQuery), responses((status = 200, body = EventList)))]
pub(crate) async fn search(
    State(console): State<Console>,
    Reader(person): Reader,
    Query(given): Query<SearchQuery>,
) -> ApiResult<Json<EventList>> {
    let columns: Vec<String> = list_of("columns", given.columns.as_deref())?;
    let limit = page_limit(given.limit.as_ref())?;
    let mut query = given.asked.read(&person, given.drill, limit, given.cursor)?;
    query.columns.clone_from(&columns);
    let page = hunt(&console, &person, query).page().await?;
    let shown = page.events.into_iter().map(|mut event| {
        secret_fields::strip(person.account.role, &mut event);
        if columns.is_empty() { event } else { narrowed(event, &columns) }
    });
    Ok(Json(EventList { events: shown.collect(), next: page.next }))
}

/// How many events when.
#[utoipa::path(get, path = "/events/histogram", tag = "events", params(Asked, HistogramQuery), responses((status = 200, body = EventHistogram)))]
pub(crate) async fn histogram(
    State(console): State<Console>,
    Reader(person): Reader,
    Query(given): Query<HistogramQuery>,
) -> ApiResult<Json<EventHistogram>> {
    let query = given.asked.read(&person, given.drill, 1, None)?;
    let (since, until) = (query.since, query.until);
    let buckets = within("buckets", given.buckets.as_ref(), 60, 2..=120, "must be 2 to 120")?;
    let step_ms = hunt::step(since, until, buckets);
    let buckets = hunt(&console, &person, query).histogram(step_ms).await?;
    let total = buckets.iter().map(|bucket| bucket.count).sum();
    Ok(Json(EventHistogram { since, until, step_ms, buckets, total }))
}

/// The most frequent values of a field.
#[utoipa::path(get, path = "/events/values", tag = "events", params(Asked, ValuesQuery), responses((status = 200, body = TopValues)))]
pub(crate) async fn values(
    State(console): State<Console>,
    Reader(person): Reader,
    Query(given): Query<ValuesQuery>,
) -> ApiResult<Json<TopValues>> {
    if !(1..=256).contains(&given.field.len()) {
        return Err(ApiError::invalid("field", "must have 1 to 256 bytes"));
    }
    check_visible(&person, "field", &given.field)?;
    let query = given.asked.read(&person, given.drill, 1, None)?;
    let limit = within("limit", given.limit.as_ref(), 10, 1..=25, "must be 1 to 25")?;
    let found = hunt(&console, &person, query).frequent(&given.field, limit).await?;
    let value = |(value, count)| TopValue { value, count, exact: true };
    Ok(Json(TopValues {
        field: given.field,
        values: found.values.into_iter().map(value).collect(),
        with_field: found.with_field,
    }))
}

/// The known fields and what they mean.
#[utoipa::path(get, path = "/events/fields", tag = "events", responses((status = 200, body = FieldList)))]
pub(crate) async fn field_names(Reader(person): Reader) -> Json<FieldList> {
    let visible = FIELDS.iter().filter(|field| secret_fields::may_see(person.account.role, field.name));
    let fields = visible.map(|field| FieldName {
        name: field.name,
        kind: field.kind.as_str(),
        unit: field.unit,
        meaning_vi: field_words::of_field(field),
        meaning_en: field.meaning,
    });
    Json(FieldList { fields: fields.collect() })
}

/// One event.
#[utoipa::path(get, path = "/events/{id}", tag = "events", params(("id" = String, Path)), responses((status = 200, body = Object)))]
pub(crate) async fn one(
    State(console): State<Console>,
    Reader(person): Reader,
    Path(id): Path<String>,
) -> ApiResult<Json<Value>> {
    let mut event = console.facts.event(&person.scope, &id).await?.ok_or_else(ApiError::not_found)?;
    secret_fields::strip(person.account.role, &mut event);
    Ok(Json(event))
}
