//! Where bytes come from: the listeners.
//!
//! | child | listens for |
//! |---|---|
//! | [`syslog`] | syslog over UDP, TCP and TLS |
//! | [`relp`] | RELP: answered after the bus has it |
//! | [`https`] | one HTTPS listener for those below |
//! | [`ndjson`] | `POST /v1/events` with an API key |
//! | [`elastic`] | the `_bulk` API as log shippers use it |
//! | [`sensor`] | enrolment, renewal and batches of sensors |
//! | [`account`] | which batches of a sensor came, signed by whom |
//! | [`desired`] | what sensors are told: desired state, requests, packs |
//! | [`packets`] | packets that a sensor sends because it was asked |
//!
//! [`framing`] cuts byte streams into records; [`identity`] tells who sends a request; [`body`] reads it in bounds;
//! `accept` takes connections, `guess` counts wrong secrets.

mod accept;
pub mod account;
pub mod body;
pub mod desired;
pub mod elastic;
pub mod framing;
mod guess;
pub mod https;
pub mod identity;
pub mod ndjson;
pub mod packets;
pub mod relp;
pub mod sensor;
pub mod syslog;

use crate::config::Limits;
use crate::directory::Directory;
use crate::intake::Origin;
use crate::publish::{Item, PublishError, Publisher};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What every listener holds.
#[derive(Debug, Clone)]
pub(crate) struct Hall {
    pub(crate) directory: Arc<Directory>,
    pub(crate) publisher: Publisher,
    pub(crate) limits: Limits,
    pub(crate) shutdown: CancellationToken,
}

impl Hall {
    /// Publishes until the bus takes it: for senders that cannot be told to come again. Meanwhile nothing more is
    /// read from them. False when the collector stops first.
    pub(crate) async fn insist(&self, origin: &Arc<Origin>, items: Vec<Item>) -> bool {
        let mut pause = Duration::from_millis(50);
        loop {
            match self.publisher.publish(origin, items.clone(), None).await {
                Ok(_) => return true,
                Err(error) => self.wait(&error, &mut pause).await,
            }
            if self.shutdown.is_cancelled() {
                return false;
            }
        }
    }

    /// Waits longer each time, up to five seconds.
    pub(crate) async fn wait(&self, error: &PublishError, pause: &mut Duration) {
        tracing::warn!(%error, "the bus is busy; records wait");
        metrics::counter!("collector_bus_refusals_total").increment(1);
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = tokio::time::sleep(*pause) => {}
        }
        *pause = (*pause * 2).min(Duration::from_secs(5));
    }
}

/// A number that differs for each connection and each start.
pub(crate) fn fresh_epoch() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}
