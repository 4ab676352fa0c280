//! How fast a lane sends, and until when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longest sleep before the end is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// A lane that was held up catches up at most so much.
const SAVED: Duration = Duration::from_secs(2);

/// A rate, and an end that somebody else decides.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    rate: u64,
    over: Arc<AtomicBool>,
    due: Instant,
}

impl Pace {
    /// `rate` events in a second until `over` is true.
    pub(crate) fn new(rate: u64, over: Arc<AtomicBool>) -> Self {
        Self { rate, over, due: Instant::now() }
    }

    /// Waits until the next batch is due; false when it is over.
    pub(crate) fn wait(&mut self) -> bool {
        while !self.is_over() {
            let left = self.due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            sleep(left.min(LOOK));
        }
        false
    }

    /// Notes that so many events went.
    pub(crate) fn spend(&mut self, events: u64) {
        let earliest = Instant::now().checked_sub(SAVED).unwrap_or(self.due);
        let took = Duration::from_nanos(events.saturating_mul(1_000_000_000) / self.rate.max(1));
        self.due = self.due.max(earliest) + took;
    }

    /// True when no more is to be begun.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}
