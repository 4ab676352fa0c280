//! The event: the schema that every room of Dongson shares, the trust between the centre and its sensors ([`trust`]),
//! and the log that nobody can change unseen ([`transparency`]).
//!
//! An [`Event`] is one flat JSON object with ECS dotted names. [`fields::FIELDS`] is the one table of the names
//! we know: it generates the documentation ([`fields::markdown`]), the `ClickHouse` columns and says who may set a
//! field ([`authority`]). Names that are not in the table pass through untouched.
//!
//! What always holds: one value per name, names sorted, no nested objects, finite numbers, text in UTF-8, at most
//! [`MAX_EVENT_BYTES`] when printed by a parser of ours. The crate is pure: no clock, no network, no files.

pub mod alert;
pub mod authority;
pub mod batch;
pub mod clock;
mod event;
pub mod fields;
pub mod identity;
mod index;
mod json;
mod line;
mod name;
pub mod relay;
mod timestamp;
pub mod transparency;
pub mod trust;
mod value;

pub use alert::{Alert, Entity, Level, Matched, Signal};
pub use event::Event;
pub use index::NameIndex;
pub use json::{Anomalies, ParseError};
pub use line::{Known, Line, Plain};
pub use name::Name;
pub use timestamp::{Timestamp, TimestampError};
pub use value::Value;

/// Longest event in bytes as JSON text: 1 MiB.
pub const MAX_EVENT_BYTES: usize = 1 << 20;
/// Most names that one event may carry.
pub const MAX_FIELDS: usize = 2_048;
/// Longest name of a field in bytes.
pub const MAX_NAME_BYTES: usize = 512;
/// Dataset of what no parser took.
pub const UNPARSED: &str = "dongson.unparsed";
/// Topic of normalised events.
pub const TOPIC_EVENTS: &str = "dongson.events";
/// Topic of records that no parser took.
pub const TOPIC_UNPARSED: &str = "dongson.unparsed";
/// Topic of single-event matches, keyed by entity.
pub const TOPIC_SIGNALS: &str = "dongson.signals";
/// Topic of alerts, keyed by organization.
pub const TOPIC_ALERTS: &str = "dongson.alerts";
