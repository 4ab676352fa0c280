//! Accounts of people: role, scope, password, lock-out.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::database::{Connection, Flag, JsonText, query, query_as, query_scalar};
use crate::{
    Change, Error, Millis, Registry, Result, Scope, WeakPassword,
    audit::{self, Deed},
    error::{check_id, check_text},
    new_id, password,
};

/// After how many wrong passwords in a row an account is locked.
pub(crate) const MAX_FAILURES: i64 = 5;

/// For how long.
pub(crate) const LOCK_MS: Millis = 15 * 60_000;

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "TEXT", rename_all = "snake_case")]
pub enum Role {
    /// Everything, everywhere.
    Administrator,
    /// Triage, incidents and exceptions within the scope.
    Analyst,
    /// Reading within the scope.
    AgencyViewer,
}

/// An account, without its password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct Account {
    /// Id.
    pub id: String,
    /// Login name.
    pub login: String,
    /// The person's name.
    pub full_name: String,
    /// Argon2id hash; never shown.
    #[serde(skip)]
    pub password_hash: String,
    /// What the person may do.
    pub role: Role,
    /// The agencies in scope; none = all.
    #[sqlx(try_from = "JsonText")]
    pub organizations: Option<Vec<String>>,
    /// `vi` or `en`.
    pub language: String,
    /// Whether nothing is allowed before a new password is chosen.
    #[sqlx(try_from = "Flag")]
    pub must_change_password: bool,
    /// Wrong passwords in a row.
    #[serde(skip)]
    pub failed_attempts: i64,
    /// Locked until then.
    pub locked_until: Option<Millis>,
    /// Whether the account may not be used.
    #[sqlx(try_from = "Flag")]
    pub disabled: bool,
    /// When it was made.
    pub created_at: Millis,
    /// When the password was last changed.
    pub password_changed_at: Millis,
    /// When the person last signed in.
    pub last_sign_in_at: Option<Millis>,
    /// For the optimistic check.
    pub version: i64,
}

/// What making an account needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountEdit {
    /// The person's name, at most 200 characters.
    pub full_name: String,
    /// What the person may do.
    pub role: Role,
    /// The agencies in scope; none = all. An administrator's scope is always all.
    #[serde(default)]
    pub organizations: Option<Vec<String>>,
    /// Whether the account may not be used.
    #[serde(default)]
    pub disabled: bool,
}

/// A new account and the password that it begins with, which is shown this once and must be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NewAccount {
    /// The account.
    pub account: Account,
    /// The first password.
    pub password: String,
}

/// The first administrator's login and password, made once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstPassword {
    /// Login name.
    pub login: String,
    /// Password, to be changed at the first sign-in.
    pub password: String,
}

/// The answer to a login name and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignIn {
    /// Right.
    Welcome(Box<Account>),
    /// Wrong name or password, or locked, or disabled: which of these is not said.
    Refused,
}

impl Account {
    /// The agencies that exist for this person.
    pub fn scope(&self) -> Scope {
        match (&self.organizations, self.role) {
            (_, Role::Administrator) | (None, Role::Analyst) => Scope::All,
            // An account from before agencies were required of viewers: nothing rather than everything.
            (None, Role::AgencyViewer) => Scope::Organizations(Vec::new()),
            (Some(list), _) => Scope::Organizations(list.clone()),
        }
    }

    /// Whether somebody of this scope may know of the account: it sees the whole province, or they share an agency.
    fn known_in(&self, scope: &Scope) -> bool {
        match self.scope() {
            Scope::All => true,
            Scope::Organizations(list) => list.iter().any(|one| scope.allows(one)),
        }
    }

    pub(crate) fn may_work(&self) -> bool {
        !self.disabled && self.role != Role::AgencyViewer
    }
}

async fn fetch(tx: &mut Connection, id: &str) -> Result<Account> {
    query_as("SELECT * FROM account WHERE id = $1")
        .bind(id)
        .fetch_optional(tx)
        .await?
        .ok_or(Error::NotFound("account"))
}

/// An empty list must never become the whole province, nor an account that sees nothing.
const NO_AGENCY: Error = Error::Invalid { field: "organizations", reason: "choose at least one agency" };

/// Refuses an owner who is no account, may not work on alerts, or whom somebody of this scope may not know of.
pub(crate) async fn check_worker(tx: &mut Connection, scope: &Scope, id: &str) -> Result<()> {
    match fetch(tx, id).await {
        Ok(account) if account.may_work() && account.known_in(scope) => Ok(()),
        Ok(_) | Err(Error::NotFound(_)) => {
            Err(Error::Invalid { field: "owner", reason: "is no account that may work on this" })
        }
        Err(error) => Err(error),
    }
}

