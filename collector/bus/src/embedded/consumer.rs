//! A member of a group that reads the embedded log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::state::{Group, Partition, Shared};
use super::writer::Command;
use super::{ask, frame, keys};
use crate::{Batch, BusError, Consumer, MAX_METADATA_BYTES, Record, Result};

/// Reads for one member. Dropping it leaves the group.
pub(super) struct EmbeddedConsumer {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Command>,
    group: String,
    topics: BTreeSet<String>,
    id: u64,
    generation: Option<u64>,
    /// Next offset of each assigned partition.
    positions: BTreeMap<(String, u32), u64>,
    /// Turns the order of the partitions, so that none waits for ever.
    turn: usize,
}

impl EmbeddedConsumer {
    /// Joins the group, which is registered already.
    pub(super) fn join(
        shared: Arc<Shared>,
        queue: mpsc::Sender<Command>,
        group: &str,
        topics: BTreeSet<String>,
    ) -> Self {
        let id = {
            let mut groups = shared.groups();
            let state = groups.entry(group.to_owned()).or_default();
            let id = state.members.keys().next_back().map_or(0, |last| last + 1);
            state.members.insert(id, topics.clone());
            state.generation += 1;
            id
        };
        shared.notify();
        let group = group.to_owned();
        Self { shared, queue, group, topics, id, generation: None, positions: BTreeMap::new(), turn: 0 }
    }

    /// Takes over what the group deals out now. Kept partitions keep their position.
    fn refresh(&mut self) -> Result<()> {
        let groups = self.shared.groups();
        let Some(state) = groups.get(&self.group) else { return Err(BusError::Closed) };
        if self.generation == Some(state.generation) {
            return Ok(());
        }
        let mut positions = BTreeMap::new();
        for name in &self.topics {
            let topic = self.shared.topic(name)?;
            for number in state.assigned(self.id, &topic) {
                let key = (name.clone(), number);
                let begin = || {
                    begin_at(state, &key)
                        .unwrap_or_else(|| topic.partition(number).map_or(0, Partition::start))
                };
                let at = self.positions.get(&key).copied().unwrap_or_else(begin);
                positions.insert(key, at);
            }
        }
        self.generation = Some(state.generation);
        drop(groups);
        self.positions = positions;
        Ok(())
    }

    /// The partitions in which something waits, beginning with the one whose turn it is. What is deleted was
    /// committed by this group, so that a position before it moves on.
    fn waiting(&mut self) -> Result<Vec<(String, u32, u64)>> {
        let mut waiting = Vec::new();
        for ((topic, number), position) in &self.positions {
            let known = self.shared.topic(topic)?;
            let partition = known.partition(*number)?;
            let position = (*position).max(partition.start());
            if partition.next() > position {
                waiting.push((topic.clone(), *number, position));
            }
        }
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn.checked_rem(waiting.len()).unwrap_or(0);
        waiting.rotate_left(turn);
        Ok(waiting)
    }

    async fn take(&mut self, max_records: usize, max_bytes: usize) -> Result<Vec<Batch>> {
        self.refresh()?;
        let waiting = self.waiting()?;
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let shared = Arc::clone(&self.shared);
        let work = move || {
            let (mut left, mut bytes_left) = (max_records.max(1), max_bytes.max(1));
            let mut batches = Vec::new();
            for (topic, number, position) in waiting {
                if left == 0 || bytes_left == 0 {
                    break;
                }
                let batch = read(&shared, &topic, number, position, left, bytes_left)?;
                left = left.saturating_sub(batch.records.len());
                bytes_left = bytes_left.saturating_sub(batch.records.iter().map(Record::size).sum());
                batches.push(batch);
            }
            Ok::<_, BusError>(batches)
        };
        let batches = tokio::task::spawn_blocking(work).await.map_err(|_| BusError::Closed)??;
        for batch in &batches {
            self.positions.insert((batch.topic.clone(), batch.partition), batch.last + 1);
        }
        Ok(batches)
    }

    fn own(&mut self, topic: &str, partition: u32) -> Result<()> {
        self.refresh()?;
        if self.positions.contains_key(&(topic.to_owned(), partition)) {
            return Ok(());
        }
        Err(BusError::NotAssigned { group: self.group.clone(), topic: topic.to_owned(), partition })
    }

    fn in_range(&self, topic: &str, number: u32, offset: u64) -> Result<()> {
        let known = self.shared.topic(topic)?;
        let partition = known.partition(number)?;
        let (start, end) = (partition.start(), partition.next());
        if (start..=end).contains(&offset) {
            return Ok(());
        }
        Err(BusError::OutOfRange { topic: topic.to_owned(), partition: number, offset, start, end })
    }
}

fn begin_at(state: &Group, key: &(String, u32)) -> Option<u64> {
    state.committed.get(key).map(|(offset, _)| *offset)
}

