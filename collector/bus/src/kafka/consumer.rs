//! What a member of a group hands to its caller.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::Inner;
use super::member::{Member, Place};
use super::wire;
use crate::{Batch, BusError, Consumer, MAX_METADATA_BYTES, Result};

/// How long a new member waits for its first partitions.
const JOIN: Duration = Duration::from_mins(1);
/// How long it waits for more once it was told that there are none for it: the others give theirs up first.
const SECOND_ROUND: Duration = Duration::from_secs(10);

/// Reads for one member. Dropping it leaves the group.
pub(super) struct KafkaConsumer {
    bus: Arc<Inner>,
    /// Without the prefix, as the caller calls it.
    group: String,
    member: Member,
}

impl KafkaConsumer {
    /// Joins `group` for `topics` (names without the prefix, which exist), and waits for the first partitions.
    pub(super) async fn join(bus: Arc<Inner>, group: &str, topics: &BTreeSet<String>) -> Result<Self> {
        let full: Vec<String> = topics.iter().map(|topic| bus.full(topic)).collect();
        let config = bus.options.consumer(Some(&bus.full(group)));
        let member =
            Member::join(&config, &bus.full(group), &full, &bus.topics, &bus.failures, bus.options.patience)?;
        let joined = Self { bus, group: group.to_owned(), member };
        joined.dealt().await?;
        Ok(joined)
    }

    async fn dealt(&self) -> Result<()> {
        let mut deadline = Instant::now() + JOIN;
        let mut told = false;
        loop {
            let news = self.member.shared.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            {
                let mut state = self.member.shared.state();
                if let Some(failure) = state.failure.take() {
                    return Err(failure);
                }
                if !state.assigned.is_empty() {
                    return Ok(());
                }
                if state.rebalances > 0 && !told {
                    told = true;
                    deadline = Instant::now() + SECOND_ROUND;
                }
            }
            if tokio::time::timeout_at(deadline, news).await.is_err() {
                if told {
                    return Ok(());
                }
                return Err(self
                    .bus
                    .failures
                    .too_long("the coordinator of the group dealt no partitions out"));
            }
        }
    }

    fn place(&self, topic: &str, partition: u32) -> Place {
        (self.bus.full(topic), partition)
    }

    fn own(&self, topic: &str, partition: u32) -> Result<()> {
        if self.member.shared.state().assigned.contains_key(&self.place(topic, partition)) {
            return Ok(());
        }
        Err(self.not_assigned(topic, partition))
    }

    fn not_assigned(&self, topic: &str, partition: u32) -> BusError {
        BusError::NotAssigned { group: self.group.clone(), topic: topic.to_owned(), partition }
    }

    /// Refuses an offset that the partition does not have, or will not have next.
    async fn in_range(&self, topic: &str, partition: u32, offset: u64) -> Result<()> {
        let handed_out = {
            let state = self.member.shared.state();
            state.assigned.get(&self.place(topic, partition)).and_then(|progress| progress.handed_out)
        };
        if handed_out == Some(offset) {
            return Ok(());
        }
        let reach = self.bus.topics.reach(&self.bus.full(topic), partition).await?;
        if (reach.start..=reach.end).contains(&offset) {
            return Ok(());
        }
        Err(BusError::OutOfRange {
            topic: topic.to_owned(),
            partition,
            offset,
            start: reach.start,
            end: reach.end,
        })
    }

    /// What waits, one batch of each partition, each without gaps.
    fn take(&self, max_records: usize, max_bytes: usize) -> Result<Vec<Batch>> {
        let mut state = self.member.shared.state();
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        let (mut records, mut bytes) = (0, 0);
        let mut batches: Vec<(Place, Batch)> = Vec::new();
        // Partitions of which the next record belongs into another batch.
        let mut over: BTreeSet<Place> = BTreeSet::new();
        let mut index = 0;
        while records < max_records.max(1) {
            let Some(fetched) = state.buffer.get(index) else { break };
            let known = batches.iter().position(|(place, _)| *place == fetched.place);
            let joins = known
                .and_then(|at| batches.get(at))
                .is_none_or(|(_, batch)| batch.last + 1 == fetched.offset);
            if over.contains(&fetched.place) || !joins {
                over.insert(fetched.place.clone());
                index += 1;
                continue;
            }
            if records > 0 && bytes + fetched.size > max_bytes {
                break;
            }
            let Some(fetched) = state.hand_out(index) else { break };
            records += 1;
            bytes += fetched.size;
            if let Some((_, batch)) = known.and_then(|at| batches.get_mut(at)) {
                batch.last = fetched.offset;
                batch.records.push(fetched.record);
                continue;
            }
            let batch = Batch {
                topic: self.bus.shown(&fetched.place.0).to_owned(),
                partition: fetched.place.1,
                first: fetched.offset,
                last: fetched.offset,
                records: vec![fetched.record],
            };
            batches.push((fetched.place, batch));
        }
        Ok(batches.into_iter().map(|(_, batch)| batch).collect())
    }

