//! The second stage: signals are counted by correlations, weighed against exceptions, and grouped into alerts.
//!
//! The state of the correlations, the counts of the alerts and the consumed offset are one transaction of the
//! registry, so each signal counts once.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use dongson_bus::{Batch, Bus, Consumer, Record};
use dongson_event::{Alert, Signal, TOPIC_ALERTS, TOPIC_SIGNALS};
use dongson_registry::{AlertUpsert, Consumed, Exception, ExceptionHit, Registry, Scope, Step, now};
use dongson_store::StoreClient;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{BATCH_BYTES, POLL, begin, end, in_flight, token};
use crate::AnalyzerError;
use crate::detect::{Content, registry_level};
use crate::item::{Item, completed};
use crate::script::Counting;

/// The consumer group of this stage.
pub(crate) const GROUP: &str = "analyzer-signals";
/// Most records of one batch: it is one transaction.
const BATCH_RECORDS: usize = 5_000;
/// Most alerts whose existence is remembered.
const KNOWN: usize = 200_000;

/// Everything that the stage works with.
pub(crate) struct SignalsStage {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) store: StoreClient,
    pub(crate) registry: Registry,
    pub(crate) content: Content,
}

/// The state of one partition, and the alerts that are known to exist.
struct Memory {
    counting: BTreeMap<u32, Counting>,
    known: HashSet<String>,
}

/// What a batch leads to.
#[derive(Default)]
struct Found {
    alerts: BTreeMap<String, (Alert, Vec<Signal>)>,
    hits: BTreeMap<String, ExceptionHit>,
}

impl SignalsStage {
    /// Runs until `stop`; the batch in hand is finished first.
    pub(crate) async fn run(&self, stop: CancellationToken) -> Result<(), AnalyzerError> {
        let mut consumer = self.bus.consumer(GROUP, &[TOPIC_SIGNALS]).await?;
        let mut memory = self.remember(consumer.assigned()).await?;
        for batch in in_flight(consumer.as_mut()).await? {
            self.take(consumer.as_mut(), &batch, &mut memory).await?;
        }
        while !stop.is_cancelled() {
            let batches = tokio::select! {
                () = stop.cancelled() => break,
                batches = consumer.poll(BATCH_RECORDS, BATCH_BYTES, POLL) => batches?,
            };
            for batch in batches {
                self.take(consumer.as_mut(), &batch, &mut memory).await?;
            }
        }
        Ok(())
    }

    /// The state that was saved with the offsets.
    async fn remember(&self, assigned: Vec<(String, u32)>) -> Result<Memory, AnalyzerError> {
        let mut counting = BTreeMap::new();
        for (topic, partition) in assigned {
            let mut state = Counting::new(&self.content);
            let saved = self.registry.offset(GROUP, &topic, partition).await?;
            if let Some(text) = saved.and_then(|saved| saved.state) {
                state.restore(&String::from_utf8_lossy(&text), partition);
            }
            counting.insert(partition, state);
        }
        Ok(Memory { counting, known: HashSet::new() })
    }

    async fn take(
        &self,
        consumer: &mut dyn Consumer,
        batch: &Batch,
        memory: &mut Memory,
    ) -> Result<(), AnalyzerError> {
        begin(consumer, batch).await?;
        let run = Consumed {
            group: GROUP.to_owned(),
            topic: batch.topic.clone(),
            partition: batch.partition,
            first: batch.first,
            next: batch.last + 1,
        };
        let done = self.registry.offset(GROUP, &batch.topic, batch.partition).await?;
        if done.is_none_or(|saved| saved.next < run.next) {
            self.apply(batch, &run, memory).await?;
        }
        end(consumer, batch).await
    }

    /// Every effect of a batch that was not applied before.
    async fn apply(&self, batch: &Batch, run: &Consumed, memory: &mut Memory) -> Result<(), AnalyzerError> {
        let counting = memory.counting.entry(batch.partition).or_insert_with(|| Counting::new(&self.content));
        let remembered = counting.is_holding();
        let (signals, onward, counted) = self.signals(batch, counting);
        let exceptions = self.registry.active_exceptions(now()).await?;
        let found = sort_out(&signals, &exceptions);
        let token = token(batch);
        if !onward.is_empty() {
            // What completed correlations are to others around them goes to where those are counted.
            let records = onward.iter().map(Item::to_record).collect::<Result<Vec<Record>, _>>()?;
            self.bus.produce_once(TOPIC_SIGNALS, &format!("{token}#onward"), records).await?;
        }
        self.store.insert_signals(&signals, &token).await?;
        let fresh = self.fresh(&found, &mut memory.known).await?;
        self.store.insert_alerts(&fresh, &token).await?;
        let state =
            (remembered || counted).then(|| counting.save()).transpose().map_err(AnalyzerError::Encode)?;
        let step = Step {
            alerts: found.alerts.values().map(|(alert, signals)| upsert(alert, signals)).collect(),
            hits: found.hits.into_values().collect(),
            state: state.map(String::into_bytes),
        };
        self.registry.apply_alerts(run, &step, now()).await?;
        metrics::counter!("analyzer_alerts_total").increment(fresh.len() as u64);
        self.publish(&fresh, &token).await
    }