/// An administrator sees all, an analyst without a list, too; other scopes must name agencies that exist.
async fn check_edit(tx: &mut Connection, edit: &AccountEdit) -> Result<Option<Vec<String>>> {
    check_text("full_name", &edit.full_name, 200)?;
    let Some(list) = edit.organizations.as_ref().filter(|_| edit.role != Role::Administrator) else {
        return match edit.role {
            Role::AgencyViewer => Err(NO_AGENCY),
            Role::Administrator | Role::Analyst => Ok(None),
        };
    };
    if list.is_empty() {
        return Err(NO_AGENCY);
    }
    for organization in list {
        crate::agency::fetch(tx, organization).await?;
    }
    Ok(Some(list.clone()))
}

impl Registry {
    /// All accounts by login, at most 5000: for administrators.
    pub async fn accounts(&self) -> Result<Vec<Account>> {
        Ok(query_as("SELECT * FROM account ORDER BY login LIMIT 5000").fetch_all(&self.readers).await?)
    }

    /// One account.
    pub async fn account(&self, id: &str) -> Result<Account> {
        fetch(&mut *self.readers.acquire().await?, id).await
    }

    /// The people whom someone of this scope may know of: those who see the whole province, and those who share an agency.
    pub async fn colleagues(&self, scope: &Scope) -> Result<Vec<Account>> {
        Ok(self.accounts().await?.into_iter().filter(|account| account.known_in(scope)).collect())
    }

