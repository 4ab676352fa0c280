//! What the log is about: one JSON text per entry. The text as it was written is what is hashed.

use serde::{Deserialize, Serialize};

/// Rows of a segment that the store keeps together and deletes together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// How many days they are kept.
    pub days: u16,
    /// The day of their arrival in UTC, in days since 1970.
    pub day: i64,
    /// How many there are.
    pub rows: u64,
    /// The time of arrival of the first, in nanoseconds since 1970.
    pub since: i64,
    /// The time of arrival of the last.
    pub until: i64,
    /// The Merkle tree hash of the rows in the order of their places, hexadecimal.
    pub root: String,
}

/// What is said of an audit entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Its place in the audit chain.
    pub name: String,
    /// What was done.
    pub action: String,
    /// The kind of the object.
    pub object_kind: String,
    /// The object.
    pub object: String,
    /// The hash of the audit entry, which covers the one before.
    pub hash: String,
}

/// One entry of the log. `at` is milliseconds since 1970, `name` is unique for its kind, hashes are hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// The first: where the audit chain stood when the log began.
    Origin {
        /// When.
        at: i64,
        /// The last audit entry before the log, 0 for none.
        audit: i64,
        /// Its hash.
        hash: String,
    },
    /// A segment of stored events ([`super::SegmentId`]).
    Segment {
        /// When it was sealed.
        at: i64,
        /// `topic/partition/first-last`: the records on the bus.
        name: String,
        /// True when its hashes were made from rows read back after the process that wrote them had ended.
        read_back: bool,
        /// Its rows.
        classes: Vec<Class>,
    },
    /// Batches of sensors that came one after the other.
    Batches {
        /// When they were put together.
        at: i64,
        /// A running number.
        name: String,
        /// How many.
        batches: u64,
        /// The Merkle tree hash over the statements that the sensors signed, by sensor, spool and sequence.
        root: String,
    },
    /// The facts of an alert.
    Alert {
        /// When it was raised.
        at: i64,
        /// Its id.
        name: String,
        /// Its agency.
        organization: String,
        /// The leaf hash of the alert as JSON.
        hash: String,
    },
    /// A decision of a second person.
    Approval(Link),
    /// What anybody else did.
    Audit(Link),
    /// From now on the store may delete rows of this age.
    Retention {
        /// When.
        at: i64,
        /// `days/day`.
        name: String,
        /// Rows that are kept so many days...
        days: u16,
        /// ...and came before this day (UTC, days since 1970).
        before: i64,
    },
}

impl Entry {
    /// Reads the text of an entry; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The text of the entry.
    pub fn to_text(&self) -> String {
        // Texts and numbers always print.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Origin { .. } => "origin",
            Self::Segment { .. } => "segment",
            Self::Batches { .. } => "batches",
            Self::Alert { .. } => "alert",
            Self::Approval(_) => "approval",
            Self::Audit(_) => "audit",
            Self::Retention { .. } => "retention",
        }
    }

    /// Its name, unique for its kind; of a segment without the last record, so that it follows from a row.
    pub fn name(&self) -> &str {
        match self {
            Self::Origin { .. } => "origin",
            Self::Segment { name, .. } => name.rsplit_once('-').map_or(name, |(first, _)| first),
            Self::Batches { name, .. } | Self::Alert { name, .. } | Self::Retention { name, .. } => name,
            Self::Approval(link) | Self::Audit(link) => &link.name,
        }
    }

    /// When it was logged.
    pub fn at(&self) -> i64 {
        match self {
            Self::Origin { at, .. }
            | Self::Segment { at, .. }
            | Self::Batches { at, .. }
            | Self::Alert { at, .. }
            | Self::Retention { at, .. } => *at,
            Self::Approval(link) | Self::Audit(link) => link.at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_are_written_and_read() {
        let link = Link {
            at: 5,
            name: "12".to_owned(),
            action: "approve".to_owned(),
            object_kind: "packet_order".to_owned(),
            object: "o".to_owned(),
            hash: "ab".to_owned(),
        };
        let class = Class { days: 180, day: 20_000, rows: 3, since: 1, until: 2, root: "cd".to_owned() };
        let name = "dongson.events/3/100-102".to_owned();
        let segment = Entry::Segment { at: 6, name, read_back: false, classes: vec![class] };
        assert_eq!((segment.kind(), segment.name()), ("segment", "dongson.events/3/100"));
        for entry in [Entry::Approval(link.clone()), Entry::Audit(link), segment] {
            assert_eq!(Entry::parse(&entry.to_text()), Some(entry.clone()));
            assert!(entry.to_text().starts_with(&format!("{{\"kind\":\"{}\"", entry.kind())));
        }
        assert_eq!(Entry::parse("{\"kind\":\"other\"}"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            drop(Entry::parse(&text));
        }
    }
}
