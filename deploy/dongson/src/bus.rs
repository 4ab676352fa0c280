//! The log between the services, as the configuration says.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use dongson_bus::{Bus, EmbeddedBus, Retention};
use dongson_event::{TOPIC_ALERTS, TOPIC_EVENTS, TOPIC_SIGNALS, TOPIC_UNPARSED};

use crate::config::{BusConfig, Config, Paths};

/// Partitions of each topic in the embedded log: a batch is worked on by all cores, and the store takes one large insert
/// far better than several small ones.
const PARTITIONS: u32 = 1;

/// The log, opened; end it with [`OpenBus::close`] when everybody else has dropped it.
pub(crate) struct OpenBus {
    bus: Arc<dyn Bus>,
    embedded: Option<EmbeddedBus>,
}

impl OpenBus {
    /// Opens the log and makes the topics that are not there yet. The embedded one locks its folder: no other process
    /// uses it until the end.
    pub(crate) async fn open(config: &Config, paths: &Paths) -> Result<Self> {
        let embedded = EmbeddedBus::open(&paths.bus(), options(&config.bus)).context("opening the log")?;
        let bus: Arc<dyn Bus> = Arc::new(embedded.clone());
        make_topics(bus.as_ref(), PARTITIONS).await?;
        Ok(Self { bus, embedded: Some(embedded) })
    }

    /// Whether this process alone has the log.
    pub(crate) fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// For whoever writes or reads.
    pub(crate) fn bus(&self) -> Arc<dyn Bus> {
        Arc::clone(&self.bus)
    }

    /// Writes what waits, and frees the folder.
    pub(crate) async fn close(self) -> Result<()> {
        drop(self.bus);
        match self.embedded {
            Some(embedded) => embedded.close().await.context("closing the log"),
            None => Ok(()),
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
        ..dongson_bus::Options::default()
    }
}

/// The topics, and the groups that hold what they have not read from the first record on.
async fn make_topics(bus: &dyn Bus, partitions: u32) -> Result<()> {
    for topic in [TOPIC_EVENTS, TOPIC_UNPARSED, TOPIC_SIGNALS, TOPIC_ALERTS] {
        bus.create_topic(topic, partitions).await.with_context(|| format!("making the topic {topic}"))?;
    }
    Ok(())
}
