//! Who changes something, from where, and when; ids and the present time.

use uuid::Uuid;

/// Milliseconds since 1970-01-01 UTC.
pub type Millis = i64;

/// The present, for callers that are not told the time.
pub fn now() -> Millis {
    jiff::Timestamp::now().as_millisecond()
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
