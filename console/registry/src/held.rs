//! Signing in while the registry cannot be written: sessions, their ends and wrong passwords, kept in memory until it
//! can be written again. They are lost at a restart.

use std::collections::{HashMap, HashSet};
use std::sync::{MutexGuard, PoisonError};

use serde_json::json;

use crate::database::{query, query_as};
use crate::{
    Account, Change, Error, Millis, NewSession, Registry, Result, SessionLimits, SignIn, SignedIn,
    audit::{self, Deed},
    password,
    secret::{hash_secret, random_secret},
    user::{LOCK_MS, MAX_FAILURES},
};

/// Sessions in memory at most; when there are more, the oldest ends.
const MAX_SESSIONS: usize = 1_000;

/// Ends of stored sessions in memory at most.
const MAX_ENDED: usize = 10_000;

/// How often an active session is tried to be written down.
const SETTLE_MS: Millis = 60_000;

/// What could not be written.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// By the hash of their secret.
    sessions: HashMap<String, HeldSession>,
    /// Hashes of stored sessions that ended.
    pub(crate) ended: HashSet<String>,
    /// Tries in a row and the time of the last one, by account.
    tries: HashMap<String, (i64, Millis)>,
}

/// A session that is not stored.
#[derive(Debug, Clone)]
struct HeldSession {
    account: String,
    /// The account's version: whatever ends stored sessions makes a new one.
    version: i64,
    address: Option<String>,
    begun: Millis,
    expires_at: Millis,
    used_at: Millis,
    settled_at: Millis,
}

impl Held {
    /// Counts a try before the password is looked at, as [`Registry::sign_in`] does; false while the account is locked.
    fn may_try(&mut self, account: &Account, now: Millis) -> bool {
        let stored = if account.locked_until.is_some() { 0 } else { account.failed_attempts };
        let (tries, last) = self.tries.entry(account.id.clone()).or_insert((stored, now));
        if *tries >= MAX_FAILURES {
            if now < last.saturating_add(LOCK_MS) {
                return false;
            }
            *tries = 0;
        }
        (*tries, *last) = (*tries + 1, now);
        true
    }

    fn begin(&mut self, hash: String, session: HeldSession) {
        self.sessions.retain(|_, one| session.begun < one.expires_at);
        if self.sessions.len() >= MAX_SESSIONS {
            let oldest = self.sessions.iter().min_by_key(|(_, one)| one.begun).map(|(hash, _)| hash.clone());
            if let Some(oldest) = oldest {
                self.sessions.remove(&oldest);
            }
        }
        self.sessions.insert(hash, session);
    }

    /// The session if it is in force, and whether it is time to write it down.
    fn session(
        &mut self,
        hash: &str,
        limits: SessionLimits,
        active: bool,
        now: Millis,
    ) -> Option<(HeldSession, bool)> {
        let one = self.sessions.get_mut(hash)?;
        if now >= one.expires_at || now >= one.used_at.saturating_add(limits.idle_ms) {
            self.sessions.remove(hash);
            return None;
        }
        if active {
            one.used_at = one.used_at.max(now);
        }
        let due = active && now >= one.settled_at.saturating_add(SETTLE_MS);
        if due {
            one.settled_at = now;
        }
        Some((one.clone(), due))
    }

    /// Ends a session in memory; true if it was there.
    pub(crate) fn end(&mut self, hash: &str) -> bool {
        self.sessions.remove(hash).is_some()
    }

    /// Remembers that a stored session ended, if there is room.
    pub(crate) fn note_end(&mut self, hash: &str) -> bool {
        let room = self.ended.len() < MAX_ENDED;
        if room {
            self.ended.insert(hash.to_owned());
        }
        room
    }

    /// The session that changed its account's password goes on.
    pub(crate) fn keep(&mut self, hash: &str, version: i64) {
        if let Some(one) = self.sessions.get_mut(hash) {
            one.version = version;
        }
    }
}

