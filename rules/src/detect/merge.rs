//! What was found in parts, put together in the order of the files: correlations count here.

use std::sync::Arc;

use dongson_event::{Level, Matched, Timestamp};

use super::Hit;
use super::scan::{Found, Held};
use crate::correlate::Correlator;
use crate::ruleset::RuleSet;

/// Which matches are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The least level. Rules below it still feed correlations.
    pub level: Level,
    /// Events before are left out, as if they were not there.
    pub from: Option<Timestamp>,
    /// Events from then on are left out, as if they were not there.
    pub to: Option<Timestamp>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { level: Level::Informational, from: None, to: None }
    }
}

impl Wanted {
    /// Whether the event counts. One without a time is in no range.
    fn holds(&self, time: Option<Timestamp>) -> bool {
        match time {
            _ if self.from.is_none() && self.to.is_none() => true,
            None => false,
            Some(time) => self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time < to),
        }
    }
}

/// Takes what was found, in order, and gives matches.
#[derive(Debug)]
pub struct Merger {
    rules: Arc<RuleSet>,
    correlator: Correlator,
    wanted: Wanted,
    /// Records of the file in the parts before.
    before: u64,
}

impl Merger {
    /// Nothing was found yet.
    pub fn new(rules: Arc<RuleSet>, wanted: Wanted) -> Self {
        let correlator = Correlator::new(Arc::clone(&rules));
        Self { rules, correlator, wanted, before: 0 }
    }

    /// Gives the matches of one part to `take`, one record after the other; the numbers of all records become those
    /// of the file.
    pub fn add<E>(&mut self, found: &mut Found, take: &mut dyn FnMut(Hit) -> Result<(), E>) -> Result<(), E> {
        if found.first {
            self.before = 0;
        }
        if found.relative {
            found.bad.iter_mut().for_each(|bad| bad.number += self.before);
            found.hits.iter_mut().for_each(|held| held.number += self.before);
            self.before += found.records;
        }
        for held in std::mem::take(&mut found.hits) {
            self.record(&found.file, held, take)?;
        }
        Ok(())
    }

    /// Gives the matches of one record to `take`.
    pub(super) fn record<E>(
        &mut self,
        file: &Arc<str>,
        held: Held,
        take: &mut dyn FnMut(Hit) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.wanted.holds(held.time) {
            return Ok(());
        }
        let rules = Arc::clone(&self.rules);
        let mut tell = |rule: usize, count: Option<u64>, fields: Vec<Matched>| {
            // Rules that only feed correlations, and the inner correlations of a chain, are not told.
            let told = rules.rule(rule).filter(|one| one.reported && one.level >= self.wanted.level);
            told.map_or(Ok(()), |told| {
                take(Hit {
                    event: held.number,
                    rule_id: told.id.clone(),
                    rule_title: told.title.clone(),
                    level: told.level,
                    file: Arc::clone(file),
                    timestamp: held.time.map(|moment| moment.to_string()),
                    host: held.host.clone(),
                    count,
                    fields,
                    rule,
                    moment: held.time,
                })
            })
        };
        for (found, keyed) in held.matches {
            tell(found.rule, None, found.because)?;
            for one in keyed {
                for reached in self.correlator.observe_all(&one) {
                    tell(reached.rule, Some(reached.count), Vec::new())?;
                }
            }
        }
        Ok(())
    }
}
