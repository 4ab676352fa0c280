//! The log between the services, as the configuration says.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use dongson_bus::{Bus, EmbeddedBus, KafkaBus, Retention};
use dongson_event::{TOPIC_ALERTS, TOPIC_EVENTS, TOPIC_SIGNALS, TOPIC_UNPARSED};
use tracing::info;

use crate::config::{BusConfig, Config, KafkaConfig, Paths};

/// Partitions of each topic in the embedded log: a batch is worked on by all cores, and the store takes one large insert
/// far better than several small ones.
const PARTITIONS: u32 = 1;
/// Most processes that use a Kafka from one data folder.
const PROCESSES: u32 = 64;

/// The log, opened; end it with [`OpenBus::close`] when everybody else has dropped it.
pub(crate) struct OpenBus {
    bus: Arc<dyn Bus>,
    held: Held,
}

/// What belongs to this process as long as the log is open.
enum Held {
    Embedded(EmbeddedBus),
    /// The lock of its name.
    Kafka(#[expect(dead_code, reason = "it is locked as long as it is open")] File),
}

impl OpenBus {
    /// Opens the log and makes the topics that are not there yet. The embedded one locks its folder: no other process
    /// uses it until the end.
    pub(crate) async fn open(config: &Config, paths: &Paths) -> Result<Self> {
        match &config.bus.kafka {
            None => Self::embedded(&config.bus, paths).await,
            Some(kafka) => Self::kafka(kafka, paths).await,
        }
    }

    async fn embedded(config: &BusConfig, paths: &Paths) -> Result<Self> {
        let embedded = EmbeddedBus::open(&paths.bus(), options(config)).context("opening the log")?;
        let bus: Arc<dyn Bus> = Arc::new(embedded.clone());
        make_topics(bus.as_ref(), PARTITIONS).await?;
        Ok(Self { bus, held: Held::Embedded(embedded) })
    }

    async fn kafka(config: &KafkaConfig, paths: &Paths) -> Result<Self> {
        let (node, lock) = node(paths).context("the name of this installation for Kafka")?;
        let bus = KafkaBus::open(config.options(node)?).await.context("opening the log")?;
        let bus: Arc<dyn Bus> = Arc::new(bus);
        make_topics(bus.as_ref(), config.partitions).await?;
        info!(bootstrap = config.bootstrap, "the log is in Kafka");
        Ok(Self { bus, held: Held::Kafka(lock) })
    }

    /// Whether this process alone has the log.
    pub(crate) fn is_embedded(&self) -> bool {
        matches!(self.held, Held::Embedded(_))
    }

    /// For whoever writes or reads.
    pub(crate) fn bus(&self) -> Arc<dyn Bus> {
        Arc::clone(&self.bus)
    }

    /// Writes what waits, and frees the folder.
    pub(crate) async fn close(self) -> Result<()> {
        drop(self.bus);
        match self.held {
            Held::Embedded(embedded) => embedded.close().await.context("closing the log"),
            Held::Kafka(_) => Ok(()),
        }
    }
}

fn options(config: &BusConfig) -> dongson_bus::Options {
    dongson_bus::Options {
        retention: Retention {
            age: Duration::from_hours(config.retention_hours),
            bytes: config.max_bytes / 4,
        },
        quota_bytes: config.max_bytes,
        clock: Arc::new(|| u64::try_from(dongson_registry::now()).unwrap_or(0)),
        ..dongson_bus::Options::default()
    }
}

/// A name that no other process that runs has, and that the next start finds again: chance, in a file that is locked.
/// Who has it knows that the one who had it before is dead.
fn node(paths: &Paths) -> Result<(String, File)> {
    for number in 0..PROCESSES {
        let path = paths.kafka_node(number);
        let named = || path.display().to_string();
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(named)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => return Err(error).with_context(named),
        }
        let mut name = String::new();
        file.read_to_string(&mut name).with_context(named)?;
        if name.len() != 32 {
            name = hex::encode(rand::random::<[u8; 16]>());
            file.set_len(0).with_context(named)?;
            file.rewind().with_context(named)?;
            file.write_all(name.as_bytes()).with_context(named)?;
            file.sync_all().with_context(named)?;
        }
        return Ok((name, file));
    }
    bail!("{PROCESSES} processes use the data folder already")
}

/// The topics, and the groups that hold what they have not read from the first record on.
async fn make_topics(bus: &dyn Bus, partitions: u32) -> Result<()> {
    for topic in [TOPIC_EVENTS, TOPIC_UNPARSED, TOPIC_SIGNALS, TOPIC_ALERTS] {
        bus.create_topic(topic, partitions).await.with_context(|| format!("making the topic {topic}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_again_and_belongs_to_one() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path());
        let (first, held) = node(&paths).unwrap();
        let (second, _also) = node(&paths).unwrap();
        assert_ne!(first, second);
        drop(held);
        assert_eq!(node(&paths).unwrap().0, first);
    }
}
