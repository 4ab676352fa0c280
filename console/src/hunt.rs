//! A hunt: one question over the events of a time, asked of the event store in several ways, bounded in number and time.
//!
//! The store goes on with a question until its own limit even when nobody waits for the answer any more. So the slot
//! stays with the question: at most [`SLOTS`] of them are in the store at once, whatever the callers do.

use std::{collections::HashMap, sync::Arc, time::Duration};

use dongson_event::Timestamp;
use dongson_registry::{Millis, Scope};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use crate::{Condition, Console, EventBucket, EventPage, EventQuery, Facts, FactsError, FieldCondition};

/// Questions of hunts that the store works on at once.
pub(crate) const SLOTS: usize = 4;

/// Questions of one hunt at once: others get their turn too.
const AT_ONCE: usize = 3;

/// Events that are looked at for candidates of frequent values.
const SAMPLE: u32 = 1000;

/// Candidates that are counted besides those that are asked for: the order of the sample is not that of the whole.
const MARGIN: usize = 5;

/// Lengths of the spans of a histogram, in seconds.
const STEPS: &[Millis] =
    &[1, 2, 5, 10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400];

/// Spans begin at midnight in Vietnam, which has one zone and no summer time.
const ZONE_MS: Millis = 7 * 3_600_000;

/// A question, who may see what of it, and until when it is worth asking.
pub(crate) struct Hunt {
    facts: Arc<dyn Facts>,
    slots: Arc<Semaphore>,
    scope: Scope,
    query: EventQuery,
    until: Instant,
}

/// A value and how often it occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) value: String,
    pub(crate) count: i64,
    /// Counted in all events, not only in the sample.
    pub(crate) exact: bool,
}

/// The frequent values of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frequent {
    /// Most frequent first.
    pub(crate) values: Vec<Counted>,
    /// Events that have the field.
    pub(crate) with_field: i64,
    /// How many of the newest events were looked at for values.
    pub(crate) sampled: usize,
}

impl Hunt {
    /// Begins; the console's `search_seconds` run from now.
    pub(crate) fn new(console: &Console, scope: Scope, query: EventQuery) -> Self {
        Self {
            facts: Arc::clone(&console.facts),
            slots: Arc::clone(&console.hunts),
            scope,
            query,
            until: Instant::now() + Duration::from_secs(u64::from(console.config.search_seconds)),
        }
    }

    /// A page of events, newest first.
    pub(crate) async fn page(&self) -> Result<EventPage, FactsError> {
        self.search(self.query.clone()).await
    }

    /// Events per span, oldest first, without empty spans.
    pub(crate) async fn histogram(&self, step: Millis) -> Result<Vec<EventBucket>, FactsError> {
        let total = self.count(self.query.clone()).await?;
        if total == 0 {
            return Ok(Vec::new());
        }
        if total <= i64::from(SAMPLE) {
            let page = self.search(EventQuery { cursor: None, limit: SAMPLE, ..self.query.clone() }).await?;
            return Ok(buckets_of(&page.events, step));
        }
        let spans = spans(self.query.since, self.query.until, step);
        let counts = futures::stream::iter(spans).map(|(at, since, until)| async move {
            let count = self.count(EventQuery { since, until, ..self.query.clone() }).await?;
            Ok::<_, FactsError>(EventBucket { at, count })
        });
        let buckets: Vec<EventBucket> = counts.buffered(AT_ONCE).try_collect().await?;
        Ok(buckets.into_iter().filter(|bucket| bucket.count > 0).collect())
    }

    /// The most frequent values of a field, at most `limit`. Candidates come from the newest thousand events; each is
    /// then counted in all.
    pub(crate) async fn frequent(&self, field: &str, limit: usize) -> Result<Frequent, FactsError> {
        let page = self.search(EventQuery { cursor: None, limit: SAMPLE, ..self.query.clone() }).await?;
        let (tally, with_field) = tally(&page.events, field);
        let sampled = page.events.len();
        if page.next.is_none() {
            let values = tally.into_iter().take(limit);
            let values = values.map(|(value, count)| Counted { value, count, exact: true }).collect();
            return Ok(Frequent { values, with_field, sampled });
        }
        let candidates = futures::stream::iter(tally.into_iter().take(limit + MARGIN));
        let counted = candidates.map(|(value, seen)| async move {
            let count = self.count(self.with(field, Condition::Is(value.clone()))).await?;
            // A list in a field without a column cannot be compared in the store: the sample's number stands.
            let exact = count >= seen;
            Ok::<_, FactsError>(Counted { value, count: count.max(seen), exact })
        });
        let mut values: Vec<Counted> = counted.buffered(AT_ONCE).try_collect().await?;
        values.sort_by(|one, two| two.count.cmp(&one.count).then_with(|| one.value.cmp(&two.value)));
        values.truncate(limit);
        let with_field = self.count(self.with(field, Condition::Exists)).await?;
        Ok(Frequent { values, with_field, sampled })
    }

    fn with(&self, field: &str, condition: Condition) -> EventQuery {
        let mut query = self.query.clone();
        query.conditions.push(FieldCondition { field: field.to_owned(), condition });
        query
    }

    async fn search(&self, query: EventQuery) -> Result<EventPage, FactsError> {
        let (facts, scope) = (Arc::clone(&self.facts), self.scope.clone());
        self.ask(async move { facts.search(&scope, &query).await }).await
    }

