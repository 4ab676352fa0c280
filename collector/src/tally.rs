//! What each source and sensor sent since the registry was last told: the counters behind the console's table of
//! sources, and the metrics. received = parsed + unparsed + rejected + dropped, always.

use crate::intake::Origin;
use dongson_event::Timestamp;
use dongson_registry::SourceCount;
use std::collections::HashMap;
use std::sync::Mutex;

/// Where records were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Datagrams that found no room in the socket's buffer: the kernel had nowhere to put them.
    Kernel,
    /// Datagrams that found no room in the queue to the bus.
    Queue,
    /// Records in hand when the collector stopped while the bus took nothing.
    Stop,
}

/// Counters of one source between two flushes.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    last_seen_ms: i64,
    events: u64,
    unparsed: u64,
}

#[derive(Debug, Default)]
struct Counts {
    sources: HashMap<String, Count>,
    sensors: HashMap<String, (i64, Option<serde_json::Value>)>,
}

/// The counters of all listeners.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Mutex<Counts>,
}

impl Tally {
    /// Counts records that the bus has taken.
    pub fn count(&self, origin: &Origin, parsed: u64, unparsed: u64, now: Timestamp) {
        metrics::counter!("collector_records_received_total").increment(parsed + unparsed);
        metrics::counter!("collector_records_parsed_total").increment(parsed);
        metrics::counter!("collector_records_unparsed_total").increment(unparsed);
        let Some(source) = &origin.source else {
            if origin.principal.organization == crate::directory::UNASSIGNED {
                metrics::counter!("collector_records_unassigned_total").increment(parsed + unparsed);
            }
            return;
        };
        let Ok(mut counts) = self.counts.lock() else { return };
        let count = counts.sources.entry(source.clone()).or_default();
        count.last_seen_ms = count.last_seen_ms.max(now.millis());
        count.events += parsed + unparsed;
        count.unparsed += unparsed;
    }

    /// Counts records that were refused: the sender was told.
    pub fn reject(&self, records: u64) {
        metrics::counter!("collector_records_received_total").increment(records);
        metrics::counter!("collector_records_rejected_total").increment(records);
    }

    /// Counts records that were lost: nobody could be told.
    pub fn lose(&self, records: u64, how: Loss) {
        let class = match how {
            Loss::Kernel => "datagram_kernel",
            Loss::Queue => "datagram_queue",
            Loss::Stop => "stop",
        };
        metrics::counter!("collector_records_received_total").increment(records);
        metrics::counter!("collector_records_dropped_total", "class" => class).increment(records);
    }

    /// Notes that a sensor was heard of, with its newest health report if it sent one.
    pub fn heard(&self, sensor: &str, now: Timestamp, health: Option<serde_json::Value>) {
        let Ok(mut counts) = self.counts.lock() else { return };
        let entry = counts.sensors.entry(sensor.to_owned()).or_default();
        entry.0 = now.millis();
        if health.is_some() {
            entry.1 = health;
        }
    }

    /// Takes the counters of the sources.
    pub(crate) fn take_sources(&self) -> Vec<SourceCount> {
        let Ok(mut counts) = self.counts.lock() else { return Vec::new() };
        let taken = std::mem::take(&mut counts.sources);
        let row = |(source, count): (String, Count)| SourceCount {
            source,
            last_seen: count.last_seen_ms,
            events: count.events,
            unparsed: count.unparsed,
        };
        taken.into_iter().map(row).collect()
    }

    /// Takes (sensor, last heard in milliseconds, health).
    pub(crate) fn take_sensors(&self) -> Vec<(String, i64, Option<serde_json::Value>)> {
        let Ok(mut counts) = self.counts.lock() else { return Vec::new() };
        let taken = std::mem::take(&mut counts.sensors);
        taken.into_iter().map(|(sensor, (at, health))| (sensor, at, health)).collect()
    }
}
