//! The second stage: signals are put into order, counted by correlations and scripts, weighed against exceptions, and
//! grouped into alerts.
//!
//! What waits for its turn, the state of correlations and scripts, the counts of the alerts and the consumed offset
//! are one transaction of the registry, so each signal counts once.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use dongson_bus::{Batch, Bus, Consumer, Record};
use dongson_event::transparency::{Hash, leaf_hash};
use dongson_event::{Alert, Signal, TOPIC_ALERTS, TOPIC_SIGNALS};
use dongson_registry::{AlertUpsert, Consumed, Exception, ExceptionHit, Registry, Scope, Step, now};
use dongson_store::StoreClient;
use tokio_util::sync::CancellationToken;

use super::{BATCH_BYTES, POLL, begin, end, in_flight, partitions_of, token};
use crate::AnalyzerError;
use crate::detect::{Content, registry_level};
use crate::partition::{Partition, Taken};

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

/// The state of each partition, and the alerts that are known to exist.
struct Memory {
    partitions: BTreeMap<u32, Partition>,
    /// How many the topic has.
    all: u32,
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
            self.take(consumer.as_mut(), &batch, &mut memory, true).await?;
        }
        while !stop.is_cancelled() {
            let batches = tokio::select! {
                () = stop.cancelled() => break,
                batches = consumer.poll(BATCH_RECORDS, BATCH_BYTES, POLL) => batches?,
            };
            for batch in batches {
                self.take(consumer.as_mut(), &batch, &mut memory, false).await?;
            }
        }
        Ok(())
    }

    /// The state that was saved with the offsets.
    async fn remember(&self, assigned: Vec<(String, u32)>) -> Result<Memory, AnalyzerError> {
        let all = partitions_of(self.bus.as_ref(), TOPIC_SIGNALS).await?;
        let mut partitions = BTreeMap::new();
        for (topic, number) in assigned {
            let mut partition = Partition::new(&self.content, number, all);
            let whole = self.registry.offset(GROUP, &topic, number).await?.and_then(|saved| saved.state);
            let parts = self.registry.state_parts(GROUP, &topic, number).await?;
            partition.restore(&parts, whole.as_deref());
            partitions.insert(number, partition);
        }
        Ok(Memory { partitions, all, known: HashSet::new() })
    }

    async fn take(
        &self,
        consumer: &mut dyn Consumer,
        batch: &Batch,
        memory: &mut Memory,
        repeated: bool,
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
            self.apply(batch, &run, memory, repeated).await?;
        }
        end(consumer, batch).await
    }

    /// Every effect of a batch that was not applied before.
    async fn apply(
        &self,
        batch: &Batch,
        run: &Consumed,
        memory: &mut Memory,
        repeated: bool,
    ) -> Result<(), AnalyzerError> {
        let new = || Partition::new(&self.content, batch.partition, memory.all);
        let partition = memory.partitions.entry(batch.partition).or_insert_with(new);
        let Taken { signals, onward, parts } = partition.take(&self.content, batch)?;
        let exceptions = self.registry.active_exceptions(now()).await?;
        let found = sort_out(&signals, &exceptions);
        let token = token(batch);
        if !onward.is_empty() {
            // What completed correlations are to others around them goes to where those are counted.
            self.bus.produce_once(TOPIC_SIGNALS, &format!("{token}#onward"), onward).await?;
        }
        self.store.insert_signals(&signals, &token).await?;
        let fresh = self.fresh(&found, &mut memory.known).await?;
        self.store.insert_alerts(&fresh, &token).await?;
        // Before the registry has them: afterwards a run that is repeated would find none of them new.
        self.publish(&fresh, &token).await?;
        // What the store took before a crash stays as it was then, whatever the rules say now: that is what is logged.
        let mut stored = BTreeMap::new();
        for alert in fresh.iter().filter(|_| repeated) {
            if let Some(held) = self.store.alert(&dongson_store::Scope::All, &alert.id).await? {
                stored.insert(held.id.clone(), facts(&held));
            }
        }
        let step = Step {
            alerts: found
                .alerts
                .values()
                .map(|(alert, signals)| {
                    let facts = stored.get(&alert.id).copied().unwrap_or_else(|| facts(alert));
                    AlertUpsert { facts, ..upsert(alert, signals, &self.content) }
                })
                .collect(),
            hits: found.hits.into_values().collect(),
            // What earlier versions saved as one was read at the start; now it is in the parts.
            state: Some(Vec::new()),
            parts,
        };
        self.registry.apply_alerts(run, &step, now()).await?;
        metrics::counter!("analyzer_alerts_total").increment(fresh.len() as u64);
        Ok(())
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

/// What the transparency log says of an alert: the leaf hash of its JSON.
fn facts(alert: &Alert) -> Hash {
    // Numbers and texts always print.
    leaf_hash(&serde_json::to_vec(alert).unwrap_or_default())
}

fn upsert(alert: &Alert, signals: &[Signal], content: &Content) -> AlertUpsert {
    let first = &alert.signal;
    let times = || signals.iter().map(|signal| signal.timestamp.millis());
    AlertUpsert {
        id: alert.id.clone(),
        organization: first.organization.clone(),
        node: Some(first.observer.clone()).filter(|node| !node.is_empty()),
        rule_id: first.rule_id.clone(),
        // Empty for what no rule decides: indicators.
        rule_version: content.versions.get(&first.rule_id).cloned().unwrap_or_default(),
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
        facts: Hash::default(),
        drill: first.drill.is_some(),
    }
}
