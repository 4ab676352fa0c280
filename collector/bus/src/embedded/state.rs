//! What the log knows in memory: topics, how far each partition reaches, groups and their members.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use tokio::sync::watch;

use super::{Options, disk, frame, keys};
use crate::{BusError, Result};

/// Memtable of one partition: small, because there is one for each.
const MEMTABLE_BYTES: u64 = 16 << 20;

/// What the writer changes and the consumers read.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) folder: PathBuf,
    pub(super) db: Database,
    /// Topics (`keys::topic`) and the first kept offsets (`keys::start`).
    pub(super) meta: Keyspace,
    /// Registrations and commits of groups.
    pub(super) groups_on_disk: Keyspace,
    /// Positions by token, and tokens by age.
    pub(super) tokens: Keyspace,
    pub(super) topics: RwLock<BTreeMap<String, Arc<Topic>>>,
    groups: Mutex<BTreeMap<String, Group>>,
    /// Counts changes that a waiting consumer wants to hear of.
    pub(super) changed: watch::Sender<u64>,
}

/// A topic and its partitions.
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) partitions: Vec<Partition>,
}

/// One ordered log.
pub(super) struct Partition {
    pub(super) log: Keyspace,
    /// First offset that is kept.
    pub(super) start: AtomicU64,
    /// Offset of the next record; everything below is on disk.
    pub(super) next: AtomicU64,
    /// Bytes of the frames ever removed.
    pub(super) bytes_start: AtomicU64,
    /// Bytes of the frames ever written.
    pub(super) bytes_end: AtomicU64,
}

/// A consumer group: what it committed, and who is in it now.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) topics: BTreeSet<String>,
    pub(super) committed: HashMap<(String, u32), (u64, String)>,
    pub(super) members: BTreeMap<u64, BTreeSet<String>>,
    /// Changes whenever the partitions are dealt out anew.
    pub(super) generation: u64,
}

impl Shared {
    /// Refuses `wanted` more bytes that do not fit into the quota or onto the disk.
    pub(super) fn fits(&self, wanted: u64) -> Result<()> {
        let (quota, retained) = (self.options.quota_bytes, self.retained_bytes());
        if retained.saturating_add(wanted) > quota {
            return Err(BusError::Full { retained, quota });
        }
        // A disk that does not tell its room is taken at its word: the write itself will say.
        let free = disk::free_bytes(&self.folder).unwrap_or(u64::MAX);
        let needed = self.options.reserve_bytes.saturating_add(wanted);
        if free < needed {
            return Err(BusError::DiskFull { folder: self.folder.clone(), free, needed });
        }
        Ok(())
    }

    /// Reads everything that is on disk.
    pub(super) fn load(db: Database, folder: &Path, options: Options) -> Result<Self> {
        let small = || KeyspaceCreateOptions::default().max_memtable_size(4 << 20);
        let shared = Self {
            meta: db.keyspace("meta", small)?,
            groups_on_disk: db.keyspace("groups", small)?,
            tokens: db.keyspace("tokens", small)?,
            topics: RwLock::default(),
            groups: Mutex::default(),
            changed: watch::Sender::new(0),
            folder: folder.to_owned(),
            options,
            db,
        };
        for item in shared.meta.prefix(keys::TOPICS) {
            let (key, value) = item.into_inner()?;
            let name = keys::topic_name(&key)?;
            let topic = shared.open_topic(&name, keys::read_u32(&value)?)?;
            shared.topics_mut().insert(name, Arc::new(topic));
        }
        shared.load_groups()?;
        Ok(shared)
    }

    fn load_groups(&self) -> Result<()> {
        let mut groups = self.groups();
        for item in self.groups_on_disk.prefix(keys::REGISTRATIONS) {
            let (group, topic) = keys::registration_parts(&item.key()?)?;
            groups.entry(group).or_default().topics.insert(topic);
        }
        for item in self.groups_on_disk.prefix(keys::COMMITS) {
            let (key, value) = item.into_inner()?;
            let (group, topic, partition) = keys::commit_parts(&key)?;
            groups.entry(group).or_default().committed.insert((topic, partition), keys::read_commit(&value)?);
        }
        Ok(())
    }

