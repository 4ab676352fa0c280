//! The one thread that changes the log: it takes everything that waits and writes it with one sync.
//!
//! The queue is bounded by commands and by bytes; a full one makes the producers wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fjall::{OwnedWriteBatch, PersistMode};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::keys::{self, Runs};
use super::state::{Shared, Topic};
use super::{frame, retention};
use crate::{BusError, Position, Record, Result, partition_of};

/// A round ends when it holds this many bytes of records.
const ROUND_BYTES: usize = 16 << 20;
/// Shortest time between two sweeps that a full log asks for.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T>>;

/// What the writer is asked to do.
pub(super) enum Command {
    /// Append records, once per token when there is one.
    Append {
        topic: Arc<Topic>,
        token: Option<String>,
        records: Vec<Record>,
        room: OwnedSemaphorePermit,
        reply: Reply<Vec<Position>>,
    },
    /// Note how far a group came.
    Commit { group: String, topic: String, partition: u32, offset: u64, metadata: String, reply: Reply<()> },
    /// Note that a group reads topics.
    Register { group: String, topics: Vec<String>, reply: Reply<()> },
    /// Forget a group.
    Forget { group: String, reply: Reply<()> },
    /// Make a topic.
    CreateTopic { name: String, partitions: u32, reply: Reply<()> },
    /// Delete what may be deleted; answers the bytes.
    Sweep { reply: Reply<u64> },
    /// Write what waits, then end.
    Stop { reply: Reply<()> },
}

/// Serves commands until the queue closes or `Stop` comes.
pub(super) fn run(shared: Arc<Shared>, mut queue: mpsc::Receiver<Command>) {
    let mut last_sweep = None;
    while let Some(first) = queue.blocking_recv() {
        let mut round = Round::new(&shared);
        let mut next = Some(first);
        let mut stop = None;
        while let Some(command) = next.take() {
            match command {
                Command::Stop { reply } => stop = Some(reply),
                command => round.take(command, &mut last_sweep),
            }
            if stop.is_none() && round.staged_bytes < ROUND_BYTES {
                next = queue.try_recv().ok();
            }
        }
        round.finish();
        if let Some(reply) = stop {
            drop(queue);
            drop(shared);
            drop(reply.send(Ok(())));
            return;
        }
    }
}

/// How far a partition reaches when the round is written.
struct Staged {
    topic: Arc<Topic>,
    number: u32,
    next: u64,
    bytes_end: u64,
    open: Option<(u64, frame::Builder)>,
}

impl Staged {
    fn is(&self, topic: &Arc<Topic>, number: u32) -> bool {
        self.number == number && Arc::ptr_eq(&self.topic, topic)
    }
}

/// What one sync will write, and who is told after it.
struct Round<'a> {
    shared: &'a Arc<Shared>,
    now_ms: u64,
    batch: OwnedWriteBatch,
    /// One for each partition that something is appended to.
    staged: Vec<Staged>,
    staged_bytes: usize,
    records: u64,
    tokens: BTreeMap<Vec<u8>, Runs>,
    appends: Vec<(Vec<Position>, Reply<Vec<Position>>, OwnedSemaphorePermit)>,
    notes: Vec<(Note, Reply<()>)>,
}

/// A change of the groups, made visible after the sync.
enum Note {
    Commit { group: String, topic: String, partition: u32, offset: u64, metadata: String },
    Register { group: String, topics: Vec<String> },
    Forget { group: String },
}