/// Records from `position` on: one at least, at most `max_records`, about `max_bytes`.
fn read(
    shared: &Shared,
    name: &str,
    number: u32,
    position: u64,
    max_records: usize,
    max_bytes: usize,
) -> Result<Batch> {
    let topic = shared.topic(name)?;
    let partition = topic.partition(number)?;
    let (start, end) = (partition.start(), partition.next());
    let out_of_range =
        || BusError::OutOfRange { topic: name.to_owned(), partition: number, offset: position, start, end };
    if !(start..end).contains(&position) {
        return Err(out_of_range());
    }
    let holding = partition.log.range(..=position.to_be_bytes()).next_back().ok_or_else(out_of_range)?;
    let from = keys::read_offset(&holding.key()?)?;
    let mut records = Vec::new();
    let mut bytes = 0;
    let mut next = position;
    'frames: for item in partition.log.range(from.to_be_bytes()..end.to_be_bytes()) {
        let (key, value) = item.into_inner()?;
        let first = keys::read_offset(&key)?;
        for (offset, record) in (first..).zip(frame::records(&Bytes::copy_from_slice(&value))?) {
            if offset < next {
                continue;
            }
            if offset != next {
                return Err(BusError::Damaged(format!(
                    "{name:?}/{number} jumps from offset {next} to {offset}"
                )));
            }
            let size = record.size();
            if records.len() >= max_records || (bytes + size > max_bytes && !records.is_empty()) {
                break 'frames;
            }
            bytes += size;
            next += 1;
            records.push(record);
        }
    }
    if records.is_empty() {
        return Err(BusError::Damaged(format!("{name:?}/{number} has no record at offset {position}")));
    }
    Ok(Batch { topic: name.to_owned(), partition: number, first: position, last: next - 1, records })
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn poll(&mut self, max_records: usize, max_bytes: usize, timeout: Duration) -> Result<Vec<Batch>> {
        let deadline = Instant::now() + timeout;
        let mut changed = self.shared.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let batches = self.take(max_records, max_bytes).await?;
            if !batches.is_empty() {
                return Ok(batches);
            }
            match tokio::time::timeout_at(deadline, changed.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(BusError::Closed),
                Err(_) => return Ok(Vec::new()),
            }
        }
    }

    async fn read(&self, topic: &str, partition: u32, first: u64, last: u64) -> Result<Batch> {
        self.in_range(topic, partition, first)?;
        self.in_range(topic, partition, last.saturating_add(1))?;
        let shared = Arc::clone(&self.shared);
        let name = topic.to_owned();
        let count = usize::try_from(last.saturating_sub(first)).unwrap_or(usize::MAX).saturating_add(1);
        let work = move || read(&shared, &name, partition, first, count, usize::MAX);
        tokio::task::spawn_blocking(work).await.map_err(|_| BusError::Closed)?
    }

    async fn commit(
        &mut self,
        topic: &str,
        partition: u32,
        next_offset: u64,
        metadata: String,
    ) -> Result<()> {
        if metadata.len() > MAX_METADATA_BYTES {
            return Err(BusError::TooLarge {
                what: "metadata",
                bytes: metadata.len(),
                limit: MAX_METADATA_BYTES,
            });
        }
        self.own(topic, partition)?;
        self.in_range(topic, partition, next_offset)?;
        let (group, topic) = (self.group.clone(), topic.to_owned());
        ask(&self.queue, |reply| Command::Commit {
            group,
            topic,
            partition,
            offset: next_offset,
            metadata,
            reply,
        })
        .await
    }

    async fn committed(&self, topic: &str, partition: u32) -> Result<Option<(u64, String)>> {
        self.shared.topic(topic)?.partition(partition)?;
        let groups = self.shared.groups();
        let state = groups.get(&self.group);
        Ok(state.and_then(|state| state.committed.get(&(topic.to_owned(), partition)).cloned()))
    }

    async fn seek(&mut self, topic: &str, partition: u32, offset: u64) -> Result<()> {
        self.own(topic, partition)?;
        self.in_range(topic, partition, offset)?;
        self.positions.insert((topic.to_owned(), partition), offset);
        Ok(())
    }

    fn assigned(&self) -> Vec<(String, u32)> {
        let groups = self.shared.groups();
        let Some(state) = groups.get(&self.group) else { return Vec::new() };
        let topics = self.topics.iter().filter_map(|name| self.shared.topic(name).ok());
        topics
            .flat_map(|topic| {
                let numbers = state.assigned(self.id, &topic);
                numbers.into_iter().map(move |number| (topic.name.clone(), number))
            })
            .collect()
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        if let Some(state) = self.shared.groups().get_mut(&self.group) {
            state.members.remove(&self.id);
            state.generation += 1;
        }
        self.shared.notify();
    }
}
