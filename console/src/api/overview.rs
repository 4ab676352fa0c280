//! The overview: six figures with the same hours of last week, series, shares, what is newest and what is due.

use axum::extract::State;
use dongson_registry::{
    Alert, AlertBucket, AlertFilter, AlertShare, AlertSort, Deadline, Incident, IncidentFilter,
    IncidentStatus, Level, Millis, Scope, Sensor, State as AlertState,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::drills::Drills;
use crate::{
    Console, EventBucket,
    auth::Reader,
    error::ApiResult,
    extract::{Json, Query, Whole},
};

const HOUR_MS: Millis = 3_600_000;
const WEEK_MS: Millis = 7 * 24 * HOUR_MS;

/// What the overview covers.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct OverviewQuery {
    /// How many hours back, 1 to 744; 24 if not given.
    #[param(value_type = Option<i64>)]
    hours: Option<Whole>,
    /// Only this agency.
    organization: Option<String>,
    /// `exclude` (if not given): only what is real; `only`: only drills; `include`: both. Sensors too: those
    /// that a drill enrolled count as drills.
    drill: Option<Drills>,
}

/// A number now and in the same hours of last week.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Figure {
    /// Now; none if the event store does not answer.
    value: Option<i64>,
    /// The same hours a week ago: the base of a comparison, which says little where it is small. None where there is
    /// nothing to compare with.
    before: Option<i64>,
}

/// The six figures.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Figures {
    /// Events by their time; left out are those whose claimed time was not believed because it was too long ago.
    events: Figure,
    /// Alerts first seen.
    alerts: Figure,
    /// Of these, critical or high.
    severe: Figure,
    /// Alerts that are not closed: what the queue lists with the same `drill`.
    open_alerts: Figure,
    /// Incidents that are not closed.
    open_incidents: Figure,
    /// Sensors heard of within their silence limit, as in `coverage`.
    sensors_online: Figure,
}

/// What the figures cover: of the sensors that `/sensors` lists with the same `drill`, those that are not revoked.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct Coverage {
    /// Sensors heard of within their silence limit.
    pub(crate) online: usize,
    /// All sensors that are not revoked.
    pub(crate) total: usize,
}

/// An agency's or rule's part, with its name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Share {
    /// Vietnamese name or title.
    name: String,
    /// English name or title.
    name_en: String,
    /// The numbers.
    #[serde(flatten)]
    numbers: AlertShare,
}

/// An incident that is not closed and its nearest clock.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Due {
    /// The incident.
    incident: Incident,
    /// Its nearest clock that is not met.
    deadline: Option<Deadline>,
}

/// Counts over time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Series {
    /// Length of a span in milliseconds.
    step_ms: Millis,
    /// Events per span; empty if the event store does not answer. Spans without any are left out.
    events: Vec<EventBucket>,
    /// Alerts per span and level, by first match. Spans without any are left out.
    alerts: Vec<AlertBucket>,
}

/// The overview.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    /// Start of the time covered.
    since: Millis,
    /// End of the time covered: now.
    until: Millis,
    figures: Figures,
    coverage: Coverage,
    /// Whether the event store answered.
    store_available: bool,
    series: Series,
    /// Agencies, riskiest first.
    organizations: Vec<Share>,
    /// Rules with most alerts.
    rules: Vec<Share>,
    /// The newest open critical and high alerts.
    newest: Vec<Alert>,
    /// Open incidents, nearest deadline first.
    incidents: Vec<Due>,
}

