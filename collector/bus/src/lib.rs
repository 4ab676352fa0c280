//! The ordered log between the services: one trait and the embedded implementation.
//!
//! Producers append records to named topics; the log keeps the order of each partition and gives each record an
//! offset. Consumers of a group share the partitions, read in order and commit how far they came. What
//! [`Bus::produce`] acknowledged is on disk; what a registered group has not committed is never deleted.
//!
//! [`EmbeddedBus`] keeps the log in one folder of this machine; [`KafkaBus`] (feature `kafka`) keeps it in an Apache Kafka,
//! and says what differs there. Every implementation passes the tests of
//! `tests/contract/`.

mod bus;
mod checks;
mod embedded;
mod error;
#[cfg(feature = "kafka")]
mod kafka;
mod partition;
mod record;

pub use bus::{Bus, Consumer};
pub use embedded::{Clock, EmbeddedBus, Options, Retention};
pub use error::{BusError, Result};
#[cfg(feature = "kafka")]
pub use kafka::{KafkaBus, KafkaCompression, KafkaLogin, KafkaMechanism, KafkaOptions, KafkaTls};
pub use partition::{VIRTUAL_PARTITIONS, partition_of, virtual_partition};
pub use record::{Batch, Lag, Position, Record};

/// Longest record in bytes: key, value and headers together.
pub const MAX_RECORD_BYTES: usize = 4 << 20;
/// Most bytes in one call of [`Bus::produce`].
pub const MAX_PRODUCE_BYTES: usize = 32 << 20;
/// Longest metadata of a commit in bytes.
pub const MAX_METADATA_BYTES: usize = 4 << 10;
/// Longest token of [`Bus::produce_once`] in bytes.
pub const MAX_TOKEN_BYTES: usize = 512;
