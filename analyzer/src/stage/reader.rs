//! A member of a consumer group whose partitions come and go while it works.
//!
//! Each batch is bound to the grant under which it was read: from when the partition became ours to when it was lost. A
//! batch of an older grant has no effect any more; whoever reads the partition now has cut it again, at the same offsets,
//! because the note of a batch in flight is committed before its first effect. Effects that were under way then happen
//! once all the same, for they carry the batch as their token.
//!
//! Nothing is committed but on top of what this member knows to be committed, so that one that slept through a change
//! of owners moves nothing back.

use std::collections::BTreeMap;
use std::time::Duration;

use dongson_bus::{Batch, Bus, BusError, Consumer};
use tracing::{error, info, warn};

use crate::AnalyzerError;

/// A batch, and the grant under which it was read.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) batch: Batch,
    grant: u64,
    repeated: bool,
}

impl Run {
    /// Tells apart the times in which a partition was ours.
    pub(crate) fn grant(&self) -> u64 {
        self.grant
    }

    /// True when it was in flight before: the store may have some of it without knowing the token any more.
    pub(crate) fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// The same run: the same token.
    pub(crate) fn token(&self) -> String {
        let Batch { topic, partition, first, last, .. } = &self.batch;
        format!("{topic}/{partition}/{first}-{last}")
    }

    fn place(&self) -> Place {
        (self.batch.topic.clone(), self.batch.partition)
    }
}

/// A partition that is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held<'r> {
    pub(crate) topic: &'r str,
    pub(crate) partition: u32,
    pub(crate) grant: u64,
    /// The first offset whose effects are not all on disk.
    pub(crate) next: u64,
}

type Place = (String, u32);

#[derive(Debug)]
struct Own {
    grant: u64,
    /// What is committed: offset and note.
    standing: Option<(u64, String)>,
    /// The offset that is to be read next.
    due: u64,
}

/// Reads for one member.
pub(crate) struct Reader {
    consumer: Box<dyn Consumer>,
    own: BTreeMap<Place, Own>,
    grants: u64,
    /// Partitions in which something else was found than expected: they are begun anew at what is committed.
    doubted: Vec<Place>,
}

impl Reader {
    /// Joins `group`.
    pub(crate) async fn join(bus: &dyn Bus, group: &str, topics: &[&str]) -> Result<Self, AnalyzerError> {
        let consumer = bus.consumer(group, topics).await?;
        Ok(Self { consumer, own: BTreeMap::new(), grants: 0, doubted: Vec::new() })
    }

