//! The log: opened with its topics, watched, closed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use dongson_bus::{Bus, EmbeddedBus, Retention};
use dongson_event::{TOPIC_ALERTS, TOPIC_EVENTS, TOPIC_SIGNALS, TOPIC_UNPARSED};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Ground, Role};
use crate::config::Config;

/// Partitions of each topic on one machine: a batch is worked on by all cores, and the store takes one large insert far
/// better than several small ones.
const PARTITIONS: u32 = 1;

/// The log of this process.
pub(super) struct Log {
    bus: Arc<dyn Bus>,
    embedded: EmbeddedBus,
}

impl Log {
    pub(super) fn bus(&self) -> Arc<dyn Bus> {
        Arc::clone(&self.bus)
    }

    /// Writes what is left.
    pub(super) async fn close(self) -> Result<()> {
        drop(self.bus);
        self.embedded.close().await.context("closing the log")
    }
}

/// Opens the log, with its topics.
pub(super) async fn open(ground: &Ground) -> Result<Log> {
    if ground.role != Role::All {
        bail!(
            "`dongson {}` is one of several processes, and the log of one machine belongs to one process: set \
             `bootstrap` under [bus.kafka] in the configuration, or run everything in one process with `dongson up`",
            ground.role.name()
        );
    }
    let options = bus_options(&ground.config);
    let embedded = EmbeddedBus::open(&ground.paths.bus(), options).context("opening the log")?;
    let log = Log { bus: Arc::new(embedded.clone()), embedded };
    make_topics(log.bus.as_ref(), PARTITIONS).await?;
    Ok(log)
}

fn bus_options(config: &Config) -> dongson_bus::Options {
    dongson_bus::Options {
        retention: Retention {
            age: Duration::from_hours(config.bus.retention_hours),
            bytes: config.bus.max_bytes / 4,
        },
        quota_bytes: config.bus.max_bytes,
        ..dongson_bus::Options::default()
    }
}

async fn make_topics(bus: &dyn Bus, partitions: u32) -> Result<()> {
    for topic in [TOPIC_EVENTS, TOPIC_UNPARSED, TOPIC_SIGNALS, TOPIC_ALERTS] {
        bus.create_topic(topic, partitions).await.with_context(|| format!("making the topic {topic}"))?;
    }
    Ok(())
}

/// Measures how far the analyzers are behind the log, until `stop`.
pub(super) async fn watch_lag(bus: Arc<dyn Bus>, stop: CancellationToken) -> Result<()> {
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = tick.tick() => {}
        }
        for group in dongson_analyzer::GROUPS {
            match bus.lag(group).await {
                Ok(lags) => {
                    let records: u64 = lags.iter().map(|lag| lag.records).sum();
                    #[expect(clippy::cast_precision_loss, reason = "a gauge of records, far below 2^52")]
                    metrics::gauge!("bus_group_lag_records", "group" => *group).set(records as f64);
                }
                Err(error) => warn!(%error, group, "the lag of a group could not be read"),
            }
        }
    }
}
