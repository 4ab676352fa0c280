//! What people do with alerts in the queue: take, acknowledge, close, reopen, many at once, and take it back.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::database::{Connection, query, query_scalar};
use crate::{
    Alert, Change, Error, Millis, Registry, Result, Scope, State, Verdict,
    alert::{CHANGES, fetch_many, next_number},
    audit::{self, Deed},
    error::check_text,
    secret::{hash_secret, random_secret},
};

/// How many alerts one act may touch.
const MAX_ALERTS: usize = 500;

/// How long an act can be taken back.
const UNDO_MS: Millis = 10 * 60_000;

/// An alert as the caller saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertRef {
    /// Its id.
    pub id: String,
    /// The version that the caller saw; the act loses if another was first.
    pub version: i64,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Give it to somebody (account id), or to nobody. A new alert becomes acknowledged.
    Assign {
        /// Account id; none = nobody.
        #[serde(default)]
        owner: Option<String>,
    },
    /// Take note of it.
    Acknowledge,
    /// Begin to work on it.
    Start,
    /// Close it.
    Close {
        /// What it turned out to be.
        verdict: Verdict,
        /// Why, at most 1000 characters.
        reason: String,
    },
    /// Open a closed one again.
    Reopen,
}

/// What came of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Triaged {
    /// The alerts as they are now.
    pub changed: Vec<Alert>,
    /// Those that somebody else changed first, or whose state does not allow the act, as they are now.
    pub conflicts: Vec<Alert>,
    /// Ids that do not exist for the caller.
    pub missing: Vec<String>,
    /// Takes the act back within ten minutes; none if nothing changed.
    pub undo: Option<String>,
}

/// The triage columns of an alert before an act, for taking it back.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    id: String,
    version: i64,
    state: State,
    owner: Option<String>,
    verdict: Option<Verdict>,
    reason: Option<String>,
    triaged_at: Option<Millis>,
    closed_at: Option<Millis>,
}

impl Action {
    fn name(&self) -> &'static str {
        match self {
            Self::Assign { .. } => "assign",
            Self::Acknowledge => "acknowledge",
            Self::Start => "start",
            Self::Close { .. } => "close",
            Self::Reopen => "reopen",
        }
    }

    fn check(&self) -> Result<()> {
        match self {
            Self::Close { reason, .. } => check_text("reason", reason, 1000),
            _ => Ok(()),
        }
    }

    /// The alert after the act, or none if its state does not allow it.
    fn apply(&self, alert: &Alert, change: &Change) -> Option<Alert> {
        let closed = alert.state == State::Closed;
        if closed != matches!(self, Self::Reopen) {
            return None;
        }
        let mut after = alert.clone();
        after.triaged_at = alert.triaged_at.or(Some(change.at));
        match self {
            Self::Assign { owner } => {
                after.owner.clone_from(owner);
                if alert.state == State::New && owner.is_some() {
                    after.state = State::Acknowledged;
                }
            }
            Self::Acknowledge => after.state = State::Acknowledged,
            Self::Start => {
                after.state = State::InProgress;
                after.owner.get_or_insert_with(|| change.who.clone());
            }
            Self::Close { verdict, reason } => {
                after.state = State::Closed;
                after.verdict = Some(*verdict);
                after.reason = Some(reason.clone());
                after.closed_at = Some(change.at);
                after.owner.get_or_insert_with(|| change.who.clone());
            }
            Self::Reopen => {
                after.state = State::Acknowledged;
                after.verdict = None;
                after.reason = None;
                after.closed_at = None;
            }
        }
        Some(after)
    }
}

impl Registry {
    /// Does `action` to each alert that is in scope, still has the version that the caller saw, and allows it.
    /// At most 500 alerts; all that can be changed are changed together, the others are answered apart.
    pub async fn triage(
        &self,
        scope: &Scope,
        change: &Change,
        alerts: &[AlertRef],
        action: &Action,
    ) -> Result<Triaged> {
        action.check()?;
        if alerts.is_empty() || alerts.len() > MAX_ALERTS {
            return Err(Error::Invalid { field: "alerts", reason: "must name 1 to 500 alerts" });
        }
        let ids: Vec<String> = alerts.iter().map(|one| one.id.clone()).collect();
        let mut tx = self.write().await?;
        check_owner(&mut tx, scope, action).await?;
        let stored = fetch_many(&mut tx, scope, &ids).await?;
        let mut out = Triaged { changed: Vec::new(), conflicts: Vec::new(), missing: Vec::new(), undo: None };
        let mut undo = Vec::new();
        for one in alerts {
            if out.changed.iter().any(|done| done.id == one.id) {
                continue;
            }
            let Some(before) = stored.iter().find(|alert| alert.id == one.id) else {
                out.missing.push(one.id.clone());
                continue;
            };
            let after = action.apply(before, change).filter(|_| before.version == one.version);
            let Some(after) = after else {
                out.conflicts.push(before.clone());
                continue;
            };
            undo.push(remember(before));
            out.changed.push(store(&mut tx, after).await?);
            audit_triage(&mut tx, change, action.name(), before, out.changed.last()).await?;
        }
        if !undo.is_empty() {
            out.undo = Some(store_undo(&mut tx, change, &undo).await?);
        }
        tx.commit().await?;
        Ok(out)
    }

