//! The second stage: signals are put into order, counted by correlations and scripts, weighed against exceptions, and
//! grouped into alerts.
//!
//! What waits for its turn, the state of correlations and scripts, the counts of the alerts and the consumed offset
//! are one transaction of the registry, so each signal counts once. The transaction is refused unless the registry still
//! stands where the state in memory was loaded or last written: of two members that both believe a partition to be
//! theirs, one changes nothing, and loads the state anew should the partition come back to it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use dongson_bus::{Bus, Record};
use dongson_event::transparency::{Hash, leaf_hash};
use dongson_event::{Alert, Signal, TOPIC_ALERTS, TOPIC_SIGNALS};
use dongson_registry::{AlertUpsert, Consumed, Exception, ExceptionHit, Registry, Scope, Step, now};
use dongson_store::StoreClient;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::reader::{Reader, Run};
use super::{BATCH_BYTES, POLL, partitions_of};
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
    partitions: BTreeMap<u32, Loaded>,
    /// How many the topic has.
    all: u32,
    known: HashSet<String>,
}

/// The state of a partition.
struct Loaded {
    /// As long as the partition is ours by this grant, nobody else changes it.
    grant: u64,
    /// Where the registry stood when it was loaded or last written.
    next: u64,
    partition: Partition,
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
        let all = partitions_of(self.bus.as_ref(), TOPIC_SIGNALS).await?;
        let mut reader = Reader::join(self.bus.as_ref(), GROUP, &[TOPIC_SIGNALS]).await?;
        let mut memory = Memory { partitions: BTreeMap::new(), all, known: HashSet::new() };
        while !stop.is_cancelled() {
            let runs = tokio::select! {
                () = stop.cancelled() => break,
                runs = reader.poll(BATCH_RECORDS, BATCH_BYTES, POLL) => runs?,
            };
            memory.keep(&reader);
            for run in runs {
                self.take(&mut reader, &run, &mut memory).await?;
            }
        }
        Ok(())
    }

    /// The state that was saved with the offset.
    async fn load(&self, run: &Run, all: u32) -> Result<Loaded, AnalyzerError> {
        let (topic, number) = (&run.batch.topic, run.batch.partition);
        let mut partition = Partition::new(&self.content, number, all);
        let saved = self.registry.offset(GROUP, topic, number).await?;
        let parts = self.registry.state_parts(GROUP, topic, number).await?;
        let (next, whole) = saved.map_or((0, None), |saved| (saved.next, saved.state));
        partition.restore(&parts, whole.as_deref());
        Ok(Loaded { grant: run.grant(), next, partition })
    }

    async fn take(&self, reader: &mut Reader, run: &Run, memory: &mut Memory) -> Result<(), AnalyzerError> {
        if !reader.begin(run).await? {
            return Ok(());
        }
        let number = run.batch.partition;
        if memory.partitions.get(&number).is_none_or(|loaded| loaded.grant != run.grant()) {
            let loaded = self.load(run, memory.all).await?;
            memory.partitions.insert(number, loaded);
        }
        match self.apply(run, memory).await {
            Err(AnalyzerError::Registry(error @ dongson_registry::Error::Moved { .. })) => {
                metrics::counter!("analyzer_partitions_fenced_total").increment(1);
                warn!(%error, partition = number, "another member has counted on; the state is loaded anew");
                memory.forget(number);
                reader.give_up(run);
                return Ok(());
            }
            outcome => outcome?,
        }
        reader.end(run).await?;
        Ok(())
    }

    /// Every effect of a run, unless it was applied before.
    async fn apply(&self, run: &Run, memory: &mut Memory) -> Result<(), AnalyzerError> {
        let batch = &run.batch;
        let consumed = Consumed {
            group: GROUP.to_owned(),
            topic: batch.topic.clone(),
            partition: batch.partition,
            first: batch.first,
            next: batch.last.saturating_add(1),
        };
        let Some(loaded) = memory.partitions.get_mut(&batch.partition) else { return Ok(()) };
        if loaded.next >= consumed.next {
            return Ok(());
        }
        let expected = Some(loaded.next);
        let Taken { signals, onward, parts } = loaded.partition.take(&self.content, batch)?;
        let exceptions = self.registry.active_exceptions(now()).await?;
        let found = sort_out(&signals, &exceptions);
        let token = run.token();
        if !onward.is_empty() {
            // What completed correlations are to others around them goes to where those are counted.
            self.bus.produce_once(TOPIC_SIGNALS, &format!("{token}#onward"), onward).await?;
        }
        self.store.insert_signals(&self.absent_signals(run, &signals).await?, &token).await?;
        let fresh = self.fresh(&found, &mut memory.known).await?;
        self.store.insert_alerts(&self.absent_alerts(run, &fresh).await?, &token).await?;
        // Before the registry has them: afterwards a run that is repeated would find none of them new.
        self.publish(&fresh, &token).await?;
        // What the store took before a crash stays as it was then, whatever the rules say now: that is what is logged.
        let mut stored = BTreeMap::new();
        for alert in fresh.iter().filter(|_| run.is_repeated()) {
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
            expected,
        };
        self.registry.apply_alerts(&consumed, &step, now()).await?;
        if let Some(loaded) = memory.partitions.get_mut(&batch.partition) {
            loaded.next = consumed.next;
        }
        metrics::counter!("analyzer_alerts_total").increment(fresh.len() as u64);
        Ok(())
    }

    /// What the store does not have yet of the signals of a run.
    async fn absent_signals<'s>(
        &self,
        run: &Run,
        signals: &'s [Signal],
    ) -> Result<Cow<'s, [Signal]>, AnalyzerError> {
        if !run.is_repeated() {
            return Ok(signals.into());
        }
        let ids: Vec<String> = signals.iter().map(|signal| signal.id.clone()).collect();
        let present = self.store.present_signals(&ids).await?;
        Ok(signals.iter().filter(|signal| !present.contains(&signal.id)).cloned().collect())
    }

    /// What the store does not have yet of the alerts of a run.
    async fn absent_alerts<'a>(
        &self,
        run: &Run,
        alerts: &'a [Alert],
    ) -> Result<Cow<'a, [Alert]>, AnalyzerError> {
        if !run.is_repeated() {
            return Ok(alerts.into());
        }
        let ids: Vec<String> = alerts.iter().map(|alert| alert.id.clone()).collect();
        let present = self.store.present_alerts(&ids).await?;
        Ok(alerts.iter().filter(|alert| !present.contains(&alert.id)).cloned().collect())
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

impl Memory {
    /// Forgets what belongs to others now.
    fn keep(&mut self, reader: &Reader) {
        let ours: BTreeMap<u32, u64> = reader.held().map(|held| (held.partition, held.grant)).collect();
        let gone: Vec<u32> = self
            .partitions
            .iter()
            .filter(|(number, loaded)| ours.get(number) != Some(&loaded.grant))
            .map(|(number, _)| *number)
            .collect();
        for number in gone {
            self.forget(number);
        }
    }

    fn forget(&mut self, number: u32) {
        self.partitions.remove(&number);
        // What was believed of its alerts may not have come about.
        self.known.clear();
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
