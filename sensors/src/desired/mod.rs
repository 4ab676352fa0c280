//! Desired state: what the centre wants of this sensor, asked for by the sensor, verified, and kept on disk.
//!
//! | child | holds |
//! |---|---|
//! | `anchor` | the root document that is trusted, and its rotation |
//! | `keep` | the newest documents, on disk |
//! | `pack` | packs: fetched in parts, checked, kept |
//! | `witness` | the newest signed head of the centre's transparency log, and whether a later one continued it |
//! | `ask` | the thread that asks, and what it does with the answers |
//! | [`apply`] | settings put into force, on trial at first |
//!
//! In: signed envelopes from `GET /v1/desired` ([`dongson_event::trust`]). Out: [`State`], the newest that was verified, and
//! requests for whoever serves them. What always holds: nothing is taken that the trusted keys did not sign for this
//! sensor; versions only go up, over restarts too; what was taken before stays in force whatever the answers are.
//! Memory: the documents of one answer, at most 32 MiB; disk: at most 1 GiB of packs.

mod anchor;
pub mod apply;
mod ask;
mod keep;
mod pack;
#[cfg(test)]
mod tests;
mod witness;

pub(crate) use anchor::load as trusted;
pub use anchor::take_roots;
pub use ask::{Link, Standing};
pub use pack::HeldPack;
pub use witness::Witnessed;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use dongson_event::trust::{Configuration, Envelope, TrustError};

use crate::ship::{Identity, IdentityError, Meter};

/// Most requests that wait for whoever serves them; more are taken from a later answer.
const WAITING_REQUESTS: usize = 16;

/// Why desired state cannot be asked for or kept.
#[derive(Debug, thiserror::Error)]
pub enum DesiredError {
    /// There is no identity, or it is spoilt.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The disk refused.
    #[error("{path:?}: {error}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file holds something else than it should.
    #[error("{path:?}: {error}; remove it, and it is asked for again")]
    Spoilt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: TrustError,
    },
    /// What the centre says is not taken.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The network, or what the collector answered.
    #[error("{0}")]
    Unreachable(String),
    /// The sensor may not ask any more.
    #[error("the collector refuses this sensor: {0}")]
    Refused(String),
    /// The thread could not be started.
    #[error("the thread could not be started: {0}")]
    Thread(io::Error),
}

/// What is wanted, as far as it was verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Version of the trusted root document; 0 when there is none yet.
    pub root: u64,
    /// The versions of the documents for this sensor, added up; 0 when there is none.
    pub version: u64,
    /// Their settings, the narrower over the wider.
    pub configuration: Configuration,
    /// The packs that lie whole on the disk.
    pub packs: Vec<HeldPack>,
    /// Why the newest answer was not taken, or not whole.
    pub problem: Option<String>,
    /// How the sensor stands with the collector.
    pub standing: Standing,
    /// The centre's transparency log, as this sensor witnesses it.
    pub log: Witnessed,
}

/// How the sensor stands to what is wanted, for health.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The version in force.
    pub applied: u64,
    /// The version that is wanted.
    pub wanted: u64,
    /// Why they differ.
    pub problem: Option<String>,
    /// The centre's transparency log.
    pub log: Witnessed,
    /// The packs that lie whole on the disk, each with its version.
    pub packs: Vec<String>,
    /// All of it, for the console.
    pub report: serde_json::Value,
}

/// A request as it came: its signature, what is in it, and whether it was answered before, its server has to look at, and to
/// write down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// As it came.
    pub envelope: Envelope,
}

/// The sensor's side of desired state.
pub struct Desired {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    state: Mutex<Arc<State>>,
    stopped: Mutex<bool>,
    /// Told of the end and of a new state.
    changed: Condvar,
}

impl Shared {
    fn set(&self, state: State) {
        *lock(&self.state) = Arc::new(state);
        self.changed.notify_all();
    }
}

impl Desired {
    /// Begins to ask with the identity of `folder`; what was kept there is in force at once. Requests come to the
    /// receiver, each once in the life of this process. What asking takes is counted by `meter`.
    pub fn start(
        folder: &Path,
        identity: &Identity,
        meter: Meter,
    ) -> Result<(Self, Receiver<SignedRequest>), DesiredError> {
        let mut asker = ask::Asker::open(folder, identity, meter)?;
        let (sender, requests) = sync_channel(WAITING_REQUESTS);
        let shared = Arc::new(Shared {
            state: Mutex::new(Arc::new(asker.state())),
            stopped: Mutex::new(false),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("desired".to_owned())
            .spawn(move || asker.run(&theirs, &sender))
            .map_err(DesiredError::Thread)?;
        Ok((Self { shared }, requests))
    }

    /// What is wanted now.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&lock(&self.shared.state))
    }
}

impl Drop for Desired {
    /// The thread ends by itself when its question is answered: nobody waits for it.
    fn drop(&mut self) {
        *lock(&self.shared.stopped) = true;
        self.shared.changed.notify_all();
    }
}

/// A lock whose holder panicked still guards whole data: every change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
