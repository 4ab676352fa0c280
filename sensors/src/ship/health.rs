//! What the sensor says about itself: an event of dataset `sensor.health` for rules and reports, and a report with the
//! totals for the console.
//!
//! Packets, drops and lost events of an event are those since the health event before it, so that an alert about a loss
//! ends when the loss ends. An event that did not reach the spool counts as not said: the next one tells its share too.

use std::time::Instant;

use dongson_event::{Event, Timestamp};
use serde_json::json;

use super::{Shipper, SpoolError};

/// What a capture has seen since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Packets that reached the sensor.
    pub packets: u64,
    /// Packets that the kernel dropped; `None` where nobody counts them.
    pub dropped: Option<u64>,
    /// Flows that are live now.
    pub flows: usize,
}

/// Says how the sensor is.
#[derive(Debug)]
pub struct Health {
    /// What the last event told.
    told: Seen,
    /// Packets at the last report, and when that was.
    last: (u64, Instant),
}

impl Health {
    /// Nothing was seen or told yet.
    pub fn new() -> Self {
        Self { told: Seen::default(), last: (0, Instant::now()) }
    }

    /// Tells the centre of `seen`, at `now`.
    pub fn tell(&mut self, seen: Seen, now: Timestamp, shipper: &mut Shipper) -> Result<(), SpoolError> {
        let memory = resident_bytes();
        let (bytes, batches, lost) = shipper.backlog();
        let (packets, since) = std::mem::replace(&mut self.last, (seen.packets, Instant::now()));
        let millis = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        shipper.report(json!({
            "packets_per_second": seen.packets.saturating_sub(packets).saturating_mul(1_000) / millis,
            "packets": seen.packets,
            "drops": seen.dropped,
            "spool_bytes": bytes,
            "spool_batches": batches,
            "spool_lost": lost,
            "flows": seen.flows,
            "memory_bytes": memory,
            "version": env!("CARGO_PKG_VERSION"),
        }));
        let told = self.told;
        let kept = shipper.tell_lost(|lost| event(seen, told, (bytes, lost), memory, now))?;
        if kept {
            self.told = seen;
        }
        Ok(())
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

/// The event about what was seen since `told`, with the spool's (bytes, newly lost events).
fn event(seen: Seen, told: Seen, (bytes, lost): (u64, u64), memory: Option<u64>, now: Timestamp) -> Event {
    let mut event = Event::of("sensor.health", now);
    event.set("event.kind", "metric");
    event.set("event.category", vec!["network"]);
    event.set("event.action", "heartbeat");
    event.set("dongson.health.packets", seen.packets.saturating_sub(told.packets));
    let dropped = seen.dropped.map(|dropped| dropped.saturating_sub(told.dropped.unwrap_or_default()));
    event.set_some("dongson.health.dropped", dropped);
    event.set("dongson.health.spool.bytes", bytes);
    event.set("dongson.health.spool.lost", lost);
    event.set("dongson.health.flows", seen.flows);
    event.set_some("dongson.health.memory", memory);
    event.set("dongson.health.version", env!("CARGO_PKG_VERSION"));
    event
}

/// Memory of this process in bytes, as far as the system tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_tells_what_is_new() {
        let told = Seen { packets: 100, dropped: Some(3), flows: 9 };
        let seen = Seen { packets: 150, dropped: Some(10), flows: 2 };
        let event = event(seen, told, (77, 5), Some(4096), Timestamp::from_seconds(1));
        assert_eq!(event.dataset(), "sensor.health");
        for (name, value) in [
            ("packets", 50),
            ("dropped", 7),
            ("spool.bytes", 77),
            ("spool.lost", 5),
            ("flows", 2),
            ("memory", 4096),
        ] {
            assert_eq!(event.int(&format!("dongson.health.{name}")), Some(value), "{name}");
        }
    }

    #[test]
    fn drops_that_nobody_counts_are_not_said() {
        let event = event(Seen::default(), Seen::default(), (0, 0), None, Timestamp::from_seconds(1));
        assert_eq!(event.get("dongson.health.dropped"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_known() {
        assert!(resident_bytes().unwrap() > 100_000);
    }
}
