//! Desired settings put into force, on trial at first, and taken back when the sensor sees less for it.
//!
//! | child | holds |
//! |---|---|
//! | `limits` | what the centre may not do, by a file of the machine's owner |
//! | `plan` | from the command line and the centre's settings to what the capture is told |
//! | `sight` | how much was seen before and since |
//! | `ledger` | what is in force, on trial or refused, on disk |
//!
//! New settings are on trial for [`Limits::trial`]. They are taken back, and the version is refused, when the sensor is
//! blinder than before, when the filter hides more than the limits allow, when the capture cannot take them, or when the
//! process ends without being told to: the trial is on the disk before anything changes, so that a crash and a kill -9
//! count. A sensor that is told to stop tries again at its next start. A version that was refused is not tried again; the
//! next one is. No clock here: the caller says what time it is.

mod ledger;
mod limits;
mod plan;
mod sight;
#[cfg(test)]
mod tests;

pub use limits::{Limits, LimitsError};
pub use plan::{Base, Plan, Shipping};

use std::path::Path;
use std::time::{Duration, Instant};

use dongson_event::trust::Configuration;
use tracing::{info, warn};

use super::{DesiredError, State};
use ledger::{Ledger, Numbered, Refused};
use sight::{Seen, Sight};

/// How a sensor stands to what is wanted of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The version in force; 0: the command line alone.
    pub applied: u64,
    /// The version that the centre wants.
    pub wanted: u64,
    /// Whether what is in force is on trial.
    pub trial: bool,
    /// Why what is wanted is not in force.
    pub why_not: Option<String>,
}

/// Puts desired settings into force.
pub struct Applier {
    base: Base,
    limits: Limits,
    ledger: Ledger,
    sight: Sight,
    /// Since when settings are on trial.
    since: Option<Instant>,
    wanted: u64,
}

impl Applier {
    /// With what `folder` keeps; the plan is what to begin with. Settings that were on trial when the process ended without
    /// being told to are refused now.
    pub fn open(folder: &Path, base: Base, limits: Limits) -> Result<(Self, Plan), DesiredError> {
        let mut ledger = Ledger::open(folder)?;
        if let Some(trial) = ledger.trial.take() {
            let reason = "the sensor ended without being told to while these settings were on trial";
            warn!(version = trial.version, reason, "settings are taken back");
            ledger.refused = Some(Refused { version: trial.version, reason: reason.to_owned() });
            ledger.save()?;
        }
        let mut applier = Self { base, limits, ledger, sight: Sight::default(), since: None, wanted: 0 };
        let plan = match applier.plan(&applier.ledger.good.configuration) {
            Ok(plan) => plan,
            Err(reason) => {
                warn!(reason, "the last good settings do not hold any more: the command line alone does");
                let version = applier.ledger.good.version;
                applier.ledger.good = Numbered::default();
                applier.refuse(version, reason)?;
                applier.base.alone()
            }
        };
        Ok((applier, plan))
    }

    fn plan(&self, configuration: &Configuration) -> Result<Plan, String> {
        self.limits.allow(configuration)?;
        let plan = self.base.with(configuration)?;
        self.limits.allow_kinds(plan.capture.engine.kinds)?;
        Ok(plan)
    }

    /// Looks at what is wanted and at what was seen; an answer is a plan that is to be put into force now, forwards or back.
    /// `frames` and `blind` (percent) are those since the start and of late.
    pub fn turn(
        &mut self,
        state: &State,
        frames: u64,
        blind: Option<f64>,
        now: Instant,
    ) -> Result<Option<Plan>, DesiredError> {
        self.wanted = state.version;
        self.sight.note(Seen { at: now, frames, blind });
        if let Some(trial) = &self.ledger.trial {
            let (version, filtered) = (trial.version, trial.configuration.filter.is_some());
            let since = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
            let over = since >= self.limits.trial;
            return match self.sight.judge(&self.limits, over, filtered) {
                Some(reason) => self.take_back(version, reason).map(Some),
                None if over => self.keep().map(|()| None),
                None => Ok(None),
            };
        }
        let refused = self.ledger.refused.as_ref().map_or(0, |refused| refused.version);
        if state.version <= self.ledger.good.version.max(refused) {
            return Ok(None);
        }
        let plan = match self.plan(&state.configuration) {
            Ok(plan) => plan,
            Err(reason) => {
                warn!(version = state.version, reason, "settings that the centre wants are refused");
                return self.refuse(state.version, reason).map(|()| None);
            }
        };
        if !self.sight.has_before() {
            return Ok(None);
        }
        // On the disk before anything changes.
        self.ledger.trial =
            Some(Numbered { version: state.version, configuration: state.configuration.clone() });
        self.ledger.save()?;
        info!(version = state.version, "settings that the centre wants are on trial");
        self.sight.begin();
        self.since = Some(now);
        Ok(Some(plan))
    }

    /// What was put into force did not work: the plan before it.
    pub fn failed(&mut self, reason: &str) -> Result<Option<Plan>, DesiredError> {
        let Some(trial) = &self.ledger.trial else { return Ok(None) };
        let (version, reason) = (trial.version, format!("the capture cannot take them: {reason}"));
        self.take_back(version, reason).map(Some)
    }

    /// The sensor was told to stop: what is on trial is tried again at the next start.
    pub fn stop(&mut self) -> Result<(), DesiredError> {
        if self.ledger.trial.take().is_some() { self.ledger.save() } else { Ok(()) }
    }

    /// How the sensor stands.
    pub fn standing(&self, state: &State) -> Standing {
        let trial = self.ledger.trial.as_ref();
        let applied = trial.map_or(self.ledger.good.version, |trial| trial.version);
        let refused = self.ledger.refused.as_ref().filter(|refused| refused.version >= self.wanted);
        let why_not = refused.filter(|_| applied < self.wanted).map(|refused| refused.reason.clone());
        Standing {
            applied,
            wanted: self.wanted,
            trial: trial.is_some(),
            why_not: why_not.or_else(|| state.problem.clone()),
        }
    }

    fn take_back(&mut self, version: u64, reason: String) -> Result<Plan, DesiredError> {
        warn!(version, reason, "settings are taken back: the sensor goes on with the last good ones");
        self.ledger.trial = None;
        self.refuse(version, reason)?;
        let plan = self.plan(&self.ledger.good.configuration);
        Ok(plan.unwrap_or_else(|_| self.base.alone()))
    }

    fn refuse(&mut self, version: u64, reason: String) -> Result<(), DesiredError> {
        self.ledger.refused = Some(Refused { version, reason });
        self.ledger.save()
    }

    fn keep(&mut self) -> Result<(), DesiredError> {
        if let Some(trial) = self.ledger.trial.take() {
            info!(version = trial.version, "the trial is over: the settings stay");
            self.ledger.good = trial;
            self.ledger.refused = None;
        }
        self.ledger.save()
    }
}