impl Registry {
    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks a password while nothing can be written: wrong ones are counted in memory.
    pub(crate) async fn sign_in_held(&self, login: &str, password: &str, now: Millis) -> Result<SignIn> {
        let found: Option<Account> = query_as(
            "SELECT * FROM account WHERE login = $1 AND disabled = 0 AND (locked_until IS NULL OR locked_until <= $2)",
        )
        .bind(login)
        .bind(now)
        .fetch_optional(&self.readers)
        .await?;
        let tried = found.filter(|account| self.held().may_try(account, now));
        let hash = tried.as_ref().map(|account| account.password_hash.clone());
        let right = password::verify(password, hash).await?;
        let Some(account) = tried.filter(|_| right) else { return Ok(SignIn::Refused) };
        self.held().tries.remove(&account.id);
        Ok(SignIn::Welcome(Box::new(account)))
    }

    /// Begins a session in memory for an account that has just signed in, for when [`Registry::begin_session`] cannot be
    /// written ([`Error::is_disk`]). It is written down, with the audit entry of the sign-in, by a request of its own
    /// once that is possible; a restart before that ends it. At most 1000; then the oldest ends.
    pub fn hold_session(
        &self,
        account: &Account,
        address: Option<&str>,
        limits: SessionLimits,
        now: Millis,
    ) -> NewSession {
        let secret = random_secret();
        let expires_at = now.saturating_add(limits.life_ms);
        let session = HeldSession {
            account: account.id.clone(),
            version: account.version,
            address: address.map(str::to_owned),
            begun: now,
            expires_at,
            used_at: now,
            settled_at: now,
        };
        self.held().begin(hash_secret(&secret), session);
        NewSession { secret, expires_at }
    }

