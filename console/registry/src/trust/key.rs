//! The key that this centre signs configuration and requests with. The root document says what it may sign; its seed
//! never leaves the database.

use dongson_event::Timestamp;
use dongson_event::trust::{Envelope, PublicKey, Purpose, SigningKey, Trust};
use serde::Serialize;

use super::root;
use crate::database::{Connection, query, query_scalar};
use crate::{
    Change, Error, Registry, Result,
    audit::{self, Deed},
};

/// The keys that are not retired, newest first.
async fn keys(tx: &mut Connection) -> Result<Vec<SigningKey>> {
    let seeds: Vec<String> = query_scalar(
        "SELECT seed FROM signing_key WHERE retired_at IS NULL ORDER BY created_at DESC, id DESC LIMIT 8",
    )
    .fetch_all(tx)
    .await?;
    seeds.iter().map(|seed| Ok(SigningKey::parse(seed)?)).collect()
}

/// The newest of our keys that may sign things of `purpose`.
pub(super) async fn signer(tx: &mut Connection, trust: &Trust, purpose: Purpose) -> Result<SigningKey> {
    let role = trust.root().role(purpose)?;
    let found = keys(tx).await?.into_iter().find(|key| role.keys.contains(&key.public().id()));
    let found = found.filter(|_| role.threshold == 1);
    found.ok_or(Error::Refused {
        what: "root document",
        reason: "does not let this centre's key sign this alone: sign a root document that does (dongson admin trust)",
    })
}

/// `value` signed for `purpose` with our key, as a sensor would take it now.
pub(crate) async fn sign<T: Serialize>(
    tx: &mut Connection,
    purpose: Purpose,
    value: &T,
    change: &Change,
) -> Result<Envelope> {
    let trust = root::needed(tx).await?;
    let key = signer(tx, &trust, purpose).await?;
    let envelope = Envelope::sign_json(purpose, value, &key)?;
    // What no sensor would take is refused here: a root document that has ended, above all.
    trust.verify(purpose, &envelope, Timestamp::from_millis(change.at))?;
    Ok(envelope)
}

impl Registry {
    /// The public half of the newest key; made at the first call.
    pub async fn signing_key(&self, change: &Change) -> Result<PublicKey> {
        let mut tx = self.write().await?;
        if let Some(key) = keys(&mut tx).await?.first() {
            return Ok(key.public());
        }
        let made = make(&mut tx, change).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Makes a new key. It signs once a root document names it; until then the former one does.
    pub async fn renew_signing_key(&self, change: &Change) -> Result<PublicKey> {
        let mut tx = self.write().await?;
        let made = make(&mut tx, change).await?;
        tx.commit().await?;
        Ok(made)
    }
}

async fn make(tx: &mut Connection, change: &Change) -> Result<PublicKey> {
    let key = SigningKey::from_seed(rand::random())?;
    let public = key.public();
    let id = public.id();
    query("INSERT INTO signing_key (id, seed, created_at) VALUES ($1, $2, $3)")
        .bind(id.as_str())
        .bind(key.secret())
        .bind(change.at)
        .execute(&mut *tx)
        .await?;
    let deed = Deed {
        action: "create",
        kind: "signing_key",
        object: id.as_str(),
        organization: None,
        before: None,
        after: Some(serde_json::json!({ "public": public })),
    };
    audit::record(tx, change, deed).await?;
    Ok(public)
}