    /// The signals of a batch, in the order of event time; what is to be counted by correlations around those that
    /// were completed; true when a correlation or a script counted something.
    fn signals(&self, batch: &Batch, counting: &mut Counting) -> (Vec<Signal>, Vec<Item>, bool) {
        let mut items = Vec::with_capacity(batch.records.len());
        for record in &batch.records {
            match Item::from_record(record) {
                Ok(item) => items.push(item),
                Err(error) => {
                    metrics::counter!("analyzer_undecodable_records_total").increment(1);
                    warn!(%error, "a record of the signals topic is not understood; it was left out");
                }
            }
        }
        items.sort_by(|one, other| one.order().cmp(&other.order()));
        let mut signals = Vec::with_capacity(items.len());
        let mut onward = Vec::new();
        let mut newest = None;
        for item in items {
            match item {
                Item::Signal(signal) => signals.push(*signal),
                Item::Script { seen, about } => {
                    newest = newest.max(Some(seen.at));
                    signals.extend(counting.script(&self.content, &seen, &about));
                }
                Item::Counted { seen, ingested, observer, asset_level } => {
                    newest = newest.max(Some(seen.at));
                    for mut found in counting.correlator.observe(&seen) {
                        onward.extend(std::mem::take(&mut found.onward).into_iter().map(|seen| {
                            Item::Counted {
                                seen: Box::new(seen),
                                ingested,
                                observer: observer.clone(),
                                asset_level,
                            }
                        }));
                        signals.extend(completed(
                            &self.content.rules,
                            &found,
                            &seen,
                            ingested,
                            &observer,
                            asset_level,
                        ));
                    }
                }
            }
        }
        // Once a batch: it walks over every group.
        if let Some(now) = newest {
            counting.forget_idle(now);
        }
        counting.measure();
        (signals, onward, newest.is_some())
    }

    /// The alerts of the batch that did not exist before.
    async fn fresh(&self, found: &Found, known: &mut HashSet<String>) -> Result<Vec<Alert>, AnalyzerError> {
        let mut fresh = Vec::new();
        for (id, (alert, _)) in &found.alerts {
            if known.contains(id) {
                continue;
            }
            match self.registry.alert(&Scope::All, id).await {
                Ok(_) => {}
                Err(dongson_registry::Error::NotFound(_)) => fresh.push(alert.clone()),
                Err(error) => return Err(error.into()),
            }
            if known.len() >= KNOWN {
                known.clear();
            }
            known.insert(id.clone());
        }
        Ok(fresh)
    }

    async fn publish(&self, fresh: &[Alert], token: &str) -> Result<(), AnalyzerError> {
        if fresh.is_empty() {
            return Ok(());
        }
        let records = fresh
            .iter()
            .map(|alert| {
                let value = serde_json::to_vec(alert).map_err(AnalyzerError::Encode)?;
                Ok(Record::new(alert.signal.organization.clone().into_bytes(), value, alert.signal.timestamp))
            })
            .collect::<Result<Vec<_>, AnalyzerError>>()?;
        self.bus.produce_once(TOPIC_ALERTS, token, records).await?;
        Ok(())
    }
}

/// Groups what no exception hides.
fn sort_out(signals: &[Signal], exceptions: &[Exception]) -> Found {
    let mut found = Found::default();
    for signal in signals {
        let hides = |one: &&Exception| {
            let entity = &signal.entity;
            one.hides(
                &signal.organization,
                &signal.rule_id,
                &entity.kind,
                &entity.value,
                signal.ingested.millis(),
            )
        };
        if let Some(exception) = exceptions.iter().find(hides) {
            let hit = found.hits.entry(exception.id.clone()).or_insert_with(|| ExceptionHit {
                exception: exception.id.clone(),
                added: 0,
                last: signal.timestamp.millis(),
            });
            hit.added += 1;
            hit.last = hit.last.max(signal.timestamp.millis());
            continue;
        }
        let alert = Alert::of(signal.clone());
        found.alerts.entry(alert.id.clone()).or_insert_with(|| (alert, Vec::new())).1.push(signal.clone());
    }
    found
}

fn upsert(alert: &Alert, signals: &[Signal]) -> AlertUpsert {
    let first = &alert.signal;
    let times = || signals.iter().map(|signal| signal.timestamp.millis());
    AlertUpsert {
        id: alert.id.clone(),
        organization: first.organization.clone(),
        node: Some(first.observer.clone()).filter(|node| !node.is_empty()),
        rule_id: first.rule_id.clone(),
        rule_version: String::new(),
        title_vi: first.title_vi.clone(),
        title_en: first.title.clone(),
        level: registry_level(first.level),
        entity_type: first.entity.kind.clone(),
        entity_value: first.entity.value.clone(),
        first_seen: times().min().unwrap_or_default(),
        last_seen: times().max().unwrap_or_default(),
        event_id: first.event_id.clone(),
        added: signals.len() as u64,
        risk: i64::from(alert.risk),
        tags: first.tags.clone(),
        drill: first.drill.is_some(),
    }
}
