//! What the sensor says about itself: an event of dataset `sensor.health` for rules and reports, and a report with the
//! totals for the console.
//!
//! Packets, drops and lost events of an event are those since the health event before it, so that an alert about a loss
//! ends when the loss ends. An event that did not reach the spool counts as not said: the next one tells its share too.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dongson_event::{Event, Timestamp};
use serde_json::json;

use super::clock::Offset;
use super::sight::{Sight, percent};
use super::{Shipper, SpoolError};
use crate::desired::Told;
use crate::packets::Counts as Kept;
use crate::relay::Counts as Relayed;

/// Ticks of a second in `/proc/self/stat` (`USER_HZ`, proc(5)): 100 on every machine that Linux still runs on.
const TICKS: f64 = 100.0;
const NANOS_PER_MS: i64 = 1_000_000;

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
    /// What the conversations since the last event tell.
    sight: Sight,
    /// Processor time at the last report, in ticks.
    ticks: Option<u64>,
    /// How blind the sensor was in the last event, in percent.
    blind: Option<f64>,
    /// How the sensor stands to what the centre wants of it.
    desired: Option<Told>,
    /// What the relay's inputs have done since the start.
    relay: BTreeMap<String, Relayed>,
    /// What the rolling capture has done since the start; `None` where no packets are kept.
    kept: Option<Kept>,
    /// What the last event told of queues, disk and collector.
    losses_told: Losses,
}

/// What was taken and lost behind the capture since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Losses {
    /// Records that the relay's inputs took.
    relayed: u64,
    /// Records for which the relay had no room.
    relay_dropped: u64,
    /// Frames that were not kept, because a queue was full or the disk refused.
    unkept: u64,
    /// Events that the collector refused for good.
    refused: u64,
}

impl Losses {
    /// What came since `told`.
    fn since(self, told: Self) -> Self {
        Self {
            relayed: self.relayed.saturating_sub(told.relayed),
            relay_dropped: self.relay_dropped.saturating_sub(told.relay_dropped),
            unkept: self.unkept.saturating_sub(told.unkept),
            refused: self.refused.saturating_sub(told.refused),
        }
    }
}

/// How the process and its shipping are.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    spool_bytes: u64,
    spool_age: Option<Duration>,
    memory: Option<u64>,
    /// 1 is a whole core.
    processor: Option<f64>,
    certificate_end: Option<i64>,
    clock: Option<Offset>,
    /// Bytes sent on this day, and those of the budget.
    budget: Option<(u64, u64)>,
}

impl Health {
    /// Nothing was seen or told yet.
    pub fn new() -> Self {
        Self {
            told: Seen::default(),
            last: (0, Instant::now()),
            sight: Sight::default(),
            ticks: processor_ticks(),
            blind: None,
            desired: None,
            relay: BTreeMap::new(),
            kept: None,
            losses_told: Losses::default(),
        }
    }

    /// How blind the sensor was in the last event, in percent; `None` where nothing could be told.
    pub fn blind(&self) -> Option<f64> {
        self.blind
    }

    /// Has the next reports say how the sensor stands to what the centre wants of it.
    pub fn set_desired(&mut self, told: Told) {
        self.desired = Some(told);
    }

    /// Has the next reports say what the relay's inputs have done since the start.
    pub fn set_relay(&mut self, counts: BTreeMap<String, Relayed>) {
        self.relay = counts;
    }

    /// Has the next reports say what the rolling capture has done since the start.
    pub fn set_kept(&mut self, counts: Kept) {
        self.kept = Some(counts);
    }

    /// Notes an event of the capture: conversations tell what was not seen.
    pub fn note(&mut self, event: &Event) {
        self.sight.note(event);
    }

