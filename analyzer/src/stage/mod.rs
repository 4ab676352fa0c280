//! The two stages: events become rows and signals; signals become alerts.
//!
//! Both follow one rule of exactly-once: a batch is a run of offsets of one partition; before its effects the
//! consumer commits a note of the run, so that after a crash, or at a change of the partition's owner, it is cut again at
//! the same offsets and every effect, which carries the run as its token, happens once ([`reader`]).

pub(crate) mod events;
pub(crate) mod marks;
pub(crate) mod reader;
pub(crate) mod seal;
pub(crate) mod signals;

use std::time::Duration;

use dongson_bus::Bus;

use crate::AnalyzerError;

/// Most records of one batch.
///
/// Large, because an insert costs the store about as much as ten thousand rows, however small it is.
pub(crate) const BATCH_RECORDS: usize = 40_000;
/// About how many bytes one batch has at most.
pub(crate) const BATCH_BYTES: usize = 40 << 20;
/// Longest wait for the first record.
pub(crate) const POLL: Duration = Duration::from_millis(500);

/// How many partitions `topic` has.
pub(crate) async fn partitions_of(bus: &dyn Bus, topic: &str) -> Result<u32, AnalyzerError> {
    let topics = bus.topics().await?;
    Ok(topics.into_iter().find(|(name, _)| name == topic).map_or(1, |(_, partitions)| partitions))
}
