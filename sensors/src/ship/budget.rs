//! A daily budget of bytes for poor links.
//!
//! The bytes of a day come in evenly, one after another, and at most an hour's worth is saved up; a batch goes as soon as
//! anything is there and may run it into debt, so a batch larger than an hour's worth goes too. Classes at least as urgent
//! as `always` go in any case, but what they take is taken from the others. The state is on the disk, so a restart gives
//! nothing away.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dongson_event::batch::Class;
use serde::{Deserialize, Serialize};

use super::write_whole;

const DAY_MS: i64 = 86_400_000;
/// What a batch takes beside its body: the request's head and the answer, about.
const OVERHEAD: u64 = 1_024;

/// What may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetOptions {
    /// Bytes a day.
    pub daily_bytes: u64,
    /// The least urgent class that goes in any case.
    pub always: Class,
}

/// What is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// Bytes that may go, times the milliseconds of a day, so that no share of a byte is lost; negative: a debt.
    saved: i128,
    /// When that was, in milliseconds since 1970 UTC.
    at: i64,
    /// Bytes that went on this day (UTC).
    spent: u64,
}

/// The budget of one sensor.
#[derive(Debug)]
pub struct Budget {
    options: BudgetOptions,
    path: PathBuf,
    state: State,
}

impl Budget {
    /// The budget whose state is in `folder`; a state that cannot be read begins anew with nothing saved up.
    pub fn open(folder: &Path, options: BudgetOptions, now_ms: i64) -> Self {
        let path = folder.join("budget.json");
        let fresh = State { saved: 0, at: now_ms, spent: 0 };
        let state = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(%error, ?path, "the budget's state cannot be read; it begins anew");
                fresh
            }),
            Err(_) => fresh,
        };
        Self { options, path, state }
    }

    /// Another budget from now on: what was sent and what is owed stays, and no more than an hour of it is saved up.
    pub fn set(&mut self, options: BudgetOptions, now_ms: i64) {
        self.pass(now_ms);
        self.options = options;
        self.state.saved = self.state.saved.clamp(-self.whole(), self.whole() / 24);
    }

    /// True when a batch of `class` may go now.
    pub fn may(&mut self, class: Class, now_ms: i64) -> bool {
        self.pass(now_ms);
        class <= self.options.always || self.state.saved > 0
    }

    /// True when more was sent than has come in.
    pub fn owes(&mut self, now_ms: i64) -> bool {
        self.pass(now_ms);
        self.state.saved < 0
    }

    /// Takes what a batch with a body of `bytes` took.
    pub fn spend(&mut self, bytes: u64, now_ms: i64) -> io::Result<()> {
        self.pass(now_ms);
        let bytes = bytes.saturating_add(OVERHEAD);
        self.state.saved =
            self.state.saved.saturating_sub(i128::from(bytes) * i128::from(DAY_MS)).max(-self.whole());
        self.state.spent = self.state.spent.saturating_add(bytes);
        let text = serde_json::to_vec(&self.state).map_err(io::Error::other)?;
        write_whole(&self.path, &text, 0o600)
    }

    /// Bytes that went on this day (UTC), and those that a day has.
    pub fn spent(&mut self, now_ms: i64) -> (u64, u64) {
        self.pass(now_ms);
        (self.state.spent, self.options.daily_bytes)
    }

    /// A day's bytes, in the unit of `saved`: also the greatest debt.
    fn whole(&self) -> i128 {
        i128::from(self.options.daily_bytes) * i128::from(DAY_MS)
    }

    /// Lets time pass; a clock that goes back gives nothing.
    fn pass(&mut self, now_ms: i64) {
        let passed = now_ms.saturating_sub(self.state.at).clamp(0, DAY_MS);
        if now_ms.div_euclid(DAY_MS) != self.state.at.div_euclid(DAY_MS) {
            self.state.spent = 0;
        }
        let gained = i128::from(self.options.daily_bytes) * i128::from(passed);
        self.state.saved = self.state.saved.saturating_add(gained).min(self.whole() / 24);
        self.state.at = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = DAY_MS / 24;
    const OPTIONS: BudgetOptions = BudgetOptions { daily_bytes: 24 << 20, always: Class::Alert };

    #[test]
    fn it_comes_in_evenly_and_alerts_go_in_any_case() {
        let folder = tempfile::tempdir().unwrap();
        let mut budget = Budget::open(folder.path(), OPTIONS, 0);
        assert!(!budget.may(Class::Conn, 0) && budget.may(Class::Alert, 0));
        assert!(budget.may(Class::Conn, 1_000));
        // Two hours' worth at once: nothing of that class goes for two hours less what was saved.
        budget.spend((2 << 20) - OVERHEAD, HOUR_MS).unwrap();
        assert!(!budget.may(Class::Conn, 2 * HOUR_MS) && budget.may(Class::Alert, 2 * HOUR_MS));
        assert!(budget.may(Class::Context, 2 * HOUR_MS + 1_000));
        assert_eq!(budget.spent(2 * HOUR_MS), (2 << 20, 24 << 20));
        assert_eq!(budget.spent(25 * HOUR_MS), (0, 24 << 20), "another day");
    }

    #[test]
    fn at_most_an_hour_is_saved_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut budget = Budget::open(folder.path(), OPTIONS, 0);
        assert!(budget.may(Class::File, 20 * HOUR_MS));
        budget.spend((1 << 20) - OVERHEAD, 20 * HOUR_MS).unwrap();
        assert!(!budget.may(Class::File, 20 * HOUR_MS));
    }

    #[test]
    fn a_restart_and_a_clock_that_goes_back_give_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut budget = Budget::open(folder.path(), OPTIONS, 0);
        budget.spend(1 << 20, HOUR_MS).unwrap();
        drop(budget);
        let mut budget = Budget::open(folder.path(), OPTIONS, HOUR_MS);
        assert!(!budget.may(Class::File, HOUR_MS) && !budget.may(Class::File, 0));
        assert_eq!(budget.spent(HOUR_MS).0, (1 << 20) + OVERHEAD);
        fs::write(folder.path().join("budget.json"), "x").unwrap();
        assert!(!Budget::open(folder.path(), OPTIONS, 0).may(Class::File, 0));
    }

    #[test]
    fn another_budget_keeps_what_was_sent() {
        let folder = tempfile::tempdir().unwrap();
        let mut budget = Budget::open(folder.path(), OPTIONS, 0);
        budget.spend(12 << 20, HOUR_MS).unwrap();
        let less = BudgetOptions { daily_bytes: 1 << 20, ..OPTIONS };
        budget.set(less, HOUR_MS);
        assert_eq!(budget.spent(HOUR_MS), ((12 << 20) + OVERHEAD, 1 << 20));
        assert!(!budget.may(Class::File, 24 * HOUR_MS), "at most a day is owed");
        assert!(budget.may(Class::File, 26 * HOUR_MS));
        budget.set(OPTIONS, 26 * HOUR_MS);
        assert!(budget.may(Class::File, 27 * HOUR_MS));
    }

    #[test]
    fn over_a_day_no_more_than_the_budget_and_an_hour_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut budget = Budget::open(folder.path(), OPTIONS, 0);
        let (mut sent, batch) = (0_u64, 100_000);
        for second in 0..86_400_i64 / 30 {
            let at = second * 30_000;
            if budget.may(Class::Protocol, at) {
                budget.spend(batch, at).unwrap();
                sent += batch + OVERHEAD;
            }
        }
        assert!(sent <= OPTIONS.daily_bytes + batch + OVERHEAD, "{sent}");
        assert!(sent >= OPTIONS.daily_bytes * 98 / 100, "{sent}");
    }
}
