//! What sensors are told: root documents, desired state, requests and packs, each a signed envelope
//! ([`dongson_event::trust`]).
//!
//! | child | holds |
//! |---|---|
//! | `root` | root documents, and their rotation |
//! | `key` | the key that this centre signs configuration and requests with |
//! | `desired` | configuration for all sensors, an agency's, or one |
//! | `request` | requests to one sensor, opaque here |
//! | `pack` | manifests of packs |
//! | `offer` | all of it, for one sensor |
//!
//! What always holds: one counter moves with every change that a sensor may have to hear of, in the same transaction
//! ([`Registry::desired_mark`]); it is never shown, because it would tell of other agencies. Versions only go up.

mod desired;
mod key;
mod offer;
mod pack;
mod request;
mod root;

pub use desired::{Desired, WantedVersions};
pub use offer::Offer;
pub use pack::Pack;
pub use request::SensorRequest;
pub(crate) use request::{close as close_request, put as put_request};

use crate::database::{Connection, query_scalar};
use crate::{Error, Registry, Result, alert};

/// The counter of changes.
const MARK: &str = "desired";

/// Says that something changed that sensors may have to hear of; the new mark.
pub(crate) async fn bump(tx: &mut Connection) -> Result<i64> {
    alert::next_number(tx, MARK).await
}

impl Registry {
    /// Moves with every change that a sensor may have to hear of, a revocation among them.
    pub async fn desired_mark(&self) -> Result<i64> {
        let found: Option<i64> = query_scalar("SELECT value FROM counter WHERE name = $1")
            .bind(MARK)
            .fetch_optional(&self.readers)
            .await?;
        Ok(found.unwrap_or_default())
    }
}

/// A version as the database keeps it.
fn stored(version: u64) -> Result<i64> {
    i64::try_from(version).map_err(|_| Error::Range("version"))
}

#[cfg(test)]
mod tests;