    /// Takes back an act of the same person by its undo token. Alerts that were changed since are left as they are
    /// and answered as conflicts.
    pub async fn undo_triage(&self, scope: &Scope, change: &Change, token: &str) -> Result<Triaged> {
        let mut tx = self.write().await?;
        let alerts: Option<String> = query_scalar(
            "UPDATE triage_undo SET used_at = $3
             WHERE hash = $1 AND account = $2 AND used_at IS NULL AND expires_at > $3 RETURNING alerts",
        )
        .bind(hash_secret(token))
        .bind(&change.who)
        .bind(change.at)
        .fetch_optional(&mut *tx)
        .await?;
        let undo: Vec<Before> = serde_json::from_str(&alerts.ok_or(Error::NotFound("undo token"))?)?;
        let ids: Vec<String> = undo.iter().map(|one| one.id.clone()).collect();
        let stored = fetch_many(&mut tx, scope, &ids).await?;
        let mut out = Triaged { changed: Vec::new(), conflicts: Vec::new(), missing: Vec::new(), undo: None };
        for one in undo {
            let Some(now) = stored.iter().find(|alert| alert.id == one.id) else {
                out.missing.push(one.id);
                continue;
            };
            if now.version != one.version + 1 {
                out.conflicts.push(now.clone());
                continue;
            }
            let after = Alert {
                state: one.state,
                owner: one.owner,
                verdict: one.verdict,
                reason: one.reason,
                triaged_at: one.triaged_at,
                closed_at: one.closed_at,
                ..now.clone()
            };
            out.changed.push(store(&mut tx, after).await?);
            audit_triage(&mut tx, change, "undo", now, out.changed.last()).await?;
        }
        tx.commit().await?;
        Ok(out)
    }
}

fn remember(alert: &Alert) -> Before {
    Before {
        id: alert.id.clone(),
        version: alert.version,
        state: alert.state,
        owner: alert.owner.clone(),
        verdict: alert.verdict,
        reason: alert.reason.clone(),
        triaged_at: alert.triaged_at,
        closed_at: alert.closed_at,
    }
}

/// An owner must be an account that can work.
async fn check_owner(tx: &mut Connection, scope: &Scope, action: &Action) -> Result<()> {
    let Action::Assign { owner: Some(owner) } = action else { return Ok(()) };
    crate::user::check_worker(tx, scope, owner).await
}

/// Writes the triage columns and raises version and change number.
pub(crate) async fn store(tx: &mut Connection, mut alert: Alert) -> Result<Alert> {
    alert.version += 1;
    alert.change = next_number(tx, CHANGES).await?;
    query(
        "UPDATE alert SET state = $2, owner = $3, verdict = $4, reason = $5, incident = $6, triaged_at = $7, closed_at = $8,
         version = $9, change = $10 WHERE id = $1",
    )
    .bind(&alert.id)
    .bind(alert.state)
    .bind(&alert.owner)
    .bind(alert.verdict)
    .bind(&alert.reason)
    .bind(&alert.incident)
    .bind(alert.triaged_at)
    .bind(alert.closed_at)
    .bind(alert.version)
    .bind(alert.change)
    .execute(tx)
    .await?;
    Ok(alert)
}

/// Keeps what the act changed, and forgets what can no longer be taken back.
async fn store_undo(tx: &mut Connection, change: &Change, undo: &[Before]) -> Result<String> {
    let token = random_secret();
    query("DELETE FROM triage_undo WHERE expires_at <= $1").bind(change.at).execute(&mut *tx).await?;
    query("INSERT INTO triage_undo (hash, account, expires_at, alerts) VALUES ($1, $2, $3, $4)")
        .bind(hash_secret(&token))
        .bind(&change.who)
        .bind(change.at + UNDO_MS)
        .bind(serde_json::to_string(undo)?)
        .execute(tx)
        .await?;
    Ok(token)
}

/// An audit entry with the triage columns only.
pub(crate) async fn audit_triage(
    tx: &mut Connection,
    change: &Change,
    action: &str,
    before: &Alert,
    after: Option<&Alert>,
) -> Result<()> {
    let short = |alert: &Alert| {
        json!({ "state": alert.state, "owner": alert.owner, "verdict": alert.verdict, "reason": alert.reason,
            "incident": alert.incident, "version": alert.version })
    };
    let deed = Deed {
        action,
        kind: "alert",
        object: &before.id,
        organization: Some(&before.organization),
        before: Some(short(before)),
        after: after.map(short),
    };
    audit::record(tx, change, deed).await
}
