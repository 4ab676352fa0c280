//! The alert queue: filters, order, pages and the counts beside each filter value.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::database::QueryBuilder;
use crate::{Alert, Error, Level, Millis, Registry, Result, Scope, State, fold, scope::push_in};

/// What the queue is narrowed to. An empty list does not narrow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Any of these states.
    pub states: Vec<State>,
    /// Any of these levels.
    pub levels: Vec<Level>,
    /// Any of these agencies.
    pub organizations: Vec<String>,
    /// Any of these rules.
    pub rules: Vec<String>,
    /// Any of these account ids; an empty text stands for "nobody".
    pub owners: Vec<String>,
    /// Words to find in title, entity, agency and rule, without regard to diacritics; all must occur.
    pub text: Option<String>,
    /// Last seen at or after.
    pub since: Option<Millis>,
    /// Last seen before.
    pub until: Option<Millis>,
    /// Only drills, or only what is real.
    pub drill: Option<bool>,
    /// About exactly this thing.
    pub entity: Option<String>,
    /// Linked to this incident.
    pub incident: Option<String>,
}

/// What the queue is ordered by, highest first; `ascending` turns it round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertSort {
    /// Newest match.
    #[default]
    LastSeen,
    /// First match.
    FirstSeen,
    /// Risk points.
    Risk,
    /// Matches.
    Count,
    /// Level.
    Level,
}

impl AlertSort {
    fn column(self) -> &'static str {
        match self {
            Self::LastSeen => "last_seen",
            Self::FirstSeen => "first_seen",
            Self::Risk => "risk",
            Self::Count => "count",
            Self::Level => "level_rank",
        }
    }

    fn value(self, alert: &Alert) -> i64 {
        match self {
            Self::LastSeen => alert.last_seen,
            Self::FirstSeen => alert.first_seen,
            Self::Risk => alert.risk,
            Self::Count => alert.count,
            Self::Level => alert.level.rank(),
        }
    }
}

/// A page of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertPage {
    /// The alerts in order.
    pub alerts: Vec<Alert>,
    /// How many match in all.
    pub total: i64,
    /// Where the next page starts, if there is one.
    pub next: Option<String>,
}

/// How many alerts have one value of a filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct FacetCount {
    /// The value.
    pub value: String,
    /// How many match the other filters and have it.
    pub count: i64,
}

/// The counts beside each filter value; each ignores the filter that it belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertFacets {
    /// By state.
    pub state: Vec<FacetCount>,
    /// By level.
    pub level: Vec<FacetCount>,
    /// By agency, the fifty largest.
    pub organization: Vec<FacetCount>,
    /// By rule, the fifty largest.
    pub rule: Vec<FacetCount>,
    /// By owner (account id, empty = nobody), the fifty largest.
    pub owner: Vec<FacetCount>,
}

impl AlertFilter {
    /// Appends `WHERE ...` for this filter within `scope`, leaving out the filter on column `except`.
    pub(crate) fn push(&self, scope: &Scope, query: &mut QueryBuilder, except: &str) {
        query.push(" WHERE 1 = 1");
        scope.restrict(query, "organization");
        self.push_lists(query, except);
        if let Some(since) = self.since {
            query.push(" AND last_seen >= ").push_bind(since);
        }
        if let Some(until) = self.until {
            query.push(" AND last_seen < ").push_bind(until);
        }
        if let Some(drill) = self.drill {
            query.push(" AND drill = ").push_bind(i64::from(drill));
        }
        for (column, value) in [("entity_value", &self.entity), ("incident", &self.incident)] {
            if let Some(value) = value {
                query.push(" AND ").push(column).push(" = ").push_bind(value.clone());
            }
        }
        // Quotation marks and dashes of a text processor around a word are none of it.
        let bare = |word: &'_ str| {
            word.trim_matches(|sign: char| !sign.is_ascii() && !sign.is_alphanumeric()).to_owned()
        };
        let words = self.text.iter().flat_map(|text| text.split_whitespace()).map(bare);
        for word in words.filter(|word| !word.is_empty()).take(10) {
            query.push(" AND search LIKE ").push_bind(fold::pattern(&word)).push(" ESCAPE '\\'");
        }
    }

    fn push_lists(&self, query: &mut QueryBuilder, except: &str) {
        let states: Vec<String> = self.states.iter().map(|state| state_name(*state).to_owned()).collect();
        let levels: Vec<String> = self.levels.iter().map(|level| level.as_str().to_owned()).collect();
        let lists = [
            ("state", &states),
            ("level", &levels),
            ("organization", &self.organizations),
            ("rule_id", &self.rules),
            ("COALESCE(owner, '')", &self.owners),
        ];
        for (column, values) in lists {
            if column != except && !values.is_empty() {
                push_in(query, column, values);
            }
        }
    }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::New => "new",
        State::Acknowledged => "acknowledged",
        State::InProgress => "in_progress",
        State::Closed => "closed",
    }
}