    /// The partitions that are ours.
    pub(crate) fn held(&self) -> impl Iterator<Item = Held<'_>> {
        self.own.iter().map(|((topic, partition), own)| {
            let next = own.standing.as_ref().map_or(0, |(offset, _)| *offset);
            Held { topic, partition: *partition, grant: own.grant, next }
        })
    }

    /// The next runs. Of a partition that has become ours the run comes first that was in flight there, cut as it was.
    pub(crate) async fn poll(
        &mut self,
        max_records: usize,
        max_bytes: usize,
        timeout: Duration,
    ) -> Result<Vec<Run>, AnalyzerError> {
        let mut runs = self.settle().await?;
        if !runs.is_empty() {
            return Ok(runs);
        }
        let batches = self.consumer.poll(max_records, max_bytes, timeout).await?;
        runs = self.settle().await?;
        for batch in batches {
            runs.extend(self.take(batch));
        }
        Ok(runs)
    }

    /// A batch as it comes; none where it was read before the partition's change of owners was known.
    fn take(&mut self, batch: Batch) -> Option<Run> {
        let place = (batch.topic.clone(), batch.partition);
        let own = self.own.get_mut(&place)?;
        if batch.first < own.due {
            // It begins before what was read already: the partition was lost and won again in between, or its position
            // was moved after the batch was read.
            self.doubt(&place);
            return None;
        }
        if batch.first > own.due && own.standing.is_some() {
            let lost = batch.first - own.due;
            metrics::counter!("analyzer_records_lost_total", "topic" => batch.topic.clone()).increment(lost);
            error!(
                topic = batch.topic,
                partition = batch.partition,
                lost,
                "records were deleted before they were read: the log keeps too little"
            );
        }
        own.due = batch.last.saturating_add(1);
        Some(Run { batch, grant: own.grant, repeated: false })
    }

    /// Compares what is ours with what was; answers the runs that were in flight where a partition has become ours.
    async fn settle(&mut self) -> Result<Vec<Run>, AnalyzerError> {
        let assigned = self.consumer.assigned();
        let lost: Vec<Place> = self.own.keys().filter(|place| !assigned.contains(place)).cloned().collect();
        for place in lost {
            info!(topic = place.0, partition = place.1, "a partition went to another member");
            self.own.remove(&place);
        }
        let mut runs = Vec::new();
        for place in assigned {
            if !self.own.contains_key(&place) {
                let doubted = self.doubted.contains(&place);
                match self.win(&place, doubted).await {
                    Ok(run) => runs.extend(run),
                    // Lost again already.
                    Err(AnalyzerError::Bus(BusError::NotAssigned { .. })) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.doubted.clear();
        Ok(runs)
    }

    /// Begins with a partition where whoever had it before has stopped. `again`: it may have been read on meanwhile.
    async fn win(&mut self, place: &Place, again: bool) -> Result<Option<Run>, AnalyzerError> {
        let (topic, partition) = (place.0.as_str(), place.1);
        let standing = self.consumer.committed(topic, partition).await?;
        let first = standing.as_ref().map_or(0, |(offset, _)| *offset);
        let in_flight = standing.as_ref().and_then(|(_, note)| noted(note)).filter(|until| *until >= first);
        let mut own = Own { grant: self.grants + 1, standing, due: first };
        let batch = match in_flight {
            None => None,
            Some(until) => match self.consumer.read(topic, partition, first, until).await {
                Ok(batch) => Some(batch),
                Err(BusError::OutOfRange { start, end, .. }) if start > first => {
                    let lost = start.saturating_sub(first);
                    metrics::counter!("analyzer_records_lost_total", "topic" => topic.to_owned())
                        .increment(lost);
                    error!(
                        topic,
                        partition, lost, "the batch in flight was deleted: the log keeps too little"
                    );
                    let next = start.min(end);
                    self.consumer.commit(topic, partition, next, String::new()).await?;
                    own.standing = Some((next, String::new()));
                    own.due = next;
                    None
                }
                Err(error) => return Err(error.into()),
            },
        };
        if let Some(batch) = &batch {
            own.due = batch.last.saturating_add(1);
        }
        if batch.is_some() || again {
            self.consumer.seek(topic, partition, own.due).await?;
        }
        self.grants += 1;
        let grant = own.grant;
        info!(topic, partition, next = own.due, in_flight = batch.is_some(), "a partition is ours");
        self.own.insert(place.clone(), own);
        Ok(batch.map(|batch| Run { batch, grant, repeated: true }))
    }

    /// Notes that `run` is in flight, without moving the offset. False when the partition is not ours any more: then the
    /// run must have no effect.
    pub(crate) async fn begin(&mut self, run: &Run) -> Result<bool, AnalyzerError> {
        self.commit(run, (run.batch.first, note_of(run.batch.last))).await
    }

    /// Moves the offset past `run`: all its effects are on disk. False when the partition is not ours any more; another
    /// member makes the same effects again, which then changes nothing.
    pub(crate) async fn end(&mut self, run: &Run) -> Result<bool, AnalyzerError> {
        self.commit(run, (run.batch.last.saturating_add(1), String::new())).await
    }

    async fn commit(&mut self, run: &Run, wanted: (u64, String)) -> Result<bool, AnalyzerError> {
        let place = run.place();
        let Some(own) = self.own.get(&place).filter(|own| own.grant == run.grant) else {
            return Ok(dropped(run));
        };
        if own.standing.as_ref() == Some(&wanted) {
            return Ok(true);
        }
        let found = self.consumer.committed(&place.0, place.1).await?;
        if found != own.standing {
            warn!(topic = place.0, partition = place.1, "another member has read on meanwhile");
            self.doubt(&place);
            return Ok(dropped(run));
        }
        match self.consumer.commit(&place.0, place.1, wanted.0, wanted.1.clone()).await {
            Ok(()) => {}
            Err(BusError::NotAssigned { .. }) => {
                self.doubt(&place);
                return Ok(dropped(run));
            }
            Err(error) => return Err(error.into()),
        }
        if let Some(own) = self.own.get_mut(&place) {
            own.standing = Some(wanted);
        }
        Ok(true)
    }

    /// Gives up what was read of a run's partition: if it is ours, it begins anew at what is committed.
    pub(crate) fn give_up(&mut self, run: &Run) {
        let place = run.place();
        if self.own.get(&place).is_some_and(|own| own.grant == run.grant) {
            self.doubt(&place);
        }
    }

    fn doubt(&mut self, place: &Place) {
        self.own.remove(place);
        if !self.doubted.contains(place) {
            self.doubted.push(place.clone());
        }
    }
}

/// Counts a run that has no effect here.
fn dropped(run: &Run) -> bool {
    metrics::counter!("analyzer_runs_dropped_total", "topic" => run.batch.topic.clone()).increment(1);
    false
}

fn note_of(last: u64) -> String {
    format!("in-flight {last}")
}

fn noted(note: &str) -> Option<u64> {
    note.strip_prefix("in-flight ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dongson_bus::{EmbeddedBus, Options, Record};
    use dongson_event::Timestamp;

    use super::*;

    const TOPIC: &str = "t";
    const GROUP: &str = "g";
    const SOON: Duration = Duration::from_millis(50);

    async fn log(partitions: u32, records: usize) -> (tempfile::TempDir, EmbeddedBus) {
        let folder = tempfile::tempdir().unwrap();
        let bus = EmbeddedBus::open(folder.path(), Options::default()).unwrap();
        bus.create_topic(TOPIC, partitions).await.unwrap();
        let record = |n: usize| Record::new(format!("k{n}"), n.to_string(), Timestamp::default());
        bus.produce(TOPIC, (0..records).map(record).collect()).await.unwrap();
        (folder, bus)
    }

    async fn join(bus: &EmbeddedBus) -> Reader {
        Reader::join(bus, GROUP, &[TOPIC]).await.unwrap()
    }

    async fn read(reader: &mut Reader, most: usize) -> Vec<Run> {
        reader.poll(most, 1 << 20, SOON).await.unwrap()
    }

    fn values(run: &Run) -> Vec<String> {
        run.batch.records.iter().map(|one| String::from_utf8(one.value.to_vec()).unwrap()).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_comes_next_cuts_the_run_in_flight_as_it_was() {
        let (_folder, bus) = log(1, 10).await;
        let mut first = join(&bus).await;
        let run = read(&mut first, 4).await.remove(0);
        assert!(first.begin(&run).await.unwrap());
        drop(first);
        let mut second = join(&bus).await;
        let again = read(&mut second, 100).await;
        assert_eq!(again.iter().map(Run::token).collect::<Vec<_>>(), [run.token()]);
        assert!(second.begin(&again[0]).await.unwrap() && second.end(&again[0]).await.unwrap());
        assert_eq!(values(&read(&mut second, 100).await[0]), ["4", "5", "6", "7", "8", "9"]);
        assert_eq!(second.held().map(|held| (held.partition, held.next)).collect::<Vec<_>>(), [(0, 4)]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lost_partition_is_neither_begun_nor_ended() {
        let (_folder, bus) = log(2, 40).await;
        let mut one = join(&bus).await;
        let runs = read(&mut one, 100).await;
        assert_eq!(runs.len(), 2);
        for run in &runs {
            assert!(one.begin(run).await.unwrap());
        }
        let mut two = join(&bus).await;
        let theirs = read(&mut two, 100).await.remove(0);
        let (kept, lost): (Vec<Run>, Vec<Run>) =
            runs.into_iter().partition(|run| run.place() != theirs.place());
        assert_eq!(theirs.token(), lost[0].token(), "the note of the run in flight went along");
        assert!(two.begin(&theirs).await.unwrap() && two.end(&theirs).await.unwrap());
        assert!(!one.end(&lost[0]).await.unwrap());
        assert!(one.end(&kept[0]).await.unwrap(), "the other partition goes on");
        // Back again: the first member goes on where the second has stopped, and its old run stays without effect.
        drop(two);
        assert_eq!(read(&mut one, 100).await.len(), 0, "all is read");
        assert!(!one.begin(&lost[0]).await.unwrap() && !one.end(&lost[0]).await.unwrap());
        assert_eq!(bus.lag(GROUP).await.unwrap().iter().map(|lag| lag.records).sum::<u64>(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_that_slept_through_two_changes_of_owners_moves_nothing_back() {
        let (_folder, bus) = log(1, 10).await;
        let mut sleeper = join(&bus).await;
        let old = read(&mut sleeper, 3).await.remove(0);
        // Behind its back others read on, with cuts of their own; the sleeper never saw that it lost the partition.
        let mut other = bus.consumer(GROUP, &[TOPIC]).await.unwrap();
        drop(std::mem::replace(&mut sleeper.consumer, bus.consumer(GROUP, &[TOPIC]).await.unwrap()));
        while other.assigned().is_empty() {
            let woken =
                std::mem::replace(&mut sleeper.consumer, bus.consumer(GROUP, &[TOPIC]).await.unwrap());
            drop(woken);
        }
        other.commit(TOPIC, 0, 5, String::new()).await.unwrap();
        drop(other);
        assert!(!sleeper.begin(&old).await.unwrap());
        let next = read(&mut sleeper, 100).await.remove(0);
        assert_eq!(values(&next), ["5", "6", "7", "8", "9"]);
        assert!(sleeper.begin(&next).await.unwrap() && sleeper.end(&next).await.unwrap());
    }

    /// Members come and go at random, each dying at any moment; every record takes effect, and all effects of a record
    /// are of one run.
    #[tokio::test(flavor = "multi_thread")]
    async fn members_come_and_go_and_every_record_counts_once() {
        let (_folder, bus) = log(4, 600).await;
        let mut effects: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut members: Vec<(Reader, Vec<Run>)> = Vec::new();
        let mut chance = 7_u64;
        let mut pick = |most: u64| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (chance >> 33) % most
        };
        let behind = async || bus.lag(GROUP).await.unwrap().iter().map(|lag| lag.records).sum::<u64>();
        members.push((join(&bus).await, Vec::new()));
        let mut steps = 0;
        while behind().await > 0 || members.iter().any(|(_, runs)| !runs.is_empty()) {
            steps += 1;
            assert!(steps < 5_000, "it comes to an end");
            match pick(12) {
                0 if members.len() < 4 => members.push((join(&bus).await, Vec::new())),
                1 if members.len() > 1 => {
                    let dead = usize::try_from(pick(members.len() as u64)).unwrap();
                    drop(members.remove(dead));
                }
                _ => {
                    let who = usize::try_from(pick(members.len() as u64)).unwrap();
                    let most = 1 + usize::try_from(pick(9)).unwrap();
                    let (reader, runs) = &mut members[who];
                    if runs.is_empty() {
                        for run in reader.poll(most, 1 << 20, Duration::from_millis(1)).await.unwrap() {
                            if reader.begin(&run).await.unwrap() {
                                runs.push(run);
                            }
                        }
                    } else {
                        let run = runs.remove(0);
                        for value in values(&run) {
                            effects.entry(value).or_default().insert(run.token());
                        }
                        reader.end(&run).await.unwrap();
                    }
                }
            }
        }
        assert_eq!(effects.len(), 600);
        let twice: Vec<_> = effects.iter().filter(|(_, tokens)| tokens.len() != 1).collect();
        assert!(twice.is_empty(), "cut in different ways: {twice:?}");
    }
}
