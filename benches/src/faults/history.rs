//! What was promised: of each run of each lane, how many numbers were begun and how many acknowledged.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// Through a sensor's spool; acknowledged when it is on the sensor's disk.
    Sensor,
    /// NDJSON with an Idempotency-Key.
    Ndjson,
    /// `_bulk`, with or without `_id`.
    Bulk,
    /// Syslog over TCP; never acknowledged.
    Syslog,
}

impl Way {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Sensor, Self::Ndjson, Self::Bulk, Self::Syslog];

    /// As in tables.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sensor => "sensor",
            Self::Ndjson => "ndjson",
            Self::Bulk => "bulk",
            Self::Syslog => "syslog",
        }
    }
}

/// One run of one lane; its numbers go from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Its way in.
    pub(crate) way: Way,
    /// Numbers below were begun to be sent: they may be in the store, once.
    pub(crate) begun: u64,
    /// Numbers below were acknowledged: they must be there.
    pub(crate) promised: u64,
}

/// All of them, by lane and run.
pub(crate) type Runs = BTreeMap<(String, u32), Run>;

/// Written by all lanes at once.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Runs>);

impl History {
    /// Numbers below `upto` are about to be sent.
    pub(crate) fn begin(&self, way: Way, lane: &str, run: u32, upto: u64) {
        let fresh = Run { way, begun: 0, promised: 0 };
        self.lock().entry((lane.to_owned(), run)).or_insert(fresh).begun = upto;
    }

    /// Numbers below `upto` were acknowledged.
    pub(crate) fn promise(&self, lane: &str, run: u32, upto: u64) {
        if let Some(found) = self.lock().get_mut(&(lane.to_owned(), run)) {
            found.promised = upto;
        }
    }

    /// What was written so far.
    pub(crate) fn runs(&self) -> Runs {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