/// Reads `value:id` of a page's end.
fn parse_cursor(cursor: &str) -> Result<(i64, &str)> {
    cursor.split_once(':').and_then(|(value, id)| Some((value.parse().ok()?, id))).ok_or(Error::Invalid {
        field: "cursor",
        reason: "is not understood: take it from `next` of the last page",
    })
}

impl Registry {
    /// A page of at most `limit` (1 to 500) alerts, from `cursor` (the `next` of the page before) on.
    pub async fn alerts(
        &self,
        scope: &Scope,
        filter: &AlertFilter,
        sort: AlertSort,
        ascending: bool,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<AlertPage> {
        let limit = limit.clamp(1, 500);
        let mut tx = self.readers.begin().await?;
        let mut count = QueryBuilder::new("SELECT COUNT(*) FROM alert");
        filter.push(scope, &mut count, "");
        let total = count.build_query_scalar().fetch_one(&mut *tx).await?;
        let mut query = QueryBuilder::new("SELECT * FROM alert");
        filter.push(scope, &mut query, "");
        let (sign, order) = if ascending { (" > ", " ASC") } else { (" < ", " DESC") };
        let column = sort.column();
        if let Some(cursor) = cursor {
            let (value, id) = parse_cursor(cursor)?;
            query.push(" AND (").push(column).push(", id)").push(sign).push("(").push_bind(value);
            query.push(", ").push_bind(id.to_owned()).push(")");
        }
        query.push(" ORDER BY ").push(column).push(order).push(", id").push(order);
        query.push(" LIMIT ").push_bind(i64::from(limit) + 1);
        let mut alerts: Vec<Alert> = query.build_query_as().fetch_all(&mut *tx).await?;
        let more = alerts.len() > limit as usize;
        alerts.truncate(limit as usize);
        let next = alerts.last().filter(|_| more).map(|last| format!("{}:{}", sort.value(last), last.id));
        Ok(AlertPage { alerts, total, next })
    }

    /// How many alerts match.
    pub async fn alert_total(&self, scope: &Scope, filter: &AlertFilter) -> Result<i64> {
        let mut count = QueryBuilder::new("SELECT COUNT(*) FROM alert");
        filter.push(scope, &mut count, "");
        Ok(count.build_query_scalar().fetch_one(&self.readers).await?)
    }

    /// The counts beside each filter value.
    pub async fn alert_facets(&self, scope: &Scope, filter: &AlertFilter) -> Result<AlertFacets> {
        let mut tx = self.readers.begin().await?;
        let mut columns = Vec::new();
        for column in ["state", "level", "organization", "rule_id", "COALESCE(owner, '')"] {
            let mut query = QueryBuilder::new("SELECT ");
            query.push(column).push(" AS value, COUNT(*) AS count FROM alert");
            filter.push(scope, &mut query, column);
            query.push(" GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50");
            columns.push(query.build_query_as().fetch_all(&mut *tx).await?);
        }
        let mut columns = columns.into_iter();
        let mut take = || columns.next().unwrap_or_default();
        Ok(AlertFacets { state: take(), level: take(), organization: take(), rule: take(), owner: take() })
    }
}
