//! The daily budget as all see it who send to the centre: batches, reports, questions, answers.
//!
//! Only batches wait for it. What a person asked for, and how the sensor is, goes in any case; but what that takes, the
//! batches have to make good.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use dongson_event::batch::Class;
use tracing::error;

use super::budget::{Budget, BudgetOptions};

/// The budget, if there is one; clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    folder: PathBuf,
    budget: Arc<Mutex<Option<Budget>>>,
}

impl Meter {
    /// With its state in `folder`; without a budget so far.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), budget: Arc::default() }
    }

    /// Another budget from now on, or none.
    pub fn set(&self, options: Option<BudgetOptions>) {
        let mut budget = self.lock();
        match (options, &mut *budget) {
            (None, _) => *budget = None,
            (Some(options), Some(budget)) => budget.set(options, now_ms()),
            (Some(options), None) => *budget = Some(Budget::open(&self.folder, options, now_ms())),
        }
    }

    /// True when a batch of `class` may go now.
    pub fn may(&self, class: Class) -> bool {
        self.lock().as_mut().is_none_or(|budget| budget.may(class, now_ms()))
    }

    /// True when more was sent than has come in.
    pub fn owes(&self) -> bool {
        self.lock().as_mut().is_some_and(|budget| budget.owes(now_ms()))
    }

    /// Takes what a request with a body of `bytes` took.
    pub fn spend(&self, bytes: u64) {
        if let Some(Err(error)) = self.lock().as_mut().map(|budget| budget.spend(bytes, now_ms())) {
            error!(%error, "the budget's state could not be kept");
        }
    }

    /// Bytes that were sent on this day (UTC), and those of the budget; `None` without a budget.
    pub fn spent(&self) -> Option<(u64, u64)> {
        self.lock().as_mut().map(|budget| budget.spent(now_ms()))
    }

    /// A lock whose holder panicked still guards whole numbers.
    fn lock(&self) -> MutexGuard<'_, Option<Budget>> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since 1970 UTC.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_budget_for_all_who_send() {
        let folder = tempfile::tempdir().unwrap();
        let meter = Meter::new(folder.path());
        let other = meter.clone();
        other.spend(1 << 30);
        assert!(meter.may(Class::File) && meter.spent().is_none() && !meter.owes());
        meter.set(Some(BudgetOptions { daily_bytes: 1 << 20, always: Class::Alert }));
        other.spend(1 << 20);
        assert!(meter.owes() && !meter.may(Class::Conn) && meter.may(Class::Alert));
        assert!(meter.spent().is_some_and(|(spent, daily)| spent > 1 << 20 && daily == 1 << 20));
        meter.set(None);
        assert!(other.may(Class::File) && !other.owes());
    }
}
