//! The hash chain of append-only records: each record's hash covers its content and the hash before it.

pub(crate) use dongson_event::transparency::link;

/// The hash before the first record.
pub(crate) const ORIGIN: &str = "0000000000000000000000000000000000000000000000000000000000000000";