impl<'a> Round<'a> {
    fn new(shared: &'a Arc<Shared>) -> Self {
        Self {
            batch: shared.db.batch().durability(Some(PersistMode::SyncData)),
            now_ms: (shared.options.clock)(),
            shared,
            staged: Vec::new(),
            staged_bytes: 0,
            records: 0,
            tokens: BTreeMap::new(),
            appends: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn take(&mut self, command: Command, last_sweep: &mut Option<Instant>) {
        match command {
            Command::Append { topic, token, records, room, reply } => {
                let bytes: usize = records.iter().map(Record::size).sum();
                match self
                    .room_for(bytes, last_sweep)
                    .and_then(|()| self.append(&topic, token.as_deref(), &records))
                {
                    Ok(positions) => {
                        self.staged_bytes += bytes;
                        self.appends.push((positions, reply, room));
                    }
                    Err(error) => drop(reply.send(Err(error))),
                }
            }
            Command::Commit { group, topic, partition, offset, metadata, reply } => {
                let key = keys::commit(&group, &topic, partition);
                self.batch.insert(&self.shared.groups_on_disk, key, keys::commit_value(offset, &metadata));
                self.notes.push((Note::Commit { group, topic, partition, offset, metadata }, reply));
            }
            Command::Register { group, topics, reply } => {
                for topic in &topics {
                    self.batch.insert(&self.shared.groups_on_disk, keys::registration(&group, topic), b"");
                }
                self.notes.push((Note::Register { group, topics }, reply));
            }
            Command::Forget { group, reply } => match self.forget(&group) {
                Ok(()) => self.notes.push((Note::Forget { group }, reply)),
                Err(error) => drop(reply.send(Err(error))),
            },
            Command::CreateTopic { name, partitions, reply } => {
                drop(reply.send(create_topic(self.shared, &name, partitions)));
            }
            Command::Sweep { reply } => drop(reply.send(retention::sweep(self.shared, self.now_ms))),
            Command::Stop { reply } => drop(reply.send(Ok(()))),
        }
    }

    /// Refuses what does not fit into the quota or onto the disk, after having tried to delete.
    fn room_for(&self, bytes: usize, last_sweep: &mut Option<Instant>) -> Result<()> {
        let wanted = (self.staged_bytes + bytes) as u64;
        if self.shared.fits(wanted).is_ok() {
            return Ok(());
        }
        if last_sweep.is_none_or(|at| at.elapsed() >= SWEEP_PAUSE) {
            *last_sweep = Some(Instant::now());
            retention::sweep_for_room(self.shared, self.now_ms, wanted)?;
        }
        let fits = self.shared.fits(wanted);
        if fits.is_err() {
            metrics::counter!("bus_refused_batches_total").increment(1);
        }
        fits
    }

    fn append(
        &mut self,
        topic: &Arc<Topic>,
        token: Option<&str>,
        records: &[Record],
    ) -> Result<Vec<Position>> {
        let token = token.map(|token| keys::token(&topic.name, token));
        if let Some(key) = &token
            && let Some(runs) = self.known(key)?
        {
            metrics::counter!("bus_repeated_batches_total").increment(1);
            return Ok(expand(&runs));
        }
        let mut positions = Vec::with_capacity(records.len());
        for record in records {
            positions.push(self.append_one(topic, record)?);
        }
        self.records += records.len() as u64;
        if let Some(key) = token {
            let runs = compact(&positions);
            self.batch.insert(&self.shared.tokens, keys::token_age(self.now_ms, &key), b"");
            self.batch.insert(&self.shared.tokens, key.clone(), keys::runs_value(&runs));
            self.tokens.insert(key, runs);
        }
        Ok(positions)
    }

    fn known(&self, key: &[u8]) -> Result<Option<Runs>> {
        if let Some(runs) = self.tokens.get(key) {
            return Ok(Some(runs.clone()));
        }
        self.shared.tokens.get(key)?.map(|value| keys::read_runs(&value)).transpose()
    }

    fn append_one(&mut self, topic: &Arc<Topic>, record: &Record) -> Result<Position> {
        let number = partition_of(&record.key, topic.count());
        let known = self.staged.iter().position(|staged| staged.is(topic, number));
        let at = known.unwrap_or(self.staged.len());
        if known.is_none() {
            let partition = topic.partition(number)?;
            let (next, bytes_end) = (partition.next(), partition.bytes_end.load(Ordering::Acquire));
            self.staged.push(Staged { topic: Arc::clone(topic), number, next, bytes_end, open: None });
        }
        let staged = self.staged.get_mut(at).ok_or(BusError::Stopped)?;
        let offset = staged.next;
        let (_, builder) =
            staged.open.get_or_insert_with(|| (offset, frame::Builder::new(self.now_ms, staged.bytes_end)));
        builder.push(record);
        staged.next += 1;
        if builder.is_full() {
            close(staged, &mut self.batch)?;
        }
        Ok(Position { partition: number, offset })
    }

    fn forget(&mut self, group: &str) -> Result<()> {
        let disk = &self.shared.groups_on_disk;
        for prefix in [keys::REGISTRATIONS, keys::COMMITS] {
            for item in disk.prefix([prefix, group.as_bytes(), &[0]].concat()) {
                self.batch.remove(disk, item.key()?);
            }
        }
        Ok(())
    }

    /// One sync, then everybody hears of it.
    fn finish(mut self) {
        if let Err(error) = self.write() {
            tracing::error!(%error, "the log could not be written");
            for (_, reply, _) in self.appends {
                drop(reply.send(Err(again(&error))));
            }
            for (_, reply) in self.notes {
                drop(reply.send(Err(again(&error))));
            }
            return;
        }
        let heard = !self.staged.is_empty();
        for staged in self.staged {
            if let Ok(partition) = staged.topic.partition(staged.number) {
                partition.bytes_end.store(staged.bytes_end, Ordering::Release);
                partition.next.store(staged.next, Ordering::Release);
            }
        }
        for (note, reply) in self.notes {
            note.apply(self.shared);
            drop(reply.send(Ok(())));
        }
        for (positions, reply, _room) in self.appends {
            drop(reply.send(Ok(positions)));
        }
        if heard {
            self.shared.notify();
            metrics::counter!("bus_appended_records_total").increment(self.records);
            metrics::counter!("bus_appended_bytes_total").increment(self.staged_bytes as u64);
        }
    }

    fn write(&mut self) -> Result<()> {
        for staged in &mut self.staged {
            close(staged, &mut self.batch)?;
        }
        if self.batch.is_empty() {
            return Ok(());
        }
        let empty = self.shared.db.batch();
        std::mem::replace(&mut self.batch, empty).commit()?;
        metrics::counter!("bus_syncs_total").increment(1);
        Ok(())
    }
}

/// Puts the open frame of a partition into the batch.
fn close(staged: &mut Staged, batch: &mut OwnedWriteBatch) -> Result<()> {
    let Some((first, builder)) = staged.open.take() else { return Ok(()) };
    debug_assert_eq!(
        first + u64::from(builder.count()),
        staged.next,
        "a frame ends where the partition does"
    );
    let bytes = builder.finish();
    staged.bytes_end += bytes.len() as u64;
    batch.insert(&staged.topic.partition(staged.number)?.log, first.to_be_bytes(), bytes);
    Ok(())
}

impl Note {
    fn apply(self, shared: &Shared) {
        let mut groups = shared.groups();
        match self {
            Self::Commit { group, topic, partition, offset, metadata } => {
                let committed = &mut groups.entry(group).or_default().committed;
                committed.insert((topic, partition), (offset, metadata));
            }
            Self::Register { group, topics } => groups.entry(group).or_default().topics.extend(topics),
            Self::Forget { group } => drop(groups.remove(&group)),
        }
    }
}

fn create_topic(shared: &Shared, name: &str, partitions: u32) -> Result<()> {
    if let Ok(topic) = shared.topic(name) {
        let existing = topic.count();
        let differ = BusError::PartitionsDiffer { topic: name.to_owned(), existing, wanted: partitions };
        return if existing == partitions { Ok(()) } else { Err(differ) };
    }
    let topic = shared.open_topic(name, partitions)?;
    let mut batch = shared.db.batch().durability(Some(PersistMode::SyncAll));
    batch.insert(&shared.meta, keys::topic(name), partitions.to_le_bytes());
    batch.commit()?;
    shared.topics_mut().insert(name.to_owned(), Arc::new(topic));
    Ok(())
}

fn compact(positions: &[Position]) -> Runs {
    let mut runs: Runs = Vec::new();
    for position in positions {
        match runs.last_mut() {
            Some((partition, first, count))
                if *partition == position.partition && *first + u64::from(*count) == position.offset =>
            {
                *count += 1;
            }
            _ => runs.push((position.partition, position.offset, 1)),
        }
    }
    runs
}

fn expand(runs: &Runs) -> Vec<Position> {
    let run = |&(partition, first, count): &(u32, u64, u32)| {
        (0..u64::from(count)).map(move |step| Position { partition, offset: first + step })
    };
    runs.iter().flat_map(run).collect()
}

/// The same error once more: each waiting caller gets it.
fn again(error: &BusError) -> BusError {
    match error {
        BusError::NoRoom => BusError::NoRoom,
        BusError::Stopped => BusError::Stopped,
        BusError::Damaged(what) => BusError::Damaged(what.clone()),
        other => BusError::Storage(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_keep_the_order(moves in prop::collection::vec((0_u32..3, 0_u64..3), 0..50)) {
            let positions: Vec<Position> = moves.into_iter().map(|(partition, offset)| Position { partition, offset }).collect();
            prop_assert_eq!(expand(&compact(&positions)), positions);
        }
    }
}
