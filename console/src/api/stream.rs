//! The stream of server-sent events: alerts as they are made or change, and the figures of the status line.
//!
//! `event: alerts` carries `{"alerts": [...]}`, `event: figures` what [`StatusLine`] holds. Nothing is sent for what is
//! out of scope. Before each event the session is looked at: the stream ends with it, with the account and with any change
//! of role or scope. The page then connects again and is told to sign in.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use axum_extra::extract::cookie::{Cookie, CookieJar};
use dongson_registry::{Role, Scope};
use futures::Stream;
use serde::Serialize;
use utoipa::ToSchema;

use super::{drills::Drills, overview::coverage};
use crate::{
    Console,
    auth::{COOKIE, Reader},
    error::{ApiError, ApiResult},
    limit::Place,
};

/// How often the registry is asked for changes.
const POLL: Duration = Duration::from_secs(1);

/// After how many polls figures are sent.
const FIGURES_EVERY: u32 = 10;

/// Figures of the status line.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusLine {
    /// Events in the last full minute, by event time; none if the event store does not answer.
    events_last_minute: Option<i64>,
    /// Sensors heard of in time.
    sensors_online: usize,
    /// Sensors that are not revoked.
    sensors_total: usize,
    /// Alerts that are not closed, drills left out.
    open_alerts: i64,
    /// Version of the program.
    version: &'static str,
}

/// One open stream.
struct Follow {
    console: Console,
    scope: Scope,
    role: Role,
    secret: String,
    change: i64,
    polls: u32,
    /// Gives the place among the account's streams back.
    _place: Place,
}

/// New and changed alerts, and the figures of the status line.
#[utoipa::path(get, path = "/stream", tag = "stream", responses((status = 200, content_type = "text/event-stream", body = StatusLine)))]
pub(crate) async fn stream(
    State(console): State<Console>,
    Reader(person): Reader,
    headers: HeaderMap,
) -> ApiResult<impl IntoResponse> {
    let change = console.registry.alert_change().await?;
    let jar = CookieJar::from_headers(&headers);
    let secret = jar.get(COOKIE).map(Cookie::value).unwrap_or_default().to_owned();
    let place = console.streams.take(&person.account.id);
    let place = place.ok_or_else(|| ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams"))?;
    let follow = Follow {
        console,
        scope: person.scope,
        role: person.account.role,
        secret,
        change,
        polls: 0,
        _place: place,
    };
    Ok(Sse::new(events(follow)).keep_alive(KeepAlive::default()))
}

/// Polls until the session or the program ends.
fn events(follow: Follow) -> impl Stream<Item = Result<Event, Infallible>> {
    futures::stream::unfold(follow, |mut follow| async move {
        loop {
            let first = follow.polls == 0;
            if !first && !follow.wait().await {
                return None;
            }
            let due = follow.polls.is_multiple_of(FIGURES_EVERY);
            follow.polls = follow.polls.wrapping_add(1).max(1);
            let event = if due { Some(follow.figures().await?) } else { follow.alerts().await? };
            let Some(event) = event else { continue };
            // Looked at after the reading, so that nothing leaves that was read before the session ended.
            return if follow.signed_in().await { Some((Ok(event), follow)) } else { None };
        }
    })
}

impl Follow {
    /// Waits for the next poll; false when the program ends.
    async fn wait(&self) -> bool {
        tokio::select! {
            () = self.console.shutdown.cancelled() => false,
            () = tokio::time::sleep(POLL) => true,
        }
    }

    /// Whether the session is still in force, with the role and the scope that it began with.
    async fn signed_in(&self) -> bool {
        let (limits, now) = (self.console.session_limits(), self.console.now());
        let found = self.console.registry.session(&self.secret, limits, false, now).await;
        matches!(found, Ok(Some(session)) if session.account.scope() == self.scope
            && session.account.role == self.role
            && !session.account.must_change_password)
    }

    /// Alerts that changed since the last poll. The outer `None` ends the stream.
    async fn alerts(&mut self) -> Option<Option<Event>> {
        let (alerts, next) =
            self.console.registry.alerts_changed(&self.scope, self.change, 200).await.ok()?;
        self.change = next;
        if alerts.is_empty() {
            return Some(None);
        }
        Event::default().event("alerts").json_data(serde_json::json!({ "alerts": alerts })).ok().map(Some)
    }

    async fn figures(&self) -> Option<Event> {
        let now = self.console.now();
        let minute = now - now % 60_000;
        let series =
            self.console.facts.event_series(&self.scope, minute - 60_000, minute, 60_000, None).await.ok();
        let coverage =
            coverage(&self.console.registry.sensors(&self.scope).await.ok()?, Drills::Exclude, now);
        let line = StatusLine {
            events_last_minute: series.map(|buckets| buckets.iter().map(|bucket| bucket.count).sum()),
            sensors_online: coverage.online,
            sensors_total: coverage.total,
            open_alerts: self.console.registry.open_alerts(&self.scope, Some(false)).await.ok()?,
            version: env!("CARGO_PKG_VERSION"),
        };
        Event::default().event("figures").json_data(line).ok()
    }
}
