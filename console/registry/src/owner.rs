//! Who answers for a source or a sensor: an alert that one of them fell silent, or that its clock is wrong, is theirs
//! from the start.
//!
//! The first of these who is an account that may work on alerts of the agency: the owner that stands at the source or
//! sensor, the owner of the setting [`SILENCE_OWNER_SETTING`], the oldest active administrator. The choice looks at
//! nothing that depends on other agencies (such as how many alerts somebody has), so it tells nothing of them.

use crate::database::{Connection, query_as, query_scalar};
use crate::{
    Account, Error, Registry, Result,
    error::{check_id, check_text},
};

/// The setting that names (by login) who gets the silences whose own owner is absent, disabled or gone.
pub const SILENCE_OWNER_SETTING: &str = "silence.owner";

/// The field by which an alert about a source or a sensor is grouped; its value is `source:ID` or `sensor:ID`.
const HEALTH_ENTITY: &str = "dongson.health.source";

/// The field by which an alert about a wrong clock is grouped; its value is `source:ID`, `sensor:ID` or another sender.
const SENDER_ENTITY: &str = "dongson.principal";

/// Who answers for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The account; none only where no account at all can work.
    pub account: Option<String>,
    /// Whom to call: the person's name, or the text that stands at the source (a team outside, a telephone number).
    pub name: String,
}

impl Registry {
    /// Who answers for `thing` (`source:ID` or `sensor:ID`) of an agency.
    pub async fn owner_of(&self, organization: &str, thing: &str) -> Result<Owner> {
        of_thing(&mut *self.readers.acquire().await?, organization, thing).await
    }

    /// Whether `login` is an account that may be given alerts.
    pub async fn may_own(&self, login: &str) -> Result<bool> {
        let found = named(&mut *self.readers.acquire().await?, login).await?;
        Ok(found.is_some_and(|account| account.login == login && account.may_work()))
    }
}

/// Refuses an owner that looks like a login and is none of somebody who may work on the agency's alerts; other words (a
/// team, a person outside) are taken as they are.
pub(crate) async fn check(tx: &mut Connection, organization: &str, text: &str) -> Result<()> {
    check_text("owner", text, 200)?;
    if check_id("owner", text).is_err() {
        return Ok(());
    }
    match named(tx, text).await? {
        Some(account) if answers_for(&account, organization) => Ok(()),
        _ => Err(Error::Invalid { field: "owner", reason: "is no account that may work on this" }),
    }
}

/// The account that a new alert about `entity` begins with; none for alerts about anything else.
pub(crate) async fn of_entity(
    tx: &mut Connection,
    organization: &str,
    entity_type: &str,
    entity: &str,
) -> Result<Option<String>> {
    if ![HEALTH_ENTITY, SENDER_ENTITY].contains(&entity_type) {
        return Ok(None);
    }
    Ok(of_thing(tx, organization, entity).await?.account)
}

/// The login of an account, for `owner` columns; none when `who` is a service.
pub(crate) async fn login_of(tx: &mut Connection, who: &str) -> Result<Option<String>> {
    Ok(query_scalar("SELECT login FROM account WHERE id = $1").bind(who).fetch_optional(tx).await?)
}

async fn of_thing(tx: &mut Connection, organization: &str, thing: &str) -> Result<Owner> {
    let wish = match thing.split_once(':') {
        Some(("source", id)) => wish(tx, "SELECT owner FROM source WHERE id = $1", id).await?,
        Some(("sensor", id)) => wish(tx, "SELECT owner FROM sensor WHERE id = $1", id).await?,
        _ => None,
    };
    let found = match &wish {
        Some(wish) => named(tx, wish).await?,
        None => None,
    };
    // A text that is nobody's account still says whom to call.
    let outside = wish.filter(|_| found.is_none());
    let account = match found.filter(|account| answers_for(account, organization)) {
        Some(account) => Some(account),
        None => stand_in(tx, organization).await?,
    };
    let name = outside.or_else(|| account.as_ref().map(|account| account.full_name.clone()));
    Ok(Owner {
        account: account.map(|account| account.id),
        name: name.unwrap_or_else(|| "administrator".to_owned()),
    })
}

async fn wish(tx: &mut Connection, query: &'static str, id: &str) -> Result<Option<String>> {
    let owner: Option<Option<String>> = query_scalar(query).bind(id).fetch_optional(tx).await?;
    Ok(owner.flatten())
}

fn answers_for(account: &Account, organization: &str) -> bool {
    account.may_work() && account.scope().allows(organization)
}

/// The account with this id or login, or the only one with this full name.
async fn named(tx: &mut Connection, text: &str) -> Result<Option<Account>> {
    let found: Vec<Account> = query_as(
        "SELECT * FROM account WHERE id = $1 OR login = $1 OR full_name = $1 ORDER BY id = $1 DESC, login = $1 DESC LIMIT 2",
    )
    .bind(text)
    .fetch_all(tx)
    .await?;
    let exact = |account: &Account| account.id == text || account.login == text;
    let several = found.len() > 1;
    Ok(found.into_iter().next().filter(|account| !several || exact(account)))
}

/// The owner of the setting, else the oldest active administrator.
async fn stand_in(tx: &mut Connection, organization: &str) -> Result<Option<Account>> {
    let text: Option<String> = query_scalar("SELECT value FROM setting WHERE key = $1")
        .bind(SILENCE_OWNER_SETTING)
        .fetch_optional(&mut *tx)
        .await?;
    let login = text.and_then(|text| serde_json::from_str::<Option<String>>(&text).ok().flatten());
    if let Some(login) = login {
        let found = named(tx, &login).await?.filter(|account| answers_for(account, organization));
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(query_as(
        "SELECT * FROM account WHERE role = 'administrator' AND disabled = 0 ORDER BY created_at, id LIMIT 1",
    )
    .fetch_optional(tx)
    .await?)
}
