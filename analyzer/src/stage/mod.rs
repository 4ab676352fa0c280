//! The two stages: events become rows and signals; signals become alerts.
//!
//! Both follow one rule of exactly-once: a batch is a run of offsets of one partition; before its effects the
//! consumer commits a note of the run, so that after a crash it is cut again at the same offsets and every effect,
//! which carries the run as its token, happens once.

pub(crate) mod events;
pub(crate) mod marks;
pub(crate) mod seal;
pub(crate) mod signals;

use std::time::Duration;

use dongson_bus::{Batch, Bus, Consumer};

use crate::AnalyzerError;

/// Most records of one batch.
///
/// Large, because an insert costs the store about as much as ten thousand rows, however small it is.
pub(crate) const BATCH_RECORDS: usize = 40_000;
/// About how many bytes one batch has at most.
pub(crate) const BATCH_BYTES: usize = 40 << 20;
/// Longest wait for the first record.
pub(crate) const POLL: Duration = Duration::from_millis(500);

/// The token of a run: the same run, the same token.
pub(crate) fn token(batch: &Batch) -> String {
    format!("{}/{}/{}-{}", batch.topic, batch.partition, batch.first, batch.last)
}

/// Notes that `batch` is in flight, without moving the offset.
pub(crate) async fn begin(consumer: &mut dyn Consumer, batch: &Batch) -> Result<(), AnalyzerError> {
    let note = format!("in-flight {}", batch.last);
    Ok(consumer.commit(&batch.topic, batch.partition, batch.first, note).await?)
}

/// Moves the offset past `batch`: all its effects are on disk.
pub(crate) async fn end(consumer: &mut dyn Consumer, batch: &Batch) -> Result<(), AnalyzerError> {
    Ok(consumer.commit(&batch.topic, batch.partition, batch.last + 1, String::new()).await?)
}

/// The runs that were in flight when the process ended, cut as they were cut then.
pub(crate) async fn in_flight(consumer: &mut dyn Consumer) -> Result<Vec<Batch>, AnalyzerError> {
    let mut found = Vec::new();
    for (topic, partition) in consumer.assigned() {
        let Some((first, note)) = consumer.committed(&topic, partition).await? else { continue };
        let Some(last) = note.strip_prefix("in-flight ").and_then(|last| last.parse().ok()) else { continue };
        found.push(consumer.read(&topic, partition, first, last).await?);
        consumer.seek(&topic, partition, last + 1).await?;
    }
    Ok(found)
}

/// How many partitions `topic` has.
pub(crate) async fn partitions_of(bus: &dyn Bus, topic: &str) -> Result<u32, AnalyzerError> {
    let topics = bus.topics().await?;
    Ok(topics.into_iter().find(|(name, _)| name == topic).map_or(1, |(_, partitions)| partitions))
}
