//! Who changes something, from where, and when; ids and the present time.

use std::sync::atomic::{AtomicI64, Ordering};

use uuid::Uuid;

/// Milliseconds since 1970-01-01 UTC.
pub type Millis = i64;

/// How far this process's clock is set ahead of the machine's, in milliseconds.
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// The present, for callers that are not told the time.
pub fn now() -> Millis {
    jiff::Timestamp::now().as_millisecond().saturating_add(clock_ahead())
}

/// Sets the clock of this process ahead of the machine's (behind it, when negative): for tests of wrong clocks. Called
/// once, before anything asks for the time.
pub fn set_clock_ahead(millis: Millis) {
    AHEAD.store(millis, Ordering::Relaxed);
}

/// How far the clock of this process is set ahead of the machine's, in milliseconds.
pub fn clock_ahead() -> Millis {
    AHEAD.load(Ordering::Relaxed)
}

/// A new id: `UUIDv7` text, so that ids sort by the time they were made.
pub fn new_id() -> String {
    Uuid::now_v7().to_string()
}

/// The author of a change, for the audit chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Account id of a person, or `service:<name>`.
    pub who: String,
    /// The network address that the request came from.
    pub address: Option<String>,
    /// When.
    pub at: Millis,
}

impl Change {
    /// A change by a person who signed in.
    pub fn by(account: &str, address: Option<String>, at: Millis) -> Self {
        Self { who: account.to_owned(), address, at }
    }

    /// A change by one of our services or commands.
    pub fn service(name: &str, at: Millis) -> Self {
        Self { who: format!("service:{name}"), address: None, at }
    }
}
