//! What each agency may use in a minute of event time, and how often its scripts fail in one.

use std::collections::{BTreeMap, BTreeSet};

use dongson_event::Timestamp;
use dongson_rules::parts::{Parts, name};
use serde::{Deserialize, Serialize};

/// One minute in nanoseconds.
const MINUTE: i64 = 60_000_000_000;
/// Failures of one script in an agency within a minute that are no cluster yet.
const FAILURES: u64 = 20;
/// Most agencies that are remembered.
const MAX_AGENCIES: usize = 4_096;

/// What the scripts of one agency may use in a minute of event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Operations of all its scripts; one script may use half of them.
    pub operations: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { operations: 60_000_000 }
    }
}

/// Why an event was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureCause {
    /// The script could not finish.
    Script {
        /// What went wrong.
        reason: String,
        /// The line of the script's file, from 1; 0 where none is known.
        line: usize,
    },
    /// The agency had no operations left in this minute.
    Budget,
}

/// A cluster: one script failed often in one agency within a minute of event time. It is told once a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failures {
    /// Number of the rule that is the script's head.
    pub rule: usize,
    /// The script's id.
    pub script: String,
    /// Its title.
    pub title: String,
    /// The script's file.
    pub file: String,
    /// The agency.
    pub organization: String,
    /// Failures until now.
    pub count: u64,
    /// The newest one's cause.
    pub cause: FailureCause,
    /// Event time of the newest one.
    pub at: Timestamp,
    /// `event.id` of the newest one.
    pub event: String,
}

impl Failures {
    /// The cluster in English: which script, where, why.
    pub fn told(&self) -> String {
        match &self.cause {
            FailureCause::Script { reason, line } => {
                let Self { file, title, count, .. } = self;
                format!("{file}:{line}: {title:?}: {reason} ({count} events set aside within a minute)")
            }
            FailureCause::Budget => format!(
                "{}: {:?}: the agency's operations for this minute are used up ({} events set aside)",
                self.file, self.title, self.count
            ),
        }
    }

    /// The same in Vietnamese.
    pub fn told_vi(&self) -> String {
        match &self.cause {
            FailureCause::Script { reason, line } => format!(
                "{}, dòng {line}, {:?}: {reason} ({} sự kiện bị gác lại trong một phút)",
                self.file, self.title, self.count
            ),
            FailureCause::Budget => format!(
                "{}, {:?}: đơn vị đã dùng hết số phép tính của phút này ({} sự kiện bị gác lại)",
                self.file, self.title, self.count
            ),
        }
    }
}

/// The minute in hand of one agency.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Minute {
    number: i64,
    used: u64,
    /// By script.
    shares: BTreeMap<String, Share>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Share {
    used: u64,
    failures: u64,
}

/// The minutes of all agencies.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    agencies: BTreeMap<String, Minute>,
    /// Agencies whose minute changed since it was saved.
    #[serde(skip)]
    changed: BTreeSet<String>,
}

impl Ledger {
    /// True while the agency may run this script.
    pub(crate) fn allows(&mut self, agency: &str, script: &str, at: Timestamp, budget: Budget) -> bool {
        let minute = self.minute(agency, at);
        let used = minute.shares.get(script).map_or(0, |share| share.used);
        minute.used < budget.operations && used < budget.operations / 2
    }

    /// Adds what a run used.
    pub(crate) fn spend(&mut self, agency: &str, script: &str, at: Timestamp, operations: u64) {
        let minute = self.minute(agency, at);
        minute.used = minute.used.saturating_add(operations);
        let share = minute.share(script);
        share.used = share.used.saturating_add(operations);
    }

    /// Counts a failure; gives how many there are when they have just become a cluster.
    pub(crate) fn fail(&mut self, agency: &str, script: &str, at: Timestamp) -> Option<u64> {
        let share = self.minute(agency, at).share(script);
        share.failures += 1;
        (share.failures == FAILURES + 1).then_some(share.failures)
    }

    /// Adds the minutes that changed; no script has the empty name that stands in theirs.
    pub(crate) fn save_changes(&mut self, parts: &mut Parts) -> Result<(), serde_json::Error> {
        for agency in std::mem::take(&mut self.changed) {
            let minute = self.agencies.get(&agency).map(serde_json::to_string).transpose()?;
            parts.insert(name("", &agency, None), minute);
        }
        Ok(())
    }

    /// Takes an agency's minute.
    pub(crate) fn put_back(&mut self, agency: String, text: &str) -> Result<(), serde_json::Error> {
        self.agencies.insert(agency, serde_json::from_str(text)?);
        Ok(())
    }

    /// Everything is to be saved.
    pub(crate) fn touch_all(&mut self) {
        self.changed.extend(self.agencies.keys().cloned());
    }

    /// The agency's minute; one that is older than the newest counts there.
    fn minute(&mut self, agency: &str, at: Timestamp) -> &mut Minute {
        let number = at.nanos().div_euclid(MINUTE);
        if self.agencies.len() >= MAX_AGENCIES && !self.agencies.contains_key(agency) {
            let old: Vec<String> =
                self.agencies.extract_if(.., |_, minute| minute.number < number).map(|(id, _)| id).collect();
            self.changed.extend(old);
            if self.agencies.len() >= MAX_AGENCIES {
                self.changed.extend(self.agencies.pop_first().map(|(id, _)| id));
            }
        }
        if !self.changed.contains(agency) {
            self.changed.insert(agency.to_owned());
        }
        let minute = self.agencies.entry(agency.to_owned()).or_default();
        if number > minute.number {
            *minute = Minute { number, ..Minute::default() };
        }
        minute
    }
}

impl Minute {
    fn share(&mut self, script: &str) -> &mut Share {
        self.shares.entry(script.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_script_and_one_agency_cannot_starve_others() {
        let (mut ledger, budget) = (Ledger::default(), Budget { operations: 100 });
        let at = Timestamp::from_seconds(60);
        ledger.spend("a", "x", at, 50);
        assert!(!ledger.allows("a", "x", at, budget) && ledger.allows("a", "y", at, budget));
        ledger.spend("a", "y", at, 60);
        assert!(!ledger.allows("a", "z", at, budget) && ledger.allows("b", "x", at, budget));
        assert!(!ledger.allows("a", "x", Timestamp::from_seconds(59), budget), "late events count now");
        assert!(ledger.allows("a", "x", Timestamp::from_seconds(120), budget));
    }

    #[test]
    fn clusters_are_told_once_a_minute() {
        let mut ledger = Ledger::default();
        let told = |ledger: &mut Ledger, second| {
            (0..50).filter_map(|_| ledger.fail("a", "x", Timestamp::from_seconds(second))).collect::<Vec<_>>()
        };
        assert_eq!(told(&mut ledger, 60), [21]);
        assert_eq!(told(&mut ledger, 119), Vec::<u64>::new());
        assert_eq!(told(&mut ledger, 120), [21]);
    }
}