    /// Who a session in memory belongs to, if there is one with this hash and it is in force.
    pub(crate) async fn held_session(
        &self,
        hash: &str,
        limits: SessionLimits,
        active: bool,
        now: Millis,
    ) -> Result<Option<SignedIn>> {
        let found = self.held().session(hash, limits, active, now);
        let Some((one, due)) = found else { return Ok(None) };
        let account = match self.account(&one.account).await {
            Ok(account) if !account.disabled && account.version == one.version => account,
            Ok(_) | Err(Error::NotFound(_)) => {
                self.held().end(hash);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if due && let Err(error) = self.settle(hash, &one, now).await {
            tracing::warn!(%error, "a session stays in memory: it cannot be written down");
        }
        Ok(Some(SignedIn { account, session: hash.to_owned(), expires_at: one.expires_at }))
    }

    /// Writes a session down, and that somebody signed in.
    async fn settle(&self, hash: &str, one: &HeldSession, now: Millis) -> Result<()> {
        let mut tx = self.write().await?;
        query("INSERT INTO account_session VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(hash)
            .bind(&one.account)
            .bind(one.begun)
            .bind(one.expires_at)
            .bind(one.used_at)
            .bind(&one.address)
            .execute(&mut *tx)
            .await?;
        let change = Change::by(&one.account, one.address.clone(), one.begun);
        let written = Some(json!({ "written_at": now }));
        let deed = Deed {
            action: "sign_in",
            kind: "account",
            object: &one.account,
            organization: None,
            before: None,
            after: written,
        };
        audit::record(&mut tx, &change, deed).await?;
        tx.commit().await?;
        let ended_meanwhile = !self.held().end(hash);
        if ended_meanwhile { self.end_session(hash).await } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{on_both, place};

    const BEGUN: Millis = 1_000;

    async fn full_disk() -> (tempfile::TempDir, Registry, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(place(&folder.path().join("registry.db"))).await.unwrap();
        let made = registry.create_first_administrator(1).await.unwrap().unwrap();
        registry.hold_writes(true).await.unwrap();
        (folder, registry, made.login, made.password)
    }

    async fn enter(registry: &Registry, login: &str, password: &str, at: Millis) -> Option<Account> {
        match registry.sign_in(login, password, at).await.unwrap() {
            SignIn::Welcome(account) => Some(*account),
            SignIn::Refused => None,
        }
    }

    async fn a_session_is_held_until_it_can_be_written() {
        let (folder, registry, login, password) = full_disk().await;
        let limits = SessionLimits::default();
        let account = enter(&registry, &login, &password, BEGUN).await.unwrap();
        assert!(registry.begin_session(&account.id, None, limits, BEGUN).await.unwrap_err().is_disk());
        let held = registry.hold_session(&account, Some("192.0.2.1"), limits, BEGUN);
        let at = BEGUN + SETTLE_MS;
        assert!(registry.session(&held.secret, limits, true, at).await.unwrap().is_some());
        assert!(registry.session("other", limits, true, at).await.unwrap().is_none());
        registry.hold_writes(false).await.unwrap();
        let entries = registry.audit_verify().await.unwrap().entries;
        assert!(registry.session(&held.secret, limits, true, at + SETTLE_MS).await.unwrap().is_some());
        assert!(registry.held().sessions.is_empty());
        assert_eq!(registry.audit_verify().await.unwrap().entries, entries + 1);
        registry.close().await;
        let again = Registry::open(place(&folder.path().join("registry.db"))).await.unwrap();
        let found = again.session(&held.secret, limits, true, at + 2 * SETTLE_MS).await.unwrap().unwrap();
        assert_eq!((found.account.id, found.expires_at), (account.id, held.expires_at));
    }

    async fn wrong_passwords_lock_without_a_disk_too() {
        let (_folder, registry, login, password) = full_disk().await;
        for _ in 0..MAX_FAILURES {
            assert!(enter(&registry, &login, "wrong", BEGUN).await.is_none());
        }
        assert!(enter(&registry, &login, &password, BEGUN).await.is_none());
        assert!(enter(&registry, "nobody", &password, BEGUN).await.is_none());
        assert!(enter(&registry, &login, &password, BEGUN + LOCK_MS).await.is_some());
    }

    async fn sessions_end_without_a_disk_too() {
        let (_folder, registry, login, password) = full_disk().await;
        let limits = SessionLimits::default();
        let account = enter(&registry, &login, &password, BEGUN).await.unwrap();
        registry.hold_writes(false).await.unwrap();
        let stored = registry.begin_session(&account.id, None, limits, BEGUN).await.unwrap();
        registry.hold_writes(true).await.unwrap();
        let held = registry.hold_session(&account, None, limits, BEGUN);
        for secret in [&stored.secret, &held.secret] {
            assert!(registry.session(secret, limits, true, BEGUN).await.unwrap().is_some());
            registry.end_session(&hash_secret(secret)).await.unwrap();
            assert!(registry.session(secret, limits, true, BEGUN).await.unwrap().is_none());
        }
        let idle = registry.hold_session(&account, None, limits, BEGUN);
        let late = BEGUN + limits.idle_ms;
        assert!(registry.session(&idle.secret, limits, true, late).await.unwrap().is_none());
        let reset = registry.hold_session(&account, None, limits, BEGUN);
        registry.hold_writes(false).await.unwrap();
        registry.reset_password(&Change::service("test", BEGUN), &account.id).await.unwrap();
        assert!(registry.session(&reset.secret, limits, true, BEGUN).await.unwrap().is_none());
        // The end that could not be written is, with the next session.
        registry.begin_session(&account.id, None, limits, BEGUN).await.unwrap();
        assert!(registry.held().ended.is_empty());
        assert!(registry.session(&stored.secret, limits, true, BEGUN).await.unwrap().is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let mut held = Held::default();
        for number in 0..1_005 {
            let session = HeldSession {
                account: "a".into(),
                version: 1,
                address: None,
                begun: number,
                expires_at: Millis::MAX,
                used_at: number,
                settled_at: number,
            };
            held.begin(number.to_string(), session);
        }
        assert_eq!(held.sessions.len(), MAX_SESSIONS);
        assert!(!held.sessions.contains_key("0") && held.sessions.contains_key("1004"));
    }

    on_both!(
        a_session_is_held_until_it_can_be_written,
        wrong_passwords_lock_without_a_disk_too,
        sessions_end_without_a_disk_too,
    );
}
