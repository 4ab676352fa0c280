//! An engine that learns from the events that it sees.
//!
//! A few of the first events are kept. When they are enough, whoever brings the last one measures them and makes an
//! engine that knows what is rare. Which rules hold is the same before and after.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use dongson_event::Event;

use super::{Calibration, Engine};
use crate::ruleset::RuleSet;
use crate::taxonomy::{Mode, Taxonomies};

/// Events that are measured.
const SAMPLE: usize = 2_000;
/// One event in so many is kept: a run that is over sooner than this many samples would gain nothing.
const EVERY: u64 = 32;

/// Is told what was measured.
type Keeper = Box<dyn Fn(&Calibration) + Send + Sync>;

/// Shared by all threads that ask the same rules.
pub struct Tuner {
    first: Arc<Engine>,
    keeper: Option<Keeper>,
    seen: AtomicU64,
    sample: Mutex<Vec<Event>>,
    tuned: OnceLock<(Arc<Engine>, Calibration)>,
}

impl Tuner {
    /// Begins with `engine`.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self {
            first: engine,
            keeper: None,
            seen: AtomicU64::new(0),
            sample: Mutex::default(),
            tuned: OnceLock::new(),
        }
    }

    /// Tells `keeper` what will be measured, so that the next start need not learn it again.
    #[must_use]
    pub fn keeping(self, keeper: impl Fn(&Calibration) + Send + Sync + 'static) -> Self {
        Self { keeper: Some(Box::new(keeper)), ..self }
    }

    /// An engine that was measured before, with what was told then: nothing is measured again.
    pub fn tuned(
        rules: Arc<RuleSet>,
        taxonomies: Arc<Taxonomies>,
        mode: Mode,
        calibration: Calibration,
    ) -> Self {
        let engine = Arc::new(Engine::new(rules, taxonomies, mode, Some(&calibration)));
        let tuner = Self::new(Arc::clone(&engine));
        // It is new and empty.
        drop(tuner.tuned.set((engine, calibration)));
        tuner
    }

    /// The engine to use from now on.
    pub fn engine(&self) -> &Arc<Engine> {
        self.tuned.get().map_or(&self.first, |(engine, _)| engine)
    }

    /// What was measured; nothing before there was enough.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.tuned.get().map(|(_, calibration)| calibration)
    }

    /// Called for each event; `event` makes it when it is one of those that are kept. True when the engine is another
    /// one now.
    pub fn offer(&self, event: impl FnOnce() -> Option<Event>) -> bool {
        if self.tuned.get().is_some() || !self.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(EVERY) {
            return false;
        }
        let Some(event) = event() else { return false };
        let sample = {
            let mut sample = self.sample.lock().unwrap_or_else(PoisonError::into_inner);
            sample.push(event);
            if sample.len() != SAMPLE {
                return false;
            }
            std::mem::take(&mut *sample)
        };
        let calibration = self.first.calibrate(sample);
        let (rules, taxonomies) = (Arc::clone(&self.first.rules), Arc::clone(&self.first.taxonomies));
        let engine = Engine::new(rules, taxonomies, self.first.mode(), Some(&calibration));
        if let Some(keeper) = &self.keeper {
            keeper(&calibration);
        }
        self.tuned.set((Arc::new(engine), calibration)).is_ok()
    }
}

impl fmt::Debug for Tuner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tuner").field("tuned", &self.tuned.get().is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LoadOptions, Matcher};

    #[test]
    fn the_engine_changes_once_and_matches_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let rule = "title: T\nid: 5b6e0f1c-0d2f-4a39-9c57-0e1f2a3b4c5d\nlogsource: {category: process_creation}\n\
                    detection: {s: {CommandLine|contains: [whoami, net user]}, condition: s}\n";
        std::fs::write(folder.path().join("rule.yml"), rule).unwrap();
        let rules = RuleSet::load(&[folder.path().to_owned()], &LoadOptions::default()).rules;
        let first =
            Arc::new(Engine::new(Arc::new(rules), Arc::new(Taxonomies::embedded()), Mode::Sigma, None));
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keeper = Arc::clone(&kept);
        let keep = move |told: &Calibration| keeper.lock().unwrap().push(told.clone());
        let tuner = Tuner::new(Arc::clone(&first)).keeping(keep);
        let event = |number: u64| {
            let word = if number.is_multiple_of(3) { "whoami" } else { "dir" };
            let text = format!(r#"{{"category":"process_creation","CommandLine":"cmd /c {word} {number}"}}"#);
            Event::parse(text.as_bytes()).unwrap().0
        };
        let needed = EVERY * (SAMPLE as u64 - 1) + 1;
        let changes: Vec<u64> =
            (1..=needed + 100).filter(|number| tuner.offer(|| Some(event(*number)))).collect();
        assert_eq!(changes, [needed]);
        assert!(!Arc::ptr_eq(tuner.engine(), &first));
        assert_eq!(tuner.calibration().map(|told| told.events), Some(SAMPLE as u64));
        let found = |engine: &Arc<Engine>| {
            let mut matcher = Matcher::sharing(Arc::clone(engine));
            let mut all = Vec::new();
            (0..100).for_each(|number| matcher.matches(&event(number), &mut all));
            all
        };
        assert_eq!(found(tuner.engine()), found(&first));
        assert_eq!(found(&first).len(), 34);
        let told = kept.lock().unwrap().pop().unwrap();
        assert_eq!(tuner.calibration(), Some(&told));
        let (rules, taxonomies) = (Arc::clone(first.rules()), Arc::clone(first.taxonomies()));
        let again = Tuner::tuned(rules, taxonomies, Mode::Sigma, told);
        assert!(!again.offer(|| panic!("it knows already")));
        assert_eq!(found(again.engine()), found(&first));
    }
}
