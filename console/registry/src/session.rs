//! Sessions of people who signed in: a random secret in a cookie, its hash here, with an end and an idle limit.

use crate::database::{query, query_as};
use crate::{
    Account, Error, Millis, Registry, Result,
    secret::{hash_secret, random_secret},
};

/// How long sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// From sign-in to the end, whatever happens.
    pub life_ms: Millis,
    /// Without a request.
    pub idle_ms: Millis,
}

impl Default for SessionLimits {
    /// A shift of twelve hours, an hour of idleness.
    fn default() -> Self {
        Self { life_ms: 12 * 3_600_000, idle_ms: 3_600_000 }
    }
}

/// A new session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// For the cookie: 64 hexadecimal digits.
    pub secret: String,
    /// When it ends at the latest.
    pub expires_at: Millis,
}

/// A session that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who.
    pub account: Account,
    /// Hash of the secret: names the session.
    pub session: String,
    /// When it ends at the latest.
    pub expires_at: Millis,
}

/// One stored session.
#[derive(sqlx::FromRow)]
struct Stored {
    account: String,
    expires_at: Millis,
    used_at: Millis,
}

impl Registry {
    /// Begins a session for an account that has just signed in.
    pub async fn begin_session(
        &self,
        account: &str,
        address: Option<&str>,
        limits: SessionLimits,
        now: Millis,
    ) -> Result<NewSession> {
        let secret = random_secret();
        let expires_at = now.saturating_add(limits.life_ms);
        let mut tx = self.write().await?;
        query("DELETE FROM account_session WHERE expires_at <= $1").bind(now).execute(&mut *tx).await?;
        query("INSERT INTO account_session VALUES ($1, $2, $3, $4, $3, $5)")
            .bind(hash_secret(&secret))
            .bind(account)
            .bind(now)
            .bind(expires_at)
            .bind(address)
            .execute(&mut *tx)
            .await?;
        let ended: Vec<String> = self.held().ended.iter().cloned().collect();
        for one in &ended {
            query("DELETE FROM account_session WHERE hash = $1").bind(one).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        for one in &ended {
            self.held().ended.remove(one);
        }
        Ok(NewSession { secret, expires_at })
    }

    /// Who the session with this secret belongs to, unless it has ended or its account is disabled.
    /// `active` tells whether a person did something: an open page that only polls goes idle.
    pub async fn session(
        &self,
        secret: &str,
        limits: SessionLimits,
        active: bool,
        now: Millis,
    ) -> Result<Option<SignedIn>> {
        let session = hash_secret(secret);
        if let Some(found) = self.held_session(&session, limits, active, now).await? {
            return Ok(Some(found));
        }
        if self.held().ended.contains(&session) {
            return Ok(None);
        }
        let stored: Option<Stored> =
            query_as("SELECT account, expires_at, used_at FROM account_session WHERE hash = $1")
                .bind(&session)
                .fetch_optional(&self.readers)
                .await?;
        let in_force =
            |one: &Stored| now < one.expires_at && now < one.used_at.saturating_add(limits.idle_ms);
        let Some(stored) = stored.filter(in_force) else { return Ok(None) };
        let account = match self.account(&stored.account).await {
            Ok(account) if !account.disabled => account,
            Ok(_) | Err(Error::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        if active && now >= stored.used_at.saturating_add(60_000) {
            let kept = query("UPDATE account_session SET used_at = $2 WHERE hash = $1 AND used_at < $2")
                .bind(&session)
                .bind(now)
                .execute(&self.writer)
                .await;
            match kept.map_err(Error::from) {
                // Reading goes on while the disk is full: the session only goes idle sooner.
                Err(error) if error.is_disk() => tracing::warn!(%error, "a session could not be kept awake"),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(Some(SignedIn { account, session, expires_at: stored.expires_at }))
    }

    /// Ends a session, named by its hash. While nothing can be written its end is kept in memory: a restart before the
    /// next session begins would bring it back until it expires.
    pub async fn end_session(&self, session: &str) -> Result<()> {
        let held = self.held().end(session);
        let gone = query("DELETE FROM account_session WHERE hash = $1")
            .bind(session)
            .execute(&self.writer)
            .await
            .map_err(Error::from);
        match gone {
            Err(error) if error.is_disk() && (held || self.held().note_end(session)) => {
                tracing::error!(%error, "the end of a session is kept in memory only: it cannot be written");
                Ok(())
            }
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }
}
