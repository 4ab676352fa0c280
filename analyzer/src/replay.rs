//! History once more through the same rules: what would be found, beside what was found.
//!
//! The stored events, in the order in which they were taken in, go through the same enrichment, matching, order, correlations,
//! scripts and grouping as live ones, with memory instead of the log between the two stages. Nothing is written anywhere.
//! The clock is the time of intake of the events, so the result depends on the events, the content and the
//! configuration alone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dongson_bus::{Batch, Record};
use dongson_event::{Alert, Event, Signal, TOPIC_SIGNALS, Timestamp};
use dongson_registry::Exception;
use dongson_rules::correlate::Lateness;

use crate::detect::{Content, Detector};
use crate::indicators::{Intel, Lists};
use crate::inventory::Inventory;
use crate::item::{Item, items};
use crate::partition::Partition;
use crate::stage::marks::{Heard, Marks};
use crate::stage::signals::sort_out;
use crate::{AnalyzerError, Config, local};

/// Events between two watermarks at most: live, one second passes.
const ROUND: usize = 2_000;
/// Watermarks come when the time of intake has moved by so much.
const TICK: Duration = Duration::from_secs(1);
/// The one partition of both topics.
const PLACE: (&str, u32) = ("replay", 0);

/// What history is judged by.
#[derive(Debug, Clone)]
pub struct Judge {
    /// Rules and scripts.
    pub content: Content,
    /// Assets; what events say of theirs already stays.
    pub inventory: Arc<Inventory>,
    /// What hides matches.
    pub exceptions: Vec<Exception>,
    /// Indicators and how long correlations wait.
    pub config: Config,
}

/// Both stages in memory.
pub struct Replay {
    content: Content,
    inventory: Arc<Inventory>,
    exceptions: Vec<Exception>,
    intel: Intel,
    lateness: Lateness,
    detector: Detector,
    partition: Partition,
    marks: Marks,
    heard: Heard,
    records: VecDeque<Record>,
    offset: u64,
    events: usize,
    told: Timestamp,
    newest: Timestamp,
    alerts: BTreeMap<String, Alert>,
}

impl Replay {
    /// Reads the indicators and begins without memory.
    ///
    /// # Errors
    /// When the task that reads the indicators ends badly.
    pub async fn new(judge: Judge) -> Result<Self, AnalyzerError> {
        let intel = Lists::of(&judge.config).read_apart().await?;
        let (content, lateness) = (judge.content, judge.config.lateness);
        Ok(Self {
            detector: Detector::new(&content),
            partition: Partition::new(&content, 0, 1),
            marks: Marks::new(lateness, 1),
            heard: Heard::default(),
            records: VecDeque::new(),
            offset: 0,
            events: 0,
            told: Timestamp::default(),
            newest: Timestamp::default(),
            alerts: BTreeMap::new(),
            inventory: judge.inventory,
            exceptions: judge.exceptions,
            content,
            intel,
            lateness,
        })
    }

    /// Takes the next event in the order of intake.
    ///
    /// # Errors
    /// `Encode` when something cannot be written as JSON: a fault of the program.
    pub fn event(&mut self, mut event: Event) -> Result<(), AnalyzerError> {
        let taken = event.time("event.ingested").unwrap_or_default();
        if self.told == Timestamp::default() {
            // Live, the first stage listens before it tells anything.
            self.marks.hear(std::iter::empty(), Some(taken.minus(self.lateness.idle)));
            self.told = taken;
        }
        if self.events >= ROUND || taken > self.told.plus(TICK) {
            self.tell(taken)?;
        }
        self.events += 1;
        self.newest = self.newest.max(taken);
        self.inventory.enrich(&mut event);
        let met = self.intel.signals(&mut event);
        let matches = self.detector.signals(&event);
        self.heard.event(&event);
        let all = met.iter().chain(matches.iter().map(|(_, signal)| signal));
        let marked = local::missing(&event, &all.map(|one| one.id.as_str()).collect::<Vec<_>>());
        for signal in met.into_iter().chain(marked) {
            self.records.push_back(Item::Signal(Box::new(signal)).to_record()?);
        }
        for (rule, signal) in matches {
            let items = items(&self.content.rules, rule, signal, &mut self.detector, &event);
            self.heard.items(&items);
            for item in items {
                self.records.push_back(item.to_record()?);
            }
        }
        Ok(())
    }