    /// One attempt to commit; blocks.
    fn commit_now(member: &MemberHandle, place: &Place, offset: u64, note: &str) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        let number = i32::try_from(place.1).unwrap_or(i32::MAX);
        let to = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
        list.add_partition_offset(&place.0, number, to)?;
        if let Some(mut one) = list.find_partition(&place.0, number) {
            one.set_metadata(note);
        }
        member.commit(&list, CommitMode::Sync)
    }
}

type MemberHandle = rdkafka::consumer::BaseConsumer<super::member::Context>;

#[async_trait]
impl Consumer for KafkaConsumer {
    async fn poll(&mut self, max_records: usize, max_bytes: usize, timeout: Duration) -> Result<Vec<Batch>> {
        let deadline = Instant::now() + timeout;
        loop {
            let news = self.member.shared.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            let batches = self.take(max_records, max_bytes)?;
            if !batches.is_empty() {
                let bytes: usize =
                    batches.iter().flat_map(|batch| &batch.records).map(crate::Record::size).sum();
                let records: usize = batches.iter().map(|batch| batch.records.len()).sum();
                self.bus.sizes.saw(records, bytes);
                return Ok(batches);
            }
            if tokio::time::timeout_at(deadline, news).await.is_err() {
                return Ok(Vec::new());
            }
        }
    }

    async fn read(&self, topic: &str, partition: u32, first: u64, last: u64) -> Result<Batch> {
        let full = self.bus.full(topic);
        let reach = self.bus.topics.reach(&full, partition).await?;
        let missing = |offset| BusError::OutOfRange {
            topic: topic.to_owned(),
            partition,
            offset,
            start: reach.start,
            end: reach.end,
        };
        for offset in [first, last] {
            if !(reach.start..reach.end).contains(&offset) {
                return Err(missing(offset));
            }
        }
        let bus = Arc::clone(&self.bus);
        let work = move || {
            let mut records = Vec::new();
            let mut next = first;
            bus.readers.read(&full, partition, first, last.saturating_add(1), |offset, message| {
                if offset == next {
                    next += 1;
                    records.push(wire::record(message));
                }
                Ok(())
            })?;
            Ok::<_, BusError>((records, next))
        };
        let (records, next) = tokio::task::spawn_blocking(work).await.map_err(|_| BusError::Closed)??;
        if next != last + 1 {
            return Err(missing(next));
        }
        Ok(Batch { topic: topic.to_owned(), partition, first, last, records })
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
        self.in_range(topic, partition, next_offset).await?;
        let place = self.place(topic, partition);
        let deadline = Instant::now() + self.bus.options.patience;
        loop {
            let (native, to, note) = (Arc::clone(&self.member.native), place.clone(), metadata.clone());
            let work = move || Self::commit_now(&native, &to, next_offset, &note);
            let outcome = tokio::task::spawn_blocking(work).await.map_err(|_| BusError::Closed)?;
            let Err(error) = outcome else { return Ok(()) };
            // The partition went while we asked: whoever has it now decides.
            self.own(topic, partition)?;
            let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
            let explained = self.bus.failures.explain(&error);
            match code {
                Code::UnknownMemberId
                | Code::IllegalGeneration
                | Code::AssignmentLost
                | Code::FencedInstanceId => {
                    return Err(self.not_assigned(topic, partition));
                }
                Code::RebalanceInProgress | Code::UnstableOffsetCommit if Instant::now() < deadline => {}
                _ if explained.passes() && Instant::now() < deadline => {}
                _ => return Err(explained),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn committed(&self, topic: &str, partition: u32) -> Result<Option<(u64, String)>> {
        let full = self.bus.full(topic);
        let partitions = self.bus.topics.partitions(&full, topic).await?;
        if partition >= partitions {
            return Err(BusError::UnknownPartition { topic: topic.to_owned(), partition });
        }
        let (native, patience, failures) =
            (Arc::clone(&self.member.native), self.bus.options.patience, Arc::clone(&self.bus.failures));
        let work = move || {
            let mut list = TopicPartitionList::new();
            let number = i32::try_from(partition).unwrap_or(i32::MAX);
            list.add_partition(&full, number);
            let answer =
                native.committed_offsets(list, patience).map_err(|error| failures.explain(&error))?;
            let Some(one) = answer.find_partition(&full, number) else { return Ok(None) };
            one.error().map_err(|error| failures.explain(&error))?;
            Ok(match one.offset() {
                Offset::Offset(offset) => {
                    Some((u64::try_from(offset).unwrap_or_default(), one.metadata().to_owned()))
                }
                _ => None,
            })
        };
        // The library panics over a note that is no UTF-8; such a note is none of ours.
        tokio::task::spawn_blocking(work).await.map_err(|_| {
            BusError::Damaged(format!("the note of a commit of {topic:?}/{partition} is no text"))
        })?
    }

    async fn seek(&mut self, topic: &str, partition: u32, offset: u64) -> Result<()> {
        self.own(topic, partition)?;
        self.in_range(topic, partition, offset).await?;
        self.member.seek(self.place(topic, partition), offset).await
    }

    fn assigned(&self) -> Vec<(String, u32)> {
        let state = self.member.shared.state();
        state.assigned.keys().map(|(topic, number)| (self.bus.shown(topic).to_owned(), *number)).collect()
    }
}