    /// Tells the centre of `seen`, at `now`.
    pub fn tell(&mut self, seen: Seen, now: Timestamp, shipper: &mut Shipper) -> Result<(), SpoolError> {
        let memory = resident_bytes();
        let (bytes, batches, lost) = shipper.backlog();
        let (packets, since) = std::mem::replace(&mut self.last, (seen.packets, Instant::now()));
        let state = State {
            spool_bytes: bytes,
            spool_age: shipper.oldest_age(),
            memory,
            processor: self.processor(since.elapsed()),
            certificate_end: shipper.certificate_end(),
            clock: shipper.clock_offset(),
            budget: shipper.budget(),
        };
        let new = seen.packets.saturating_sub(self.told.packets);
        let dropped = seen.dropped.map(|all| all.saturating_sub(self.told.dropped.unwrap_or_default()));
        let losses = self.losses(shipper.counts().refused);
        let millis = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        shipper.report(json!({
            "packets_per_second": seen.packets.saturating_sub(packets).saturating_mul(1_000) / millis,
            "packets": seen.packets,
            "drops": seen.dropped,
            "spool_bytes": bytes,
            "spool_batches": batches,
            "spool_lost": lost,
            "spool_lost_by_class": shipper.lost_by_class(),
            "blind_percent": self.sight.blind(new, dropped.unwrap_or_default()).map(percent),
            "gaps_percent": self.sight.gaps().map(percent),
            "clock_offset_ms": state.clock.map(|clock| clock.nanos / NANOS_PER_MS),
            "clock_uncertainty_ms": state.clock.map(|clock| clock.uncertainty_nanos / NANOS_PER_MS + 1),
            "certificate_end": state.certificate_end,
            "budget_spent": state.budget.map(|(spent, _)| spent),
            "budget_daily": state.budget.map(|(_, daily)| daily),
            "flows": seen.flows,
            "memory_bytes": memory,
            "version": env!("CARGO_PKG_VERSION"),
            "relay": self.relay,
            "refused_events": losses.refused,
            "barred": shipper.is_barred(),
            "kept_packets": self.kept.map(|kept| json!({
                "frames": kept.frames,
                "cut_frames": kept.cut_frames,
                "queue_lost": kept.queue_lost,
                "disk_lost": kept.disk_lost,
                "files_aged": kept.files_aged,
                "files_for_room": kept.files_for_room,
            })),
            "desired": self.desired.as_ref().map(|told| &told.report),
        }));
        let (told, sight) = (self.told, self.sight);
        let dropped = seen.dropped.unwrap_or_default().saturating_sub(told.dropped.unwrap_or_default());
        self.blind = sight.blind(seen.packets.saturating_sub(told.packets), dropped).map(percent);
        let desired = self.desired.as_ref();
        let fresh = losses.since(self.losses_told);
        let (relays, keeps) = (!self.relay.is_empty(), self.kept.is_some());
        let kept = shipper.tell_lost(|lost| {
            let mut event = event(seen, told, sight, state, lost, now);
            if let Some(told) = desired {
                tell_desired(&mut event, told);
            }
            if relays {
                event.set("dongson.health.relay.records", fresh.relayed);
                event.set("dongson.health.relay.dropped", fresh.relay_dropped);
            }
            if keeps {
                event.set("dongson.health.packets_not_kept", fresh.unkept);
            }
            event.set("dongson.health.refused", fresh.refused);
            event
        })?;
        if kept {
            self.told = seen;
            self.losses_told = losses;
            self.sight = Sight::default();
        }
        Ok(())
    }

    fn losses(&self, refused: u64) -> Losses {
        let sum = |of: fn(&Relayed) -> u64| self.relay.values().map(of).sum();
        Losses {
            relayed: sum(|counts| counts.records),
            relay_dropped: sum(|counts| counts.dropped),
            unkept: self.kept.map_or(0, |kept| kept.queue_lost.saturating_add(kept.disk_lost)),
            refused,
        }
    }