    /// Says how far the sources have told, and lets the second stage take what waits.
    fn tell(&mut self, now: Timestamp) -> Result<(), AnalyzerError> {
        let heard = std::mem::take(&mut self.heard);
        self.marks.hear([(PLACE, &heard)].into_iter(), Some(now));
        self.records.extend(self.marks.records()?);
        (self.events, self.told) = (0, now);
        while !self.records.is_empty() {
            let records: Vec<Record> = self.records.drain(..).collect();
            let first = self.offset;
            self.offset += records.len() as u64;
            let batch = Batch {
                topic: TOPIC_SIGNALS.to_owned(),
                partition: 0,
                first,
                last: self.offset - 1,
                records,
            };
            let taken = self.partition.take(&self.content, &batch)?;
            self.keep(&taken.signals);
            // What completed correlations are to others around them.
            self.records.extend(taken.onward);
        }
        Ok(())
    }

    fn keep(&mut self, signals: &[Signal]) {
        for (id, (alert, _)) in sort_out(signals, &self.exceptions).alerts {
            self.alerts.entry(id).or_insert(alert);
        }
    }

    /// The alerts, by their ids, after every source has fallen silent.
    ///
    /// # Errors
    /// As [`Replay::event`].
    pub fn end(mut self) -> Result<BTreeMap<String, Alert>, AnalyzerError> {
        let wait = self.lateness.idle + self.lateness.between_sources + self.lateness.within_source;
        self.tell(self.newest)?;
        self.tell(self.newest.plus(wait))?;
        self.tell(self.newest.plus(wait + wait))?;
        Ok(self.alerts)
    }
}

#[cfg(test)]
mod tests {
    use dongson_rules::{LoadOptions, RuleSet};
    use dongson_script::{Limits, Scripts};

    use super::*;

    const RULES: &str = "
title: Fail
id: fail
level: low
logsource: {product: dongson, service: conn}
detection: {s: {event.action: fail}, condition: s}
---
title: Many
id: many
level: high
correlation: {type: event_count, rules: [fail], group-by: [user.name], timespan: 20s, condition: {gte: 3}}
";

    fn content(rules: &str) -> Content {
        let report = RuleSet::from_documents([("r.yml", rules)], &LoadOptions::default());
        assert_eq!(report.refused, []);
        let (scripts, refused) = Scripts::compile(&report.rules, &Limits::default());
        assert!(refused.is_empty());
        Content::new(report.rules, scripts)
    }

    fn event(number: i64) -> Event {
        let mut event = Event::of("sensor.conn", Timestamp::from_seconds(1_800_000_000 + number));
        event.set("event.ingested", Timestamp::from_seconds(1_800_000_001 + number));
        event.set("event.id", format!("{number:04}"));
        event.set("organization.id", if number % 2 == 0 { "xa-a" } else { "xa-b" });
        event.set("observer.name", "node");
        event.set("event.action", "fail");
        event.set("user.name", format!("u{}", number / 40));
        event
    }

    fn run(rules: &str, events: impl Iterator<Item = i64>) -> BTreeMap<String, Alert> {
        let judge = Judge {
            content: content(rules),
            inventory: Arc::new(Inventory::new(Vec::new())),
            exceptions: Vec::new(),
            config: Config::default(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut replay = Replay::new(judge).await.unwrap();
            for number in events {
                replay.event(event(number)).unwrap();
            }
            replay.end().unwrap()
        })
    }

    fn of_rule<'a>(alerts: &'a BTreeMap<String, Alert>, rule: &str) -> Vec<&'a String> {
        alerts.iter().filter(|(_, one)| one.signal.rule_id == rule).map(|(id, _)| id).collect()
    }

    #[test]
    fn the_same_history_gives_the_same_alerts() {
        let whole = run(RULES, 0..200);
        assert_eq!(whole, run(RULES, 0..200));
        assert!(!of_rule(&whole, "many").is_empty(), "{whole:?}");
        let other = RULES.replace("gte: 3", "gte: 1000");
        let fewer = run(&other, 0..200);
        assert_eq!(of_rule(&fewer, "fail"), of_rule(&whole, "fail"));
        assert_eq!(of_rule(&fewer, "many"), Vec::<&String>::new());
    }

    #[test]
    fn neighbours_in_another_order_change_nothing() {
        let turned = (0..100).flat_map(|pair| [pair * 2 + 1, pair * 2]);
        assert_eq!(run(RULES, 0..200), run(RULES, turned));
    }
}