/// The overview of the last hours.
#[utoipa::path(get, path = "/overview", tag = "overview", params(OverviewQuery), responses((status = 200, body = Overview)))]
pub(crate) async fn overview(
    State(console): State<Console>,
    Reader(person): Reader,
    Query(query): Query<OverviewQuery>,
) -> ApiResult<Json<Overview>> {
    let hours = super::within("hours", query.hours.as_ref(), 24, 1..=744, "must be 1 to 744")?;
    let scope = person.scope.narrowed(query.organization.as_slice());
    let drills = query.drill.unwrap_or_default();
    let drill = drills.filter();
    let (since, until) = (person.at - hours * HOUR_MS, person.at);
    let registry = &console.registry;
    let step_ms = if hours <= 48 { HOUR_MS / 4 } else { HOUR_MS * 4 };
    let events = console.facts.event_series(&scope, since, until, step_ms, drill).await.ok();
    let earlier =
        console.facts.event_series(&scope, since - WEEK_MS, until - WEEK_MS, step_ms, drill).await.ok();
    let coverage = coverage(&registry.sensors(&scope).await?, drills, person.at);
    let now = registry.alert_figures(&scope, since, until, drill).await?;
    let before = registry.alert_figures(&scope, since - WEEK_MS, until - WEEK_MS, drill).await?;
    let incidents = open_incidents(&console, &scope, drill).await?;
    let figure = |value, before| Figure { value: Some(value), before };
    let figures = Figures {
        events: Figure { value: events.as_deref().map(sum), before: earlier.as_deref().map(sum) },
        alerts: figure(now.alerts, Some(before.alerts)),
        severe: figure(now.severe, Some(before.severe)),
        open_alerts: figure(registry.open_alerts(&scope, drill).await?, None),
        open_incidents: figure(i64::try_from(incidents.len()).unwrap_or(i64::MAX), None),
        sensors_online: figure(i64::try_from(coverage.online).unwrap_or(i64::MAX), None),
    };
    let store_available = events.is_some();
    let alerts = registry.alert_series(&scope, since, until, step_ms, drill).await?;
    Ok(Json(Overview {
        since,
        until,
        figures,
        coverage,
        store_available,
        series: Series { step_ms, events: events.unwrap_or_default(), alerts },
        organizations: organizations(&console, &scope, since, until, drill).await?,
        rules: rules(&console, registry.alerts_by_rule(&scope, since, until, drill).await?),
        newest: newest(&console, &scope, drill).await?,
        incidents,
    }))
}

fn sum(buckets: &[EventBucket]) -> i64 {
    buckets.iter().map(|bucket| bucket.count).sum()
}

/// How many of the sensors that may send and that `drills` takes were heard of in time.
pub(crate) fn coverage(sensors: &[Sensor], drills: Drills, now: Millis) -> Coverage {
    let valid = || sensors.iter().filter(|sensor| sensor.revoked_at.is_none() && drills.takes(sensor.drill));
    let online = |sensor: &&Sensor| {
        sensor.last_seen.is_some_and(|seen| now < seen.saturating_add(sensor.silence_after_seconds * 1000))
    };
    Coverage { online: valid().filter(online).count(), total: valid().count() }
}

async fn organizations(
    console: &Console,
    scope: &Scope,
    since: Millis,
    until: Millis,
    drill: Option<bool>,
) -> ApiResult<Vec<Share>> {
    let known = console.registry.organizations(scope).await?;
    let shares = console.registry.alerts_by_organization(scope, since, until, drill).await?;
    let named = shares.into_iter().map(|share| {
        let found = known.iter().find(|one| one.id == share.id);
        let name = found.map_or_else(|| share.id.clone(), |one| one.name.clone());
        let name_en = found.map_or_else(|| share.id.clone(), |one| one.name_en.clone());
        Share { name, name_en, numbers: share }
    });
    Ok(named.collect())
}

fn rules(console: &Console, shares: Vec<AlertShare>) -> Vec<Share> {
    let named = shares.into_iter().map(|share| {
        let found = console.rules.iter().find(|rule| rule.id == share.id);
        let name_en = found.map_or_else(|| share.id.clone(), |rule| rule.title.clone());
        let name = found.and_then(|rule| rule.title_vi.clone()).unwrap_or_else(|| name_en.clone());
        Share { name, name_en, numbers: share }
    });
    named.collect()
}

async fn newest(console: &Console, scope: &Scope, drill: Option<bool>) -> ApiResult<Vec<Alert>> {
    let filter = AlertFilter {
        states: vec![AlertState::New, AlertState::Acknowledged, AlertState::InProgress],
        levels: vec![Level::Critical, Level::High],
        drill,
        ..AlertFilter::default()
    };
    Ok(console.registry.alerts(scope, &filter, AlertSort::LastSeen, false, None, 10).await?.alerts)
}

/// Open incidents, nearest deadline first.
async fn open_incidents(console: &Console, scope: &Scope, drill: Option<bool>) -> ApiResult<Vec<Due>> {
    let statuses = vec![
        IncidentStatus::Open,
        IncidentStatus::InProgress,
        IncidentStatus::Contained,
        IncidentStatus::Resolved,
    ];
    let filter = IncidentFilter { statuses, drill, ..IncidentFilter::default() };
    let found = console.registry.incidents(scope, &filter, 500).await?;
    let mut due: Vec<Due> =
        found.into_iter().map(|incident| Due { deadline: incident.next_deadline(), incident }).collect();
    due.sort_by_key(|one| one.deadline.as_ref().map_or(Millis::MAX, |clock| clock.due));
    Ok(due)
}