    /// The share of a core that this process took in `elapsed`; 1 is a whole core.
    #[expect(clippy::cast_precision_loss, reason = "ticks of ten seconds are few")]
    fn processor(&mut self, elapsed: Duration) -> Option<f64> {
        let now = processor_ticks();
        let former = std::mem::replace(&mut self.ticks, now)?;
        let seconds = elapsed.as_secs_f64();
        (seconds > 0.0).then_some(now?.saturating_sub(former) as f64 / TICKS / seconds)
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

/// The event about what was seen since `told`, with the newly `lost` events of the spool.
fn event(seen: Seen, told: Seen, sight: Sight, state: State, lost: u64, now: Timestamp) -> Event {
    let mut event = Event::of("sensor.health", now);
    event.set("event.kind", "metric");
    event.set("event.category", vec!["network"]);
    event.set("event.action", "heartbeat");
    let packets = seen.packets.saturating_sub(told.packets);
    let dropped = seen.dropped.map(|dropped| dropped.saturating_sub(told.dropped.unwrap_or_default()));
    event.set("dongson.health.packets", packets);
    event.set_some("dongson.health.dropped", dropped);
    event.set_some("dongson.health.gaps_percent", sight.gaps().map(percent));
    event.set_some("dongson.health.one_direction_percent", sight.one_direction().map(percent));
    event.set("dongson.health.bypassed_bytes", sight.bypassed_bytes());
    let blind = sight.blind(packets, dropped.unwrap_or_default());
    event.set_some("dongson.health.blind_percent", blind.map(percent));
    event.set("dongson.health.spool.bytes", state.spool_bytes);
    event.set("dongson.health.spool.age", state.spool_age.unwrap_or_default().as_secs());
    event.set("dongson.health.spool.lost", lost);
    event.set("dongson.health.flows", seen.flows);
    event.set_some("dongson.health.memory", state.memory);
    event.set_some("dongson.health.cpu_percent", state.processor.map(percent));
    event.set_some("dongson.health.certificate_end", state.certificate_end.map(Timestamp::from_seconds));
    if let Some(Offset { nanos, uncertainty_nanos }) = state.clock {
        event.set("dongson.health.clock.offset", nanos / NANOS_PER_MS);
        // Rounded up: the truth stays inside.
        event.set("dongson.health.clock.uncertainty", uncertainty_nanos / NANOS_PER_MS + 1);
    }
    if let Some((spent, daily)) = state.budget {
        event.set("dongson.health.budget.spent", spent);
        event.set("dongson.health.budget.daily", daily);
    }
    event.set("dongson.health.version", env!("CARGO_PKG_VERSION"));
    event
}

/// How the sensor stands to what the centre wants.
fn tell_desired(event: &mut Event, told: &Told) {
    event.set("dongson.health.configuration.applied", told.applied);
    event.set("dongson.health.configuration.wanted", told.wanted);
    event.set_some("dongson.health.configuration.problem", told.problem.as_deref());
    if told.log.size > 0 {
        event.set("dongson.health.log.size", told.log.size);
    }
    event.set_some("dongson.health.log.fork", told.log.fork.as_deref());
    if !told.packs.is_empty() {
        event.set("dongson.health.packs", told.packs.clone());
    }
}

/// Processor time of this process in ticks (proc(5), `stat`: utime and stime, after the name in brackets).
fn processor_ticks() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut times = rest.split_ascii_whitespace().skip(11).map(|field| field.parse::<u64>().ok());
    times.next()??.checked_add(times.next()??)
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
        let state = State {
            spool_bytes: 77,
            spool_age: Some(Duration::from_secs(8)),
            memory: Some(4096),
            processor: Some(0.125),
            certificate_end: Some(86_400),
            clock: Some(Offset { nanos: -1_500_000_000, uncertainty_nanos: 2_500_000 }),
            budget: Some((10, 1_000)),
        };
        let event = event(seen, told, Sight::default(), state, 5, Timestamp::from_seconds(1));
        assert_eq!(event.dataset(), "sensor.health");
        for (name, value) in [
            ("packets", 50),
            ("dropped", 7),
            ("spool.bytes", 77),
            ("spool.age", 8),
            ("spool.lost", 5),
            ("flows", 2),
            ("memory", 4096),
            ("clock.offset", -1_500),
            ("clock.uncertainty", 3),
            ("budget.spent", 10),
            ("budget.daily", 1_000),
        ] {
            assert_eq!(event.int(&format!("dongson.health.{name}")), Some(value), "{name}");
        }
        let text = event.to_json();
        // 7 of 57 frames were dropped.
        for part in [
            "\"dongson.health.blind_percent\":12.28",
            "\"dongson.health.cpu_percent\":12.5",
            "\"dongson.health.certificate_end\":\"1970-01-02T00:00:00",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn losses_are_told_once() {
        let mut health = Health::new();
        health.set_kept(Kept { queue_lost: 5, disk_lost: 2, ..Kept::default() });
        let counts = |records, dropped| Relayed {
            on: true,
            records,
            bytes: 0,
            dropped,
            cut: 0,
            refused: 0,
            problem: None,
        };
        health.set_relay(BTreeMap::from([("a".to_owned(), counts(9, 1)), ("b".to_owned(), counts(3, 0))]));
        let told = health.losses(4);
        assert_eq!(told, Losses { relayed: 12, relay_dropped: 1, unkept: 7, refused: 4 });
        health.set_relay(BTreeMap::from([("a".to_owned(), counts(10, 3))]));
        let fresh = health.losses(4).since(Losses { relayed: 9, ..told });
        assert_eq!(fresh, Losses { relayed: 1, relay_dropped: 2, unkept: 0, refused: 0 });
    }

    #[test]
    fn packs_are_told_with_their_versions() {
        let mut event = Event::of("sensor.health", Timestamp::from_seconds(1));
        let told = Told { packs: vec!["indicators 7".to_owned()], ..Told::default() };
        tell_desired(&mut event, &told);
        assert!(
            event.to_json().contains("\"dongson.health.packs\":[\"indicators 7\"]"),
            "{}",
            event.to_json()
        );
    }

    #[test]
    fn drops_that_nobody_counts_are_not_said() {
        let event = event(
            Seen::default(),
            Seen::default(),
            Sight::default(),
            State::default(),
            0,
            Timestamp::from_seconds(1),
        );
        for name in ["dropped", "gaps_percent", "one_direction_percent", "blind_percent", "certificate_end"] {
            assert_eq!(event.get(&format!("dongson.health.{name}")), None, "{name}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_and_processor_time_are_known() {
        assert!(resident_bytes().unwrap() > 100_000);
        let before = processor_ticks().unwrap();
        while processor_ticks().unwrap() < before + 2 {}
    }
}
