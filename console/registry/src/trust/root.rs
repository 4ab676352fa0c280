//! Root documents: made offline, published here, handed to sensors in their order.

use dongson_event::trust::{Envelope, Purpose, Root, Trust};

use super::{bump, desired, key, stored};
use crate::database::{Connection, query, query_scalar};
use crate::{
    Change, Error, Registry, Result,
    audit::{self, Deed},
};

/// Most root documents that are handed out at once; a sensor that is further behind asks again.
const MOST: i64 = 64;

/// The trust that follows from the newest root document, inside a transaction.
pub(super) async fn present(tx: &mut Connection) -> Result<Option<Trust>> {
    let newest: Option<String> =
        query_scalar("SELECT envelope FROM trust_root ORDER BY version DESC LIMIT 1")
            .fetch_optional(tx)
            .await?;
    // It was verified when it was published.
    newest.map(|text| Ok(Trust::begin(&Envelope::parse(text.as_bytes())?)?)).transpose()
}

/// The same; without a root document nothing can be signed for sensors.
pub(super) async fn needed(tx: &mut Connection) -> Result<Trust> {
    present(tx).await?.ok_or(Error::Refused {
        what: "root document",
        reason: "there is none: make it with `dongson admin trust init`",
    })
}

impl Registry {
    /// The root document in force, if there is one.
    pub async fn trust_root(&self) -> Result<Option<Root>> {
        let trust = present(&mut *self.readers.acquire().await?).await?;
        Ok(trust.map(|trust| trust.root().clone()))
    }

    /// The envelopes of the root documents after version `after`, in their order.
    pub async fn trust_roots(&self, after: u64) -> Result<Vec<Envelope>> {
        let texts: Vec<String> =
            query_scalar("SELECT envelope FROM trust_root WHERE version > $1 ORDER BY version LIMIT $2")
                .bind(i64::try_from(after).unwrap_or(i64::MAX))
                .bind(MOST)
                .fetch_all(&self.readers)
                .await?;
        texts.iter().map(|text| Ok(Envelope::parse(text.as_bytes())?)).collect()
    }

    /// Publishes a root document: the first, or the one that follows the present one as rotation demands. Desired state
    /// that the new document would not take is signed anew with the centre's key.
    pub async fn publish_root(&self, change: &Change, envelope: &Envelope) -> Result<Root> {
        let mut tx = self.write().await?;
        let trust = match present(&mut tx).await? {
            Some(mut trust) => {
                trust.rotate(envelope)?;
                trust
            }
            None => Trust::begin(envelope)?,
        };
        let root = trust.root().clone();
        query("INSERT INTO trust_root VALUES ($1, $2, $3, $4)")
            .bind(stored(root.version)?)
            .bind(envelope.to_json())
            .bind(change.at)
            .bind(&change.who)
            .execute(&mut *tx)
            .await
            .map_err(Error::or_taken("root document"))?;
        let deed = Deed {
            action: "publish",
            kind: "trust_root",
            object: &root.version.to_string(),
            organization: None,
            before: None,
            after: Some(serde_json::to_value(&root)?),
        };
        audit::record(&mut tx, change, deed).await?;
        if key::signer(&mut tx, &trust, Purpose::Configuration).await.is_ok() {
            desired::sign_anew(&mut tx, &trust, change).await?;
        }
        bump(&mut tx).await?;
        tx.commit().await?;
        Ok(root)
    }
}
