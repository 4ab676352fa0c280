//! The log of a role: one process alone has the embedded one; several meet in Kafka.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use dongson_bus::Bus;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Ground, Role};
use crate::bus::OpenBus;

/// Opens the log, with its topics.
pub(super) async fn open(ground: &Ground) -> Result<OpenBus> {
    if ground.role != Role::All && ground.config.bus.kafka.is_none() {
        bail!(
            "`dongson {}` is one of several processes, and the log of one machine belongs to one process: name a Kafka \
             in [bus.kafka] of the configuration, or run everything in one process with `dongson up`",
            ground.role.name()
        );
    }
    OpenBus::open(&ground.config, &ground.paths).await
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