    /// Opens or makes the keyspaces of a topic.
    pub(super) fn open_topic(&self, name: &str, partitions: u32) -> Result<Topic> {
        let partitions =
            (0..partitions).map(|number| self.open_partition(name, number)).collect::<Result<_>>()?;
        Ok(Topic { name: name.to_owned(), partitions })
    }

    fn open_partition(&self, topic: &str, number: u32) -> Result<Partition> {
        let create = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let log = self.db.keyspace(&format!("log#{topic}#{number}"), create)?;
        let start =
            self.meta.get(keys::start(topic, number))?.map_or(Ok(0), |value| keys::read_u64(&value))?;
        let mut partition = Partition {
            start: AtomicU64::new(start),
            next: AtomicU64::new(start),
            bytes_start: AtomicU64::new(0),
            bytes_end: AtomicU64::new(0),
            log,
        };
        if let Some(first) = partition.log.range(start.to_be_bytes()..).next() {
            *partition.bytes_start.get_mut() = frame::header(&first.value()?)?.bytes_before;
        }
        if let Some(last) = partition.log.range(start.to_be_bytes()..).next_back() {
            let (key, value) = last.into_inner()?;
            let header = frame::header(&value)?;
            *partition.next.get_mut() = keys::read_offset(&key)? + u64::from(header.count);
            *partition.bytes_end.get_mut() = header.bytes_before + value.len() as u64;
        }
        Ok(partition)
    }

    /// The topic, or the error for the caller.
    pub(super) fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.get(name).cloned().ok_or_else(|| BusError::UnknownTopic(name.to_owned()))
    }

    /// All topics.
    pub(super) fn all_topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// For the writer, which alone adds topics.
    pub(super) fn topics_mut(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Arc<Topic>>> {
        self.topics.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The groups; never held across a wait.
    pub(super) fn groups(&self) -> MutexGuard<'_, BTreeMap<String, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the consumers that wait.
    pub(super) fn notify(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Bytes of all frames that are kept.
    pub(super) fn retained_bytes(&self) -> u64 {
        self.all_topics().iter().flat_map(|topic| &topic.partitions).map(Partition::retained_bytes).sum()
    }

    /// Below this offset no registered group needs the partition any more; `None` when no group reads the topic.
    pub(super) fn lowest_committed(&self, topic: &str, partition: u32, start: u64) -> Option<u64> {
        let groups = self.groups();
        let readers = groups.values().filter(|group| group.topics.contains(topic));
        readers
            .map(|group| {
                group.committed.get(&(topic.to_owned(), partition)).map_or(start, |(offset, _)| *offset)
            })
            .min()
    }
}

impl Topic {
    /// The partition, or the error for the caller.
    pub(super) fn partition(&self, number: u32) -> Result<&Partition> {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        self.partitions
            .get(index)
            .ok_or_else(|| BusError::UnknownPartition { topic: self.name.clone(), partition: number })
    }

    /// How many.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)
    }
}

impl Partition {
    /// First offset that is kept.
    pub(super) fn start(&self) -> u64 {
        self.start.load(Ordering::Acquire)
    }

    /// Offset of the next record.
    pub(super) fn next(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    /// Bytes of the frames that are kept.
    pub(super) fn retained_bytes(&self) -> u64 {
        self.bytes_end.load(Ordering::Acquire).saturating_sub(self.bytes_start.load(Ordering::Acquire))
    }

    /// Bytes from the frame that holds `offset` to the end.
    pub(super) fn bytes_from(&self, offset: u64) -> Result<u64> {
        if offset >= self.next() {
            return Ok(0);
        }
        let Some(frame) = self.log.range(..=offset.to_be_bytes()).next_back() else {
            return Ok(self.retained_bytes());
        };
        let before = frame::header(&frame.value()?)?.bytes_before;
        Ok(self.bytes_end.load(Ordering::Acquire).saturating_sub(before))
    }
}

impl Group {
    /// The partitions of `topic` that member `id` reads: dealt out one by one among those who subscribed.
    pub(super) fn assigned(&self, id: u64, topic: &Topic) -> Vec<u32> {
        let mut readers =
            self.members.iter().filter(|(_, topics)| topics.contains(&topic.name)).map(|(id, _)| *id);
        let total = readers.clone().count();
        let Some(mine) = readers.position(|reader| reader == id) else { return Vec::new() };
        (0..topic.count()).skip(mine).step_by(total.max(1)).collect()
    }
}
