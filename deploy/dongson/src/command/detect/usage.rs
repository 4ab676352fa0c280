//! What a run cost: processor time and memory as the system counts them, and the rules that cost most.

use std::fs;
use std::time::{Duration, Instant};

use dongson_rules::RuleSet;
use dongson_rules::detect::Totals;
use serde::Serialize;

/// Ticks per second of `/proc/self/stat`: the same on all Linux systems.
const TICKS: f64 = 100.0;
/// How many rules are named.
const DEAREST: usize = 10;

/// A moment, by the clock and by processor time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    wall: Instant,
    /// Of all threads; `None` where the system does not say.
    cpu: Option<f64>,
    /// Of this thread alone, exact.
    own: Option<f64>,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { wall: Instant::now(), cpu: process_cpu(), own: thread_cpu() }
    }

    fn wall_since(self, earlier: Self) -> f64 {
        self.wall.saturating_duration_since(earlier.wall).as_secs_f64()
    }
}

/// Seconds that all threads together have had.
fn process_cpu() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in brackets, may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

/// Seconds that this thread has had.
fn thread_cpu() -> Option<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds).as_secs_f64())
}

/// Most memory that the process had at once, in bytes.
fn peak_rss() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

/// One rule and how often it was put to an event.
#[derive(Debug, Serialize)]
struct Dear {
    rule_id: String,
    rule_title: String,
    /// Of a thousand events of the sample.
    evaluations_per_thousand_events: f64,
}

/// What `--stats` prints.
#[derive(Debug, Serialize)]
pub(super) struct Usage {
    events: u64,
    bytes: u64,
    threads: usize,
    rules: usize,
    wall_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_seconds: Option<f64>,
    events_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    events_per_cpu_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load_cpu_seconds: Option<f64>,
    load_wall_seconds: f64,
    /// Rules that were put to an event, on average over the sample.
    candidates_per_event: f64,
    /// Events of the sample: one in sixteen.
    sampled_events: u64,
    dearest_by_candidate_evaluations: Vec<Dear>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_rss_bytes: Option<u64>,
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn per(count: u64, of: f64) -> f64 {
    if of > 0.0 { count as f64 / of } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn float(count: u64) -> f64 {
    count as f64
}

impl Usage {
    /// What came of a run: rules were loaded from `start` to `loaded`, and matched from then to now.
    pub(super) fn new(
        rules: &RuleSet,
        totals: &Totals,
        threads: usize,
        start: Moment,
        loaded: Moment,
    ) -> Self {
        let now = Moment::now();
        let cpu = now.cpu.zip(loaded.cpu).map(|(now, then)| now - then);
        let wall = now.wall_since(loaded);
        let costs = &totals.costs;
        let sampled = float(costs.events);
        let mut dear: Vec<(usize, u64)> =
            costs.by_rule.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect();
        dear.sort_by_key(|(rule, count)| (std::cmp::Reverse(*count), *rule));
        let dearest = dear.into_iter().take(DEAREST).filter_map(|(rule, count)| {
            rules.rule(rule).map(|rule| Dear {
                rule_id: rule.id.clone(),
                rule_title: rule.title.clone(),
                evaluations_per_thousand_events: 1_000.0 * per(count, sampled),
            })
        });
        Self {
            events: totals.records,
            bytes: totals.bytes,
            threads,
            rules: rules.rules().len(),
            wall_seconds: wall,
            cpu_seconds: cpu,
            events_per_second: per(totals.records, wall),
            events_per_cpu_second: cpu.filter(|cpu| *cpu > 0.0).map(|cpu| per(totals.records, cpu)),
            load_cpu_seconds: loaded.own.zip(start.own).map(|(now, then)| now - then),
            load_wall_seconds: loaded.wall_since(start),
            candidates_per_event: per(costs.asked, sampled),
            sampled_events: costs.events,
            dearest_by_candidate_evaluations: dearest.collect(),
            peak_rss_bytes: peak_rss(),
        }
    }

    /// Lines for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let or = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.digits$}"))
        };
        let mut lines = vec![
            format!(
                "rules                {} (loaded in {} s of processor time, {:.2} s by the clock)",
                self.rules,
                or(self.load_cpu_seconds, 2),
                self.load_wall_seconds
            ),
            format!("events               {} ({} bytes of JSON)", self.events, self.bytes),
            format!(
                "time                 {:.2} s by the clock, {} s of processor time, {} threads",
                self.wall_seconds,
                or(self.cpu_seconds, 2),
                self.threads
            ),
            format!(
                "speed                {:.0} events/s, {} events per processor second",
                self.events_per_second,
                or(self.events_per_cpu_second, 0)
            ),
            format!(
                "candidates per event {:.2} rules (of {} sampled events)",
                self.candidates_per_event, self.sampled_events
            ),
            format!(
                "peak memory          {} MiB",
                or(self.peak_rss_bytes.map(|bytes| float(bytes) / 1_048_576.0), 0)
            ),
            "dearest rules by candidate evaluations, per thousand events:".to_owned(),
        ];
        lines.extend(self.dearest_by_candidate_evaluations.iter().map(|dear| {
            format!("  {:>7.1}  {}  {}", dear.evaluations_per_thousand_events, dear.rule_id, dear.rule_title)
        }));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_is_understood() {
        let start = Moment::now();
        assert!(start.cpu.is_some() && start.own.is_some());
        assert!(peak_rss().unwrap() > 1_000_000);
        let usage = Usage::new(&RuleSet::default(), &Totals::default(), 1, start, start);
        assert!(serde_json::to_string(&usage).unwrap().contains("\"events_per_second\":0.0"));
        assert_eq!(usage.lines().len(), 7);
    }
}
