//! The log as the services see it.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Batch, Lag, Position, Record, Result};

/// A durable log of topics and partitions.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Makes `topic` with `partitions` partitions, or finds it so.
    ///
    /// # Errors
    /// `BadName`; `PartitionsDiffer` when it exists otherwise: the number is fixed at creation.
    async fn create_topic(&self, topic: &str, partitions: u32) -> Result<()>;

    /// The topics and their numbers of partitions, in the order of the names.
    async fn topics(&self) -> Result<Vec<(String, u32)>>;

    /// Appends `records` in order, each to the partition of its key; all of them or none. When it answers, they are
    /// synced to disk; the positions are in the order of `records`.
    ///
    /// # Errors
    /// `UnknownTopic`, `TooLarge`, `Full`, `DiskFull`, `NoRoom`.
    async fn produce(&self, topic: &str, records: Vec<Record>) -> Result<Vec<Position>>;

    /// Like [`Bus::produce`], once per `token`: the same token again, as long as tokens are kept, answers the
    /// positions of the first time and appends nothing, whatever happened in between.
    async fn produce_once(&self, topic: &str, token: &str, records: Vec<Record>) -> Result<Vec<Position>>;

    /// Joins `group` for `topics`, and registers the group: from now on nothing is deleted that it has not
    /// committed. Partitions are shared among the members of a group.
    async fn consumer(&self, group: &str, topics: &[&str]) -> Result<Box<dyn Consumer>>;

    /// Answers whether records would be taken now: for health checks.
    ///
    /// # Errors
    /// What [`Bus::produce`] would refuse them with.
    async fn check(&self) -> Result<()> {
        Ok(())
    }

    /// How far `group` is behind, per partition of its topics.
    async fn lag(&self, group: &str) -> Result<Vec<Lag>>;

    /// Forgets `group` with what it committed: it holds no data any more.
    async fn forget_group(&self, group: &str) -> Result<()>;
}

/// One member of a group.
#[async_trait]
pub trait Consumer: Send {
    /// The next records of the partitions assigned, each batch from one partition, in all at most `max_records` and
    /// about `max_bytes` (one record at least). Waits up to `timeout` for the first; then the answer is empty.
    async fn poll(&mut self, max_records: usize, max_bytes: usize, timeout: Duration) -> Result<Vec<Batch>>;

    /// Exactly the records `first..=last`, to cut a batch again as it was cut before; does not move the position.
    ///
    /// # Errors
    /// `OutOfRange` when one of them is not there.
    async fn read(&self, topic: &str, partition: u32, first: u64, last: u64) -> Result<Batch>;

    /// Notes durably that the group needs nothing before `next_offset`, with a note of the caller's own.
    ///
    /// # Errors
    /// `NotAssigned`, `OutOfRange`, `TooLarge`.
    async fn commit(&mut self, topic: &str, partition: u32, next_offset: u64, metadata: String)
    -> Result<()>;

    /// What the group last committed; `None` when it never did.
    async fn committed(&self, topic: &str, partition: u32) -> Result<Option<(u64, String)>>;

    /// Moves the position from which the next poll reads; a poll begins at what was committed, else at the oldest.
    async fn seek(&mut self, topic: &str, partition: u32, offset: u64) -> Result<()>;

    /// The partitions that are this member's now.
    fn assigned(&self) -> Vec<(String, u32)>;
}
