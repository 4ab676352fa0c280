//! Sealing: what was stored of a partition is put together into segments, which go into the transparency log.
//!
//! A segment begins where the one before it ended (the registry knows where) and is sealed after some time or some rows.
//! Its hashes are made from the events before they are written. Only where a process ended before it had sealed what it
//! wrote are they made from the rows in the store, and the log says so.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dongson_event::transparency::{MAX_CLASSES, Row, SegmentId, SegmentRoots};
use dongson_registry::{Registry, Sealed, now};
use dongson_store::{EventRows, Sealing, StoreClient};
use tracing::warn;

use super::reader::{Reader, Run};
use crate::AnalyzerError;

/// Rows after which a segment is sealed at once: verification reads a segment as a whole.
const SEAL_ROWS: u64 = 100_000;
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// A segment that grows.
struct Open {
    /// As long as the partition is ours by this grant, nobody else writes rows of it.
    grant: u64,
    id: SegmentId,
    /// The offset after what was stored of it.
    next: u64,
    roots: SegmentRoots,
    /// Some of its rows were written by a process that is gone.
    read_back: bool,
    since: Instant,
}

/// The segments that grow, by topic and partition.
pub(crate) struct Sealer {
    registry: Registry,
    store: StoreClient,
    every: Duration,
    open: BTreeMap<(String, u32), Open>,
    /// The day up to which the log says what the store may delete, by days that rows are kept.
    told: BTreeMap<u16, i64>,
}

impl Sealer {
    /// A sealer that seals every so often.
    pub(crate) fn new(registry: Registry, store: StoreClient, every: Duration) -> Self {
        Self { registry, store, every, open: BTreeMap::new(), told: BTreeMap::new() }
    }

    /// Where the rows of a batch stand; `None` for a topic that is not logged.
    pub(crate) async fn place(&mut self, run: &Run) -> Result<Option<Sealing>, AnalyzerError> {
        let Some(open) = self.of(run).await? else { return Ok(None) };
        // The store may have its rows as they were when somebody else had begun it.
        open.read_back |= run.is_repeated();
        let first = run.batch.first.checked_sub(open.id.first()).and_then(|first| u32::try_from(first).ok());
        Ok(first.map(|first| Sealing { segment: open.id, first }))
    }

    async fn of(&mut self, run: &Run) -> Result<Option<&mut Open>, AnalyzerError> {
        let batch = &run.batch;
        let key = (batch.topic.clone(), batch.partition);
        if self.open.get(&key).is_none_or(|open| open.grant != run.grant()) {
            let sealed = self.registry.sealed_up_to(&batch.topic, batch.partition).await?;
            // What lies between the last segment and this batch was stored and not sealed.
            let first = sealed.filter(|next| *next <= batch.first).unwrap_or(batch.first);
            let Some(id) = SegmentId::new(&batch.topic, batch.partition, first) else { return Ok(None) };
            let open = Open {
                grant: run.grant(),
                id,
                next: batch.first,
                roots: SegmentRoots::default(),
                read_back: first < batch.first,
                since: Instant::now(),
            };
            self.open.insert(key.clone(), open);
        }
        Ok(self.open.get_mut(&key))
    }

    /// The store has the rows of a batch.
    pub(crate) fn stored(&mut self, run: &Run, blocks: &[EventRows]) {
        let batch = &run.batch;
        let Some(open) = self.open.get_mut(&(batch.topic.clone(), batch.partition)) else { return };
        open.next = batch.last.saturating_add(1);
        if !open.read_back {
            blocks.iter().flat_map(EventRows::logged).for_each(|row| open.roots.push(row));
        }
    }

    /// Forgets what belongs to others now: they seal it.
    pub(crate) fn keep(&mut self, reader: &Reader) {
        let held: BTreeMap<(&str, u32), u64> =
            reader.held().map(|held| ((held.topic, held.partition), held.grant)).collect();
        self.open.retain(|(topic, partition), open| held.get(&(topic, *partition)) == Some(&open.grant));
    }

    /// Seals what is due, or all of it.
    pub(crate) async fn seal(&mut self, all: bool) -> Result<(), AnalyzerError> {
        let every = self.every;
        let is_due = |open: &&mut Open| {
            let rows = open.next - open.id.first();
            let full = rows >= SEAL_ROWS || open.roots.len() >= MAX_CLASSES;
            rows > 0 && (all || full || open.since.elapsed() >= every)
        };
        let mut segments = Vec::new();
        for open in self.open.values_mut().filter(is_due) {
            if open.read_back {
                open.roots = read_back(&self.store, open.id, open.next).await?;
            }
            let (id, next, read_back) = (open.id, open.next, open.read_back);
            segments.push(Sealed { id, next, read_back, classes: open.roots.classes() });
        }
        if segments.is_empty() {
            return Ok(());
        }
        let at = now();
        let logged = self.registry.seal_segments(&segments, at).await?;
        metrics::counter!("analyzer_segments_sealed_total").increment(logged as u64);
        let left = segments.len().saturating_sub(logged);
        if left > 0 {
            metrics::counter!("analyzer_segments_not_sealed_total").increment(left as u64);
            warn!(
                left,
                "segments were not logged: another analyzer has, or the bus began anew at lower offsets"
            );
        }
        for Sealed { id, next, classes, .. } in &segments {
            let open = self.open.get_mut(&(id.topic().to_owned(), id.partition()));
            if let (Some(open), Some(id)) = (open, SegmentId::new(id.topic(), id.partition(), *next)) {
                let (roots, since) = (SegmentRoots::default(), Instant::now());
                *open = Open { grant: open.grant, id, next: *next, roots, read_back: false, since };
            }
            for class in classes {
                self.retention(class.days, at).await?;
            }
        }
        Ok(())
    }

    /// Says once a day in the log what the store may delete from now on.
    async fn retention(&mut self, days: u16, at: i64) -> Result<(), AnalyzerError> {
        let before = at.div_euclid(DAY) - i64::from(days);
        if self.told.insert(days, before) != Some(before) {
            self.registry.log_retention(days, before, at).await?;
        }
        Ok(())
    }
}

/// The roots of a segment up to before offset `next`, from its rows in the store.
async fn read_back(store: &StoreClient, id: SegmentId, next: u64) -> Result<SegmentRoots, AnalyzerError> {
    let (mut roots, mut from) = (SegmentRoots::default(), 0);
    loop {
        let rows = store.segment_rows(id, from, &[]).await?;
        let Some(last) = rows.last() else { return Ok(roots) };
        let end = last.place;
        for row in rows.iter().filter(|row| id.first() + u64::from(row.place) < next) {
            roots.push(&Row::of(&row.event, row.days));
        }
        let Some(after) = end.checked_add(1) else { return Ok(roots) };
        from = after;
    }
}
