//! Why the log says no.

/// Result of the log.
pub type Result<T> = std::result::Result<T, BusError>;

/// Why the log says no.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The topic was never created.
    #[error("topic {0:?} does not exist")]
    UnknownTopic(String),
    /// The topic has fewer partitions.
    #[error("topic {topic:?} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The partition asked for.
        partition: u32,
    },
    /// A name that cannot be used for a topic or a group.
    #[error("{0:?} is not a name of 1 to 200 letters, digits, `.`, `-` or `_`")]
    BadName(String),
    /// The topic exists with another number of partitions, which can never change.
    #[error("topic {topic:?} has {existing} partitions, not {wanted}")]
    PartitionsDiffer {
        /// The topic.
        topic: String,
        /// What it has.
        existing: u32,
        /// What was asked for.
        wanted: u32,
    },
    /// Something given is longer than its limit.
    #[error("{what} has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Record, batch, token or metadata.
        what: &'static str,
        /// Its bytes.
        bytes: usize,
        /// The most that is taken.
        limit: usize,
    },
    /// The quota is reached and the groups still need what is there: nothing was appended.
    #[error("bus full: {retained} of {quota} bytes are held for groups that are behind; see their lag")]
    Full {
        /// Bytes in the log.
        retained: u64,
        /// Most bytes in the log.
        quota: u64,
    },
    /// The disk has no room: nothing was appended. Once it has room again, so has the log.
    #[error(
        "disk full: the disk of {folder:?} has {free} bytes free and the bus needs {needed}; free space there"
    )]
    DiskFull {
        /// The folder of the log.
        folder: std::path::PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that must be free for what was to be written, with the reserve.
        needed: u64,
    },
    /// A write found no room on the disk: nothing was appended.
    #[error("disk full: a write of the bus found no room on its disk; free space there")]
    NoRoom,
    /// A write failed before; nothing more is taken, because what is on disk is uncertain until it is read again.
    #[error("the log stopped after a failed write: mend the cause and start the service again")]
    Stopped,
    /// The partition belongs to another member of the group now.
    #[error("partition {partition} of {topic:?} is not assigned to this consumer of group {group:?}")]
    NotAssigned {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
    },
    /// The offset was deleted or not written yet.
    #[error("offset {offset} of {topic:?}/{partition} is outside {start}..={end}")]
    OutOfRange {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset asked for.
        offset: u64,
        /// First offset that is kept.
        start: u64,
        /// The offset that the next record will get.
        end: u64,
    },
    /// The log is closed.
    #[error("the bus is closed")]
    Closed,
    /// What is on disk does not read back.
    #[error("the log is damaged: {0}")]
    Damaged(String),
    /// The folder is used by another process.
    #[error("the folder {folder:?} is in use by another process of Dongson{}", process.map(|id| format!(", number {id}")).unwrap_or_default())]
    Locked {
        /// The folder.
        folder: std::path::PathBuf,
        /// The other process's number, if its lock tells.
        process: Option<u32>,
    },
    /// The store below failed.
    #[error("the log's store failed: {0}")]
    Storage(String),
    /// No broker of Kafka answers in time.
    #[error(
        "Kafka at {bootstrap:?} does not answer: {reason}; see that its brokers run and that this machine reaches them"
    )]
    Unreachable {
        /// The brokers that were asked.
        bootstrap: String,
        /// What the last of them did.
        reason: String,
    },
    /// Kafka knows the user not, or lets it not do this.
    #[error("Kafka refuses us: {reason}; check the user, its password and its rights (ACLs)")]
    Unauthorised {
        /// In Kafka's words.
        reason: String,
    },
    /// A broker's certificate was not believed, or ours was not.
    #[error(
        "no TLS with Kafka: {reason}; check the authority's file, and the certificate and names of the brokers"
    )]
    BrokerCertificate {
        /// In Kafka's words.
        reason: String,
    },
    /// A broker cannot write.
    #[error("a broker of Kafka cannot write: {reason}; see that its disk has room and works")]
    BrokerDisk {
        /// In Kafka's words.
        reason: String,
    },
    /// Too few copies are in step for a record to be safe.
    #[error("Kafka has too few copies in step: {reason}; see that all its brokers run")]
    TooFewCopies {
        /// In Kafka's words.
        reason: String,
    },
    /// A topic cannot have so many copies.
    #[error("Kafka has fewer brokers than bus.kafka.replication asks for: {reason}")]
    TooFewBrokers {
        /// In Kafka's words.
        reason: String,
    },
    /// Anything else that Kafka says.
    #[error("Kafka: {0}")]
    Kafka(String),
}

impl BusError {
    /// True when the same call may succeed later although nobody changes anything here: Kafka is away, or comes back
    /// from something.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TooFewCopies { .. } | Self::BrokerDisk { .. })
    }
}

impl From<fjall::Error> for BusError {
    fn from(error: fjall::Error) -> Self {
        let full = |io: &std::io::Error| io.kind() == std::io::ErrorKind::StorageFull;
        match &error {
            fjall::Error::Poisoned => Self::Stopped,
            fjall::Error::Io(io) if full(io) => Self::NoRoom,
            fjall::Error::Storage(fjall::LsmError::Io(io)) if full(io) => Self::NoRoom,
            other => Self::Storage(other.to_string()),
        }
    }
}
