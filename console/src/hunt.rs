//! A hunt: one question over the events of a time, asked of the event store in one statement, bounded in number and time.
//!
//! The store goes on with a question until its own limit even when nobody waits for the answer any more. So the slot
//! stays with the question: at most [`SLOTS`] of them are in the store at once, whatever the callers do.

use std::{sync::Arc, time::Duration};

use dongson_registry::{Millis, Scope};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use crate::{Console, EventBucket, EventPage, EventQuery, Facts, FactsError, Frequent};

/// Questions of hunts that the store works on at once.
pub(crate) const SLOTS: usize = 4;

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
        let (facts, scope, query) = (Arc::clone(&self.facts), self.scope.clone(), self.query.clone());
        self.ask(async move { facts.search(&scope, &query).await }).await
    }

    /// Events per span, oldest first, without empty spans.
    pub(crate) async fn histogram(&self, step: Millis) -> Result<Vec<EventBucket>, FactsError> {
        let (facts, scope, query) = (Arc::clone(&self.facts), self.scope.clone(), self.query.clone());
        self.ask(async move { facts.histogram(&scope, &query, step, ZONE_MS).await }).await
    }

    /// The most frequent values of a field, at most `limit`.
    pub(crate) async fn frequent(&self, field: &str, limit: u32) -> Result<Frequent, FactsError> {
        let (facts, scope, query) = (Arc::clone(&self.facts), self.scope.clone(), self.query.clone());
        let field = field.to_owned();
        self.ask(async move { facts.top_values(&scope, &query, &field, limit).await }).await
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

#[cfg(test)]
mod tests {
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
                assert!(length / chosen + 2 <= Millis::from(most) || chosen == 24 * HOUR, "{length} {most}");
            }
        }
    }
}
