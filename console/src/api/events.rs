//! Searching events by simple filters.

use axum::extract::State;
use dongson_registry::Millis;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::list_of;
use crate::{
    Console, EventQuery,
    auth::Reader,
    error::{ApiError, ApiResult},
    extract::{Json, Path, Query},
};

const DAY_MS: Millis = 24 * 3_600_000;

/// What to search for. Everything that is given must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    /// Event time at or after; a day ago if not given.
    since: Option<Millis>,
    /// Event time before; now if not given. At most 31 days after `since`.
    until: Option<Millis>,
    /// Any of these agencies, separated by commas.
    organization: Option<String>,
    /// Only this dataset.
    dataset: Option<String>,
    /// Words in the record.
    q: Option<String>,
    /// A field and its exact value, as `name:value`; several are separated by commas.
    field: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// 1 to 500; 100 if not given.
    limit: Option<u32>,
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventList {
    /// Newest first; flat objects with ECS dotted names.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Value>,
    /// For `cursor`, if there are more.
    next: Option<String>,
}

impl SearchQuery {
    fn read(self, now: Millis) -> ApiResult<EventQuery> {
        let until = self.until.unwrap_or(now);
        let since = self.since.unwrap_or(until.saturating_sub(DAY_MS));
        if until <= since {
            return Err(ApiError::invalid("until", "must end after it begins"));
        }
        if until.saturating_sub(since) > 31 * DAY_MS {
            return Err(ApiError::invalid("since", "must not be longer than 31 days"));
        }
        let fields = self.field.iter().flat_map(|text| text.split(',')).take(20);
        let pair = |text: &str| {
            let (name, value) =
                text.split_once(':').ok_or_else(|| ApiError::invalid("field", "must be name:value"))?;
            Ok((name.to_owned(), value.to_owned()))
        };
        Ok(EventQuery {
            since,
            until,
            organizations: list_of("organization", self.organization.as_deref())?,
            dataset: self.dataset,
            text: self.q.filter(|text| !text.trim().is_empty()),
            fields: fields.map(pair).collect::<ApiResult<_>>()?,
            cursor: self.cursor,
            limit: self.limit.unwrap_or(100).clamp(1, 500),
        })
    }
}

/// Events, newest first.
#[utoipa::path(get, path = "/events", tag = "events", params(SearchQuery), responses((status = 200, body = EventList)))]
pub(crate) async fn search(
    State(console): State<Console>,
    Reader(person): Reader,
    Query(query): Query<SearchQuery>,
) -> ApiResult<Json<EventList>> {
    let query = query.read(person.at)?;
    let scope = person.scope.narrowed(&query.organizations);
    let page = console.facts.search(&scope, &query).await?;
    Ok(Json(EventList { events: page.events, next: page.next }))
}

/// One event.
#[utoipa::path(get, path = "/events/{id}", tag = "events", params(("id" = String, Path)), responses((status = 200, body = Object)))]
pub(crate) async fn one(
    State(console): State<Console>,
    Reader(person): Reader,
    Path(id): Path<String>,
) -> ApiResult<Json<Value>> {
    console.facts.event(&person.scope, &id).await?.map(Json).ok_or_else(ApiError::not_found)
}
