//! What goes through the log: records in, batches out.

use bytes::Bytes;
use dongson_event::Timestamp;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Decides the partition: records with one key keep their order.
    pub key: Bytes,
    /// What is said.
    pub value: Bytes,
    /// Names and values beside it, in their order.
    pub headers: Vec<(String, Bytes)>,
    /// When the producer says it was made; the log does not look at it.
    pub timestamp: Timestamp,
}

impl Record {
    /// A record without headers.
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>, timestamp: Timestamp) -> Self {
        Self { key: key.into(), value: value.into(), headers: Vec::new(), timestamp }
    }

    /// Bytes of key, value and headers.
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.len() + self.value.len() + headers
    }
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Number of the partition, from 0.
    pub partition: u32,
    /// Number of the record in its partition, from 0, without gaps.
    pub offset: u64,
}

/// Consecutive records of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// Offset of the first record.
    pub first: u64,
    /// Offset of the last record.
    pub last: u64,
    /// The records `first..=last`.
    pub records: Vec<Record>,
}

/// How far a group is behind in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The next offset the group will read when it starts again.
    pub committed: u64,
    /// The offset that the next record will get.
    pub end: u64,
    /// Records not committed yet.
    pub records: u64,
    /// Their bytes in the log, to the start of the frame that holds `committed`.
    pub bytes: u64,
}
