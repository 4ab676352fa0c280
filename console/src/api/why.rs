//! Why an alert fired, and what happened around it.

use axum::extract::State;
use dongson_registry::{Alert, AlertFilter, AlertSort, Exception, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{
    Around, Console, FactsError, RuleInfo, SignalFact,
    auth::Reader,
    error::ApiResult,
    extract::{Json, Path, Query, Whole},
    secret_fields,
};

/// How many matches of an alert are shown.
const MAX_SIGNALS: u32 = 100;

/// How many events around an alert are shown.
const MAX_AROUND: u32 = 1000;

/// Why an alert fired.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Why {
    /// Its row in the queue.
    alert: Alert,
    /// Its rule, if it is still known.
    rule: Option<RuleInfo>,
    /// Whether the event store answered; if not, `event` and `signals` are empty.
    store_available: bool,
    /// The event of the first match, flat with ECS dotted names; `event.original` is the raw record.
    #[schema(value_type = Option<Object>)]
    event: Option<Value>,
    /// The first hundred matches, with the fields that matched.
    signals: Vec<SignalFact>,
    /// Other alerts of the same agency about the same thing, newest first.
    related: Vec<Alert>,
    /// Exceptions of the caller's scope that hide further matches.
    exceptions: Vec<Exception>,
}

/// How far around.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AroundQuery {
    /// Minutes before the first and after the last match, 1 to 60; 5 if not given.
    #[param(value_type = Option<i64>)]
    minutes: Option<Whole>,
}

/// Events around an alert.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventsAround {
    /// Oldest first, at most 1000 and 4 MiB; long values are shortened as in `/events`, `truncated` names their fields.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Value>,
    /// Whether there were more.
    cut: bool,
}

/// Why an alert fired: rule, matched fields, raw event, related alerts, exceptions.
#[utoipa::path(get, path = "/alerts/{id}/why", tag = "alerts", params(("id" = String, Path)), responses((status = 200, body = Why)))]
pub(crate) async fn why(
    State(console): State<Console>,
    Reader(person): Reader,
    Path(id): Path<String>,
) -> ApiResult<Json<Why>> {
    let alert = console.registry.alert(&person.scope, &id).await?;
    let facts = facts(&console, &person.scope, &alert).await;
    let store_available = facts.is_ok();
    let (mut event, mut signals) = facts.unwrap_or_default();
    if let Some(event) = &mut event {
        secret_fields::strip(person.account.role, event);
    }
    for signal in &mut signals {
        secret_fields::strip_signal(person.account.role, signal);
    }
    let rule = console.rules.iter().find(|rule| rule.id == alert.rule_id).cloned();
    let exceptions = console.registry.exceptions(&person.scope).await?.into_iter();
    let hides = |one: &Exception| {
        one.hides(&alert.organization, &alert.rule_id, &alert.entity_type, &alert.entity_value, person.at)
    };
    let exceptions = exceptions.filter(hides).collect();
    let related = related(&console, &person.scope, &alert).await?;
    Ok(Json(Why { alert, rule, store_available, event, signals, related, exceptions }))
}

/// The first event and the matches of an alert. The scope is narrowed to the alert's own agency.
async fn facts(
    console: &Console,
    scope: &Scope,
    alert: &Alert,
) -> Result<(Option<Value>, Vec<SignalFact>), FactsError> {
    let scope = scope.narrowed(std::slice::from_ref(&alert.organization));
    let event = console.facts.event(&scope, &alert.event_id).await?;
    Ok((event, console.facts.signals(&scope, &alert.id, MAX_SIGNALS).await?))
}

async fn related(console: &Console, scope: &Scope, alert: &Alert) -> ApiResult<Vec<Alert>> {
    let filter = AlertFilter {
        organizations: vec![alert.organization.clone()],
        entity: Some(alert.entity_value.clone()),
        drill: Some(alert.drill),
        ..AlertFilter::default()
    };
    let mut found =
        console.registry.alerts(scope, &filter, AlertSort::LastSeen, false, None, 21).await?.alerts;
    found.retain(|one| one.id != alert.id);
    found.truncate(20);
    Ok(found)
}

/// What the same entity did shortly before, during and after an alert.
#[utoipa::path(get, path = "/alerts/{id}/around", tag = "alerts", params(("id" = String, Path), AroundQuery), responses((status = 200, body = EventsAround)))]
pub(crate) async fn around(
    State(console): State<Console>,
    Reader(person): Reader,
    Path(id): Path<String>,
    Query(query): Query<AroundQuery>,
) -> ApiResult<Json<EventsAround>> {
    let alert = console.registry.alert(&person.scope, &id).await?;
    let margin = super::within("minutes", query.minutes.as_ref(), 5, 1..=60, "must be 1 to 60")? * 60_000;
    let around = Around {
        organization: alert.organization.clone(),
        entity_type: alert.entity_type,
        entity_value: alert.entity_value,
        since: alert.first_seen.saturating_sub(margin),
        until: alert.last_seen.saturating_add(margin),
        limit: MAX_AROUND,
    };
    let scope = person.scope.narrowed(std::slice::from_ref(&alert.organization));
    let mut found = console.facts.events_around(&scope, &around).await?;
    for event in &mut found.events {
        secret_fields::strip(person.account.role, event);
    }
    Ok(Json(EventsAround { cut: found.next.is_some(), events: found.events }))
}
