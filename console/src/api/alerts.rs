//! The alert queue.

use axum::extract::State;
use dongson_registry::{Alert, AlertFacets, AlertFilter, AlertSort, Millis};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{drills::Drills, list_of, number, page_limit, texts_of};
use crate::{
    Console,
    auth::Reader,
    error::{ApiError, ApiResult},
    extract::{Json, Path, Query, Whole},
};

/// What the queue is narrowed to. Lists are separated by commas.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertQuery {
    /// Any of `new`, `acknowledged`, `in_progress`, `closed`.
    state: Option<String>,
    /// Any of `informational`, `low`, `medium`, `high`, `critical`.
    level: Option<String>,
    /// Any of these agencies.
    organization: Option<String>,
    /// Any of these rules.
    rule: Option<String>,
    /// Any of these account ids; an empty value stands for nobody, `me` for oneself.
    owner: Option<String>,
    /// Words in title, entity, agency or rule; diacritics do not matter.
    q: Option<String>,
    /// Last seen at or after.
    #[param(value_type = Option<Millis>)]
    since: Option<Whole>,
    /// Last seen before.
    #[param(value_type = Option<Millis>)]
    until: Option<Whole>,
    /// `exclude` (if not given): only what is real; `only`: only drills; `include`: both.
    drill: Option<Drills>,
    /// About exactly this.
    entity: Option<String>,
    /// `last_seen` (if not given), `first_seen`, `risk`, `count` or `level`.
    sort: Option<String>,
    /// Lowest first.
    ascending: Option<bool>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// 1 to 500; 100 if not given.
    #[param(value_type = Option<u32>)]
    limit: Option<Whole>,
    /// Also count the values of each filter.
    facets: Option<bool>,
}

/// A page of the queue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertList {
    alerts: Vec<Alert>,
    /// How many match in all.
    total: i64,
    /// How many alerts of drills the other filters would take: what `drill=exclude` leaves out.
    drills: i64,
    /// For `cursor`, if there are more.
    next: Option<String>,
    /// The counts beside each filter value, if asked for.
    facets: Option<AlertFacets>,
}

impl AlertQuery {
    fn filter(&self, me: &str) -> ApiResult<AlertFilter> {
        let owners = texts_of(self.owner.as_deref()).into_iter();
        let (since, until) = (number("since", self.since.as_ref())?, number("until", self.until.as_ref())?);
        if since.zip(until).is_some_and(|(since, until)| until <= since) {
            return Err(ApiError::invalid("until", "must end after it begins"));
        }
        Ok(AlertFilter {
            states: list_of("state", self.state.as_deref())?,
            levels: list_of("level", self.level.as_deref())?,
            organizations: list_of("organization", self.organization.as_deref())?,
            rules: list_of("rule", self.rule.as_deref())?,
            owners: owners.map(|owner| if owner == "me" { me.to_owned() } else { owner }).collect(),
            text: self.q.clone(),
            since,
            until,
            drill: self.drill.unwrap_or_default().filter(),
            entity: self.entity.clone(),
            incident: None,
        })
    }
}

/// A page of the alert queue.
#[utoipa::path(get, path = "/alerts", tag = "alerts", params(AlertQuery), responses((status = 200, body = AlertList)))]
pub(crate) async fn list(
    State(console): State<Console>,
    Reader(person): Reader,
    Query(query): Query<AlertQuery>,
) -> ApiResult<Json<AlertList>> {
    let filter = query.filter(&person.account.id)?;
    let sort: Vec<AlertSort> = list_of("sort", query.sort.as_deref())?;
    let sort = sort.first().copied().unwrap_or_default();
    let (ascending, limit) = (query.ascending.unwrap_or(false), page_limit(query.limit.as_ref())?);
    let page = console
        .registry
        .alerts(&person.scope, &filter, sort, ascending, query.cursor.as_deref(), limit)
        .await?;
    let only = AlertFilter { drill: Some(true), ..filter.clone() };
    let drills = console.registry.alert_total(&person.scope, &only).await?;
    let facets = match query.facets {
        Some(true) => Some(console.registry.alert_facets(&person.scope, &filter).await?),
        _ => None,
    };
    Ok(Json(AlertList { alerts: page.alerts, total: page.total, drills, next: page.next, facets }))
}

/// One alert's row in the queue.
#[utoipa::path(get, path = "/alerts/{id}", tag = "alerts", params(("id" = String, Path)), responses((status = 200, body = Alert)))]
pub(crate) async fn one(
    State(console): State<Console>,
    Reader(person): Reader,
    Path(id): Path<String>,
) -> ApiResult<Json<Alert>> {
    Ok(Json(console.registry.alert(&person.scope, &id).await?))
}