    async fn count(&self, query: EventQuery) -> Result<i64, FactsError> {
        let (facts, scope) = (Arc::clone(&self.facts), self.scope.clone());
        self.ask(async move { facts.count(&scope, &query).await }).await
    }

    /// Waits for a slot and for the answer, together until the end of the hunt's time.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, FactsError>> + Send + 'static,
    ) -> Result<T, FactsError> {
        let slot = timeout_at(self.until, Arc::clone(&self.slots).acquire_owned()).await;
        let slot = slot.map_err(|_| FactsError::TooSlow)?;
        let slot = slot.map_err(|error| FactsError::Unavailable(error.to_string()))?;
        let task = tokio::spawn(async move {
            let answer = work.await;
            drop(slot);
            answer
        });
        match timeout_at(self.until, task).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(FactsError::Unavailable(error.to_string())),
            Err(_) => Err(FactsError::TooSlow),
        }
    }
}

/// The shortest length of a span, in milliseconds, that cuts the time into at most `most` spans.
pub(crate) fn step(since: Millis, until: Millis, most: u32) -> Millis {
    let fits = |step: &&Millis| (until - since) / (**step * 1000) < Millis::from(most.max(2)) - 1;
    STEPS.iter().find(fits).or(STEPS.last()).map_or(86_400_000, |step| step * 1000)
}

/// Start of the span that a time lies in.
fn grid(at: Millis, step: Millis) -> Millis {
    (at + ZONE_MS).div_euclid(step) * step - ZONE_MS
}

/// Each span: its start, and the part of it that lies within `since` to `until`.
fn spans(since: Millis, until: Millis, step: Millis) -> impl Iterator<Item = (Millis, Millis, Millis)> {
    let starts = std::iter::successors(Some(grid(since, step)), move |at| Some(at + step));
    starts.take_while(move |at| *at < until).map(move |at| (at, at.max(since), (at + step).min(until)))
}

/// Counts events that are here by their times.
fn buckets_of(events: &[Value], step: Millis) -> Vec<EventBucket> {
    let time = |event: &Value| Timestamp::parse(event.get("@timestamp")?.as_str()?).ok();
    let mut counts = std::collections::BTreeMap::new();
    for at in events.iter().filter_map(time) {
        *counts.entry(grid(at.millis(), step)).or_insert(0) += 1;
    }
    counts.into_iter().map(|(at, count)| EventBucket { at, count }).collect()
}

/// How often each value of a field occurs, most frequent first, and how many events have the field.
fn tally(events: &[Value], field: &str) -> (Vec<(String, i64)>, i64) {
    let mut counts: HashMap<String, i64> = HashMap::new();
    let mut with_field = 0;
    for held in events.iter().filter_map(|event| event.get(field)).filter(|value| !value.is_null()) {
        with_field += 1;
        let items = held.as_array().map_or(std::slice::from_ref(held), Vec::as_slice);
        let mut texts: Vec<String> = items.iter().map(text).collect();
        texts.sort_unstable();
        texts.dedup();
        for text in texts {
            *counts.entry(text).or_default() += 1;
        }
    }
    let mut tally: Vec<(String, i64)> = counts.into_iter().collect();
    tally.sort_by(|one, two| two.1.cmp(&one.1).then_with(|| one.0.cmp(&two.0)));
    (tally, with_field)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HOUR: Millis = 3_600_000;

    #[test]
    fn steps_are_the_shortest_that_fit() {
        assert_eq!(step(0, 60_000, 120), 1000);
        assert_eq!(step(0, HOUR, 60), 120_000);
        assert_eq!(step(0, 24 * HOUR, 60), 1_800_000);
        assert_eq!(step(0, 31 * 24 * HOUR, 60), 24 * HOUR);
        for most in [2, 24, 60, 120] {
            for length in [1000, HOUR, 25 * HOUR, 31 * 24 * HOUR] {
                let chosen = step(500, 500 + length, most);
                let count = spans(500, 500 + length, chosen).count();
                assert!(count <= most.max(2) as usize || chosen == 24 * HOUR, "{length} {most}: {count}");
            }
        }
    }

    #[test]
    fn spans_cover_the_time_once_and_begin_at_midnight_in_vietnam() {
        let found: Vec<_> = spans(10 * HOUR, 60 * HOUR, 24 * HOUR).collect();
        let expected = [
            (-7 * HOUR, 10 * HOUR, 17 * HOUR),
            (17 * HOUR, 17 * HOUR, 41 * HOUR),
            (41 * HOUR, 41 * HOUR, 60 * HOUR),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn values_are_counted_once_an_event() {
        let events =
            [json!({ "a": ["x", "x", "y"] }), json!({ "a": "x" }), json!({ "a": null }), json!({ "a": 7 })];
        let (tally, with_field) = tally(&events, "a");
        assert_eq!(tally, [("x".into(), 2), ("7".into(), 1), ("y".into(), 1)]);
        assert_eq!(with_field, 3);
    }

    #[test]
    fn few_events_are_counted_here() {
        let event = |time: &str| json!({ "@timestamp": time });
        let events = [
            event("2026-11-23T06:00:01Z"),
            event("2026-11-23T06:00:59Z"),
            event("2026-11-23T06:01:00Z"),
            json!({}),
        ];
        let counts: Vec<i64> = buckets_of(&events, 60_000).iter().map(|bucket| bucket.count).collect();
        assert_eq!(counts, [2, 1]);
    }
}
