//! Alerts counted for the overview: by time, level, agency and rule; `drill` tells whether they must belong to one, if
//! that matters.

use serde::Serialize;
use utoipa::ToSchema;

use crate::database::QueryBuilder;
use crate::{Error, Level, Millis, Registry, Result, Scope};

/// Alerts of one level whose first match lies in one span of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct AlertBucket {
    /// Start of the span.
    pub at: Millis,
    /// The level.
    pub level: Level,
    /// How many.
    pub count: i64,
}

/// One agency's or rule's part of the alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct AlertShare {
    /// Agency or rule id.
    pub id: String,
    /// Alerts.
    pub alerts: i64,
    /// Of these, not closed.
    pub open: i64,
    /// Of these, critical or high.
    pub severe: i64,
    /// Highest risk among those that are not closed.
    pub risk: i64,
}

/// Alerts of a span of time in figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct AlertFigures {
    /// Alerts whose first match lies in the span.
    pub alerts: i64,
    /// Of these, critical or high.
    pub severe: i64,
    /// Of these, still new.
    pub untouched: i64,
}

/// What [`Registry::alert_shares`] groups by.
const SHARE_COLUMNS: &str = "COUNT(*) AS alerts, COUNT(CASE WHEN state <> 'closed' THEN 1 END) AS open,
    COUNT(CASE WHEN level_rank >= 3 THEN 1 END) AS severe, COALESCE(MAX(CASE WHEN state <> 'closed' THEN risk ELSE 0 END), 0) AS risk";

/// Only alerts of drills, only others, or both.
fn of_drill(query: &mut QueryBuilder, drill: Option<bool>) {
    if let Some(drill) = drill {
        query.push(" AND drill = ").push_bind(i64::from(drill));
    }
}

impl Registry {
    /// Alerts per level in spans of `step_ms` over `since..until`, by first match. At most 2000 spans.
    pub async fn alert_series(
        &self,
        scope: &Scope,
        since: Millis,
        until: Millis,
        step_ms: Millis,
        drill: Option<bool>,
    ) -> Result<Vec<AlertBucket>> {
        if step_ms <= 0 || until < since || (until - since) / step_ms > 2000 {
            return Err(Error::Invalid {
                field: "step",
                reason: "must cut the time into at most 2000 spans",
            });
        }
        let mut query = QueryBuilder::new("SELECT first_seen - first_seen % ");
        query.push_bind(step_ms).push(" AS at, level, COUNT(*) AS count FROM alert WHERE first_seen >= ");
        query.push_bind(since).push(" AND first_seen < ").push_bind(until);
        of_drill(&mut query, drill);
        scope.restrict(&mut query, "organization");
        query.push(" GROUP BY 1, 2 ORDER BY 1, 2");
        Ok(query.build_query_as().fetch_all(&self.readers).await?)
    }

    /// Alerts of `since..until` in figures.
    pub async fn alert_figures(
        &self,
        scope: &Scope,
        since: Millis,
        until: Millis,
        drill: Option<bool>,
    ) -> Result<AlertFigures> {
        let mut query = QueryBuilder::new(
            "SELECT COUNT(*) AS alerts, COUNT(CASE WHEN level_rank >= 3 THEN 1 END) AS severe,
             COUNT(CASE WHEN state = 'new' THEN 1 END) AS untouched FROM alert WHERE first_seen >= ",
        );
        query.push_bind(since).push(" AND first_seen < ").push_bind(until);
        of_drill(&mut query, drill);
        scope.restrict(&mut query, "organization");
        Ok(query.build_query_as().fetch_one(&self.readers).await?)
    }

    /// The agencies with alerts in `since..until`, riskiest first, at most 200.
    pub async fn alerts_by_organization(
        &self,
        scope: &Scope,
        since: Millis,
        until: Millis,
        drill: Option<bool>,
    ) -> Result<Vec<AlertShare>> {
        self.alert_shares(
            "organization",
            "risk DESC, severe DESC, alerts DESC, id LIMIT 200",
            scope,
            (since, until),
            drill,
        )
        .await
    }

    /// The rules with most alerts in `since..until`, at most 20.
    pub async fn alerts_by_rule(
        &self,
        scope: &Scope,
        since: Millis,
        until: Millis,
        drill: Option<bool>,
    ) -> Result<Vec<AlertShare>> {
        self.alert_shares("rule_id", "alerts DESC, id LIMIT 20", scope, (since, until), drill).await
    }

    async fn alert_shares(
        &self,
        column: &'static str,
        order: &'static str,
        scope: &Scope,
        (since, until): (Millis, Millis),
        drill: Option<bool>,
    ) -> Result<Vec<AlertShare>> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(column).push(" AS id, ").push(SHARE_COLUMNS).push(" FROM alert WHERE first_seen >= ");
        query.push_bind(since).push(" AND first_seen < ").push_bind(until);
        of_drill(&mut query, drill);
        scope.restrict(&mut query, "organization");
        query.push(" GROUP BY 1 ORDER BY ").push(order);
        Ok(query.build_query_as().fetch_all(&self.readers).await?)
    }

    /// How many alerts are not closed, in scope.
    pub async fn open_alerts(&self, scope: &Scope, drill: Option<bool>) -> Result<i64> {
        let mut query = QueryBuilder::new("SELECT COUNT(*) FROM alert WHERE state <> 'closed'");
        of_drill(&mut query, drill);
        scope.restrict(&mut query, "organization");
        Ok(query.build_query_scalar().fetch_one(&self.readers).await?)
    }
}
