//! Drill sessions: what is sent under a running session's nonce is marked as a drill after detection.

use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use crate::database::{query, query_as};
use crate::{
    Change, Error, Millis, Registry, Result,
    audit::{self, Deed},
    new_id,
    secret::{hash_secret, random_secret},
};

/// A drill session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, FromRow)]
pub struct DrillSession {
    /// Id, carried by its events and alerts.
    pub id: String,
    /// Who runs it.
    pub principal: String,
    /// Since when.
    pub started_at: Millis,
    /// Until when; none while it runs.
    pub ended_at: Option<Millis>,
}

/// A new session and its nonce, which is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NewDrill {
    /// The stored part.
    pub session: DrillSession,
    /// 64 hexadecimal digits; senders show it with what they send.
    pub nonce: String,
}

impl Registry {
    /// Starts a session.
    pub async fn start_drill(&self, change: &Change) -> Result<NewDrill> {
        let nonce = random_secret();
        let session = DrillSession {
            id: new_id(),
            principal: change.who.clone(),
            started_at: change.at,
            ended_at: None,
        };
        let mut tx = self.write().await?;
        query("INSERT INTO drill_session (id, nonce_hash, principal, started_at) VALUES ($1, $2, $3, $4)")
            .bind(&session.id)
            .bind(hash_secret(&nonce))
            .bind(&session.principal)
            .bind(session.started_at)
            .execute(&mut *tx)
            .await?;
        let deed = Deed {
            action: "start",
            kind: "drill",
            object: &session.id,
            organization: None,
            before: None,
            after: None,
        };
        audit::record(&mut tx, change, deed).await?;
        tx.commit().await?;
        Ok(NewDrill { session, nonce })
    }

    /// The running session with this nonce.
    pub async fn drill_by_nonce(&self, nonce: &str) -> Result<Option<DrillSession>> {
        let found = query_as(
            "SELECT id, principal, started_at, ended_at FROM drill_session WHERE nonce_hash = $1 AND ended_at IS NULL",
        )
        .bind(hash_secret(nonce))
        .fetch_optional(&self.readers)
        .await?;
        Ok(found)
    }

    /// The newest 100 sessions.
    pub async fn drills(&self) -> Result<Vec<DrillSession>> {
        let found = query_as(
            "SELECT id, principal, started_at, ended_at FROM drill_session ORDER BY started_at DESC, id DESC LIMIT 100",
        )
        .fetch_all(&self.readers)
        .await?;
        Ok(found)
    }

    /// Ends a session: its nonce opens nothing any more.
    pub async fn end_drill(&self, change: &Change, id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let ended = query("UPDATE drill_session SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL")
            .bind(id)
            .bind(change.at)
            .execute(&mut *tx)
            .await?;
        if ended.rows_affected() == 0 {
            return Err(Error::NotFound("running drill session"));
        }
        let deed =
            Deed { action: "end", kind: "drill", object: id, organization: None, before: None, after: None };
        audit::record(&mut tx, change, deed).await?;
        tx.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{on_both, registry_for_test};

    async fn an_ended_session_is_no_drill() {
        let registry = registry_for_test().await;
        let made = registry.start_drill(&Change::service("drill", 1)).await.unwrap();
        assert!(registry.drill_by_nonce(&made.nonce).await.unwrap().is_some());
        registry.end_drill(&Change::service("drill", 2), &made.session.id).await.unwrap();
        assert!(registry.drill_by_nonce(&made.nonce).await.unwrap().is_none());
        assert!(registry.end_drill(&Change::service("drill", 3), &made.session.id).await.is_err());
        assert_eq!(registry.drills().await.unwrap()[0].ended_at, Some(2));
    }

    on_both!(an_ended_session_is_no_drill,);
}