    /// Makes the account `admin` if there is no account at all, and answers its password this once.
    pub async fn create_first_administrator(&self, now: Millis) -> Result<Option<FirstPassword>> {
        let accounts: i64 = query_scalar("SELECT COUNT(*) FROM account").fetch_one(&self.readers).await?;
        if accounts > 0 {
            return Ok(None);
        }
        let edit = AccountEdit {
            full_name: "Quản trị hệ thống".into(),
            role: Role::Administrator,
            organizations: None,
            disabled: false,
        };
        match self.create_account(&Change::service("setup", now), "admin", &edit).await {
            Ok(made) => Ok(Some(FirstPassword { login: made.account.login, password: made.password })),
            Err(Error::Taken(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes an account with a random password that must be changed.
    pub async fn create_account(
        &self,
        change: &Change,
        login: &str,
        edit: &AccountEdit,
    ) -> Result<NewAccount> {
        check_id("login", login)?;
        let first = password::random();
        let hash = password::hash(&first).await?;
        let id = new_id();
        let mut tx = self.write().await?;
        let organizations = check_edit(&mut tx, edit).await?;
        query(
            "INSERT INTO account (id, login, full_name, password_hash, role, organizations, language, must_change_password,
             failed_attempts, disabled, created_at, password_changed_at, version)
             VALUES ($1, $2, $3, $4, $5, $6, 'vi', 1, 0, $7, $8, $8, 1)",
        )
        .bind(&id)
        .bind(login)
        .bind(&edit.full_name)
        .bind(hash)
        .bind(edit.role)
        .bind(organizations.as_ref().map(serde_json::to_string).transpose()?)
        .bind(i64::from(edit.disabled))
        .bind(change.at)
        .execute(&mut *tx)
        .await
        .map_err(Error::or_taken("account"))?;
        let account = fetch(&mut tx, &id).await?;
        record(&mut tx, change, "create", None, &account).await?;
        tx.commit().await?;
        Ok(NewAccount { account, password: first })
    }

    /// Rewrites an account; `version` is the one that the caller saw. Its sessions end. Nobody can take the
    /// administrator's role from, or disable, the last administrator.
    pub async fn update_account(
        &self,
        change: &Change,
        id: &str,
        version: i64,
        edit: &AccountEdit,
    ) -> Result<Account> {
        let mut tx = self.write().await?;
        let before = fetch(&mut tx, id).await?;
        Error::check_version("account", version, before.version)?;
        let organizations = check_edit(&mut tx, edit).await?;
        let loses = before.role == Role::Administrator && (edit.role != Role::Administrator || edit.disabled);
        if loses && administrators(&mut tx, id).await? == 0 {
            return Err(Error::Refused { what: "account", reason: "is the last administrator" });
        }
        query(
            "UPDATE account SET full_name = $2, role = $3, organizations = $4, disabled = $5, version = version + 1 WHERE id = $1",
        )
        .bind(id)
        .bind(&edit.full_name)
        .bind(edit.role)
        .bind(organizations.as_ref().map(serde_json::to_string).transpose()?)
        .bind(i64::from(edit.disabled))
        .execute(&mut *tx)
        .await?;
        end_sessions(&mut tx, id, None).await?;
        let after = fetch(&mut tx, id).await?;
        record(&mut tx, change, "update", Some(&before), &after).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Gives an account a new random password that must be changed, unlocks it and ends its sessions.
    pub async fn reset_password(&self, change: &Change, id: &str) -> Result<NewAccount> {
        let first = password::random();
        let hash = password::hash(&first).await?;
        let mut tx = self.write().await?;
        let before = fetch(&mut tx, id).await?;
        write_password(&mut tx, id, &hash, true, change.at).await?;
        end_sessions(&mut tx, id, None).await?;
        let account = fetch(&mut tx, id).await?;
        record(&mut tx, change, "reset_password", Some(&before), &account).await?;
        tx.commit().await?;
        Ok(NewAccount { account, password: first })
    }

    /// Changes one's own password; the other sessions end. A wrong present password is [`Error::Refused`] and counts
    /// toward the lock-out.
    pub async fn change_password(
        &self,
        change: &Change,
        present: &str,
        new: &str,
        keep_session: &str,
    ) -> Result<Account> {
        let account = self.account(&change.who).await?;
        password::check(new, &account.login)?;
        if self.sign_in(&account.login, present, change.at).await? == SignIn::Refused {
            return Err(Error::Refused { what: "present password", reason: "is wrong" });
        }
        if present == new {
            return Err(WeakPassword::Unchanged.into());
        }
        let hash = password::hash(new).await?;
        let mut tx = self.write().await?;
        write_password(&mut tx, &account.id, &hash, false, change.at).await?;
        end_sessions(&mut tx, &account.id, Some(keep_session)).await?;
        let after = fetch(&mut tx, &account.id).await?;
        record(&mut tx, change, "change_password", None, &after).await?;
        tx.commit().await?;
        self.held().keep(keep_session, after.version);
        Ok(after)
    }

    /// Chooses the language of one's own account: `vi` or `en`.
    pub async fn set_language(&self, account: &str, language: &str) -> Result<Account> {
        if !matches!(language, "vi" | "en") {
            return Err(Error::Invalid { field: "language", reason: "must be vi or en" });
        }
        let mut tx = self.write().await?;
        query("UPDATE account SET language = $2 WHERE id = $1")
            .bind(account)
            .bind(language)
            .execute(&mut *tx)
            .await?;
        let after = fetch(&mut tx, account).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Checks a password. Each try counts before the password is looked at, so that many at once do not get more
    /// tries; the fifth wrong one locks the account for fifteen minutes. An unknown login takes as long as a known one.
    /// While nothing can be written tries are counted in memory.
    pub async fn sign_in(&self, login: &str, password: &str, now: Millis) -> Result<SignIn> {
        match self.sign_in_noted(login, password, now).await {
            Err(error) if error.is_disk() => self.sign_in_held(login, password, now).await,
            answer => answer,
        }
    }

    async fn sign_in_noted(&self, login: &str, password: &str, now: Millis) -> Result<SignIn> {
        // Committed by itself: a statement that gives rows back says nothing of a commit that fails.
        let mut tx = self.write().await?;
        let tried: Option<Account> = query_as(
            "UPDATE account SET
               failed_attempts = CASE WHEN locked_until IS NULL THEN failed_attempts + 1 ELSE 1 END,
               locked_until = CASE WHEN locked_until IS NULL AND failed_attempts + 1 >= $3 THEN $4 ELSE NULL END
             WHERE login = $1 AND disabled = 0 AND (locked_until IS NULL OR locked_until <= $2)
             RETURNING *",
        )
        .bind(login)
        .bind(now)
        .bind(MAX_FAILURES)
        .bind(now.saturating_add(LOCK_MS))
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        let hash = tried.as_ref().map(|account| account.password_hash.clone());
        let right = password::verify(password, hash).await?;
        let Some(account) = tried.filter(|_| right) else { return Ok(SignIn::Refused) };
        let mut tx = self.write().await?;
        let welcome = query_as(
            "UPDATE account SET failed_attempts = 0, locked_until = NULL, last_sign_in_at = $2 WHERE id = $1 RETURNING *",
        )
        .bind(&account.id)
        .bind(now)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(SignIn::Welcome(Box::new(welcome)))
    }
}

/// How many administrators can sign in besides `id`.
async fn administrators(tx: &mut Connection, id: &str) -> Result<i64> {
    let others = query_scalar(
        "SELECT COUNT(*) FROM account WHERE role = 'administrator' AND disabled = 0 AND id <> $1",
    )
    .bind(id)
    .fetch_one(tx)
    .await?;
    Ok(others)
}

async fn write_password(
    tx: &mut Connection,
    id: &str,
    hash: &str,
    must_change: bool,
    now: Millis,
) -> Result<()> {
    query(
        "UPDATE account SET password_hash = $2, must_change_password = $3, password_changed_at = $4, failed_attempts = 0,
         locked_until = NULL, version = version + 1 WHERE id = $1",
    )
    .bind(id)
    .bind(hash)
    .bind(i64::from(must_change))
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends the sessions of an account, except the one whose hash is `keep`.
async fn end_sessions(tx: &mut Connection, id: &str, keep: Option<&str>) -> Result<()> {
    query("DELETE FROM account_session WHERE account = $1 AND hash <> $2")
        .bind(id)
        .bind(keep.unwrap_or_default())
        .execute(tx)
        .await?;
    Ok(())
}

async fn record(
    tx: &mut Connection,
    change: &Change,
    action: &str,
    before: Option<&Account>,
    after: &Account,
) -> Result<()> {
    let deed = Deed {
        action,
        kind: "account",
        object: &after.id,
        organization: None,
        before: before.map(serde_json::to_value).transpose()?,
        after: Some(serde_json::to_value(after)?),
    };
    audit::record(tx, change, deed).await
}
